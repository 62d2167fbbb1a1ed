//! `biollmnet embed`.

mod backbone;
mod flags;
mod summary;

use std::path::{Path, PathBuf};
use std::time::Duration;

use biollmnet::backend::Isa;
use biollmnet::embed::pipeline::{CHECKPOINT, EmbedOptions, LongSequences, UnknownLetters, embed};
use biollmnet::embed::store::Dtype;
use biollmnet::embed::{Molecules, Pooling, RecordEncoder, WeightFree, stores_of};
use biollmnet::error::{Error, Result};
use biollmnet::features::{self, Ecfp};
use biollmnet::files::{Shard, shard_set};
use biollmnet::models::backbone::{Backbone, Network};
use clap::{ArgAction, Args};

use super::shard_flag::ShardFlag;
use super::{Context, Outcome};
pub use flags::{DtypeFlag, Modality};
use flags::{LongFlag, PrecisionFlag, UnknownFlag, UntrainedFlag, instruction_set, memory_size};
pub use summary::describe;

/// Arguments of `embed`.
#[derive(Debug, Args)]
pub struct EmbedArgs {
    /// FASTA file (sequences) or SMILES file (molecules: SMILES, white space, id), plain or gzip; - reads standard
    /// input.
    input: PathBuf,
    /// What makes the vectors: kmer (RNA 4-mer frequencies), triad (protein conjoint triad), ecfp (circular
    /// fingerprint of molecules), or the folder of a backbone.
    #[arg(long, value_name = "ENC")]
    encoder: String,
    /// The store to write, a folder.
    #[arg(long, value_name = "STORE")]
    out: PathBuf,
    /// Type of the stored numbers [default: f16 of language models, f32 of encoders without weights and of molecules].
    #[arg(long, value_enum)]
    dtype: Option<DtypeFlag>,
    /// How a record becomes a vector. Sequences: mean (over residues), cls, mean-with-special, per-residue. Molecules:
    /// mean, sum, max, codes, per-atom. Several, separated by commas, go to a store each, STORE/POOLING.
    #[arg(long, value_name = "POOLING", value_delimiter = ',', default_value = "mean")]
    pooling: Vec<String>,
    /// Kind of the records, where the encoder does not fix it.
    #[arg(long, value_enum)]
    modality: Option<Modality>,
    /// Letters outside the vocabulary: unk counts them and goes on, error refuses the record.
    #[arg(long, value_enum, default_value_t = UnknownFlag::Unk)]
    unknown: UnknownFlag,
    /// Letters that a vocabulary has though the published weights were never trained with them (multimolecule's
    /// X . * | ?): own takes their tokens, unk takes them as unknown, as RiNALMo's own code does.
    #[arg(long, value_enum, default_value_t = UntrainedFlag::Own)]
    untrained_letters: UntrainedFlag,
    /// Most letters of a sequence [default: no limit].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_length: Option<u64>,
    /// Sequences beyond --max-length: error refuses the record, truncate encodes its first letters and flags it, window
    /// averages overlapping windows of that length by residue and flags it (backbones).
    #[arg(long, value_enum, default_value_t = LongFlag::Error)]
    long: LongFlag,
    /// Arithmetic of a backbone: f32; f16 (states and weights in half precision, sums in f32); int8 for its linear layers,
    /// on the CPU; fp8 for those of a language model, on CUDA devices of compute capability 9.0 [default: f16 of language models on CUDA devices, else f32].
    #[arg(long, value_enum)]
    precision: Option<PrecisionFlag>,
    /// Tokens (or atoms) that a backbone computes together; a longer sequence is computed alone. It changes no number
    /// [default: 2048 on the CPU; on a CUDA device 128 for each multiprocessor, which fills it with whole tiles].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    max_tokens: Option<u64>,
    /// Most work space of a backbone, in bytes or as 512M, 8G; a sequence that takes more is refused, not the run
    /// [default: 80 % of the free memory of the device].
    #[arg(long, value_name = "SIZE", value_parser = memory_size)]
    max_memory: Option<u64>,
    /// Instruction set of a backbone's kernels: avx512-vnni, avx512, avx2, neon or portable [default: the fastest of
    /// this machine]. Another one may change the last bits.
    #[arg(long, value_name = "ISA", value_parser = instruction_set)]
    isa: Option<Isa>,
    /// Leave a finished store of the same input, encoder and flags as it is.
    #[arg(long, default_value_t = true, default_missing_value = "true", num_args = 0..=1, action = ArgAction::Set)]
    resume: bool,
    /// Replace a finished store.
    #[arg(long)]
    force: bool,
    /// How often what is done is made durable: a run that was stopped goes on from there when it is started again.
    #[arg(long, value_name = "SECONDS", default_value_t = CHECKPOINT.as_secs())]
    checkpoint: u64,
    #[command(flatten)]
    shard: ShardFlag,
}

