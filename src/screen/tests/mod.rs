mod screening;
mod shards;

use std::sync::Arc;

use super::*;
use crate::backend::Cpu;
use crate::data::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Task};
use crate::error::Result;
use crate::models::fusion::{Fusion, Projection};
use crate::progress::Silent;
use crate::train::{Model, Prediction, Preset, Stop, TrainConfig};

const N_RNA: usize = 11;
const N_PARTNER: usize = 301;

/// `n` entities; every fifth has the vector of the one before. Ids are not in alphabetical order.
fn entities(prefix: &str, n: usize, dim: usize) -> Entities {
    let row = |i: usize| if i % 5 == 4 { i - 1 } else { i };
    let value = |i: usize| ((i * 7919 + dim) % 101) as f32 / 50.0 - 1.0;
    Entities {
        ids: (0..n).map(|i| format!("{prefix}{}", (i * 37 + 5) % n)).collect(),
        rows: (0..n).map(row).collect(),
        group: (0..n).map(|i| row(i) as u32).collect(),
        length: vec![10; n],
        digest: (0..n).map(|i| row(i).to_string()).collect(),
        source: Arc::new(MemoryVectors { dim, values: (0..n * dim).map(value).collect() }),
        encoder: EncoderIdentity { name: "test".into(), digest: prefix.into(), pooling: "mean".into() },
    }
}

/// Every RNA with every partner, in an order of its own.
fn everything(task: Task) -> Dataset {
    let names: &[&str] = if task == Task::MultiLabel { &["binds", "cuts"] } else { &["label"] };
    let n = (N_RNA * N_PARTNER) as u32;
    let pair = |i: u32| Pair { rna: i % N_RNA as u32, partner: i / N_RNA as u32, row0: i };
    let pairs: Vec<Pair> = (0..n).map(pair).collect();
    let label = |i: usize| match task {
        Task::Regression => (i % 13) as f32,
        _ => f32::from(u8::from(i * i % 7 < 3)),
    };
    Dataset {
        labels: (0..pairs.len() * names.len()).map(label).collect(),
        rna: entities("r", N_RNA, 6),
        partner: entities("p", N_PARTNER, 9),
        pairs,
        label_names: names.iter().map(|&name| name.to_owned()).collect(),
        task,
    }
}

fn trained(data: &Dataset, members: usize, fusion: Fusion) -> Model {
    let preset = Preset::RnaProtein.config();
    let mut config = TrainConfig { epochs: 2, stop: Stop::Fixed, ..preset }.with_fusion(fusion);
    config.network.projection = Projection::Both(20);
    config.network.head = vec![3];
    Model::train(&Cpu::single(), data, &config, members, 5, None, &Silent).unwrap()
}

fn predictions(model: &Model, data: &Dataset) -> Vec<Vec<Prediction>> {
    let mut all = Vec::new();
    let cpu = Cpu::single();
    let scorer = Scorer::new(&cpu, model, data, &Silent).unwrap();
    scorer
        .each(&Silent, |row, found| {
            assert_eq!(row, all.len());
            all.push(found.to_vec());
            Ok(())
        })
        .unwrap();
    all
}

fn with_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(work)
}

#[test]
fn a_prediction_does_not_depend_on_its_company_threads_or_a_copy_on_disk() {
    let data = everything(Task::Binary);
    let model = trained(&data, 2, Fusion::Input);
    let all = with_threads(1, || predictions(&model, &data));
    assert_eq!(with_threads(2, || predictions(&model, &data)), all);
    let folder = tempfile::tempdir().unwrap();
    model.save(Model::folder(&folder.path().join("model"), false).unwrap(), None).unwrap();
    let loaded = Model::load(&folder.path().join("model")).unwrap();
    assert_eq!(predictions(&loaded, &data), all);
    let cells = |model: &Model, data: &Dataset, row: usize, found: &Prediction| {
        Domain::new(model, data, &Silent).unwrap().cells(row, 0, found)
    };
    for row in [0, 1, 700, 3310] {
        let alone = Dataset { pairs: vec![data.pairs[row]], ..data.clone() };
        assert_eq!(predictions(&loaded, &alone), [all[row].clone()]);
        assert_eq!(cells(&loaded, &alone, 0, &all[row][0]), cells(&model, &data, row, &all[row][0]));
    }
}

