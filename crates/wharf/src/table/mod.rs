//! The grammar: every command and flag in one static table, which drives parsing, help and errors alike.

mod action;
mod completion;
mod container;
mod context;
mod image;
mod network;
mod plugin;
mod root;
mod swarm;
mod system;
mod volume;
mod volume_files;

pub(crate) use action::Action;
pub(crate) use root::ROOT;

/// A command or a group of commands.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// Other names it answers to below the same parent.
    pub(crate) aliases: &'static [&'static str],
    /// What follows the command's path in the usage line; further lines likewise.
    pub(crate) usage: &'static str,
    pub(crate) about: &'static str,
    /// One line for the parent's list, where that is not the first of `about`.
    pub(crate) brief: &'static str,
    /// The `Aliases:` line, `{}` standing for the program.
    pub(crate) same_as: &'static str,
    pub(crate) flags: &'static [&'static [Flag]],
    pub(crate) args: Args,
    pub(crate) action: Action,
    /// Whether flags may follow the first argument.
    pub(crate) interspersed: bool,
    pub(crate) commands: &'static [&'static Command],
    pub(crate) section: Section,
    pub(crate) needs: Needs,
    pub(crate) hidden: bool,
}

impl Command {
    /// What most commands have.
    pub(crate) const EMPTY: Self = Self {
        name: "",
        aliases: &[],
        usage: "",
        about: "",
        brief: "",
        same_as: "",
        flags: &[],
        args: Args::Any,
        action: Action::Group,
        interspersed: true,
        commands: &[],
        section: Section::Plain,
        needs: Needs::Nothing,
        hidden: false,
    };

    /// The same command under another name, as it appears at the top level.
    pub(crate) const fn called(&self, name: &'static str, usage: &'static str, section: Section) -> Self {
        Self {
            name,
            aliases: &[],
            usage,
            about: self.about,
            brief: self.brief,
            same_as: self.same_as,
            flags: self.flags,
            args: self.args,
            action: self.action,
            interspersed: self.interspersed,
            commands: &[],
            section,
            needs: self.needs,
            hidden: false,
        }
    }

    /// All flags.
    pub(crate) fn all_flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.iter().flat_map(|flags| flags.iter())
    }

    /// The command below this one that answers to `name`.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Self> {
        self.commands.iter().copied().find(|command| command.name == name || command.aliases.contains(&name))
    }
}

/// Where a command stands in the help of its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// `Common Commands`, at this place.
    Common(u8),
    Management,
    Swarm,
    Plain,
}

/// How many arguments a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Args {
    Any,
    Nothing,
    Exact(usize),
    Min(usize),
    Max(usize),
    Range(usize, usize),
    /// Exactly this many, with cobra's own sentence.
    Plain(usize),
}

/// What the engine must be like for a command or a flag to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Experimental,
    SwarmActive,
    SwarmManager,
    Windows,
    /// Our own: not in the help of a program that is called `docker`.
    Wharf,
}

/// One flag.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) kind: Kind,
    /// The help text with its default, as printed.
    pub(crate) usage: &'static str,
    pub(crate) needs: Needs,
    pub(crate) hidden: bool,
    pub(crate) deprecated: Option<&'static str>,
}

impl Flag {
    const fn new(long: &'static str, kind: Kind, usage: &'static str) -> Self {
        Self { long, short: None, kind, usage, needs: Needs::Nothing, hidden: false, deprecated: None }
    }

    /// The `--format` of commands that show objects.
    const FORMAT: Self = Self::new(
        "format",
        Kind::Text,
        "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates",
    );
    /// The `--format` of commands that show tables.
    const FORMAT_TABLE: Self = Self::new(
        "format",
        Kind::Text,
        "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates",
    );

    /// The `--help` that commands list which use `-h` for something else.
    pub(crate) const fn help() -> Self {
        Self::new("help", Kind::Bool, "Print usage")
    }

    const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    const fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    const fn deprecated(mut self, instead: &'static str) -> Self {
        self.hidden = true;
        self.deprecated = Some(instead);
        self
    }
}

/// What a flag's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Text,
    Int,
    /// An unsigned integer of that many bits.
    Uint(u32),
    Float,
    /// Repeatable.
    List(Check),
    /// Repeatable, each value a line of CSV.
    Strings,
    /// Repeatable `key=value`.
    Map,
    /// A size: `64m`.
    Bytes,
    Decimal,
    Duration,
    /// Repeatable `name=value`.
    Filter,
    Mount,
    Network,
    Ulimit,
    /// Anything else, by the name that the help shows.
    Other(&'static str),
}

impl Kind {
    /// The word after the flag in the help.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Bool => "",
            Self::Text => "string",
            Self::Int => "int",
            Self::Uint(16) => "uint16",
            Self::Uint(32) => "uint32",
            Self::Uint(_) => "uint",
            Self::Float => "float",
            Self::List(_) => "list",
            Self::Strings => "strings",
            Self::Map => "map",
            Self::Bytes => "bytes",
            Self::Decimal => "decimal",
            Self::Duration => "duration",
            Self::Filter => "filter",
            Self::Mount => "mount",
            Self::Network => "network",
            Self::Ulimit => "ulimit",
            Self::Other(word) => word,
        }
    }
}

/// What each value of a list must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Nothing,
    AddHost,
    Attach,
    DeviceRule,
    DnsSearch,
    Env,
    Host,
    Ip,
    Label,
    Link,
    Rate,
    Weight,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(command: &'static Command, visit: &mut dyn FnMut(&'static Command)) {
        visit(command);
        command.commands.iter().for_each(|inner| walk(inner, visit));
    }

    #[test]
    fn no_flag_or_command_stands_twice() {
        walk(&ROOT, &mut |command| {
            let mut long: Vec<_> = command.all_flags().map(|flag| flag.long).collect();
            let mut short: Vec<_> = command.all_flags().filter_map(|flag| flag.short).collect();
            let mut names: Vec<_> = command.commands.iter().map(|inner| inner.name).collect();
            let counts = (long.len(), short.len(), names.len());
            long.sort_unstable();
            long.dedup();
            short.sort_unstable();
            short.dedup();
            names.sort_unstable();
            names.dedup();
            assert_eq!((long.len(), short.len(), names.len()), counts, "{}", command.name);
        });
    }
}
