//! Results on standard output, words on standard error; a reader that has gone is no failure.

use std::io::Write;

use biollmnet::error::{Error, Result};
use serde::Serialize;

/// Prints one line.
pub fn print(line: impl AsRef<str>) -> Result<()> {
    writeln!(std::io::stdout(), "{}", line.as_ref()).map_err(Error::io("write", "standard output"))
}

/// Prints `value` as one line of JSON.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value)
        .map_err(|e| Error::data(format!("the result cannot be written as JSON: {e}"), "leave out --json"))?;
    print(text)
}

/// Prints one line on standard error; when nobody reads it the work goes on.
pub fn say(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", line.as_ref());
}

/// Prints `bytes` as they are.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Error::io("write", "standard output"))
}
