"""The ceilings of a GPU by PyTorch: P*, a half-precision product of 8192 by 8192 by 8192 on random data, BW, a copy
within the device (bytes read plus bytes written), and what its f32 lanes can do at its largest clock."""

import argparse
import json
import statistics

import torch

import gpu_timing


def lane_gops(device: torch.device) -> float | None:
    """Operations of the f32 lanes, 10^9 per second, one a cycle in each: multiprocessors * lanes * largest clock."""
    if device.type != "cuda":
        return None
    about = torch.cuda.get_device_properties(device)
    lanes = 64 if (about.major, about.minor) in {(7, 0), (7, 2), (7, 5), (8, 0)} else 128
    kilohertz = getattr(about, "clock_rate", None)  # PyTorch of 2025 and newer
    return about.multi_processor_count * lanes * kilohertz / 1e6 if kilohertz else None


def main() -> None:
    p = gpu_timing.add_device(argparse.ArgumentParser(description=__doc__))
    p.add_argument("--side", type=int, default=8192)
    p.add_argument("--copy-mib", type=int, default=1024)
    p.add_argument("--runs", type=int, default=7)
    args = p.parse_args()
    device = gpu_timing.open_device(args.device)
    kind = torch.float16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(args.side, args.side, device=device, dtype=kind) for _ in range(2))
    c = torch.empty_like(a)
    source = torch.zeros(args.copy_mib << 20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    with torch.inference_mode():
        product = gpu_timing.samples(lambda: torch.matmul(a, b.T, out=c), device, runs=args.runs, sample=0.1)
        copy = gpu_timing.samples(lambda: target.copy_(source), device, runs=args.runs, sample=0.1)
    result = {
        "what": f"product of {args.side} by {args.side} by {args.side}, and a copy",
        **gpu_timing.about(device),
        "product_seconds": product,
        "peak_gflops": 2.0 * args.side**3 / statistics.median(product) / 1e9,
        "f32_lane_gops": lane_gops(device),
        "copy_seconds": copy,
        "copy_gb_per_second": 2.0 * source.numel() / statistics.median(copy) / 1e9,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
