//! Mole-BERT among the encoders of molecules.

use std::path::Path;

use super::{MoleculeEncoder, Places};
use crate::data::EncoderIdentity;
use crate::embed::Pooling;
use crate::error::{Error, Result};
use crate::models::backbone::{Backbone, Network};
use crate::models::gin::{Gin, GinConfig, MoleculeBatch, Readout};
use crate::models::mole_bert::{Codebook, N_CODES};
use crate::mol::Molecule;
use crate::ops::Backend;
use crate::ops::linear::Precision;

/// Atoms that are computed together: enough rows for the weights to be read once for all of them, and few enough for
/// every thread to have a share of a small library.
const ATOMS_TOGETHER: usize = 512;

/// Mole-BERT, or the encoder of its atom tokenizer with the codebook.
///
/// With a codebook there are `codes`, and a row of `per-atom` ends with the code of the atom.
pub struct MoleBertEncoder<B: Backend> {
    backend: B,
    network: Gin<B>,
    codebook: Option<Codebook>,
    name: String,
    digest: String,
    poolings: Vec<Pooling>,
}

impl<B: Backend> MoleBertEncoder<B> {
    /// Loads the network of an opened backbone, whose folder is `path`. One thread of `backend` serves several at once.
    ///
    /// # Errors
    /// [`Error::Format`] for a backbone that is no molecule network; those of [`Gin::load`].
    pub fn load(backend: B, backbone: &Backbone, path: &Path, precision: Precision) -> Result<Self> {
        let config = &backbone.config;
        let Network::MoleBert(graph) = &config.network else {
            let reason = format!("'{}' is no molecule network", config.name);
            return Err(Error::format(path, reason, "name the folder of a Mole-BERT"));
        };
        let sizes = GinConfig { n_layers: graph.n_layers, d_model: graph.d_model };
        let network = Gin::load(&backend, sizes, backbone.scope(), precision)?;
        let codebook = graph.n_codes.map(|_| Codebook::load(graph.d_model, backbone.scope())).transpose()?;
        let mut poolings = vec![Pooling::Mean, Pooling::Sum, Pooling::Max, Pooling::PerAtom];
        poolings.extend(codebook.is_some().then_some(Pooling::Codes));
        let precision = match precision {
            Precision::F32 => "f32",
            Precision::Int8 => "int8",
        };
        let digest = blake3::hash(format!("{} in {precision}", config.weights_digest).as_bytes()).to_hex().to_string();
        Ok(Self { backend, network, codebook, name: config.name.clone(), digest, poolings })
    }

    fn write(&self, pooling: Pooling, molecule: &Molecule, states: &[f32], out: &mut [f32]) {
        let codes = |codebook: &Codebook| codebook.codes(molecule, states);
        match (pooling, &self.codebook) {
            (Pooling::PerAtom, None) => out.copy_from_slice(states),
            (Pooling::PerAtom, Some(codebook)) => {
                let d = self.network.config().d_model;
                let rows = out.chunks_exact_mut(d + 1).zip(states.chunks_exact(d));
                for ((row, state), code) in rows.zip(codes(codebook)) {
                    row[..d].copy_from_slice(state);
                    row[d] = f32::from(code);
                }
            }
            (Pooling::Codes, Some(codebook)) => Codebook::shares(&codes(codebook), out),
            (Pooling::Sum, _) => Readout::Sum.write(states, out),
            (Pooling::Max, _) => Readout::Max.write(states, out),
            _ => Readout::Mean.write(states, out),
        }
    }
}

impl<B: Backend + Send + Sync> MoleculeEncoder for MoleBertEncoder<B> {
    fn poolings(&self) -> &[Pooling] {
        &self.poolings
    }
    fn identity(&self, pooling: Pooling) -> EncoderIdentity {
        EncoderIdentity { name: self.name.clone(), digest: self.digest.clone(), pooling: pooling.name().to_owned() }
    }
    fn dim(&self, pooling: Pooling) -> usize {
        match pooling {
            Pooling::Codes => N_CODES,
            Pooling::PerAtom => self.network.config().d_model + usize::from(self.codebook.is_some()),
            _ => self.network.config().d_model,
        }
    }
    fn check(&self, molecule: &Molecule) -> Result<(), String> {
        MoleculeBatch::refusal(molecule).map_or(Ok(()), |reason| Err(format!("it {reason}")))
    }
    fn atoms_together(&self) -> usize {
        ATOMS_TOGETHER
    }
    fn encode(&self, molecules: &[Molecule], poolings: &[Pooling], out: &mut [Places<'_>]) -> Result<()> {
        let batch = MoleculeBatch::new(molecules)?;
        let mut work = self.network.workspace(&self.backend)?;
        self.network.forward(&self.backend, &batch, &mut work)?;
        let states = work.download(&self.backend, self.network.config(), batch.n_atoms())?;
        let d = self.network.config().d_model;
        for ((molecule, atoms), places) in molecules.iter().zip(batch.molecules()).zip(out) {
            for (&pooling, out) in poolings.iter().zip(places) {
                self.write(pooling, molecule, &states[atoms.start * d..atoms.end * d], out);
            }
        }
        Ok(())
    }
}
