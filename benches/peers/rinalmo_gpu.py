"""PyTorch peer of `biollmnet bench encoder` for RiNALMo on a GPU: multimolecule in f16, random weights of true shape.

The same variants, batches and passes as esm2_gpu.py. Without multimolecule it says so and ends well.
"""

import importlib.metadata

import gpu_timing

try:
    import rinalmo_encoder
except ImportError as error:
    rinalmo_encoder, missing = None, error


def main() -> None:
    if rinalmo_encoder is None:
        absent = missing.name == "multimolecule"
        print("G3 not measured: multimolecule is not installed" if absent else f"G3 not measured: {missing}")
        return
    args = gpu_timing.parse_encoder(__doc__, list(rinalmo_encoder.CONFIGS))
    gpu_timing.run_encoder(
        args,
        f"{args.config}, multimolecule {importlib.metadata.version('multimolecule')}",
        lambda attention: rinalmo_encoder.model_of(args.config, args.layers, attention, args.seed),
        rinalmo_encoder.states,
        rinalmo_encoder.LETTERS,
        rinalmo_encoder.SPECIAL,
    )


if __name__ == "__main__":
    main()
