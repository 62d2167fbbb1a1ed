"""Tests of gpu_ratios.py on made-up results. Run: python3 benches/peers/test_gpu_ratios.py"""

import contextlib
import io
import math
import sys
import unittest

import gpu_ratios


def steps() -> gpu_ratios.Steps:
    return gpu_ratios.Steps(budget=60, limit=30)


class Ratios(unittest.TestCase):
    def test_medians_over_runs_give_the_ratios(self):
        work = steps()
        for gflops in (1000.0, 7000.0, 5000.0):
            work.results.setdefault("ESM-2", []).append(
                {
                    "ceilings": {"peak": 10_000.0},
                    "shapes": {"33x510": {"tokens_per_second": 300.0}, "mixed": {"tokens_per_second": 1.0}},
                    "pipe": {"gflops": gflops, "tokens_per_second": 200.0},
                    "latency": {"milliseconds": 2.0},
                }
            )
        eager = {"eager": {"latency_ms": 20.0}}
        work.results["ESM-2 by transformers"] = [{"best": {"mixed": 50.0, "33x510": 100.0}, "variants": eager}]
        work.results["RiNALMo"] = [{"pipe": {"gflops": 1.0, "tokens_per_second": 190.0}}]
        work.results["attention"] = [
            {"lines": [{"name": "uniform 512", "seconds": 2.0}]},
            {"lines": [{"name": "uniform 512", "seconds": 4.0}, {"name": "uniform 128", "seconds": 1.0}]},
        ]
        work.results["attention by PyTorch"] = [{"lengths": {"uniform 512": {"best_seconds": 6.0}}}]
        work.results["fidelity"] = [{"mean": {"min": 0.99995}, "same_alone": 48, "sequences": 48}]
        work.results["ceilings by PyTorch"] = [{"f32_lane_gops": 32_000.0}]
        work.results["screening 64-1"] = [{"pairs_per_second": rate} for rate in (1e9, 200e9, 125e9)]
        work.results["screening 512-64-1"] = [{"pairs_per_second": 1e8}]
        work.results["training"] = [{"seconds_per_epoch_and_run": 0.002}]
        variants = {"eager": {"seconds_per_epoch_and_run": 0.5}, "fused": {"seconds_per_epoch_and_run": 0.25}}
        work.results["training by PyTorch"] = [{"variants": variants}]
        found = gpu_ratios.figures(work)
        expected = {
            "G1": 0.5,
            "G2 mixed": 4.0,
            "G2 uniform": 3.0,
            "G3": None,
            "G4": 0.95,
            "G5 512": 2.0,
            "G5 128": None,
            "G6": 10.0,
            "G6 ms": 2.0,
            "G7": 0.5,  # 125e9 pairs of 128 operations are 16e12 of 32e12
            "G8": 0.65664,  # 1e8 pairs of 65 664 operations are 6.5664e12 of 10e12
            "G9": 250.0,
            "G10 cosine": 0.99995,
            "G10 alone": 1.0,
        }
        self.assertEqual(list(found), list(expected))
        for name, value in expected.items():
            # One rounding of each of at most three operations.
            self.assertTrue(found[name] is value or math.isclose(found[name], value, rel_tol=1e-15), name)
        self.assertEqual([goal[0] for goal in gpu_ratios.GOALS], list(expected))
        table = gpu_ratios.markdown(found)
        self.assertIn("| 0.99995 | 0.9999 | – | reached |", table)
        self.assertIn("| – | 5 | 8 | not measured |", table)

    def test_without_cublas_the_ceiling_is_that_of_pytorch(self):
        work = steps()
        work.results["ESM-2"] = [{"ceilings": {"peak": None}, "shapes": {}, "pipe": {"gflops": 300.0}}]
        work.results["ceilings by PyTorch"] = [{"peak_gflops": 600.0}]
        self.assertEqual(gpu_ratios.figures(work)["G1"], 0.5)

    def test_without_a_ceiling_or_a_figure_a_share_is_not_measured(self):
        work = steps()
        work.results["screening 64-1"] = [{"pairs_per_second": 1e9}]
        work.results["ceilings by PyTorch"] = [{"f32_lane_gops": None, "peak_gflops": 1000.0}]
        found = gpu_ratios.figures(work)
        self.assertEqual([found[name] for name in ("G7", "G8", "G9")], [None, None, None])

    def test_verdicts(self):
        verdict = gpu_ratios.verdict
        self.assertEqual(verdict("G1", 0.9, 0.7, 0.8), "stretch reached")
        self.assertEqual(verdict("G1", 0.75, 0.7, 0.8), "reached")
        self.assertEqual(verdict("G1", 0.6, 0.7, 0.8), "not reached")
        self.assertEqual(verdict("G6 ms", 0.6, None, 0.7), "stretch reached")
        self.assertEqual(verdict("G6 ms", 0.8, None, 0.7), "not reached")
        self.assertEqual(verdict("G1", None, 0.7, 0.8), "not measured")

    def test_commands_that_fail_are_told_of_and_the_rest_goes_on(self):
        work = steps()
        python = lambda text: [sys.executable, "-c", text]
        with contextlib.redirect_stderr(io.StringIO()):
            work.run("words", python("print('loading'); print('{\"a\": {\"b\": 3}}')"))
            work.run("words", python("print('{\"a\": {\"b\": 5}}')"))
            work.run("none", python("print('G3 not measured: no such package')"))
            work.run("broken", python("raise SystemExit('no memory')"))
            work.run("absent", ["there-is-no-such-program"])
            work.limit = 1
            work.run("late", python("pass"))
        self.assertEqual(work.median("words", "a", "b"), 4.0)
        self.assertIsNone(work.median("words", "a", "c"))
        self.assertEqual(work.failed["none"], "G3 not measured: no such package")
        self.assertEqual(work.failed["broken"], "exit code 1: no memory")
        self.assertEqual(work.failed["late"], "no time was left")
        self.assertEqual(set(work.failed), {"none", "broken", "absent", "late"})


if __name__ == "__main__":
    unittest.main()
