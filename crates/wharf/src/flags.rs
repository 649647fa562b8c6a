//! Command-line flags the way pflag reads them, with its sentences.

use crate::go;
use crate::options;
use crate::table::{Check, Command, Flag, Kind};

/// What was given on the command line, in order.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    given: Vec<(&'static Flag, String)>,
}

/// A command line taken apart.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) flags: Flags,
    pub(crate) args: Vec<String>,
    /// `--help`, or the deprecated `-h`.
    pub(crate) help: Option<Help>,
    /// `Flag --x has been deprecated, …`
    pub(crate) notes: Vec<String>,
}

/// How help was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Help {
    Long,
    /// `-h`, where that is not another flag.
    Short,
}

/// Takes `words` apart for `command`.
///
/// # Errors
/// pflag's sentence.
pub(crate) fn parse(command: &'static Command, words: &[String]) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            parsed.args.extend(words.cloned());
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            parsed.long(command, long, &mut words)?;
        } else if word.len() > 1 && word.starts_with('-') {
            parsed.short(command, &word[1..], &mut words)?;
        } else {
            parsed.args.push(word.clone());
            if !command.interspersed {
                parsed.args.extend(words.cloned());
                break;
            }
        }
        if parsed.help.is_some() {
            break;
        }
    }
    Ok(parsed)
}

impl Parsed {
    fn long(
        &mut self,
        command: &'static Command,
        text: &str,
        words: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(format!("bad flag syntax: --{text}"));
        }
        let Some(flag) = command.all_flags().find(|flag| flag.long == name) else {
            if name == "help" {
                self.help = Some(Help::Long);
                return Ok(());
            }
            return Err(format!("unknown flag: --{name}"));
        };
        let value = match value {
            Some(value) => value.to_owned(),
            None if flag.kind == Kind::Bool => "true".to_owned(),
            None => match words.next() {
                Some(next) => next.clone(),
                None => return Err(format!("flag needs an argument: --{name}")),
            },
        };
        self.set(flag, value)
    }

    fn short(
        &mut self,
        command: &'static Command,
        text: &str,
        words: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), String> {
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let group = rest;
            rest = &rest[letter.len_utf8()..];
            let Some(flag) = command.all_flags().find(|flag| flag.short == Some(letter)) else {
                if letter == 'h' {
                    self.help = Some(Help::Short);
                    return Ok(());
                }
                return Err(format!("unknown shorthand flag: {} in -{group}", letter_quote(letter)));
            };
            if let Some(value) = rest.strip_prefix('=') {
                return self.set(flag, value.to_owned());
            }
            if flag.kind == Kind::Bool {
                self.set(flag, "true".into())?;
                continue;
            }
            if !rest.is_empty() {
                return self.set(flag, rest.to_owned());
            }
            return match words.next() {
                Some(next) => self.set(flag, next.clone()),
                None => Err(format!("flag needs an argument: {} in -{group}", letter_quote(letter))),
            };
        }
        Ok(())
    }

    fn set(&mut self, flag: &'static Flag, value: String) -> Result<(), String> {
        check_named(flag, &value).map_err(|why| {
            let name = flag.short.map_or(format!("--{}", flag.long), |short| format!("-{short}, --{}", flag.long));
            format!("invalid argument {} for {} flag: {why}", go::quote(&value), go::quote(&name))
        })?;
        if let Some(instead) = flag.deprecated {
            self.notes.push(format!("Flag --{} has been deprecated, {instead}", flag.long));
        }
        self.flags.given.push((flag, value));
        Ok(())
    }
}

fn letter_quote(letter: char) -> String {
    format!("'{letter}'")
}

/// Checks whose rule depends on the flag itself, then those of its kind.
fn check_named(flag: &Flag, value: &str) -> Result<(), String> {
    match flag.kind {
        Kind::Map if flag.long == "sysctl" => options::check_sysctl(value),
        Kind::List(Check::Rate) => options::device::parse_rate(value, flag.long.ends_with("bps")).map(drop),
        kind => check(kind, value),
    }
}

