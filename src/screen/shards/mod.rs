//! Shards of a screen: each has the best of its rows of the library, and together they become the table of all.

mod merge;
mod record;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::hits::{HitTable, columns};
use super::progress_file::ProgressFile;
use super::search::Screening;
use super::table::Kind;
use crate::data::Side;
use crate::error::{Error, Result};
use crate::files::{Manifest, OutputFolder, Shard};
use crate::ops::pair_score::PairScore;
use crate::progress::Progress;

pub use merge::{MergedScreen, merge_shards};
pub use record::is_merged;

/// Kind of the folder of a shard.
pub const SHARD_KIND: &str = "screen-shard";
/// The table of a shard in its folder.
const HITS: &str = "hits.tsv";
/// The records that were refused on the way, in its folder.
const REJECTS: &str = "rejects.tsv";

/// What a shard says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardDetail {
    /// Digest of all that the hits of the whole screen depend on, 64 hex digits.
    pub key: String,
    /// Columns of the table of the whole screen.
    pub columns: Vec<(String, Kind)>,
    /// The column of the ids that break ties.
    pub id_column: String,
    /// Hits per target.
    pub top_k: usize,
    /// Targets.
    pub targets: usize,
    /// Entries of the whole library.
    pub entries: usize,
    /// Rows of the library: those that were searched, `[first, end)`, and all.
    pub rows: [usize; 2],
    /// Rows of the whole library.
    pub all_rows: usize,
    /// Hits of this shard.
    pub hits: usize,
    /// Records that were refused while they were embedded on the way.
    pub rejected: usize,
}

/// What became of a shard.
#[derive(Debug, PartialEq)]
pub enum Screened {
    /// It was searched.
    Written {
        /// Hits found.
        hits: usize,
        /// Pairs that were scored exactly.
        rescored: usize,
        /// Where they are.
        path: PathBuf,
    },
    /// It was finished before.
    UpToDate(PathBuf),
    /// The whole screen was merged before.
    Merged(PathBuf),
}

/// Searches the rows of `screening`, those of a shard of the screen that is to be written to `out`, and leaves their hits in
/// the [folder of the shard](Shard::place). A shard that is done, or of a screen that is merged, is left as it is; one that was
/// stopped goes on where it was. `rejects` are the records that were refused on the way, as a table, and their number.
///
/// # Errors
/// Those of [`Screening::run`]; [`Error::Busy`] while another process makes the shard; [`Error::Io`].
pub fn screen_shard<B: PairScore + Sync>(
    backend: &B,
    screening: &Screening<'_>,
    (out, shard): (&Path, Shard),
    rejects: (&str, usize),
    progress: &dyn Progress,
) -> Result<Screened> {
    let place = shard.place(out);
    let mut detail = detail_of(screening, rejects.1);
    if record::key(out).is_some_and(|key| key == detail.key) {
        return Ok(Screened::Merged(out.to_path_buf()));
    }
    OutputFolder::settle(&place)?;
    if Manifest::read_kind(&place, SHARD_KIND).is_ok_and(|found| found.detail["key"] == detail.key.as_str()) {
        return Ok(Screened::UpToDate(place));
    }
    let fits = |kept: &serde_json::Value| kept["key"] == detail.key.as_str();
    let (mut folder, kept) = OutputFolder::resume(&place, SHARD_KIND, true, fits)?;
    if kept.is_none() {
        folder.checkpoint(json!({ "key": detail.key }))?;
    }
    let mut stand = ProgressFile::within(&folder, screening)?;
    let mut table = HitTable::create_of_shard(&folder.place(HITS)?, screening)?;
    let rescored = screening.run(backend, Some(&mut stand), progress, |target, hits| table.push(target, hits))?;
    detail.hits = table.finish()?;
    if rejects.1 > 0 {
        folder.write(REJECTS, rejects.0.as_bytes())?;
    }
    let hits = detail.hits;
    folder.commit(serde_json::to_value(detail).map_err(|e| Error::format(&place, e.to_string(), "report this"))?)?;
    Ok(Screened::Written { hits, rescored, path: place })
}

/// What a shard will say, but for its hits.
fn detail_of(screening: &Screening<'_>, rejected: usize) -> ShardDetail {
    let id_column = if screening.targets_side == Side::Rna { "partner_id" } else { "rna_id" };
    ShardDetail {
        key: blake3::Hash::from(screening.digest()).to_string(),
        columns: columns(screening.model),
        id_column: id_column.to_owned(),
        top_k: screening.top_k,
        targets: screening.targets.len(),
        entries: screening.library.len(),
        rows: [screening.rows.start, screening.rows.end],
        all_rows: screening.library.n_rows(),
        hits: 0,
        rejected,
    }
}
