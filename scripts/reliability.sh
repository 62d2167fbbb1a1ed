#!/bin/sh
# The whole fault matrix: every row with as many trials as docs/RELIABILITY.md names, and its table made anew.
#
#   scripts/reliability.sh            all of it: an hour or two
#   FAULT_TRIALS=20 scripts/reliability.sh    the same with fewer trials; the table is not touched
#
# Rows 6, 12 and 13 have scripts of their own; one that is missing, or cannot run here, is said aloud and has no line.
set -eu
cd "$(dirname "$0")/.."
results=target/faults
mkdir -p "$results"
rm -f "$results"/row-*.tsv
failed=0

cargo test --release --test faults -- --ignored --test-threads=1 --nocapture || failed=1

# row, what is done, its trials, the script and its arguments
beside() {
    row=$1 fault=$2 trials=$3
    shift 3
    if [ ! -x "$1" ]; then
        echo "row $row: $1 is missing: $fault was not tried" >&2
        return
    fi
    began=$(date +%s)
    outcome=0
    "$@" || outcome=1
    [ "$outcome" -eq 0 ] || failed=1
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$row" "$fault" "$trials" "$outcome" "$(($(date +%s) - began))" "$*" >"$results/row-$row.tsv"
}
# It writes its own lines, one a format.
scripts/fuzz.sh ${FAULT_TRIALS:+--runs "$FAULT_TRIALS"} || failed=1
beside 12 "memory of 10 M records beside 1 M" 1 scripts/flat_memory.sh
# Row 13 writes its own line, of the trials that it really made; where there can be no Slurm it makes none.
scripts/slurm-test.sh --trials 50 || failed=1
[ -e "$results/row-13.tsv" ] || echo "row 13: nodes lost under Slurm were not tried" >&2

python3 scripts/reliability_table.py "$results" docs/RELIABILITY.md
exit "$failed"
