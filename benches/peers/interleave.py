"""Runs two commands alternately (A B A B ...) and prints the median of each and their ratio as JSON.

Each command prints JSON with a number `seconds_per_epoch` (another name: `--key`) as the last line or as the whole of
its standard output. Alternating them lets slow changes of the machine (clock, heat, neighbours) meet both alike.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys


def measure(command: str, key: str) -> float:
    """Runs `command` and returns the number `key` of the JSON object that it prints."""
    done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: exit code {done.returncode} from: {command}")
    text = done.stdout.strip()
    for candidate in (text, text.rsplit("\n", 1)[-1]):
        try:
            return float(json.loads(candidate)[key])
        except (ValueError, KeyError, TypeError):
            continue
    sys.exit(f"error: no JSON object with the number '{key}' on the standard output of: {command}")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--a", required=True, help="the peer")
    p.add_argument("--b", required=True, help="what is compared with it")
    p.add_argument("--runs", type=int, default=5, help="runs of each")
    p.add_argument("--key", default="seconds_per_epoch", help="the number to compare")
    args = p.parse_args()
    if args.runs < 1:
        p.error("--runs must be at least 1")

    a, b = [], []
    for run in range(args.runs):
        a.append(measure(args.a, args.key))
        b.append(measure(args.b, args.key))
        print(f"run {run + 1}/{args.runs}: a {a[-1]:.4g}, b {b[-1]:.4g}", file=sys.stderr)
    median_a, median_b = statistics.median(a), statistics.median(b)
    print(
        json.dumps(
            {
                "key": args.key,
                "a": {"command": args.a, "median": median_a, "runs": a},
                "b": {"command": args.b, "median": median_b, "runs": b},
                "a_over_b": median_a / median_b,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
