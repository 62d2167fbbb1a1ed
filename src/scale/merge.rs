//! Shards become the output that one process would have made.

use std::path::{Path, PathBuf};

use super::outputs_at;
use crate::embed::merge_shards;
use crate::embed::pipeline::Filled;
use crate::error::Result;
use crate::files::shard_set::{Standing, standings};
use crate::progress::Progress;
use crate::screen::{self, MergedScreen};

/// What became of an output.
#[derive(Debug, Clone, PartialEq)]
pub enum Merged {
    /// A store: its shards were joined, or it was finished already.
    Store(PathBuf, Filled),
    /// The table of a screen, likewise.
    Table(MergedScreen),
}

/// Joins the shards of each output at `out`, and removes them. What is merged already is left as it is.
///
/// # Errors
/// [`Error::Usage`](crate::error::Error::Usage) when there is neither an output nor a shard; those of [`merge_shards`] and of [`screen::merge_shards`].
pub fn merge(out: &Path, progress: &dyn Progress) -> Result<Vec<Merged>> {
    let outputs = outputs_at(out)?;
    outputs.into_iter().map(|output| merge_one(output, progress)).collect()
}

fn merge_one(output: PathBuf, progress: &dyn Progress) -> Result<Merged> {
    if output.is_file() || has_shards_of_screen(&output)? {
        return Ok(Merged::Table(screen::merge_shards(&output, progress)?));
    }
    let filled = merge_shards(&output, progress)?;
    Ok(Merged::Store(output, filled))
}

fn has_shards_of_screen(output: &Path) -> Result<bool> {
    let of_screen = |standing: &Standing| matches!(standing, Standing::Done(manifest) | Standing::Stopped(manifest) if manifest.kind == screen::SHARD_KIND);
    Ok(standings(output, &[screen::SHARD_KIND])?.iter().any(|(_, standing)| of_screen(standing)))
}
