//! Metrics against scikit-learn and `SciPy` (`tests/fixtures/metrics.py`).

use std::collections::BTreeMap;

use biollmnet::metrics::{binary_metrics, multi_label_metrics, regression_metrics};
use serde::Deserialize;

/// Both sides compute in f64; only the order of sums differs.
const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Fixture {
    binary: Vec<Binary>,
    regression: Vec<Regression>,
    multi_label: Vec<MultiLabel>,
}

#[derive(Deserialize)]
struct Binary {
    labels: Vec<bool>,
    logits: Vec<f64>,
    expected: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Regression {
    labels: Vec<f64>,
    predictions: Vec<f64>,
    expected: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct MultiLabel {
    n_labels: usize,
    labels: Vec<Option<f32>>,
    logits: Vec<f64>,
    expected: BTreeMap<String, f64>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/metrics.json")).expect("the fixture is valid JSON")
}

fn assert_agree(found: &BTreeMap<&'static str, Option<f64>>, expected: &BTreeMap<String, f64>) {
    assert_eq!(found.len(), expected.len());
    for (name, &value) in expected {
        let ours = found[name.as_str()].unwrap_or_else(|| panic!("{name} is undefined"));
        assert!((ours - value).abs() <= TOLERANCE, "{name}: {ours} instead of {value}");
    }
}

#[test]
fn binary_metrics_agree_with_scikit_learn() {
    for case in fixture().binary {
        assert_agree(&binary_metrics(&case.labels, &case.logits, 0.0), &case.expected);
    }
}

#[test]
fn regression_metrics_agree_with_scipy() {
    for case in fixture().regression {
        assert_agree(&regression_metrics(&case.labels, &case.predictions), &case.expected);
    }
}

#[test]
fn multi_label_metrics_agree_with_scikit_learn() {
    for case in fixture().multi_label {
        let labels: Vec<f32> = case.labels.iter().map(|label| label.unwrap_or(f32::NAN)).collect();
        assert_agree(&multi_label_metrics(&labels, &case.logits, case.n_labels), &case.expected);
    }
}
