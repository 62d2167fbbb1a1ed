//! A backbone folder as an encoder on the device that was asked for.

use std::path::Path;

use biollmnet::backend::Cpu;
use biollmnet::embed::backbone::{self, BackboneEncoder, BackboneOptions, TokenEncoder, Variant};
use biollmnet::embed::{MoleBert, MoleculeEncoder};
use biollmnet::error::{Error, Result};
use biollmnet::models::backbone::Backbone;
use biollmnet::ops::linear::Precision;

use super::EmbedArgs;
use super::flags::{LongFlag, PrecisionFlag, UntrainedFlag};
use crate::cli::Context;
use crate::cli::device::Opened;
use crate::cli::doctor::machine;

/// Share of the free memory that work space may take where no limit was given, in percent.
const MEMORY_SHARE: u64 = 80;

/// Loads the sequence model of an opened folder.
pub fn load(args: &EmbedArgs, opened: &Backbone, context: &Context) -> Result<BackboneEncoder<Box<dyn TokenEncoder>>> {
    let device = context.backend()?;
    let half = if matches!(device, Opened::Cuda(_)) { Precision::F16 } else { Precision::F32 };
    let variant = Variant {
        precision: precision(args, half),
        trained_letters_only: args.untrained_letters == UntrainedFlag::Unk,
    };
    device.check_precision(variant.precision)?;
    let path = Path::new(&args.encoder);
    let network = match device {
        Opened::Cpu => backbone::load(cpu(args), opened, path, variant.precision)?,
        Opened::Cuda(cuda) => backbone::load(cuda.clone(), opened, path, variant.precision)?,
    };
    tell(args, opened, variant.precision, device, context);
    let options = BackboneOptions {
        max_tokens: max_tokens(args, device),
        max_memory: args.max_memory.map_or_else(|| free_memory(device), Ok)?,
        window: args.max_length.filter(|_| args.long == LongFlag::Window).map(|n| n as usize),
    };
    BackboneEncoder::of(network, opened, path, variant, options)
}

/// Loads the network of molecules of an opened folder.
pub fn load_molecules(args: &EmbedArgs, backbone: &Backbone, context: &Context) -> Result<Box<dyn MoleculeEncoder>> {
    let device = context.backend()?;
    let (path, precision) = (Path::new(&args.encoder), precision(args, Precision::F32));
    if precision == Precision::Fp8 {
        return Err(Error::data("--precision fp8 is for language models", "choose --precision f32 or f16"));
    }
    tell(args, backbone, precision, device, context);
    let max_atoms = max_tokens(args, device);
    match device {
        Opened::Cpu => MoleBert::boxed(cpu(args), backbone, path, precision, max_atoms),
        Opened::Cuda(cuda) => MoleBert::boxed(cuda.clone(), backbone, path, precision, max_atoms),
    }
}

fn tell(args: &EmbedArgs, backbone: &Backbone, precision: Precision, device: &Opened, context: &Context) {
    let device = match device {
        Opened::Cpu => cpu(args).isa.name().to_owned(),
        Opened::Cuda(cuda) => cuda.info().to_string(),
    };
    context.detail(format!("{}: {} in {} on {device}", args.encoder, backbone.config.name, precision.name()));
}

fn cpu(args: &EmbedArgs) -> Cpu {
    let mut cpu = Cpu::all_threads();
    if let Some(isa) = args.isa {
        cpu.isa = isa;
    }
    cpu
}

fn max_tokens(args: &EmbedArgs, device: &Opened) -> usize {
    args.max_tokens.map_or_else(|| device.tokens_together(), |n| n as usize)
}

fn precision(args: &EmbedArgs, default: Precision) -> Precision {
    match args.precision {
        None => default,
        Some(PrecisionFlag::F32) => Precision::F32,
        Some(PrecisionFlag::F16) => Precision::F16,
        Some(PrecisionFlag::Int8) => Precision::Int8,
        Some(PrecisionFlag::Fp8) => Precision::Fp8,
    }
}

fn free_memory(device: &Opened) -> Result<u64> {
    let free = match device {
        Opened::Cpu => machine::memory().map_or(u64::MAX, |memory| memory.free),
        Opened::Cuda(cuda) => cuda.memory()?.0 as u64,
    };
    Ok(free / 100 * MEMORY_SHARE)
}
