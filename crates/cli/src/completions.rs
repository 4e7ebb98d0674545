//! `ottla completions`: what shells complete.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{Cli, Error, Streams};

/// What `ottla completions` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "To install them, for you alone:\n  \
    bash:        ottla completions bash > ~/.local/share/bash-completion/completions/ottla\n  \
    zsh:         ottla completions zsh > \"${fpath[1]}/_ottla\"\n  \
    fish:        ottla completions fish > ~/.config/fish/completions/ottla.fish\n  \
    powershell:  ottla completions powershell >> $PROFILE\n\
    They are there in the next shell. zsh needs `autoload -U compinit; compinit` in ~/.zshrc.")]
pub struct CompletionsArgs {
    /// The shell: bash, zsh, fish, powershell or elvish
    #[arg(value_enum, hide_possible_values = true)]
    pub shell: Shell,
}

/// Prints the shell's script.
pub(crate) fn run(args: &CompletionsArgs, streams: &mut Streams) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ottla", &mut script);
    streams
        .out
        .write_all(&script)
        .and_then(|()| streams.out.flush())
        .map_err(Error::stdout)
}
