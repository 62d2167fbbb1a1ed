//! Axes: scales from values to coordinates, and ticks at round numbers.

/// How values are spread along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Equal differences.
    Linear,
    /// Equal ratios; the domain must be positive.
    Log,
}

/// From values to coordinates.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    domain: (f64, f64),
    range: (f64, f64),
    spacing: Spacing,
}

impl Scale {
    /// The scale that maps `axis` to the coordinates `range`.
    pub fn new(axis: &Axis, range: (f64, f64)) -> Self {
        Self { domain: (axis.low, axis.high), range, spacing: axis.spacing }
    }

    /// Coordinate of `value`; values beyond the domain are drawn at its end.
    pub fn at(&self, value: f64) -> f64 {
        let (low, high) = (self.warped(self.domain.0), self.warped(self.domain.1));
        let share = (self.warped(value.clamp(self.domain.0, self.domain.1)) - low) / (high - low);
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    fn warped(&self, value: f64) -> f64 {
        match self.spacing {
            Spacing::Linear => value,
            Spacing::Log => value.log10(),
        }
    }
}

/// One axis of a plot.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What is shown, with its unit.
    pub label: String,
    /// Smallest value shown.
    pub low: f64,
    /// Largest value shown, above `low`.
    pub high: f64,
    /// Linear or logarithmic.
    pub spacing: Spacing,
    /// Values that carry a tick.
    pub ticks: Vec<f64>,
}

impl Axis {
    /// From 0 to 1 with ticks every 0.2.
    pub fn unit(label: impl Into<String>) -> Self {
        Self::fixed(label, 0.0, 1.0, 5)
    }

    /// From `low` to `high` exactly, with about `about` round ticks inside.
    pub fn fixed(label: impl Into<String>, low: f64, high: f64, about: usize) -> Self {
        let (low, high) = opened(low, high);
        let ticks = ticks(low, high, step(low, high, about));
        Self { label: label.into(), low, high, spacing: Spacing::Linear, ticks }
    }

    /// Around `values`, widened to round numbers.
    pub fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>, about: usize) -> Self {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let (low, high) = opened(low, high);
        let step = step(low, high, about);
        // The small shares keep 0.6000000001 from opening another step.
        let low = ((low / step) + 1e-9).floor() * step;
        let high = ((high / step) - 1e-9).ceil() * step;
        let ticks = ticks(low, high, step);
        let spacing = Spacing::Linear;
        Self { label: label.into(), low: rounded(low, step), high: rounded(high, step), spacing, ticks }
    }

    /// Logarithmic from `low` to `high`, both positive.
    pub fn log(label: impl Into<String>, low: f64, high: f64) -> Self {
        let (low, high) = opened(low, high);
        let low = if low > 0.0 { low } else { high / 1000.0 };
        let decades = (high / low).log10();
        let factors: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let exponents = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let ticks = exponents
            .flat_map(|exponent| factors.iter().map(move |factor| factor * 10f64.powi(exponent)))
            .filter(|tick| (low..=high).contains(tick))
            .collect();
        Self { label: label.into(), low, high, spacing: Spacing::Log, ticks }
    }

    /// Only whole numbers carry a tick: for counts and epochs.
    pub fn whole(mut self) -> Self {
        self.ticks.retain(|tick| tick.fract() == 0.0);
        self
    }

    /// Labels of the ticks, all with the same number of decimals.
    pub fn tick_labels(&self) -> Vec<String> {
        let smallest = match self.spacing {
            Spacing::Linear => self.ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min),
            Spacing::Log => return self.ticks.iter().map(|&tick| plain(tick, 0)).collect(),
        };
        let step = if smallest.is_finite() { smallest } else { self.high - self.low };
        let decimals = (-step.log10() - 1e-9).ceil().clamp(0.0, 12.0) as usize;
        self.ticks.iter().map(|&tick| plain(tick, decimals)).collect()
    }
}

