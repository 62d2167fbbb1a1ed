//! The backward pass, derived by hand; checked by central differences in f64.

use super::config::Fusion;
use super::layout::Linear;
use super::network::FusionNetwork;
use super::workspace::Workspace;
use crate::backend::{Matrix, MatrixMut, Real};
use crate::error::Result;
use crate::ops::TrainingBackend;
use crate::ops::bias_activation::bias_activation_gradient;
use crate::ops::gate::{GateInputs, gate_gradient, split_rows};
use crate::ops::gemm::{Product, gemm};
use crate::ops::pair_loss::pair_loss;

impl FusionNetwork {
    /// Loss of the batch in `work` (sum over known labels, and their number), and the gradient of its mean with respect
    /// to every parameter, written to `gradient` in the layout of the parameters.
    ///
    /// The forward pass of the same batch and mode must have run; dropout masks are read off the stored activations.
    ///
    /// # Errors
    /// What the ops report.
    pub fn backward<B: TrainingBackend, T: Real>(
        &self,
        backend: &B,
        parameters: &B::Buffer<T>,
        work: &mut Workspace<B, T>,
        n: usize,
        dropout: bool,
        gradient: &mut B::Buffer<T>,
    ) -> Result<(f64, usize)> {
        let config = &self.config;
        let layout = &self.layout;
        let last = layout.head.len();
        let rate = |rate: f32| if dropout { rate } else { 0.0 };
        let loss = pair_loss(
            backend,
            config.loss(),
            Matrix::of(backend, &work.layers[last], n, config.n_outputs),
            Matrix::of(backend, &work.labels, n, config.n_outputs),
            MatrixMut::of(backend, &mut work.layer_gradients[last], n, config.n_outputs),
        )?;
        for (i, linear) in layout.head.iter().enumerate().rev() {
            let (before, after) = work.layer_gradients.split_at_mut(i + 1);
            let relu_rate = (i + 1 < last).then(|| rate(config.dropout_head));
            let flow = Flow { x: &work.layers[i], y: &work.layers[i + 1], dy: &mut after[0], dx: Some(&mut before[i]) };
            linear_gradient(backend, linear, parameters, flow, n, relu_rate, gradient)?;
        }

        let (p_width, r_width) = (config.partner_width(), config.rna_width());
        let p_from = if layout.partner.is_some() { &work.projected[0] } else { &work.partner };
        let r_from = if layout.rna.is_some() { &work.projected[1] } else { &work.rna };
        let [dp, dr] = &mut work.projected_gradient;
        if config.fusion == Fusion::Concat {
            let fused = Matrix::of(backend, &work.layer_gradients[0], n, p_width + r_width);
            let (dp, dr) = (MatrixMut::of(backend, dp, n, p_width), MatrixMut::of(backend, dr, n, r_width));
            split_rows(backend, fused, false, dp, dr)?;
        } else {
            let inputs = GateInputs {
                g: self.gate_logits(backend, parameters, &work.gate, n),
                p: Matrix::of(backend, p_from, n, p_width),
                r: Matrix::of(backend, r_from, n, r_width),
            };
            let dg = match &layout.static_gate {
                Some(tensor) => MatrixMut::at(backend, gradient, tensor.offset, 1, p_width),
                None => MatrixMut::of(backend, &mut work.gate_gradient, inputs.g.rows, p_width),
            };
            let dx = Matrix::of(backend, &work.layer_gradients[0], n, p_width);
            let (dp_m, dr_m) = (MatrixMut::of(backend, dp, n, p_width), MatrixMut::of(backend, dr, n, r_width));
            gate_gradient(backend, &inputs, dx, dg, dp_m, dr_m)?;
        }
        if let Some(linear) = &layout.input_gate {
            let flow = Flow {
                x: &work.joined,
                y: &work.gate,
                dy: &mut work.gate_gradient,
                dx: Some(&mut work.joined_gradient),
            };
            linear_gradient(backend, linear, parameters, flow, n, None, gradient)?;
            let joined = Matrix::of(backend, &work.joined_gradient, n, p_width + r_width);
            let (dp, dr) = (MatrixMut::of(backend, dp, n, p_width), MatrixMut::of(backend, dr, n, r_width));
            split_rows(backend, joined, true, dp, dr)?;
        }
        let relu_rate = Some(rate(config.dropout_projection));
        let sides = [
            (&layout.partner, &work.partner, &work.projected[0], dp),
            (&layout.rna, &work.rna, &work.projected[1], dr),
        ];
        for (linear, x, y, dy) in sides {
            if let Some(linear) = linear {
                linear_gradient(backend, linear, parameters, Flow { x, y, dy, dx: None }, n, relu_rate, gradient)?;
            }
        }
        Ok(loss)
    }
}

/// What a linear layer read and wrote, and the gradients of both.
struct Flow<'a, Buffer> {
    x: &'a Buffer,
    y: &'a Buffer,
    dy: &'a mut Buffer,
    /// `None` for the first layer: nobody asks for the gradient of the data.
    dx: Option<&'a mut Buffer>,
}

