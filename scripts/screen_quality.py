#!/usr/bin/env python3
"""How well a screen ranks known hits: enrichment, BEDROC and AUROC of each target, beside trivial rankings.

    biollmnet screen --model MODEL --targets RNA --library MOLECULES --top-k 24572 --out screen.tsv
    python3 scripts/screen_quality.py screen.tsv --pairs DATA/robin/pairs.tsv \\
        --not-tested DATA/robin/not_tested.tsv --molecules DATA/robin/molecules.smi

The table must hold every entry of the library (--top-k at least its size, no --min-score). A pair of the table is a hit
where --pairs has it with label 1, left out where --not-tested lists it, and a measured non-hit otherwise.

EF1%    share of hits among the first ceil(n / 100), over their share among all n; equal scores rank by id
BEDROC  Truchon and Bayly 2007, alpha = 20; equal scores rank by id
AUROC   by mid-ranks

Rankings beside the model's: chance (expected values), size (heavy atoms, from --molecules), other hits (how many other
targets of the table the molecule hits: what is known without the target), and similarity (to the nearest molecule that
the model was trained on, where the table has it). A target without hits, or with nothing else, is in no mean.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ALPHA = 20.0
METRICS = ("EF1%", "BEDROC", "AUROC")
# An atom of a SMILES string: a bracket, or an element that needs none.
ATOM = re.compile(r"\[(?P<bracket>[^\]]*)\]|Br|Cl|[BCNOPSFIbcnops]")
HYDROGEN = re.compile(r"\d*H([+-]\d*|[+-]+)?(:\d+)?")
# Score, id, whether it is a hit.
Row = tuple[float, str, bool]


def enrichment(ranked: list[bool]) -> float:
    top = math.ceil(len(ranked) / 100)
    return sum(ranked[:top]) / top * len(ranked) / sum(ranked)


def rie_bounds(n: int, hits: int) -> tuple[float, float]:
    """The least and the largest robust initial enhancement; chance has 1."""
    share = hits / n
    least = math.expm1(ALPHA * share) / (share * math.expm1(ALPHA))
    return least, math.expm1(-ALPHA * share) / (share * math.expm1(-ALPHA))


def bedroc(ranked: list[bool]) -> float:
    n, hits = len(ranked), sum(ranked)
    total = math.fsum(math.exp(-ALPHA * rank / n) for rank, hit in enumerate(ranked, 1) if hit)
    chance = hits / n * -math.expm1(-ALPHA) / math.expm1(ALPHA / n)
    least, most = rie_bounds(n, hits)
    return (total / chance - least) / (most - least)


def auroc(rows: Iterable[Row]) -> float:
    """The share of pairs of a hit and a non-hit in which the hit scores higher; equal scores count half."""
    tied: dict[float, list[int]] = {}
    for score, _, hit in rows:
        tied.setdefault(score, [0, 0])[hit] += 1
    below = won = 0
    for score in sorted(tied):
        others, hits = tied[score]
        won += hits * (2 * below + others)
        below += others
    hits = sum(counts[1] for counts in tied.values())
    return won / (2 * hits * below)


def quality(rows: list[Row]) -> dict[str, float]:
    """The metrics of rows that have both hits and others."""
    ranked = [hit for _, _, hit in sorted(rows, key=lambda row: (-row[0], row[1]))]
    return dict(zip(METRICS, (enrichment(ranked), bedroc(ranked), auroc(rows)), strict=True))


def chance(n: int, hits: int) -> dict[str, float]:
    """Expected values of a random order."""
    least, most = rie_bounds(n, hits)
    return dict(zip(METRICS, (1.0, (1.0 - least) / (most - least), 0.5), strict=True))


def heavy_atoms(smiles: str) -> int:
    atoms = (match["bracket"] for match in ATOM.finditer(smiles))
    return sum(bracket is None or not HYDROGEN.fullmatch(bracket) for bracket in atoms)


def fail(words: str) -> None:
    sys.exit(f"error: {words}")


def table(path: Path, columns: list[str]) -> Iterable[list[str]]:
    """Rows of a table with a header: the named columns; commas for .csv, tabs otherwise."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file, delimiter="," if path.suffix == ".csv" else "\t")
        header = next(reader, [])
        if missing := [name for name in columns if name not in header]:
            fail(f"{path} has no column {', '.join(missing)}; it has: {', '.join(header)}")
        places = [header.index(name) for name in columns]
        for row in reader:
            yield [row[place] for place in places]


def has_column(path: Path, name: str) -> bool:
    with path.open(encoding="utf-8") as file:
        return name in re.split(r"[,\t\r\n]", file.readline())


