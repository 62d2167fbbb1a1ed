//! `biollmnet import`.

use std::path::PathBuf;

use biollmnet::data::Task;
use biollmnet::error::{Error, Result};
use biollmnet::models::backbone::{self, BackboneConfig, DtypeChoice, ImportOptions, Kind, looks_like_fusion};
use biollmnet::train::Model;
use biollmnet::weights::Checkpoint;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::embed::DtypeFlag;
use super::output::{print, print_json};
use super::{Context, Outcome};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A checkpoint: ESM-2 (fair-esm .pt, or a Hugging Face folder), RiNALMo (its own .pt, or a multimolecule folder),
    /// Mole-BERT (.pth), the folder of its tokenizer (vqencoder.pth and vqquantizer.pth), or BioLLMNet's own .pth.
    source: PathBuf,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the checkpoint is [default: what its tensors say].
    #[arg(long, value_enum)]
    kind: Option<KindFlag>,
    /// Attention heads, of a RiNALMo file of unpublished width.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    heads: Option<u32>,
    /// The codebook (vqquantizer.pth), where SRC is the encoder of Mole-BERT's tokenizer.
    #[arg(long, value_name = "FILE")]
    codebook: Option<PathBuf>,
    /// Type of the written numbers [default: as in the checkpoint].
    #[arg(long, value_enum)]
    dtype: Option<DtypeFlag>,
    /// What a fusion network predicts [default: values for the published width 256, else classes].
    #[arg(long, value_enum)]
    task: Option<TaskFlag>,
    /// Replace a finished folder.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindFlag {
    Esm2,
    Rinalmo,
    MoleBert,
    Fusion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TaskFlag {
    Binary,
    Regression,
}

/// Imports and prints one summary.
pub fn run(args: &ImportArgs, context: &Context) -> Result<Outcome> {
    let kind = match args.kind {
        Some(KindFlag::Esm2) => Some(Kind::Esm2),
        Some(KindFlag::Rinalmo) => Some(Kind::Rinalmo),
        Some(KindFlag::MoleBert) => Some(Kind::MoleBert),
        Some(KindFlag::Fusion) => return import_fusion(args, context),
        // Looking at the names reads no weights.
        None if args.source.is_file() && looks_like_fusion(&Checkpoint::open(&args.source)?) => {
            return import_fusion(args, context);
        }
        None => None,
    };
    if args.task.is_some() {
        return Err(Error::usage("--task goes with a fusion network", "leave it out"));
    }
    let options = ImportOptions {
        kind,
        heads: args.heads.map(|n| n as usize),
        codebook: args.codebook.clone(),
        dtype: match args.dtype {
            None => DtypeChoice::Stored,
            Some(DtypeFlag::F16) => DtypeChoice::F16,
            Some(DtypeFlag::F32) => DtypeChoice::F32,
        },
        force: args.force,
    };
    let imported = backbone::import(&args.source, &options, &args.out, &*context.progress)?;
    let config = &imported.config;
    if context.json {
        print_json(&json!({
            "backbone": args.out, "name": config.name, "format": config.source.format,
            "weights_digest": config.weights_digest, "tensors": imported.tensors, "parameters": imported.parameters,
            "bytes": imported.bytes,
            "left_out": imported.left_out.iter().map(|(what, n)| json!({"what": what, "tensors": n})).collect::<Vec<_>>(),
        }))?;
        return Ok(Outcome::Done);
    }
    print(format!(
        "{}: {} from {}: {} parameters in {} tensors, {:.1} MB, digest {}",
        args.out.display(),
        describe(config),
        config.source.format,
        imported.parameters,
        imported.tensors,
        imported.bytes as f64 / 1e6,
        config.weights_digest.get(..12).unwrap_or_default(),
    ))?;
    if !imported.left_out.is_empty() {
        let parts: Vec<String> = imported.left_out.iter().map(|(what, n)| format!("{what} ({n})")).collect();
        context.note(format!("not needed here and left out: {}", parts.join(", ")));
    }
    Ok(Outcome::Done)
}

/// A backbone in a few words.
pub fn describe(config: &BackboneConfig) -> String {
    let (layers, d) = (config.network.n_layers(), config.network.d_model());
    match config.network.sequence() {
        Some(network) => format!("{} ({layers} layers, width {d}, {} heads)", config.name, network.encoder.n_heads),
        None => format!("{} ({layers} layers, width {d})", config.name),
    }
}

fn import_fusion(args: &ImportArgs, context: &Context) -> Result<Outcome> {
    if args.heads.is_some() || args.codebook.is_some() || args.dtype.is_some() {
        let what = "--heads, --codebook and --dtype do not go with a fusion network, which is small and stays f32";
        return Err(Error::usage(what, "leave them out"));
    }
    let task = args.task.map(|task| match task {
        TaskFlag::Binary => Task::Binary,
        TaskFlag::Regression => Task::Regression,
    });
    let model = Model::from_published(&args.source, task)?;
    let folder = Model::folder(&args.out, args.force)?;
    let (network, task) = (model.config.network().summary(), model.config.task);
    model.save(folder, None)?;
    if context.json {
        print_json(&json!({ "model": args.out, "network": network, "task": task }))?;
    } else {
        print(format!("{}: a model of one member: {network}", args.out.display()))?;
    }
    context.note(
        "note: the file does not say which encoders made its vectors: score with --accept-encoder NAME for those that you know to be the same",
    );
    Ok(Outcome::Done)
}
