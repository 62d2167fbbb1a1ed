"""PyTorch peer of `biollmnet bench encoder` for RiNALMo: the multimolecule model in f32, random weights of true shape.

Mixed lengths go through it in padded batches of sequences sorted by length.
"""

import importlib.metadata

import multimolecule
import torch

import encoder_timing

CONFIGS = {"rinalmo-nano": (6, 320), "rinalmo-micro": (12, 480), "rinalmo-mega": (30, 640), "rinalmo-giga": (33, 1280)}


LETTERS, SPECIAL = [6, 7, 8, 9], (1, 2, 0)


def model_of(config: str, layers: int, attention: str, seed: int) -> multimolecule.RiNALMoModel:
    """Random weights of true shape; `layers` of them where it is not 0."""
    n_layers, width = CONFIGS[config]
    config = multimolecule.RiNALMoConfig(
        hidden_size=width,
        num_hidden_layers=layers or n_layers,
        num_attention_heads=20,
        intermediate_size=4 * width,
        attn_implementation=attention,
    )
    model = multimolecule.RiNALMoModel(config, add_pooling_layer=False).eval()
    encoder_timing.random_weights(model, seed)
    return model


def states(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return model(input_ids=ids, attention_mask=torch.ones_like(ids) if mask is None else mask).last_hidden_state


def main() -> None:
    args = encoder_timing.parse(__doc__, list(CONFIGS))
    torch.set_num_threads(args.threads)
    model = model_of(args.config, args.layers, "sdpa", args.seed)
    what = f"{args.config}, multimolecule {importlib.metadata.version('multimolecule')}, f32, sdpa"
    encoder_timing.run(args, what, lambda ids, mask: states(model, ids, mask), LETTERS, SPECIAL)


if __name__ == "__main__":
    main()
