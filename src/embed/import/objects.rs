//! Pickled dicts, PyTorch dicts, and folders of fair-esm extract files.

use std::path::Path;

use super::RowPooling;
use super::sink::Sink;
use crate::error::{Error, Result};
use crate::files::mapped::map;
use crate::files::output_folder::list_files;
use crate::weights::pickle::{Pickle, View};
use crate::weights::torch_file::TorchFile;

pub(super) fn import_pickle(source: &Path, sink: &mut Sink) -> Result<()> {
    let bytes = map(source)?;
    let pickle = Pickle::read(source, &bytes)?;
    import_dict(source, pickle.root(), None, sink)
}

pub(super) fn import_torch(source: &Path, sink: &mut Sink) -> Result<()> {
    let file = TorchFile::open(source)?;
    file.check_sums(&|_| None)?;
    let pickle = file.pickle()?;
    if pickle.root().get("label").is_some() {
        import_extract(source, pickle.root(), &file, sink)
    } else {
        import_dict(source, pickle.root(), Some(&file), sink)
    }
}

/// Every `.pt` file below `folder`, by name.
pub(super) fn import_folder(folder: &Path, sink: &mut Sink) -> Result<()> {
    let mut names = Vec::new();
    list_files(folder, "", &mut names)?;
    names.retain(|name| Path::new(name).extension().is_some_and(|suffix| suffix == "pt"));
    names.sort_unstable();
    if names.is_empty() {
        return Err(Error::data(
            format!("{}: there is no .pt file in it", folder.display()),
            "name the output folder of fair-esm's extract.py, or a single file of vectors",
        ));
    }
    names.iter().try_for_each(|name| import_torch(&folder.join(name), sink))
}

fn import_dict(source: &Path, root: View, file: Option<&TorchFile>, sink: &mut Sink) -> Result<()> {
    let Some(entries) = root.entries() else {
        return Err(Error::data(
            format!("{}: it holds a {}, not a dict of vectors", source.display(), root.kind()),
            "pickle a dict that leads from ids to arrays",
        ));
    };
    for (key, value) in entries {
        let number = key.as_int().map(|id| id.to_string());
        let Some(id) = key.as_str().or(number.as_deref()) else {
            return Err(Error::data(
                format!("{}: a key of its dict is a {}, not an id", source.display(), key.kind()),
                "use text as keys",
            ));
        };
        let (rows, values) = numbers(source, id, value, file)?;
        sink.push_rows(id, rows, &values)?;
    }
    Ok(())
}

/// One file of fair-esm's extract.py: `label`, and per layer what was asked for when it was made.
fn import_extract(source: &Path, root: View, file: &TorchFile, sink: &mut Sink) -> Result<()> {
    let label = root.get("label").and_then(View::as_str).unwrap_or_default();
    let (made, pooled) = match sink.pooling() {
        Some(RowPooling::Cls) => ("bos_representations", "cls"),
        _ => ("mean_representations", "mean"),
    };
    let layers = root.get(made).or_else(|| match sink.pooling() {
        // Per-residue values have no first token any more, but they have a mean.
        Some(RowPooling::Mean) => root.get("representations"),
        _ => None,
    });
    let highest = layers.and_then(View::entries).and_then(|layers| {
        layers.filter_map(|(layer, value)| Some((layer.as_int()?, value))).max_by_key(|(layer, _)| *layer)
    });
    let Some((_, value)) = highest else {
        return Err(Error::data(
            format!("{}: it has no {made}", source.display()),
            "run extract.py with --include mean (or bos, and import with --pooling cls)",
        ));
    };
    let (rows, values) = numbers(source, label, value, Some(file))?;
    sink.pooled = Some(pooled);
    sink.push_rows(label, rows, &values)
}

/// Rows, and the values row-major, of an array, a tensor or a list of numbers.
fn numbers(source: &Path, id: &str, value: View, file: Option<&TorchFile>) -> Result<(usize, Vec<f32>)> {
    let wrong = |what: String| {
        Error::data(
            format!("{}: the value of '{id}' is {what}", source.display()),
            "each value must be one vector: an array or tensor of numbers, or a list of floats",
        )
    };
    if let Some(array) = value.as_array() {
        let (rows, columns) =
            array.matrix_shape().ok_or_else(|| wrong(format!("an array of shape {:?}", array.shape)))?;
        // As many as the array has bytes for: the view has counted them.
        let mut values = vec![0.0; rows * columns];
        for (row, out) in values.chunks_exact_mut(columns.max(1)).enumerate() {
            array.copy_row(row, out);
        }
        return Ok((rows, values));
    }
    if let (Some(tensor), Some(file)) = (value.as_tensor(), file) {
        let rows = match *tensor.shape {
            [_] => 1,
            [rows, _] => rows,
            _ => return Err(wrong(format!("a tensor of shape {:?}", tensor.shape))),
        };
        return Ok((rows, file.read_tensor(&tensor)?));
    }
    let items = value.items().ok_or_else(|| wrong(format!("a {} that cannot be read as numbers", value.kind())))?;
    let values: Option<Vec<f32>> = items.map(View::as_f32).collect();
    values.map(|values| (1, values)).ok_or_else(|| wrong(format!("a {} of other things than numbers", value.kind())))
}
