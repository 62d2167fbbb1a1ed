//! How numbers are written: for people in the page, exactly in the TSV files.

/// What stands for an undefined value.
pub const UNDEFINED: &str = "–";

/// A score for people: three decimals, fewer for large values; `–` where it is undefined.
pub fn value(value: impl Into<Option<f64>>) -> String {
    let Some(value) = value.into().filter(|v| v.is_finite()) else { return UNDEFINED.to_owned() };
    let size = value.abs();
    if size >= 1e6 || (size > 0.0 && size < 5e-4) {
        return signed(&format!("{value:.1e}"));
    }
    let decimals = if size >= 999.95 {
        0
    } else if size >= 99.995 {
        1
    } else if size >= 9.9995 {
        2
    } else {
        3
    };
    signed(&format!("{value:.decimals$}"))
}

/// `mean ± SD`; the mean alone where there is no SD.
pub fn plus_minus(mean: Option<f64>, sd: Option<f64>) -> String {
    match (mean.filter(|v| v.is_finite()), sd.filter(|v| v.is_finite())) {
        (None, _) => UNDEFINED.to_owned(),
        (mean, None) => value(mean),
        (mean, Some(sd)) => format!("{} ± {}", value(mean), rounded(sd)),
    }
}

/// A spread beside a score: three decimals also when it is tiny.
pub fn rounded(spread: f64) -> String {
    if spread.is_finite() && spread.abs() < 5e-4 { "0.000".to_owned() } else { value(spread) }
}

/// `[low, high]`, `–` where either is undefined.
pub fn interval(interval: Option<(f64, f64)>) -> String {
    match interval {
        Some((low, high)) if low.is_finite() && high.is_finite() => format!("[{}, {}]", rounded(low), rounded(high)),
        _ => UNDEFINED.to_owned(),
    }
}

/// A p value.
pub fn p_value(p: f64) -> String {
    if !p.is_finite() {
        UNDEFINED.to_owned()
    } else if p < 0.001 {
        "< 0.001".to_owned()
    } else {
        format!("{p:.3}")
    }
}

/// A count with narrow blanks between thousands: `2 822`.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (i, digit) in digits.chars().enumerate() {
        // Four-digit numbers are grouped as well: they stand in columns with longer ones.
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `n noun` or `n nouns`.
pub fn counted(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A share in percent.
pub fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { UNDEFINED.to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}

/// A number for a TSV file: the shortest text that reads back to the same value; empty where it is undefined.
pub fn exact(value: impl Into<Option<f64>>) -> String {
    match value.into() {
        Some(0.0) => "0".to_owned(),
        Some(value) if value.is_finite() => value.to_string(),
        _ => String::new(),
    }
}

/// The hyphen of a negative number becomes a minus sign; a negative zero loses it.
fn signed(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{count, counted, exact, interval, p_value, percent, plus_minus, value};

    #[test]
    fn scores_are_written_for_people() {
        let numbers = [0.8484, -0.25, -0.0, 12.3456, 123.456, 1234.6, f64::NAN, f64::INFINITY, 2.5e-5, 3.0e7];
        let text = numbers.map(value);
        assert_eq!(text, ["0.848", "−0.250", "0.000", "12.35", "123.5", "1235", "–", "–", "2.5e-5", "3.0e7"]);
        assert_eq!(plus_minus(Some(0.5), Some(0.012)), "0.500 ± 0.012");
        assert_eq!(plus_minus(Some(0.5), None), "0.500");
        assert_eq!(plus_minus(None, Some(0.1)), "–");
        assert_eq!(plus_minus(Some(0.5), Some(0.0)), "0.500 ± 0.000");
        assert_eq!(interval(Some((-0.1, 0.2))), "[−0.100, 0.200]");
        assert_eq!(interval(Some((f64::NAN, 0.2))), "–");
        assert_eq!([0.0, 0.04, f64::NAN].map(p_value), ["< 0.001", "0.040", "–"]);
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(999), "999");
        assert_eq!(counted(1, "pair"), "1 pair");
        assert_eq!(percent(1, 0), "–");
    }

    #[test]
    fn tsv_numbers_read_back() {
        for number in [0.1, 1.0 / 3.0, -2.5e-300, 12345.678] {
            assert_eq!(exact(number).parse::<f64>().ok(), Some(number));
        }
        assert_eq!(exact(f64::NAN), "");
        assert_eq!(exact(-0.0), "0");
    }

    #[test]
    fn long_ids_keep_head_and_tail() {}
}
