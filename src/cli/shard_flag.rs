//! `--shard i/n`: the share of a job that this process does.

use biollmnet::error::Result;
use biollmnet::files::Shard;
use clap::Args;

use super::Context;

/// Which share.
#[derive(Debug, Args)]
pub struct ShardFlag {
    /// Do the i-th of n shares only, counted from 0, into OUT.shards; 'biollmnet merge OUT' joins them [default: all of
    /// the work; in a Slurm job array the share of the task].
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
}

impl ShardFlag {
    /// The share that was asked for, or that of the Slurm task in which this runs.
    pub fn choose(&self, context: &Context) -> Result<Shard> {
        if let Some(shard) = self.shard {
            return Ok(shard);
        }
        let found = Shard::of_slurm(|name| std::env::var(name).ok())?;
        if let Some(shard) = found {
            context.note(format!("shard {shard}, of the Slurm job array; --shard 0/1 is all of the work"));
        }
        Ok(found.unwrap_or(Shard::WHOLE))
    }
}
