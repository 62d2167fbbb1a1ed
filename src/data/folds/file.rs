//! Folds that were drawn elsewhere: the folds file.
//!
//! A TSV with the columns `row0` (0-based data row of the pairs file), `rna_id`, `partner_id`, and per seed K
//! `sK_fold` and `sK_val_in` (random split; `-` or a comma-separated list of the folds in which the row is inner
//! validation), `sK_coldrna`, `sK_coldprot` (RNA- and partner-disjoint). Rows that are absent are in no fold.

use std::path::Path;

use csv::StringRecord;
use rustc_hash::FxHashMap;

use super::{ABSENT, FoldOptions, Plan, SeedFolds, Split, SplitKind, draw, without};
use crate::data::Dataset;
use crate::data::table::Table as TextTable;
use crate::error::{Error, Result};
use crate::files::input::Input;

const LAYOUT: &str =
    "the columns are row0, rna_id, partner_id and, per seed K, sK_fold, sK_val_in, sK_coldrna, sK_coldprot";

/// The plan of a folds file for `options.seeds` and `options.split`; the file decides the number of folds.
///
/// Inner validation rows come from the file in a random split and are drawn in the others (`options.inner`).
///
/// # Errors
/// The file cannot be read or is malformed, lacks a column, names other ids than the pairs file in the same row,
/// repeats a row, names no row of the data, or leaves a part empty or a training part with one class.
pub fn read_folds(path: &Path, data: &Dataset, options: &FoldOptions) -> Result<Plan> {
    super::check_inner(options.inner)?;
    let table = Table::read(path, data)?;
    let mut plan = Plan::default();
    for &seed in &options.seeds {
        let folds = match options.split {
            SplitKind::Random => SeedFolds::Single(table.folds(&format!("s{seed}_fold"), data)?),
            SplitKind::Rna => SeedFolds::Single(table.folds(&format!("s{seed}_coldrna"), data)?),
            SplitKind::Partner => SeedFolds::Single(table.folds(&format!("s{seed}_coldprot"), data)?),
            SplitKind::Both => SeedFolds::Both(
                table.folds(&format!("s{seed}_coldrna"), data)?,
                table.folds(&format!("s{seed}_coldprot"), data)?,
            ),
        };
        let inner_in = match options.split {
            SplitKind::Random if options.inner > 0.0 => Some(table.fold_lists(&format!("s{seed}_val_in"), data)?),
            _ => None,
        };
        for fold in 0..folds.count() {
            let (outer, test) = folds.parts(fold);
            plan.count_dropped(data, seed == options.seeds[0], outer.len() + test.len() + table.absent);
            let inner = match &inner_in {
                Some(lists) => outer.iter().copied().filter(|&row| lists[row as usize].contains(&fold)).collect(),
                None => draw::inner(data, &outer, options.inner, seed, fold as usize),
            };
            plan.push(data, Split { seed, fold: fold as usize, train: without(&outer, &inner), inner, test })?;
        }
    }
    if table.absent > 0 {
        plan.warnings.push(format!("{} pairs are in no fold of {}", table.absent, path.display()));
    }
    if table.unused > 0 {
        plan.warnings.push(format!("{} rows of {} name no pair that is used", table.unused, path.display()));
    }
    plan.warn_one_class(data);
    Ok(plan)
}

impl SeedFolds {
    /// One more than the largest fold number.
    fn count(&self) -> u32 {
        let largest = |folds: &[u32]| folds.iter().filter(|&&fold| fold != ABSENT).max().map_or(0, |&fold| fold + 1);
        match self {
            Self::Single(folds) => largest(folds),
            Self::Both(rna, partner) => largest(rna).max(largest(partner)),
        }
    }
}

/// The file, its rows matched to the pairs.
struct Table<'a> {
    path: &'a Path,
    header: StringRecord,
    /// `(line, row of the data set, record)`.
    records: Vec<(u64, usize, StringRecord)>,
    /// Pairs that no record names.
    absent: usize,
    /// Records that name no pair in use.
    unused: usize,
}

