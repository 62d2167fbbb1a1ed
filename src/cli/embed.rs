//! `biollmnet embed`.

use std::path::PathBuf;

use biollmnet::embed::pipeline::{EmbedOptions, Embedded, LongSequences, UnknownLetters, embed};
use biollmnet::embed::store::{Dtype, StoreSummary};
use biollmnet::error::{Error, Result};
use biollmnet::features::{self, SequenceEncoder};
use clap::{ArgAction, Args, ValueEnum};
use serde_json::json;

use super::output::{print, print_json};
use super::{Context, Outcome};

/// Arguments of `embed`.
#[derive(Debug, Args)]
pub struct EmbedArgs {
    /// FASTA file, plain or gzip; - reads standard input.
    input: PathBuf,
    /// What makes the vectors: kmer (RNA 4-mer frequencies) or triad (protein conjoint triad).
    #[arg(long, value_name = "ENC")]
    encoder: String,
    /// The store to write, a folder.
    #[arg(long, value_name = "STORE")]
    out: PathBuf,
    /// Type of the stored numbers [default: f32 for encoders without weights].
    #[arg(long, value_enum)]
    dtype: Option<DtypeFlag>,
    /// How a sequence becomes one vector.
    #[arg(long, default_value = "mean")]
    pooling: String,
    /// Kind of the sequences, where the encoder does not fix it.
    #[arg(long, value_enum)]
    modality: Option<Modality>,
    /// Letters outside the alphabet: unk counts them and goes on, error refuses the record.
    #[arg(long, value_enum, default_value_t = UnknownFlag::Unk)]
    unknown: UnknownFlag,
    /// Most letters of a sequence [default: no limit].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_length: Option<u64>,
    /// Sequences beyond --max-length: error refuses the record, truncate encodes its first letters and flags it.
    #[arg(long, value_enum, default_value_t = LongFlag::Error)]
    long: LongFlag,
    /// Leave a finished store of the same input, encoder and flags as it is.
    #[arg(long, default_value_t = true, default_missing_value = "true", num_args = 0..=1, action = ArgAction::Set)]
    resume: bool,
    /// Replace a finished store.
    #[arg(long)]
    force: bool,
}

/// `--dtype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DtypeFlag {
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

impl From<DtypeFlag> for Dtype {
    fn from(flag: DtypeFlag) -> Self {
        match flag {
            DtypeFlag::F16 => Self::F16,
            DtypeFlag::F32 => Self::F32,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UnknownFlag {
    Unk,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LongFlag {
    Error,
    Truncate,
}

/// `--modality`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Modality {
    /// RNA sequences.
    Rna,
    /// Protein sequences.
    Protein,
    /// Small molecules.
    Molecule,
}

impl Modality {
    /// Its name in stores.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rna => "rna",
            Self::Protein => "protein",
            Self::Molecule => "molecule",
        }
    }
}

/// Embeds the input and prints one summary.
pub fn run(args: &EmbedArgs, context: &Context) -> Result<Outcome> {
    let encoder = choose_encoder(args)?;
    let options = EmbedOptions {
        // Counts over windows are exact baselines: they keep the precision that they have.
        dtype: args.dtype.map_or(Dtype::F32, Dtype::from),
        unknown: if args.unknown == UnknownFlag::Error { UnknownLetters::Refuse } else { UnknownLetters::Keep },
        max_length: args.max_length.map(|n| n as usize),
        long: if args.long == LongFlag::Truncate { LongSequences::Truncate } else { LongSequences::Refuse },
        resume: args.resume,
        force: args.force,
    };
    match embed(&args.input, &*encoder, options, &args.out, &*context.progress)? {
        Embedded::UpToDate(detail) => {
            if context.json {
                print_json(&json!({
                    "store": args.out, "up_to_date": true, "records": detail.records, "vectors": detail.vectors,
                    "refused": detail.refused,
                }))?;
            } else {
                print(format!("{}: up to date ({} records)", args.out.display(), detail.records))?;
            }
            Ok(Outcome::Done)
        }
        Embedded::Written { summary, letters, unknown, seconds } => {
            let rate = letters as f64 / 1e6 / seconds.max(1e-9);
            if context.json {
                print_json(&json!({
                    "store": args.out, "up_to_date": false, "records": summary.records, "vectors": summary.vectors,
                    "refused": summary.refused, "letters": letters, "unknown": unknown, "seconds": seconds, "mb_per_second": rate,
                }))?;
            } else {
                print(format!("{}; {rate:.1} MB/s in {seconds:.2} s", describe(&summary)))?;
            }
            if let Some(warning) = about_unknown(unknown, letters, &*encoder) {
                context.note(warning);
            }
            Ok(Outcome::from_rejected(summary.n_refused()))
        }
    }
}

/// A share of unknown letters beyond which the sequences are likely of another kind.
const WRONG_KIND: f64 = 0.1;

/// What to say about letters outside the alphabet; nothing where there are none.
fn about_unknown(unknown: u64, letters: u64, encoder: &dyn SequenceEncoder) -> Option<String> {
    if unknown == 0 {
        return None;
    }
    let alphabet = encoder.alphabet().name();
    let text = format!("warning: {unknown} of {letters} letters are outside the {alphabet} alphabet");
    let wrong_kind = unknown as f64 > WRONG_KIND * letters as f64;
    Some(if wrong_kind { format!("{text}: are these {alphabet} sequences?") } else { text })
}

/// `STORE: 10 records, 8 distinct vectors, 2 refused (2 duplicate-id; listed in STORE/rejects.tsv)`.
pub fn describe(summary: &StoreSummary) -> String {
    let shown = summary.path.display();
    let refused = match summary.n_refused() {
        0 => "none refused".to_owned(),
        n => {
            let reasons: Vec<_> = summary.refused.iter().map(|(status, n)| format!("{n} {status}")).collect();
            format!("{n} refused ({}; listed in {})", reasons.join(", "), summary.path.join("rejects.tsv").display())
        }
    };
    format!("{shown}: {} records, {} distinct vectors, {refused}", summary.records, summary.vectors)
}

fn choose_encoder(args: &EmbedArgs) -> Result<Box<dyn SequenceEncoder>> {
    let known = features::NAMES.join(", ");
    let encoder = features::by_name(&args.encoder).ok_or_else(|| {
        Error::usage(
            format!("encoder '{}' is not known to this version", args.encoder),
            format!("choose one of: {known}; vectors made elsewhere come in by 'biollmnet import-vectors'"),
        )
    })?;
    if args.pooling != "mean" {
        return Err(Error::usage(
            format!("encoder '{}' has no pooling '{}'", args.encoder, args.pooling),
            "encoders without weights count over the whole sequence: leave --pooling out, or say mean",
        ));
    }
    let fixed = encoder.alphabet().name();
    match args.modality.map(Modality::name) {
        Some(wanted) if wanted != fixed => Err(Error::usage(
            format!("encoder '{}' takes {fixed} sequences, --modality says {wanted}", args.encoder),
            "choose the encoder of that modality, or leave --modality out",
        )),
        _ => Ok(encoder),
    }
}
