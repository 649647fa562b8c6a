//! Help and usage texts, laid out as cobra and pflag lay them out.

use std::fmt::Write as _;

use crate::engine::Ping;
use crate::table::{Command, Flag, Needs, Section};

/// What the help depends on beside the command.
pub(crate) struct Page<'a> {
    /// `wharf`, or `docker` when called by that name.
    pub(crate) program: &'a str,
    /// The command's names from the top, without the program.
    pub(crate) path: &'a str,
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// The configuration folder, for defaults.
    pub(crate) config: &'a str,
    /// What the engine is; `None` when it could not be asked: then everything is shown.
    pub(crate) engine: Option<&'a Ping>,
}

impl Page<'_> {
    /// The path with the program.
    fn full(&self) -> String {
        full_path(self.program, self.path)
    }

    pub(crate) fn shows(&self, needs: Needs) -> bool {
        if needs == Needs::Wharf {
            return self.program != "docker";
        }
        let Some(engine) = self.engine else { return true };
        match needs {
            Needs::Nothing | Needs::Wharf => true,
            Needs::Experimental => engine.experimental,
            Needs::SwarmActive => engine.swarm.starts_with("active"),
            Needs::SwarmManager => engine.swarm == "active/manager",
            Needs::Windows => engine.os == "windows",
        }
    }
}

/// Program and command path, joined by blanks.
pub(crate) fn full_path(program: &str, path: &str) -> String {
    if path.is_empty() { program.to_owned() } else { format!("{program} {path}") }
}

/// The usage lines (without `Usage:`).
pub(crate) fn usage(program: &str, path: &str, command: &Command) -> String {
    let full = full_path(program, path);
    let mut out = String::new();
    for (index, line) in command.usage.split("\n\t").enumerate() {
        if index > 0 {
            _ = write!(out, "\n\t{program} {}", command.name);
        } else {
            out.push_str(&full);
        }
        if !line.is_empty() {
            _ = write!(out, " {line}");
        }
    }
    out
}

/// The whole help text.
pub(crate) fn render(page: &Page<'_>, command: &Command) -> String {
    let mut out = format!("Usage:  {}\n", usage(page.program, page.path, command));
    _ = write!(out, "\n{}\n", command.about.replace("{}", page.program));
    if !command.same_as.is_empty() {
        _ = write!(out, "\nAliases:\n  {}\n", command.same_as.replace("{}", page.program));
    }
    if !command.commands.is_empty() {
        commands(page, command, &mut out);
    }
    let mut flags: Vec<&Flag> = command.all_flags().filter(|flag| !flag.hidden && page.shows(flag.needs)).collect();
    let uses_h = flags.iter().any(|flag| flag.short == Some('h'));
    const HELP: Flag = Flag::help();
    if uses_h {
        flags.push(&HELP);
    }
    flags.sort_by_key(|flag| flag.long);
    if !flags.is_empty() {
        let title = if page.path.is_empty() { "Global Options" } else { "Options" };
        _ = write!(out, "\n{title}:\n{}", options(page, &flags));
    }
    if !command.commands.is_empty() {
        _ = write!(out, "\nRun '{} COMMAND --help' for more information on a command.\n", page.full());
    }
    if page.path.is_empty() && page.program == "docker" {
        out.push_str("\nFor more help on how to use Docker, head to https://docs.docker.com/go/guides/\n");
    }
    out
}

/// A command's line in the list of its parent.
pub(crate) fn brief(command: &Command) -> &'static str {
    let first = command.about.split('\n').next().unwrap_or_default();
    match command.brief {
        "" if command.about.contains('\n') => first.trim_end_matches('.'),
        "" => first,
        brief => brief,
    }
}

fn commands(page: &Page<'_>, command: &Command, out: &mut String) {
    let shown: Vec<&Command> =
        command.commands.iter().copied().filter(|inner| !inner.hidden && page.shows(inner.needs)).collect();
    let width = shown.iter().map(|inner| inner.name.len()).max().unwrap_or(0).max(11);
    let mut section = |title: &str, wanted: &dyn Fn(Section) -> bool| {
        let mut inner: Vec<&&Command> = shown.iter().filter(|inner| wanted(inner.section)).collect();
        if inner.is_empty() {
            return;
        }
        inner.sort_by_key(|inner| match inner.section {
            Section::Common(place) => (place, ""),
            _ => (0, inner.name),
        });
        _ = write!(out, "\n{title}:\n");
        for command in inner {
            let about = brief(command);
            _ = writeln!(out, "  {:width$} {about}", command.name);
        }
    };
    section("Common Commands", &|section| matches!(section, Section::Common(_)));
    section("Management Commands", &|section| section == Section::Management);
    section("Swarm Commands", &|section| section == Section::Swarm);
    section("Commands", &|section| section == Section::Plain);
}

/// The flags, wrapped to the width of the page.
fn options(page: &Page<'_>, flags: &[&Flag]) -> String {
    let mut lines = Vec::new();
    let mut widest = 0;
    for flag in flags {
        let mut left = match flag.short {
            Some(short) => format!("  -{short}, --{}", flag.long),
            None => format!("      --{}", flag.long),
        };
        if !flag.kind.word().is_empty() {
            _ = write!(left, " {}", flag.kind.word());
        }
        widest = widest.max(left.len() + 1);
        lines.push((left, flag.usage.replace("{config}", page.config)));
    }
    let mut out = String::new();
    for (left, usage) in lines {
        let gap = " ".repeat(widest - left.len());
        _ = writeln!(out, "{left} {gap} {}", wrap(widest + 2, page.width.saturating_sub(1), &usage));
    }
    out
}

/// Breaks `text` so that it fits between `indent` and `width`.
fn wrap(indent: usize, width: usize, text: &str) -> String {
    /// Less room than this is not worth breaking lines for.
    const SENSIBLE: usize = 24;
    /// A short last word may stick out this far.
    const SLOP: usize = 5;
    let mut indent = indent;
    let margin = |indent: usize| format!("\n{}", " ".repeat(indent));
    if width == 0 {
        return text.replace('\n', &margin(indent));
    }
    let mut room = width.saturating_sub(indent);
    let mut out = String::new();
    if room < SENSIBLE {
        indent = 16;
        room = width.saturating_sub(indent);
        out.push_str(&margin(indent));
    }
    if room < SENSIBLE {
        return text.replace('\n', &out);
    }
    room -= SLOP;
    let (first, mut rest) = cut(room, SLOP, text);
    out.push_str(&first.replace('\n', &margin(indent)));
    while !rest.is_empty() {
        let (line, after) = cut(room, SLOP, rest);
        out.push_str(&margin(indent));
        out.push_str(&line.replace('\n', &margin(indent)));
        rest = after;
    }
    out
}

/// The first line of `text` with at most `room` bytes, and the rest.
fn cut(room: usize, slop: usize, text: &str) -> (&str, &str) {
    if room + slop > text.len() {
        return (text, "");
    }
    let mut end = room;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = &text[..end];
    match head.rfind([' ', '\t', '\n']) {
        None | Some(0) => (text, ""),
        Some(blank) => match head.rfind('\n') {
            Some(line) if line > 0 && line < blank => (&text[..line], &text[line + 1..]),
            _ => (&text[..blank], &text[blank + 1..]),
        },
    }
}
