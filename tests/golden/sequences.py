"""The cases of the two sequence models: random weights, saved in two layouts each, and what the libraries compute."""

import argparse
import pathlib

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import esm
import multimolecule
import transformers
import transformers.models.esm.modeling_esm as modeling_esm
import independent

D_MODEL, N_HEADS, N_LAYERS = 32, 2, 2
PROTEIN, RNA = "ACDEFGHIKLMNPQRSTVWY", "ACGU"
LENGTHS = (1, 2, 17, 70)
# Two masks among eight tokens: a share that f32 holds exactly, as the reference rounds it.
MASKED = {"protein": "MK<mask>LV<mask>", "rna": "GA<mask>CU<mask>"}
# Agreement of two f64 implementations, values of order 1 to 10; measured 1e-14.
AGREEMENT = 1e-12

Named = dict[str, torch.Tensor]


def texts(alphabet: str, kind: str) -> dict[str, str]:
    """Sequences by name: random ones, and one with masks."""
    random = np.random.default_rng(len(alphabet))
    made = {f"{kind[0]}_len{n}": "".join(random.choice(list(alphabet), n)) for n in LENGTHS}
    return made | {f"{kind[0]}_mask_tokens": MASKED[kind]}


def randomise(model: nn.Module, dtype: torch.dtype, embedding_scale: float, seed: int) -> None:
    """Fills every parameter, none of it trivial, with numbers that `dtype` holds exactly."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = torch.randn(parameter.shape, generator=draw)
            if "word_embeddings" in name:
                values *= embedding_scale
            elif parameter.dim() == 2:
                # Queries and keys are larger, so that attention prefers some tokens to others.
                values *= (1.6 if "query" in name or "key" in name else 1.0) / parameter.shape[1] ** 0.5
            elif "norm" in name.lower() and name.endswith("weight"):
                values = 1.0 + 0.3 * values
            elif name.endswith("intermediate.bias"):
                values = 1.0 + 0.4 * values
            else:
                values *= 0.2
            parameter.copy_(values.to(dtype))


class Tape:
    """Keeps what modules put out while a model runs."""

    def __init__(self) -> None:
        self.values: Named = {}

    def of(self, module: nn.Module, name: str) -> None:
        """Keeps the output of `module` as `name`."""
        module.register_forward_hook(lambda _module, _inputs, output: self.keep(name, output))

    def keep(self, name: str, value: torch.Tensor | tuple) -> None:
        """Keeps `value [1, T, d]`, the first member of a tuple, as `name [T, d]`."""
        value = value[0] if isinstance(value, tuple) else value
        self.values[name] = value.detach().squeeze(0).clone()


def listen(tape: Tape, embeddings: nn.Module, layers: nn.ModuleList, ffn_norm: str, first_norm: str) -> None:
    """Hooks on all that lies in a module of its own; queries and keys are added after their rotation."""
    tape.of(embeddings, "embedding")
    for n, layer in enumerate(layers):
        for module, what in [
            (layer.attention.get_submodule(first_norm), "attention_norm"),
            (layer.attention.self.value, "value"),
            (layer.attention.self, "attention"),
            (layer.attention, "attention_residual"),
            (layer.get_submodule(ffn_norm), "ffn_norm"),
            (layer.intermediate, "inner"),
            (layer.output.dense, "ffn"),
            (layer, "output"),
        ]:
            tape.of(module, f"layers.{n}.{what}")


def rotated(x: torch.Tensor, inv_freq: torch.Tensor) -> torch.Tensor:
    """`x [1, heads, T, d_head]` in f64: the libraries rotate in f32, whatever the type of the model."""
    angle = torch.arange(x.shape[2], dtype=torch.float64)[:, None] * inv_freq.double()
    angle = torch.cat([angle, angle], dim=-1)
    low, high = x.chunk(2, dim=-1)
    return x * angle.cos() + torch.cat([-high, low], dim=-1) * angle.sin()


class Rotation:
    """Rotates queries and keys in place of a library's own code, and keeps them as `layers.N.query` and `.key`."""

    def __init__(self, tape: Tape, inv_freq: torch.Tensor, query_scale: float) -> None:
        self.tape, self.inv_freq, self.query_scale, self.layer = tape, inv_freq, query_scale, 0

    def __call__(self, q: torch.Tensor, k: torch.Tensor, *_args: object, **_kwargs: object) -> tuple:
        q, k = rotated(q, self.inv_freq), rotated(k, self.inv_freq)
        side_by_side = [x.transpose(1, 2).reshape(1, x.shape[2], -1) for x in (q / self.query_scale, k)]
        self.tape.keep(f"layers.{self.layer}.query", side_by_side[0])
        self.tape.keep(f"layers.{self.layer}.key", side_by_side[1])
        self.layer = (self.layer + 1) % N_LAYERS
        return q, k


