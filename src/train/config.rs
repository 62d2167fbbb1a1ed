//! Everything that a training can be told: presets, and TOML for the rest.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::stop::Stop;
use crate::data::{Dataset, Task};
use crate::error::{Error, Result};
use crate::files::whole;
use crate::models::fusion::{Fusion, FusionConfig, Projection};
use crate::ops::weight_update::AdamConfig;

/// A file that sets every key has about 1 kB.
const MOST_CONFIG: u64 = 1 << 20;

/// The network, as far as the data does not fix it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// `"none"`, `"one-sided"` or `{ both = WIDTH }`.
    pub projection: Projection,
    /// `"static"`, `"input"`, `"concat"` or `"average"`.
    pub fusion: Fusion,
    /// Widths of the hidden layers of the head.
    pub head: Vec<usize>,
    /// Dropout behind each projection.
    pub dropout_projection: f32,
    /// Dropout behind each hidden layer of the head.
    pub dropout_head: f32,
}

impl NetworkConfig {
    /// The network for vectors of these widths.
    #[must_use]
    pub fn for_data(&self, d_partner: usize, d_rna: usize, n_outputs: usize, task: Task) -> FusionConfig {
        FusionConfig {
            d_partner,
            d_rna,
            projection: self.projection,
            fusion: self.fusion,
            head: self.head.clone(),
            n_outputs,
            dropout_projection: self.dropout_projection,
            dropout_head: self.dropout_head,
            task,
        }
    }
}

/// A training: network, optimiser, batches, stopping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The network.
    pub network: NetworkConfig,
    /// The optimiser.
    pub optimiser: AdamConfig,
    /// Most epochs.
    pub epochs: usize,
    /// Pairs of a step.
    pub batch: usize,
    /// Stopping rule.
    pub stop: Stop,
    /// Share of the training rows that is kept as the inner part.
    pub inner: f64,
    /// Standardise the inputs on the training entities.
    pub standardise: bool,
}

/// A named starting point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Published code, RNA–protein: both sides to 512, head 512-64-1, batch 32.
    RnaProtein,
    /// Published code, RNA–RNA: both sides to 512, head 512-256-128-1, batch 32.
    RnaRna,
    /// Published code, RNA–molecule: both sides to 256, head 256-128-64-1, batch 16.
    RnaMolecule,
    /// The paper's text: RNA to the partner's width, static gate, head 512-64-1.
    Paper,
}

impl std::str::FromStr for Preset {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rna-protein" => Ok(Self::RnaProtein),
            "rna-rna" => Ok(Self::RnaRna),
            "rna-molecule" => Ok(Self::RnaMolecule),
            "paper" => Ok(Self::Paper),
            other => Err(format!("'{other}' is not one of rna-protein, rna-rna, rna-molecule, paper")),
        }
    }
}

impl Preset {
    /// The training that it names.
    #[must_use]
    pub fn config(self) -> TrainConfig {
        let (projection, head, batch) = match self {
            Self::RnaProtein => (Projection::Both(512), vec![64], 32),
            Self::RnaRna => (Projection::Both(512), vec![256, 128], 32),
            Self::RnaMolecule => (Projection::Both(256), vec![128, 64], 16),
            Self::Paper => (Projection::OneSided, vec![512, 64], 32),
        };
        TrainConfig {
            network: NetworkConfig {
                projection,
                fusion: Fusion::Static,
                head,
                dropout_projection: 0.1,
                dropout_head: 0.5,
            },
            optimiser: AdamConfig::default(),
            epochs: 100,
            batch,
            stop: Stop::Default,
            inner: 0.1,
            standardise: true,
        }
    }
}

