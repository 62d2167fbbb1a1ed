//! `biollmnet man`: manual pages.

use std::fs;
use std::path::{Path, PathBuf};

use biollmnet::error::{Error, Result};
use clap::Args;
use clap_mangen::Man;

use super::output::print_bytes;
use super::{Context, Outcome, command_tree};

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write one page per command into this folder; without it the main page goes to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the main page, or writes all of them.
pub fn run(args: &ManArgs, context: &Context) -> Result<Outcome> {
    match &args.out {
        None => print_bytes(&page(command_tree())?)?,
        Some(folder) => {
            let written = write_pages(folder)?;
            context.note(format!("{written} pages in {}", folder.display()));
        }
    }
    Ok(Outcome::Done)
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text).map_err(Error::io("write", "a manual page"))?;
    Ok(text)
}

/// `biollmnet.1`, `biollmnet-embed.1`, …; the number of pages.
fn write_pages(folder: &Path) -> Result<usize> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let mut root = command_tree().disable_help_subcommand(true);
    // Gives each command its full name and the global flags.
    root.build();
    let commands = with_inner(&root);
    for command in &commands {
        let path = folder.join(Man::new((*command).clone()).get_filename());
        fs::write(&path, page((*command).clone())?).map_err(Error::io("write", &path))?;
    }
    Ok(commands.len())
}

/// A command and all below it, as `bench` has some.
fn with_inner(command: &clap::Command) -> Vec<&clap::Command> {
    let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help");
    std::iter::once(command).chain(inner.flat_map(with_inner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_page_lists_every_command() {
        let text = String::from_utf8(page(command_tree()).unwrap()).unwrap();
        for command in command_tree().get_subcommands() {
            // Roff writes hyphens with a backslash.
            let name = format!("biollmnet\\-{}", command.get_name().replace('-', "\\-"));
            assert!(text.contains(&name), "{name}");
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("man1");
        let written = write_pages(&inner).unwrap();
        assert_eq!(written, with_inner(&command_tree()).len());
        assert!(inner.join("biollmnet-bench-encoder.1").exists());
        for command in command_tree().get_subcommands() {
            let page = fs::read_to_string(inner.join(format!("biollmnet-{}.1", command.get_name()))).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{}", command.get_name());
        }
    }
}
