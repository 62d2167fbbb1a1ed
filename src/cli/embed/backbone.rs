//! The flags of `embed` that are about a backbone.

use std::path::Path;

use biollmnet::backend::Cpu;
use biollmnet::embed::MoleBert;
use biollmnet::embed::backbone::{BackboneEncoder, BackboneOptions, OnDevice, Variant};
use biollmnet::error::{Error, Result};
use biollmnet::models::backbone::Backbone;
use biollmnet::ops::linear::Precision;

use super::EmbedArgs;
use super::flags::{LongFlag, PrecisionFlag, UntrainedFlag};
use crate::cli::Context;
use crate::cli::doctor::machine;

/// Share of the free memory that work space may take where no limit was given, in percent.
const MEMORY_SHARE: u64 = 80;

/// Loads the sequence model of an opened folder.
pub fn load(args: &EmbedArgs, backbone: &Backbone, context: &Context) -> Result<BackboneEncoder<OnDevice<Cpu>>> {
    let backend = backend(args);
    let options = BackboneOptions {
        max_tokens: args.max_tokens as usize,
        max_memory: args.max_memory.unwrap_or_else(free_memory),
        window: args.max_length.filter(|_| args.long == LongFlag::Window).map(|n| n as usize),
    };
    let variant = Variant {
        precision: precision(args.precision)?,
        trained_letters_only: args.untrained_letters == UntrainedFlag::Unk,
    };
    let encoder = BackboneEncoder::load(backend, backbone, Path::new(&args.encoder), variant, options)?;
    context.detail(format!("{}: {} on {}", args.encoder, backbone.config.name, backend.isa.name()));
    Ok(encoder)
}

/// Loads the network of molecules of an opened folder.
pub fn load_molecules(args: &EmbedArgs, backbone: &Backbone, context: &Context) -> Result<MoleBert<Cpu>> {
    let backend = backend(args);
    let (path, precision) = (Path::new(&args.encoder), precision(args.precision)?);
    context.detail(format!("{}: {} on {}", args.encoder, backbone.config.name, backend.isa.name()));
    MoleBert::load(backend, backbone, path, precision, args.max_tokens as usize)
}

fn backend(args: &EmbedArgs) -> Cpu {
    let mut backend = Cpu::all_threads();
    if let Some(isa) = args.isa {
        backend.isa = isa;
    }
    backend
}

fn precision(flag: PrecisionFlag) -> Result<Precision> {
    let name = match flag {
        PrecisionFlag::F32 => return Ok(Precision::F32),
        PrecisionFlag::Int8 => return Ok(Precision::Int8),
        PrecisionFlag::F16 => "f16",
        PrecisionFlag::Fp8 => "fp8",
    };
    Err(Error::data(
        format!("--precision {name} needs a CUDA device, and this version computes on the CPU only"),
        "choose --precision f32 or int8; --dtype f16 is about the stored vectors",
    ))
}

fn free_memory() -> u64 {
    machine::memory().map_or(u64::MAX, |memory| memory.free / 100 * MEMORY_SHARE)
}
