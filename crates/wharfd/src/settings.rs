//! What the administrator decided: flags and `daemon.json` read into one set of values, then into typed settings.
//!
//! Both sources become the same thing, key → values, so that a key means the same wherever it stands. A key in both is an error, as with dockerd.

use crate::flags::{self, FLAGS, Flag, Form, OBJECT_KEYS, Use};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The command line is wrong: shown with a hint at `--help`.
    #[error("{0}")]
    Usage(String),
    /// The configuration file or a value is wrong.
    #[error("{0}")]
    Invalid(String),
}

type Result<T> = std::result::Result<T, SettingsError>;

/// Values by key of `daemon.json` (or long name of a flag that has none).
#[derive(Debug, Default, Clone)]
pub(crate) struct Values {
    map: BTreeMap<&'static str, Vec<String>>,
    /// What was accepted without effect, as sentences for the log.
    pub(crate) warnings: Vec<String>,
}

/// The key under which a flag's values are kept.
fn key_of(flag: &Flag) -> &'static str {
    if flag.key.is_empty() { flag.long } else { flag.key }
}

impl Values {
    /// Reads a command line (without the program's name).
    pub(crate) fn from_args(args: impl Iterator<Item = String>) -> Result<Self> {
        let mut values = Self::default();
        let mut args = args;
        while let Some(arg) = args.next() {
            let (flag, shown, inline) = named(&arg)?;
            let value = match (flag.form, inline) {
                (_, Some(value)) => value,
                (Form::Switch, None) => "true".to_owned(),
                (_, None) => {
                    args.next().ok_or_else(|| SettingsError::Usage(format!("flag needs an argument: {shown}")))?
                }
            };
            values.put(flag, value)?;
        }
        Ok(values)
    }

    /// Reads `daemon.json`.
    pub(crate) fn from_json(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let document: Json =
            serde_json::from_str(text).map_err(|e| SettingsError::Invalid(format!("invalid JSON: {e}")))?;
        let Json::Object(members) = document else {
            return Err(SettingsError::Invalid("invalid JSON: an object is expected".into()));
        };
        let mut values = Self::default();
        let mut unknown = Vec::new();
        for (key, value) in members {
            if key == "proxies" {
                values.put_proxies(&value)?;
                continue;
            }
            if let Some((name, Use::Harmless(why))) = OBJECT_KEYS.iter().find(|(name, _)| *name == key) {
                values.warnings.push(format!("`{name}` has no effect: {why}"));
                continue;
            }
            match flags::by_key(&key) {
                Some(flag) => values.put_json(flag, &value)?,
                None => unknown.push(key),
            }
        }
        if unknown.is_empty() {
            return Ok(values);
        }
        Err(SettingsError::Invalid(format!(
            "the following directives don't match any configuration option: {}",
            unknown.join(", ")
        )))
    }

    /// `"proxies": {"http-proxy": …}`: the flags, in an object.
    fn put_proxies(&mut self, value: &Json) -> Result<()> {
        let members = value.as_object().ok_or_else(|| wrong_type("proxies"))?;
        for (key, value) in members {
            let flag = flags::by_key(key).filter(|flag| flag.key.ends_with("-proxy"));
            let flag = flag.ok_or_else(|| SettingsError::Invalid(format!("proxies: unknown key `{key}`")))?;
            self.put_json(flag, value)?;
        }
        Ok(())
    }

    fn put_json(&mut self, flag: &'static Flag, value: &Json) -> Result<()> {
        match value {
            Json::Array(items) => {
                // default-address-pools: [{"base": "10.10.0.0/16", "size": 24}]
                let fields = |o: &serde_json::Map<String, Json>| -> Option<String> {
                    let pairs = o.iter().map(|(k, v)| Some(format!("{k}={}", plain(v)?)));
                    Some(pairs.collect::<Option<Vec<_>>>()?.join(","))
                };
                let text = |item: &Json| item.as_object().map_or_else(|| plain(item), fields);
                let texts: Option<Vec<String>> = items.iter().map(text).collect();
                let texts = texts.ok_or_else(|| wrong_type(flag.key))?;
                texts.into_iter().try_for_each(|text| self.put(flag, text))
            }
            Json::Object(members) if flag.form == Form::List => members.iter().try_for_each(|(name, value)| {
                let text = match value {
                    // runtimes: {"crun": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]}}
                    Json::Object(_) if flag.key == "runtimes" => value.to_string(),
                    // default-network-opts: {"bridge": {"option": "value"}}
                    Json::Object(options) if flag.key == "default-network-opts" => {
                        return options.iter().try_for_each(|(option, value)| {
                            let value = plain(value).ok_or_else(|| wrong_type(flag.key))?;
                            self.put(flag, format!("{name}={option}={value}"))
                        });
                    }
                    // default-ulimits: {"nofile": {"Name": "nofile", "Hard": 64, "Soft": 64}}
                    Json::Object(limit) => {
                        let part = |name: &str| limit.get(name).and_then(Json::as_i64);
                        let (Some(soft), Some(hard)) = (part("Soft"), part("Hard")) else {
                            return Err(wrong_type(flag.key));
                        };
                        format!("{soft}:{hard}")
                    }
                    value => plain(value).ok_or_else(|| wrong_type(flag.key))?,
                };
                self.put(flag, format!("{name}={text}"))
            }),
            value => self.put(flag, plain(value).ok_or_else(|| wrong_type(flag.key))?),
        }
    }