# What is kept of the longest sequence, for the sake of size: what mixes tokens, and the states between blocks.
MIXING = ("embedding", "query", "key", "attention", "output", "hidden")


def expected(trace: Named, name: str) -> Named:
    """The entries of one sequence: its intermediates and the three poolings."""
    hidden = trace["hidden"]
    if len(hidden) > max(LENGTHS):
        trace = {what: value for what, value in trace.items() if what.endswith(MIXING)}
    pooled = {"cls": hidden[0], "mean": hidden[1:-1].mean(0), "mean_with_special": hidden.mean(0)}
    return {f"{name}.{what}": value for what, value in (trace | pooled).items()}


def agree(what: str, reference: Named, other: dict[str, np.ndarray], bound: float = AGREEMENT) -> None:
    """Stops unless both hold the same names and, but for rounding, the same numbers."""
    assert reference.keys() == other.keys(), (what, reference.keys() ^ other.keys())
    worst = max((float(np.abs(reference[name].numpy() - other[name]).max()), name) for name in reference)
    print(f"{what}: differs by at most {worst[0]:.1e} ({worst[1]})")
    assert worst[0] <= bound, what


def as_f64(weights: Named) -> dict[str, np.ndarray]:
    return {name: tensor.double().numpy() for name, tensor in weights.items()}


