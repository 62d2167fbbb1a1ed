//! Shards become the output that one process would have made.

use std::path::{Path, PathBuf};

use super::outputs_at;
use crate::embed::merge_shards;
use crate::embed::pipeline::Filled;
use crate::error::Result;
use crate::files::Shard;
use crate::progress::Progress;

/// What became of an output.
#[derive(Debug, Clone, PartialEq)]
pub enum Merged {
    /// Its shards were joined, or it was finished already.
    Store(PathBuf, Filled),
    /// A finished table that has no shards.
    Table(PathBuf),
}

/// Joins the shards of each output at `out`, and removes them. What is merged already is left as it is.
///
/// # Errors
/// [`Error::Usage`](crate::error::Error::Usage) when there is neither an output nor a shard; those of [`merge_shards`].
pub fn merge(out: &Path, progress: &dyn Progress) -> Result<Vec<Merged>> {
    let outputs = outputs_at(out)?;
    outputs.into_iter().map(|output| merge_one(output, progress)).collect()
}

fn merge_one(output: PathBuf, progress: &dyn Progress) -> Result<Merged> {
    if output.is_file() && !Shard::folder_of(&output).is_dir() {
        return Ok(Merged::Table(output));
    }
    let filled = merge_shards(&output, progress)?;
    Ok(Merged::Store(output, filled))
}
