//! The definitions of the ops in f64, in the plainest way. With [`Rounding::Half`] every elementary step is rounded to
//! f16: what an implementation in half precision gives that keeps its intermediate results in memory.

use std::f64::consts::FRAC_1_SQRT_2;

use half::f16;

use crate::ops::attention::Heads;

/// What each step is rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    None,
    Half,
}

impl Rounding {
    pub fn of(self, x: f64) -> f64 {
        match self {
            Self::None => x,
            Self::Half => f64::from(f16::from_f64(x)),
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `x·Wᵀ + b`: `x [m, k]`, `weight [n, k]`, `bias [n]` or empty.
pub(super) fn linear(rounding: Rounding, x: &[f64], weight: &[f64], bias: &[f64], k: usize) -> Vec<f64> {
    let mut z = Vec::with_capacity(x.len() / k * (weight.len() / k));
    for row in x.chunks_exact(k) {
        for (j, weights) in weight.chunks_exact(k).enumerate() {
            let sum = rounding.of(dot(row, weights));
            z.push(bias.get(j).map_or(sum, |bias| rounding.of(sum + bias)));
        }
    }
    z
}

pub(super) fn gelu(rounding: Rounding, z: f64) -> f64 {
    rounding.of(0.5 * z * libm::erfc(-z * FRAC_1_SQRT_2))
}

/// `a·σ(β·a)·g`.
pub(super) fn swiglu(rounding: Rounding, beta: f64, a: f64, g: f64) -> f64 {
    rounding.of(rounding.of(a / (1.0 + (-beta * a).exp())) * g)
}

/// Queries times `scale`, then queries and keys turned: `qkv [n, 3·d_model]`, angles `[n_positions, d_head / 2]`.
pub(super) fn rotate(
    rounding: Rounding,
    qkv: &mut [f64],
    heads: Heads,
    positions: &[u32],
    [cos, sin]: [&[f64]; 2],
    scale: f64,
) {
    let (d_model, half) = (heads.n_heads * heads.d_head, heads.d_head / 2);
    for (row, &position) in qkv.chunks_exact_mut(3 * d_model).zip(positions) {
        row[..d_model].iter_mut().for_each(|q| *q = rounding.of(*q * scale));
        for head in row[..2 * d_model].chunks_exact_mut(heads.d_head) {
            for i in 0..half {
                let (cos, sin) = (cos[position as usize * half + i], sin[position as usize * half + i]);
                let (a, b) = (head[i], head[i + half]);
                head[i] = rounding.of(rounding.of(a * cos) - rounding.of(b * sin));
                head[i + half] = rounding.of(rounding.of(b * cos) + rounding.of(a * sin));
            }
        }
    }
}

/// `softmax(q·kᵀ)·v` of each head within each sequence: `qkv [n, 3·d_model]`, the result `[n, d_model]`.
pub(super) fn attention(rounding: Rounding, qkv: &[f64], lengths: &[usize], heads: Heads) -> Vec<f64> {
    let Heads { n_heads, d_head } = heads;
    let d_model = n_heads * d_head;
    let part = |row: usize, part: usize, head: usize| {
        let start = row * 3 * d_model + part * d_model + head * d_head;
        &qkv[start..start + d_head]
    };
    let mut out = vec![0.0; lengths.iter().sum::<usize>() * d_model];
    let mut first = 0;
    for &length in lengths {
        let rows = first..first + length;
        first += length;
        for head in 0..n_heads {
            for query in rows.clone() {
                let logits: Vec<f64> =
                    rows.clone().map(|key| rounding.of(dot(part(query, 0, head), part(key, 1, head)))).collect();
                let top = logits.iter().copied().fold(f64::MIN, f64::max);
                let total: f64 = logits.iter().map(|logit| (logit - top).exp()).sum();
                let start = query * d_model + head * d_head;
                let out = &mut out[start..start + d_head];
                for (logit, key) in logits.iter().zip(rows.clone()) {
                    let weight = rounding.of((logit - top).exp() / total);
                    out.iter_mut().zip(part(key, 2, head)).for_each(|(out, value)| *out += weight * value);
                }
                for out in out {
                    *out = rounding.of(*out);
                }
            }
        }
    }
    out
}

/// `(x − mean) / √(variance + ε) · weight + bias` of each row.
pub(super) fn layer_norm(rounding: Rounding, x: &[f64], weight: &[f64], bias: &[f64], epsilon: f64) -> Vec<f64> {
    let d = weight.len();
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks_exact(d) {
        let mean = row.iter().sum::<f64>() / d as f64;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / d as f64;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for ((x, weight), bias) in row.iter().zip(weight).zip(bias) {
            y.push(rounding.of(rounding.of(rounding.of((x - mean) * scale) * weight) + bias));
        }
    }
    y
}

/// Means of rows `[first, end)` of `x [n, d]`.
pub(super) fn segment_means(x: &[f64], segments: &[[u32; 2]], d: usize) -> Vec<f64> {
    let mut means = vec![0.0; segments.len() * d];
    for (mean, &[first, end]) in means.chunks_exact_mut(d).zip(segments) {
        for row in x[first as usize * d..end as usize * d].chunks_exact(d) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / f64::from(end - first));
        }
    }
    means
}

/// The edges into each node, as [`Graph`](crate::ops::gin_aggregate::Graph) takes them.
#[derive(Debug, Default)]
pub(super) struct Edges {
    pub offsets: Vec<u32>,
    pub sources: Vec<u32>,
    pub kinds: Vec<u32>,
}

/// `hᵢ + k_self + Σ (h_source + k_kind)`; each message is rounded, and each sum.
pub(super) fn aggregate(
    rounding: Rounding,
    edges: &Edges,
    self_loop: usize,
    h: &[f64],
    kinds: &[f64],
    width: usize,
) -> Vec<f64> {
    let mut y = Vec::with_capacity(h.len());
    for node in 0..h.len() / width {
        let into = edges.offsets[node] as usize..edges.offsets[node + 1] as usize;
        for column in 0..width {
            let message =
                |source: usize, kind: usize| rounding.of(h[source * width + column] + kinds[kind * width + column]);
            let neighbours = into.clone().map(|edge| message(edges.sources[edge] as usize, edges.kinds[edge] as usize));
            y.push(neighbours.fold(message(node, self_loop), |sum, message| rounding.of(sum + message)));
        }
    }
    y
}

/// `(y − mean)·scale + shift` of each column, `statistics [3, width]`, then the ReLU where `relu`.
pub(super) fn batch_norm(rounding: Rounding, y: &[f64], statistics: &[f64], relu: bool) -> Vec<f64> {
    let width = statistics.len() / 3;
    let of = |(i, y): (usize, &f64)| {
        let column = i % width;
        let [mean, scale, shift] = [0, 1, 2].map(|row| statistics[row * width + column]);
        let z = rounding.of(rounding.of(rounding.of(y - mean) * scale) + shift);
        if relu { z.max(0.0) } else { z }
    };
    y.iter().enumerate().map(of).collect()
}
