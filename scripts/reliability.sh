#!/bin/sh
# The whole fault matrix: every row with as many trials as docs/RELIABILITY.md names, and its table made anew.
#
#   scripts/reliability.sh            all of it: an hour or two
#   FAULT_TRIALS=20 scripts/reliability.sh    the same with fewer trials; the table is not touched
#
# Rows 6, 12 and 13 have scripts of their own, which run beside the others: nothing here is judged by how long it takes. One that
# cannot run here is said aloud and has no line. What each prints is in target/faults/.
set -eu
cd "$(dirname "$0")/.."
results=target/faults
mkdir -p "$results"
rm -f "$results"/row-*.tsv "$results"/*.log
cargo build --release
cargo test --release --test faults --no-run

# name of the log, command
began() {
    log=$results/$1.log
    shift
    "$@" >"$log" 2>&1 || echo "FAILED: $*: $log" | tee -a "$results/failed.log" >&2
}
memory() {
    since=$(date +%s)
    outcome=0
    scripts/flat_memory.sh || outcome=1
    printf '12\tmemory of 10 M records beside 1 M\t1\t%s\t%s\t%s\n' "$outcome" "$(($(date +%s) - since))" \
        "$(sed -n 's/^\(.*\): a ratio of \(.*\)/\1 (\2)/p' "$results/memory.log" | paste -sd ';')" >"$results/row-12.tsv"
    return "$outcome"
}
# They write their own lines: a row, a format, the trials that were really made.
began rows cargo test --release --test faults -- --ignored --test-threads=1 --nocapture &
began slurm scripts/slurm-test.sh --trials "${FAULT_TRIALS:-50}" --kills 2 target/release/biollmnet &
began fuzz scripts/fuzz.sh ${FAULT_TRIALS:+--runs "$FAULT_TRIALS"}
began memory memory
wait
[ -e "$results/row-13.tsv" ] || echo "row 13: nodes lost under Slurm were not tried: $results/slurm.log" >&2

python3 scripts/reliability_table.py "$results" docs/RELIABILITY.md
[ ! -e "$results/failed.log" ]
