"""Runs biollmnet and its peers on a GPU alternately (A B A B ...) and prints the ratios beside the goals.

    python gpu_ratios.py --binary ../../target/release/biollmnet --runs 3 --json ratios.json

Each ratio is of medians over the runs. A step that fails, or for which no time is left, is told of and leaves its goals
unmeasured. Alternating lets slow changes of the machine (clock, heat, neighbours) meet all alike.
"""

import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
LENGTHS = HERE.parent / "lengths" / "mixed.txt"
UNIFORM = "33x510"

# What a goal is, what it must reach and what would be better; lower is better only for the latency in milliseconds.
GOALS = [
    ("G1", "ESM-2 650M, letters to vectors, mixed lengths, share of P*", 0.70, 0.82),
    ("G2 mixed", "the same ÷ the best of transformers", 4.0, 8.0),
    ("G2 uniform", "ESM-2 at 512 tokens ÷ the best of transformers", 2.0, 3.0),
    ("G3", "RiNALMo giga, mixed lengths ÷ the best of multimolecule", 5.0, 8.0),
    ("G4", "RiNALMo giga ÷ own ESM-2 650M, tokens per second", 0.95, 0.99),
    ("G5 512", "attention at 512 tokens ÷ the best of PyTorch", 1.0, 1.3),
    ("G5 128", "attention at 128 tokens ÷ the best of PyTorch", 1.0, 2.0),
    ("G6", "one protein of 300 residues, times faster than transformers eager", 8.0, None),
    ("G6 ms", "the same in milliseconds (must: none)", None, 0.7),
    ("G7", "screening, head 64-1, share of the f32 lanes at their largest clock", 0.65, 0.85),
    ("G8", "screening, head 512-64-1, share of P*", 0.60, 0.80),
    ("G9", "training, 10 folds ÷ PyTorch eager", 50.0, 150.0),
    ("G10 cosine", "smallest cosine of a pooled vector with f32", 0.9999, None),
    ("G10 alone", "share of sequences with the same bits alone as in a batch", 1.0, None),
]
LOWER_IS_BETTER = {"G6 ms"}
# Of a pair: a maximum and an addition for each element of the 64-1 head; the products of 512-64-1, each with its sum.
LANE_OPERATIONS = 2 * 64
HEAD_FLOP = 2 * (512 * 64 + 64)
FOLDS = 10


class Steps:
    """Commands, each a few times, within a budget of time; what they printed as JSON, by name and run."""

    def __init__(self, budget: float, limit: float):
        self.ends, self.limit = time.monotonic() + budget, limit
        self.results: dict[str, list[dict]] = {}
        self.failed: dict[str, str] = {}

    def run(self, name: str, command: list[str]) -> None:
        left = min(self.limit, self.ends - time.monotonic())
        if left < 5:
            self.fail(name, "no time was left")
            return
        started = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=left, check=False)
        except subprocess.TimeoutExpired:
            self.fail(name, f"it took longer than {left:.0f} s")
            return
        except OSError as error:
            self.fail(name, str(error))
            return
        found = last_object(done.stdout)
        if done.returncode != 0:
            words = done.stderr.strip().splitlines()
            self.fail(name, f"exit code {done.returncode}: {words[-1] if words else 'no words'}")
        elif found is None:
            self.fail(name, done.stdout.strip()[:300] or "it printed no JSON")
        else:
            self.results.setdefault(name, []).append(found)
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)

    def fail(self, name: str, why: str) -> None:
        print(f"{name}: {why}", file=sys.stderr)
        self.failed.setdefault(name, why)

    def median(self, name: str, *path: str) -> float | None:
        """Of the numbers at `path` of all runs that have one."""
        numbers = [inner(result, path) for result in self.results.get(name, [])]
        numbers = [number for number in numbers if number is not None]
        return statistics.median(numbers) if numbers else None


def last_object(text: str) -> dict | None:
    for candidate in (text.strip(), text.strip().rsplit("\n", 1)[-1]):
        try:
            found = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def inner(found: object, path: tuple[str, ...]) -> float | None:
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return float(found) if isinstance(found, (int, float)) else None


def line(table: dict, name: str) -> float | None:
    """Seconds of a line of `bench attention`."""
    return next((line["seconds"] for line in table["lines"] if line["name"] == name), None)


