#!/bin/sh
# Fuzzing of every reader (row 6 of docs/RELIABILITY.md): 100 000 changed inputs of each format. Its seed is
# printed; a line for each goes to target/faults/row-06.tsv, inputs that fail to target/fuzz/.
#
#   scripts/fuzz.sh                     all of it
#   scripts/fuzz.sh --runs 1000000      so many of each
#   FUZZ_SEED=7 scripts/fuzz.sh         the same inputs again
set -eu
cd "$(dirname "$0")/.."
if [ "${1:-}" = --runs ] && [ $# -eq 2 ]; then
    FUZZ_RUNS=$2
    export FUZZ_RUNS
elif [ $# -ne 0 ]; then
    sed -n 's/^#   //p' "$0" >&2
    exit 2
fi
# The profile of the tests: optimised, and overflow of a number is a panic. One after the other, since a case is timed.
cargo test --test fuzz -- --ignored --test-threads=1 --nocapture
