//! Work that many processes share: what became of the shards of an output, and how they become one.

pub mod merge;
pub mod slurm;
pub mod status;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::Shard;
use crate::files::manifest::MANIFEST;

/// The outputs at `out` that are finished or have shards: `out` itself, or the stores of several poolings in it.
///
/// # Errors
/// [`Error::Usage`] when there are none; [`Error::Io`].
pub fn outputs_at(out: &Path) -> Result<Vec<PathBuf>> {
    if out.is_file() || out.join(MANIFEST).exists() || Shard::folder_of(out).is_dir() {
        return Ok(vec![out.to_path_buf()]);
    }
    let mut outputs = Vec::new();
    if out.is_dir() {
        for entry in fs::read_dir(out).map_err(Error::io("read", out))? {
            let path = entry.map_err(Error::io("read", out))?.path();
            let of_shards = path.to_str().and_then(|text| text.strip_suffix(".shards")).map(PathBuf::from);
            match of_shards {
                Some(output) if path.is_dir() => outputs.push(output),
                _ if path.join(MANIFEST).exists() => outputs.push(path),
                _ => {}
            }
        }
    }
    outputs.sort_unstable();
    outputs.dedup();
    if outputs.is_empty() {
        return Err(Error::usage(
            format!("there is no output {}, and no shard of it", out.display()),
            "name what --out named when the shards were made",
        ));
    }
    Ok(outputs)
}
