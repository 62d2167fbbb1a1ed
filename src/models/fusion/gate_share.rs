//! What the gate did to the pairs of the last forward pass.

use super::config::Fusion;
use super::network::FusionNetwork;
use super::parameters::Parameters;
use super::workspace::Workspace;
use crate::backend::Memory;
use crate::error::Result;

/// What the gate did to a batch of pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct GateShare {
    /// Share of the partner σ(g) per hidden dimension, mean over the pairs.
    pub per_dimension: Vec<f64>,
    /// Mean share of the partner over the dimensions, per pair.
    pub mean: Vec<f64>,
    /// Contribution of the partner per pair, weighted by the size of both operands:
    /// `Σ_d |σ_d·P_d| / Σ_d (|σ_d·P_d| + |(1−σ_d)·R_d|)`; one half where both are zero.
    pub contribution: Vec<f64>,
}

impl FusionNetwork {
    /// The gate's work on the `n` pairs of the first run in the last forward pass in `work`; `None` for a concatenation, which has no gate.
    ///
    /// # Errors
    /// What the device reports.
    pub fn gate_share<B: Memory>(
        &self,
        backend: &B,
        parameters: &Parameters<B, f32>,
        work: &Workspace<B, f32>,
        n: usize,
    ) -> Result<Option<GateShare>> {
        let width = self.config.partner_width();
        let fetch = |buffer: &B::Buffer<f32>, offset: usize, len: usize| -> Result<Vec<f32>> {
            let mut host = vec![0.0; len];
            backend.download(backend.view(buffer, offset..offset + len), &mut host)?;
            Ok(host)
        };
        let gate = match (&self.layout.static_gate, self.config.fusion) {
            (_, Fusion::Concat) => return Ok(None),
            (Some(tensor), _) => fetch(&parameters.values, tensor.offset, width)?,
            (None, Fusion::Input) => fetch(&work.gate, 0, n * width)?,
            (None, _) => vec![0.0; width],
        };
        let p = fetch(if self.layout.partner.is_some() { &work.projected[0] } else { &work.partner }, 0, n * width)?;
        let r = fetch(if self.layout.rna.is_some() { &work.projected[1] } else { &work.rna }, 0, n * width)?;
        let mut share = GateShare { per_dimension: vec![0.0; width], mean: Vec::new(), contribution: Vec::new() };
        for pair in 0..n {
            let gate = &gate[if gate.len() == width { 0 } else { pair * width }..][..width];
            let (mut sum, mut partner, mut rna) = (0.0, 0.0, 0.0);
            for (d, &g) in gate.iter().enumerate() {
                let s = 1.0 / (1.0 + f64::from(-g).exp());
                sum += s;
                share.per_dimension[d] += s / n as f64;
                partner += s * f64::from(p[pair * width + d].abs());
                rna += (1.0 - s) * f64::from(r[pair * width + d].abs());
            }
            share.mean.push(sum / width as f64);
            share.contribution.push(if partner + rna > 0.0 { partner / (partner + rna) } else { 0.5 });
        }
        Ok(Some(share))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FusionConfig, Projection};
    use super::*;
    use crate::backend::Cpu;
    use crate::data::Task;

    #[test]
    fn shares_and_contributions_by_hand() {
        let config = FusionConfig {
            d_partner: 2,
            d_rna: 2,
            projection: Projection::None,
            fusion: Fusion::Static,
            head: vec![],
            n_outputs: 1,
            dropout_projection: 0.0,
            dropout_head: 0.0,
            task: Task::Binary,
        };
        let (backend, third) = (Cpu::single(), (0.5f32).ln());
        let network = FusionNetwork::new(config.clone()).unwrap();
        let parameters = Parameters::uploaded(&backend, &[third, 0.0, 1.0, 1.0, 0.0]).unwrap();
        let mut work = Workspace::<Cpu, f32>::new(&backend, &config, 1, 2, false).unwrap();
        work.partner.copy_from_slice(&[3.0, -2.0, 0.0, 0.0]);
        work.rna.copy_from_slice(&[1.5, 2.0, 0.0, 0.0]);
        network.forward(&backend, &parameters, &mut work, 2, None).unwrap();
        let share = network.gate_share(&backend, &parameters, &work, 2).unwrap().unwrap();
        // σ = (1/3, 1/2): partner 1 + 1, RNA 1 + 1; the second pair is all zero.
        assert!((share.per_dimension[0] - 1.0 / 3.0).abs() < 1e-7 && (share.per_dimension[1] - 0.5).abs() < 1e-7);
        assert!((share.mean[0] - 5.0 / 12.0).abs() < 1e-7);
        assert!((share.contribution[0] - 0.5).abs() < 1e-7 && share.contribution[1] == 0.5);

        let joined = FusionNetwork::new(FusionConfig { fusion: Fusion::Concat, ..config }).unwrap();
        assert_eq!(joined.gate_share(&backend, &parameters, &work, 2).unwrap(), None);
    }
}
