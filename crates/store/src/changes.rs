//! Dockerfile instructions that change a configuration (`commit --change`, `import --change`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wharf_spec::image::RunConfig;

use crate::{Error, Result};

/// Applies instructions in order.
///
/// # Errors
/// [`Error::Invalid`] with Docker's sentence for what is no such instruction.
pub(crate) fn apply(config: &mut RunConfig, changes: &[String]) -> Result<()> {
    let mut command_set = false;
    let lines = changes.iter().flat_map(|change| change.lines());
    for line in lines.map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        apply_one(config, &word.to_ascii_uppercase(), rest.trim(), &mut command_set)?;
    }
    Ok(())
}

fn apply_one(config: &mut RunConfig, word: &str, rest: &str, command_set: &mut bool) -> Result<()> {
    let needs = |n: &str| Error::Invalid(format!("{word} requires {n}"));
    if rest.is_empty() && !matches!(word, "CMD" | "ENTRYPOINT") {
        let known = ["USER", "WORKDIR", "ENV", "EXPOSE", "LABEL", "VOLUME", "ONBUILD", "HEALTHCHECK", "STOPSIGNAL"];
        if known.contains(&word) {
            return Err(needs("at least one argument"));
        }
    }
    match word {
        "CMD" => {
            config.cmd = Some(command(rest));
            *command_set = true;
        }
        "ENTRYPOINT" => {
            config.entrypoint = Some(command(rest));
            // the command of the base image belongs to its own entry point
            if !*command_set {
                config.cmd = None;
            }
        }
        "ENV" => {
            let env = config.env.get_or_insert_default();
            for (key, value) in pairs(word, rest)? {
                env.retain(|old| old.split('=').next() != Some(key.as_str()));
                env.push(format!("{key}={value}"));
            }
        }
        "LABEL" => config.labels.get_or_insert_default().extend(pairs(word, rest)?),
        "EXPOSE" => {
            let ports = config.exposed_ports.get_or_insert_default();
            for port in words(rest) {
                ports.extend(exposed(&port)?);
            }
        }
        "VOLUME" => {
            let paths = json_list(rest).unwrap_or_else(|| words(rest));
            if paths.iter().any(|p| p.trim().is_empty()) {
                return Err(Error::Invalid("VOLUME specified can not be an empty string".into()));
            }
            config.volumes.get_or_insert_default().extend(paths.into_iter().map(|p| (p, json!({}))));
        }
        "USER" => config.user = single(word, rest)?,
        "STOPSIGNAL" => config.stop_signal = Some(single(word, rest)?),
        "WORKDIR" => {
            let path = words(rest).join(" ");
            let base = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
            let joined = std::path::Path::new(base).join(path);
            let clean = wharf_archive::clean(&joined)?;
            config.working_dir = format!("/{}", clean.display());
        }
        "ONBUILD" => config.on_build.get_or_insert_default().push(rest.into()),
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        _ => return Err(Error::Invalid(format!("{word} is not a valid change command"))),
    }
    Ok(())
}

/// The exec form is a JSON list; anything else is a line for the shell.
fn command(rest: &str) -> Vec<String> {
    match json_list(rest) {
        Some(list) => list,
        None if rest.is_empty() => Vec::new(),
        None => vec!["/bin/sh".into(), "-c".into(), rest.into()],
    }
}

fn json_list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok())?
}

fn single(word: &str, rest: &str) -> Result<String> {
    let mut all = words(rest);
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(Error::Invalid(format!("{word} requires exactly one argument"))),
    }
}

/// `key=value key="a b"`, or the old form `key all the rest`.
fn pairs(word: &str, rest: &str) -> Result<BTreeMap<String, String>> {
    let list = words(rest);
    let Some(first) = list.first() else { return Ok(BTreeMap::new()) };
    if !first.contains('=') {
        let (key, value) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| Error::Invalid(format!("{word} must have two arguments")))?;
        return Ok([(key.to_owned(), value.trim().to_owned())].into());
    }
    let pair = |text: &String| match text.split_once('=') {
        Some(("", _)) => Err(Error::Invalid(format!("{word} names can not be blank"))),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => {
            Err(Error::Invalid(format!("Syntax error - can't find = in \"{text}\". Must be of the form: name=value")))
        }
    };
    list.iter().map(pair).collect()
}

/// Splits at blanks; quotes and backslashes as in a shell.
fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => out.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}

