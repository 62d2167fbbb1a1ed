//! What the encoders compute beside what the reference implementations compute, on tiny networks with random weights.

#[path = "support/golden.rs"]
mod golden;

use golden::{Differences, Expected};

#[test]
#[should_panic(expected = "1 BEYOND THE BOUND")]
fn a_difference_beyond_its_bound_is_reported() {
    let mut differences = Differences::of("case");
    differences.compare("a", "mean", &[1.0, 2.0], &[1.0, 2.0], 1e-5);
    differences.compare("b", "mean", &[1.0, 2.0], &[1.0, 2.1], 1e-5);
    differences.report();
}

#[test]
#[should_panic(expected = "max |Δ| inf")]
fn a_nan_is_beyond_every_bound() {
    let mut differences = Differences::of("case");
    differences.compare("a", "mean", &[f32::NAN, 2.0], &[1.0, 2.0], 1e-5);
    differences.compare("a", "mean", &[1.0, 2.0], &[1.0, 2.0], 1e-5);
    differences.report();
}

#[test]
#[should_panic(expected = "nothing was compared")]
fn an_empty_comparison_is_a_fault() {
    Differences::of("case").report();
}

#[test]
fn expected_values_are_read_by_name() {
    let expected = Expected::read(&golden::committed(), "esm2");
    assert_eq!(expected.get("p_len2", "hidden").map(<[f64]>::len), Some(4 * 32));
    let kinds = expected.kinds("p_len2");
    assert_eq!(kinds.len(), 1 + 2 * 10 + 4, "{kinds:?}");
    assert!(kinds.contains(&"layers.1.query"));
}
