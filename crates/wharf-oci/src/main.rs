//! The `wharf-oci` executable: the OCI runtime command line, for engines that bring their own daemon.
//!
//! ```text
//! create ─▶ init waits at start.fifo ─start─▶ program ─▶ … kill, pause, resume, update, exec, ps, events … ─▶ delete
//! run = create + start (+ delete, unless detached)
//! ```
//!
//! One thread, no daemon, no helper program: a command reads the container's folder, asks the kernel, acts and ends.

mod args;
mod clock;
mod container;
mod context;
mod error;
mod events;
mod exec;
mod foreground;
mod lifecycle;
mod output;
mod own_file;
mod query;
mod signals;
mod state;
mod template;
mod undo;
mod update;

use std::process::ExitCode;

use args::{Flag, Parsed};
use context::{Context, GLOBAL_FLAGS};
use error::Error;
use output::Log;

/// One command.
struct Command {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    flags: &'static [Flag],
    /// Whether a process of the container is made: then our own file must be out of its reach.
    launches: bool,
    run: fn(&Context, &Parsed) -> Result<u8, Error>,
}

const fn command(
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    flags: &'static [Flag],
    run: fn(&Context, &Parsed) -> Result<u8, Error>,
) -> Command {
    Command { name, arguments, help, flags, launches: false, run }
}

const fn launching(command: Command) -> Command {
    Command { launches: true, ..command }
}

const ID: &str = "<container-id>";

static COMMANDS: &[Command] = &[
    command("checkpoint", ID, "checkpoint a running container (not supported)", &[], |_, _| {
        Err(Error::Unsupported("checkpoint"))
    }),
    launching(command("create", ID, "create a container", container::CREATE_FLAGS, container::create)),
    command("delete", ID, "delete any resources held by the container", lifecycle::DELETE_FLAGS, lifecycle::delete),
    command("events", ID, "display OOM notifications and usage statistics", events::FLAGS, events::events),
    launching(command(
        "exec",
        "<container-id> <command> [command options] || -p process.json <container-id>",
        "execute new process inside the container",
        exec::FLAGS,
        exec::exec,
    )),
    command("features", "", "show the enabled features", &[], query::features),
    command(
        "kill",
        "<container-id> [signal]",
        "send a signal (default: SIGTERM) to the container's init process",
        lifecycle::KILL_FLAGS,
        lifecycle::kill,
    ),
    command("list", "", "list containers with the given root", query::LIST_FLAGS, query::list),
    command("pause", ID, "suspend all processes inside the container", &[], lifecycle::pause),
    command(
        "ps",
        "<container-id> [ps options]",
        "display the processes inside a container",
        query::PS_FLAGS,
        query::ps,
    ),
    command("restore", ID, "restore a container from a checkpoint (not supported)", &[], |_, _| {
        Err(Error::Unsupported("restore"))
    }),
    command("resume", ID, "resume all processes that have been paused", &[], lifecycle::resume),
    launching(command("run", ID, "create and run a container", container::RUN_FLAGS, container::run)),
    command("spec", "", "create a new specification file", template::FLAGS, template::spec),
    command("start", ID, "execute the user defined process in a created container", &[], container::start),
    command("state", ID, "output the state of a container", &[], lifecycle::state),
    command("update", ID, "update container resource constraints", update::FLAGS, update::update),
];

fn main() -> ExitCode {
    // executed through a descriptor, the kernel would show its number as our name
    let _ = wharf_sys::prctl::set_name(c"wharf-oci");
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let mut log = Log::default();
    match act(&words, &mut log) {
        Ok(code) => ExitCode::from(code),
        Err((error, context)) => {
            context.as_ref().map_or(&log, |context| &context.log).error(&error.1);
            ExitCode::from(error.0)
        }
    }
}

type Failure = ((u8, String), Option<Context>);

fn act(words: &[String], log: &mut Log) -> Result<u8, Failure> {
    let plain = |error: Error| ((error.exit_code(), error.to_string()), None);
    let globals = args::parse(GLOBAL_FLAGS, words).map_err(plain)?;
    let context = Context::new(&globals, log).map_err(plain)?;
    let outcome = dispatch(&context, &globals);
    outcome.map_err(|(name, error)| {
        let message = match &error {
            // the form of runtimes: engines cut it at the first colons
            Error::Launch(_) | Error::Cgroup(_) | Error::Hook(_) | Error::Spec(_) | Error::Plan(_) => {
                format!("wharf-oci {name} failed: {error}")
            }
            _ => error.to_string(),
        };
        ((error.exit_code(), message), Some(context))
    })
}

fn dispatch<'a>(context: &Context, globals: &'a Parsed) -> Result<u8, (&'a str, Error)> {
    let failed = |error| ("", error);
    if globals.is_set("version") {
        return output::print(&version()).map(|()| 0).map_err(failed);
    }
    let Some((name, rest)) = globals.rest.split_first().filter(|_| !globals.is_set("help")) else {
        return output::print(&help()).map(|()| 0).map_err(failed);
    };
    if matches!(name.as_str(), "help" | "h") {
        return output::print(&help()).map(|()| 0).map_err(failed);
    }
    let named = |error| (name.as_str(), error);
    let known = COMMANDS.iter().find(|command| command.name == name);
    let command = known.ok_or_else(|| named(Error::Usage(format!("No help topic for '{name}'"))))?;
    if rest.first().is_some_and(|word| matches!(word.as_str(), "--help" | "-h" | "-help")) {
        return output::print(&command_help(command)).map(|()| 0).map_err(named);
    }
    let args = args::parse(command.flags, rest).map_err(named)?;
    if command.launches {
        own_file::protect().map_err(named)?;
    }
    context.log.debug(|| format!("{name} {:?}", args.rest));
    (command.run)(context, &args).map_err(named)
}

/// Line by line what engines parse.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("wharf-oci version {version}\ncommit: {version}\nspec: {}\n", wharf_spec::runtime::OCI_VERSION)
}

fn help() -> String {
    let mut text = "NAME:\n   wharf-oci - Open Container Initiative runtime\n\n\
        USAGE:\n   wharf-oci [global options] command [command options] [arguments...]\n\nCOMMANDS:\n"
        .to_owned();
    for command in COMMANDS {
        text.push_str(&format!("   {:<11} {}\n", command.name, command.help));
    }
    text.push_str("\nGLOBAL OPTIONS:\n");
    text.push_str(&flag_help(GLOBAL_FLAGS));
    text
}

fn command_help(command: &Command) -> String {
    let Command { name, arguments, help, flags, .. } = command;
    let mut text =
        format!("NAME:\n   wharf-oci {name} - {help}\n\nUSAGE:\n   wharf-oci {name} [command options] {arguments}\n");
    if !flags.is_empty() {
        text.push_str("\nOPTIONS:\n");
        text.push_str(&flag_help(flags));
    }
    text
}

fn flag_help(flags: &[Flag]) -> String {
    let form = |flag: &Flag| {
        let value = if flag.takes_value { " value" } else { "" };
        let short = flag.short.map(|letter| format!(", -{letter}{value}")).unwrap_or_default();
        format!("--{}{value}{short}", flag.name)
    };
    let width = flags.iter().map(|flag| form(flag).len()).max().unwrap_or(0);
    flags.iter().map(|flag| format!("   {:width$}  {}\n", form(flag), flag.help)).collect()
}
