"""Converts the published files of the public data sets into FASTA, SMILES and TSV files that biollmnet reads.

Sequences, SMILES, labels and the order of rows stay as published; only white space and carriage returns are removed.
Python's standard library only. `fetch_data.sh` downloads the sources and calls this; by hand:

    convert_data.py --sources SOURCES --out DATA [SET ...]
    convert_data.py --list-sources [SET ...]     # one line per file: repository, commit, path

Sources lie in SOURCES/<owner>/<repository>/<path>, as in their repositories.
"""

import argparse
import csv
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


class BadSource(Exception):
    """A source file is not in the form that it is published in."""


@dataclass(frozen=True)
class DataSet:
    """Where one set comes from and how its folder is made."""

    repository: str
    commit: str
    paths: tuple[str, ...]
    convert: Callable[[list[Path], Path], None]


def squeeze(text: str) -> str:
    """Without any white space; carriage returns are white space."""
    return re.sub(r"\s+", "", text)


def lines_of(path: Path) -> Iterable[tuple[int, str]]:
    """The lines that are not blank, with their 1-based numbers, without line ends."""
    # newline="" would keep lone carriage returns as data; universal newlines turn every kind into "\n".
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.rstrip("\n")


def read_fasta(path: Path) -> dict[str, str]:
    """Records of a FASTA file in file order; sequences may run over several lines."""
    records: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in lines_of(path):
        if line.startswith(">"):
            name = squeeze(line[1:])
            if not name or name in records:
                raise BadSource(f"{path}:{number}: the record id '{name}' is empty or occurs twice")
            current = records[name] = []
        elif current is None:
            raise BadSource(f"{path}:{number}: sequence before the first '>'")
        else:
            current.append(squeeze(line))
    return {name: "".join(parts) for name, parts in records.items()}


def read_table(path: Path, delimiter: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows of a table with a header that has at least `columns`; surrounding white space of a cell is removed."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        # Names of molecules hold apostrophes and inches: in tab-separated files quotes are letters.
        quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting)
        header = [cell.strip() for cell in next(reader, [])]
        missing = [c for c in columns if c not in header]
        if missing:
            raise BadSource(f"{path}: no column {', '.join(missing)}; the header is: {', '.join(header)}")
        rows = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) < len(header):
                raise BadSource(f"{path}:{reader.line_num}: {len(cells)} cells, the header has {len(header)}")
            rows.append(dict(zip(header, (cell.strip() for cell in cells), strict=False)))
        return rows


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """UTF-8, one "\\n" after each line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)


def write_fasta(path: Path, records: dict[str, str]) -> None:
    """Two lines a record."""
    write_lines(path, (line for name, sequence in records.items() for line in (f">{name}", sequence)))


def write_table(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Tab-separated, with a header."""
    write_lines(path, ("\t".join(row) for row in (header, *rows)))


def used_only(records: dict[str, str], ids: set[str]) -> dict[str, str]:
    """The records that some pair uses, in file order."""
    absent = ids - records.keys()
    if absent:
        raise BadSource(f"no sequence for {len(absent)} ids of the pairs, e.g. {sorted(absent)[0]}")
    return {name: sequence for name, sequence in records.items() if name in ids}


def read_protein_first_pairs(path: Path) -> list[tuple[str, str, str]]:
    """(rna, protein, label) of a file without header whose columns are protein, rna, label, tab-separated."""
    rows = []
    for number, line in lines_of(path):
        # A trailing tab stands at the end of every line of some files.
        cells = line.split()
        if len(cells) != 3 or cells[2] not in ("0", "1"):
            raise BadSource(f"{path}:{number}: expected protein, rna and a label 0 or 1, found {cells}")
        rows.append((cells[1], cells[0], cells[2]))
    return rows


def convert_rna_protein(pair_names: tuple[str, ...]) -> Callable[[list[Path], Path], None]:
    """Pairs files (one per name), then the RNA FASTA file, then the protein FASTA file."""

    def convert(sources: list[Path], out: Path) -> None:
        *pair_files, rna_file, protein_file = sources
        rnas: set[str] = set()
        proteins: set[str] = set()
        for name, source in zip(pair_names, pair_files, strict=True):
            pairs = read_protein_first_pairs(source)
            rnas.update(p[0] for p in pairs)
            proteins.update(p[1] for p in pairs)
            write_table(out / name, ("rna_id", "protein_id", "label"), pairs)
        write_fasta(out / "rna.fasta", used_only(read_fasta(rna_file), rnas))
        write_fasta(out / "protein.fasta", used_only(read_fasta(protein_file), proteins))

    return convert


