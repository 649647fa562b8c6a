//! ARCH-01, 02, 05, 06, 07, 09: the daemon and its API.

use serde_json::Value;
use wharf_testkit::{Cli, Host};

rows! {
    fn r_arch_05_version_and_info(host, cli) {
        let version = host.cli(cli, &["version", "--format", "{{.Server.APIVersion}} {{.Server.Os}}/{{.Server.Arch}}"]).ok();
        assert_eq!(version, "1.51 linux/amd64");
        let info = host.cli(cli, &["info"]).ok();
        for line in ["Storage Driver: overlay2", "Logging Driver: json-file", "Cgroup Driver: cgroupfs", "Cgroup Version: ", "Containers: 0", "Images: 1", "Docker Root Dir: "] {
            assert!(info.contains(line), "{line}: {info}");
        }
        host.cli(cli, &["run", "-d", "busybox", "sleep", "600"]).ok();
        assert_eq!(host.cli(cli, &["info", "-f", "{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}}"]).ok(), "1 1 0");
    }

    fn r_arch_05_system_df(host, cli) {
        host.cli(cli, &["run", "-d", "busybox", "sleep", "600"]).ok();
        let table = host.cli(cli, &["system", "df"]).ok();
        assert!(table.starts_with("TYPE"), "{table}");
        let kinds: Vec<&str> = table.lines().skip(1).filter_map(|l| l.split("  ").next()).collect();
        assert_eq!(kinds, ["Images", "Containers", "Local Volumes", "Build Cache"]);
    }

    fn r_arch_05_events_tell_the_story(host, cli) {
        host.cli(cli, &["run", "--rm", "--name", "c1", "busybox", "sh", "-c", "exit 3"]);
        let events = crate::events(&host, cli, &["container=c1"], "{{.Type}} {{.Action}}");
        let actions: Vec<&str> = events.lines().collect();
        for action in ["container create", "container attach", "container start", "container die", "container destroy"] {
            assert!(actions.contains(&action), "{action}: {events}");
        }
        let template = "{{index .Actor.Attributes \"exitCode\"}} {{index .Actor.Attributes \"image\"}}";
        let die = crate::events(&host, cli, &["event=die"], template);
        assert_eq!(die, "3 busybox");
    }

    fn r_arch_05_system_prune(host, cli) {
        host.cli(cli, &["run", "--name", "c1", "busybox", "true"]).ok();
        let out = host.cli(cli, &["system", "prune", "-af"]).ok();
        assert!(out.contains("Deleted Containers:") && out.contains("Total reclaimed space:"), "{out}");
        assert_eq!(host.cli(cli, &["ps", "-aq"]).ok(), "");
        assert_eq!(host.cli(cli, &["images", "-q"]).ok(), "");
    }

    fn r_arch_06_names_ids_and_prefixes(host, cli) {
        let id = host.cli(cli, &["run", "-d", "--name", "web", "busybox", "sleep", "600"]).ok();
        for name in ["web", "/web", &id, &id[..12], &id[..6]] {
            assert_eq!(host.cli(cli, &["inspect", "-f", "{{.Id}}", name]).ok(), id);
        }
        // an ambiguous prefix: containers until two share a first digit
        let mut ids = vec![id];
        let prefix = loop {
            let new = host.cli(cli, &["create", "busybox"]).ok();
            if let Some(old) = ids.iter().find(|old| old[..1] == new[..1]) {
                break old[..1].to_owned();
            }
            ids.push(new);
        };
        let refused = host.cli(cli, &["stop", &prefix]).fails(1);
        assert!(refused.contains("multiple IDs found with provided prefix") || refused.contains("No such container"), "{refused}");
    }

    fn r_arch_07_templates(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "c1", "-v", "/data", "-l", "a=b", "busybox", "sleep", "600"]).ok();
        let inspect = |template: &str| host.cli(cli, &["inspect", "-f", template, "c1"]).ok();
        let mounts: Value = serde_json::from_str(&inspect("{{json .Mounts}}")).unwrap();
        assert_eq!(mounts[0]["Destination"], "/data");
        assert!(inspect("{{.NetworkSettings.IPAddress}}").starts_with("172.17."));
        assert_eq!(inspect("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}"), "a=b;");
        assert_eq!(inspect("{{.State.Status | upper}} {{len .Mounts}} {{join .Config.Cmd \"+\"}}"), "RUNNING 1 sleep+600");
        let bad = host.cli(cli, &["inspect", "-f", "{{.NoSuchField}}", "c1"]).fails(1);
        assert!(bad.contains("NoSuchField"), "{bad}");
        let ps = host.cli(cli, &["ps", "--format", "table {{.Names}}\t{{.Image}}"]).ok();
        assert!(ps.lines().next().unwrap().split_whitespace().eq(["NAMES", "IMAGE"]), "{ps}");
        let json: Value = serde_json::from_str(&host.cli(cli, &["ps", "--format", "json"]).ok()).unwrap();
        assert_eq!((json["Names"].as_str(), json["State"].as_str()), (Some("c1"), Some("running")));
    }

    fn r_arch_09_nothing_but_the_kernel(host, cli) {
        // a daemon whose PATH holds nothing still runs containers with a network
        host.take_daemon().kill();
        let empty = host.dir().join("empty");
        std::fs::create_dir(&empty).unwrap();
        host.start_with_path(&empty);
        assert_eq!(host.cli(cli, &["run", "--rm", "--init", "busybox", "echo", "alone"]).ok(), "alone");
    }
}

