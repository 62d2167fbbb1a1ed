#!/usr/bin/env python3
"""Prints a Markdown table of what the compiler made of the kernels: registers, shared memory, spills, instructions.

    scripts/fetch_nvcc.sh --disassembler
    scripts/kernel_table.py [--arch sm_80 --arch sm_90a] [--kernels FOLDER] [NAME ...]

NAME is a kernel file without `.cu`; all of them without. The counts are of instructions in the machine code, not of
instructions that run: loops count once. Dynamic shared memory is set by the launcher and is not in the machine code.
"""

import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
# Tensor cores, loads for them, asynchronous copies, the special-function unit, f32 arithmetic.
OPCODES = ["HMMA", "HGMMA", "LDSM", "LDGSTS", "MUFU", "FFMA"]
PTXAS = re.compile(
    r"Compiling entry function '(?P<kernel>\w+)' for '\w+'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)
FUNCTION = re.compile(r"^\s*Function : (\w+)", re.MULTILINE)
# `/*0040*/  @!P0 HMMA.16816.F32 R4, ...`: address, predicate, opcode.
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9]*)", re.MULTILINE)


def tools():
    """Paths of nvcc and cuobjdump; the latter finds nvdisasm in the search path."""
    nvcc = os.environ.get("BIOLLMNET_NVCC") or CHECKOUT / ".cuda/bin/nvcc"
    if not Path(nvcc).exists():
        nvcc = shutil.which("nvcc")
    if nvcc is None:
        sys.exit("no nvcc: run scripts/fetch_nvcc.sh --disassembler")
    os.environ["PATH"] = f"{Path(nvcc).parent}{os.pathsep}{os.environ['PATH']}"
    if not (shutil.which("cuobjdump") and shutil.which("nvdisasm")):
        sys.exit("no cuobjdump or no nvdisasm: run scripts/fetch_nvcc.sh --disassembler")
    return nvcc, "cuobjdump"


def resources(said):
    """What ptxas said with -v, by kernel: registers, static shared bytes, bytes of local memory."""
    found = {}
    for match in PTXAS.finditer(said):
        shared = re.search(r"(\d+) bytes smem", match["rest"])
        local = sum(int(match[name]) for name in ("stack", "stores", "loads"))
        found[match["kernel"]] = (int(match["registers"]), int(shared[1]) if shared else 0, local)
    return found


def opcodes(disassembly):
    """Counts of opcodes by kernel; padding is left out."""
    names_and_texts = FUNCTION.split(disassembly)[1:]
    counts = {}
    for name, text in zip(names_and_texts[::2], names_and_texts[1::2]):
        counts[name] = collections.Counter(op for op in INSTRUCTION.findall(text) if op != "NOP")
    return counts


def rows(nvcc, cuobjdump, source, arch):
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        command = [nvcc, "-std=c++17", "-O3", "-cubin", "-Xptxas=-v", f"-arch={arch}", "-o", cubin, source]
        compiled = subprocess.run(command, capture_output=True, text=True)
        if compiled.returncode != 0:
            sys.exit(f"nvcc refuses {source}:\n{compiled.stderr}")
        listed = subprocess.run([cuobjdump, "-sass", cubin], capture_output=True, text=True, check=True)
    used, counts = resources(compiled.stderr), opcodes(listed.stdout)
    if not used or used.keys() != counts.keys():
        sys.exit(f"{source}: ptxas names {sorted(used)}, cuobjdump {sorted(counts)}")
    for kernel in sorted(used):
        mix = counts[kernel]
        yield [kernel, arch, *used[kernel], sum(mix.values()), *(mix[op] for op in OPCODES)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", action="append")
    parser.add_argument("--kernels", type=Path, default=CHECKOUT / "kernels")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    nvcc, cuobjdump = tools()
    columns = ["kernel", "architecture", "registers", "static shared, bytes", "spilled, bytes", "instructions", *OPCODES]
    print("| " + " | ".join(columns) + " |")
    print("|---|---|" + "--:|" * (len(columns) - 2))
    for source in sorted(arguments.kernels.glob("*.cu")):
        if arguments.names and source.stem not in arguments.names:
            continue
        for arch in arguments.arch or ["sm_80", "sm_90a"]:
            for row in rows(nvcc, cuobjdump, source, arch):
                print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


if __name__ == "__main__":
    main()
