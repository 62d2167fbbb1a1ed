"""The case of Mole-BERT: a graph network in plain torch, its checkpoint in both PyTorch formats, and a codebook."""

import pathlib
import pickle

import numpy as np
import torch
from rdkit import Chem
from torch import nn

import independent
from sequences import Named, agree, as_f64

D_MODEL, N_LAYERS, N_CODES = 16, 2, 512
SMILES = [
    "C", "O", "CC", "C#N", "CC(=O)[O-].[Na+]", "CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "N[C@@H](CS)C(=O)O",
    "C/C=C/C", "C/C=C\\Cl", "c1ccc2[nH]ccc2c1", "OP(=O)(O)OC[C@H]1O[C@@H](n2ccc(=O)[nH]c2=O)[C@H](O)[C@@H]1O",
]  # fmt: skip
CHIRALITY = {Chem.CHI_UNSPECIFIED: 0, Chem.CHI_TETRAHEDRAL_CW: 1, Chem.CHI_TETRAHEDRAL_CCW: 2}
BOND_TYPE = {Chem.BondType.SINGLE: 0, Chem.BondType.DOUBLE: 1, Chem.BondType.TRIPLE: 2, Chem.BondType.AROMATIC: 3}
BOND_DIRECTION = {Chem.BondDir.NONE: 0, Chem.BondDir.ENDUPRIGHT: 1, Chem.BondDir.ENDDOWNRIGHT: 2}
# Codes of carbon, nitrogen and oxygen by atomic number - 1; the rest share one block. Half-open.
BLOCKS, OTHER_BLOCK = {5: (0, 377), 6: (378, 433), 7: (434, 488)}, (489, 511)


