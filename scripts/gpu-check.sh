#!/usr/bin/env bash
# Checks and measures biollmnet on a CUDA device within ten minutes, and writes JSON and a table:
# what is there, the self-test, the benches, and the peers in PyTorch beside the goals.
#
#     scripts/gpu-check.sh [--binary PATH] [--out DIR] [--python PATH] [--small]
#
# --binary  the program; target/release/biollmnet in the checkout unless given
# --out     the folder for results; gpu-check in the present one unless given
# --python  a Python with torch, and with transformers and multimolecule for their goals; python3 unless given
# --small   tiny sizes and peers on the CPU, to try the script itself; its figures mean nothing
#
# A step that fails or takes too long is told of, and the rest goes on. The exit code is 0 when the self-test passed, 1 when
# it did not, and 2 when nothing could be checked.
set -uo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
binary=$here/target/release/biollmnet
out=gpu-check
python=python3
small=
usage() { sed -n '2,14s/^# \{0,1\}//p' "$0"; }
while [ $# -gt 0 ]; do
  case $1 in
    --binary | --out | --python)
      [ $# -ge 2 ] || { usage >&2; exit 2; }
      declare "${1#--}=$2"
      shift 2
      ;;
    --small) small=1; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
fail() { printf 'gpu-check: %s\n' "$*" >&2; exit 2; }
[ -x "$binary" ] || fail "there is no program at $binary: build it with 'cargo build --release', or name one with --binary"
command -v timeout >/dev/null || fail "the program 'timeout' is needed (GNU coreutils)"
mkdir -p "$out" || fail "$out cannot be made"
out=$(cd "$out" && pwd)
report=$out/report.md
rm -f "$out"/*.json "$out"/*.log "$report"

began=$SECONDS
ends=$((began + 560)) # of the ten minutes, some are for starting and writing
table=

# step NAME SECONDS COMMAND…: runs it with its words in NAME.log and its output in NAME.out, within the time.
step() {
  local name=$1 limit=$2 started=$SECONDS left=$((ends - SECONDS)) code what
  shift 2
  [ "$limit" -le "$left" ] || limit=$left
  if [ "$limit" -lt 5 ]; then
    code=124 what='no time was left'
  else
    printf 'gpu-check: %s\n' "$name" >&2
    timeout -k 5 "$limit" "$@" >"$out/$name.out" 2>"$out/$name.log"
    code=$?
    case $code in
      0) what='done' ;;
      124 | 137) what="stopped after $limit s" ;;
      *) what="exit code $code: $(words "$out/$name.log" | tr '|' '/' | cut -c 1-200)" ;;
    esac
  fi
  table+="| $name | $what | $((SECONDS - started)) s |"$'\n'
  [ $code -eq 0 ] || printf 'gpu-check: %s: %s\n' "$name" "$what" >&2
  return $code
}

# The line of a log that says why.
words() { grep -m 1 '^error' "$1" || tail -n 1 "$1"; }

# The output of a step as it was printed.
shown() {
  [ -s "$out/$1.out" ] || return 0
  printf '\n## %s\n\n```text\n' "$2"
  cat "$out/$1.out"
  printf '```\n'
}

# PyTorch brings cuBLAS and NVRTC along, in folders that the loader does not look into: P* is measured with the first, and
# the second compiles the kernels where the driver is too old for those of the binary.
if command -v "$python" >/dev/null; then
  libraries=$("$python" - 2>/dev/null <<'END'
import glob, os, site
found = {}
for folder in [*site.getsitepackages(), site.getusersitepackages()]:
    for name in ["libcublas.so*", "libnvrtc.so*"]:
        for library in sorted(glob.glob(os.path.join(folder, "nvidia", "*", "lib", name))):
            found.setdefault(name, os.path.dirname(library))
print(":".join(dict.fromkeys(found.values())))
END
  ) || libraries=
  [ -z "$libraries" ] || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries"
fi

step doctor 60 "$binary" doctor || true
if ! step device 30 "$binary" --device cuda --quiet bench attention --length 16 --tokens 16 --heads 1 --warmup 0 --runs 1 --copy-mib 1; then
  sed 's/^/gpu-check:   /' "$out/device.log" >&2
  fail "there is no CUDA device here that biollmnet can compute on; $out/doctor.out tells what is here"
fi

selftest=0
# Single instructions first: no kernel is to be believed before them.
step instructions 30 "$binary" --device cuda selftest --filter instruction || selftest=1
step selftest 120 "$binary" --device cuda selftest || selftest=1

quick=() tokens=() ratios=(--runs 1)
if [ -n "$small" ]; then
  quick=(--warmup 0 --runs 1 --copy-mib 1)
  tokens=(--tokens 8 --width 64)
  ratios+=(--small --peer-device cpu)
fi
step gemm 60 "$binary" --device cuda bench gemm "${quick[@]}" "${tokens[@]}" --export-json "$out/gemm.json" || true
# The other tiles of the products of warpgroups, and those of a warp, where the device has both: what the choice in
# src/ops/linear/cuda_tiles.rs is to be checked by.
if grep -q wgmma "$out/doctor.out"; then
  for tile in 256 128 64 256x2 128x2; do
    step "gemm-$tile" 30 env BIOLLMNET_LINEAR_TILE=$tile "$binary" --device cuda bench gemm "${quick[@]}" "${tokens[@]}" || true
  done
  step gemm-mma 30 env BIOLLMNET_TENSOR_CORES=mma "$binary" --device cuda bench gemm "${quick[@]}" "${tokens[@]}" || true
fi
if [ -n "$small" ]; then tokens=(--tokens 160 --length 16,128); fi
step attention 30 "$binary" --device cuda bench attention "${quick[@]}" "${tokens[@]}" \
  --lengths "$here/benches/lengths/mixed.txt" --export-json "$out/attention.json" || true
# Eight bits: how fast, and how near to f32. No network of a size for a trial has heads that its kernels have.
if [ -z "$small" ] && grep -q wgmma "$out/doctor.out"; then
  fp8=(--device cuda bench encoder --config esm2-650m --precision fp8 --lengths "$here/benches/lengths/mixed.txt")
  step encoder-fp8 40 "$binary" "${fp8[@]}" --shape 33x510 --repeat 20 --pipe --export-json "$out/encoder-fp8.json" || true
  step fidelity-fp8 60 "$binary" "${fp8[@]}" --fidelity || true
fi
if "$python" -c 'import torch' 2>"$out/torch.log"; then
  step ratios $((ends - SECONDS)) "$python" "$here/benches/peers/gpu_ratios.py" --binary "$binary" "${ratios[@]}" \
    --budget $((ends - SECONDS - 20)) --limit 150 --json "$out/ratios.json" --markdown "$out/ratios.md" || true
else
  table+="| ratios | not measured: $python has no torch | 0 s |"$'\n'
  encoder=(--config esm2-650m --shape 33x510 --lengths "$here/benches/lengths/mixed.txt" --repeat 50 --pipe --latency)
  [ -z "$small" ] || encoder=(--config esm2-8m --shape 2x30)
  step encoder 120 "$binary" --device cuda bench encoder "${encoder[@]}" "${quick[@]}" --export-json "$out/encoder.json" || true
fi

{
  printf '# biollmnet on a CUDA device\n\n'
  printf '| | |\n|---|---|\n'
  printf '| date | %s |\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  printf '| program | %s |\n' "$("$binary" --version)"
  printf '| digest of the program | %s |\n' "$(sha256sum "$binary" | cut -c 1-16)"
  commit=$(git -C "$here" describe --always --dirty 2>/dev/null) && printf '| checkout | %s |\n' "$commit"
  grep -i '^ *CUDA device' "$out/doctor.out" | sed 's/^ *CUDA device[: ]*/| device | /; s/$/ |/'
  if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=driver_version,clocks.max.sm,power.limit --format=csv,noheader 2>/dev/null |
      sed 's/^/| driver, largest clock, power limit | /; s/$/ |/'
  fi
  [ -z "$small" ] || printf '| sizes | small: these figures mean nothing |\n'
  printf '\n| step | | time |\n|---|---|--:|\n%s' "$table"
  if [ -s "$out/ratios.md" ]; then
    printf '\n## Goals\n\n'
    cat "$out/ratios.md"
  fi
  shown gemm 'Linear layers and moves'
  shown gemm-256 'The same with tiles of 128 by 256 outputs'
  shown gemm-128 'With tiles of 128 by 128, in turn'
  shown gemm-64 'With tiles of 64 by 128'
  shown gemm-256x2 'With tiles of 128 by 256, pairs of blocks'
  shown gemm-128x2 'With tiles of 128 by 128, in turn, pairs of blocks'
  shown gemm-mma 'With mma.sync'
  shown attention 'Attention'
  shown encoder-fp8 'Encoder in eight bits'
  shown fidelity-fp8 'Eight bits beside f32'
  shown encoder 'Encoder'
} >"$report"
cat "$report"
printf 'gpu-check: %s s; everything is in %s\n' "$((SECONDS - began))" "$out" >&2
[ $selftest -eq 0 ] || printf 'gpu-check: the self-test failed: %s/selftest.out\n' "$out" >&2
exit $selftest
