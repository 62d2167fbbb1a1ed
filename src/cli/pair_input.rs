//! Pairs and the stores of both sides, as `train`, `evaluate` and `predict` are given them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use biollmnet::data::{Columns, Dataset, PairTable};
use biollmnet::embed::{Store, join};
use biollmnet::error::{Error, Result};
use biollmnet::files::output_folder::OutputFolder;
use clap::Args;

use super::Context;

/// Flags that name pairs and stores.
#[derive(Debug, Args)]
pub struct PairInput {
    /// Pairs with labels, TSV or CSV with a header, plain or gzip; - reads standard input.
    #[arg(long, value_name = "TSV")]
    pub pairs: PathBuf,
    /// Columns by name: rna=NAME,partner=NAME,label=NAME[,NAME…] [default: the first three, in this order].
    #[arg(long, value_name = "COLUMNS")]
    pub columns: Option<Columns>,
    /// Embedding store of the RNAs (the lncRNAs of an RNA–RNA set).
    #[arg(long, value_name = "STORE")]
    pub rna: PathBuf,
    /// Embedding store of the partners: proteins, miRNAs or molecules.
    #[arg(long, value_name = "STORE")]
    pub partner: PathBuf,
}

/// Pairs that were read and joined with their stores.
pub struct JoinedPairs {
    /// The table, rejects included.
    pub table: PairTable,
    /// The usable pairs.
    pub data: Dataset,
}

impl PairInput {
    /// Reads pairs to train on and joins them with the stores.
    pub fn load(&self, context: &Context) -> Result<JoinedPairs> {
        let table = PairTable::read(&self.pairs, &self.columns.clone().unwrap_or_default())?;
        table.check_trainable()?;
        join_stores(table, &self.rna, &self.partner, context)
    }
}

/// A name for headings: the stem of the pairs file, or its folder's name where the file is called `pairs`.
pub fn title(pairs: &Path) -> String {
    let name = |path: Option<&Path>| path.and_then(Path::file_stem).map(|s| s.to_string_lossy().into_owned());
    let stem = name(Some(pairs)).unwrap_or_default();
    if stem.starts_with("pairs") { name(pairs.parent()).filter(|n| !n.is_empty()).unwrap_or(stem) } else { stem }
}

/// Reads labelled pairs to test on, which may be of one class, and joins them with the stores at `rna` and `partner`.
pub fn load_labelled(
    pairs: &Path,
    columns: Option<&Columns>,
    rna: &Path,
    partner: &Path,
    context: &Context,
) -> Result<JoinedPairs> {
    let table = PairTable::read(pairs, &columns.cloned().unwrap_or_default())?;
    table.check_labelled()?;
    join_stores(table, rna, partner, context)
}

fn join_stores(mut table: PairTable, rna: &Path, partner: &Path, context: &Context) -> Result<JoinedPairs> {
    let rna = Arc::new(Store::open(rna)?);
    let partner = if partner == rna.path() { Arc::clone(&rna) } else { Arc::new(Store::open(partner)?) };
    let data = join(&mut table, &rna, &partner)?;
    tell(&table, &data, context);
    Ok(JoinedPairs { table, data })
}

fn tell(table: &PairTable, data: &Dataset, context: &Context) {
    context.note(format!(
        "{}: {} pairs of {} RNAs and {} partners",
        table.path.display(),
        data.len(),
        data.rna.len(),
        data.partner.len()
    ));
    if !table.rejects.is_empty() {
        let reasons: Vec<String> = table.rejected_by_reason().iter().map(|(why, n)| format!("{n} {why}")).collect();
        context.note(format!("warning: rejected rows: {}; they are listed in the output folder", reasons.join(", ")));
    }
    if !table.contradictory.is_empty() {
        context.note(format!(
            "warning: {} pairs of ids have different labels; all their rows are kept and listed",
            table.contradictory.len()
        ));
    }
}

/// The rejected and contradictory rows as TSV; `None` where there are none.
pub fn rejects_tsv(table: &PairTable) -> Result<Option<Vec<u8>>> {
    if table.rejects.is_empty() && table.contradictory.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    table.write_rejects(&mut bytes).map_err(Error::io("write", "rejects.tsv"))?;
    Ok(Some(bytes))
}

/// Puts the file `name` into `folder` where there is something to list.
pub fn write_rejects(table: &PairTable, folder: &OutputFolder, name: &str) -> Result<()> {
    match rejects_tsv(table)? {
        Some(bytes) => folder.write(name, &bytes),
        None => Ok(()),
    }
}
