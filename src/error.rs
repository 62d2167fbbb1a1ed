//! The one error type of the library: what happened, where, and what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// Result of every fallible operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong. `Display` says what and where; [`Error::help`] says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// One record of a text file is wrong.
    #[error("{}:{line}: {}{reason}", path.display(), named(id))]
    Record {
        /// The file, `-` for standard input.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// Id of the record, empty where it has none.
        id: String,
        /// What is wrong with it.
        reason: String,
        /// What to do next.
        help: String,
    },
    /// A file as a whole is not what it should be.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do next.
        help: String,
    },
    /// The request contradicts itself or names something unknown.
    #[error("{what}")]
    Usage {
        /// What is wrong with the request.
        what: String,
        /// What to do next.
        help: String,
    },
    /// The input is readable, but the work cannot be done on it.
    #[error("{what}")]
    Data {
        /// What is missing or wrong.
        what: String,
        /// What to do next.
        help: String,
    },
    /// An op was called with operands that do not fit.
    #[error("{op}: expected {expected}, found {found}")]
    Shape {
        /// The op.
        op: &'static str,
        /// The shapes it takes.
        expected: String,
        /// The shapes it was given.
        found: String,
    },
    /// A device has no memory left.
    #[error("{device} has no memory left: {doing} failed")]
    DeviceMemory {
        /// The device.
        device: String,
        /// What was asked for.
        doing: String,
    },
    /// A device stopped working: what runs on it now is lost.
    #[error("{device}: {what}")]
    DeviceLost {
        /// The device.
        device: String,
        /// What its driver says.
        what: String,
    },
    /// Another process writes the same output.
    #[error("{} is being written by another process", path.display())]
    Busy {
        /// The output.
        path: PathBuf,
    },
    /// A result is larger than the room for it.
    #[error("{}: the result takes {}, {} are free there", path.display(), bytes(*needed), bytes(*free))]
    NoSpace {
        /// The output.
        path: PathBuf,
        /// Bytes that the result takes, or a little more.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A signal asked the program to stop.
    #[error("interrupted before the work was done")]
    Interrupted,
}

/// `512 bytes`, `1.5 MB`, `5.2 GB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let unit = UNITS.iter().find(|(size, _)| n as f64 >= *size);
    unit.map_or_else(|| format!("{n} bytes"), |(size, name)| format!("{:.1} {name}", n as f64 / size))
}

/// At most `most` letters of an id: its head and its tail with `…` between.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    let n_letters = text.chars().count();
    if n_letters <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(1);
    let tail = kept / 3;
    let head: String = text.chars().take(kept - tail).collect();
    let end: String = text.chars().skip(n_letters - tail).collect();
    format!("{head}…{end}")
}

/// Letters of an id in a message.
pub const LONGEST_ID: usize = 60;

fn named(id: &str) -> String {
    if id.is_empty() { String::new() } else { format!("record '{}': ", shortened(id, LONGEST_ID)) }
}

impl Error {
    /// For `map_err` on a file operation.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// One record of a text file is wrong.
    pub fn record(
        path: impl AsRef<Path>,
        line: u64,
        id: impl Into<String>,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self::Record {
            path: path.as_ref().to_path_buf(),
            line,
            id: id.into(),
            reason: reason.into(),
            help: help.into(),
        }
    }

    /// A file as a whole is not what it should be.
    pub fn format(path: impl AsRef<Path>, reason: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_path_buf(), reason: reason.into(), help: help.into() }
    }

    /// The request is wrong.
    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), help: help.into() }
    }

    /// The data is wrong.
    pub fn data(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Data { what: what.into(), help: help.into() }
    }

    /// What to do next, in one sentence; empty where there is nothing to add.
    #[must_use]
    pub fn help(&self) -> &str {
        match self {
            Self::Record { help, .. }
            | Self::Format { help, .. }
            | Self::Usage { help, .. }
            | Self::Data { help, .. } => help,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "check the spelling of the path",
                io::ErrorKind::PermissionDenied => "choose a place that you may read and write",
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space or choose another --out, then run the same command again"
                }
                io::ErrorKind::IsADirectory => "name a file, not a folder",
                io::ErrorKind::NotADirectory => "a part of this path is a file, not a folder: check the path",
                io::ErrorKind::InvalidData => "the file is damaged or of another kind: check which file is meant",
                _ => "",
            },
            Self::Shape { .. } => "this is a defect of the program: please report the command and this line",
            Self::DeviceMemory { .. } => {
                "use a device with more memory, stop what else runs on it, or choose --device cpu"
            }
            Self::DeviceLost { .. } => "run the same command again, on another device where there is one",
            Self::Busy { .. } => "wait for it to end, or choose another --out",
            Self::NoSpace { .. } => "free some space or choose another --out, then run the same command again",
            Self::Interrupted => "run the same command again: it goes on where it was",
        }
    }

    /// The process exit code of this error: 2 usage, 3 bad data, 75 retry later.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Interrupted | Self::DeviceLost { .. } | Self::Busy { .. } | Self::NoSpace { .. } => 75,
            _ if self.is_full_disk() => 75,
            _ => 3,
        }
    }

    /// True when a disk has no room left, or the user no share of it.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        let full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        matches!(self, Self::Io { source, .. } if full(source.kind()))
    }

    /// True when a device has no memory left: less at once may fit.
    #[must_use]
    pub fn is_device_memory(&self) -> bool {
        matches!(self, Self::DeviceMemory { .. })
    }

    /// True when the reader at the other end of a pipe has gone, which is success.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_are_shortened() {
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghijklmnop", 10), "abcdef…nop");
        assert_eq!(shortened("ééééééé", 4).chars().count(), 4);
        let error = Error::record("x.fa", 3, "x".repeat(1000), "no letters", "add some");
        assert!(error.to_string().len() < 120, "{error}");
    }
}