def number(text: str, path: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        fail(f"{path}: '{text}' is no number that can be ranked")
    return value


def read_hits(path: Path) -> dict[str, set[str]]:
    """By target, the ids of molecules whose label is 1."""
    hits: dict[str, set[str]] = {}
    for target, molecule, label in table(path, ["rna_id", "mol_id", "label"]):
        if number(label, path) == 1.0:
            hits.setdefault(target, set()).add(molecule)
    return hits


def read_not_tested(path: Path | None) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for targets, molecules in table(path, ["targets", "mol_ids"]) if path else ():
        for target in targets.split(","):
            found.setdefault(target, set()).update(molecules.split(";"))
    return found


def read_sizes(path: Path | None) -> dict[str, int]:
    """Heavy atoms by id, of lines with a SMILES string and an id."""
    if path is None:
        return {}
    with path.open(encoding="utf-8") as file:
        words = (line.split() for line in file)
        return {parts[1]: heavy_atoms(parts[0]) for parts in words if len(parts) > 1}


def judge(args: argparse.Namespace) -> dict:
    """Counts and the metrics of every ranking by target, and their means."""
    hits, not_tested, sizes = read_hits(args.pairs), read_not_tested(args.not_tested), read_sizes(args.molecules)
    similar = has_column(args.screen, "sim_partner")
    scored: dict[str, dict[str, tuple[float, float]]] = {}
    columns = ["target", "partner_id", "score", *(["sim_partner"] if similar else [])]
    for target, molecule, score, *near in table(args.screen, columns):
        numbers = number(score, args.screen), number(near[0], args.screen) if near else 0.0
        if scored.setdefault(target, {}).setdefault(molecule, numbers) is not numbers:
            fail(f"{args.screen} has {target} with {molecule} twice; give the table of a model with one label")
    if unsized := {m for of in scored.values() for m in of} - sizes.keys() if sizes else set():
        fail(f"{args.molecules} has no molecule {min(unsized)}, which {args.screen} has")
    if len({len(of) for of in scored.values()}) > 1:
        fail(f"{args.screen} has more entries of one target than of another: screen with --top-k of the library's size")
    times_hit: dict[str, int] = {}
    for target in scored:
        for molecule in hits.get(target, ()):
            times_hit[molecule] = times_hit.get(molecule, 0) + 1
    targets = {}
    for target, of in scored.items():
        mine = hits.get(target, set())
        tested = [molecule for molecule in of if molecule not in not_tested.get(target, ())]
        n, n_hits = len(tested), sum(molecule in mine for molecule in tested)
        counts = {"n": n, "hits": n_hits, "hits_without_score": len(mine - of.keys())}
        if not 0 < n_hits < n:
            targets[target] = {**counts, "rankings": {}}
            continue
        values = {"model": lambda molecule: of[molecule][0]}  # noqa: B023 - used before the next target
        if sizes:
            values["size"] = lambda molecule: float(sizes[molecule])
        values["other hits"] = lambda molecule: float(times_hit.get(molecule, 0) - (molecule in mine))  # noqa: B023
        if similar:
            values["similarity"] = lambda molecule: of[molecule][1]  # noqa: B023
        found = {name: quality([(value(m), m, m in mine) for m in tested]) for name, value in values.items()}
        targets[target] = {**counts, "rankings": {**found, "chance": chance(n, n_hits)}}
    judged = [target["rankings"] for target in targets.values() if target["rankings"]]
    if not judged:
        fail(f"no target of {args.screen} has both hits in {args.pairs} and measured non-hits")
    mean = {
        ranking: {name: math.fsum(of[ranking][name] for of in judged) / len(judged) for name in METRICS}
        for ranking in judged[0]
    }
    return {"targets": targets, "mean": mean, "targets_in_mean": len(judged)}


def markdown(result: dict) -> str:
    lines = ["| target | n | hits | EF1% | BEDROC | AUROC |", "|---|--:|--:|--:|--:|--:|"]
    shown = lambda of: f"{of['EF1%']:.2f} | {of['BEDROC']:.3f} | {of['AUROC']:.3f}"  # noqa: E731
    for name, of in result["targets"].items():
        values = shown(of["rankings"]["model"]) if of["rankings"] else "– | – | –"
        lines.append(f"| {name} | {of['n']} | {of['hits']} | {values} |")
    lines += ["", f"| mean of {result['targets_in_mean']} targets | EF1% | BEDROC | AUROC |", "|---|--:|--:|--:|"]
    lines += [f"| {ranking} | {shown(of)} |" for ranking, of in result["mean"].items()]
    if lost := sum(of["hits_without_score"] for of in result["targets"].values()):
        lines += ["", f"{lost} hits are of molecules that the table does not have."]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("screen", type=Path, help="the table that biollmnet screen wrote, .tsv or .csv")
    p.add_argument("--pairs", type=Path, required=True, help="hits: rna_id, mol_id, label")
    p.add_argument("--not-tested", type=Path, help="pairs without a measurement: targets, mol_ids")
    p.add_argument("--molecules", type=Path, help="SMILES and ids, for the ranking by size")
    p.add_argument("--json", action="store_true", help="print everything as JSON")
    args = p.parse_args(arguments)
    result = judge(args)
    print(json.dumps(result, indent=2) if args.json else markdown(result))


if __name__ == "__main__":
    main()