def commands(args: argparse.Namespace, folder: pathlib.Path) -> dict[str, list[str]]:
    """Ours and theirs in turn, by name."""
    own = [args.binary, "--device", args.device, "--json", "--quiet", "bench"]
    peer = lambda script: [sys.executable, str(HERE / script), "--device", args.peer_device]  # noqa: E731
    if args.small:
        (folder / "lengths.txt").write_text("9\n40\n5\n")
    lengths = ["--lengths", str(folder / "lengths.txt") if args.small else args.lengths]
    residues = "9" if args.small else "300"
    esm2, rinalmo = ("esm2-8m", "rinalmo-nano") if args.small else ("esm2-650m", "rinalmo-giga")
    uniform = "2x10" if args.small else UNIFORM
    repeat, peer_repeat = ("1", "1") if args.small else ("50", "8")
    tokens = ["--tokens", "160", "--length", "16,128"] if args.small else ["--tokens", "32768"]
    quick = ["--warmup", "0", "--runs", "1", "--copy-mib", "1"] if args.small else ["--warmup", "2", "--runs", "5"]
    budgets = "256" if args.small else "8192,16384,32768"
    peer_quick = ["--layers", "1"] if args.small else []

    def encoder(name: str, *more: str) -> list[str]:
        shape = ["--shape", uniform, *lengths, "--repeat", repeat, "--pipe"]
        return [*own, "encoder", "--encoder", str(folder / name), *shape, *more, *quick]

    def peer_encoder(script: str, name: str, *more: str) -> list[str]:
        shape = ["--shape", uniform, *lengths, "--repeat", peer_repeat, "--max-tokens", budgets]
        return [*peer(script), "--config", name, *shape, "--variants", args.variants, *more, *peer_quick]

    def screen(head: str, partners: str, targets: str, entries: str) -> list[str]:
        partners, targets = ("100", "3") if args.small else (partners, targets)
        sizes = ["--partners", partners, "--targets", targets, "--entries", entries, "--resident"]
        return [*own, "screen", "--head", head, *sizes, *quick]

    epochs = ["--warmup", "0", "--runs", "1", "--pairs", "40"] if args.small else ["--warmup", "1", "--runs", "5"]
    fusion = [*own, "fusion", "--runs-together", str(FOLDS), *epochs]
    gemm = ["--side", "64", "--copy-mib", "1"] if args.small else []
    return {
        "ceilings by PyTorch": [*peer("gemm_gpu.py"), *gemm],
        "ESM-2": encoder(esm2, "--latency", residues),
        "ESM-2 by transformers": peer_encoder("esm2_gpu.py", esm2, "--latency", residues),
        "attention": [*own, "attention", *lengths, *tokens, *quick],
        "attention by PyTorch": [*peer("attention_gpu.py"), *lengths, *tokens],
        "RiNALMo": encoder(rinalmo),
        "RiNALMo by multimolecule": peer_encoder("rinalmo_gpu.py", rinalmo),
        "screening 64-1": screen("64", "1000000", "256", "f32"),
        "screening 512-64-1": screen("512,64", "262144", "64", "f16"),
        "training": fusion,
        "training by PyTorch": [*peer("fusion_gpu.py"), "--variants", "eager,fused,graphs", *epochs],
        "fidelity": [*own, "encoder", "--encoder", str(folder / esm2), *lengths, "--fidelity"],
    }


def figures(steps: Steps) -> dict[str, float | None]:
    """What was reached of each goal."""
    esm2, rinalmo, theirs = "ESM-2", "RiNALMo", "ESM-2 by transformers"
    peak = steps.median(esm2, "ceilings", "peak") or steps.median("ceilings by PyTorch", "peak_gflops")
    rate = {name: steps.median(name, "pipe", "tokens_per_second") for name in (esm2, rinalmo)}
    shapes = [shape for shape in inner_names(steps, esm2) if shape != "mixed"]
    uniform = shapes[0] if shapes else UNIFORM
    attention = {}
    for name in ("uniform 128", "uniform 512"):
        ours = [line(table, name) for table in steps.results.get("attention", [])]
        ours = [seconds for seconds in ours if seconds is not None]
        peer = steps.median("attention by PyTorch", "lengths", name, "best_seconds")
        attention[name] = over(peer, statistics.median(ours) if ours else None)
    latency = steps.median(esm2, "latency", "milliseconds")
    eager = steps.median(theirs, "variants", "eager", "latency_ms")
    alone = steps.median("fidelity", "same_alone")
    lanes = steps.median("ceilings by PyTorch", "f32_lane_gops")
    pairs = {head: steps.median(f"screening {head}", "pairs_per_second") for head in ("64-1", "512-64-1")}
    epoch = steps.median("training by PyTorch", "variants", "eager", "seconds_per_epoch_and_run")
    return {
        "G1": over(steps.median(esm2, "pipe", "gflops"), peak),
        "G2 mixed": over(rate[esm2], steps.median(theirs, "best", "mixed")),
        "G2 uniform": over(
            steps.median(esm2, "shapes", uniform, "tokens_per_second"), steps.median(theirs, "best", uniform)
        ),
        "G3": over(rate[rinalmo], steps.median("RiNALMo by multimolecule", "best", "mixed")),
        "G4": over(rate[rinalmo], rate[esm2]),
        "G5 512": attention["uniform 512"],
        "G5 128": attention["uniform 128"],
        "G6": over(eager, latency),
        "G6 ms": latency,
        "G7": share(pairs["64-1"], LANE_OPERATIONS, lanes),
        "G8": share(pairs["512-64-1"], HEAD_FLOP, peak),
        "G9": over(epoch, steps.median("training", "seconds_per_epoch_and_run")),
        "G10 cosine": steps.median("fidelity", "mean", "min"),
        "G10 alone": over(alone, steps.median("fidelity", "sequences")),
    }


