//! From the command line to the function that does it.

use crate::commands::{self, Call};
use crate::complete;
use crate::exit::{Exit, Outcome};
use crate::flags::{self, Help};
use crate::help::{self, Page};
use crate::output;
use crate::session::Session;
use crate::table::{Action, Args, Command, Needs, ROOT};
use crate::terminal;

/// The name to speak of ourselves by: `docker` when called so.
pub(crate) fn program(called: &str) -> &'static str {
    if called.rsplit('/').next() == Some("docker") { "docker" } else { "wharf" }
}

/// Runs one command line.
pub(crate) fn run(program: &str, words: &[String]) -> Outcome {
    if let Some(described) = words.first().and_then(|word| complete::asked(word)) {
        return complete::answer(program, &words[1..], described);
    }
    let parsed = flags::parse(&ROOT, words).map_err(|why| {
        Exit::with(
            125,
            format!(
                "{why}\n\nUsage:  {program} [OPTIONS] COMMAND [ARG...]\n\nRun '{program} --help' for more information"
            ),
        )
    })?;
    let session = Session::new(program.to_owned(), parsed.flags);
    if session.globals.on("version") {
        let name = if program == "docker" { "Docker" } else { "Wharf" };
        output::line(&format!("{name} version {}, build {}", commands::VERSION, commands::COMMIT));
        return Ok(());
    }
    let args = parsed.args;
    if parsed.help.is_some() || args.is_empty() {
        // `wharf --help run` shows the help of run
        let (path, command, _) = find(&args);
        show_help(&session, &path, command);
        return Ok(());
    }
    if args[0] == "help" {
        let (path, command, rest) = find(&args[1..]);
        if !rest.is_empty() && command.action == Action::Group {
            return Err(Exit::error(format!("unknown help topic: {}", rest.join(" "))));
        }
        show_help(&session, &path, command);
        return Ok(());
    }
    let args = expand_alias(&session, args);
    let (path, command, rest) = find(&args);
    if command.action == Action::Group {
        return group(&session, &path, command, rest);
    }
    call(&session, &path, command, rest)
}

/// `aliases` of the configuration: only `builder` means something to docker, and that to build.
fn expand_alias(session: &Session, args: Vec<String>) -> Vec<String> {
    if ROOT.find(&args[0]).is_some() {
        return args;
    }
    let Some(target) = session.config().object("aliases").and_then(|aliases| aliases.get(&args[0])?.as_str()) else {
        return args;
    };
    target.split_whitespace().map(str::to_owned).chain(args[1..].iter().cloned()).collect()
}

/// The deepest command that the words name, with its path and the words after it.
fn find(words: &[String]) -> (String, &'static Command, &[String]) {
    let (mut command, mut path, mut rest) = (&ROOT, String::new(), words);
    while let Some(inner) = rest.first().and_then(|word| command.find(word)) {
        // the path is what the command is called, not the alias it was called by
        path = if path.is_empty() { inner.name.to_owned() } else { format!("{path} {}", inner.name) };
        command = inner;
        rest = &rest[1..];
    }
    (path, command, rest)
}

fn unknown_command(session: &Session, path: &str, word: &str) -> Exit {
    let program = &session.program;
    let full = help::full_path(program, path);
    // docker's volume is the one group that says COMMAND here
    let rest = if path == "volume" { " COMMAND" } else { "" };
    let usage = if path.is_empty() { String::new() } else { format!("Usage:  {full}{rest}\n\n") };
    Exit::error(format!("{program}: unknown command: {full} {word}\n\n{usage}Run '{full} --help' for more information"))
}

fn group(session: &Session, path: &str, command: &'static Command, rest: &[String]) -> Outcome {
    let parsed = flags::parse(command, rest).map_err(|why| usage_error(session, path, command, &why))?;
    if let Some(help) = parsed.help {
        note_short_help(help);
        show_help(session, path, command);
        return Ok(());
    }
    match parsed.args.first() {
        Some(word) => Err(unknown_command(session, path, word)),
        None => {
            output::err(&help_text(session, path, command));
            Ok(())
        }
    }
}

