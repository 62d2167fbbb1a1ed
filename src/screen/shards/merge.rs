//! The tables of all shards become one: of each target the best, in the order that one process finds.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

use super::super::hits::MERGED_BY;
use super::super::rejects::write_rejects;
use super::super::table::{Cell, Kind, TableFile};
use super::{HITS, REJECTS, SHARD_KIND, ShardDetail, record};
use crate::error::{Error, Result};
use crate::files::Shard;
use crate::files::folder_lock::lock;
use crate::files::shard_set::{FinishedShard, finished};
use crate::progress::{Progress, check_interrupt};

/// Memory for what is read ahead of all shards.
const AHEAD_BYTES: usize = 64 << 20;
const HELP: &str = "find the damage with 'biollmnet verify', remove the folder, and run this shard again";

/// What became of the shards of a screen.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedScreen {
    /// The table.
    pub out: PathBuf,
    /// Shards that were joined; 0 = it was merged already.
    pub shards: usize,
    /// Hits in the table.
    pub hits: usize,
    /// Targets.
    pub targets: usize,
    /// Entries of the library.
    pub entries: usize,
    /// Records that were refused while they were embedded on the way.
    pub rejected: usize,
}

/// Joins the shards of the screen `out` into its table, checks every byte of them on the way, and removes them when the table is
/// in place; a manifest in their folder says of which screen it is. The table is, byte by byte, that of one process. One that is
/// merged is left as it is.
///
/// Memory: a row of each shard and what is read ahead.
///
/// # Errors
/// [`Error::Data`] for missing shards; [`Error::Format`] for shards that do not belong together, and for damaged ones;
/// [`Error::Busy`] while another process merges them; [`Error::Io`]; [`Error::Interrupted`].
pub fn merge_shards(out: &Path, progress: &dyn Progress) -> Result<MergedScreen> {
    let _lock = lock(&Shard::folder_of(out)).map_err(|_| Error::Busy { path: out.to_path_buf() })?;
    let alone = out.is_file() && !Shard::folder_of(out).is_dir();
    if alone || record::is_merged(out)? {
        record::sweep(out)?;
        let out = out.to_path_buf();
        return Ok(MergedScreen { out, shards: 0, hits: 0, targets: 0, entries: 0, rejected: 0 });
    }
    let shards = finished(out, SHARD_KIND)?;
    let details: Vec<ShardDetail> = shards.iter().map(detail_of).collect::<Result<_>>()?;
    refuse_strangers(&shards, &details)?;
    let first = &details[0];
    let hits = join(out, &shards, first, progress)?;
    let rejects = shards[0].path.join(REJECTS);
    let rejects = (first.rejected > 0).then(|| fs::read(&rejects).map_err(Error::io("read", &rejects))).transpose()?;
    write_rejects(out, rejects.as_deref())?;
    record::write(out, &first.key)?;
    Ok(MergedScreen {
        out: out.to_path_buf(),
        shards: shards.len(),
        hits,
        targets: first.targets,
        entries: first.entries,
        rejected: first.rejected,
    })
}

fn detail_of(shard: &FinishedShard) -> Result<ShardDetail> {
    serde_json::from_value(shard.manifest.detail.clone())
        .map_err(|e| Error::format(&shard.path, format!("its manifest cannot be read: {e}"), HELP))
}

/// Refuses shards of different screens, and such as do not follow one another.
fn refuse_strangers(shards: &[FinishedShard], details: &[ShardDetail]) -> Result<()> {
    let mut next = 0;
    for (shard, detail) in shards.iter().zip(details) {
        let like_first = ShardDetail { rows: detail.rows, hits: detail.hits, ..details[0].clone() };
        if *detail != like_first || detail.rows[0] != next {
            return Err(Error::format(
                &shard.path,
                format!("is of another model, library or setting than {}", shards[0].path.display()),
                "remove the folder, and run this shard again with the command of the others",
            ));
        }
        next = detail.rows[1];
    }
    if next == details[0].all_rows {
        return Ok(());
    }
    let last = shards.last().map(|shard| shard.path.clone()).unwrap_or_default();
    let reason = format!("the shards searched {next} rows of {}", details[0].all_rows);
    Err(Error::format(last, reason, "run the shards again"))
}

