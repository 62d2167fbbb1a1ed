//! Wilcoxon's test and Holm's correction against `SciPy` (`tests/fixtures/metrics.py`).

use biollmnet::eval::significance::{holm, wilcoxon};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    significance: Significance,
}

#[derive(Deserialize)]
struct Significance {
    wilcoxon: Vec<Case>,
    p: Vec<f64>,
    holm: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    differences: Vec<f64>,
    statistic: f64,
    p: f64,
}

fn fixture() -> Significance {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/metrics.json")).expect("valid JSON");
    fixture.significance
}

#[test]
fn wilcoxon_agrees_with_scipy() {
    let cases = fixture().wilcoxon;
    let exact: Vec<bool> = cases
        .iter()
        .map(|case| {
            let found = wilcoxon(&case.differences).expect("defined");
            assert_eq!(found.statistic, case.statistic);
            assert!((found.p - case.p).abs() <= 1e-12, "{found:?} instead of {}", case.p);
            found.exact
        })
        .collect();
    assert_eq!(exact, [true, true, false, false, false]);
}

#[test]
fn holm_agrees() {
    let fixture = fixture();
    for (found, expected) in holm(&fixture.p).iter().zip(&fixture.holm) {
        assert!((found - expected).abs() <= 1e-12);
    }
}