impl<'a> Table<'a> {
    fn read(path: &'a Path, data: &Dataset) -> Result<Self> {
        let mut text = TextTable::new(Input::open(path)?, LAYOUT)?;
        let header = StringRecord::from(text.first.as_slice());
        let mut table = Self { path, header, records: Vec::new(), absent: data.len(), unused: 0 };
        let (row0, rna, partner) = (table.column("row0")?, table.column("rna_id")?, table.column("partner_id")?);
        let pair_of_row0: FxHashMap<u32, usize> = data.pairs.iter().enumerate().map(|(i, p)| (p.row0, i)).collect();
        let mut seen = vec![false; data.len()];
        while let Some(line) = text.next_row()? {
            if text.row.len() != table.header.len() {
                let reason = format!("{} fields, the header has {}", text.row.len(), table.header.len());
                return Err(Error::record(path, line, "", reason, LAYOUT));
            }
            let record = StringRecord::from_byte_record(text.row.clone())
                .map_err(|_| Error::record(path, line, "", "this is not UTF-8 text", LAYOUT))?;
            let wrong = |reason: String, help: &str| Error::record(path, line, &record[rna], reason, help);
            let row: u32 =
                record[row0].parse().map_err(|_| wrong(format!("row0 '{}' is not a number", &record[row0]), LAYOUT))?;
            let Some(&row_of_data) = pair_of_row0.get(&row) else {
                table.unused += 1;
                continue;
            };
            let pair = data.pairs[row_of_data];
            let ids = (&data.rna.ids[pair.rna as usize], &data.partner.ids[pair.partner as usize]);
            if (ids.0.as_str(), ids.1.as_str()) != (&record[rna], &record[partner]) {
                return Err(wrong(
                    format!(
                        "row0 {row} is '{}' and '{}' here, but '{}' and '{}' in the pairs",
                        &record[rna], &record[partner], ids.0, ids.1
                    ),
                    "use the folds file of this pairs file, with the RNA first",
                ));
            }
            if std::mem::replace(&mut seen[row_of_data], true) {
                return Err(wrong(format!("row0 {row} occurs twice"), "keep one line per pair"));
            }
            table.absent -= 1;
            table.records.push((line, row_of_data, record));
        }
        if table.records.is_empty() {
            return Err(Error::format(path, "no row names a pair", LAYOUT));
        }
        Ok(table)
    }

    fn column(&self, name: &str) -> Result<usize> {
        self.header.iter().position(|column| column == name).ok_or_else(|| {
            let found: Vec<&str> = self.header.iter().collect();
            Error::format(self.path, format!("no column '{name}' among {}", found.join(", ")), LAYOUT)
        })
    }

    /// Fold of each row of the data.
    fn folds(&self, name: &str, data: &Dataset) -> Result<Vec<u32>> {
        let column = self.column(name)?;
        let mut folds = vec![ABSENT; data.len()];
        for (line, row, record) in &self.records {
            folds[*row] = self.fold(*line, name, &record[column])?;
        }
        Ok(folds)
    }

    /// Folds in which each row of the data is inner validation.
    fn fold_lists(&self, name: &str, data: &Dataset) -> Result<Vec<Vec<u32>>> {
        let column = self.column(name)?;
        let mut lists = vec![Vec::new(); data.len()];
        for (line, row, record) in self.records.iter().filter(|(_, _, record)| &record[column] != "-") {
            lists[*row] =
                record[column].split(',').map(|text| self.fold(*line, name, text)).collect::<Result<Vec<u32>>>()?;
        }
        Ok(lists)
    }

    fn fold(&self, line: u64, column: &str, text: &str) -> Result<u32> {
        // A fold number beyond this is a typing error, and would ask for as many trainings.
        text.parse().ok().filter(|&fold| fold < 10_000).ok_or_else(|| {
            Error::record(self.path, line, "", format!("{column} '{text}' is not a fold number"), LAYOUT)
        })
    }
}
