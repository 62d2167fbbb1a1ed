//! A published checkpoint becomes a backbone folder.

use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::config::{BackboneConfig, SourceNote};
use super::digest::require_finite;
use super::open::{file_name, find_tensors};
use super::source::{Hints, Kind, find};
use super::write::{DtypeChoice, Plan, create};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::weights::elements::Element;
use crate::weights::{Tensor, Values};

/// Numbers that are converted at a time.
const BLOCK: usize = 1 << 20;

/// What is said about a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// What it is; by default its tensors say so.
    pub kind: Option<Kind>,
    /// Attention heads, where nothing in the checkpoint says how many.
    pub heads: Option<usize>,
    /// The codebook of Mole-BERT's tokenizer, beside its encoder.
    pub codebook: Option<PathBuf>,
    /// Type of the written numbers.
    pub dtype: DtypeChoice,
    /// Replace a finished folder.
    pub force: bool,
}

/// What was imported.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The folder's description.
    pub config: BackboneConfig,
    /// Tensors of the network.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: u64,
    /// Bytes of the numbers.
    pub bytes: u64,
    /// Tensors of the checkpoint that the network does not need: what they are, and how many.
    pub left_out: Vec<(String, usize)>,
}

/// Imports `source` into the folder `out`. Every number is checked to be finite; a checkpoint that is opened in place
/// and its import without a change of type have one digest.
///
/// # Errors
/// [`Error::Format`] that names the file and the tensor; [`Error::Usage`] for options that contradict the checkpoint;
/// [`Error::Data`] for numbers beyond the type asked for; [`Error::Io`]. Nothing is left of the folder then.
pub fn import(source: &Path, options: &ImportOptions, out: &Path, progress: &dyn Progress) -> Result<Imported> {
    let hints = Hints { kind: options.kind, heads: options.heads, codebook: options.codebook.as_deref() };
    let found = find(source, hints)?;
    let tensors = find_tensors(&found.network, &found.scope)?;
    found.scope.check_sums()?;
    let note = SourceNote { format: found.format.to_owned(), name: file_name(source) };
    let (expected, stored): (Vec<_>, Vec<Tensor>) = tensors.into_iter().unzip();
    let typed = |expected, tensor: &Tensor| -> (_, Element) {
        let expected: super::layout::Expected = expected;
        let element = options.dtype.element(tensor.element(), expected.role);
        (expected, element)
    };
    let plan = Plan {
        network: found.network,
        source: found.own.map_or(note, |own| own.source),
        tensors: expected.into_iter().zip(&stored).map(|(expected, tensor)| typed(expected, tensor)).collect(),
        beside: found.tokenizer.iter().map(Path::to_path_buf).collect(),
    };
    let folder = create(out, options.force)?;
    let config = plan.write(folder, progress, |i, sink| {
        let (expected, element) = &plan.tensors[i];
        require_finite(found.scope.file_of(&expected.name), &expected.name, &stored[i])?;
        convert(&stored[i], *element, &expected.name, sink)
    })?;
    Ok(Imported {
        config,
        tensors: plan.tensors.len(),
        parameters: plan.tensors.iter().map(|(expected, _)| expected.n_elements() as u64).sum(),
        bytes: plan.bytes(),
        left_out: found.scope.ignored().iter().map(|(what, n)| ((*what).to_owned(), *n)).collect(),
    })
}

/// Hands over the numbers of a tensor as `element`, f16 or f32 where it is not their own type.
fn convert(tensor: &Tensor, element: Element, name: &str, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    if tensor.element() == element {
        return tensor.bytes().chunks(BLOCK * size_of::<f32>()).try_for_each(sink);
    }
    let mut numbers = vec![0f32; BLOCK.min(tensor.bytes().len())];
    let mut halves = vec![f16::ZERO; numbers.len()];
    let n: usize = tensor.shape().iter().product();
    for start in (0..n).step_by(BLOCK) {
        let range = start..(start + BLOCK).min(n);
        let numbers = &mut numbers[..range.len()];
        match tensor.values() {
            Values::F16(x) => x[range].convert_to_f32_slice(numbers),
            Values::Bf16(x) => x[range].convert_to_f32_slice(numbers),
            Values::F32(x) => numbers.copy_from_slice(&x[range]),
        }
        if element == Element::F32 {
            sink(bytemuck::cast_slice(numbers))?;
            continue;
        }
        let halves = &mut halves[..numbers.len()];
        halves.convert_from_f32_slice(numbers);
        if let Some(i) = halves.iter().position(|x| !x.is_finite()) {
            let what = format!("the tensor '{name}' holds {}, which no f16 can hold", numbers[i]);
            return Err(Error::data(what, "leave out --dtype f16, or use --dtype f32"));
        }
        sink(bytemuck::cast_slice(halves))?;
    }
    Ok(())
}
