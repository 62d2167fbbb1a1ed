"""What the peers of `biollmnet bench encoder` share: shapes, padded batches, timing, one JSON object as the result.

Only real tokens are counted (residues and the two special tokens of each sequence), never padding.
"""

import argparse
import json
import pathlib
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

MIXED = pathlib.Path(__file__).parent.parent / "lengths" / "mixed.txt"


def flags(description: str, configs: list[str], shape: str, max_tokens: str) -> argparse.ArgumentParser:
    """Flags of every peer of an encoder."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--config", choices=configs, default=configs[-1])
    p.add_argument("--shape", default=shape, help="sequences x residues, several with commas; may be empty")
    p.add_argument("--lengths", default=str(MIXED), help="lengths in residues, one a line; empty: none")
    p.add_argument("--repeat", type=int, default=1, help="take the lengths so many times")
    p.add_argument("--max-tokens", default=max_tokens, help="most tokens of a padded batch of mixed lengths")
    p.add_argument("--warmup", type=int, default=1, help="runs of each shape before the timed ones")
    p.add_argument("--runs", type=int, default=1, help="timed runs of each shape and of the lengths")
    p.add_argument("--layers", type=int, default=0, help="fewer layers than the model has, to try the script")
    p.add_argument("--seed", type=int, default=0)
    return p


def parse(description: str, configs: list[str]) -> argparse.Namespace:
    p = flags(description, configs, shape="8x128,2x512", max_tokens="1024")
    p.add_argument("--threads", type=int, default=2)
    return p.parse_args()


def read_lengths(path: str) -> list[int]:
    lines = pathlib.Path(path).read_text().splitlines()
    return [int(line) for line in lines if line.strip() and not line.startswith("#")]


def work(args: argparse.Namespace, max_tokens: int) -> dict[str, list[list[int]]]:
    """Batches of sequence lengths, in tokens, by name of the shape."""
    shapes = {}
    for shape in filter(None, args.shape.split(",")):
        n, residues = map(int, shape.split("x"))
        shapes[shape] = [[residues + 2] * n]
    if args.lengths:
        lengths = read_lengths(args.lengths) * args.repeat
        shapes["mixed"] = sorted_batches([n + 2 for n in lengths], max_tokens)
    return shapes


def sorted_batches(lengths: list[int], max_tokens: int) -> list[list[int]]:
    """Sequences by length, the longest first, as many in a batch as fit when padded to its longest."""
    batches: list[list[int]] = []
    for n in sorted(lengths, reverse=True):
        if batches and (len(batches[-1]) + 1) * batches[-1][0] <= max_tokens:
            batches[-1].append(n)
        else:
            batches.append([n])
    return batches


def random_weights(model: nn.Module, seed: int) -> None:
    """Weights of a sensible size: small matrices, norms near 1."""
    draw = torch.Generator(next(model.parameters()).device).manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.uniform_(-0.03, 0.03, generator=draw)
            elif "norm" in name.lower() and name.endswith("weight"):
                parameter.fill_(1.0)
            else:
                parameter.zero_()


def padded(lengths: list[int], letters: list[int], special: tuple[int, int, int], draw: torch.Generator) -> tuple:
    """Random ids with first, last and padding token in place, and the mask; no mask where nothing is padded."""
    first, last, pad = special
    ids = torch.tensor(letters)[torch.randint(len(letters), (len(lengths), max(lengths)), generator=draw)]
    ids[:, 0] = first
    for row, n in zip(ids, lengths, strict=True):
        row[n - 1] = last
        row[n:] = pad
    mask = torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]
    return ids, None if mask.all() else mask.long()


def throughput(batches: list[list[int]], seconds: list[float]) -> dict:
    """What came of runs over batches of such lengths in tokens."""
    tokens = sum(map(sum, batches))
    median = statistics.median(seconds)
    return {
        "sequences": sum(map(len, batches)),
        "tokens": tokens,
        "padding": sum(len(rows) * max(rows) for rows in batches) / tokens - 1.0,
        "runs": seconds,
        "seconds": median,
        "tokens_per_second": tokens / median,
    }


def run(
    args: argparse.Namespace,
    what: str,
    forward: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor],
    letters: list[int],
    special: tuple[int, int, int],
) -> None:
    """Times `forward` (ids, mask → states `[B, T, d]`) followed by the mean over residues; prints JSON."""
    draw = torch.Generator().manual_seed(args.seed)
    result = {"what": what, "torch": torch.__version__, "threads": torch.get_num_threads(), "shapes": {}}
    for name, lengths in work(args, int(args.max_tokens)).items():
        batches = [(rows, *padded(rows, letters, special, draw)) for rows in lengths]
        seconds = []
        for _ in range((0 if name == "mixed" and args.shape else args.warmup) + args.runs):
            started = time.perf_counter()
            with torch.inference_mode():
                for rows, ids, mask in batches:
                    states = forward(ids, mask)
                    pooled = [row[1 : n - 1].mean(0) for row, n in zip(states, rows, strict=True)]
                    assert torch.isfinite(torch.stack(pooled)).all()
            seconds.append(time.perf_counter() - started)
        result["shapes"][name] = throughput(lengths, seconds[-args.runs :])
    print(json.dumps(result))
