"""The two encoders once more, in numpy and f64, from the names that the published checkpoint files have.

Shares no code with the reference libraries: what both compute alike is the mathematics.
"""

import math

import numpy as np

Weights = dict[str, np.ndarray]
EPS = 1e-5


def layer_norm(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
    return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)


def scaled_embedding(table: np.ndarray, ids: np.ndarray, mask_id: int) -> np.ndarray:
    masked = ids == mask_id
    return np.where(masked[:, None], 0.0, table[ids]) * 0.88 / (1.0 - masked.mean())


def rotate(x: np.ndarray, inv_freq: np.ndarray) -> np.ndarray:
    """`x [T, heads, d_head]`, positions from 0, halves rotated against each other."""
    angle = np.outer(np.arange(len(x)), inv_freq)[:, None, :]
    low, high = np.split(x, 2, axis=-1)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, n_heads: int) -> np.ndarray:
    """`q`, `k` (rotated) and `v [T, d]` to the heads side by side, `[T, d]`."""
    q, k, v = (x.reshape(len(x), n_heads, -1) for x in (q, k, v))
    logits = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1])
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return np.einsum("hqk,khd->qhd", p / p.sum(-1, keepdims=True), v).reshape(len(q), -1)


def heads_rotated(x: np.ndarray, n_heads: int, inv_freq: np.ndarray) -> np.ndarray:
    return rotate(x.reshape(len(x), n_heads, -1), inv_freq).reshape(x.shape)


def esm2(weights: Weights, ids: np.ndarray, n_layers: int, n_heads: int) -> dict[str, np.ndarray]:
    """Every intermediate of ESM-2 with the weights of a fair-esm file, prefixes stripped."""
    x = scaled_embedding(weights["embed_tokens.weight"], ids, mask_id=32)
    trace = {"embedding": x}
    for n in range(n_layers):
        of = f"layers.{n}"
        inv_freq = weights[f"{of}.self_attn.rot_emb.inv_freq"]
        y = layer_norm(x, weights, f"{of}.self_attn_layer_norm")
        q, k = (heads_rotated(linear(y, weights, f"{of}.self_attn.{p}_proj"), n_heads, inv_freq) for p in "qk")
        v = linear(y, weights, f"{of}.self_attn.v_proj")
        o = attention(q, k, v, n_heads)
        after = x + linear(o, weights, f"{of}.self_attn.out_proj")
        z = layer_norm(after, weights, f"{of}.final_layer_norm")
        inner = linear(z, weights, f"{of}.fc1")
        inner = 0.5 * inner * (1.0 + np.vectorize(math.erf)(inner / math.sqrt(2.0)))
        ffn = linear(inner, weights, f"{of}.fc2")
        x = after + ffn
        trace |= block(of, y, q, k, v, o, after, z, inner, ffn, x)
    return trace | {"hidden": layer_norm(x, weights, "emb_layer_norm_after")}


def rinalmo(
    weights: Weights, ids: np.ndarray, n_layers: int, n_heads: int, inv_freq: np.ndarray
) -> dict[str, np.ndarray]:
    """Every intermediate of RiNALMo with the weights of an official file."""
    x = scaled_embedding(weights["embedding.weight"], ids, mask_id=4)
    trace = {"embedding": x}
    for n in range(n_layers):
        of = f"transformer.blocks.{n}"
        y = layer_norm(x, weights, f"{of}.attn_layer_norm")
        q, k, v = np.split(linear(y, weights, f"{of}.mh_attn.Wqkv"), 3, axis=-1)
        q, k = (heads_rotated(p, n_heads, inv_freq) for p in (q, k))
        o = attention(q, k, v, n_heads)
        # The normalised input is what the attention is added to; the input itself is dropped.
        after = y + linear(o, weights, f"{of}.mh_attn.out_proj")
        z = layer_norm(after, weights, f"{of}.out_layer_norm")
        a = linear(z, weights, f"{of}.transition.0.linear")
        inner = a / (1.0 + np.exp(-weights[f"{of}.transition.0.beta"] * a))
        inner *= linear(z, weights, f"{of}.transition.0.linear_gate")
        ffn = linear(inner, weights, f"{of}.transition.2")
        x = after + ffn
        trace |= block(f"layers.{n}", y, q, k, v, o, after, z, inner, ffn, x)
    return trace | {"hidden": layer_norm(x, weights, "transformer.final_layer_norm")}


def block(name: str, *values: np.ndarray) -> dict[str, np.ndarray]:
    """The intermediates of one block under the names of the expected files, in order of computation."""
    return dict(zip((f"{name}.{what}" for what in BLOCK), values, strict=True))


BLOCK = [
    "attention_norm",
    "query",
    "key",
    "value",
    "attention",
    "attention_residual",
    "ffn_norm",
    "inner",
    "ffn",
    "output",
]


def graph_network(weights: Weights, atoms: np.ndarray, bonds: np.ndarray, n_layers: int) -> dict[str, np.ndarray]:
    """Every intermediate of Mole-BERT; `atoms [n, 2]`, `bonds [m, 4]` (begin, end, type, direction)."""
    h = weights["x_embedding1.weight"][atoms[:, 0]] + weights["x_embedding2.weight"][atoms[:, 1]]
    trace = {"embedding": h}
    for n in range(n_layers):
        by_type, by_direction = (weights[f"gnns.{n}.edge_embedding{i}.weight"] for i in (1, 2))
        m = h + by_type[4] + by_direction[0]
        for begin, end, kind, direction in bonds:
            edge = by_type[kind] + by_direction[direction]
            m[end] += h[begin] + edge
            m[begin] += h[end] + edge
        inner = np.maximum(linear(m, weights, f"gnns.{n}.mlp.0"), 0.0)
        z = linear(inner, weights, f"gnns.{n}.mlp.2")
        norm = f"batch_norms.{n}"
        scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPS)
        normed = (z - weights[f"{norm}.running_mean"]) * scale + weights[f"{norm}.bias"]
        h = normed if n + 1 == n_layers else np.maximum(normed, 0.0)
        trace |= {f"layers.{n}.aggregate": m, f"layers.{n}.mlp": z, f"layers.{n}.output": h}
    return trace | {"nodes": h}