/// `80`, `80/udp`, `8000-8010/tcp` → one entry per port.
fn exposed(text: &str) -> Result<Vec<(String, Value)>> {
    let bad = || Error::Invalid(format!("invalid containerPort: {text}"));
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(Error::Invalid(format!("Invalid proto: {protocol}")));
    }
    // an address or a host port before the container's has no meaning in an image
    let range = range.rsplit(':').next().unwrap_or(range);
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
    if first > last {
        return Err(bad());
    }
    Ok((first..=last).map(|port| (format!("{port}/{protocol}"), json!({}))).collect())
}

fn healthcheck(rest: &str) -> Result<Value> {
    let mut out = Map::new();
    let mut rest = rest;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let unknown = || Error::Invalid(format!("unknown flag: {flag}"));
        let (key, value) = flag.split_once('=').ok_or_else(unknown)?;
        let (key, value) = match key {
            "interval" => ("Interval", nanoseconds(value)?.into()),
            "timeout" => ("Timeout", nanoseconds(value)?.into()),
            "start-period" => ("StartPeriod", nanoseconds(value)?.into()),
            "start-interval" => ("StartInterval", nanoseconds(value)?.into()),
            "retries" => {
                let bad = |_| Error::Invalid(format!("invalid retries: {value}"));
                ("Retries", Value::from(value.parse::<u32>().map_err(bad)?))
            }
            _ => return Err(unknown()),
        };
        out.insert(key.into(), value);
        rest = after.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let test = match (kind.to_ascii_uppercase().as_str(), command.trim()) {
        ("NONE", "") => vec!["NONE".into()],
        ("CMD", "") => return Err(Error::Invalid("Missing command after HEALTHCHECK CMD".into())),
        ("CMD", command) => match json_list(command) {
            Some(list) => std::iter::once("CMD".to_owned()).chain(list).collect(),
            None => vec!["CMD-SHELL".into(), command.to_owned()],
        },
        (other, _) => {
            return Err(Error::Invalid(format!("Unknown type \"{other}\" in HEALTHCHECK (try CMD)")));
        }
    };
    out.insert("Test".into(), test.into());
    Ok(out.into())
}

/// `1m30s`, `500ms` → nanoseconds.
fn nanoseconds(text: &str) -> Result<i64> {
    let bad = || Error::Invalid(format!("time: invalid duration \"{text}\""));
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| n + digits);
        let unit = match &rest[digits..unit_end] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(bad()),
        };
        total += number * unit;
        rest = &rest[unit_end..];
    }
    if text.is_empty() || total > 9e18 {
        return Err(bad());
    }
    Ok(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<Value> {
        let mut config = RunConfig { cmd: Some(vec!["old".into()]), ..RunConfig::default() };
        apply(&mut config, &changes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())?;
        Ok(serde_json::to_value(config).unwrap())
    }

    #[test]
    fn r_img_04_changes_of_commit() {
        let check =
            |change: &str, key: &str, expect: Value| assert_eq!(changed(&[change]).unwrap()[key], expect, "{change}");
        check(r#"CMD ["sh", "-c", "x"]"#, "Cmd", json!(["sh", "-c", "x"]));
        check("cmd echo hi", "Cmd", json!(["/bin/sh", "-c", "echo hi"]));
        check(r#"ENTRYPOINT ["/e"]"#, "Cmd", Value::Null);
        check("ENV A=1 B=\"two words\" C=x\\ y", "Env", json!(["A=1", "B=two words", "C=x y"]));
        check("ENV A some value", "Env", json!(["A=some value"]));
        check("LABEL a=b", "Labels", json!({"a": "b"}));
        check(
            "EXPOSE 80 53/UDP 8000-8001",
            "ExposedPorts",
            json!({"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}}),
        );
        check("VOLUME [\"/a\", \"/b\"]", "Volumes", json!({"/a": {}, "/b": {}}));
        check("WORKDIR a/../b", "WorkingDir", json!("/b"));
        check("USER 1:2", "User", json!("1:2"));
        check("STOPSIGNAL SIGQUIT", "StopSignal", json!("SIGQUIT"));
        check("ONBUILD RUN x", "OnBuild", json!(["RUN x"]));
        check(
            "HEALTHCHECK --interval=1m30s --retries=2 CMD true",
            "Healthcheck",
            json!({"Interval": 90_000_000_000_i64, "Retries": 2, "Test": ["CMD-SHELL", "true"]}),
        );
    }

    #[test]
    fn r_arch_08_bad_changes() {
        for bad in
            ["FROM x", "RUN x", "ENV", "ENV =x", "EXPOSE x", "EXPOSE 80/x", "USER a b", "HEALTHCHECK X", "LABEL a"]
        {
            assert!(matches!(changed(&[bad]), Err(Error::Invalid(_))), "{bad}");
        }
        assert_eq!(changed(&["run x"]).unwrap_err().to_string(), "RUN is not a valid change command");
    }
}