fn check(kind: Kind, value: &str) -> Result<(), String> {
    match kind {
        Kind::Bool => go::parse_bool(value).map(drop),
        Kind::Int => go::parse_int(value).map(drop),
        Kind::Uint(bits) => go::parse_uint(value, bits).map(drop),
        Kind::Float => match value.parse::<f64>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("strconv.ParseFloat: parsing {}: invalid syntax", go::quote(value))),
        },
        Kind::Duration => go::parse_duration(value).map(drop),
        Kind::Bytes => options::units::parse_bytes(value).map(drop),
        Kind::Decimal => options::units::parse_cpus(value).map(drop),
        Kind::Filter => options::parse_filter(value).map(drop),
        Kind::Mount => options::mount::parse(value).map(drop),
        Kind::Network => options::network::parse(value).map(drop),
        Kind::Ulimit => options::parse_ulimit(value).map(drop),
        Kind::Strings => go::csv(value).map(drop),
        Kind::Other("gpu-request") => options::device::parse_gpus(value).map(drop),
        Kind::List(check) => match check {
            Check::Nothing | Check::Host | Check::Rate => Ok(()),
            Check::AddHost => options::parse_extra_host(value).map(drop),
            Check::Attach => options::parse_attach(value).map(drop),
            Check::DeviceRule => options::device::check_rule(value),
            Check::DnsSearch => options::parse_dns_search(value).map(drop),
            Check::Env => options::parse_env(value).map(drop),
            Check::Ip => options::parse_ip(value).map(drop),
            Check::Label => options::check_label(value),
            Check::Link => options::check_link(value),
            Check::Weight => options::device::parse_weight(value).map(drop),
        },
        Kind::Text | Kind::Map | Kind::Other(_) => Ok(()),
    }
}

impl Flags {
    /// Whether the flag was given at all.
    pub(crate) fn given(&self, long: &str) -> bool {
        self.given.iter().any(|(flag, _)| flag.long == long)
    }

    /// The last value given.
    pub(crate) fn text(&self, long: &str) -> Option<&str> {
        self.given.iter().rev().find(|(flag, _)| flag.long == long).map(|(_, value)| value.as_str())
    }

    /// The last value given, unless it is empty.
    pub(crate) fn filled(&self, long: &str) -> Option<&str> {
        self.text(long).filter(|text| !text.is_empty())
    }

    /// All values given.
    pub(crate) fn all(&self, long: &str) -> Vec<&str> {
        self.given.iter().filter(|(flag, _)| flag.long == long).map(|(_, value)| value.as_str()).collect()
    }

    /// All values given under any of these names, in the order of the command line.
    pub(crate) fn all_of(&self, names: &[&str]) -> Vec<&str> {
        self.given.iter().filter(|(flag, _)| names.contains(&flag.long)).map(|(_, value)| value.as_str()).collect()
    }

    /// All values of a `strings` flag, each a line of CSV. The first one replaces the default, as with pflag.
    pub(crate) fn strings(&self, long: &str) -> Vec<String> {
        self.all(long).into_iter().flat_map(|value| go::csv(value).unwrap_or_default()).collect()
    }

    /// A boolean that is off by default.
    pub(crate) fn on(&self, long: &str) -> bool {
        self.bool_or(long, false)
    }

    /// A boolean with its default.
    pub(crate) fn bool_or(&self, long: &str, default: bool) -> bool {
        self.text(long).and_then(|text| go::parse_bool(text).ok()).unwrap_or(default)
    }

    /// A number.
    pub(crate) fn int(&self, long: &str) -> Option<i64> {
        self.text(long).and_then(|text| go::parse_int(text).ok())
    }

    /// A size in bytes.
    pub(crate) fn bytes(&self, long: &str) -> Option<i64> {
        self.text(long).and_then(|text| options::units::parse_bytes(text).ok())
    }

    /// A duration in nanoseconds.
    pub(crate) fn duration(&self, long: &str) -> Option<i64> {
        self.text(long).and_then(|text| go::parse_duration(text).ok())
    }
}
