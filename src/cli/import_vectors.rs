//! `biollmnet import-vectors`.

use std::path::PathBuf;

use biollmnet::embed::import::{ImportOptions, RowPooling, import};
use biollmnet::embed::store::Dtype;
use biollmnet::error::Result;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::embed::{DtypeFlag, Modality, describe};
use super::output::{print, print_json};
use super::{Context, Outcome};

/// Arguments of `import-vectors`.
#[derive(Debug, Args)]
pub struct ImportVectorsArgs {
    /// .npy, .npz, Parquet, CSV or TSV, a pickled dict, a PyTorch dict, or a folder of fair-esm extract .pt files.
    source: PathBuf,
    /// Ids of the vectors, one a line, for .npy and .npz files without ids.
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// Name of what made the vectors; a model takes vectors of the same name only.
    #[arg(long, value_name = "NAME")]
    encoder_name: String,
    /// The store to write, a folder.
    #[arg(long, value_name = "STORE")]
    out: PathBuf,
    /// Type of the stored numbers.
    #[arg(long, value_enum, default_value_t = DtypeFlag::F32)]
    dtype: DtypeFlag,
    /// What to do with several rows per record: their mean, or the first row (cls) [default: they are refused].
    #[arg(long, value_enum)]
    pooling: Option<PoolingFlag>,
    /// Kind of what the vectors stand for.
    #[arg(long, value_enum)]
    modality: Option<Modality>,
    /// Replace a finished store.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolingFlag {
    Mean,
    Cls,
}

/// Imports and prints one summary.
pub fn run(args: &ImportVectorsArgs, context: &Context) -> Result<Outcome> {
    let options = ImportOptions {
        ids: args.ids.clone(),
        encoder_name: args.encoder_name.clone(),
        modality: args.modality.map(Modality::name).unwrap_or_default().to_owned(),
        dtype: Dtype::from(args.dtype),
        pooling: args.pooling.map(|pooling| match pooling {
            PoolingFlag::Mean => RowPooling::Mean,
            PoolingFlag::Cls => RowPooling::Cls,
        }),
        force: args.force,
    };
    let summary = import(&args.source, &options, &args.out)?;
    if context.json {
        print_json(&json!({
            "store": args.out, "records": summary.records, "vectors": summary.vectors, "refused": summary.refused,
        }))?;
    } else {
        print(describe(&summary))?;
    }
    Ok(Outcome::from_rejected(summary.n_refused()))
}
