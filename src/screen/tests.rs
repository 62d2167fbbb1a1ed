use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::*;
use crate::backend::Cpu;
use crate::data::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Side, Task};
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
    Model::train(&Cpu::single(), data, &config, members, 5, &Silent).unwrap()
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

/// What a screen must find: all pairs predicted, filtered and sorted.
fn by_brute_force(all: &Dataset, found: &[Vec<Prediction>], screening: &Screening<'_>) -> Vec<Vec<(String, f64)>> {
    let mut hits = vec![Vec::new(); screening.targets.len()];
    for (pair, predictions) in all.pairs.iter().zip(found) {
        let (target, entry) = match screening.targets_side {
            Side::Rna => (pair.rna, pair.partner),
            Side::Partner => (pair.partner, pair.rna),
        };
        let score = predictions[screening.label].score;
        if screening.min_score.is_none_or(|least| score >= least) && !screening.excluded.contains(&(target, entry)) {
            hits[target as usize].push((screening.library.ids[entry as usize].clone(), score));
        }
    }
    for hits in &mut hits {
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        hits.truncate(screening.top_k);
    }
    hits
}

fn named(screening: &Screening<'_>, hits: &[Vec<Hit>]) -> Vec<Vec<(String, f64)>> {
    let name = |hit: &Hit| (screening.library.ids[hit.entry as usize].clone(), hit.score);
    hits.iter().map(|hits| hits.iter().map(name).collect()).collect()
}

fn with_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(work)
}

#[test]
fn a_screen_is_every_pair_predicted_and_sorted() {
    for (task, members, fusion) in [
        (Task::Binary, 1, Fusion::Static),
        (Task::Binary, 3, Fusion::Input),
        (Task::Regression, 2, Fusion::Concat),
        (Task::MultiLabel, 1, Fusion::Average),
    ] {
        let data = everything(task);
        let model = trained(&data, members, fusion);
        let found = predictions(&model, &data);
        let middle = found[found.len() / 2][0].score;
        for side in [Side::Rna, Side::Partner] {
            let other = if side == Side::Rna { Side::Partner } else { Side::Rna };
            let (targets, library) = (data.entities(side), data.entities(other));
            let some: FxHashSet<(u32, u32)> =
                (0..targets.len() as u32).flat_map(|t| [(t, t % 7), (t, (t * 3) % 10)]).collect();
            for (top_k, min_score, excluded) in
                [(1, None, &some), (3, Some(middle), &some), (1000, None, &FxHashSet::default())]
            {
                let label = model.config.label_names.len() - 1;
                let screening = Screening {
                    model: &model,
                    targets,
                    library,
                    targets_side: side,
                    label,
                    top_k,
                    min_score,
                    excluded,
                };
                let want = by_brute_force(&data, &found, &screening);
                for threads in [1, 2] {
                    let hits = with_threads(threads, || screening.run(&Cpu::single(), &Silent)).unwrap();
                    assert_eq!(named(&screening, &hits), want, "{task:?}, {side:?}, best {top_k}, {threads} threads");
                }
                if top_k == 1000 {
                    assert!(want.iter().all(|hits| hits.len() == library.len()));
                    // Entities of one vector stand side by side, in the order of their ids.
                    let tied = want.iter().flat_map(|hits| hits.windows(2)).filter(|two| two[0].1 == two[1].1);
                    let in_order: Vec<bool> = tied.map(|two| two[0].0 < two[1].0).collect();
                    assert!(in_order.len() >= library.len() / 5 && in_order.iter().all(|&ok| ok));
                }
            }
        }
    }
}

#[test]
fn hits_are_predicted_as_they_were_ranked() {
    let data = everything(Task::Binary);
    let model = trained(&data, 2, Fusion::Static);
    let excluded = FxHashSet::default();
    let (targets, library) = (&data.partner, &data.rna);
    let screening = Screening {
        model: &model,
        targets,
        library,
        targets_side: Side::Partner,
        label: 0,
        top_k: 2,
        min_score: None,
        excluded: &excluded,
    };
    let hits = screening.run(&Cpu::single(), &Silent).unwrap();
    let kept = hit_pairs(&screening, &hits);
    let again = predictions(&model, &kept);
    assert_eq!(kept.len(), 2 * N_PARTNER);
    for ((pair, found), hit) in kept.pairs.iter().zip(&again).zip(hits.iter().flatten()) {
        assert_eq!(kept.rna.ids[pair.rna as usize], library.ids[hit.entry as usize]);
        assert_eq!(kept.partner.ids[pair.partner as usize], targets.ids[pair.row0 as usize]);
        assert_eq!(found[0].score, hit.score);
        assert!(found[0].spread.is_some() && found[0].gate_mean.is_some());
    }
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
        Scorer::new(&Cpu::single(), model, data, &Silent).unwrap().cells(row, 0, found)
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
        let cpu = Cpu::single();
        let scorer = Scorer::new(&cpu, model, data, &Silent).unwrap();
        [0, 1].map(|row| scorer.is_out_of_domain(row))
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

#[test]
fn a_score_that_is_no_number_is_named() {
    let data = everything(Task::Binary);
    let model = trained(&data, 1, Fusion::Static);
    let mut library = data.partner.clone();
    library.source = Arc::new(MemoryVectors { dim: 9, values: vec![f32::NAN; 9 * N_PARTNER] });
    let excluded = FxHashSet::default();
    let screening = Screening {
        model: &model,
        targets: &data.rna,
        library: &library,
        targets_side: Side::Rna,
        label: 0,
        top_k: 1,
        min_score: None,
        excluded: &excluded,
    };
    let error = screening.run(&Cpu::single(), &Silent).unwrap_err().to_string();
    assert!(error.contains("is no number") && error.contains("'r"), "{error}");
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
    let both = collect(&[Arc::clone(&first), Arc::clone(&second)]).unwrap();
    assert_eq!(both.entities.ids, ["a", "b", "c", "d"]);
    assert_eq!((&both.entities.group, both.refused, both.repeated), (&vec![0, 1, 0, 2], 1, 1));
    let vector = |entities: &Entities, i: usize| {
        let mut vector = vec![0.0; entities.dim()];
        entities.copy_vector(i, &mut vector);
        vector
    };
    let alone = collect(&[second]).unwrap().entities;
    assert_eq!(vector(&both.entities, 3), vector(&alone, 0));
    assert_ne!(vector(&both.entities, 3), vector(&both.entities, 1));

    let other = store(folder.path(), "c.fa", ">b\nCCCCCCC\n").unwrap();
    let error = collect(&[first, other]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("'b' has another sequence"), "{error}");
    assert!(collect(&[]).is_err());
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
