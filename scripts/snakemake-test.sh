#!/usr/bin/env bash
# The workflow of examples/snakemake, run for real on the sequences of the demo: killed half-way with all its jobs, started again,
# and compared with what one process makes.
#
#   scripts/snakemake-test.sh [PROGRAM]
#
# Takes the snakemake in the path, or installs one into a folder of its own by pip; where neither can be had it says so and ends
# with 0.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/release/biollmnet}")
workflow=$PWD/examples/snakemake/Snakefile
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

snakemake=$(command -v snakemake || true)
if [ -z "$snakemake" ]; then
  python3 -m venv "$place/venv" && "$place/venv/bin/pip" install -q snakemake >/dev/null 2>&1 || {
    echo "skipped: snakemake is not here and cannot be installed"
    exit 0
  }
  snakemake=$place/venv/bin/snakemake
fi

cd "$place"
export BIOLLMNET_DEVICE=cpu BIOLLMNET_CHECKPOINT=1 XDG_CACHE_HOME=$place/cache
"$program" demo --out demo >/dev/null 2>&1
"$program" init --config esm2-8m --out esm >/dev/null
cp demo/input/protein.fasta proteins.fa
"$program" embed proteins.fa --encoder esm --out whole --threads 1 --progress none >/dev/null
# A run that hangs is ended after five minutes.
run() {
  timeout --kill-after=5 300 "$snakemake" --snakefile "$workflow" --cores 2 \
    --config input=proteins.fa encoder=esm out=store shards=4 program="$program" "$@"
}
run >first.log 2>&1 &
job=$!
for ((i = 0; i < 600; i++)); do
  [ -z "$(ls store.done 2>/dev/null)" ] || break
  sleep 0.1
done
[ -n "$(ls store.done 2>/dev/null)" ] || { cat first.log >&2; fail "no shard was done within a minute"; }
# As a machine that loses its power: nobody tidies up. Snakemake and its jobs are below our child.
with_children() { # pid
  local pid
  echo "$1"
  for pid in $(pgrep -P "$1"); do with_children "$pid"; done
}
with_children "$job" | xargs -r kill -9 2>/dev/null || true
wait "$job" 2>/dev/null || true
stopped=$(ls store.done | wc -l)
run --unlock >/dev/null 2>&1 || true
run --rerun-incomplete >second.log 2>&1 || { cat first.log second.log >&2; fail "the workflow did not end"; }
for store in whole store; do
  "$program" verify "$store" >/dev/null
  "$program" export "$store" --format npy --out "$store.npy" --progress none >/dev/null
done
cmp whole.npy store.npy && cmp whole.ids.tsv store.ids.tsv || fail "other bytes than those of one process"
[ ! -e store.shards ] || fail "shards are left"
echo "Snakemake $("$snakemake" --version): killed after $stopped of 4 shards, run again, same bytes"
