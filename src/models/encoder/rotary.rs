//! Angles of the rotary position embedding.

/// `theta^(−2i/d_head)` for `i < d_head/2`: what a checkpoint without stored frequencies means.
pub(super) fn frequencies(d_head: usize, theta: f32) -> Vec<f32> {
    (0..d_head / 2).map(|i| f64::from(theta).powf(-2.0 * i as f64 / d_head as f64) as f32).collect()
}

/// Cosines and sines of `t·frequencies[i]` for all positions `t < n_positions`, `[n_positions, d_head/2]` each.
///
/// The angle is taken in f64: in f32 it would be wrong by up to 3e-5 at position 1000.
pub(super) fn angles(n_positions: usize, frequencies: &[f32]) -> (Vec<f32>, Vec<f32>) {
    (0..n_positions)
        .flat_map(|t| frequencies.iter().map(move |&f| (t as f64 * f64::from(f)).sin_cos()))
        .map(|(sin, cos)| (cos as f32, sin as f32))
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_fall_from_one() {
        let found = frequencies(8, 10_000.0);
        for (found, expected) in found.iter().zip([1.0, 0.1, 0.01, 0.001]) {
            assert!((found / expected - 1.0).abs() < 1e-6, "{found} for {expected}");
        }
    }

    #[test]
    fn far_angles_keep_their_precision() {
        let (cos, sin) = angles(1025, &[1.0, 0.3]);
        assert_eq!((cos[0], sin[0]), (1.0, 0.0));
        let angle = 1024.0 * f64::from(0.3f32);
        assert_eq!((cos[2049], sin[2049]), (angle.cos() as f32, angle.sin() as f32));
    }
}
