"""The linear layers of an encoder of width 1280 in PyTorch, f32: 10^9 operations per second (2*M*N*K), best of some runs.

The epilogues (GELU, residual, SwiGLU) are left out here and included in `cargo bench --bench linear`.
"""

import argparse
import json
import time

import torch

LAYERS = {
    "query key value": (3840, 1280),
    "output": (1280, 1280),
    "up": (5120, 1280),
    "down": (1280, 5120),
    "up of SwiGLU": (2 * 3413, 1280),
    "down of SwiGLU": (1280, 3413),
}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--tokens", type=int, default=1024)
    p.add_argument("--runs", type=int, default=10)
    args = p.parse_args()
    torch.set_num_threads(args.threads)

    rates = {}
    for name, (n, k) in LAYERS.items():
        x, w, b = torch.randn(args.tokens, k), torch.randn(n, k), torch.randn(n)
        best = float("inf")
        with torch.inference_mode():
            for _ in range(args.runs):
                start = time.perf_counter()
                torch.nn.functional.linear(x, w, b)
                best = min(best, time.perf_counter() - start)
        rates[name] = round(2 * args.tokens * n * k / best / 1e9, 1)
    print(json.dumps(rates, indent=2))


if __name__ == "__main__":
    main()