fn note_short_help(help: Help) {
    if help == Help::Short {
        output::line("Flag shorthand -h has been deprecated, use --help");
    }
}

fn usage_error(session: &Session, path: &str, command: &Command, why: &str) -> Exit {
    let usage = help::usage(&session.program, path, command);
    let full = help::full_path(&session.program, path);
    Exit::with(125, format!("{why}\n\nUsage:  {usage}\n\nRun '{full} --help' for more information"))
}

fn call(session: &Session, path: &str, command: &'static Command, words: &[String]) -> Outcome {
    let parsed = flags::parse(command, words).map_err(|why| usage_error(session, path, command, &why))?;
    for note in &parsed.notes {
        output::err(&format!("{note}\n"));
    }
    if let Some(help) = parsed.help {
        note_short_help(help);
        show_help(session, path, command);
        return Ok(());
    }
    check_args(session, path, command, &parsed.args)?;
    check_needs(session, command, &parsed.flags)?;
    let full = help::full_path(&session.program, path);
    let call = Call { session, full, path: path.to_owned(), flags: parsed.flags, args: parsed.args };
    commands::perform(command.action, &call)
}

/// Flags that only other engines know.
fn check_needs(session: &Session, command: &'static Command, flags: &flags::Flags) -> Outcome {
    for flag in command.all_flags().filter(|flag| flags.given(flag.long)) {
        let what = match flag.needs {
            Needs::Windows => "running on windows, but the Docker daemon is running on linux",
            Needs::Experimental => {
                if session.client()?.ping()?.experimental {
                    continue;
                }
                "with experimental features enabled"
            }
            _ => continue,
        };
        return Err(Exit::error(format!("\"--{}\" is only supported on a Docker daemon {what}", flag.long)));
    }
    Ok(())
}

fn check_args(session: &Session, path: &str, command: &Command, args: &[String]) -> Outcome {
    let count = args.len();
    let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
    let (what, see) = match command.args {
        Args::Nothing if count > 0 => ("accepts no arguments".to_owned(), "Run"),
        Args::Exact(wanted) if count != wanted => (format!("requires {wanted} {}", plural(wanted)), "Run"),
        Args::Min(least) if count < least => (format!("requires at least {least} {}", plural(least)), "See"),
        Args::Max(most) if count > most => (format!("requires at most {most} {}", plural(most)), "Run"),
        Args::Range(least, most) if count < least || count > most => {
            (format!("requires at least {least} and at most {most} {}", plural(most)), "Run")
        }
        Args::Plain(wanted) if count != wanted => {
            return Err(Exit::error(format!("accepts {wanted} arg(s), received {count}")));
        }
        _ => return Ok(()),
    };
    let program = &session.program;
    let full = help::full_path(program, path);
    let usage = help::usage(program, path, command);
    Err(Exit::error(format!(
        "{program}: '{full}' {what}\n\nUsage:  {usage}\n\n{see} '{full} --help' for more information"
    )))
}

fn help_text(session: &Session, path: &str, command: &Command) -> String {
    // some commands exist only with some engines: ask, but never start one for that
    let engine = session.client_if_there().ok().and_then(|client| client.ping().ok());
    let config = session.config_folder().to_string_lossy().into_owned();
    let width = terminal::width();
    let page = Page { program: &session.program, path, width, config: &config, engine: engine.as_ref() };
    let experimental = path.starts_with("checkpoint") && !page.shows(Needs::Experimental);
    if experimental {
        let full = help::full_path(&session.program, path);
        return format!("{full} is only supported on a Docker daemon with experimental features enabled\n");
    }
    help::render(&page, command)
}

fn show_help(session: &Session, path: &str, command: &Command) {
    output::out(&help_text(session, path, command));
}
