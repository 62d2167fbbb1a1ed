#!/bin/sh
# A reader under libFuzzer with AddressSanitizer, which looks for inputs that reach new code; the committed corpus and the
# seeds of the target are where it begins. Needs a nightly toolchain and cargo-fuzz (cargo install cargo-fuzz).
#
#   scripts/libfuzzer.sh fasta          for five minutes
#   scripts/libfuzzer.sh pickle 3600    for so many seconds
#
# What it finds goes to target/fuzz/libfuzzer/TARGET: copied to tests/fuzz/corpus/TARGET it is tried in every later test.
set -eu
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
cargo +nightly fuzz --version >/dev/null 2>&1 ||
    { echo "libfuzzer: there is no nightly toolchain with cargo-fuzz; scripts/fuzz.sh tries the same targets on stable" >&2; exit 2; }
found=target/fuzz/libfuzzer/$1
mkdir -p "$found/corpus"
[ ! -d "tests/fuzz/corpus/$1" ] || cp "tests/fuzz/corpus/$1"/* "$found/corpus/"
export FUZZ_TARGET="$1" BIOLLMNET_NVCC=none
run() { cargo +nightly fuzz run --fuzz-dir tests/fuzz/libfuzzer --target-dir target/libfuzzer readers "$@"; }
# Seeds that are made in code are written down first.
FUZZ_SEEDS="$found/corpus" run -- -runs=1
run "$found/corpus" -- -max_total_time="${2:-300}" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found/"
