//! Encoders of molecules, in molecules per second: reading of SMILES, the fingerprint, and Mole-BERT of true size with
//! random weights.

use std::hint::black_box;

use biollmnet::backend::Cpu;
use biollmnet::features::Ecfp;
use biollmnet::models::backbone::{Backbone, Preset, init};
use biollmnet::models::gin::{Gin, GinConfig, MoleculeBatch};
use biollmnet::mol::{Molecule, parse};
use biollmnet::ops::linear::Precision;
use biollmnet::progress::Silent;
use biollmnet::weights::elements::Element;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Drugs and ligands of 13 to 43 heavy atoms.
const SMILES: [&str; 8] = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "CC1(C(N2C(S1)C(C2=O)NC(=O)Cc3ccccc3)C(=O)O)C",
    "CN1CCC23C4C1CC5=C2C(=C(C=C5)O)OC3C(C=C4)O",
    "CC1=C(C=C(C=C1)NC(=O)C2=CC=C(C=C2)CN3CCN(CC3)C)NC4=NC=CC(=N4)C5=CN=CC=C5",
    "NCC1OC(OC2C(N)CC(N)C(OC3OC(CO)C(O)C(N)C3O)C2O)C(N)CC1O",
    "CC(C)(C)C1=CC(=CC(=C1OCCCC(=O)NCCCN=[N+]=[N-])C(C)(C)C)C2=NC3=C(N2)C=C(C=C3)N4CCN(CC4)C",
];
/// Molecules of a batch: 512 atoms hold about twenty.
const BATCH: usize = 16;

fn benches(criterion: &mut Criterion) {
    let molecules: Vec<Molecule> = SMILES.iter().map(|smiles| parse(smiles).expect("a SMILES")).collect();
    let batch: Vec<&Molecule> = molecules.iter().cycle().take(BATCH).collect();
    let mut group = criterion.benchmark_group("molecules");
    group.sample_size(20);
    group.throughput(Throughput::Elements(SMILES.len() as u64));
    group.bench_function("smiles", |bench| {
        bench.iter(|| SMILES.iter().filter_map(|smiles| parse(black_box(smiles)).ok()).count());
    });
    let mut out = vec![0.0; Ecfp.dim()];
    group.bench_function("ecfp", |bench| {
        bench.iter(|| molecules.iter().for_each(|molecule| Ecfp.encode(black_box(molecule), black_box(&mut out))));
    });

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mole-bert");
    let preset: Preset = "mole-bert".parse().expect("a preset");
    init(preset, 0, Element::F32, false, &path, &Silent).expect("weights");
    let backbone = Backbone::open(&path).expect("weights");
    let backend = Cpu::single();
    let gin = Gin::load(&backend, GinConfig::default(), backbone.scope(), Precision::F32).expect("a network");
    let mut work = gin.workspace::<f32>(&backend).expect("memory");
    for (name, molecules) in [("one-by-one", 1), ("batches-of-16", BATCH)] {
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(format!("mole-bert/{name}"), |bench| {
            bench.iter(|| {
                for molecules in batch.chunks(molecules) {
                    let packed = MoleculeBatch::new(molecules.iter().copied()).expect("a batch");
                    gin.forward(&backend, &packed, &mut work).expect("a forward pass");
                }
            });
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
