//! Completion of command lines: the scripts for shells, and the hidden commands by which those (and the scripts of docker's own
//! packages) ask.
//!
//! ```text
//!   shell ─► script (`completion bash|zsh|fish|powershell`) ─► `wharf __complete WORD… LAST`
//!                                                              walk the grammar ─► offer ─► engine, files, fixed words
//!   stdout:  candidate[TAB description] per line, then `:` and a number of flags ([`After`])
//! ```

mod found;
mod offer;
mod walk;

use crate::exit::{Exit, Outcome};
use crate::output;
use crate::session::Session;
use crate::table::Flag;

use self::offer::Offer;
use self::walk::Place;

/// A command as scripts call it, with and without descriptions.
const ASK: [&str; 2] = ["__complete", "__completeNoDesc"];

/// What the shell does after the candidates: cobra's numbers, which its scripts know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Completes files when there are no candidates.
    Files,
    /// Appends no blank.
    Open,
    /// Completes nothing else.
    Nothing,
    /// Completes folders.
    Folders,
}

impl After {
    fn directive(self) -> (u8, &'static str) {
        match self {
            Self::Files => (0, "ShellCompDirectiveDefault"),
            Self::Open => (2, "ShellCompDirectiveNoSpace"),
            Self::Nothing => (4, "ShellCompDirectiveNoFileComp"),
            Self::Folders => (16, "ShellCompDirectiveFilterDirs"),
        }
    }
}

/// One word that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    word: String,
    about: String,
}

impl Candidate {
    fn new(word: impl Into<String>, about: &str) -> Self {
        Self { word: word.into(), about: about.lines().next().unwrap_or_default().to_owned() }
    }
}

/// Whether a script asks; then with descriptions or without.
pub(crate) fn asked(word: &str) -> Option<bool> {
    ASK.iter().position(|ask| *ask == word).map(|place| place == 0)
}

/// Answers a script: `words` are those after the program's name, the last one being typed.
pub(crate) fn answer(program: &str, words: &[String], described: bool) -> Outcome {
    let Some((last, before)) = words.split_last() else {
        return Err(Exit::error("requires at least 1 argument: the word to complete, or an empty one"));
    };
    let (candidates, after) = match walk::walk(program, before, last) {
        Some((session, place)) => candidates(&session, place, last),
        None => (Vec::new(), After::Files),
    };
    for Candidate { word, about } in candidates {
        // a name with a line break cannot be said, and nothing that is completed has one
        if word.contains(['\n', '\t']) {
            continue;
        }
        output::line(&if described && !about.is_empty() { format!("{word}\t{about}") } else { word });
    }
    let (number, name) = after.directive();
    output::line(&format!(":{number}"));
    output::err(&format!("Completion ended with directive: {name}\n"));
    Ok(())
}

fn candidates(session: &Session, place: Place, last: &str) -> (Vec<Candidate>, After) {
    let (all, after, typed) = match place {
        Place::Commands(command) => {
            let shown = command.commands.iter().filter(|inner| walk::is_shown(session, inner));
            let mut all: Vec<_> = shown.map(|inner| Candidate::new(inner.name, crate::help::brief(inner))).collect();
            all.sort_by(|a, b| a.word.cmp(&b.word));
            (all, After::Nothing, last)
        }
        Place::Flags(flags) => {
            let all = flags.iter().flat_map(|flag| names(flag, last)).collect();
            (all, After::Nothing, last)
        }
        Place::Offered { offer, given, typed } => {
            let (mut all, after) = offered(session, &offer, &typed);
            all.retain(|candidate| !given.contains(&candidate.word));
            all.retain(|candidate| candidate.word.starts_with(&typed));
            return (all, after);
        }
    };
    (all.into_iter().filter(|candidate: &Candidate| candidate.word.starts_with(typed)).collect(), after)
}

/// A flag's long name, and its short one when no more than a dash is typed.
fn names(flag: &Flag, typed: &str) -> Vec<Candidate> {
    let short = flag.short.filter(|_| !typed.starts_with("--")).map(|short| format!("-{short}"));
    std::iter::once(format!("--{}", flag.long)).chain(short).map(|word| Candidate::new(word, flag.usage)).collect()
}

fn offered(session: &Session, offer: &Offer, typed: &str) -> (Vec<Candidate>, After) {
    let words = |words: &[&str]| words.iter().map(|word| Candidate::new(*word, "")).collect();
    match offer {
        Offer::Nothing => (Vec::new(), After::Nothing),
        Offer::Files => (Vec::new(), After::Files),
        Offer::Folders => (Vec::new(), After::Folders),
        Offer::Words(all) => (words(all), After::Nothing),
        Offer::Begun(all) => (words(all), After::Open),
        Offer::Topics(command) => candidates(session, Place::Commands(command), typed),
        Offer::Found(kinds) => (kinds.iter().flat_map(|kind| found::list(session, *kind)).collect(), After::Nothing),
        Offer::Prefixed(kind, suffix) => {
            let all = found::list(session, *kind).into_iter().map(|c| Candidate { word: c.word + suffix, ..c });
            (all.collect(), After::Open)
        }
        Offer::OneOf(plain, prefix, kind) => {
            let mut all: Vec<_> = words(plain);
            if typed.starts_with(prefix) {
                let join = |c: Candidate| Candidate { word: format!("{prefix}{}", c.word), ..c };
                all.extend(found::list(session, *kind).into_iter().map(join));
                return (all, After::Nothing);
            }
            all.push(Candidate::new(*prefix, ""));
            // a lone prefix is not the end of the word
            let open = !typed.is_empty() && prefix.starts_with(typed);
            (all, if open { After::Open } else { After::Nothing })
        }
        Offer::Filter(keys) => filter(session, keys, typed),
    }
}

/// `--filter`: a key with `=`, then its values.
fn filter(session: &Session, keys: &[offer::Key], typed: &str) -> (Vec<Candidate>, After) {
    let Some((name, value)) = typed.split_once('=') else {
        return (keys.iter().map(|key| Candidate::new(format!("{}=", key.name), "")).collect(), After::Open);
    };
    let Some(key) = keys.iter().find(|key| key.name == name) else { return (Vec::new(), After::Nothing) };
    let (values, after) = offered(session, &key.values, value);
    let join = |c: Candidate| Candidate { word: format!("{name}={}", c.word), ..c };
    (values.into_iter().map(join).collect(), after)
}

/// `completion SHELL`: the script.
pub(crate) fn script(program: &str, shell: &str, described: bool) -> String {
    let text = match shell {
        "bash" => include_str!("bash.sh"),
        "zsh" => include_str!("zsh.sh"),
        "fish" => include_str!("fish.fish"),
        _ => include_str!("powershell.ps1"),
    };
    let ask = if described { ASK[0] } else { ASK[1] };
    text.replace("@program@", program).replace("@ask@", ask)
}

#[cfg(test)]
mod tests;
