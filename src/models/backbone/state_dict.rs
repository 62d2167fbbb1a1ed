//! Sizes that stand in the tensors alone, of files without a configuration.

use std::collections::BTreeSet;

use super::config::{GraphNetwork, Network, Sizes, Vocabulary};
use crate::error::{Error, Result};
use crate::weights::Scope;

/// Widths of the published `RiNALMo` models, which all have 20 heads.
const RINALMO_WIDTHS: [usize; 4] = [320, 480, 640, 1280];
const RINALMO_HEADS: usize = 20;

/// ESM-2 of a fair-esm file, which says its sizes beside the weights.
///
/// # Errors
/// [`Error::Format`] when the settings contradict the tensors, [`Error::Usage`] when the number of heads stands nowhere.
pub(super) fn fair_esm(scope: &Scope, heads: Option<usize>) -> Result<Network> {
    let mut sizes = sizes(scope, 0)?;
    let setting = |key: &str| scope.settings().get(&format!("cfg.model.{key}")).and_then(|&n| usize::try_from(n).ok());
    for (key, found) in [("encoder_layers", sizes.n_layers), ("encoder_embed_dim", sizes.d_model)] {
        if setting(key).is_some_and(|said| said != found) {
            let said = setting(key).unwrap_or_default();
            return Err(wrong(scope, format!("its cfg says {key} = {said}, its tensors say {found}")));
        }
    }
    let said = setting("encoder_attention_heads").or_else(|| heads_of_frequencies(scope, sizes.d_model));
    sizes.n_heads = choose_heads(scope, said, heads, sizes.d_model)?;
    let mut network = Network::esm2(sizes);
    if let Some(encoder) = network.encoder_mut() {
        encoder.token_dropout = setting("token_dropout").is_none_or(|on| on != 0);
    }
    Ok(network)
}

/// `RiNALMo` of its own file, which says its sizes nowhere.
///
/// # Errors
/// [`Error::Usage`] when the number of heads cannot be known.
pub(super) fn rinalmo(scope: &Scope, heads: Option<usize>) -> Result<Network> {
    let mut sizes = sizes(scope, 0)?;
    let d = sizes.d_model;
    let stored = heads_of_frequencies(scope, d);
    let published = || (heads.is_none() && RINALMO_WIDTHS.contains(&d)).then_some(RINALMO_HEADS);
    sizes.n_heads = choose_heads(scope, stored.or_else(published), heads, d)?;
    Ok(Network::rinalmo(sizes, Vocabulary::Rinalmo))
}

/// Mole-BERT, with a codebook where there is one.
///
/// # Errors
/// [`Error::Format`] when a tensor that tells a size is missing.
pub(super) fn mole_bert(scope: &Scope) -> Result<Network> {
    let d_model = width(scope, "x_embedding1.weight", 1)?;
    let n_codes = scope.shape("codebook.weight").and_then(|shape| shape.first().copied());
    Ok(Network::MoleBert(GraphNetwork { n_layers: count(scope, "gnns."), d_model, n_codes }))
}

/// Inner width of the feed-forward part.
///
/// # Errors
/// [`Error::Format`] when its tensor is missing.
pub(super) fn inner_width(scope: &Scope) -> Result<usize> {
    width(scope, "layers.0.up.weight", 0)
}

fn sizes(scope: &Scope, n_heads: usize) -> Result<Sizes> {
    Ok(Sizes {
        n_layers: count(scope, "layers."),
        d_model: width(scope, "embed_tokens.weight", 1)?,
        n_heads,
        d_ff: inner_width(scope)?,
    })
}

/// Heads by the number of stored frequencies: each head has two dimensions per frequency.
fn heads_of_frequencies(scope: &Scope, d_model: usize) -> Option<usize> {
    let shape = scope.shape("inv_freq")?;
    let d_head = shape.first()?.checked_mul(2)?;
    (shape.len() == 1 && d_head > 0 && d_model.is_multiple_of(d_head)).then(|| d_model / d_head)
}

fn choose_heads(scope: &Scope, known: Option<usize>, given: Option<usize>, d_model: usize) -> Result<usize> {
    match (known, given) {
        (Some(known), Some(given)) if known != given => Err(Error::usage(
            format!("--heads {given}, but {} has {known} heads", scope.file_of("inv_freq").display()),
            "leave --heads out",
        )),
        (Some(heads), _) | (None, Some(heads)) => Ok(heads),
        (None, None) => Err(Error::usage(
            format!(
                "{}: the number of attention heads of a model of width {d_model} stands nowhere in the file",
                scope.file_of("embed_tokens.weight").display()
            ),
            "say it with --heads N, as the model was trained",
        )),
    }
}

/// Distinct numbers behind `prefix`: of a whole checkpoint the number of its layers.
fn count(scope: &Scope, prefix: &str) -> usize {
    let numbers: BTreeSet<&str> =
        scope.names().filter_map(|name| name.strip_prefix(prefix)?.split('.').next()).collect();
    numbers.len()
}

fn width(scope: &Scope, name: &str, axis: usize) -> Result<usize> {
    match scope.shape(name) {
        Some(shape) if shape.len() == 2 => Ok(shape[axis]),
        Some(shape) => Err(wrong(scope, format!("the tensor '{name}': expected two axes, found the shape {shape:?}"))),
        None => Err(wrong(scope, format!("the tensor '{name}' is missing"))),
    }
}

fn wrong(scope: &Scope, reason: String) -> Error {
    let help = "get the checkpoint again, or check that it is what --kind says";
    Error::format(scope.file_of("embed_tokens.weight"), reason, help)
}
