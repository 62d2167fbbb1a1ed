"""Writes molecules.tsv: what RDKit (2026.9.1, default stereo perception) makes of each line of molecules.smi.

    python molecules.py            needs rdkit

Columns: SMILES, atoms, bonds. An atom is number,chirality,charge,hydrogens,isotope,aromatic,in ring; a bond is
begin,end,order,direction,in ring (chirality 0 none, 1 clockwise, 2 counter-clockwise; order 0 single, 1 double, 2 triple,
3 aromatic; direction 0 none, 1 up, 2 down). `refused` in the place of atoms: RDKit gives no molecule;
`out-of-vocabulary`: it does, but one with a bond, element or chirality that the features have no number for.
"""

from pathlib import Path

from rdkit import Chem, RDLogger

CHIRALITY = {"CHI_UNSPECIFIED": 0, "CHI_TETRAHEDRAL_CW": 1, "CHI_TETRAHEDRAL_CCW": 2}
ORDER = {"SINGLE": 0, "DOUBLE": 1, "TRIPLE": 2, "AROMATIC": 3}
DIRECTION = {"NONE": 0, "ENDUPRIGHT": 1, "ENDDOWNRIGHT": 2}


def joined(rows):
    return ";".join(",".join(str(int(field)) for field in row) for row in rows)


def features(smiles):
    try:
        molecule = Chem.MolFromSmiles(smiles)
    except Exception:
        molecule = None
    if molecule is None or molecule.GetNumAtoms() == 0:
        return "refused\t"
    try:
        atoms = [
            (
                atom.GetAtomicNum(),
                CHIRALITY[str(atom.GetChiralTag())],
                atom.GetFormalCharge(),
                atom.GetTotalNumHs(),
                atom.GetIsotope(),
                atom.GetIsAromatic(),
                atom.IsInRing(),
            )
            for atom in molecule.GetAtoms()
        ]
        bonds = [
            (
                bond.GetBeginAtomIdx(),
                bond.GetEndAtomIdx(),
                ORDER[str(bond.GetBondType())],
                DIRECTION[str(bond.GetBondDir())],
                bond.IsInRing(),
            )
            for bond in molecule.GetBonds()
        ]
    except KeyError:
        return "out-of-vocabulary\t"
    if any(atom[0] == 0 for atom in atoms):
        return "out-of-vocabulary\t"
    return joined(atoms) + "\t" + joined(bonds)


if __name__ == "__main__":
    RDLogger.DisableLog("rdApp.*")
    folder = Path(__file__).parent
    lines = (folder / "molecules.smi").read_text().splitlines()
    table = [f"{smiles}\t{features(smiles)}\n" for smiles in lines]
    (folder / "molecules.tsv").write_text("".join(table))
