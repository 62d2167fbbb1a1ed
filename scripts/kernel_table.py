#!/usr/bin/env python3
"""Prints a Markdown table of what the compiler made of the kernels: registers, shared memory, spills, instructions.

    scripts/fetch_nvcc.sh --disassembler
    scripts/kernel_table.py [--arch sm_80 --arch sm_90a] [--kernels FOLDER] [NAME ...]
    scripts/kernel_table.py --wgmma check      # the products of warpgroups beside kernels/wgmma.tsv
    scripts/kernel_table.py --wgmma update     # writes that table anew; look at the difference

NAME is a kernel file without `.cu`; all of them without. The counts are of instructions in the machine code, not of
instructions that run: loops count once. Dynamic shared memory is set by the launcher and is not in the machine code.

A kernel of wgmma whose products the compiler puts one after the other (its remarks C75xx), or whose registers are spilled, or
that has another number of products than the table says, is refused by `--wgmma check`.
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
WGMMA_TABLE = CHECKOUT / "kernels/wgmma.tsv"
# Kernels that include it are for compute capability 9.0 alone.
HOPPER = '#include "hopper.cuh"'
# Tensor cores, loads for them, asynchronous copies, the special-function unit, f32 arithmetic.
OPCODES = ["HMMA", "HGMMA", "QGMMA", "LDSM", "LDGSTS", "MUFU", "FFMA"]
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
    if serialised := re.search(r"\(C75\d\d\).*", compiled.stderr):
        sys.exit(f"{source}: products of warpgroups do not overlap: {serialised[0]}")
    used, counts = resources(compiled.stderr), opcodes(listed.stdout)
    if not used or used.keys() != counts.keys():
        sys.exit(f"{source}: ptxas names {sorted(used)}, cuobjdump {sorted(counts)}")
    for kernel in sorted(used):
        mix = counts[kernel]
        yield [kernel, arch, *used[kernel], sum(mix.values()), *(mix[op] for op in OPCODES)]


def is_for_hopper(source):
    return HOPPER in source.read_text(encoding="utf-8")


def wgmma_table(nvcc, cuobjdump, folder):
    """The lines of kernels/wgmma.tsv."""
    lines = ["kernel\tregisters\tinstructions\tHGMMA\tQGMMA"]
    for source in sorted(folder.glob("*.cu")):
        if not is_for_hopper(source):
            continue
        for kernel, arch, registers, _, spilled, instructions, *mix in rows(nvcc, cuobjdump, source, "sm_90a"):
            if spilled:
                sys.exit(f"{kernel}: {spilled} bytes of registers are spilled")
            counts = dict(zip(OPCODES, mix))
            lines.append(f"{kernel}\t{registers}\t{instructions}\t{counts['HGMMA']}\t{counts['QGMMA']}")
    return lines


def wgmma(action, nvcc, cuobjdump, folder):
    found = wgmma_table(nvcc, cuobjdump, folder)
    if action == "update":
        WGMMA_TABLE.write_text("\n".join(found) + "\n", encoding="utf-8")
        return
    # Instructions may differ with the compiler; products and kernels may not.
    products = lambda lines: [[cells[0], *cells[3:]] for cells in (line.split("\t") for line in lines)]
    expected = WGMMA_TABLE.read_text(encoding="utf-8").splitlines()
    for was, now in zip(products(expected), products(found)):
        if was != now:
            sys.exit(f"{WGMMA_TABLE.name} says {was}, the compiler {now}: run scripts/kernel_table.py --wgmma update")
    if len(expected) != len(found):
        sys.exit(f"{WGMMA_TABLE.name} has {len(expected)} lines, the compiler makes {len(found)}")
    print(f"{len(found) - 1} kernels of warpgroups as in {WGMMA_TABLE.name}, none spilled, none serialised")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", action="append")
    parser.add_argument("--kernels", type=Path, default=CHECKOUT / "kernels")
    parser.add_argument("--wgmma", choices=["check", "update"])
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    nvcc, cuobjdump = tools()
    if arguments.wgmma:
        return wgmma(arguments.wgmma, nvcc, cuobjdump, arguments.kernels)
    columns = ["kernel", "architecture", "registers", "static shared, bytes", "spilled, bytes", "instructions", *OPCODES]
    print("| " + " | ".join(columns) + " |")
    print("|---|---|" + "--:|" * (len(columns) - 2))
    for source in sorted(arguments.kernels.glob("*.cu")):
        if arguments.names and source.stem not in arguments.names:
            continue
        architectures = ["sm_90a"] if is_for_hopper(source) else arguments.arch or ["sm_80", "sm_90a"]
        for arch in architectures:
            for row in rows(nvcc, cuobjdump, source, arch):
                print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


if __name__ == "__main__":
    main()