/// Writes the table; returns how many hits it has.
fn join(out: &Path, shards: &[FinishedShard], detail: &ShardDetail, progress: &dyn Progress) -> Result<usize> {
    progress.begin("merge", "shards", Some(shards.len() as u64));
    let ahead = (AHEAD_BYTES / shards.len()).clamp(1 << 12, 1 << 18);
    let mut sources = Vec::with_capacity(shards.len());
    let mut heads = BinaryHeap::with_capacity(shards.len());
    for (i, shard) in shards.iter().enumerate() {
        check_interrupt()?;
        shard.manifest.check_files(&shard.path, HELP)?;
        let mut source = Source::open(&shard.path, detail, ahead)?;
        heads.extend(source.next(i)?);
        sources.push(source);
        progress.advance(1);
    }
    progress.finish();
    let mut table = TableFile::create(out, &detail.columns)?;
    let (mut target, mut rank, mut hits) = (None, 0, 0);
    while let Some(Head { row, source }) = heads.pop() {
        heads.extend(sources[source].next(source)?);
        rank = if target == Some(row.target) { rank + 1 } else { 1 };
        target = Some(row.target);
        if rank > detail.top_k {
            continue;
        }
        let mut cells = row.cells;
        cells[1] = Cell::Whole(i32::try_from(rank).unwrap_or(i32::MAX));
        table.push(cells)?;
        hits += 1;
        if hits % 4096 == 0 {
            check_interrupt()?;
        }
    }
    table.finish()?;
    Ok(hits)
}

/// A row of the table of a shard.
struct Row {
    /// Record of the target.
    target: u32,
    /// What ranks are by.
    value: f64,
    /// Id of the entry, which breaks ties.
    id: String,
    /// The cells of the whole screen's table.
    cells: Vec<Cell>,
}

/// The next row of a shard; the greatest comes first.
struct Head {
    row: Row,
    source: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.row, &other.row);
        b.target.cmp(&a.target).then(a.value.total_cmp(&b.value)).then_with(|| b.id.cmp(&a.id))
    }
}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Head {}

/// The table of a shard, row by row.
struct Source {
    path: PathBuf,
    reader: csv::Reader<Reopened>,
    record: StringRecord,
    kinds: Vec<Kind>,
    /// The cell of the id that breaks ties.
    id: usize,
}

impl Source {
    fn open(folder: &Path, detail: &ShardDetail, ahead: usize) -> Result<Self> {
        let path = folder.join(HITS);
        let mut builder = ReaderBuilder::new();
        builder.delimiter(b'\t').buffer_capacity(ahead);
        let mut reader = builder.from_reader(Reopened { path: path.clone(), at: 0 });
        let names = reader.headers().map_err(|e| unreadable(&path, e))?;
        let wanted = || MERGED_BY.into_iter().chain(detail.columns.iter().map(|(name, _)| name.as_str()));
        let id = detail.columns.iter().position(|(name, _)| *name == detail.id_column);
        let (true, Some(id)) = (names.iter().eq(wanted()), id) else {
            return Err(Error::format(path, "its columns are not those of its manifest", HELP));
        };
        let kinds = detail.columns.iter().map(|(_, kind)| *kind).collect();
        Ok(Self { path, reader, record: StringRecord::new(), kinds, id })
    }

    /// The next row of this table, which is the `source`-th; `None` at its end.
    fn next(&mut self, source: usize) -> Result<Option<Head>> {
        if !self.reader.read_record(&mut self.record).map_err(|e| unreadable(&self.path, e))? {
            return Ok(None);
        }
        let row = self.row().ok_or_else(|| {
            let line = self.record.position().map_or(0, csv::Position::line);
            Error::format(&self.path, format!("line {line} is no hit"), HELP)
        })?;
        Ok(Some(Head { row, source }))
    }

    fn row(&self) -> Option<Row> {
        let number = |i: usize| self.record.get(i)?.parse::<f64>().ok();
        let texts = self.record.iter().skip(MERGED_BY.len());
        let cells = texts.zip(&self.kinds).map(|(text, kind)| Cell::parse(text, *kind)).collect::<Option<Vec<_>>>()?;
        let target = number(0).filter(|number| (0.0..=f64::from(u32::MAX)).contains(number))? as u32;
        let id = self.record.get(MERGED_BY.len() + self.id)?.to_owned();
        Some(Row { target, value: number(1)?, id, cells })
    }
}

fn unreadable(path: &Path, error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Error::io("read", path)(error),
        other => Error::format(path, format!("it cannot be read: {other:?}"), HELP),
    }
}

/// A file that is only open while it is read from: there may be more shards than a process may have files open.
struct Reopened {
    path: PathBuf,
    at: u64,
}

impl Read for Reopened {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.at))?;
        let n = file.read(out)?;
        self.at += n as u64;
        Ok(n)
    }
}