impl EmbedArgs {
    fn options(&self, dtype: Dtype, shard: Shard) -> EmbedOptions {
        EmbedOptions {
            dtype: self.dtype.map_or(dtype, Dtype::from),
            unknown: if self.unknown == UnknownFlag::Error { UnknownLetters::Refuse } else { UnknownLetters::Keep },
            max_length: self.max_length.map(|n| n as usize),
            long: match self.long {
                LongFlag::Error => LongSequences::Refuse,
                LongFlag::Truncate => LongSequences::Truncate,
                LongFlag::Window => LongSequences::Window,
            },
            resume: self.resume,
            force: self.force,
            shard,
            checkpoint: Duration::from_secs(self.checkpoint),
        }
    }

    /// The poolings, each once.
    fn poolings(&self) -> Result<Vec<Pooling>> {
        let mut poolings = Vec::new();
        for name in &self.pooling {
            let pooling = Pooling::from_name(name).ok_or_else(|| {
                let known: Vec<_> = Pooling::ALL.into_iter().map(Pooling::name).collect();
                Error::usage(format!("there is no pooling '{name}'"), format!("choose from: {}", known.join(", ")))
            })?;
            if !poolings.contains(&pooling) {
                poolings.push(pooling);
            }
        }
        Ok(poolings)
    }
}

/// Embeds the input and prints one summary.
pub fn run(args: &EmbedArgs, context: &Context) -> Result<Outcome> {
    if args.long == LongFlag::Window && args.max_length.is_none() {
        return Err(Error::usage("--long window needs the length of a window", "add --max-length N, e.g. 1022"));
    }
    let weight_free = args.encoder == features::ECFP || features::by_name(&args.encoder).is_some();
    if !weight_free {
        return run_backbone(args, context);
    }
    context.device.check_cpu("an encoder without weights")?;
    if args.precision.is_some_and(|precision| precision != PrecisionFlag::F32) {
        return Err(Error::usage(
            format!("encoder '{}' has no weights that --precision could change", args.encoder),
            "leave --precision out",
        ));
    }
    // Counts and bits are exact baselines: they keep the precision that they have.
    match features::by_name(&args.encoder) {
        Some(encoder) => fill(&mut WeightFree::new(encoder), args, Dtype::F32, context),
        None => fill(&mut Molecules::new(Ecfp), args, Dtype::F32, context),
    }
}

fn run_backbone(args: &EmbedArgs, context: &Context) -> Result<Outcome> {
    let path = Path::new(&args.encoder);
    if !path.exists() {
        return Err(Error::usage(
            format!("encoder '{}' is not known, and no folder of this name is there", args.encoder),
            format!(
                "choose one of: {}, {}; or the folder of a backbone; vectors made elsewhere come in by 'biollmnet \
                 import-vectors'",
                features::NAMES.join(", "),
                features::ECFP
            ),
        ));
    }
    let opened = Backbone::open(path)?;
    // Language models' vectors are about as exact in half precision as the arithmetic that they are meant for.
    if matches!(opened.config.network, Network::MoleBert(_)) {
        let network = backbone::load_molecules(args, &opened, context)?;
        // Sums over the atoms of a large molecule can leave the range of half precision.
        return fill(&mut Molecules::new(network), args, Dtype::F32, context);
    }
    fill(&mut backbone::load(args, &opened, context)?, args, Dtype::F16, context)
}

/// Embeds the input with `encoder`; `dtype` is that of the store where none was asked for.
fn fill<E: RecordEncoder>(encoder: &mut E, args: &EmbedArgs, dtype: Dtype, context: &Context) -> Result<Outcome> {
    let fixed = encoder.kind().modality();
    if let Some(wanted) = args.modality.map(Modality::name).filter(|wanted| *wanted != fixed) {
        return Err(Error::usage(
            format!("encoder '{}' takes {fixed} records, --modality says {wanted}", args.encoder),
            "choose the encoder of that modality, or leave --modality out",
        ));
    }
    let poolings = args.poolings()?;
    let shard = args.shard.choose(context)?;
    let stores = stores_of(&args.out, &poolings);
    let embedded = shard_set::recorded(&stores, shard, || {
        embed(&args.input, encoder, &poolings, args.options(dtype, shard), &args.out, &*context.progress)
    })?;
    summary::report(&embedded, &args.out, &poolings, shard, (encoder.measure(), fixed), context)
}
