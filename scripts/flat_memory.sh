#!/usr/bin/env bash
# Whether memory grows with the input: 1 M and 10 M short RNAs through `embed`, and as many entries against 100 targets through
# `screen`. Prints the peak of resident memory (VmHWM, mapped files included) and fails where 10 M take over 10 % more.
#
#   scripts/flat_memory.sh [PROGRAM] [FOLDER]
#
# PROGRAM: target/release/biollmnet. FOLDER: where some 20 GB may be written, on a disk rather than in memory.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/release/biollmnet}")
folder=$(realpath "$(mktemp -d "${2:-target}/flat-memory.XXXXXX")")
trap 'rm -rf "$folder"' EXIT
export TMPDIR=$folder BIOLLMNET_PROGRESS=none BIOLLMNET_DEVICE=cpu
small=1000000 large=10000000
began=$SECONDS

# $1 distinct RNAs of 20 letters: the digits of their numbers to the base of four, mixed.
rnas() {
  python3 -c '
import sys
n, letters = int(sys.argv[1]), "ACGU"
block = []
for i in range(n):
    x = (i * 0x9E3779B97F4A7C15 + 0x1234567) & (2**64 - 1)
    x ^= x >> 29
    block.append(">r%d\n%s%s\n" % (i, "".join(letters[x >> k & 3] for k in range(0, 16, 2)),
                                   "".join(letters[i >> k & 3] for k in range(0, 24, 2))))
    if len(block) == 10000:
        sys.stdout.write("".join(block)); block = []
sys.stdout.write("".join(block))' "$1"
}

# Runs the program and sets `peak` to the most memory that it took, in kB.
peak_of() {
  local log=$folder/log
  python3 -c '
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:], stdout=open(sys.argv[1], "w"), stderr=subprocess.STDOUT)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)' "$log" "$program" "$@" >"$folder/peak" || { cat "$log" >&2; exit 1; }
  peak=$(cat "$folder/peak")
}

verdict() { # name small large
  awk -v name="$1" -v a="$2" -v b="$3" 'BEGIN {
    printf "%s: %.0f MB at 1 M, %.0f MB at 10 M: a ratio of %.3f\n", name, a / 1024, b / 1024, b / a
    exit b > 1.1 * a }' || failures=$((failures + 1))
}

cd "$folder"
"$program" demo --out demo >/dev/null 2>&1
# A small network: what takes memory are the records, and 10 M of them are folded sooner.
printf 'epochs = 2\nstop = "fixed"\n[network]\nprojection = { both = 16 }\nhead = [8]\n' >small.toml
"$program" train --pairs demo/input/pairs.tsv --rna demo/rna --partner demo/protein --config small.toml --out model >/dev/null
python3 -c '
for i in range(100):
    print(">p%d\n%s" % (i, "".join("ACDEFGHIKLMNPQRSTVWY"[(i * i + 7 * k * k + 3 * i * k) % 20] for k in range(120))))' >proteins.fa
"$program" embed proteins.fa --encoder triad --out proteins >/dev/null
failures=0
declare -A embed screen
for n in $small $large; do
  rnas "$n" >rnas.fa
  peak_of embed rnas.fa --encoder kmer --dtype f16 --out "store-$n"
  embed[$n]=$peak
  echo "embed $n: $(tail -1 log)"
  rm rnas.fa
  "$program" verify "store-$n" >/dev/null
  peak_of screen --model model --targets proteins --targets-side partner --library "store-$n" --top-k 100 --out "hits-$n.tsv"
  screen[$n]=$peak
  echo "screen $n: $(tail -1 log)"
  "$program" verify "hits-$n.tsv" >/dev/null
  rm -r "store-$n"
done
verdict embed "${embed[$small]}" "${embed[$large]}"
verdict screen "${screen[$small]}" "${screen[$large]}"
cd - >/dev/null
mkdir -p target/faults
note=$(awk -v a="${embed[$small]}" -v b="${embed[$large]}" -v c="${screen[$small]}" -v d="${screen[$large]}" \
  'BEGIN { printf "embed %.0f → %.0f MB, screen %.0f → %.0f MB", a / 1024, b / 1024, c / 1024, d / 1024 }')
printf '12\t10 M records\t1\t%d\t%d\t%s\n' "$failures" $((SECONDS - began)) "$note" >target/faults/row-12.tsv
exit "$failures"
