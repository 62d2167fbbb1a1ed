"""PyTorch peer of `biollmnet bench encoder` for ESM-2 on a GPU: transformers in f16, random weights of true shape.

Variants: eager attention, fused attention (sdpa), that in CUDA graphs, and that under torch.compile. Mixed lengths go in
padded batches of sequences sorted by length; the best of several --max-tokens counts. A pass begins with ids on the host
and ends with the means over residues on the host.
"""

import transformers

import esm2_encoder
import gpu_timing


def main() -> None:
    args = gpu_timing.parse_encoder(__doc__, list(esm2_encoder.CONFIGS))
    gpu_timing.run_encoder(
        args,
        f"{args.config}, transformers {transformers.__version__}",
        lambda attention: esm2_encoder.model_of(args.config, args.layers, attention, args.seed),
        esm2_encoder.states,
        esm2_encoder.LETTERS,
        esm2_encoder.SPECIAL,
    )


if __name__ == "__main__":
    main()
