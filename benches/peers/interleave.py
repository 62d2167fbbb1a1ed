"""Runs a peer and biollmnet alternately (A B A B ...) and prints medians and their ratio as JSON.

    python interleave.py esm2-650m --runs 3          a work that is known here; the others: --help
    python interleave.py --a 'COMMAND' --b 'COMMAND' --key seconds_per_epoch_and_run

Each command prints JSON with the numbers named by --key as the last line or as the whole of its standard output; a dot
leads into an object, and KEY=OTHER names a number that `b` calls OTHER. `times_faster` says how many times `b` is
faster: a ÷ b, or b ÷ a of a rate (a key of `b` that ends in per_second). Alternating lets slow changes of the machine
(clock, heat, neighbours) meet both alike.
"""

import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
LENGTHS = HERE.parent / "lengths" / "mixed.txt"
SHAPES = ["shapes.8x128.seconds", "shapes.2x512.seconds", "shapes.mixed.seconds"]


def encoder(script: str, config: str, precision: str) -> tuple[str, str, list[str]]:
    peer = f"{script} --config {config} --lengths {LENGTHS}"
    own = f"bench encoder --config {config} --lengths {LENGTHS} --precision {precision} --warmup 1 --runs 1"
    return peer, own, SHAPES


def screen(head: str, targets: int) -> tuple[str, str, list[str]]:
    """Our screen beside the peer's in the form of the published network, and in the best of its forms. The peer's rate
    does not depend on the number of batches, so it gets fewer partners."""
    peer = f"screening.py --head {head} --partners 16384 --targets {targets} --batch 2048,8192 --warmup 1 --runs 1"
    keys = ["best.authors=pairs_per_second", "pairs_per_second"]
    return peer, f"bench screen --head {head} --partners 1000000 --targets {targets}", keys


FOLDS = 10
# By name: the peer's script with its flags, our command, and the numbers to compare.
WORKS = {
    "fusion": ("fusion_epoch.py", "bench fusion", ["seconds_per_epoch_and_run"]),
    "fusion-folds": (
        f"fusion_epoch.py --folds {FOLDS} --warmup 1 --runs 2",
        f"bench fusion --runs-together {FOLDS}",
        ["seconds_per_epoch_and_run"],
    ),
    "screen-512-64-1": screen("512,64", 1),
    "screen-64-1": screen("64", 27),
    "esm2-650m": encoder("esm2_encoder.py", "esm2-650m", "f32"),
    "esm2-650m-int8": encoder("esm2_encoder.py", "esm2-650m", "int8"),
    "esm2-8m": encoder("esm2_encoder.py", "esm2-8m", "f32"),
    "rinalmo-giga": encoder("rinalmo_encoder.py", "rinalmo-giga", "f32"),
    "rinalmo-giga-int8": encoder("rinalmo_encoder.py", "rinalmo-giga", "int8"),
    "rinalmo-micro": encoder("rinalmo_encoder.py", "rinalmo-micro", "f32"),
}


def sides_of(key: str) -> tuple[str, str]:
    """The key of `a` and that of `b`."""
    a, _, b = key.partition("=")
    return a, b or a


def times_faster(key: str, a: float, b: float) -> float:
    return b / a if sides_of(key)[1].endswith("per_second") else a / b


def measure(command: str, keys: list[str]) -> list[float]:
    """Runs `command` and returns the numbers `keys` of the JSON object that it prints."""
    done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: exit code {done.returncode} from: {command}")
    text = done.stdout.strip()
    for candidate in (text, text.rsplit("\n", 1)[-1]):
        try:
            found = json.loads(candidate)
            return [float(inner(found, key.split("."))) for key in keys]
        except (ValueError, KeyError, TypeError):
            continue
    sys.exit(f"error: no JSON object with the numbers {', '.join(keys)} on the standard output of: {command}")


def inner(found: object, path: list[str]) -> object:
    for name in path:
        found = found[name]
    return found


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("work", nargs="?", choices=list(WORKS), help="sets --a, --b and --key")
    p.add_argument("--a", help="the peer")
    p.add_argument("--b", help="what is compared with it")
    p.add_argument("--key", action="append", help="a number to compare; several may be given")
    p.add_argument("--runs", type=int, default=5, help="runs of each")
    p.add_argument("--threads", type=int, default=2, help="of both, where a work is named")
    p.add_argument("--binary", default=str(HERE / "../../target/release/biollmnet"), help="where a work is named")
    args = p.parse_args()
    if args.runs < 1:
        p.error("--runs must be at least 1")
    if args.work:
        script, own, keys = WORKS[args.work]
        args.a = args.a or f"{shlex.quote(sys.executable)} {HERE / script} --threads {args.threads}"
        args.b = args.b or f"{shlex.quote(args.binary)} --device cpu {own} --threads {args.threads} --json"
        args.key = args.key or keys
    elif not (args.a and args.b):
        p.error("name a work, or give --a and --b")
    args.key = args.key or ["seconds_per_epoch_and_run"]
    return args


def main() -> None:
    args = parse()
    sides = {"a": args.a, "b": args.b}
    runs: dict[str, list[list[float]]] = {side: [] for side in sides}
    for run in range(args.runs):
        for side, command in sides.items():
            runs[side].append(measure(command, [sides_of(key)[side == "b"] for key in args.key]))
        shown = ", ".join(f"{side} {' '.join(f'{x:.4g}' for x in runs[side][-1])}" for side in sides)
        print(f"run {run + 1}/{args.runs}: {shown}", file=sys.stderr)
    result = {"commands": sides, "numbers": {}}
    for i, key in enumerate(args.key):
        values = {side: [numbers[i] for numbers in runs[side]] for side in sides}
        medians = {side: statistics.median(values[side]) for side in sides}
        result["numbers"][key] = {
            "a": {"median": medians["a"], "runs": values["a"]},
            "b": {"median": medians["b"], "runs": values["b"]},
            "times_faster": times_faster(key, medians["a"], medians["b"]),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
