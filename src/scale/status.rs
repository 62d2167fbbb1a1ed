//! How far the shards of an output are, by what their manifests say.

use std::path::{Path, PathBuf};

use super::outputs_at;
use crate::embed::store::SHARD_KIND;
use crate::error::Result;
use crate::files::shard_set::{Standing, standings};
use crate::files::{Manifest, Shard};
use crate::screen;

/// Kinds of shards.
const KINDS: [&str; 2] = [SHARD_KIND, screen::SHARD_KIND];

/// What became of an output.
#[derive(Debug)]
pub struct Status {
    /// The output.
    pub out: PathBuf,
    /// It is finished, or merged.
    pub finished: bool,
    /// Its shards, for every number of shards that it was cut into.
    pub shards: Vec<(Shard, Standing)>,
}

impl Status {
    /// True when nothing is left to be done: it is finished, or waits for `merge` with every shard done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let done = |(_, standing): &(Shard, Standing)| matches!(standing, Standing::Done(_));
        self.finished || (!self.shards.is_empty() && self.shards.iter().all(done))
    }
}

/// What became of each output at `out`. No file but manifests is read.
///
/// # Errors
/// [`Error::Usage`](crate::error::Error::Usage) when there is neither an output nor a shard;
/// [`Error::Io`](crate::error::Error::Io).
pub fn status(out: &Path) -> Result<Vec<Status>> {
    let status_of = |out: PathBuf| {
        let shards = standings(&out, &KINDS)?;
        // Another table may have the place that the shards are to take.
        let is_table = || Ok(out.is_file() && (shards.is_empty() || screen::is_merged(&out)?));
        let finished = Manifest::read(&out).is_ok() || is_table()?;
        Ok(Status { out, finished, shards })
    };
    outputs_at(out)?.into_iter().map(status_of).collect()
}