def esm2(folder: pathlib.Path) -> tuple[str, str, dict, Named]:
    """ESM-2: a Hugging Face folder in f32 and a fair-esm file in f16 with the same weights, frequencies included."""
    config = transformers.EsmConfig(
        vocab_size=33, hidden_size=D_MODEL, num_hidden_layers=N_LAYERS, num_attention_heads=N_HEADS,
        intermediate_size=4 * D_MODEL, position_embedding_type="rotary", token_dropout=True, layer_norm_eps=1e-5,
        pad_token_id=1, mask_token_id=32, max_position_embeddings=1026, emb_layer_norm_before=False,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager",
    )
    model = transformers.EsmForMaskedLM(config).eval()
    randomise(model, torch.float16, embedding_scale=1.0, seed=1)
    rotary = model.esm.rotary_embeddings
    rotary.inv_freq.copy_(rotary.inv_freq.half())
    model.save_pretrained(folder / "esm2_hf_tiny")
    alphabet = esm.data.Alphabet.from_architecture("ESM-1b")
    vocabulary = folder / "esm2_hf_tiny" / "vocab.txt"
    vocabulary.write_text("\n".join(alphabet.all_toks))
    tokenizer = transformers.EsmTokenizer(str(vocabulary))
    tokenizer.save_pretrained(folder / "esm2_hf_tiny")
    path = folder / "esm2_t2_fair_f16.pt"
    save_fair_esm(model, rotary.inv_freq, path)

    tape = Tape()
    model.double()
    listen(tape, model.esm.embeddings, model.esm.encoder.layer, "LayerNorm", "LayerNorm")
    tape.of(model.esm.encoder.emb_layer_norm_after, "hidden")
    modeling_esm.apply_rotary_pos_emb = Rotation(tape, rotary.inv_freq, (D_MODEL // N_HEADS) ** -0.5)
    stored = torch.load(path, weights_only=False)["model"]
    strip = ("encoder.sentence_encoder.", "encoder.")
    stored = {name.removeprefix(strip[0]).removeprefix(strip[1]): t for name, t in as_f64(stored).items()}

    tokens, out = {}, {}
    for name, text in texts(PROTEIN, "protein").items():
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        assert ids[0].tolist() == [0, *alphabet.encode(text), 2], name
        with torch.no_grad():
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
        agree(f"esm2 {name}", tape.values, independent.esm2(stored, ids[0].numpy(), N_LAYERS, N_HEADS))
        tokens[name] = {"sequence": text, "hf_esm": ids[0].tolist(), "fair_esm": ids[0].tolist()}
        out |= expected(tape.values, name)
    same_as_fair_esm(path, tokens, out)
    return "esm2", "protein_tokens.json", tokens, out


FAIR_ESM_NAMES = [
    ("esm.embeddings.word_embeddings", "encoder.sentence_encoder.embed_tokens"),
    ("esm.encoder.emb_layer_norm_after", "encoder.sentence_encoder.emb_layer_norm_after"),
    ("esm.encoder.layer.", "encoder.sentence_encoder.layers."),
    ("attention.self.query", "self_attn.q_proj"),
    ("attention.self.key", "self_attn.k_proj"),
    ("attention.self.value", "self_attn.v_proj"),
    ("attention.output.dense", "self_attn.out_proj"),
    ("attention.LayerNorm", "self_attn_layer_norm"),
    ("LayerNorm", "final_layer_norm"),
    ("intermediate.dense", "fc1"),
    ("output.dense", "fc2"),
    ("lm_head.", "encoder.lm_head."),
]


def save_fair_esm(model: nn.Module, inv_freq: torch.Tensor, path: pathlib.Path) -> None:
    """The weights under fair-esm's names, in f16, beside a configuration in an argparse.Namespace."""
    weights = {"encoder.lm_head.weight": model.esm.embeddings.word_embeddings.weight.detach().half()}
    for name, tensor in model.state_dict().items():
        if name.startswith(("esm.contact_head", "esm.rotary_embeddings", "lm_head.decoder")):
            continue
        for theirs, ours in FAIR_ESM_NAMES:
            name = name.replace(theirs, ours, 1)
        weights[name] = tensor.detach().half().clone()
    for n in range(N_LAYERS):
        weights[f"encoder.sentence_encoder.layers.{n}.self_attn.rot_emb.inv_freq"] = inv_freq.half()
    configuration = argparse.Namespace(
        arch="transformer_lm", encoder_layers=N_LAYERS, encoder_embed_dim=D_MODEL, encoder_attention_heads=N_HEADS,
        encoder_ffn_embed_dim=4 * D_MODEL, token_dropout=True,
    )
    torch.save({"args": None, "cfg": {"model": configuration}, "model": dict(sorted(weights.items()))}, path)


def same_as_fair_esm(path: pathlib.Path, tokens: dict, out: Named) -> None:
    """fair-esm itself loads the file and agrees; its softmax and its rotation are in f32 (measured 1e-6)."""
    model, _ = esm.pretrained.load_model_and_alphabet_core(path.stem, torch.load(path, weights_only=False))
    model = model.eval().double()
    for name, entry in tokens.items():
        with torch.no_grad():
            hidden = model(torch.tensor([entry["fair_esm"]]), repr_layers=[N_LAYERS])["representations"][N_LAYERS]
        agree(f"fair-esm {name}", {"hidden": out[f"{name}.hidden"]}, {"hidden": hidden[0].numpy()}, bound=1e-5)


OFFICIAL_VOCABULARY = ["<cls>", "<pad>", "<eos>", "<unk>", "<mask>", *"ACGUIRYKMSWBDHVN-"]


def rinalmo(folder: pathlib.Path) -> tuple[str, str, dict, Named]:
    """RiNALMo: a multimolecule folder in bf16 and an official state dict in f32 with the same weights."""
    config = multimolecule.RiNALMoConfig(
        hidden_size=D_MODEL, num_hidden_layers=N_LAYERS, num_attention_heads=N_HEADS, intermediate_size=4 * D_MODEL,
        hidden_dropout=0.0, attention_dropout=0.0, attn_implementation="eager",
    )
    model = multimolecule.RiNALMoForPreTraining(config).eval()
    # Embeddings whose variance is near ε of the first norm: a wrong ε or a forgotten factor 0.88 shows.
    randomise(model, torch.bfloat16, embedding_scale=0.008, seed=2)
    tokenizer = multimolecule.RnaTokenizer()
    model.bfloat16().save_pretrained(folder / "rinalmo_mm_tiny")
    tokenizer.save_pretrained(folder / "rinalmo_mm_tiny")
    path = folder / "rinalmo_tiny_official.pt"
    save_official(load_file(folder / "rinalmo_mm_tiny" / "model.safetensors"), tokenizer.get_vocab(), path)

    tape = Tape()
    model.double()
    listen(tape, model.model.embeddings, model.model.encoder.layer, "layer_norm", "layer_norm")
    tape.of(model.model.encoder.layer_norm, "hidden")
    inv_freq = 1.0 / 10000.0 ** (torch.arange(0, D_MODEL // N_HEADS, 2, dtype=torch.float32) / (D_MODEL // N_HEADS))
    rotation = Rotation(tape, inv_freq, 1.0)
    for layer in model.model.encoder.layer:
        layer.attention.self.rotary_embeddings.forward = rotation
    stored = as_f64(torch.load(path, weights_only=True))

    tokens, out = {}, {}
    for name, text in texts(RNA, "rna").items():
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        spelled = tokenizer.convert_ids_to_tokens(ids[0].tolist())
        official = np.array([OFFICIAL_VOCABULARY.index(token) for token in spelled])
        with torch.no_grad():
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
        other = independent.rinalmo(stored, official, N_LAYERS, N_HEADS, inv_freq.double().numpy())
        agree(f"rinalmo {name}", tape.values, other)
        tokens[name] = {"sequence": text, "official": official.tolist(), "multimolecule": ids[0].tolist()}
        out |= expected(tape.values, name)
    return "rinalmo", "rna_tokens.json", tokens, out


OFFICIAL_NAMES = [
    ("model.embeddings.word_embeddings", "embedding"),
    ("model.encoder.layer_norm", "transformer.final_layer_norm"),
    ("model.encoder.layer.", "transformer.blocks."),
    ("attention.layer_norm", "attn_layer_norm"),
    (".layer_norm.", ".out_layer_norm."),
    ("attention.output.dense", "mh_attn.out_proj"),
    ("intermediate.bias", "transition.0.beta"),
    ("intermediate.", "transition.0."),
    ("output.dense", "transition.2"),
    ("lm_head.transform.dense", "lm_mask_head.linear1"),
    ("lm_head.transform.out_layer_norm", "lm_mask_head.layer_norm"),
    ("lm_head.decoder", "lm_mask_head.linear2"),
]


def save_official(weights: Named, vocabulary: dict[str, int], path: pathlib.Path) -> None:
    """The weights under the official names: 22 embeddings, queries, keys and values in one matrix."""
    rows = [vocabulary[token] for token in OFFICIAL_VOCABULARY]
    out = {}
    for name, tensor in weights.items():
        tensor = tensor.float()
        if name.startswith(("model.embeddings", "lm_head.decoder", "lm_head.bias")):
            tensor = tensor[rows]
        if name == "lm_head.bias":
            name = "lm_head.decoder.bias"
        for theirs, ours in OFFICIAL_NAMES:
            name = name.replace(theirs, ours, 1)
        out[name] = tensor.clone()
    for n in range(N_LAYERS):
        parts = [out.pop(f"transformer.blocks.{n}.attention.self.{part}.weight") for part in ("query", "key", "value")]
        out[f"transformer.blocks.{n}.mh_attn.Wqkv.weight"] = torch.cat(parts)
    torch.save(dict(sorted(out.items())), path)