impl TrainConfig {
    /// `preset` with the keys of the TOML file laid over it; the file may name another `preset` itself.
    /// The word `paper` in place of a file is the paper's network.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or has a key or value that is unknown.
    pub fn load(preset: Preset, config: Option<&Path>) -> Result<Self> {
        const KEYS: &str = "known keys: preset, epochs, batch, stop, inner, standardise, [network] projection, fusion, \
                            head, dropout_projection, dropout_head, [optimiser] learning_rate, beta1, beta2, epsilon";
        let Some(path) = config else { return Ok(preset.config()) };
        if path == Path::new("paper") {
            return Ok(Preset::Paper.config());
        }
        let wrong = |reason: String| Error::format(path, reason, KEYS);
        let text =
            String::from_utf8(whole::read(path, MOST_CONFIG)?).map_err(|_| wrong("this is not UTF-8 text".into()))?;
        let mut overrides: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() as u64 + 1;
            Error::record(path, line, "", format!("not valid TOML: {}", e.message()), KEYS)
        })?;
        let preset = match overrides.remove("preset") {
            Some(name) => name.as_str().unwrap_or_default().parse().map_err(wrong)?,
            None => preset,
        };
        let mut table = toml::Table::try_from(preset.config()).map_err(|e| wrong(e.to_string()))?;
        lay_over(&mut table, overrides);
        let config: Self =
            table.try_into().map_err(|e: toml::de::Error| wrong(e.to_string().trim_end().replace('\n', " ")))?;
        config.check().map_err(|e| wrong(e.to_string()))?;
        Ok(config)
    }

    /// Checks the values that do not depend on the data.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the key.
    pub fn check(&self) -> Result<()> {
        let rules = [
            (self.epochs >= 1, "epochs must be at least 1"),
            (self.batch >= 1 && self.batch <= 1 << 20, "batch must be between 1 and 1 048 576"),
            (self.inner > 0.0 && self.inner < 0.9, "inner must be a share between 0 and 0.9"),
            (self.optimiser.learning_rate > 0.0, "learning_rate must be positive"),
            ((0.0..1.0).contains(&self.optimiser.beta1), "beta1 must be in [0, 1)"),
            ((0.0..1.0).contains(&self.optimiser.beta2), "beta2 must be in [0, 1)"),
            (self.optimiser.epsilon > 0.0, "epsilon must be positive"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(Error::usage(*rule, "correct the value in --config or on the command line")),
            None => Ok(()),
        }
    }

    /// The network for `data`: widths and task come from there.
    #[must_use]
    pub fn fusion_config(&self, data: &Dataset) -> FusionConfig {
        self.network.for_data(data.partner.dim(), data.rna.dim(), data.n_labels(), data.task)
    }

    /// The same training with another fusion.
    #[must_use]
    pub fn with_fusion(&self, fusion: Fusion) -> Self {
        Self { network: NetworkConfig { fusion, ..self.network.clone() }, ..self.clone() }
    }
}

/// Tables are merged key by key, everything else is replaced.
fn lay_over(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            // A projection is written as a word or as a table: it is replaced whole.
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) if key != "projection" => lay_over(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<TrainConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("training.toml");
        std::fs::write(&path, text).unwrap();
        TrainConfig::load(Preset::RnaProtein, Some(&path))
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_read() {
        let fits = format!("epochs = 3\n#{}", " ".repeat(MOST_CONFIG as usize - 12));
        assert_eq!(load(&fits).unwrap().epochs, 3);
        let error = load(&format!("{fits} ")).unwrap_err().to_string();
        assert!(error.contains("training.toml") && error.contains("1048576 bytes"), "{error}");
    }

    #[test]
    fn keys_are_laid_over_the_preset() {
        let config =
            load("epochs = 7\nstop = \"patience:3\"\n[network]\nhead = [9, 3]\n[optimiser]\nlearning_rate = 0.01\n")
                .unwrap();
        assert_eq!((config.epochs, config.stop, config.batch), (7, Stop::Patience(3), 32));
        assert_eq!(config.network.head, [9, 3]);
        assert_eq!(config.optimiser.beta1, 0.9);
        let config = load("preset = \"rna-molecule\"\n[network]\nprojection = \"one-sided\"\n").unwrap();
        assert_eq!((config.batch, config.network.projection), (16, Projection::OneSided));
        assert_eq!(load("[network]\nprojection = { both = 64 }").unwrap().network.projection, Projection::Both(64));
    }

    #[test]
    fn every_preset_is_sound() {
        for preset in ["rna-protein", "rna-rna", "rna-molecule", "paper"] {
            preset.parse::<Preset>().unwrap().config().check().unwrap();
        }
    }

    #[test]
    fn what_is_unknown_is_refused_with_the_known_keys() {
        for bad in [
            "epoch = 7",
            "epochs = 0",
            "stop = \"patience:0\"",
            "batch = \"x\"",
            "= 3",
            "preset = \"x\"",
            "[network]\nfusion = \"sum\"",
        ] {
            let error = load(bad).unwrap_err();
            assert!(error.help().contains("known keys"), "{bad}: {error}");
        }
    }
}