def convert_plant(sources: list[Path], out: Path) -> None:
    """A CSV file `A,B,Label` whose ids keep the '>' of their FASTA headers, the miRNA and the lncRNA FASTA file."""
    table, mirna_file, lncrna_file = sources
    pairs = [
        (squeeze(row["A"]).removeprefix(">"), squeeze(row["B"]).removeprefix(">"), row["Label"])
        for row in read_table(table, ",", ("A", "B", "Label"))
    ]
    write_table(out / "pairs.tsv", ("mirna_id", "lncrna_id", "label"), pairs)
    write_fasta(out / "mirna.fasta", used_only(read_fasta(mirna_file), {p[0] for p in pairs}))
    write_fasta(out / "lncrna.fasta", used_only(read_fasta(lncrna_file), {p[1] for p in pairs}))


def convert_rsapred(sources: list[Path], out: Path) -> None:
    """A tab-separated table (despite its suffix .csv), one measurement a row; entities in order of first appearance."""
    columns = (
        "Entry_ID", "SMILES", "Target_RNA_sequence", "Molecule_name", "Molecule_ID",
        "Target_RNA_name", "Target_RNA_ID", "pKd",
    )  # fmt: skip
    rows = read_table(sources[0], "\t", columns)
    rnas: dict[str, str] = {}
    molecules: dict[str, str] = {}
    names: dict[tuple[str, str], str] = {}
    for row in rows:
        rna, molecule = row["Target_RNA_ID"], row["Molecule_ID"]
        for known, name, value in (
            (rnas, rna, squeeze(row["Target_RNA_sequence"])),
            (molecules, molecule, squeeze(row["SMILES"])),
        ):
            if known.setdefault(name, value) != value:
                raise BadSource(f"{sources[0]}: two different structures for {name}")
        names.setdefault(("rna", rna), row["Target_RNA_name"])
        names.setdefault(("mol", molecule), row["Molecule_name"])
    write_fasta(out / "rna.fasta", rnas)
    write_lines(out / "molecules.smi", (f"{smiles}\t{name}" for name, smiles in molecules.items()))
    write_table(
        out / "pairs.tsv",
        ("rna_id", "mol_id", "label", "entry_id"),
        ((r["Target_RNA_ID"], r["Molecule_ID"], r["pKd"], r["Entry_ID"]) for r in rows),
    )
    write_table(
        out / "names.tsv",
        ("kind", "id", "name"),
        ((kind, name, value) for wanted in ("rna", "mol") for (kind, name), value in names.items() if kind == wanted),
    )


def convert_robin(sources: list[Path], out: Path) -> None:
    """The hit table (`Name,Smile,<target>_hit,...`: 1 hit, 0 no hit, empty not tested) and the table of targets."""
    hit_file, target_file = sources
    hits = read_table(hit_file, ",", ("Name", "Smile"))
    sequence = "Sequence (5' to 3')"
    known = read_table(target_file, ",", ("Nucleic Acid Target", "Biomolecule Type", "Structure Type", sequence))
    info = {row["Nucleic Acid Target"]: row for row in known}
    targets = [column.removesuffix("_hit") for column in hits[0] if column.endswith("_hit")] if hits else []
    if set(targets) != info.keys():
        raise BadSource(f"the targets of {hit_file} and {target_file} differ")

    def called(row: dict[str, str], target: str) -> float | None:
        cell = row[f"{target}_hit"]
        return float(cell) if cell else None

    # One sequence ("... and ...", two strands) holds blanks that belong to what is published: only the ends are cut.
    write_fasta(out / "rna.fasta", {name: row[sequence] for name, row in info.items()})
    write_lines(out / "molecules.smi", (f"{squeeze(row['Smile'])}\t{row['Name']}" for row in hits))
    write_table(
        out / "pairs.tsv",
        ("rna_id", "mol_id", "label"),
        ((target, row["Name"], "1") for target in targets for row in hits if called(row, target) == 1.0),
    )
    summary = []
    for target in targets:
        cells = [called(row, target) for row in hits]
        counts = (cells.count(1.0), cells.count(0.0), cells.count(None))
        row = info[target]
        length = str(len(row[sequence]))
        summary.append((target, row["Biomolecule Type"], row["Structure Type"], length, *map(str, counts)))
    write_table(
        out / "targets.tsv", ("target", "type", "structure", "length", "hits", "non_hits", "not_tested"), summary
    )
    gaps: dict[tuple[str, ...], list[str]] = {}
    for row in hits:
        untested = tuple(target for target in targets if called(row, target) is None)
        if untested:
            gaps.setdefault(untested, []).append(row["Name"])
    # Groups stand in the order of their first target, then of their first compound.
    groups = sorted(gaps.items(), key=lambda group: targets.index(group[0][0]))
    write_table(
        out / "not_tested.tsv", ("targets", "mol_ids"), ((",".join(key), ";".join(names)) for key, names in groups)
    )