    fn put(&mut self, flag: &'static Flag, value: String) -> Result<()> {
        let shown = shown(flag);
        if flag.form == Form::Switch && parse_bool(&value).is_none() {
            return Err(SettingsError::Usage(format!(
                "invalid argument \"{value}\" for \"{shown}\" flag: strconv.ParseBool: parsing \"{value}\": invalid syntax"
            )));
        }
        // said as it is anyway: nothing to warn of
        let idle = flag.form == Form::Switch && parse_bool(&value) == Some(false);
        match flag.meaning {
            Use::Refused(why) if !idle => return Err(SettingsError::Invalid(format!("--{}: {why}", flag.long))),
            Use::Harmless(why) if !idle => self.warnings.push(format!("--{} has no effect: {why}", flag.long)),
            _ => {}
        }
        let values = self.map.entry(key_of(flag)).or_default();
        if flag.form != Form::List {
            values.clear();
        }
        values.push(value);
        Ok(())
    }

    /// Adds the file's values; a key in both is an error.
    pub(crate) fn merge_file(&mut self, file: Self) -> Result<()> {
        let both: Vec<String> = file
            .map
            .iter()
            .filter_map(|(key, in_file)| {
                let in_flags = self.map.get(key)?;
                Some(format!("{key}: (from flag: {}, from file: {})", display(in_flags), display(in_file)))
            })
            .collect();
        if !both.is_empty() {
            return Err(SettingsError::Invalid(format!(
                "the following directives are specified both as a flag and in the configuration file: {}",
                both.join(", ")
            )));
        }
        self.map.extend(file.map);
        self.warnings.extend(file.warnings);
        Ok(())
    }

    /// Keys whose values differ, without those in `known`.
    pub(crate) fn differing(&self, other: &Self, known: &[&str]) -> Vec<&'static str> {
        let keys: std::collections::BTreeSet<_> = self.map.keys().chain(other.map.keys()).copied().collect();
        keys.into_iter().filter(|key| !known.contains(key) && self.map.get(key) != other.map.get(key)).collect()
    }

    /// The last value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.map.get(key).and_then(|v| v.last()).map(String::as_str)
    }

    /// Every value of a key.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        self.map.get(key).cloned().unwrap_or_default()
    }

    /// A switch, or its default.
    pub(crate) fn switch(&self, key: &str, default: bool) -> bool {
        self.value(key).and_then(parse_bool).unwrap_or(default)
    }

    /// A path.
    pub(crate) fn path(&self, key: &str, default: &str) -> PathBuf {
        Path::new(self.value(key).unwrap_or(default)).to_owned()
    }

    /// A number.
    pub(crate) fn number<N: std::str::FromStr>(&self, key: &'static str) -> Result<Option<N>> {
        let Some(text) = self.value(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| SettingsError::Invalid(format!("invalid value \"{text}\" for \"{key}\"")))
    }

    /// `key=value` pairs.
    pub(crate) fn pairs(&self, key: &'static str) -> Result<BTreeMap<String, String>> {
        let pair = |text: String| {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| SettingsError::Invalid(format!("invalid value \"{text}\" for \"{key}\"")))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        self.list(key).into_iter().map(pair).collect()
    }
}

