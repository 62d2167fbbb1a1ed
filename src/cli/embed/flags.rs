//! Values of the flags of `embed`.

use biollmnet::backend::Isa;
use biollmnet::embed::store::Dtype;
use clap::ValueEnum;

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

/// `--unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnknownFlag {
    Unk,
    Error,
}

/// `--untrained-letters`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UntrainedFlag {
    Own,
    Unk,
}

/// `--long`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LongFlag {
    Error,
    Truncate,
    Window,
}

/// `--precision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionFlag {
    F32,
    F16,
    Int8,
    Fp8,
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

/// Bytes of `1000`, `512M`, `8G`, `1.5GiB`: the units are powers of 1024.
pub fn memory_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no size: write bytes, or a number with K, M, G or T");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_uppercase();
    let power = match unit.trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let bytes = number * 1024f64.powi(power);
    if (1.0..1e18).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
}

/// An instruction set that this machine has.
pub fn instruction_set(text: &str) -> Result<Isa, String> {
    Isa::available().find(|isa| isa.name() == text).ok_or_else(|| {
        let here: Vec<_> = Isa::available().map(Isa::name).collect();
        format!("this machine has: {}", here.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_or_refused() {
        for (text, bytes) in
            [("1000", 1000), ("512M", 512 << 20), ("8g", 8 << 30), ("1.5GiB", 3 << 29), ("2KB", 2048), ("1T", 1 << 40)]
        {
            assert_eq!(memory_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "-1", "0", "8X", "1e30", "NaN", "inf", "8 G"] {
            assert!(memory_size(text).is_err(), "{text}");
        }
    }
}
