//! The published sizes.

use std::str::FromStr;

use super::config::{GraphNetwork, Network, Sizes, Vocabulary};

/// A published size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    name: &'static str,
    family: Family,
    layers: usize,
    width: usize,
    heads: usize,
    inner: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Esm2,
    Rinalmo,
    MoleBert,
}

const fn preset(name: &'static str, family: Family, layers: usize, width: usize, heads: usize, inner: usize) -> Preset {
    Preset { name, family, layers, width, heads, inner }
}

const PRESETS: [Preset; 11] = [
    preset("esm2-8m", Family::Esm2, 6, 320, 20, 1280),
    preset("esm2-35m", Family::Esm2, 12, 480, 20, 1920),
    preset("esm2-150m", Family::Esm2, 30, 640, 20, 2560),
    preset("esm2-650m", Family::Esm2, 33, 1280, 20, 5120),
    preset("esm2-3b", Family::Esm2, 36, 2560, 40, 10240),
    preset("esm2-15b", Family::Esm2, 48, 5120, 40, 20480),
    preset("rinalmo-nano", Family::Rinalmo, 6, 320, 20, 853),
    preset("rinalmo-micro", Family::Rinalmo, 12, 480, 20, 1280),
    preset("rinalmo-mega", Family::Rinalmo, 30, 640, 20, 1706),
    preset("rinalmo-giga", Family::Rinalmo, 33, 1280, 20, 3413),
    preset("mole-bert", Family::MoleBert, 5, 300, 0, 600),
];

impl Preset {
    /// The published size of this family, with so many layers of this width.
    pub(super) fn of(family: &str, layers: usize, width: usize) -> Option<Self> {
        let fits = |preset: &&Self| preset.name.starts_with(family) && (preset.layers, preset.width) == (layers, width);
        PRESETS.iter().find(fits).copied()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Names of all presets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|preset| preset.name)
    }

    /// The network of this size.
    #[must_use]
    pub fn network(self) -> Network {
        let sizes = Sizes { n_layers: self.layers, d_model: self.width, n_heads: self.heads, d_ff: self.inner };
        match self.family {
            Family::Esm2 => Network::esm2(sizes),
            Family::Rinalmo => Network::rinalmo(sizes, Vocabulary::Rinalmo),
            Family::MoleBert => {
                Network::MoleBert(GraphNetwork { n_layers: self.layers, d_model: self.width, n_codes: None })
            }
        }
    }
}

impl FromStr for Preset {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = PRESETS.iter().find(|preset| preset.name == text);
        let names = || Self::names().collect::<Vec<_>>().join(", ");
        found.copied().ok_or_else(|| format!("'{text}' is not one of {}", names()))
    }
}
