//! `biollmnet completions`: a completion script for a shell, on standard output.

use biollmnet::error::Result;
use clap::Args;
use clap_complete::Shell;

use super::output::print_bytes;
use super::{Context, Outcome, command_tree};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, _context: &Context) -> Result<Outcome> {
    print_bytes(&script(args.shell))?;
    Ok(Outcome::Done)
}

/// Made in memory first: the generator panics when it cannot write, which a closed pipe must not cause.
fn script(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command_tree(), "biollmnet", &mut text);
    text
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_gets_every_command() {
        for shell in Shell::value_variants() {
            let text = String::from_utf8(script(*shell)).unwrap();
            for command in command_tree().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
