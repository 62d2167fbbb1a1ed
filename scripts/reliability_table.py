#!/usr/bin/env python3
"""The table of the fault matrix, from the lines that its rows wrote: reliability_table.py RESULTS PAGE.

A line has, separated by tabs: row, fault, trials, failures, seconds, note. The last line of a fault of a row counts. The table takes
its place between two marks of the page; with FAULT_TRIALS set, which is no whole run, it is only printed.
"""

import datetime
import os
import pathlib
import sys

BEGIN = "<!-- the table begins -->"
END = "<!-- the table ends -->"


def rows(results: pathlib.Path) -> list[list[str]]:
    found = []
    for path in sorted(results.glob("row-*.tsv")):
        lines = [(line.split("\t") + [""] * 6)[:6] for line in path.read_text(encoding="utf-8").strip().splitlines()]
        found.extend({line[1]: line for line in lines}.values())
    return found


def table(found: list[list[str]], when: str, machine: str) -> str:
    lines = [
        f"`scripts/reliability.sh` on {when}, {machine}:",
        "",
        "| # | fault | trials | failures | seconds | note |",
        "|---|---|---:|---:|---:|---|",
    ]
    lines += [
        f"| {int(row)} | {fault} | {trials} | {failures} | {float(seconds):.0f} | {note} |"
        for row, fault, trials, failures, seconds, note in found
    ]
    return "\n".join(lines)


def put(page: str, made: str) -> str:
    if BEGIN not in page or END not in page:
        raise SystemExit(f"the page lacks the marks '{BEGIN}' and '{END}': write them where the table belongs")
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def main() -> None:
    results, page = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    machine = f"{os.cpu_count()} cores, {os.uname().machine}"
    made = table(rows(results), datetime.date.today().isoformat(), machine)
    print(made)
    if "FAULT_TRIALS" not in os.environ:
        page.write_text(put(page.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