/// Smallest and largest finite value.
pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|v| v.is_finite()).fold(None, |extent, v| match extent {
        None => Some((v, v)),
        Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
    })
}

fn plain(tick: f64, decimals: usize) -> String {
    if tick.abs() >= 1e5 || (tick != 0.0 && tick.abs() < 1e-4) {
        let text = format!("{tick:e}");
        return if text.len() <= 6 { text } else { format!("{tick:.1e}") }.replace('-', "−");
    }
    if decimals == 0 && tick.fract() != 0.0 {
        return tick.to_string();
    }
    format!("{:.decimals$}", if tick == 0.0 { 0.0 } else { tick }).replace('-', "−")
}

/// A domain of positive, finite width.
fn opened(low: f64, high: f64) -> (f64, f64) {
    if !low.is_finite() || !high.is_finite() {
        return (0.0, 1.0);
    }
    // Beyond these, differences and powers of ten overflow or vanish.
    let inside = |v: f64| if v.abs() < 1e-290 { 0.0 } else { v.clamp(-1e300, 1e300) };
    let (low, high) = (inside(low.min(high)), inside(high.max(low)));
    if high - low > 1e-12 * low.abs().max(high.abs()) {
        return (low, high);
    }
    let pad = if low == 0.0 { 0.5 } else { 0.1 * low.abs() };
    (low - pad, high + pad)
}

/// A step of 1, 2 or 5 times a power of ten that gives about `about` intervals.
fn step(low: f64, high: f64, about: usize) -> f64 {
    let rough = (high - low) / about.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let factor = match rough / power {
        f if f < 1.5 => 1.0,
        f if f < 3.5 => 2.0,
        f if f < 7.5 => 5.0,
        _ => 10.0,
    };
    factor * power
}

fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil();
    let n_ticks = ((high / step + 1e-9).floor() - first).max(0.0) as usize + 1;
    (0..n_ticks.min(50)).map(|i| rounded((first + i as f64) * step, step)).collect()
}

/// Takes the rounding error of `n · step` away.
fn rounded(tick: f64, step: f64) -> f64 {
    let digits = (2.0 - step.log10()).ceil();
    if !(0.0..=15.0).contains(&digits) {
        return tick;
    }
    let power = 10f64.powi(digits as i32);
    (tick * power).round() / power
}

#[cfg(test)]
mod tests {
    use super::{Axis, Scale};

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Axis::unit("").tick_labels(), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let axis = Axis::around("", [-0.13, 0.87], 5);
        assert_eq!((axis.low, axis.high), (-0.2, 1.0));
        assert_eq!(axis.tick_labels(), ["−0.2", "0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(Axis::fixed("", 1.0, 30.0, 5).whole().ticks, [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(Axis::log("", 10.0, 4000.0).tick_labels(), ["10", "100", "1000"]);
        assert_eq!(Axis::log("", 18.0, 26.0).tick_labels(), ["20"]);
    }

    #[test]
    fn odd_domains_stay_usable() {
        for values in [
            vec![],
            vec![f64::NAN],
            vec![3.0],
            vec![0.0, 0.0],
            vec![f64::INFINITY, 1.0],
            vec![f64::MAX, f64::MIN],
            vec![1e-310, 5e-324],
        ] {
            let axis = Axis::around("", values.clone(), 5);
            assert!(axis.low < axis.high, "{values:?}");
            assert!(axis.ticks.iter().all(|tick| tick.is_finite()), "{values:?}");
            assert!(axis.ticks.len() <= 50);
        }
    }

    #[test]
    fn scales_map_ends_and_clamp() {
        let scale = Scale::new(&Axis::unit(""), (100.0, 0.0));
        assert_eq!([0.0, 0.25, 1.0, 7.0].map(|v| scale.at(v)), [100.0, 75.0, 0.0, 0.0]);
        let log = Scale::new(&Axis::log("", 1.0, 100.0), (0.0, 10.0));
        assert!((log.at(10.0) - 5.0).abs() < 1e-12);
    }
}
