//! The `config.json` of foreign folders: Hugging Face's ESM, and multimolecule's `RiNALMo`.

use std::path::Path;

use serde_json::Value;

use super::config::{Network, Sizes, Vocabulary};
use super::state_dict;
use crate::error::{Error, Result};
use crate::weights::Scope;

/// A `config.json` and where it lies.
pub(super) struct ForeignConfig<'a> {
    pub path: &'a Path,
    pub values: &'a Value,
}

impl ForeignConfig<'_> {
    /// `esm`, `rinalmo`, …
    pub fn model_type(&self) -> &str {
        self.values.get("model_type").and_then(Value::as_str).unwrap_or_default()
    }

    /// ESM-2 as the configuration describes it.
    ///
    /// # Errors
    /// [`Error::Format`] for ESM-1b and other relatives, and for a value that no ESM-2 has.
    pub fn esm2(&self) -> Result<Network> {
        // The class of Hugging Face means learned positions where the key is absent.
        self.require_text("position_embedding_type", Some("absolute"), "rotary")?;
        self.require_text("hidden_act", Some("gelu"), "gelu")?;
        let network = Network::esm2(self.sizes(self.size("intermediate_size")?)?);
        self.finish(network, Vocabulary::Esm2, false)
    }

    /// `RiNALMo` as the configuration and the tensors describe it: the inner width stands in the tensors alone.
    ///
    /// # Errors
    /// [`Error::Format`] for a value that no `RiNALMo` has.
    pub fn rinalmo(&self, scope: &Scope) -> Result<Network> {
        self.require_text("position_embedding_type", Some("rotary"), "rotary")?;
        let sizes = self.sizes(state_dict::inner_width(scope)?)?;
        let network = Network::rinalmo(sizes, Vocabulary::Multimolecule);
        self.finish(network, Vocabulary::Multimolecule, true)
    }

    /// Values that both families have; `token_dropout` is what the reference class takes where the key is absent.
    fn finish(&self, mut network: Network, vocabulary: Vocabulary, token_dropout: bool) -> Result<Network> {
        for (key, expected) in [
            ("vocab_size", vocabulary.size() as u64),
            ("mask_token_id", u64::from(vocabulary.mask_id())),
            ("pad_token_id", u64::from(vocabulary.pad_id())),
        ] {
            let found = self.values.get(key).and_then(Value::as_u64);
            if found.is_some_and(|found| found != expected) || (found.is_none() && key == "vocab_size") {
                return Err(self.wrong(
                    format!(
                        "{key} is {}, not {expected}",
                        found.map_or("absent".to_owned(), |found| found.to_string())
                    ),
                    "the token ids of this variant are not known: use a checkpoint with the published vocabulary",
                ));
            }
        }
        for key in ["emb_layer_norm_before", "is_decoder", "add_cross_attention"] {
            if self.flag(key, false)? {
                return Err(self.wrong(
                    format!("{key} is true, which neither ESM-2 nor RiNALMo has"),
                    "name a checkpoint of ESM-2 or RiNALMo",
                ));
            }
        }
        let theta = self.rope_theta()?;
        let epsilon = self.number("layer_norm_eps", 1e-5)?;
        let dropout = self.flag("token_dropout", token_dropout)?;
        if let Some(encoder) = network.encoder_mut() {
            encoder.layer_norm_eps = epsilon as f32;
            encoder.rope_theta = theta as f32;
            encoder.token_dropout = dropout;
        }
        Ok(network)
    }

    fn sizes(&self, d_ff: usize) -> Result<Sizes> {
        Ok(Sizes {
            n_layers: self.size("num_hidden_layers")?,
            d_model: self.size("hidden_size")?,
            n_heads: self.size("num_attention_heads")?,
            d_ff,
        })
    }

    /// Base of the rotary frequencies: a key of its own, or one of newer files' `rope_parameters`.
    fn rope_theta(&self) -> Result<f64> {
        let nested = ["rope_parameters", "rope_scaling"].into_iter().filter_map(|key| self.values.get(key));
        let Some(rope) = nested.into_iter().find(|rope| rope.is_object()) else {
            return self.number("rope_theta", 10_000.0);
        };
        let inner = ForeignConfig { path: self.path, values: rope };
        inner.require_text("rope_type", Some("default"), "default")?;
        inner.number("rope_theta", self.number("rope_theta", 10_000.0)?)
    }

    fn require_text(&self, key: &str, absent: Option<&str>, expected: &str) -> Result<()> {
        let found = match self.values.get(key) {
            None | Some(Value::Null) => absent,
            Some(value) => value.as_str(),
        };
        if found == Some(expected) {
            return Ok(());
        }
        Err(self.wrong(
            format!("{key} is '{}', not '{expected}'", found.unwrap_or("no text")),
            "name a checkpoint of ESM-2 or RiNALMo; ESM-1b and other relatives are other networks",
        ))
    }

    fn size(&self, key: &str) -> Result<usize> {
        let found = self.values.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        found.filter(|&n| n > 0).ok_or_else(|| self.wrong(format!("{key} is no positive integer"), GET_AGAIN))
    }

    fn number(&self, key: &str, absent: f64) -> Result<f64> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(absent),
            Some(value) => value.as_f64().ok_or_else(|| self.wrong(format!("{key} is no number"), GET_AGAIN)),
        }
    }

    fn flag(&self, key: &str, absent: bool) -> Result<bool> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(absent),
            Some(value) => {
                value.as_bool().ok_or_else(|| self.wrong(format!("{key} is neither true nor false"), GET_AGAIN))
            }
        }
    }

    fn wrong(&self, reason: String, help: &str) -> Error {
        Error::format(self.path, reason, help)
    }
}

const GET_AGAIN: &str = "get the configuration of the checkpoint again";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn esm2(change: impl FnOnce(&mut Value)) -> Result<Network> {
        let mut values = json!({
            "model_type": "esm", "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
            "intermediate_size": 256, "vocab_size": 33, "position_embedding_type": "rotary", "token_dropout": true,
        });
        change(&mut values);
        ForeignConfig { path: Path::new("config.json"), values: &values }.esm2()
    }

    #[test]
    fn what_is_absent_has_the_value_of_the_family() {
        let network = esm2(|_| {}).unwrap();
        let encoder = &network.sequence().unwrap().encoder;
        assert_eq!((encoder.layer_norm_eps, encoder.rope_theta, encoder.token_dropout), (1e-5, 10_000.0, true));
        let network = esm2(|values| {
            values["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 5000.0});
            values["layer_norm_eps"] = json!(1e-12);
        });
        let network = network.unwrap();
        let encoder = &network.sequence().unwrap().encoder;
        assert_eq!((encoder.layer_norm_eps, encoder.rope_theta), (1e-12, 5000.0));
    }

    #[test]
    fn relatives_are_refused_by_the_key() {
        let cases: [(&str, Value); 9] = [
            ("position_embedding_type", json!("absolute")),
            ("position_embedding_type", Value::Null),
            ("emb_layer_norm_before", json!(true)),
            ("vocab_size", json!(34)),
            ("mask_token_id", json!(4)),
            ("num_attention_heads", json!(0)),
            ("layer_norm_eps", json!("small")),
            ("hidden_act", json!("relu")),
            ("rope_parameters", json!({"rope_type": "linear"})),
        ];
        for (key, value) in cases {
            let error = esm2(|values| values[key] = value.clone()).unwrap_err().to_string();
            let key = if key == "rope_parameters" { "rope_type" } else { key };
            assert!(error.contains("config.json") && error.contains(key), "{error}");
        }
    }
}
