//! Tiles of the gradient in registers, and the step of Adam while they are there.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};

use super::cpu::{Constants, Outer, Targets};
use super::estimate::{reciprocal, square_root};

/// Outputs of a tile.
const OUTPUTS: usize = 8;
/// Vectors of each output in a tile.
const VECTORS: usize = 2;

/// A step of Adam for the outputs from `first` on.
pub(super) struct AdamTiles<'a> {
    pub outer: Outer<'a, f32>,
    pub first: usize,
    pub constants: Constants<f32>,
    pub targets: Targets<'a, f32>,
}

impl WithSimd for AdamTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { outer, first, constants, targets: Targets { p, m, v } } = self;
        let step = Step::<S> { x: outer.x, width: outer.width, c: Vectors::new(simd, constants) };
        let mut packed = vec![0.0; outer.a.len() / outer.outputs * OUTPUTS];
        let tiles = p.chunks_mut(OUTPUTS * outer.width).zip(m.chunks_mut(OUTPUTS * outer.width));
        let tiles = tiles.zip(v.chunks_mut(OUTPUTS * outer.width)).map(|((p, m), v)| Targets { p, m, v });
        for (tile, targets) in tiles.enumerate() {
            let output = first + tile * OUTPUTS;
            if targets.p.len() == OUTPUTS * outer.width {
                step.outputs::<OUTPUTS>(simd, pack(&outer, output, &mut packed), targets);
                continue;
            }
            let Targets { p, m, v } = targets;
            let rows = p.chunks_mut(outer.width).zip(m.chunks_mut(outer.width)).zip(v.chunks_mut(outer.width));
            for (i, ((p, m), v)) in rows.enumerate() {
                step.outputs::<1>(simd, pack(&outer, output + i, &mut packed), Targets { p, m, v });
            }
        }
    }
}

/// Columns `output..output + M` of `a`, one row after the other: in `a` they are whole rows apart, on lines that would push
/// each other out of the first cache.
#[inline(always)]
fn pack<'a, const M: usize>(outer: &Outer<'_, f32>, output: usize, to: &'a mut [f32]) -> &'a [[f32; M]] {
    let rows = outer.a.chunks_exact(outer.outputs);
    let to = &mut to.as_chunks_mut::<M>().0[..rows.len()];
    for (to, from) in to.iter_mut().zip(rows) {
        to.copy_from_slice(&from[output..output + M]);
    }
    to
}

/// What the tiles of a step share.
struct Step<'a, S: Simd> {
    x: &'a [f32],
    width: usize,
    c: Vectors<S>,
}

impl<S: Simd> Step<'_, S> {
    /// All columns of `M` outputs; `a [rows, M]`, the targets `[M, width]`.
    #[inline(always)]
    fn outputs<const M: usize>(&self, simd: S, a: &[[f32; M]], targets: Targets<'_, f32>) {
        let Targets { p, m, v } = targets;
        let (wide, narrow) = (VECTORS * S::F32_LANES, S::F32_LANES);
        let mut column = 0;
        while self.width - column >= wide {
            self.tile::<M, VECTORS>(simd, a, column, [p, m, v]);
            column += wide;
        }
        while self.width - column >= narrow {
            self.tile::<M, 1>(simd, a, column, [p, m, v]);
            column += narrow;
        }
        if column < self.width {
            self.rest(simd, a, column, [p, m, v]);
        }
    }

    /// `M × N` vectors from `column` on.
    #[inline(always)]
    fn tile<const M: usize, const N: usize>(&self, simd: S, a: &[[f32; M]], column: usize, targets: [&mut [f32]; 3]) {
        let len = N * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        for (a, x) in a.iter().zip(self.x.chunks_exact(self.width)) {
            let x = S::as_simd_f32s(&x[column..column + len]).0;
            let x: [S::f32s; N] = std::array::from_fn(|n| x[n]);
            for (sums, &a) in sums.iter_mut().zip(a) {
                let a = simd.splat_f32s(a);
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = simd.mul_add_e_f32s(a, x, *sum);
                }
            }
        }
        let [p, m, v] = targets;
        for (i, sums) in sums.into_iter().enumerate() {
            let at = i * self.width + column..i * self.width + column + len;
            let p = S::as_mut_simd_f32s(&mut p[at.clone()]).0;
            let m = S::as_mut_simd_f32s(&mut m[at.clone()]).0;
            let v = S::as_mut_simd_f32s(&mut v[at]).0;
            for (n, g) in sums.into_iter().enumerate() {
                [p[n], m[n], v[n]] = self.c.step(simd, g, [p[n], m[n], v[n]]);
            }
        }
    }

    /// Fewer columns than a vector.
    #[inline(always)]
    fn rest<const M: usize>(&self, simd: S, a: &[[f32; M]], column: usize, targets: [&mut [f32]; 3]) {
        let mut sums = [simd.splat_f32s(0.0); M];
        for (a, x) in a.iter().zip(self.x.chunks_exact(self.width)) {
            let x = simd.partial_load_f32s(&x[column..]);
            for (sum, &a) in sums.iter_mut().zip(a) {
                *sum = simd.mul_add_e_f32s(simd.splat_f32s(a), x, *sum);
            }
        }
        let [p, m, v] = targets;
        for (i, g) in sums.into_iter().enumerate() {
            let at = i * self.width + column..(i + 1) * self.width;
            let [p, m, v] = [&mut p[at.clone()], &mut m[at.clone()], &mut v[at]];
            let before = [&*p, &*m, &*v].map(|values| simd.partial_load_f32s(values));
            for (to, value) in [p, m, v].into_iter().zip(self.c.step(simd, g, before)) {
                simd.partial_store_f32s(to, value);
            }
        }
    }
}

/// The constants of a step in every lane.
struct Vectors<S: Simd> {
    first: [S::f32s; 2],
    second: [S::f32s; 2],
    rate: S::f32s,
    root: S::f32s,
    epsilon: S::f32s,
}

impl<S: Simd> Vectors<S> {
    #[inline(always)]
    fn new(simd: S, constants: Constants<f32>) -> Self {
        let splat = |x| simd.splat_f32s(x);
        let Constants { first, second, rate, root, epsilon } = constants;
        Self {
            first: first.map(splat),
            second: second.map(splat),
            rate: splat(rate),
            root: splat(root),
            epsilon: splat(epsilon),
        }
    }

    /// Parameters and moments after the gradient `g`.
    #[inline(always)]
    fn step(&self, simd: S, g: S::f32s, [p, m, v]: [S::f32s; 3]) -> [S::f32s; 3] {
        let m = simd.mul_add_e_f32s(self.first[0], m, simd.mul_f32s(self.first[1], g));
        let v = simd.mul_add_e_f32s(self.second[0], v, simd.mul_f32s(simd.mul_f32s(self.second[1], g), g));
        let size = simd.mul_add_e_f32s(square_root(simd, v), self.root, self.epsilon);
        let p = simd.negate_mul_add_e_f32s(simd.mul_f32s(self.rate, m), reciprocal(simd, size), p);
        [p, m, v]
    }
}
