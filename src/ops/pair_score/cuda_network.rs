//! A folded network in device memory, its parameters in both types: that of the entries is known at each call only.

use half::f16;

use super::{Link, PairForm, PairMember, PairNetwork};
use crate::backend::cuda::{Argument, CudaBuffer};
use crate::backend::{Activation, Cuda, Memory};
use crate::error::{Error, Result};
use crate::ops::gated_fusion::{FusionLayer, MOST_HEAD_LAYERS};

/// Elements to a multiple of which each weight begins: 16 bytes in every type.
const STEP: usize = 8;

/// The shape of a network and of a call. Laid out as `kernels/pair_score.cu` declares it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct PairShape {
    pub n_entries: u32,
    pub n_targets: u32,
    pub width: u32,
    row: u32,
    is_gate: u32,
    is_logistic: u32,
    pub n_members: u32,
    member_parameters: u32,
    n_head: u32,
    head: [FusionLayer; MOST_HEAD_LAYERS],
}

impl Argument for PairShape {}

impl PairShape {
    /// With the numbers of entries and targets of a call.
    pub fn of_call(self, [n_entries, n_targets]: [usize; 2]) -> Self {
        Self { n_entries: n_entries as u32, n_targets: n_targets as u32, ..self }
    }

    /// The layers of the head of the first member.
    pub fn head(&self) -> &[FusionLayer] {
        &self.head[..self.n_head as usize]
    }
}

/// A folded network on a device.
pub struct CudaFolded {
    pub(super) form: PairForm,
    /// Without the sizes of a call.
    pub(super) shape: PairShape,
    /// Bits of the weight, and number of positive elements, of each member.
    pub(super) members: CudaBuffer<u32>,
    single: CudaBuffer<f32>,
    half: CudaBuffer<f16>,
    n_parameters: usize,
}

/// The parameters of a member, each tensor from a multiple of [`STEP`], and where they lie.
fn placed(member: &PairMember) -> (Vec<f32>, Vec<FusionLayer>) {
    let mut all = Vec::new();
    let mut place = |values: &[f32]| {
        let start = all.len();
        all.extend_from_slice(values);
        all.resize(all.len().next_multiple_of(STEP), 0.0);
        start as u32
    };
    let layer = |layer: &super::HeadLayer| FusionLayer {
        weight: place(&layer.weight),
        bias: place(&layer.bias),
        d_in: layer.d_in as u32,
        d_out: layer.d_out as u32,
    };
    let layers = member.head.iter().map(layer).collect();
    (all, layers)
}

impl CudaFolded {
    pub(super) fn new(cuda: &Cuda, network: &PairNetwork) -> Result<Self> {
        let (mut all, mut words, mut layers) = (Vec::new(), Vec::new(), Vec::new());
        for member in &network.members {
            let (parameters, own) = placed(member);
            all.extend(parameters);
            words.extend([member.weight.to_bits(), member.n_positive as u32]);
            layers = own;
        }
        if layers.len() > MOST_HEAD_LAYERS || u32::try_from(all.len()).is_err() {
            return Err(Error::data(
                format!("the head of this network has {} layers and {} parameters", layers.len(), all.len()),
                format!("choose --device cpu, or use a network with at most {} hidden layers", MOST_HEAD_LAYERS - 1),
            ));
        }
        let mut shape = PairShape {
            width: network.width as u32,
            row: cuda.padded(network.width) as u32,
            is_gate: u32::from(network.form == PairForm::Gate),
            is_logistic: u32::from(network.link == Link::Logistic),
            n_members: network.members.len() as u32,
            member_parameters: (all.len() / network.members.len().max(1)) as u32,
            n_head: layers.len() as u32,
            ..PairShape::default()
        };
        shape.head[..layers.len()].copy_from_slice(&layers);
        let half: Vec<f16> = all.iter().map(|&x| f16::rounded(x)).collect();
        Ok(Self {
            form: network.form,
            shape,
            members: cuda.uploaded(&words)?,
            single: cuda.uploaded(&all)?,
            half: cuda.uploaded(&half)?,
            n_parameters: all.len(),
        })
    }

    /// The parameters where entries lie in `A`.
    pub(super) fn parameters<A: Activation>(&self, cuda: &Cuda) -> Box<dyn Argument + '_> {
        if A::NAME == <f16 as crate::backend::Element>::NAME {
            Box::new(cuda.view(&self.half, 0..self.n_parameters))
        } else {
            Box::new(cuda.view(&self.single, 0..self.n_parameters))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::HeadLayer;
    use super::*;

    #[test]
    fn laid_out_as_the_kernel_reads_it() {
        assert_eq!(size_of::<PairShape>(), 132);
        assert_eq!([std::mem::offset_of!(PairShape, is_gate), std::mem::offset_of!(PairShape, head)], [16, 36]);
    }

    #[test]
    fn tensors_begin_at_whole_pieces() {
        let layer = |d_in: usize, d_out: usize, x: f32| HeadLayer {
            weight: vec![x; d_in * d_out],
            bias: vec![-x; d_out],
            d_in,
            d_out,
        };
        let member = PairMember { weight: 1.0, n_positive: 0, head: vec![layer(5, 3, 1.0), layer(3, 1, 2.0)] };
        let (all, layers) = placed(&member);
        let starts: Vec<[u32; 2]> = layers.iter().map(|layer| [layer.weight, layer.bias]).collect();
        assert_eq!((all.len(), starts), (40, vec![[0, 16], [24, 32]]));
        let (first, last) = (all[..16].iter().sum::<f32>(), all[24..].iter().sum::<f32>());
        assert_eq!((first, all[16..19].iter().sum::<f32>(), last), (15.0, -3.0, 4.0));
    }
}
