"""Makes the files of this folder: python generate.py

Needs torch, transformers, multimolecule, fair-esm, rdkit, safetensors and numpy; README.md tells what each file is,
versions.json which versions made them. The same versions give the same bytes.

All weights are random. Expected values are what the reference libraries compute in f64, one sequence at a time, every
intermediate included. Before anything is written, an independent numpy implementation (independent.py) reads the saved
checkpoints under the names that they have on disk and must agree.
"""

import importlib.metadata
import json
import pathlib
import platform

import numpy as np
import torch
from safetensors.numpy import save_file

import mole_bert
import sequences

HERE = pathlib.Path(__file__).parent
PACKAGES = ["torch", "transformers", "multimolecule", "danling", "fair-esm", "rdkit", "safetensors", "numpy"]


def save_expected(case: str, tensors: dict[str, torch.Tensor]) -> None:
    """Writes `<case>.expected.safetensors`, all in f64."""
    arrays = {name: np.ascontiguousarray(tensor.detach().numpy()) for name, tensor in sorted(tensors.items())}
    assert all(array.dtype == np.float64 for array in arrays.values())
    save_file(arrays, HERE / f"{case}.expected.safetensors")


def save_json(name: str, content: object) -> None:
    """Writes JSON, one key of the outermost object a line."""
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()]
    (HERE / name).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def inverse_frequencies() -> dict[str, list[float]]:
    """Rotary inverse frequencies in f32 as torch computes them, by head width."""
    return {
        str(d_head): (1.0 / (10000 ** (torch.arange(0, d_head, 2, dtype=torch.float32) / d_head))).tolist()
        for d_head in (16, 24, 32, 64, 128)
    }


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    save_json("versions.json", {"python": platform.python_version()} | versions)
    save_json("inv_freq_torch_f32.json", inverse_frequencies())
    for make in (sequences.esm2, sequences.rinalmo):
        case, tokens_file, tokens, expected = make(HERE)
        save_json(tokens_file, tokens)
        save_expected(case, expected)
    case, features, codes, expected = mole_bert.mole_bert(HERE)
    save_json("mol_features.json", {"molecules": features})
    save_json(f"{case}_codes.json", codes)
    save_expected(case, expected)


if __name__ == "__main__":
    main()
