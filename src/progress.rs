//! How long work tells where it stands, and how it is asked to stop.
//!
//! The library only calls these; the command line decides whether a bar, plain lines, JSON or nothing is shown.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use crate::error::{Error, Result};

/// Where long work reports to.
pub trait Progress: Send + Sync {
    /// A new phase begins: `what` in a few words, `total` steps of `unit` where they are known.
    fn begin(&self, what: &str, unit: &str, total: Option<u64>);
    /// `n` more steps are done.
    fn advance(&self, n: u64);
    /// The phase is over.
    fn finish(&self);
    /// Something worth knowing for those who want to know more.
    fn note(&self, _line: &str) {}
}

/// Reports to nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _unit: &str, _total: Option<u64>) {}
    fn advance(&self, _n: u64) {}
    fn finish(&self) {}
}

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The flag that a signal handler sets. Long work reads it through [`check_interrupt`].
#[must_use]
pub fn interrupt_flag() -> Arc<AtomicBool> {
    Arc::clone(&INTERRUPTED)
}

/// `Err(Interrupted)` once a signal has asked the program to stop.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn check_interrupt() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}