def plant(species: str) -> DataSet:
    """One species of the miRNA-lncRNA sets."""
    folder = f"example_code_and_data/mrna-lncrna/data/fasta_{species}"
    files = (f"PmliPred_label_{species}.csv", "mirna.fasta", "lncrna.fasta")
    return DataSet(
        "buetnlpbio/BiRNA-BERT",
        "7d5334610d97bd3810459531a90baceddc4e7369",
        tuple(f"{folder}/{file}" for file in files),
        convert_plant,
    )


def rsapred(subtype: str) -> DataSet:
    """One RNA subtype of the RNA-small molecule affinities."""
    return DataSet(
        "Sowmya-R-Krishnan/RSAPred",
        "f9294d3ad85508a7eeef580e49a851440a9d702d",
        (f"Data_preprocessing/data/{subtype}_dataset_v1.csv",),
        convert_rsapred,
    )


# The binary aptamer test set of RSAPred is not here: its files hold descriptors, neither sequences nor SMILES, and
# joining them to structures takes a chemistry toolkit.
SETS = {
    "rpi1460": DataSet(
        "JianjunTan-Beijing/LPI-CSFFR",
        "c6d910183f895695c69f0fbc965916ea99ba6fb1",
        (
            "data/RPI1460_rdpairs.txt",
            "data/RPI1460_swrandompairs.txt",
            "data/sequence/RPI1460_rdrna_seq.txt",
            "data/sequence/RPI1460_rdprotein_seq.txt",
        ),
        convert_rna_protein(("pairs.tsv", "pairs_swrandom.tsv")),
    ),
    "rpi1807": DataSet(
        "Pengeace/RPITER",
        "a894a3d2b712a49ce6ffd7bc04f6c2356aed8bc0",
        ("data/RPI1807_pairs.txt", "data/sequence/RPI1807_rna_seq.fa", "data/sequence/RPI1807_protein_seq.fa"),
        convert_rna_protein(("pairs.tsv",)),
    ),
    "plant_ath": plant("ath"),
    "plant_gma": plant("gma"),
    "plant_mtr": plant("mtr"),
    "rsapred_aptamers": rsapred("Aptamers"),
    "rsapred_mirna": rsapred("miRNA"),
    "rsapred_repeats": rsapred("Repeats"),
    "rsapred_ribosomal": rsapred("Ribosomal"),
    "rsapred_riboswitch": rsapred("Riboswitch"),
    "rsapred_viral_rna": rsapred("Viral_RNA"),
    "robin": DataSet(
        "ky66/ROBIN",
        "2174e6092885bede8218cba35c31ee35a323fea4",
        ("SMM_full_results/SMM_Target_Hits.csv", "SMM_full_results/SMM_Sequence_Table_hit_rates.csv"),
        convert_robin,
    ),
}


def main(arguments: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("sets", nargs="*", metavar="SET", help=f"default: all of {', '.join(SETS)}")
    p.add_argument("--sources", type=Path, help="folder of the downloaded files")
    p.add_argument("--out", type=Path, help="folder that gets one folder per set")
    p.add_argument("--list-sources", action="store_true", help="print repository, commit and path of each file")
    args = p.parse_args(arguments)
    unknown = [name for name in args.sets if name not in SETS]
    if unknown:
        p.error(f"no set named {', '.join(unknown)}; choose from {', '.join(SETS)}")
    chosen = args.sets or list(SETS)

    if args.list_sources:
        for name in chosen:
            for path in SETS[name].paths:
                print(SETS[name].repository, SETS[name].commit, path)
        return 0
    if args.sources is None or args.out is None:
        p.error("--sources and --out are needed")
    for name in chosen:
        data = SETS[name]
        out = args.out / name
        out.mkdir(parents=True, exist_ok=True)
        try:
            data.convert([args.sources / data.repository / path for path in data.paths], out)
        except (BadSource, OSError, ValueError) as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            return 3
        print(f"{name}: {', '.join(sorted(path.name for path in out.iterdir()))}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