def inner_names(steps: Steps, name: str) -> list[str]:
    results = steps.results.get(name, [])
    return list(results[0]["shapes"]) if results else []


def over(a: float | None, b: float | None) -> float | None:
    return a / b if a is not None and b else None


def share(rate: float | None, operations: float, giga_per_second: float | None) -> float | None:
    """Of `giga_per_second`·10⁹ operations, by `rate` things a second of so many each."""
    return over(None if rate is None else rate * operations / 1e9, giga_per_second)


def verdict(name: str, value: float | None, must: float | None, stretch: float | None) -> str:
    if value is None:
        return "not measured"
    reached = (lambda goal: value <= goal) if name in LOWER_IS_BETTER else (lambda goal: value >= goal)
    if stretch is not None and reached(stretch):
        return "stretch reached"
    if must is None:
        return "not reached"
    return "reached" if reached(must) else "not reached"


def markdown(found: dict[str, float | None]) -> str:
    shown = lambda number: "–" if number is None else f"{number:.4g}" if number < 0.99 or number > 1 else f"{number:.6g}"  # noqa: E731
    rows = ["| goal | measured | value | must | stretch | |", "|---|---|--:|--:|--:|---|"]
    for name, what, must, stretch in GOALS:
        value = found[name]
        numbers = " | ".join(shown(number) for number in (value, must, stretch))
        rows.append(f"| {name} | {what} | {numbers} | {verdict(name, value, must, stretch)} |")
    return "\n".join(rows) + "\n"


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=str(HERE / "../../target/release/biollmnet"))
    p.add_argument("--device", default="cuda", help="of biollmnet")
    p.add_argument("--peer-device", default="cuda", help="of PyTorch")
    p.add_argument("--lengths", default=str(LENGTHS), help="lengths in residues, one a line")
    p.add_argument("--runs", type=int, default=3, help="runs of each")
    p.add_argument("--variants", default="eager,sdpa,graphs", help="of the peers' encoders; compile takes minutes")
    p.add_argument("--budget", type=float, default=3600, help="seconds for all")
    p.add_argument("--limit", type=float, default=900, help="seconds for one command")
    p.add_argument("--small", action="store_true", help="sizes to try the script itself; no figures")
    p.add_argument("--json", help="also write everything there")
    p.add_argument("--markdown", help="also write the table there")
    return p.parse_args()


def main() -> None:
    args = parse()
    steps = Steps(args.budget, args.limit)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        work = commands(args, folder)
        for name in ("esm2-8m", "rinalmo-nano") if args.small else ("esm2-650m", "rinalmo-giga"):
            make = [args.binary, "--quiet", "init", "--config", name, "--out", str(folder / name)]
            done = subprocess.run(make, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(f"error: {shlex.join(make)}: {done.stderr.strip()}")
        for _ in range(args.runs):
            for name, command in work.items():
                if name not in steps.failed and (name != "fidelity" or name not in steps.results):
                    steps.run(name, command)
    found = figures(steps)
    table = markdown(found)
    print(table)
    for name, why in steps.failed.items():
        print(f"{name}: {why}")
    result = {
        "goals": [
            {"goal": name, "measured": what, "value": found[name], "must": must, "stretch": stretch}
            for name, what, must, stretch in GOALS
        ],
        "failed": steps.failed,
        "commands": {name: shlex.join(command) for name, command in work.items()},
        "results": steps.results,
    }
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=2) + "\n")
    if args.markdown:
        missing = "".join(f"\n* {name}: {why}" for name, why in steps.failed.items())
        pathlib.Path(args.markdown).write_text(table + (f"\nNot measured:\n{missing}\n" if missing else ""))


if __name__ == "__main__":
    main()
