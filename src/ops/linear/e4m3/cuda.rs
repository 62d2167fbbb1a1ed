//! Launches `kernels/linear_e4m3.cu`.

use super::super::cuda::Extras;
use super::super::cuda_weights::CudaWeights;
use super::super::cuda_wgmma::kernel_of;
use super::super::{Epilogue, LinearWeights, Rotation};
use super::{LinearE4m3, ScaledRows};
use crate::backend::cuda::{Argument, CudaView, TensorCores};
use crate::backend::{Activation, Cuda, E4m3, Element, MatrixMut};
use crate::error::{Error, Result};

impl Cuda {
    /// `y` is in halves, or in bytes where the epilogue is an activation.
    fn launch_e4m3<T: Element>(
        &self,
        epilogue: &str,
        x: ScaledRows<'_, Self>,
        weights: &CudaWeights,
        extras: &Extras<'_>,
        y: &MatrixMut<'_, Self, T>,
    ) -> Result<()> {
        let refused = |expected: &str, found: String| {
            Err(Error::Shape { op: "linear_e4m3", expected: expected.to_owned(), found })
        };
        let Some(kernel) = kernel_of(epilogue, extras.d_head) else {
            let expected = format!("an epilogue of halves, heads of {:?}", TensorCores::WGMMA_HEADS);
            return refused(&expected, format!("{epilogue}, heads of {}", extras.d_head));
        };
        let Some((values, scales)) = weights.bytes(self) else {
            return refused("weights in fp8, as the activations", weights.precision().name().to_owned());
        };
        if !matches!(T::NAME, "f16" | E4m3::NAME) {
            return refused("results in f16 or in eight bits", T::NAME.to_owned());
        }
        let pitches = [weights.d_in(), y.cols * size_of::<T>()];
        if pitches.iter().any(|pitch| !pitch.is_multiple_of(16)) {
            return refused("rows of whole pieces of 16 bytes", format!("rows of {pitches:?} bytes"));
        }
        let row_scales = x.scales.map_or(CudaView::null(), |scales| scales.view);
        let last: [&dyn Argument; 2] = [&row_scales, &scales];
        let file = "linear_e4m3";
        self.launch_wgmma((file, &kernel), y.rows, x.values.view, weights, values, extras, y.view.shared(), &last)
    }
}

impl LinearE4m3 for Cuda {
    fn linear_e4m3_raw<A: Activation>(
        &self,
        x: ScaledRows<'_, Self>,
        weights: &CudaWeights,
        epilogue: Epilogue,
        y: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        self.launch_e4m3(epilogue.name(), x, weights, &Extras::none(), &y)
    }

    fn linear_to_e4m3_raw(
        &self,
        x: ScaledRows<'_, Self>,
        weights: &CudaWeights,
        epilogue: Epilogue,
        y: MatrixMut<'_, Self, E4m3>,
    ) -> Result<()> {
        self.launch_e4m3(epilogue.name(), x, weights, &Extras::none(), &y)
    }

    fn linear_rope_e4m3_raw<A: Activation>(
        &self,
        x: ScaledRows<'_, Self>,
        weights: &CudaWeights,
        rotation: Rotation<'_, Self>,
        qkv: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        self.launch_e4m3("rope", x, weights, &Extras::of(&rotation), &qkv)
    }
}
