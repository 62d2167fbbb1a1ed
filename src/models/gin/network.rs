//! The weights and the forward pass.

use super::batch::{MoleculeBatch, N_ATOM_TYPES, N_BOND_DIRECTIONS, N_BOND_ORDERS, N_CHIRALITIES, N_KINDS, SELF_LOOP};
use super::config::GinConfig;
use super::workspace::GinWorkspace;
use crate::backend::{Activation, Matrix, MatrixMut, Memory};
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::batch_norm::{STATISTICS, batch_norm};
use crate::ops::gin_aggregate::gin_aggregate;
use crate::ops::linear::{Epilogue, LinearTensors, Precision, linear};
use crate::weights::Scope;

/// ε of the batch norms.
const EPSILON: f64 = 1e-5;

/// The network with its weights.
pub struct Gin<B: Backend> {
    config: GinConfig,
    /// Table of atom types `[120, d_model]`, on the host: rows are looked up while a batch is uploaded.
    types: Vec<f32>,
    /// Table of chiral tags `[3, d_model]`.
    chiralities: Vec<f32>,
    layers: Vec<Layer<B>>,
}

struct Layer<B: Backend> {
    /// One row per kind of edge, `[N_KINDS, d_model]`.
    edges: B::Buffer<f32>,
    /// `[2·d_model, d_model]`.
    up: B::Weights,
    /// `[d_model, 2·d_model]`.
    down: B::Weights,
    /// Mean, scale and shift of the norm, `[3, d_model]`.
    norm: B::Buffer<f32>,
}

impl<B: Backend> Gin<B> {
    /// Takes the tensors that `config` asks for, by their published names.
    ///
    /// # Errors
    /// When the sizes make no network; when a tensor is absent or of another shape; what the device reports.
    pub fn load(backend: &B, config: GinConfig, scope: &Scope, precision: Precision) -> Result<Self> {
        config.check()?;
        let d = config.d_model;
        let types = scope.take("x_embedding1.weight", &[N_ATOM_TYPES, d])?.to_f32();
        let chiralities = scope.take("x_embedding2.weight", &[N_CHIRALITIES, d])?.to_f32();
        let layer = |index| Layer::load(backend, &config, scope, index, precision);
        let layers = (0..config.n_layers).map(layer).collect::<Result<_>>()?;
        Ok(Self { config, types, chiralities, layers })
    }

    /// Sizes of the network.
    #[must_use]
    pub fn config(&self) -> &GinConfig {
        &self.config
    }

    /// Memory for [`forward`](Self::forward); it grows with the batches.
    ///
    /// # Errors
    /// What the device reports.
    pub fn workspace<A: Activation>(&self, backend: &B) -> Result<GinWorkspace<B, A>> {
        GinWorkspace::new(backend)
    }

    /// Runs a batch; [`GinWorkspace::download`] then gives the states behind the last layer. A molecule's states are the
    /// same in any batch, bit for bit.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward<A: Activation>(
        &self,
        backend: &B,
        batch: &MoleculeBatch,
        work: &mut GinWorkspace<B, A>,
    ) -> Result<()> {
        let n = batch.n_atoms();
        let [d, inner] = [self.config.d_model, self.config.d_inner()].map(|width| backend.padded(width));
        let graph = work.admit(backend, &self.config, batch, &self.embed(batch, d))?;
        for (number, layer) in self.layers.iter().enumerate() {
            gin_aggregate(
                backend,
                &graph,
                SELF_LOOP,
                Matrix::of(backend, &work.states, n, d),
                Matrix::of(backend, &layer.edges, N_KINDS, d),
                MatrixMut::of(backend, &mut work.messages, n, d),
            )?;
            let messages = Matrix::of(backend, &work.messages, n, d);
            linear(backend, messages, &layer.up, Epilogue::Relu, MatrixMut::of(backend, &mut work.inner, n, inner))?;
            let activations = Matrix::of(backend, &work.inner, n, inner);
            let states = MatrixMut::of(backend, &mut work.states, n, d);
            linear(backend, activations, &layer.down, Epilogue::Store, states)?;
            let states = MatrixMut::of(backend, &mut work.states, n, d);
            let relu = number + 1 < self.layers.len();
            batch_norm(backend, states, Matrix::of(backend, &layer.norm, STATISTICS, d), relu)?;
        }
        Ok(())
    }

    /// `A₁[type] + A₂[chirality]` of each atom, rows padded to `width`.
    fn embed<A: Activation>(&self, batch: &MoleculeBatch, width: usize) -> Vec<A> {
        let d = self.config.d_model;
        let row = |i: u8| usize::from(i) * d..(usize::from(i) + 1) * d;
        let mut states = Vec::with_capacity(batch.n_atoms() * width);
        for (i, &(kind, chirality)) in batch.atoms.iter().enumerate() {
            let sum = self.types[row(kind)].iter().zip(&self.chiralities[row(chirality)]).map(|(a, b)| a + b);
            states.extend(sum.map(A::rounded));
            states.resize((i + 1) * width, A::default());
        }
        states
    }
}

impl<B: Backend> Layer<B> {
    fn load(backend: &B, config: &GinConfig, scope: &Scope, index: usize, precision: Precision) -> Result<Self> {
        let (d, inner) = (config.d_model, config.d_inner());
        let (gnn, norm) = (scope.within(&format!("gnns.{index}")), scope.within(&format!("batch_norms.{index}")));
        let load = |part: &str, shape: [usize; 2]| {
            let weight = gnn.take(&format!("{part}.weight"), &shape)?;
            let bias = gnn.take(&format!("{part}.bias"), &shape[..1])?;
            backend.load_linear(LinearTensors::Stacked { weights: &[weight], biases: &[bias] }, precision)
        };
        let (up, down) = (load("mlp.0", [inner, d])?, load("mlp.2", [d, inner])?);
        let orders = gnn.take("edge_embedding1.weight", &[N_BOND_ORDERS, d])?.to_f32();
        let directions = gnn.take("edge_embedding2.weight", &[N_BOND_DIRECTIONS, d])?.to_f32();
        let sum = |(order, direction): (&[f32], &[f32])| -> Vec<f32> {
            order.iter().zip(direction).map(|(a, b)| a + b).collect()
        };
        let pairs = orders.chunks(d).flat_map(|order| directions.chunks(d).map(move |direction| (order, direction)));
        let edges: Vec<f32> = pairs.flat_map(sum).collect();
        let column = |part: &str| norm.take(part, &[d]).map(|tensor| tensor.to_f32());
        let rows = |numbers: &[f32]| backend.uploaded(&padded_rows(backend, d, numbers));
        let (gamma, beta) = (column("weight")?, column("bias")?);
        let (mean, variance) = (column("running_mean")?, column("running_var")?);
        let scale =
            |(&gamma, &variance): (&f32, &f32)| (f64::from(gamma) / (f64::from(variance) + EPSILON).sqrt()) as f32;
        let scale: Vec<f32> = gamma.iter().zip(&variance).map(scale).collect();
        Ok(Self { edges: rows(&edges)?, up, down, norm: rows(&[mean, scale, beta].concat())? })
    }
}

/// Rows of `d` numbers as the device lays them out.
fn padded_rows<B: Memory>(backend: &B, d: usize, numbers: &[f32]) -> Vec<f32> {
    let width = backend.padded(d);
    let mut rows = Vec::with_capacity(numbers.len() / d * width);
    for row in numbers.chunks_exact(d) {
        rows.extend(row);
        rows.resize(rows.len() + width - d, 0.0);
    }
    rows
}