class Layer(nn.Module):
    """Sum over neighbours and the atom itself, then a perceptron of one hidden layer."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d))
        self.edge_embedding1, self.edge_embedding2 = nn.Embedding(6, d), nn.Embedding(3, d)

    def aggregate(self, h: torch.Tensor, edges: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """`edges [2, E]` from row 0 to row 1, `features [E, 2]`; every atom has an edge to itself, of type 4."""
        n = len(h)
        edges = torch.cat([edges, torch.arange(n).repeat(2, 1)], dim=1)
        features = torch.cat([features, torch.tensor([[4, 0]]).repeat(n, 1)])
        messages = h[edges[0]] + self.edge_embedding1(features[:, 0]) + self.edge_embedding2(features[:, 1])
        return torch.zeros_like(h).index_add(0, edges[1], messages)


class Network(nn.Module):
    """Names and shapes of the published checkpoint."""

    def __init__(self, n_layers: int, d: int) -> None:
        super().__init__()
        self.x_embedding1, self.x_embedding2 = nn.Embedding(120, d), nn.Embedding(3, d)
        self.gnns = nn.ModuleList(Layer(d) for _ in range(n_layers))
        self.batch_norms = nn.ModuleList(nn.BatchNorm1d(d) for _ in range(n_layers))

    def forward(self, atoms: torch.Tensor, edges: torch.Tensor, features: torch.Tensor) -> Named:
        """Every intermediate; `nodes [n_atoms, d]` is the result."""
        h = self.x_embedding1(atoms[:, 0]) + self.x_embedding2(atoms[:, 1])
        trace = {"embedding": h}
        for n, (layer, norm) in enumerate(zip(self.gnns, self.batch_norms, strict=True)):
            m = layer.aggregate(h, edges, features)
            z = layer.mlp(m)
            h = norm(z) if n + 1 == len(self.gnns) else norm(z).relu()
            trace |= {f"layers.{n}.aggregate": m, f"layers.{n}.mlp": z, f"layers.{n}.output": h}
        return trace | {"nodes": h}


def randomise(model: nn.Module) -> None:
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in sorted(model.state_dict().items()):
            if tensor.dtype != torch.float32:
                tensor.fill_(1000)
                continue
            values = torch.randn(tensor.shape, generator=draw)
            if "mlp" in name and tensor.dim() == 2:
                values /= tensor.shape[1] ** 0.5
            elif name.endswith("running_var"):
                values = 0.5 + 2.0 * values.abs()
            elif "batch_norms" in name and name.endswith("weight"):
                values = 1.0 + 0.3 * values
            tensor.copy_(values)


def save_legacy(weights: Named, path: pathlib.Path) -> None:
    """torch.save in the format before the zip one, with counted storage keys: torch takes their addresses."""
    keys: dict[str, str] = {}
    torch.serialization.str = lambda address: keys.setdefault(f"{address}", f"{len(keys):08d}")
    try:
        with path.open("wb") as file:
            torch.serialization._legacy_save(weights, file, pickle, 2)
    finally:
        del torch.serialization.str
    loaded = torch.load(path, weights_only=True)
    assert loaded.keys() == weights.keys() and all(torch.equal(loaded[k], weights[k]) for k in weights)


def graph(smiles: str) -> tuple[np.ndarray, np.ndarray]:
    """`atoms [n, 2]`: atomic number - 1, chirality; `bonds [m, 4]`: begin, end, type, direction."""
    molecule = Chem.MolFromSmiles(smiles)
    atoms = [[a.GetAtomicNum() - 1, CHIRALITY[a.GetChiralTag()]] for a in molecule.GetAtoms()]
    bonds = [
        [b.GetBeginAtomIdx(), b.GetEndAtomIdx(), BOND_TYPE[b.GetBondType()], BOND_DIRECTION[b.GetBondDir()]]
        for b in molecule.GetBonds()
    ]
    return np.array(atoms), np.array(bonds, dtype=np.int64).reshape(-1, 4)


def nearest_codes(nodes: np.ndarray, atoms: np.ndarray, codebook: np.ndarray) -> tuple[list[int], float]:
    """The nearest code of each atom within the block of its element, and the least gap to the second nearest."""
    codes, margin = [], np.inf
    for state, kind in zip(nodes, atoms[:, 0], strict=True):
        start, end = BLOCKS.get(int(kind), OTHER_BLOCK)
        distance = ((codebook[start:end] - state) ** 2).sum(-1)
        order = distance.argsort(kind="stable")
        codes.append(start + int(order[0]))
        margin = min(margin, float(distance[order[1]] - distance[order[0]]))
    return codes, margin


def mole_bert(folder: pathlib.Path) -> tuple[str, list[dict], dict, Named]:
    """Mole-BERT: the checkpoint as zip and as legacy file, a codebook, graphs, states and codes."""
    model = Network(N_LAYERS, D_MODEL).eval()
    randomise(model)
    weights = dict(sorted(model.state_dict().items()))
    torch.save(weights, folder / "molebert_tiny.pth")
    save_legacy(weights, folder / "molebert_tiny_legacy.pth")
    codebook = 2.0 * torch.randn(N_CODES, D_MODEL, generator=torch.Generator().manual_seed(4))
    torch.save({"embeddings.weight": codebook}, folder / "molebert_tiny_vqquantizer.pth")

    stored = as_f64(torch.load(folder / "molebert_tiny.pth", weights_only=True))
    model.double()
    features, codes, out = [], {}, {}
    for number, smiles in enumerate(SMILES):
        atoms, bonds = graph(smiles)
        both_ways = np.concatenate([bonds[:, [0, 1]], bonds[:, [1, 0]]])
        edges, kinds = torch.tensor(both_ways.T), torch.tensor(np.concatenate([bonds[:, 2:]] * 2))
        with torch.no_grad():
            trace = model(torch.tensor(atoms), edges, kinds)
        agree(f"mole-bert {smiles}", trace, independent.graph_network(stored, atoms, bonds, N_LAYERS))
        nodes = trace["nodes"]
        pooled = {"mean": nodes.mean(0), "sum": nodes.sum(0), "max": nodes.max(0).values}
        out |= {f"{number}.{what}": value for what, value in (trace | pooled).items()}
        found, margin = nearest_codes(nodes.numpy(), atoms, codebook.double().numpy())
        codes[str(number)] = {"codes": found, "margin_min": margin}
        features.append({"id": number, "smiles": smiles, "ok": True, "x": atoms.tolist(), "bonds": bonds.tolist()})
    print(f"least margin of a code: {min(entry['margin_min'] for entry in codes.values()):.2e}")
    return "molebert_tiny", features, codes, out
