//! `completion`: scripts by which shells complete command lines.

use super::{Action, Args, Command, Flag, Kind, Needs};

static FLAGS: &[Flag] = &[Flag::new("no-descriptions", Kind::Bool, "disable completion descriptions")];

const SCRIPT: Command =
    Command { usage: "[flags]", flags: &[FLAGS], args: Args::Nothing, action: Action::Completion, ..Command::EMPTY };

static BASH: Command = Command {
    name: "bash",
    usage: "",
    about: "Generate the autocompletion script for the bash shell.\n\nTo load completions in your current shell session:\n\n\tsource <({} completion bash)\n\nTo load completions for every new session, execute once:\n\n\t{} completion bash > /etc/bash_completion.d/{}\n\nYou will need to start a new shell for this setup to take effect.",
    brief: "Generate the autocompletion script for bash",
    ..SCRIPT
};

static FISH: Command = Command {
    name: "fish",
    about: "Generate the autocompletion script for the fish shell.\n\nTo load completions in your current shell session:\n\n\t{} completion fish | source\n\nTo load completions for every new session, execute once:\n\n\t{} completion fish > ~/.config/fish/completions/{}.fish\n\nYou will need to start a new shell for this setup to take effect.",
    brief: "Generate the autocompletion script for fish",
    ..SCRIPT
};

static POWERSHELL: Command = Command {
    name: "powershell",
    about: "Generate the autocompletion script for powershell.\n\nTo load completions in your current shell session:\n\n\t{} completion powershell | Out-String | Invoke-Expression\n\nTo load completions for every new session, add the output of the above command\nto your powershell profile.",
    brief: "Generate the autocompletion script for powershell",
    ..SCRIPT
};

static ZSH: Command = Command {
    name: "zsh",
    about: "Generate the autocompletion script for the zsh shell.\n\nIf shell completion is not already enabled in your environment you will need\nto enable it.  You can execute the following once:\n\n\techo \"autoload -U compinit; compinit\" >> ~/.zshrc\n\nTo load completions in your current shell session:\n\n\tsource <({} completion zsh)\n\nTo load completions for every new session, execute once:\n\n\t{} completion zsh > \"${fpath[1]}/_{}\"\n\nYou will need to start a new shell for this setup to take effect.",
    brief: "Generate the autocompletion script for zsh",
    ..SCRIPT
};

/// Docker has it, too, and does not list it.
pub(super) static COMPLETION: Command = Command {
    name: "completion",
    usage: "COMMAND",
    about: "Generate the autocompletion script for {} for the specified shell.\nSee each sub-command's help for details on how to use the generated script.",
    brief: "Generate the autocompletion script for the specified shell",
    commands: &[&BASH, &FISH, &POWERSHELL, &ZSH],
    needs: Needs::Wharf,
    ..Command::EMPTY
};
