//! Where in the grammar the word stands that is being typed.

use crate::flags;
use crate::session::Session;
use crate::table::{Action, Command, Flag, Kind, Needs, ROOT};

use super::offer::{self, Offer};

/// What may stand there.
pub(super) enum Place {
    /// The name of a command below this one.
    Commands(&'static Command),
    /// One of these flags.
    Flags(Vec<&'static Flag>),
    /// An argument or a flag's value.
    Offered {
        offer: Offer,
        /// Words that stand there already and make no sense twice.
        given: Vec<String>,
        /// What is typed of it: of `--flag=value` the value alone.
        typed: String,
    },
}

/// The words of one command, as far as they go.
struct Words<'a> {
    command: &'static Command,
    /// Everything before the first argument, or the whole where flags may follow it.
    flags: Vec<String>,
    args: Vec<&'a String>,
    /// The flag whose value is next.
    open: Option<&'static Flag>,
    /// After `--`, or after the first argument of a command that takes no flags there.
    no_flags: bool,
}

/// Takes the words apart; `None` when they make no sense.
pub(super) fn walk(program: &str, before: &[String], last: &str) -> Option<(Session, Place)> {
    let mut path: Vec<&'static str> = Vec::new();
    let mut words = read(&ROOT, before)?;
    let globals = flags::parse(&ROOT, &words.flags).ok()?.flags;
    while let Some(inner) = words.args.first().and_then(|word| words.command.find(word)) {
        path.push(inner.name);
        let at = before.len() - words.args.len() + 1;
        // flags end with the first argument here, so the arguments are the rest of the words
        words = read(inner, &before[at..])?;
        if inner.commands.is_empty() {
            break;
        }
    }
    let session = Session::new(program.to_owned(), globals);
    let place = place(&session, &path, &words, last)?;
    Some((session, place))
}

fn place(session: &Session, path: &[&'static str], words: &Words<'_>, last: &str) -> Option<Place> {
    let command = words.command;
    if let Some(flag) = words.open {
        return Some(value(path, flag, last));
    }
    if !words.no_flags && last.starts_with('-') {
        if let Some((name, typed)) = last.strip_prefix("--").and_then(|text| text.split_once('=')) {
            let flag = command.all_flags().find(|flag| flag.long == name)?;
            return Some(value(path, flag, typed));
        }
        let given = flags::parse(command, &words.flags).ok();
        let once = |flag: &&Flag| {
            let repeatable = matches!(flag.kind, Kind::List(_) | Kind::Strings | Kind::Map | Kind::Filter)
                || matches!(flag.kind, Kind::Mount | Kind::Network | Kind::Ulimit);
            repeatable || given.as_ref().is_none_or(|given| !given.flags.given(flag.long))
        };
        let mut flags: Vec<_> =
            command.all_flags().filter(|f| !f.hidden && fits(session, f.needs)).filter(once).collect();
        flags.sort_by_key(|flag| flag.long);
        return Some(Place::Flags(flags));
    }
    if command.commands.is_empty() {
        let given: Vec<String> = words.args.iter().map(|word| (*word).clone()).collect();
        let offer = offer::argument(command.action, &given);
        return Some(Place::Offered { offer, given, typed: last.to_owned() });
    }
    match words.args.first() {
        None => Some(Place::Commands(command)),
        // a topic is a path of names
        Some(word) if path.is_empty() && *word == "help" => {
            let mut topic = &ROOT;
            for name in &words.args[1..] {
                topic = topic.find(name)?;
            }
            Some(Place::Offered { offer: Offer::Topics(topic), given: Vec::new(), typed: last.to_owned() })
        }
        Some(_) => None,
    }
}

fn value(path: &[&'static str], flag: &'static Flag, typed: &str) -> Place {
    Place::Offered { offer: offer::value(path, flag), given: Vec::new(), typed: typed.to_owned() }
}

/// Whether a command is to be seen.
pub(super) fn is_shown(session: &Session, command: &Command) -> bool {
    !command.hidden && fits(session, command.needs)
}

/// What depends on the engine is shown: asking it for each key that is pressed would be slow.
fn fits(session: &Session, needs: Needs) -> bool {
    match needs {
        Needs::Wharf => session.program != "docker",
        Needs::Windows => false,
        Needs::Nothing | Needs::Experimental | Needs::SwarmActive | Needs::SwarmManager => true,
    }
}

/// Separates flags from arguments as [`flags::parse`] does, but is content with a flag whose value is still to come.
fn read<'a>(command: &'static Command, words: &'a [String]) -> Option<Words<'a>> {
    let mut read = Words { command, flags: Vec::new(), args: Vec::new(), open: None, no_flags: false };
    let interspersed = command.interspersed && command.commands.is_empty() && command.action != Action::Group;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            read.no_flags = true;
            read.args.extend(rest);
            break;
        }
        if word.len() > 1 && word.starts_with('-') {
            let Some(flag) = takes_next(command, word)? else {
                read.flags.push(word.clone());
                continue;
            };
            match rest.next() {
                Some(value) => read.flags.extend([word.clone(), value.clone()]),
                None => read.open = Some(flag),
            }
            continue;
        }
        read.args.push(word);
        if !interspersed {
            read.no_flags = true;
            read.args.extend(rest);
            break;
        }
    }
    Some(read)
}

/// The flag whose value is the word after this one; outside, `None` for a flag that does not exist.
fn takes_next(command: &'static Command, word: &str) -> Option<Option<&'static Flag>> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        if name == "help" {
            return Some(None);
        }
        let flag = command.all_flags().find(|flag| flag.long == name)?;
        return Some(Some(flag).filter(|flag| value.is_none() && flag.kind != Kind::Bool));
    }
    let mut letters = word[1..].chars();
    while let Some(letter) = letters.next() {
        let Some(flag) = command.all_flags().find(|flag| flag.short == Some(letter)) else {
            return (letter == 'h').then_some(None);
        };
        if flag.kind != Kind::Bool {
            return Some(Some(flag).filter(|_| letters.as_str().is_empty()));
        }
        if letters.as_str().starts_with('=') {
            break;
        }
    }
    Some(None)
}
