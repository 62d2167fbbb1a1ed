//! Small molecules: SMILES to a graph with RDKit's result.

mod aromaticity;
mod electrons;
mod element;
mod graph;
mod hybridisation;
mod hydrogens;
mod kekulise;
mod molecule;
mod normalise;
mod radicals;
mod refusal;
mod rings;
mod sanitise;
mod smiles;
mod stereo;
#[cfg(test)]
mod tests;
mod valence;

pub use molecule::{Atom, Bond, BondDirection, BondOrder, Chirality, Molecule};
pub use refusal::{Reason, Refusal};

/// The molecule of a SMILES, as RDKit's `MolFromSmiles` with its default clean-up gives it: same atoms and bonds in the
/// same order, hydrogens removed, aromaticity perceived, meaningless stereo marks deleted.
///
/// Blanks before the SMILES and everything from the first blank behind it (a name) are ignored.
///
/// # Errors
/// When the string is no SMILES, its valences or aromatic rings are impossible, or it has something without a number in
/// the vocabulary of the molecule encoder (any-atom `*`, dative, quadruple and any-order bonds, chirality classes other
/// than tetrahedral).
pub fn parse(smiles: &str) -> Result<Molecule, Refusal> {
    let text = smiles.split_ascii_whitespace().next().unwrap_or("");
    sanitise::sanitise(smiles::read(text)?)
}
