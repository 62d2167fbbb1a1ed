//! Mole-BERT as the pipeline sees it: packing, readouts, codes.

use std::collections::VecDeque;
use std::path::Path;

use half::f16;

use super::MoleculeEncoder;
use crate::backend::Activation;
use crate::data::EncoderIdentity;
use crate::embed::encoder::Refusal;
use crate::embed::pooling::Pooling;
use crate::embed::store::Status;
use crate::embed::vectors::Vectors;
use crate::error::{Error, Result};
use crate::models::backbone::{Backbone, Network};
use crate::models::gin::{Gin, GinConfig, GinWorkspace, MoleculeBatch, Readout};
use crate::models::mole_bert::{Codebook, N_CODES};
use crate::mol::Molecule;
use crate::ops::Backend;
use crate::ops::linear::Precision;
use crate::progress::{Progress, check_interrupt};
use crate::tokens::pack;

const READOUTS: [Pooling; 4] = [Pooling::Mean, Pooling::Sum, Pooling::Max, Pooling::PerAtom];
const WITH_CODES: [Pooling; 5] = [Pooling::Mean, Pooling::Sum, Pooling::Max, Pooling::PerAtom, Pooling::Codes];

/// A graph network of molecules on a device. Where the folder has the codebook of the atom tokenizer there are codes
/// too, and a vector per atom then ends with the atom's code.
pub struct MoleBert<B: Backend, A: Activation = f32> {
    backend: B,
    network: Gin<B>,
    codebook: Option<Codebook>,
    workspace: GinWorkspace<B, A>,
    /// Atoms that are computed together; a larger molecule is computed alone.
    max_atoms: usize,
    name: String,
    digest: String,
}

impl<B: Backend + Send + Sync + 'static> MoleBert<B> {
    /// Loads the network of an opened backbone; its states lie in f16 where the precision is that, else in f32.
    ///
    /// # Errors
    /// Those of [`MoleBert::load`].
    pub fn boxed(
        backend: B,
        backbone: &Backbone,
        path: &Path,
        precision: Precision,
        max_atoms: usize,
    ) -> Result<Box<dyn MoleculeEncoder>> {
        Ok(match precision {
            Precision::F16 => Box::new(MoleBert::<B, f16>::load(backend, backbone, path, precision, max_atoms)?),
            _ => Box::new(MoleBert::<B, f32>::load(backend, backbone, path, precision, max_atoms)?),
        })
    }
}

impl<B: Backend, A: Activation> MoleBert<B, A> {
    /// Loads the network of an opened backbone.
    ///
    /// # Errors
    /// [`Error::Format`] for a backbone that is no network of molecules; those of [`Gin::load`].
    pub fn load(backend: B, backbone: &Backbone, path: &Path, precision: Precision, max_atoms: usize) -> Result<Self> {
        let Network::MoleBert(sizes) = &backbone.config.network else {
            let reason = format!("'{}' is no network of molecules", backbone.config.name);
            return Err(Error::format(path, reason, "name the folder of a Mole-BERT"));
        };
        let config = GinConfig { n_layers: sizes.n_layers, d_model: sizes.d_model };
        let scope = backbone.scope();
        let network = Gin::load(&backend, config, scope, precision)?;
        let codebook = match sizes.n_codes {
            Some(_) => Some(Codebook::load(config.d_model, scope)?),
            None => None,
        };
        let digest = format!("{} in {}", backbone.config.weights_digest, precision.name());
        Ok(Self {
            workspace: network.workspace(&backend)?,
            backend,
            network,
            codebook,
            max_atoms,
            name: backbone.config.name.clone(),
            digest: blake3::hash(digest.as_bytes()).to_hex().to_string(),
        })
    }

    /// The states of the atoms of `molecules`, `[n_atoms, d_model]`.
    fn states(&mut self, batch: &MoleculeBatch) -> Result<Vec<f32>> {
        self.network.forward(&self.backend, batch, &mut self.workspace)?;
        self.workspace.download(&self.backend, self.network.config(), batch.n_atoms())
    }

    fn write(&self, molecule: &Molecule, states: &[f32], pooling: Pooling, out: &mut [f32]) {
        let readout = match pooling {
            Pooling::Sum => Readout::Sum,
            Pooling::Max => Readout::Max,
            Pooling::PerAtom => return self.write_atoms(molecule, states, out),
            Pooling::Codes => {
                if let Some(codebook) = &self.codebook {
                    Codebook::shares(&codebook.codes(molecule, states), out);
                }
                return;
            }
            _ => Readout::Mean,
        };
        readout.write(states, out);
    }

    fn write_atoms(&self, molecule: &Molecule, states: &[f32], out: &mut [f32]) {
        let Some(codebook) = &self.codebook else { return out.copy_from_slice(states) };
        let d_model = self.network.config().d_model;
        let codes = codebook.codes(molecule, states);
        for ((row, state), code) in out.chunks_exact_mut(d_model + 1).zip(states.chunks_exact(d_model)).zip(codes) {
            row[..d_model].copy_from_slice(state);
            row[d_model] = f32::from(code);
        }
    }
}

impl<B: Backend + Send + Sync, A: Activation> MoleculeEncoder for MoleBert<B, A> {
    fn poolings(&self) -> &[Pooling] {
        if self.codebook.is_some() { &WITH_CODES } else { &READOUTS }
    }
    fn identity(&self, pooling: Pooling) -> EncoderIdentity {
        EncoderIdentity { name: self.name.clone(), digest: self.digest.clone(), pooling: pooling.name().to_owned() }
    }
    fn dim(&self, pooling: Pooling) -> usize {
        let d_model = self.network.config().d_model;
        match pooling {
            Pooling::Codes => N_CODES,
            Pooling::PerAtom => d_model + usize::from(self.codebook.is_some()),
            _ => d_model,
        }
    }
    fn refusal(&self, molecule: &Molecule) -> Option<String> {
        MoleculeBatch::refusal(molecule)
    }
    fn encode(
        &mut self,
        molecules: &[Molecule],
        poolings: &[Pooling],
        vectors: &mut [Vectors],
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, Refusal)>> {
        let sizes: Vec<usize> = molecules.iter().map(|molecule| molecule.atoms.len()).collect();
        let d_model = self.network.config().d_model;
        let mut refused = Vec::new();
        let mut parts = VecDeque::from(pack(&sizes, self.max_atoms));
        while let Some(part) = parts.pop_front() {
            check_interrupt()?;
            let batch = MoleculeBatch::new(part.iter().map(|&i| &molecules[i]))?;
            let states = match self.states(&batch) {
                Err(memory) if memory.is_device_memory() => {
                    if let [alone] = part[..] {
                        let reason = format!("{} atoms: {memory}; choose another device", sizes[alone]);
                        refused.push((alone, Refusal { status: Status::TooLarge, reason }));
                        progress.advance(1);
                    } else {
                        // The same again in halves, and no later batch as large.
                        self.max_atoms = batch.n_atoms() / 2;
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.push_front(second.to_vec());
                        parts.push_front(first.to_vec());
                    }
                    continue;
                }
                states => states?,
            };
            for (&i, atoms) in part.iter().zip(batch.molecules()) {
                let states = &states[atoms.start * d_model..atoms.end * d_model];
                for (&pooling, vectors) in poolings.iter().zip(vectors.iter_mut()) {
                    self.write(&molecules[i], states, pooling, vectors.get_mut(i));
                }
            }
            progress.advance(part.len() as u64);
        }
        Ok(refused)
    }
}