#[test]
fn r_arch_01_versions_are_negotiated() {
    let host = Host::boot();
    let api = host.api();
    let ping = api.get("/_ping");
    assert_eq!((ping.status, ping.body.as_slice(), ping.header("api-version")), (200, &b"OK"[..], Some("1.51")));
    for version in ["v1.24", "v1.40", "v1.44", "v1.51"] {
        assert_eq!(api.get(&format!("/{version}/containers/json")).status, 200, "{version}");
    }
    let old = api.get("/v1.12/containers/json");
    assert_eq!(old.status, 400);
    assert!(
        old.message().contains("client version 1.12 is too old. Minimum supported API version is 1.24"),
        "{}",
        old.message()
    );
    let new = api.get("/v9.99/containers/json");
    assert_eq!(new.status, 400);
    assert!(
        new.message().contains("client version 9.99 is too new. Maximum supported API version is 1.51"),
        "{}",
        new.message()
    );
}

#[test]
fn r_arch_02_tcp_and_several_hosts() {
    let host = Host::with_args(&["-H", "tcp://203.0.113.2:2375"]);
    assert!(host.daemon_log().contains("203.0.113.2:2375"), "plain TCP is warned about: {}", host.daemon_log());
    let mut command = host.outside().command("docker");
    command
        .args(["-H", "tcp://203.0.113.2:2375", "info", "-f", "{{.Images}}"])
        .env("DOCKER_CONFIG", host.dir().join("config"));
    let out = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "1", "{}", String::from_utf8_lossy(&out.stderr));
    let own = host.run("docker", &["-H", "unix:///run/wharf/wharf.sock", "info", "-f", "{{.Images}}"]).ok();
    assert_eq!(own, "1");
}

#[test]
fn r_arch_01_our_client_starts_the_daemon_by_itself() {
    let host = Host::bare();
    let mut command = host.command(Cli::Wharf);
    command.env_remove("DOCKER_HOST");
    let out = command.args(["version", "--format", "{{.Server.APIVersion}}"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "1.51", "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn r_arch_02_one_daemon_per_data_root() {
    let host = Host::boot();
    let program = wharf_testkit::program("wharfd");
    let data = host.data_root();
    let second = ["--data-root", data.to_str().unwrap(), "--exec-root", "/run/other", "-H", "unix:///run/other.sock"];
    let refused = host.run(program.to_str().unwrap(), &second).fails(1);
    assert!(refused.contains("is in use by another daemon"), "{refused}");
    assert_eq!(host.api().get("/_ping").status, 200);
}
