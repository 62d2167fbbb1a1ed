"""PyTorch peer of `biollmnet bench encoder` for ESM-2: the transformers model in f32, random weights of true shape.

Mixed lengths go through it in padded batches of sequences sorted by length.
"""

import torch
import transformers

import encoder_timing

CONFIGS = {
    "esm2-8m": (6, 320, 20),
    "esm2-35m": (12, 480, 20),
    "esm2-150m": (30, 640, 20),
    "esm2-650m": (33, 1280, 20),
}


LETTERS, SPECIAL = list(range(4, 24)), (0, 2, 1)


def model_of(config: str, layers: int, attention: str, seed: int) -> transformers.EsmModel:
    """Random weights of true shape; `layers` of them where it is not 0."""
    n_layers, width, heads = CONFIGS[config]
    config = transformers.EsmConfig(
        vocab_size=33,
        hidden_size=width,
        num_hidden_layers=layers or n_layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        position_embedding_type="rotary",
        token_dropout=True,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        mask_token_id=32,
        attn_implementation=attention,
    )
    model = transformers.EsmModel(config, add_pooling_layer=False).eval()
    encoder_timing.random_weights(model, seed)
    return model


def states(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return model(input_ids=ids, attention_mask=mask).last_hidden_state


def main() -> None:
    args = encoder_timing.parse(__doc__, list(CONFIGS))
    torch.set_num_threads(args.threads)
    model = model_of(args.config, args.layers, "sdpa", args.seed)
    what = f"{args.config}, transformers {transformers.__version__}, f32, sdpa"
    encoder_timing.run(args, what, lambda ids, mask: states(model, ids, mask), LETTERS, SPECIAL)


if __name__ == "__main__":
    main()
