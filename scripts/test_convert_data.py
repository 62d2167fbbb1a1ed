"""Tests of convert_data.py on small made-up inputs in the published forms. Run: python3 scripts/test_convert_data.py"""

import contextlib
import io
import re
import tempfile
import unittest
from pathlib import Path

import convert_data


class Conversion(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def source(self, name, *texts):
        """Writes the source files of set `name`, byte for byte."""
        data = convert_data.SETS[name]
        for path, text in zip(data.paths, texts, strict=True):
            file = self.root / "sources" / data.repository / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())

    def convert(self, name):
        """Runs the conversion of set `name`: the exit code, standard error, and the resulting files by name."""
        messages = io.StringIO()
        with contextlib.redirect_stderr(messages):
            code = convert_data.main([name, "--sources", str(self.root / "sources"), "--out", str(self.root / "out")])
        files = {file.name: file.read_bytes().decode() for file in (self.root / "out" / name).iterdir()}
        return code, messages.getvalue(), files

    def test_pairs_name_the_protein_first_and_unused_records_are_left_out(self):
        self.source(
            "rpi1807",
            "1AAA-P\t1AAA-R\t1\r\n1BBB-P\t1AAA-R\t0\t\r\n",
            ">1ZZZ-R\r\nACGU\r\n>1AAA-R \r\nGG CC\r\nUU\r\n",
            ">1BBB-P\nMK\n>1AAA-P\nMX\n",
        )
        code, _, files = self.convert("rpi1807")
        self.assertEqual(code, 0)
        self.assertEqual(files["pairs.tsv"], "rna_id\tprotein_id\tlabel\n1AAA-R\t1AAA-P\t1\n1AAA-R\t1BBB-P\t0\n")
        self.assertEqual(files["rna.fasta"], ">1AAA-R\nGGCCUU\n")
        self.assertEqual(files["protein.fasta"], ">1BBB-P\nMK\n>1AAA-P\nMX\n")

    def test_a_set_with_two_pairs_files_keeps_the_records_of_both(self):
        self.source("rpi1460", "P1\tR1\t1\t\r\n", "P2\tR2\t0\t\r\n", ">R1\nA\n>R2\nC\n", ">P1\nM\n>P2\nK\n")
        code, _, files = self.convert("rpi1460")
        self.assertEqual(code, 0)
        self.assertEqual(sorted(files), ["pairs.tsv", "pairs_swrandom.tsv", "protein.fasta", "rna.fasta"])
        self.assertEqual(files["rna.fasta"], ">R1\nA\n>R2\nC\n")
        self.assertEqual(files["pairs_swrandom.tsv"], "rna_id\tprotein_id\tlabel\nR2\tP2\t0\n")

    def test_plant_ids_lose_the_mark_of_their_fasta_header(self):
        self.source("plant_ath", "A,B,Label\r\n>ath-miR1,>CNT1,1\r\n>ath-miR1,>CNT2,0\r\n", ">ath-miR1\nTGg\n",
                    ">CNT1\nAC\n>CNT2\nGT\n")  # fmt: skip
        code, _, files = self.convert("plant_ath")
        self.assertEqual(code, 0)
        self.assertEqual(files["pairs.tsv"], "mirna_id\tlncrna_id\tlabel\nath-miR1\tCNT1\t1\nath-miR1\tCNT2\t0\n")
        self.assertEqual(files["mirna.fasta"], ">ath-miR1\nTGg\n")

    RSAPRED = "Entry_ID\tSMILES\tTarget_RNA_sequence\tMolecule_name\tMolecule_ID\tTarget_RNA_name\tTarget_RNA_ID\tpKd\n"

    def test_affinity_rows_become_entities_in_order_of_first_appearance(self):
        self.source(
            "rsapred_repeats",
            self.RSAPRED
            + '7\tCCO\tGGCC \ta "x"\tL2\t5\'CGG/3\'GGC\tT9\t-0.4771\n'
            + "8\tCCN\tGGCC\tb\tL1\t5'CGG/3'GGC\tT9\t4\n"
            + '9\tCCO\tAAUU\ta "x"\tL2\tloop\tT1\t6.50\n',
        )
        code, _, files = self.convert("rsapred_repeats")
        self.assertEqual(code, 0)
        self.assertEqual(
            files["pairs.tsv"],
            "rna_id\tmol_id\tlabel\tentry_id\nT9\tL2\t-0.4771\t7\nT9\tL1\t4\t8\nT1\tL2\t6.50\t9\n",
        )
        self.assertEqual(files["rna.fasta"], ">T9\nGGCC\n>T1\nAAUU\n")
        self.assertEqual(files["molecules.smi"], "CCO\tL2\nCCN\tL1\n")
        self.assertEqual(
            files["names.tsv"],
            'kind\tid\tname\nrna\tT9\t5\'CGG/3\'GGC\nrna\tT1\tloop\nmol\tL2\ta "x"\nmol\tL1\tb\n',
        )

    def test_one_id_with_two_structures_is_refused(self):
        self.source(
            "rsapred_repeats",
            self.RSAPRED + "7\tCCO\tGGCC\ta\tL2\tr\tT9\t5\n8\tCCN\tGGCC\ta\tL2\tr\tT9\t5\n",
        )
        code, message, _ = self.convert("rsapred_repeats")
        self.assertEqual(code, 3)
        self.assertIn("two different structures for L2", message)

    def test_screen_hits_are_split_from_what_was_not_tested(self):
        self.source(
            "robin",
            "Name,Smile,KRAS_hit,ZTP_hit\nc1,CCO,1,\nc2,CCN,0,1.0\nc3,CC,,\nc4,C,0.0,\n",
            "Nucleic Acid Target,Biomolecule Type,Structure Type,Sequence (5' to 3'),Hit Rate\r\n"
            "ZTP,RNA,Pseudoknot,AA and GG,0.9\r\nKRAS,DNA,G-quadruplex,ACGT,0.5\r\n",
        )
        code, _, files = self.convert("robin")
        self.assertEqual(code, 0)
        self.assertEqual(files["pairs.tsv"], "rna_id\tmol_id\tlabel\nKRAS\tc1\t1\nZTP\tc2\t1\n")
        self.assertEqual(files["rna.fasta"], ">ZTP\nAA and GG\n>KRAS\nACGT\n")
        self.assertEqual(
            files["targets.tsv"].splitlines()[1:],
            ["KRAS\tDNA\tG-quadruplex\t4\t1\t2\t1", "ZTP\tRNA\tPseudoknot\t9\t1\t0\t3"],
        )
        self.assertEqual(files["not_tested.tsv"], "targets\tmol_ids\nKRAS,ZTP\tc3\nZTP\tc1;c4\n")

    def test_a_source_in_another_form_is_refused_with_its_place(self):
        self.source("rpi1807", "P\tR\t1\nP\tR\tyes\n", ">R\nA\n", ">P\nM\n")
        code, message, _ = self.convert("rpi1807")
        self.assertEqual(code, 3)
        self.assertIn("RPI1807_pairs.txt:2:", message)

    def test_a_pair_without_sequence_is_refused(self):
        self.source("rpi1807", "P\tR\t1\n", ">R\nA\n", ">Q\nM\n")
        code, message, _ = self.convert("rpi1807")
        self.assertEqual(code, 3)
        self.assertIn("no sequence for 1 ids of the pairs, e.g. P", message)


class Checksums(unittest.TestCase):
    def test_every_set_has_checksums_and_nothing_else_has(self):
        lines = (Path(__file__).parent / "data.sha256").read_text().splitlines()
        for line in lines:
            self.assertRegex(line, r"^[0-9a-f]{64}  [a-z0-9_]+/[a-z_]+\.(fasta|tsv|smi)$")
        self.assertEqual({re.split(r"\s+|/", line)[1] for line in lines}, set(convert_data.SETS))


if __name__ == "__main__":
    unittest.main()
