//! The shards of a store become the store: vectors stay in their files, the tables of records become one.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::pipeline::Filled;
use super::store::{
    Detail, DigestOf, Dtype, JoinedTable, KIND, Part, SHARD_KIND, Store, StoreSummary, check_digest, part_path,
    read_detail,
};
use crate::data::EncoderIdentity;
use crate::error::{Error, Result};
use crate::files::shard_set::{FinishedShard, Standing, finished, standings};
use crate::files::{Manifest, OutputFolder, Shard};
use crate::progress::{Progress, check_interrupt};

/// Joins the shards of the store `out`, checks every byte of them on the way, and removes them when the store is in place.
/// A store that is finished is left as it is, and shards of it that a killed process left behind are removed.
///
/// The store holds what an embedding of the whole input in one process gives: the same vectors in the same order, the
/// same records, the same refusals. A sequence that occurs in several shards was computed by each; its first vector is
/// used, the others stay in their files without a record. Of a record whose id an earlier shard has, `rejects.tsv` does not
/// tell the line.
///
/// # Errors
/// [`Error::Data`] for missing shards and where no record was accepted; [`Error::Format`] for shards that do not belong
/// together, and for damaged ones; those of [`OutputFolder::create`]; [`Error::Interrupted`].
pub fn merge_shards(out: &Path, progress: &dyn Progress) -> Result<Filled> {
    OutputFolder::settle(out)?;
    if let Ok(store) = Store::describe(out)
        && is_of(out, &store)?
    {
        OutputFolder::discard(out, &Shard::folder_of(out))?;
        return Ok(Filled::UpToDate(Box::new(store)));
    }
    let shards = finished(out, SHARD_KIND)?;
    let details: Vec<Detail> =
        shards.iter().map(|shard| read_detail(&shard.path, &shard.manifest)).collect::<Result<_>>()?;
    refuse_strangers(&shards, &details)?;
    let mut folder = OutputFolder::create(out, KIND, false)?;
    let mut table = JoinedTable::create(&folder)?;
    let mut parts = Vec::new();
    let records: usize = details.iter().map(|detail| detail.records).sum();
    progress.begin("merge", "records", Some(records as u64));
    for (shard, detail) in shards.iter().zip(&details) {
        check_interrupt()?;
        for part in &detail.parts {
            let entry = shard.manifest.file(&part.path).ok_or_else(|| unlisted(shard, &part.path))?;
            let place = part_path(parts.len());
            folder.take_over(&shard.path, entry, &place)?;
            parts.push(Part { path: place, rows: part.rows });
        }
        let mut rejects = Reasons::open(shard)?;
        for part in &detail.ids {
            let entry = shard.manifest.file(&part.path).ok_or_else(|| unlisted(shard, &part.path))?;
            check_digest(&shard.path.join(&part.path), &entry.blake3)?;
            table.append(&shard.path.join(&part.path), part.rows, detail.vectors, || rejects.next())?;
        }
        table.end_shard(detail.vectors);
        progress.advance(detail.records as u64);
    }
    progress.finish();
    let whole = table.finish()?;
    let first = &details[0];
    let detail = Detail {
        vectors: whole.vectors,
        records,
        refused: whole.refused.clone(),
        parts,
        ids: whole.ids,
        shard: None,
        ..first.clone()
    };
    let value = serde_json::to_value(&detail).map_err(|e| Error::format(out, e.to_string(), "report this"))?;
    folder.commit(value)?;
    OutputFolder::discard(out, &Shard::folder_of(out))?;
    let path = out.to_path_buf();
    Ok(Filled::Written(StoreSummary { records, vectors: detail.vectors, refused: whole.refused, path }))
}

/// True when every shard of `out` that is there was made as the finished `store` was.
fn is_of(out: &Path, store: &Detail) -> Result<bool> {
    let standings = standings(out, &[SHARD_KIND])?;
    let made_alike = |manifest: &Manifest| {
        read_detail(out, manifest).is_ok_and(|detail| Made::of(&Detail { shard: None, ..detail }) == Made::of(store))
    };
    Ok(standings.iter().all(|(_, standing)| match standing {
        Standing::Done(manifest) | Standing::Stopped(manifest) => made_alike(manifest),
        Standing::Missing => true,
        Standing::Failed(_) => false,
    }))
}

/// What shards of one store have in common.
#[derive(PartialEq)]
struct Made<'a> {
    encoder: &'a EncoderIdentity,
    layout: &'a str,
    modality: &'a str,
    numbers: (Dtype, usize, DigestOf),
    origin: &'a serde_json::Value,
    /// Number of shards, records and tokens of the input.
    whole: Option<(usize, u64, u64)>,
}

impl<'a> Made<'a> {
    fn of(detail: &'a Detail) -> Self {
        Self {
            encoder: &detail.encoder,
            layout: &detail.layout,
            modality: &detail.modality,
            numbers: (detail.dtype, detail.dim, detail.digest_of),
            origin: &detail.origin,
            whole: detail.shard.map(|shard| (shard.count, shard.whole_records, shard.whole_tokens)),
        }
    }
}

/// Refuses shards of different inputs, encoders or options, and such as do not follow one another.
fn refuse_strangers(shards: &[FinishedShard], details: &[Detail]) -> Result<()> {
    let mut next = 0;
    for (shard, detail) in shards.iter().zip(details) {
        let place = detail.shard.filter(|place| place.index == shard.shard.index && place.first_record == next);
        if place.is_none() || Made::of(detail) != Made::of(&details[0]) {
            return Err(Error::format(
                &shard.path,
                format!("is of another input, encoder or setting than {}", shards[0].path.display()),
                "remove the folder, and run this shard again with the command of the others",
            ));
        }
        next += detail.records as u64;
    }
    let whole = details.first().and_then(|detail| detail.shard).map(|shard| shard.whole_records);
    if whole == Some(next) {
        return Ok(());
    }
    let last = shards.last().map(|shard| shard.path.clone()).unwrap_or_default();
    Err(Error::format(last, format!("the shards hold {next} records of {whole:?}"), "run the shards again"))
}

fn unlisted(shard: &FinishedShard, part: &str) -> Error {
    Error::format(&shard.path, format!("its manifest lists no file '{part}'"), "remove the folder, and run it again")
}

/// Lines and reasons of the refused records of a shard, in the order of the records.
struct Reasons {
    lines: Option<std::io::Lines<BufReader<File>>>,
}

impl Reasons {
    fn open(shard: &FinishedShard) -> Result<Self> {
        const NAME: &str = "rejects.tsv";
        let Some(entry) = shard.manifest.file(NAME) else { return Ok(Self { lines: None }) };
        let path = shard.path.join(NAME);
        check_digest(&path, &entry.blake3)?;
        let mut lines = BufReader::new(File::open(&path).map_err(Error::io("read", &path))?).lines();
        lines.next();
        Ok(Self { lines: Some(lines) })
    }

    fn next(&mut self) -> Option<(u64, String)> {
        let line = self.lines.as_mut()?.next()?.ok()?;
        let mut cells = line.splitn(4, '\t');
        let number = cells.next()?.parse().unwrap_or(0);
        Some((number, cells.nth(2)?.to_owned()))
    }
}