#[test]
fn what_is_far_from_training_is_out_of_domain() {
    let data = everything(Task::Binary);
    let mut model = trained(&data, 1, Fusion::Static);
    (model.rna_index.quantile_5, model.partner_index.quantile_5) = (0.99, 0.99);
    let out = |data: &Dataset, model: &Model| {
        let domain = Domain::new(model, data, &Silent).unwrap();
        [0, 1].map(|row| domain.is_out_of_domain(row))
    };
    assert_eq!(out(&data, &model), [false, false], "all were trained on");
    // The first RNA becomes one number and zeros, which none of the training vectors is.
    let mut far = data.clone();
    far.rna.rows = (0..N_RNA).map(|i| usize::from(i > 0)).collect();
    let mut vectors = vec![0.0; 12];
    vectors[2] = 1.0;
    data.rna.copy_vector(1, &mut vectors[6..]);
    far.rna.source = Arc::new(MemoryVectors { dim: 6, values: vectors });
    assert_eq!(out(&far, &model), [true, false]);
    model.rna_index.quantile_5 = -1.0;
    assert_eq!(out(&far, &model), [false, false]);
    model.partner_index.quantile_5 = 1.1;
    assert_eq!(out(&far, &model), [true, true]);
}

fn store(folder: &std::path::Path, name: &str, fasta: &str) -> Result<Arc<crate::embed::Store>> {
    let file = folder.join(name);
    std::fs::write(&file, fasta).unwrap();
    let encoder = crate::features::by_name("kmer").unwrap().identity();
    let operand = Operand::open(&file, &encoder, &Silent)?;
    assert!(operand.is_fresh());
    Ok(Arc::clone(&operand.store))
}

#[test]
fn stores_are_joined_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(folder.path(), "a.fa", ">a\nACGUACGUAC\n>b\nGGGGGG\n>c\nACGUACGUAC\n>a\nCC\n").unwrap();
    let second = store(folder.path(), "b.fa", ">d\nUUUUUUU\n>b\nGGGGGG\n").unwrap();
    let both = Library::new(&[Arc::clone(&first), Arc::clone(&second)]).unwrap();
    let records: Vec<u32> = both.records().collect();
    assert_eq!(records.iter().map(|&record| both.id(record)).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!((both.len(), both.n_rows(), both.refused, both.repeated), (4, 4, 1, 1));
    let of_row = |row: usize| both.records_of(row).map(|record| both.id(record)).collect::<Vec<_>>();
    // The second store has a vector of 'b' too, which nobody needs.
    assert_eq!((0..4).map(of_row).collect::<Vec<_>>(), [vec!["a", "c"], vec!["b"], vec!["d"], vec![]]);
    assert_eq!(
        ["a", "d", "b", "x"].map(|id| both.find(id).map(|record| both.id(record))),
        [Some("a"), Some("d"), Some("b"), None]
    );
    let entities = both.entities(&records);
    assert_eq!((entities.group, entities.length), (vec![0, 1, 0, 2], vec![10, 6, 10, 7]));
    let alone = Library::new(&[second]).unwrap();
    let d = alone.vectors_of(&[alone.find("d").unwrap()]).unwrap();
    assert_eq!(both.vectors_of(&records[3..]).unwrap(), d);
    assert_ne!(both.vectors_of(&records[1..2]).unwrap(), d);

    let other = store(folder.path(), "c.fa", ">b\nCCCCCCC\n").unwrap();
    let error = Library::new(&[first, other]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("'b' has another sequence"), "{error}");
    assert!(Library::new(&[]).is_err());
}

#[test]
fn a_file_of_an_encoder_that_is_not_here_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.fa");
    std::fs::write(&file, ">a\nACGU\n").unwrap();
    let open = |path: &std::path::Path, name: &str| {
        let encoder = EncoderIdentity { name: name.into(), digest: String::new(), pooling: "mean".into() };
        Operand::open(path, &encoder, &Silent).map(|_| ())
    };
    let error = open(&file, "esm2-650m").unwrap_err();
    assert!(error.to_string().contains("'esm2-650m'") && error.exit_code() == 2, "{error}");
    let missing = open(&folder.path().join("b.fa"), "kmer").unwrap_err();
    assert!(missing.to_string().contains("cannot read") && missing.to_string().contains("b.fa"), "{missing}");
}
