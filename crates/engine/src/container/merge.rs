//! What the image says, below what the user says.

use std::collections::BTreeMap;

use wharf_api::container::{Config, HealthConfig, Words};
use wharf_spec::image::RunConfig;

/// Completes the user's declaration from the image's (Docker's rules, which Dockerfiles rely on).
pub(crate) fn merge(user: &mut Config, image: &RunConfig) {
    if user.user.is_empty() {
        user.user.clone_from(&image.user);
    }
    merge_set(&mut user.exposed_ports, image.exposed_ports.as_ref());
    merge_set(&mut user.volumes, image.volumes.as_ref());
    merge_env(&mut user.env, image.env.as_deref().unwrap_or_default());
    if let Some(labels) = &image.labels {
        let mut merged = labels.clone();
        merged.extend(user.labels.take().unwrap_or_default());
        user.labels = Some(merged);
    }
    if user.entrypoint.as_ref().is_none_or(|e| e.0.is_empty()) {
        if user.cmd.as_ref().is_none_or(|c| c.0.is_empty()) {
            user.cmd = image.cmd.clone().map(Words).or(user.cmd.take());
        }
        if user.entrypoint.is_none() {
            user.entrypoint = image.entrypoint.clone().map(Words);
        }
    }
    if let Some(health) = &image.healthcheck {
        // a document that is no health check is the image's mistake, and no reason not to run
        merge_health(&mut user.healthcheck, serde_json::from_value(health.clone()).unwrap_or_default());
    }
    if user.working_dir.is_empty() {
        user.working_dir.clone_from(&image.working_dir);
    }
    if user.stop_signal.is_empty() {
        user.stop_signal = image.stop_signal.clone().unwrap_or_default();
    }
    if user.stop_timeout.is_none() {
        user.stop_timeout = image.stop_timeout.and_then(|t| i32::try_from(t).ok());
    }
    if user.shell.is_none() {
        user.shell = image.shell.clone().map(Words);
    }
}

/// Completes the configuration that a commit gives from that of the container.
pub(crate) fn merge_for_commit(given: &mut Config, container: &Config) {
    let image = RunConfig {
        user: container.user.clone(),
        exposed_ports: container
            .exposed_ports
            .as_ref()
            .map(|set| set.keys().map(|k| (k.clone(), serde_json::json!({}))).collect()),
        env: container.env.clone(),
        cmd: container.cmd.clone().map(|w| w.0),
        healthcheck: container.healthcheck.as_ref().and_then(|h| serde_json::to_value(h).ok()),
        volumes: container.volumes.as_ref().map(|set| set.keys().map(|k| (k.clone(), serde_json::json!({}))).collect()),
        working_dir: container.working_dir.clone(),
        entrypoint: container.entrypoint.clone().map(|w| w.0),
        on_build: container.on_build.clone(),
        labels: container.labels.clone(),
        stop_signal: Some(container.stop_signal.clone()).filter(|s| !s.is_empty()),
        stop_timeout: container.stop_timeout.map(i64::from),
        shell: container.shell.clone().map(|w| w.0),
        ..RunConfig::default()
    };
    merge(given, &image);
    if given.on_build.is_none() {
        given.on_build.clone_from(&image.on_build);
    }
}

fn merge_set(user: &mut Option<wharf_api::container::Set>, image: Option<&BTreeMap<String, serde_json::Value>>) {
    let Some(image) = image.filter(|set| !set.is_empty()) else {
        // an empty set of the user's is none, as in Docker
        *user = user.take().filter(|set| !set.is_empty());
        return;
    };
    let set = user.get_or_insert_default();
    for key in image.keys() {
        set.entry(key.clone()).or_default();
    }
}

fn merge_env(user: &mut Option<Vec<String>>, image: &[String]) {
    if image.is_empty() {
        return;
    }
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mine = user.get_or_insert_default();
    let names: Vec<String> = mine.iter().map(|e| name(e)).collect();
    mine.extend(image.iter().filter(|e| !names.contains(&name(e))).cloned());
}

fn merge_health(user: &mut Option<HealthConfig>, image: HealthConfig) {
    let Some(mine) = user else {
        *user = Some(image);
        return;
    };
    if mine.test.as_ref().is_none_or(Vec::is_empty) {
        mine.test = image.test;
    }
    for (mine, image) in [
        (&mut mine.interval, image.interval),
        (&mut mine.timeout, image.timeout),
        (&mut mine.start_period, image.start_period),
        (&mut mine.start_interval, image.start_interval),
    ] {
        if *mine == 0 {
            *mine = image;
        }
    }
    if mine.retries == 0 {
        mine.retries = image.retries;
    }
}

/// Program and arguments: the entry point takes the command as its arguments. `None`: nothing to run.
pub(crate) fn command(config: &Config) -> Option<(String, Vec<String>)> {
    let entrypoint = config.entrypoint.as_ref().map(|w| w.0.as_slice()).unwrap_or_default();
    let cmd = config.cmd.as_ref().map(|w| w.0.as_slice()).unwrap_or_default();
    let entrypoint = if entrypoint == [""] { &[] } else { entrypoint };
    let mut words = entrypoint.iter().chain(cmd).cloned();
    words.next().map(|path| (path, words.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Option<Words> {
        Some(Words(list.iter().map(|w| (*w).to_owned()).collect()))
    }

    #[test]
    fn r_bld_03_entrypoint_and_command() {
        let check = |user: (Option<Words>, Option<Words>), expect: &str| {
            let image =
                RunConfig { entrypoint: Some(vec!["/e".into()]), cmd: Some(vec!["c".into()]), ..RunConfig::default() };
            let mut config = Config { entrypoint: user.0, cmd: user.1, ..Config::default() };
            merge(&mut config, &image);
            let got =
                command(&config).map_or("nothing".into(), |(p, a)| format!("{p} {}", a.join(" ")).trim().to_owned());
            assert_eq!(got, expect);
        };
        check((None, None), "/e c");
        check((None, words(&["x"])), "/e x");
        check((words(&["/u"]), None), "/u");
        check((words(&["/u"]), words(&["x"])), "/u x");
        check((words(&[]), words(&["x"])), "x");
        check((words(&[""]), words(&["x"])), "x");
        check((words(&[""]), None), "nothing");
    }

    #[test]
    fn environment_labels_and_ports() {
        let image = RunConfig {
            env: Some(vec!["A=image".into(), "B=image".into()]),
            labels: Some([("l".into(), "image".into()), ("m".into(), "image".into())].into()),
            exposed_ports: Some([("80/tcp".to_owned(), serde_json::json!({}))].into()),
            working_dir: "/w".into(),
            ..RunConfig::default()
        };
        let mut config = Config {
            env: Some(vec!["A=user".into()]),
            labels: Some([("l".into(), "user".into())].into()),
            ..Config::default()
        };
        merge(&mut config, &image);
        assert_eq!(config.env.as_deref(), Some(&["A=user".to_owned(), "B=image".into()][..]));
        assert_eq!(config.labels.as_ref().map(|l| (l["l"].as_str(), l["m"].as_str())), Some(("user", "image")));
        assert!(config.exposed_ports.is_some_and(|p| p.contains_key("80/tcp")));
        assert_eq!(config.working_dir, "/w");
    }
}
