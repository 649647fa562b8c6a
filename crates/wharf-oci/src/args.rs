//! Command-line grammar: options as Go programs take them (`--name value`, `--name=value`, one dash or two), options end at
//! the first word that is none.

use crate::error::Error;

/// An option that a command knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// Long name without dashes.
    pub(crate) name: &'static str,
    /// One-letter form.
    pub(crate) short: Option<char>,
    /// Whether a value follows.
    pub(crate) takes_value: bool,
    /// One line for `--help`.
    pub(crate) help: &'static str,
}

/// An option with a value.
pub(crate) const fn value(name: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, takes_value: true, help }
}

/// An option without.
pub(crate) const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, takes_value: false, help }
}

impl Flag {
    /// The same with a one-letter form.
    pub(crate) const fn short(self, letter: char) -> Self {
        Self { short: Some(letter), ..self }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    values: Vec<(&'static str, String)>,
    /// Everything from the first word that is no option.
    pub(crate) rest: Vec<String>,
}

impl Parsed {
    /// The last value of an option.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|entry| entry.0 == name).map(|entry| entry.1.as_str())
    }

    /// All values of an option.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |entry| entry.0 == name).map(|entry| entry.1.as_str())
    }

    /// Whether a switch is on.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value != "false")
    }

    /// The value of an option as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, Error> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Error::Usage(format!("invalid value {text:?} for flag -{name}: parse error")))
        };
        self.value(name).map(parse).transpose()
    }
}

/// Reads options until the first word that is none.
pub(crate) fn parse(flags: &[Flag], words: &[String]) -> Result<Parsed, Error> {
    let mut parsed = Parsed::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        let Some(body) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|body| !body.is_empty())
        else {
            parsed.rest.push(word.clone());
            break;
        };
        let (name, inline) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let flag =
            flags.iter().find(|flag| flag.name == name || flag.short.is_some_and(|short| name == short.to_string()));
        let flag = flag.ok_or_else(|| Error::Usage(format!("flag provided but not defined: -{name}")))?;
        let value = match (flag.takes_value, inline) {
            (_, Some(value)) => value,
            (false, None) => "true".to_owned(),
            (true, None) => {
                words.next().cloned().ok_or_else(|| Error::Usage(format!("flag needs an argument: -{name}")))?
            }
        };
        parsed.values.push((flag.name, value));
    }
    parsed.rest.extend(words.cloned());
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [Flag; 3] =
        [value("bundle", "").short('b'), switch("detach", "").short('d'), value("env", "").short('e')];

    fn check(words: &str, expect: &str) {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let got = match parse(&FLAGS, &words) {
            Ok(parsed) => format!("{:?} {:?}", parsed.values, parsed.rest),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn options_as_go_programs_take_them() {
        check("--bundle /b -d c1 -x", r#"[("bundle", "/b"), ("detach", "true")] ["c1", "-x"]"#);
        check("-bundle=/b --detach=false -- -c", r#"[("bundle", "/b"), ("detach", "false")] ["-c"]"#);
        check("-e A=1 -e B=2 - x", r#"[("env", "A=1"), ("env", "B=2")] ["-", "x"]"#);
        check("--nope", "flag provided but not defined: -nope");
        check("--bundle", "flag needs an argument: -bundle");
    }
}
