//! The fingerprint among the encoders of molecules.

use super::{MoleculeEncoder, Places};
use crate::data::EncoderIdentity;
use crate::embed::Pooling;
use crate::error::Result;
use crate::features::Ecfp;
use crate::mol::Molecule;

impl MoleculeEncoder for Ecfp {
    fn poolings(&self) -> &[Pooling] {
        &[Pooling::Mean]
    }
    fn identity(&self, _pooling: Pooling) -> EncoderIdentity {
        Ecfp::identity(*self)
    }
    fn dim(&self, _pooling: Pooling) -> usize {
        Ecfp::dim(*self)
    }
    fn encode(&self, molecules: &[Molecule], _poolings: &[Pooling], out: &mut [Places<'_>]) -> Result<()> {
        for (molecule, places) in molecules.iter().zip(out) {
            for out in places {
                Ecfp::encode(*self, molecule, out);
            }
        }
        Ok(())
    }
}
