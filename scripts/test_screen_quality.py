"""Tests of screen_quality.py on values computed by hand. Run: python3 scripts/test_screen_quality.py"""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

import screen_quality

HEADER = "target\trank\trna_id\tpartner_id\tscore\tsim_partner\n"


def rows(scores, hits):
    return [(score, f"m{i}", bool(hit)) for i, (score, hit) in enumerate(zip(scores, hits, strict=True))]


class Metrics(unittest.TestCase):
    def test_hits_first_and_third_of_four(self):
        found = screen_quality.quality(rows([0.1, 0.4, 0.3, 0.2], [0, 1, 0, 1]))
        self.assertEqual(found["EF1%"], 2.0)  # the one row of the top is a hit; half of all are
        self.assertEqual(found["AUROC"], 0.75)  # three of four pairs of a hit and a non-hit are in order
        # The closed form of the paper: RIE·Ra·sinh(10)/(cosh(10) − cosh(10 − 20·Ra)) + 1/(1 − e^{20·(1 − Ra)}), with
        # RIE = (e⁻⁵ + e⁻¹⁵)/2 / (¼·(1 − e⁻²⁰)/(e⁵ − 1)) and Ra = ½. Both forms round in the last digits.
        self.assertAlmostEqual(found["BEDROC"], 0.9933519433292, delta=1e-12)

    def test_the_best_and_the_worst_order(self):
        n, hits = 250, 7
        best = screen_quality.quality(rows(range(n, 0, -1), [i < hits for i in range(n)]))
        worst = screen_quality.quality(rows(range(n), [i < hits for i in range(n)]))
        self.assertAlmostEqual(best["BEDROC"], 1.0, delta=1e-12)  # roundings of about 250 terms
        self.assertAlmostEqual(worst["BEDROC"], 0.0, delta=1e-12)
        self.assertEqual((best["AUROC"], worst["AUROC"]), (1.0, 0.0))
        # The top are ⌈2.5⌉ = 3 rows.
        self.assertEqual((best["EF1%"], worst["EF1%"]), (250 / 7, 0.0))

    def test_equal_scores_rank_by_id_and_count_half(self):
        tied = [(1.0, "b", True), (1.0, "a", False), (1.0, "c", False)]
        found = screen_quality.quality(tied)
        self.assertEqual((found["AUROC"], found["EF1%"]), (0.5, 0.0))
        self.assertEqual(screen_quality.quality([(1.0, "a", True), *tied[::2][1:]])["EF1%"], 2.0)

    def test_chance_is_the_mean_over_all_orders(self):
        places = [(i, j) for i in range(6) for j in range(i)]
        found = [screen_quality.quality(rows(range(6), [k in pair for k in range(6)])) for pair in places]
        for name, value in screen_quality.chance(6, 2).items():
            # Sums of 15 terms.
            self.assertAlmostEqual(sum(of[name] for of in found) / len(found), value, delta=1e-13, msg=name)

    def test_heavy_atoms(self):
        for smiles, n in {
            "CC(=O)[O-].[Na+]": 5,
            "[H][C@@H](Cl)Br": 3,
            "[2H]C": 1,
            "c1cc[nH]c1": 5,
            "[H+].[Hg+2]": 1,
            "CC[Br]": 3,
            "N[C@@H](CS)C(=O)O": 7,
        }.items():
            self.assertEqual(screen_quality.heavy_atoms(smiles), n, smiles)


class Table(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.file("pairs.tsv", "rna_id\tmol_id\tlabel\nR\ta\t1\nR\tb\t1\nR\tx\t1\nR\tc\t0\nS\ta\t1\nDNA\tc\t1\n")
        self.file("not_tested.tsv", "targets\tmol_ids\nR,Q\td;e\n")
        self.file("molecules.smi", "C a\nCC b\nCCC c\nCCCC d\n")

    def file(self, name, text):
        (self.root / name).write_text(text)

    def run_on(self, *flags):
        out, words = io.StringIO(), io.StringIO()
        paths = [self.root / "screen.tsv", "--pairs", self.root / "pairs.tsv", *flags]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(words):
            screen_quality.main([str(path) for path in paths])
        return out.getvalue()

    def screen(self, **targets):
        """Scores and similarities of a, b, c, d by target."""
        lines = [
            f"{target}\t1\t{target}\t{molecule}\t{score}\t{similarity}\n"
            for target, scores in targets.items()
            for molecule, score, similarity in zip("abcd", scores, (0.9, 0.1, 0.5, 0.3), strict=True)
        ]
        self.file("screen.tsv", HEADER + "".join(lines))

    def test_untested_pairs_are_left_out_and_every_ranking_is_judged(self):
        self.screen(R=(4, 1, 2, 3), S=(1, 4, 3, 2), T=(1, 2, 3, 4))
        flags = ["--not-tested", self.root / "not_tested.tsv", "--molecules", self.root / "molecules.smi", "--json"]
        found = json.loads(self.run_on(*flags))
        r, s, t = (found["targets"][name] for name in "RST")
        self.assertEqual((r["n"], r["hits"], r["hits_without_score"]), (3, 2, 1))  # d is not tested, x has no score
        self.assertEqual((s["n"], s["hits"], s["hits_without_score"]), (4, 1, 0))
        self.assertEqual((t["hits"], t["rankings"]), (0, {}))
        auroc = {name: (r["rankings"][name]["AUROC"], s["rankings"][name]["AUROC"]) for name in r["rankings"]}
        expected = {
            "model": (0.5, 0.0),  # R: a, c, b; S: a is last
            "size": (0.0, 0.0),  # R: the hits a and b are smaller than c; S: a is the smallest
            # R: only a hits another target, so a is above c and b ties with it. S: b hits R, and so does a: it ties with
            # b and is above c and d.
            "other hits": (0.75, 2.5 / 3),
            "similarity": (0.5, 1.0),
            "chance": (0.5, 0.5),
        }
        self.assertEqual(auroc, expected)
        self.assertEqual(found["targets_in_mean"], 2)
        self.assertEqual(found["mean"]["model"]["AUROC"], 0.25)

    def test_the_table_tells_what_is_missing(self):
        self.screen(R=(4, 1, 2, 3), T=(1, 2, 3, 4))
        text = self.run_on()
        self.assertIn("| R | 4 | 2 | 2.00 | ", text)
        self.assertIn("| T | 4 | 0 | – | – | – |", text)
        self.assertIn("1 hits are of molecules that the table does not have.", text)
        self.assertNotIn("size", text)

    def test_what_cannot_be_judged_is_refused(self):
        def refused(words, *flags):
            with self.assertRaises(SystemExit) as raised:
                self.run_on(*flags)
            self.assertIn(words, str(raised.exception))

        self.screen(T=(1, 2, 3, 4))
        refused("no target")
        self.screen(R=(1, 2, "", 4))
        refused("'' is no number")
        self.file("screen.tsv", HEADER + "R\t1\tR\ta\t1\t0\nR\t2\tR\ta\t0\t0\n")
        refused("R with a twice")
        self.file("screen.tsv", HEADER + "R\t1\tR\ta\t1\t0\nR\t2\tR\tc\t0\t0\nS\t1\tS\ta\t1\t0\n")
        refused("more entries of one target")
        self.file("screen.tsv", HEADER + "R\t1\tR\tz\t1\t0\n")
        refused("no molecule z", "--molecules", self.root / "molecules.smi")
        self.file("screen.tsv", "target\tscore\n")
        refused("no column partner_id")


if __name__ == "__main__":
    unittest.main()
