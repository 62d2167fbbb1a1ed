//! The backward pass, derived by hand; checked by central differences in f64.

use super::config::Fusion;
use super::layout::Linear;
use super::network::FusionNetwork;
use super::parameters::{Moments, Parameters};
use super::workspace::{Rows, Workspace};
use crate::backend::{Memory, Real, StackMut};
use crate::error::Result;
use crate::ops::TrainingBackend;
use crate::ops::bias_activation::bias_activation_gradient;
use crate::ops::clock::Clock;
use crate::ops::gate::{GateInputs, gate_gradient, split_rows};
use crate::ops::gemm::{Product, gemm};
use crate::ops::pair_loss::pair_loss;
use crate::ops::weight_update::{AdamConfig, AdamStep, LayerGradient, Rule, weight_update};

/// A step of every run of a cohort.
pub struct Step<'a, B: Memory> {
    /// Pairs of the run that has most.
    pub n: usize,
    /// What each run does.
    pub clock: Clock<'a, B>,
    /// Whether the forward pass dropped elements.
    pub dropout: bool,
}

/// What becomes of the gradient of the mean loss with respect to every parameter.
pub enum Learning<'a, B: TrainingBackend<T>, T: Real> {
    /// It is written, in the layout of the parameters.
    Gradient(&'a mut Parameters<B, T>),
    /// The parameters take a step of Adam, layer by layer as the pass goes back.
    Adam(AdamConfig, &'a mut Moments<B, T>),
}

impl FusionNetwork {
    /// Goes back through the pairs of a step in `work`: adds their loss to its totals, and lets every parameter
    /// learn from the gradient of their mean loss. Runs that idle in `clock` learn nothing.
    ///
    /// The forward pass of the same step must have run; its dropout masks are read off the stored activations.
    ///
    /// # Errors
    /// What the ops report.
    pub fn backward<B: TrainingBackend<T>, T: Real>(
        &self,
        backend: &B,
        parameters: &mut Parameters<B, T>,
        work: &mut Workspace<B, T>,
        step: &Step<'_, B>,
        learning: &mut Learning<'_, B, T>,
    ) -> Result<()> {
        let Step { n, clock, dropout } = *step;
        let (config, layout, rows) = (&self.config, &self.layout, work.rows(n));
        let last = layout.head.len();
        let rate = |rate: f32| if dropout { rate } else { 0.0 };
        pair_loss(
            backend,
            config.loss(),
            rows.of(backend, &work.layers[last], config.n_outputs),
            rows.of(backend, &work.labels, config.n_outputs),
            rows.of_mut(backend, &mut work.layer_gradients[last], config.n_outputs),
            StackMut::at(backend, &mut work.totals, 0, 2, [work.runs, 1, 2]),
        )?;
        let mut pass = Pass { backend, clock, rows, parameters, learning };
        for (i, linear) in layout.head.iter().enumerate().rev() {
            let (before, after) = work.layer_gradients.split_at_mut(i + 1);
            let relu_rate = (i + 1 < last).then(|| rate(config.dropout_head));
            let flow = Flow { x: &work.layers[i], y: &work.layers[i + 1], dy: &mut after[0], dx: Some(&mut before[i]) };
            pass.linear(linear, flow, relu_rate)?;
        }

        let (p_width, r_width) = (config.partner_width(), config.rna_width());
        let p_from = if layout.partner.is_some() { &work.projected[0] } else { &work.partner };
        let r_from = if layout.rna.is_some() { &work.projected[1] } else { &work.rna };
        let [dp, dr] = &mut work.projected_gradient;
        let dx = rows.of(backend, &work.layer_gradients[0], config.fused_width());
        if config.fusion == Fusion::Concat {
            let sides = (rows.of_mut(backend, dp, p_width), rows.of_mut(backend, dr, r_width));
            split_rows(backend, dx, false, sides.0, sides.1)?;
        } else {
            let inputs = GateInputs {
                g: self.gate_logits(backend, pass.parameters, &work.gate, rows),
                p: rows.of(backend, p_from, p_width),
                r: rows.of(backend, r_from, r_width),
            };
            let learns = config.fusion != Fusion::Average;
            let dg = learns.then(|| rows.of_mut(backend, &mut work.gate_gradient, p_width));
            let sides = (rows.of_mut(backend, dp, p_width), rows.of_mut(backend, dr, r_width));
            gate_gradient(backend, &inputs, dx, dg, sides.0, sides.1)?;
        }
        if let Some(tensor) = &layout.static_gate {
            let dy = rows.of(backend, &work.gate_gradient, p_width);
            pass.learn(tensor.range(), &LayerGradient { x: None, dy })?;
        }
        if let Some(linear) = &layout.input_gate {
            let flow = Flow {
                x: &work.joined,
                y: &work.gate,
                dy: &mut work.gate_gradient,
                dx: Some(&mut work.joined_gradient),
            };
            pass.linear(linear, flow, None)?;
            let joined = rows.of(backend, &work.joined_gradient, p_width + r_width);
            let sides = (rows.of_mut(backend, dp, p_width), rows.of_mut(backend, dr, r_width));
            split_rows(backend, joined, true, sides.0, sides.1)?;
        }
        let relu_rate = Some(rate(config.dropout_projection));
        let sides = [
            (&layout.partner, &work.partner, &work.projected[0], dp),
            (&layout.rna, &work.rna, &work.projected[1], dr),
        ];
        for (linear, x, y, dy) in sides {
            if let Some(linear) = linear {
                pass.linear(linear, Flow { x, y, dy, dx: None }, relu_rate)?;
            }
        }
        Ok(())
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

/// What the layers of a pass share.
struct Pass<'a, 'c, 'l, B: TrainingBackend<T>, T: Real> {
    backend: &'a B,
    clock: Clock<'c, B>,
    rows: Rows,
    parameters: &'a mut Parameters<B, T>,
    learning: &'a mut Learning<'l, B, T>,
}

impl<B: TrainingBackend<T>, T: Real> Pass<'_, '_, '_, B, T> {
    /// Gradient of `y = dropout(relu(x·Wᵀ + b))`: `dx = dy·W`, `dW = dyᵀ·x`, `db = Σ dy`.
    fn linear(&mut self, linear: &Linear, flow: Flow<'_, B::Buffer<T>>, relu_rate: Option<f32>) -> Result<()> {
        let (outputs, inputs) = (linear.weight.rows, linear.weight.cols);
        let (backend, rows) = (self.backend, self.rows);
        if let Some(rate) = relu_rate {
            let y = rows.of(backend, flow.y, outputs);
            bias_activation_gradient(backend, rate, y, rows.of_mut(backend, flow.dy, outputs))?;
        }
        let dy = rows.of(backend, flow.dy, outputs);
        // Before the weights that it reads have learned.
        if let Some(dx) = flow.dx {
            let weight = self.parameters.stack(backend, linear.weight.offset, outputs, inputs);
            gemm(backend, Product::Nn, dy, weight, rows.of_mut(backend, dx, inputs))?;
        }
        self.learn(linear.range(), &LayerGradient { x: Some(rows.of(backend, flow.x, inputs)), dy })
    }

    /// The parameters `range` learn.
    fn learn(&mut self, range: std::ops::Range<usize>, layer: &LayerGradient<'_, B, T>) -> Result<()> {
        let backend = self.backend;
        let rule = match self.learning {
            Learning::Gradient(gradient) => Rule::Gradient(gradient.part(backend, range)),
            Learning::Adam(config, moments) => Rule::Adam(AdamStep {
                config: *config,
                parameters: self.parameters.part(backend, range.clone()),
                first: moments.first.part(backend, range.clone()),
                second: moments.second.part(backend, range),
            }),
        };
        weight_update(backend, self.clock, layer, rule)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FusionConfig, Projection};
    use super::*;
    use crate::backend::{Cpu, Matrix};
    use crate::data::Task;
    use crate::ops::clock::{CLOCK_WORDS, Tick};

    fn wave(n: usize, f: f64) -> Vec<f64> {
        (0..n).map(|i| ((i + 1) as f64 * f).sin()).collect()
    }

    /// A step with dropout.
    const TICK: Tick = Tick { seed: 5, step: 2, n_rows: 5, first: 0, rate: 0.0, root: 0.0 };

    /// Loss of one batch at `parameters`, and its gradient.
    fn loss(network: &FusionNetwork, values: &[f64], labels: &[f64], dropout: bool) -> (f64, Vec<f64>) {
        let (backend, n, config) = (Cpu::single(), 5, &network.config);
        let mut work = Workspace::<Cpu, f64>::new(&backend, config, 1, n, true).unwrap();
        work.partner.copy_from_slice(&wave(n * config.d_partner, 0.37));
        work.rna.copy_from_slice(&wave(n * config.d_rna, 0.73));
        work.labels.copy_from_slice(labels);
        let words = TICK.words().to_vec();
        let clock = Matrix::of(&backend, &words, 1, CLOCK_WORDS);
        let mut parameters = Parameters::uploaded(&backend, values).unwrap();
        network.forward(&backend, &parameters, &mut work, n, dropout.then_some(clock)).unwrap();
        let mut gradient = Parameters::uploaded(&backend, &vec![f64::NAN; values.len()]).unwrap();
        let mut learning = Learning::Gradient(&mut gradient);
        network.backward(&backend, &mut parameters, &mut work, &Step { n, clock, dropout }, &mut learning).unwrap();
        (work.totals[0] / work.totals[1], gradient.download(&backend, 0, values.len()).unwrap())
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
                    for dropout in [false, true] {
                        let (_, gradient) = loss(&network, &parameters, &labels, dropout);
                        for i in 0..parameters.len() {
                            let at = |shift: f64| {
                                let mut moved = parameters.clone();
                                moved[i] += shift;
                                loss(&network, &moved, &labels, dropout).0
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
