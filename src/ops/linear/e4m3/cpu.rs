//! CPU twin, to compare devices with: the numbers of eight bits in f32, and the product in f32.

use super::super::cpu::CpuWeights;
use super::super::turn_heads::turn_heads;
use super::super::{Epilogue, Rotation};
use super::{INNER_SCALE, LinearE4m3, ScaledRows};
use crate::backend::{Activation, Cpu, E4m3, MatrixMut};
use crate::error::Result;

impl ScaledRows<'_, Cpu> {
    fn to_f32(self) -> Vec<f32> {
        let width = self.values.cols.max(1);
        let row = |(i, row): (usize, &[E4m3])| {
            let scale = self.scales.map_or(INNER_SCALE, |scales| scales.view[i]);
            row.iter().map(|x| x.to_f32() * scale).collect::<Vec<f32>>()
        };
        self.values.view.chunks_exact(width).enumerate().flat_map(row).collect()
    }
}

impl LinearE4m3 for Cpu {
    fn linear_e4m3_raw<A: Activation>(
        &self,
        x: ScaledRows<'_, Self>,
        weights: &CpuWeights,
        epilogue: Epilogue,
        y: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        A::in_f32(y.view, |y| weights.multiply(self, x.values.rows, &x.to_f32(), epilogue, y));
        Ok(())
    }

    fn linear_to_e4m3_raw(
        &self,
        x: ScaledRows<'_, Self>,
        weights: &CpuWeights,
        epilogue: Epilogue,
        y: MatrixMut<'_, Self, E4m3>,
    ) -> Result<()> {
        let mut wide = vec![0.0; y.rows * y.cols];
        weights.multiply(self, x.values.rows, &x.to_f32(), epilogue, &mut wide);
        y.view.iter_mut().zip(wide).for_each(|(y, wide)| *y = E4m3::rounded(wide / INNER_SCALE));
        Ok(())
    }

    fn linear_rope_e4m3_raw<A: Activation>(
        &self,
        x: ScaledRows<'_, Self>,
        weights: &CpuWeights,
        rotation: Rotation<'_, Self>,
        qkv: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        A::in_f32(qkv.view, |rows| {
            weights.multiply(self, x.values.rows, &x.to_f32(), Epilogue::Store, rows);
            turn_heads(self, &rotation, qkv.cols, rows);
        });
        Ok(())
    }
}
