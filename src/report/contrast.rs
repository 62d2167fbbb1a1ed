//! Contrast of the colours of the style sheet, in both themes.

use std::collections::BTreeMap;

/// The colours of the `n`-th `:root` block: light, dark.
fn theme(n: usize) -> BTreeMap<&'static str, [f64; 3]> {
    let block = include_str!("style.css").split(":root {").nth(n).and_then(|rest| rest.split('}').next()).unwrap_or("");
    let colours = block.lines().filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';')?.split_once(": #"));
    let channel = |hex: &str, i: usize| u8::from_str_radix(&hex[i..i + 2], 16).map_or(f64::NAN, f64::from) / 255.0;
    colours.map(|(name, hex)| (name, [0, 2, 4].map(|i| channel(hex, i)))).collect()
}

/// Relative luminance of an sRGB colour.
fn luminance(colour: [f64; 3]) -> f64 {
    let [r, g, b] = colour.map(|c| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    (a / b).max(b / a)
}

#[test]
fn text_and_marks_stand_out_in_both_themes() {
    for n in [1, 2] {
        let theme = theme(n);
        let grounds_of_text = [
            ("ink", ["ground", "panel", "bad-ground", "good-ground", "note-ground"].as_slice()),
            ("soft", &["ground", "panel", "bad-ground", "note-ground"]),
            ("accent", &["ground", "panel"]),
            ("good", &["good-ground"]),
            ("bad", &["bad-ground"]),
            ("warn", &["warn-ground"]),
            ("ground", &["ink"]),
        ];
        for (text, grounds) in grounds_of_text {
            for ground in grounds {
                let ratio = contrast(theme[text], theme[ground]);
                assert!(ratio >= 4.5, "theme {n}: {text} on {ground} has {ratio:.2}");
            }
        }
        for mark in ["accent", "s1", "s2", "s3", "s4", "s5", "s6", "mark", "bad"] {
            let ratio = contrast(theme[mark], theme["ground"]);
            assert!(ratio >= 3.0, "theme {n}: {mark} has {ratio:.2}");
        }
        // A cell of a confusion matrix carries at most 45 % of its colour under text.
        for colour in ["accent", "bad"] {
            let mixed = std::array::from_fn(|i| 0.45 * theme[colour][i] + 0.55 * theme["ground"][i]);
            let ratio = contrast(theme["ink"], mixed);
            assert!(ratio >= 4.5, "theme {n}: text on a full {colour} cell has {ratio:.2}");
        }
    }
}
