//! Trainings that are stopped and go on.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::backend::Cpu;
use crate::data::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Task};
use crate::models::fusion::Projection;
use crate::progress::Silent;

fn entities(n: usize, dim: usize) -> Entities {
    let values = (0..n * dim).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect();
    Entities {
        ids: (0..n).map(|i| i.to_string()).collect(),
        rows: (0..n).collect(),
        group: (0..n as u32).collect(),
        length: vec![10; n],
        digest: (0..n).map(|i| i.to_string()).collect(),
        source: Arc::new(MemoryVectors { dim, values }),
        encoder: EncoderIdentity { name: "test".into(), digest: String::new(), pooling: "mean".into() },
    }
}

/// Twenty RNAs with twenty partners.
pub(super) fn data() -> Dataset {
    Dataset {
        rna: entities(20, 5),
        partner: entities(20, 4),
        pairs: (0..400).map(|i| Pair { rna: i % 20, partner: i / 20, row0: i }).collect(),
        labels: (0..400).map(|i| f32::from(u8::from(i * i % 7 < 3))).collect(),
        label_names: vec!["label".into()],
        task: Task::Binary,
    }
}

/// A small network, four epochs.
pub(super) fn config() -> TrainConfig {
    let mut config = TrainConfig { epochs: 4, ..Preset::RnaProtein.config() };
    config.network.projection = Projection::Both(6);
    config.network.head = vec![3];
    config
}

#[test]
fn what_was_trained_is_not_trained_again_and_notes_of_others_are_not_read() {
    let (data, root) = (data(), tempfile::tempdir().unwrap());
    let out = root.path().join("model");
    let every = Duration::ZERO;
    let run = |data: &Dataset, config: &TrainConfig, device: &str| {
        let mut folder = Model::folder(&out, false).unwrap();
        let notes = TrainingNotes::within(&mut folder, data, config, device, every).unwrap();
        let model = Model::train(&Cpu::single(), data, config, 2, 7, Some(&notes), &Silent).unwrap();
        (model, notes.resumed_epochs())
    };
    for stop in [Stop::Fixed, Stop::Patience(2), Stop::Default] {
        let config = TrainConfig { stop, ..config() };
        let plain = Model::train(&Cpu::single(), &data, &config, 2, 7, None, &Silent).unwrap();
        let same = |model: &Model| {
            let of = |model: &Model| -> Vec<_> {
                let member =
                    |m: &Trained| (m.parameters.clone(), m.train_loss.clone(), m.watched.clone(), m.kept_epoch);
                model.members.iter().map(member).collect()
            };
            assert_eq!((of(model), &model.calibration), (of(&plain), &plain.calibration), "{stop:?}");
        };
        let (first, resumed) = run(&data, &config, "here");
        same(&first);
        assert_eq!(resumed, 0, "{stop:?}");
        let (again, resumed) = run(&data, &config, "here");
        same(&again);
        let trained: usize = first.members.iter().map(|member| member.train_loss.len()).sum();
        assert!(resumed >= trained, "{stop:?}: {resumed} of {trained}");
        assert_eq!(run(&data, &config, "there").1, 0);
        let mut other = data.clone();
        other.labels[7] = 1.0 - other.labels[7];
        assert_eq!(run(&other, &config, "here").1, 0);
        // Notes that are damaged are none.
        let notes = out.join(".partial/checkpoint");
        for entry in fs::read_dir(&notes).unwrap().map(|entry| entry.unwrap().path()) {
            if !entry.ends_with("manifest.json") {
                fs::write(&entry, b"damaged").unwrap();
            }
        }
        let (again, resumed) = run(&data, &config, "here");
        same(&again);
        assert_eq!(resumed, 0, "{stop:?}");
    }
    let folder = Model::folder(&out, false).unwrap();
    run_and_save(&data, folder);
    assert!(!out.join(".partial").exists() && out.join("manifest.json").exists());
}

fn run_and_save(data: &Dataset, folder: crate::files::OutputFolder) {
    let model = Model::train(&Cpu::single(), data, &config(), 1, 7, None, &Silent).unwrap();
    model.save(folder, None).unwrap();
}
