//! From the names of a foreign checkpoint to the canonical ones.

/// How one layout names its tensors.
#[derive(Debug, Clone, Copy)]
pub struct Naming {
    /// Prefixes that a file may have or lack; each is taken off once, in this order.
    pub prefixes: &'static [&'static str],
    /// What each tensor is called here.
    pub rules: &'static [Rule],
    /// Tensors that the network does not need: heads, unused tables, counters.
    pub ignored: &'static [&'static str],
}

/// One line of a naming table. Names are compared word by word between their dots: `#` stands for a number, the same on
/// both sides; a last `*` for `weight` or `bias`; a last `**` for all that follows.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The name in the file.
    pub from: &'static str,
    /// The canonical names. Several: the tensor is cut into as many equal blocks of rows, in this order.
    pub to: &'static [&'static str],
}

/// What a table makes of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// It is these tensors.
    Canonical(Vec<String>),
    /// It is known and not needed; the word or words that it was known by.
    Ignored(&'static str),
    /// The table does not know it.
    Unknown,
}

/// What the placeholders of a pattern stood for.
#[derive(Default)]
struct Found<'a> {
    number: &'a str,
    last: &'a str,
}

impl Naming {
    /// What the table makes of `name`.
    #[must_use]
    pub fn meaning(&self, name: &str) -> Meaning {
        let mut rest = name;
        for prefix in self.prefixes {
            rest = rest.strip_prefix(prefix).unwrap_or(rest);
        }
        // Older and newer writers of one library differ in these two words.
        let renamed = match (rest.strip_suffix("LayerNorm.gamma"), rest.strip_suffix("LayerNorm.beta")) {
            (Some(head), _) => Some(format!("{head}LayerNorm.weight")),
            (_, Some(head)) => Some(format!("{head}LayerNorm.bias")),
            _ => None,
        };
        let rest = renamed.as_deref().unwrap_or(rest);
        for rule in self.rules {
            if let Some(found) = fits(rule.from, rest) {
                return Meaning::Canonical(rule.to.iter().map(|to| fill(to, &found)).collect());
            }
        }
        let ignored = self.ignored.iter().find(|pattern| fits(pattern, rest).is_some());
        ignored.map_or(Meaning::Unknown, |pattern| {
            Meaning::Ignored(pattern.trim_end_matches(".**").rsplit("#.").next().unwrap_or(pattern))
        })
    }
}

fn fits<'a>(pattern: &str, name: &'a str) -> Option<Found<'a>> {
    let mut found = Found::default();
    let mut words = name.split('.');
    for part in pattern.split('.') {
        if part == "**" {
            return words.next().map(|_| found);
        }
        let word = words.next()?;
        match part {
            // One writer puts a literal asterisk where every layer shares a tensor.
            "#" if word == "*" || (!word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())) => found.number = word,
            "*" if matches!(word, "weight" | "bias") => found.last = word,
            _ if part == word => {}
            _ => return None,
        }
    }
    words.next().is_none().then_some(found)
}

fn fill(pattern: &str, found: &Found) -> String {
    let words = pattern.split('.').map(|part| match part {
        "#" => found.number,
        "*" => found.last,
        other => other,
    });
    words.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Naming = Naming {
        prefixes: &["model.", "esm."],
        rules: &[
            Rule { from: "layer.#.attention.LayerNorm.*", to: &["layers.#.attention_norm.*"] },
            Rule {
                from: "blocks.#.Wqkv.weight",
                to: &["layers.#.query.weight", "layers.#.key.weight", "layers.#.value.weight"],
            },
            Rule { from: "layer.#.rotary.inv_freq", to: &["inv_freq"] },
        ],
        ignored: &["lm_head.**", "position_ids"],
    };

    #[test]
    fn names_are_found_under_every_alias() {
        let one = |name: &str| match TABLE.meaning(name) {
            Meaning::Canonical(names) => names.join(" "),
            other => format!("{other:?}"),
        };
        for name in ["esm.layer.3.attention.LayerNorm.gamma", "layer.3.attention.LayerNorm.weight"] {
            assert_eq!(one(name), "layers.3.attention_norm.weight");
        }
        assert_eq!(one("model.layer.12.attention.LayerNorm.beta"), "layers.12.attention_norm.bias");
        assert_eq!(one("blocks.0.Wqkv.weight"), "layers.0.query.weight layers.0.key.weight layers.0.value.weight");
        assert_eq!(one("esm.layer.*.rotary.inv_freq"), "inv_freq");
        for name in ["lm_head.dense.weight", "esm.position_ids"] {
            assert!(one(name).starts_with("Ignored"), "{name}");
        }
        assert_eq!(TABLE.meaning("lm_head.dense.weight"), Meaning::Ignored("lm_head"));
        for name in
            ["layer.x.attention.LayerNorm.gamma", "layer.3.attention.LayerNorm", "lm_head", "", "x.esm.lm_head.a"]
        {
            assert_eq!(one(name), "Unknown", "{name}");
        }
    }
}
