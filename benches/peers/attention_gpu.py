"""PyTorch peer of `biollmnet bench attention`: the backends of scaled_dot_product_attention, f16, random operands.

Sequences of one length are a batch without padding. Mixed lengths go in padded batches of sequences sorted by length with
a mask, and packed as a nested tensor. Operations are counted within each sequence: 4 * heads * width * sum of T^2.
"""

import argparse
import json
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch.nn.attention import SDPBackend, sdpa_kernel

import encoder_timing
import gpu_timing

BACKENDS = {
    "flash": "FLASH_ATTENTION",
    "memory-efficient": "EFFICIENT_ATTENTION",
    "math": "MATH",
    "cudnn": "CUDNN_ATTENTION",
}


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    gpu_timing.add_device(p)
    p.add_argument("--length", default="64,128,256,512,1024,4096", help="tokens of every sequence, several with commas")
    p.add_argument("--lengths", default=str(encoder_timing.MIXED), help="mixed lengths in residues; empty: none")
    p.add_argument("--tokens", type=int, default=32768, help="tokens of all sequences together, about")
    p.add_argument("--max-tokens", type=int, default=8192, help="most tokens of a padded batch of mixed lengths")
    p.add_argument("--heads", type=int, default=20)
    p.add_argument("--d-head", type=int, default=64)
    p.add_argument("--runs", type=int, default=7)
    return p.parse_args()


def mixed(path: str, tokens: int) -> list[int]:
    """Lengths in tokens, from the first again after the last, as many as `tokens` hold, at least one."""
    letters, lengths = encoder_timing.read_lengths(path), []
    while not lengths or sum(lengths) + letters[len(lengths) % len(letters)] + 2 <= tokens:
        lengths.append(letters[len(lengths) % len(letters)] + 2)
    return lengths


def main() -> None:
    args = parse()
    device = gpu_timing.open_device(args.device)
    kind = torch.float16 if device.type == "cuda" else torch.float32
    failed: dict[str, str] = {}

    def operands(*shape: int) -> list[torch.Tensor]:
        # Logits of SD 1, as in the other program.
        return [torch.randn(shape, device=device, dtype=kind) for _ in range(3)]

    def rates(name: str, lengths: list[int], variants: dict[str, Callable[[], object]]) -> dict:
        flop = 4.0 * args.heads * args.d_head * sum(n * n for n in lengths)
        found = {}
        for variant, work in variants.items():
            runs = gpu_timing.tried(lambda: gpu_timing.samples(work, device, runs=args.runs), failed, f"{name}, {variant}")
            if runs:
                seconds = statistics.median(runs)
                found[variant] = {"runs": runs, "seconds": seconds, "gflops": flop / seconds / 1e9}
        fastest = min((variant["seconds"] for variant in found.values()), default=None)
        return {"tokens": sum(lengths), "backends": found, "best_seconds": fastest}

    def through(backend: str, batches: list[tuple]) -> Callable[[], None]:
        def work() -> None:
            with sdpa_kernel(getattr(SDPBackend, BACKENDS[backend])):
                for q, k, v, mask in batches:
                    functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)

        return work

    results = {}
    with torch.inference_mode():
        for length in map(int, args.length.split(",")):
            n = max(args.tokens // length, 1)
            batch = [(*operands(n, args.heads, length, args.d_head), None)]
            work = {backend: through(backend, batch) for backend in BACKENDS}
            results[f"uniform {length}"] = rates(f"uniform {length}", [length] * n, work)
        if args.lengths:
            lengths = mixed(args.lengths, args.tokens)
            batches = []
            for rows in encoder_timing.sorted_batches(lengths, args.max_tokens):
                columns = torch.arange(max(rows), device=device)[None, :]
                mask = columns < torch.tensor(rows, device=device)[:, None]
                mask = None if bool(mask.all()) else mask[:, None, None, :]
                batches.append((*operands(len(rows), args.heads, max(rows), args.d_head), mask))
            work = {f"padded, {backend}": through(backend, batches) for backend in BACKENDS}
            work["nested"] = nested(lengths, operands, args)
            results["mixed"] = rates("mixed", lengths, work)
    what = f"attention, {args.heads} heads of {args.d_head}"
    print(json.dumps({"what": what, **gpu_timing.about(device), "lengths": results, "failed": failed}))


def nested(lengths: list[int], operands: Callable, args: argparse.Namespace) -> Callable[[], None]:
    """Packed sequences as PyTorch has them."""
    packed: list[torch.Tensor] = []

    def work() -> None:
        if not packed:
            offsets = torch.tensor([0, *lengths]).cumsum(0)
            for values in operands(sum(lengths), args.heads, args.d_head):
                of = torch.nested.nested_tensor_from_jagged(
                    values, offsets.to(values.device), min_seqlen=min(lengths), max_seqlen=max(lengths)
                )
                packed.append(of.transpose(1, 2))
        functional.scaled_dot_product_attention(*packed)

    return work


if __name__ == "__main__":
    main()