/// The flag that an argument names, how it is shown, and a value written into the same argument.
fn named(arg: &str) -> Result<(&'static Flag, String, Option<String>)> {
    if let Some(long) = arg.strip_prefix("--").filter(|l| !l.is_empty()) {
        let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
        let flag = flags::by_name(name).ok_or_else(|| SettingsError::Usage(format!("unknown flag: --{name}")))?;
        return Ok((flag, format!("--{name}"), value));
    }
    let Some(short) = arg.strip_prefix('-').and_then(|s| s.chars().next()) else {
        return Err(SettingsError::Usage(format!("\"{arg}\": the daemon accepts no arguments")));
    };
    let unknown = || SettingsError::Usage(format!("unknown shorthand flag: '{short}' in {arg}"));
    let flag = flags::by_short(short).ok_or_else(unknown)?;
    let rest = &arg[1 + short.len_utf8()..];
    let value = (!rest.is_empty()).then(|| rest.strip_prefix('=').unwrap_or(rest).to_owned());
    Ok((flag, format!("'{short}' in {arg}"), value))
}

fn shown(flag: &Flag) -> String {
    flag.short.map_or_else(|| format!("--{}", flag.long), |short| format!("-{short}, --{}", flag.long))
}

/// Go's `strconv.ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn plain(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(on) => Some(on.to_string()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn wrong_type(key: &str) -> SettingsError {
    SettingsError::Invalid(format!("invalid JSON: wrong type for `{key}`"))
}

fn display(values: &[String]) -> String {
    if let [one] = values { one.clone() } else { format!("[{}]", values.join(" ")) }
}

/// Help, in dockerd's layout.
pub(crate) fn help(program: &str) -> String {
    let mut text =
        format!("\nUsage:\t{program} [OPTIONS]\n\nA container engine that needs nothing but the kernel.\n\nOptions:\n");
    for flag in FLAGS.iter().filter(|f| !matches!(f.meaning, Use::Refused(_))) {
        let short = flag.short.map_or_else(|| "    ".to_owned(), |s| format!("-{s}, "));
        let name = format!("  {short}--{} {}", flag.long, flag.kind);
        text.push_str(&format!("{:<40}{}\n", name.trim_end(), flag.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Result<Values> {
        Values::from_args(line.split_whitespace().map(str::to_owned))
    }

    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: Result<T>, sentence: &str) {
        assert_eq!(result.expect_err("refused").to_string(), sentence);
    }

    #[test]
    fn flags_are_written_in_every_form() {
        let values =
            args("-H unix:///a -Htcp://b --host=fd:// -D --icc=false -s=vfs --data-root /x --data-root /y").unwrap();
        assert_eq!(values.list("hosts"), ["unix:///a", "tcp://b", "fd://"]);
        assert!(values.switch("debug", false));
        assert_eq!((values.value("storage-driver"), values.value("data-root")), (Some("vfs"), Some("/y")));
    }

    #[test]
    fn bad_command_lines_say_what_dockerd_says() {
        refused(args("--nosuch"), "unknown flag: --nosuch");
        refused(args("-x"), "unknown shorthand flag: 'x' in -x");
        refused(args("--host"), "flag needs an argument: --host");
        refused(
            args("--debug=maybe"),
            "invalid argument \"maybe\" for \"-D, --debug\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        );
        assert!(args("extra").is_err());
    }

    #[test]
    fn refused_flags_give_their_reason_and_harmless_ones_a_warning() {
        refused(args("--userns-remap default"), "--userns-remap: daemon-wide user namespaces are not supported yet");
        assert_eq!(
            args("--live-restore").unwrap().warnings,
            ["--live-restore has no effect: containers always survive the daemon"]
        );
        assert!(args("--live-restore=false --selinux-enabled=false").unwrap().warnings.is_empty());
    }

    #[test]
    fn r_arch_04_the_file_has_dockerds_keys() {
        let file = r#"{"debug": true, "hosts": ["unix:///a"], "log-opts": {"max-size": "1m"}, "mtu": 1400,
                       "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 32000}}}"#;
        let values = Values::from_json(file).unwrap();
        assert_eq!(values.list("log-opts"), ["max-size=1m"]);
        assert_eq!(values.number::<u32>("mtu").unwrap(), Some(1400));
        assert_eq!(values.list("default-ulimits"), ["nofile=32000:64000"]);
        refused(
            Values::from_json(r#"{"foo": 1, "bar": 2}"#),
            "the following directives don't match any configuration option: foo, bar",
        );
        assert!(Values::from_json("{bad").is_err());
        assert!(Values::from_json("[]").is_err());
        assert!(Values::from_json(r#"{"hosts": [[]]}"#).is_err());
    }

    #[test]
    fn r_arch_04_a_key_in_both_places_is_a_conflict() {
        let mut values = args("--debug").unwrap();
        refused(
            values.merge_file(Values::from_json(r#"{"debug": true}"#).unwrap()),
            "the following directives are specified both as a flag and in the configuration file: debug: (from flag: true, from file: true)",
        );
    }
}