/// Gradient of `y = dropout(relu(x·Wᵀ + b))`: `dW = dyᵀ·x`, `db = Σ dy`, `dx = dy·W`.
fn linear_gradient<B: TrainingBackend, T: Real>(
    backend: &B,
    linear: &Linear,
    parameters: &B::Buffer<T>,
    flow: Flow<'_, B::Buffer<T>>,
    n: usize,
    relu_rate: Option<f32>,
    gradient: &mut B::Buffer<T>,
) -> Result<()> {
    let (outputs, inputs) = (linear.weight.rows, linear.weight.cols);
    let dbias = MatrixMut::at(backend, gradient, linear.bias.offset, 1, outputs);
    let y = Matrix::of(backend, flow.y, n, outputs);
    bias_activation_gradient(backend, relu_rate, y, MatrixMut::of(backend, flow.dy, n, outputs), dbias)?;
    let dy = Matrix::of(backend, flow.dy, n, outputs);
    let dweight = MatrixMut::at(backend, gradient, linear.weight.offset, outputs, inputs);
    gemm(backend, Product::Tn, dy, Matrix::of(backend, flow.x, n, inputs), false, dweight)?;
    if let Some(dx) = flow.dx {
        let weight = Matrix::at(backend, parameters, linear.weight.offset, outputs, inputs);
        gemm(backend, Product::Nn, dy, weight, false, MatrixMut::of(backend, dx, n, inputs))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{FusionConfig, Mode, Projection};
    use super::*;
    use crate::backend::{Cpu, Memory};
    use crate::data::Task;

    fn wave(n: usize, f: f64) -> Vec<f64> {
        (0..n).map(|i| ((i + 1) as f64 * f).sin()).collect()
    }

    /// Loss of one batch at `parameters`, and the gradient where it is asked for.
    fn loss(
        network: &FusionNetwork,
        parameters: &Vec<f64>,
        labels: &[f64],
        mode: Mode,
        gradient: Option<&mut Vec<f64>>,
    ) -> f64 {
        let (backend, n, config) = (Cpu::single(), 5, &network.config);
        let mut work = Workspace::<Cpu, f64>::new(&backend, config, n, true).unwrap();
        work.partner.copy_from_slice(&wave(n * config.d_partner, 0.37));
        work.rna.copy_from_slice(&wave(n * config.d_rna, 0.73));
        work.labels.copy_from_slice(labels);
        network.forward(&backend, parameters, &mut work, n, mode).unwrap();
        let mut scratch = backend.zeros(network.layout.len()).unwrap();
        let target = gradient.unwrap_or(&mut scratch);
        let (sum, known) =
            network.backward(&backend, parameters, &mut work, n, mode != Mode::Inference, target).unwrap();
        sum / known as f64
    }

    #[test]
    fn every_variant_by_central_differences() {
        let mut checked = 0;
        for projection in [Projection::None, Projection::OneSided, Projection::Both(4)] {
            for fusion in [Fusion::Static, Fusion::Input, Fusion::Concat, Fusion::Average] {
                for (head, task) in
                    [(vec![], Task::Regression), (vec![6], Task::Binary), (vec![5, 3], Task::MultiLabel)]
                {
                    let config = FusionConfig {
                        d_partner: 3,
                        d_rna: if projection == Projection::None && fusion != Fusion::Concat { 3 } else { 2 },
                        projection,
                        fusion,
                        head,
                        n_outputs: if task == Task::MultiLabel { 2 } else { 1 },
                        dropout_projection: 0.2,
                        dropout_head: 0.4,
                        task,
                    };
                    let network = FusionNetwork::new(config).unwrap();
                    let mut labels: Vec<f64> = wave(5 * network.config.n_outputs, 1.9);
                    if task != Task::Regression {
                        labels = labels.into_iter().map(|y| f64::from(y > 0.0)).collect();
                    }
                    if task == Task::MultiLabel {
                        labels[3] = f64::NAN;
                    }
                    let parameters: Vec<f64> = network.layout.initial(11).into_iter().map(f64::from).collect();
                    for mode in [Mode::Inference, Mode::Training { seed: 5, step: 2 }] {
                        let mut gradient = vec![f64::NAN; network.layout.len()];
                        loss(&network, &parameters, &labels, mode, Some(&mut gradient));
                        for i in 0..parameters.len() {
                            let at = |shift: f64| {
                                let mut moved = parameters.clone();
                                moved[i] += shift;
                                loss(&network, &moved, &labels, mode, None)
                            };
                            let want = (at(1e-6) - at(-1e-6)) / 2e-6;
                            // Central differences in f64 at 1e-6 leave about 1e-9; measured worst 3e-10.
                            assert!(
                                (gradient[i] - want).abs() < 1e-8,
                                "{} parameter {i}: {} for {want}",
                                network.config.summary(),
                                gradient[i]
                            );
                            checked += 1;
                        }
                    }
                }
            }
        }
        assert!(checked > 3_000, "{checked} derivatives checked");
    }
}
