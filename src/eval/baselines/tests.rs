use std::sync::Arc;

use super::*;
use crate::data::{EncoderIdentity, Entities, MemoryVectors, Pair};

fn entities(prefix: &str, vectors: &[[f32; 2]], lengths: &[u32]) -> Entities {
    let n = vectors.len();
    Entities {
        ids: (0..n).map(|i| format!("{prefix}{i}")).collect(),
        rows: (0..n).collect(),
        group: (0..n as u32).collect(),
        length: lengths.to_vec(),
        digest: (0..n).map(|i| format!("digest of {prefix}{i}")).collect(),
        source: Arc::new(MemoryVectors { dim: 2, values: vectors.concat() }),
        encoder: EncoderIdentity { name: "none".into(), digest: String::new(), pooling: "mean".into() },
    }
}

/// 8 × 6 pairs; the label is decided by the RNA: even ones are positive, long, and have a high first value.
fn decided_by_rna() -> Dataset {
    let rna: Vec<[f32; 2]> = (0..8).map(|i| [if i % 2 == 0 { 1.0 } else { -1.0 }, (i * 3 % 5) as f32]).collect();
    let lengths: Vec<u32> = (0..8).map(|i| if i % 2 == 0 { 200 + i } else { 100 - i }).collect();
    let partner: Vec<[f32; 2]> = (0..6).map(|i| [(i * i % 5) as f32, i as f32]).collect();
    let pairs: Vec<Pair> = (0..48).map(|i| Pair { rna: i as u32 / 6, partner: i as u32 % 6, row0: i as u32 }).collect();
    Dataset {
        labels: pairs.iter().map(|pair| f32::from(u8::from(pair.rna % 2 == 0))).collect(),
        rna: entities("r", &rna, &lengths),
        partner: entities("p", &partner, &[30; 6]),
        pairs,
        label_names: vec!["label".into()],
        task: Task::Binary,
    }
}

fn split() -> (Vec<u32>, Vec<u32>) {
    (0..48u32).partition(|row| row % 5 != 0)
}

fn accuracy(data: &Dataset, rows: &[u32], predictions: &[f64]) -> f64 {
    let right = rows.iter().zip(predictions).filter(|&(&row, &p)| (p >= 0.0) == (data.label(row as usize) >= 0.5));
    right.count() as f64 / rows.len() as f64
}

#[test]
fn each_baseline_finds_what_it_can_see() {
    let data = decided_by_rna();
    let (train, test) = split();
    for baseline in all(Task::Binary) {
        let predictions = baseline.predict((&data, &train), (&data, &test)).unwrap();
        assert_eq!(predictions.len(), test.len());
        assert!(predictions.iter().all(|p| p.is_finite()), "{}", baseline.name());
        let accuracy = accuracy(&data, &test, &predictions);
        if matches!(baseline.name(), "majority" | "partner-only") {
            assert!(accuracy < 0.7, "{} cannot know the RNA: {accuracy}", baseline.name());
        } else if baseline.name() != "nearest" {
            assert_eq!(accuracy, 1.0, "{}", baseline.name());
        }
    }
}

#[test]
fn baselines_match_entities_across_sets() {
    let train = decided_by_rna();
    let mut test = decided_by_rna();
    test.rna.ids.iter_mut().for_each(|id| id.push_str(" elsewhere"));
    let rows: Vec<u32> = (0..48).collect();
    let by_sequence = SequenceGroupOnly.predict((&train, &rows), (&test, &rows)).unwrap();
    assert_eq!(accuracy(&test, &rows, &by_sequence), 1.0);
    let by_id = IdOnly.predict((&train, &rows), (&test, &rows)).unwrap();
    assert!(by_id.windows(7).all(|w| w[0] == w[6]), "the RNA ids are unknown, so only the partner counts");
}

#[test]
fn labels_of_the_test_set_are_not_read() {
    let data = decided_by_rna();
    let (train, test) = split();
    let mut hidden = data.clone();
    for &row in &test {
        hidden.labels[row as usize] = 1.0 - hidden.labels[row as usize];
    }
    for baseline in all(Task::Binary) {
        let seen = baseline.predict((&data, &train), (&data, &test)).unwrap();
        assert_eq!(seen, baseline.predict((&hidden, &train), (&hidden, &test)).unwrap(), "{}", baseline.name());
    }
}

#[test]
fn regression_baselines_predict_values() {
    let mut data = decided_by_rna();
    data.task = Task::Regression;
    data.labels = data.pairs.iter().map(|pair| 4.0 + pair.rna as f32 + 0.1 * pair.partner as f32).collect();
    let (train, test) = split();
    let mean = train.iter().map(|&row| f64::from(data.label(row as usize))).sum::<f64>() / train.len() as f64;
    for baseline in all(Task::Regression) {
        let predictions = baseline.predict((&data, &train), (&data, &test)).unwrap();
        if baseline.name() == "majority" {
            assert!(predictions.iter().all(|p| (p - mean).abs() < 1e-12));
        }
        if baseline.name() == "id-only" {
            let worst = test.iter().zip(&predictions).map(|(&row, p)| (p - f64::from(data.label(row as usize))).abs());
            assert!(worst.fold(0.0, f64::max) < 0.8);
        }
    }
    assert!(all(Task::Regression).iter().all(|baseline| baseline.name() != "length-threshold"));
}

#[test]
fn vectors_of_another_width_are_refused() {
    let data = decided_by_rna();
    let mut other = decided_by_rna();
    other.rna.source = Arc::new(MemoryVectors { dim: 1, values: vec![0.0; 8] });
    let error = VectorsOnly::RNA.predict((&data, &[0, 6]), (&other, &[0])).unwrap_err();
    assert_eq!(error.to_string(), "test vectors have width 1, training vectors 2");
}
