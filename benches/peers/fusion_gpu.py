"""PyTorch peer of `biollmnet --device cuda bench fusion`: seconds per epoch of fusion training on a GPU in f32: eager,
with the fused Adam, and by CUDA graphs. The network and the data are those of fusion_epoch.py."""

import json

import fusion_epoch
import gpu_timing


def main() -> None:
    p = gpu_timing.add_device(fusion_epoch.flags(__doc__))
    p.add_argument("--variants", default="eager,fused,graphs", help=f"of {','.join(fusion_epoch.VARIANTS)}")
    args = p.parse_args()
    unknown = set(args.variants.split(",")) - set(fusion_epoch.VARIANTS)
    if unknown:
        p.error(f"no variant {', '.join(sorted(unknown))}; choose of {', '.join(fusion_epoch.VARIANTS)}")
    device = gpu_timing.open_device(args.device)
    variants: dict[str, dict] = {}
    failed: dict[str, str] = {}
    for variant in args.variants.split(","):
        found = gpu_timing.tried(lambda: fusion_epoch.measure(args, variant, device), failed, variant)  # noqa: B023
        if found is not None:
            variants[variant] = found
    result = {
        "what": "fusion training, PyTorch",
        **fusion_epoch.about(args, device),
        "variants": variants,
        "failed": failed,
        "best_seconds_per_epoch_and_run": min((v["seconds_per_epoch"] for v in variants.values()), default=None),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
