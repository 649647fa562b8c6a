//! REG-01, REG-02, IMG-01, IMG-02, IMG-06, IMG-08: images to and from registries in the outside world.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use wharf_testkit::scripted::{PeerRegistry, Reply, ScriptedRegistry, ShelfImage, replace_etc};
use wharf_testkit::{Cli, Host};

pub(crate) const REGISTRY: &str = "203.0.113.1:5000";

/// A daemon that takes the outside world's registries without TLS.
pub(crate) fn trusting(host: &mut Host, more: &[&str]) {
    host.take_daemon().stop();
    let args: Vec<&str> = ["--insecure-registry", "203.0.113.0/24"].iter().chain(more).copied().collect();
    host.start_with(&args, "");
}

pub(crate) fn inspect(host: &Host, cli: Cli, name: &str, format: &str) -> String {
    host.cli(cli, &["image", "inspect", "-f", format, name]).ok()
}

/// Names of the images here.
pub(crate) fn images(host: &Host, cli: Cli) -> BTreeSet<String> {
    let list = host.cli(cli, &["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    list.lines().map(str::to_owned).collect()
}

/// Nothing of a failed pull is to be seen, and nothing but what makes it resume lies on the disk.
#[track_caller]
pub(crate) fn nothing_came(host: &Host, cli: Cli) {
    assert_eq!(images(host, cli), BTreeSet::from(["busybox:latest".to_owned()]));
    crate::assert_layers(host, 1); // only busybox's layer
}

pub(crate) fn kept(host: &Host) -> Vec<PathBuf> {
    std::fs::read_dir(host.data_root().join("downloads")).into_iter().flatten().flatten().map(|e| e.path()).collect()
}

/// A file that the container's image has.
pub(crate) fn content(host: &Host, cli: Cli, image: &str, path: &str) -> Vec<u8> {
    let id = host.cli(cli, &["create", image, "x"]).ok();
    let mut command = host.command(cli);
    let out = command.args(["cp", &format!("{id}:{path}"), "-"]).output().expect("cp runs");
    host.cli(cli, &["rm", &id]).ok();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // behind the header of the archive's one member
    out.stdout[512..].to_vec()
}

pub(crate) fn spawn(host: &Host, cli: Cli, args: &[&str]) -> Child {
    host.command(cli)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

rows! {
    fn r_reg_01_the_story_of_push_and_pull(host, cli) {
        let _registry = PeerRegistry::start(&host, 5000, "");
        let hosts = host.dir().join("hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost\n203.0.113.1 registry.example.net\n").unwrap();
        replace_etc(&host, "hosts", &hosts);
        trusting(&mut host, &[]);
        host.cli(cli, &["run", "--name", "c1", "busybox", "sh", "-c", "echo one > /one"]).ok();
        host.cli(cli, &["commit", "c1", "one"]).ok();
        host.cli(cli, &["run", "--name", "c2", "busybox", "sh", "-c", "echo two > /two"]).ok();
        host.cli(cli, &["commit", "c2", "two"]).ok();
        host.cli(cli, &["rm", "c1", "c2"]).ok();
        let (one, two) = ("registry.example.net:5000/name:v1", "registry.example.net:5000/name:v2");
        host.cli(cli, &["tag", "one", one]).ok();
        host.cli(cli, &["tag", "two", two]).ok();
        let id = inspect(&host, cli, one, "{{.Id}}");

        let pushed = host.cli(cli, &["push", one]).ok();
        assert!(pushed.starts_with("The push refers to repository [registry.example.net:5000/name]\n"), "{pushed}");
        assert_eq!(pushed.matches(": Pushed").count(), 2, "{pushed}");
        let digest = pushed.split("v1: digest: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
        // the base is there by now
        let second = host.cli(cli, &["push", two]).ok();
        assert_eq!((second.matches(": Layer already exists").count(), second.matches(": Pushed").count()), (1, 1), "{second}");

        host.cli(cli, &["rmi", one, two, "one", "two"]).ok();
        let pulled = host.cli(cli, &["pull", one]).ok();
        assert!(pulled.starts_with("v1: Pulling from name\n"), "{pulled}");
        assert_eq!((pulled.matches(": Already exists").count(), pulled.matches(": Pull complete").count()), (1, 1), "{pulled}");
        let end = format!("Digest: {digest}\nStatus: Downloaded newer image for {one}\n{one}");
        assert!(pulled.ends_with(&end), "{pulled}");
        assert_eq!(inspect(&host, cli, one, "{{.Id}} {{.RepoDigests}}"), format!("{id} [registry.example.net:5000/name@{digest}]"));
        assert_eq!(host.cli(cli, &["run", "--rm", one, "cat", "/one"]).ok(), "one");
        // the same manifest and so the same digest, when it is pushed once more
        let again = host.cli(cli, &["push", one]).ok();
        assert!(again.contains(&format!("v1: digest: {digest} ")) && !again.contains(": Pushed"), "{again}");
        // nothing new: nothing is fetched
        let current = host.cli(cli, &["pull", one]).ok();
        assert_eq!(current, format!("v1: Pulling from name\nDigest: {digest}\nStatus: Image is up to date for {one}\n{one}"));
        assert_eq!(host.cli(cli, &["pull", "-q", one]).ok(), one);
        // a missing image is pulled by `run`, and by its digest
        host.cli(cli, &["rmi", one]).ok();
        let by_digest = format!("registry.example.net:5000/name@{digest}");
        assert_eq!(host.cli(cli, &["run", "--rm", &by_digest, "cat", "/one"]).ok(), "one");
        assert_eq!(kept(&host), Vec::<PathBuf>::new(), "what has arrived is not kept twice");
        let never = host.cli(cli, &["run", "--rm", "--pull", "never", two, "true"]).fails(125);
        assert!(never.contains("No such image: registry.example.net:5000/name:v2"), "{never}");
        assert_eq!(host.cli(cli, &["run", "--rm", "--pull", "always", "-q", two, "cat", "/two"]).ok(), "two");
    }

    fn r_reg_02_push_sends_every_tag_and_mounts(host, cli) {
        let _registry = PeerRegistry::start(&host, 5000, "");
        trusting(&mut host, &[]);
        for tag in ["a:1", "a:2", "b:1"] {
            host.cli(cli, &["tag", "busybox", &format!("{REGISTRY}/{tag}")]).ok();
        }
        let all = host.cli(cli, &["push", "-a", &format!("{REGISTRY}/a")]).ok();
        assert!(all.contains("1: digest: sha256:") && all.contains("2: digest: sha256:"), "{all}");
        assert_eq!((all.matches(": Pushed").count(), all.matches(": Layer already exists").count()), (1, 1), "{all}");
        let mounted = host.cli(cli, &["push", &format!("{REGISTRY}/b:1")]).ok();
        assert!(mounted.contains(": Mounted from a"), "{mounted}");
        assert_eq!(host.cli(cli, &["push", "-q", &format!("{REGISTRY}/b:1")]).ok(), format!("{REGISTRY}/b:1"));
        // without a tag it is `latest`, which there is not
        let latest = host.cli(cli, &["push", &format!("{REGISTRY}/a")]).fails(1);
        assert_eq!(latest, format!("tag does not exist: {REGISTRY}/a:latest"));
        let none = host.cli(cli, &["push", &format!("{REGISTRY}/none:1")]).fails(1);
        assert_eq!(none, format!("An image does not exist locally with the tag: {REGISTRY}/none"));
        host.cli(cli, &["rmi", &format!("{REGISTRY}/a:1"), &format!("{REGISTRY}/a:2"), &format!("{REGISTRY}/b:1")]).ok();
        let all = host.cli(cli, &["pull", "-a", &format!("{REGISTRY}/a")]).ok();
        assert!(all.contains("1: Pulling from a\n") && all.contains("2: Pulling from a\n"), "{all}");
        assert!(images(&host, cli).is_superset(&[format!("{REGISTRY}/a:1"), format!("{REGISTRY}/a:2")].into()));
        let missing = host.cli(cli, &["pull", &format!("{REGISTRY}/a:3")]).fails(1);
        assert!(missing.contains(&format!("manifest for {REGISTRY}/a:3 not found: manifest unknown: manifest unknown")), "{missing}");
    }

    fn r_reg_01_login_keeps_credentials(host, cli) {
        let htpasswd = host.dir().join("htpasswd");
        // user:secret
        std::fs::write(&htpasswd, "user:$2b$12$je7AjHJwekGvUGykfT3lM./eRgeIwjJZ0wSoyLIWCiUj5on7Z7Zl.\n").unwrap();
        let _registry = PeerRegistry::start(&host, 5000, &format!("auth: {{htpasswd: {{realm: r, path: '{}'}}}}", htpasswd.display()));
        trusting(&mut host, &[]);
        let name = format!("{REGISTRY}/app:1");
        host.cli(cli, &["tag", "busybox", &name]).ok();
        assert!(host.cli(cli, &["push", &name]).fails(1).contains("no basic auth credentials"));
        let wrong = host.cli_with(cli, &["login", "-u", "user", "--password-stdin", REGISTRY], b"wrong").fails(1);
        assert!(wrong.contains("401 Unauthorized"), "{wrong}");
        let right = host.cli_with(cli, &["login", "-u", "user", "--password-stdin", REGISTRY], b"secret\n").ok();
        assert!(right.ends_with("Login Succeeded"), "{right}");
        let config = std::fs::read_to_string(host.dir().join("config/config.json")).unwrap();
        assert!(config.contains("\"203.0.113.1:5000\"") && config.contains("dXNlcjpzZWNyZXQ="), "{config}");
        host.cli(cli, &["push", &name]).ok();
        host.cli(cli, &["rmi", &name]).ok();
        host.cli(cli, &["pull", &name]).ok();
        host.cli(cli, &["logout", REGISTRY]).ok();
        host.cli(cli, &["rmi", &name]).ok();
        let refused = host.cli(cli, &["pull", &name]).fails(1);
        assert!(refused.contains("no basic auth credentials"), "{refused}");

        // a helper keeps them now
        let helper = host.dir().join("bin/docker-credential-test");
        std::fs::create_dir_all(helper.parent().unwrap()).unwrap();
        let script = format!("#!/bin/sh\nf={}/secret\ncase $1 in store) cat > $f ;; erase) rm -f $f ;; get) cat $f 2>/dev/null || {{ echo 'credentials not found in native keychain'; exit 1; }} ;; list) echo '{{}}' ;; esac\n", host.dir().display());
        std::fs::write(&helper, script).unwrap();
        Command::new("chmod").arg("+x").arg(&helper).status().unwrap();
        std::fs::write(host.dir().join("config/config.json"), r#"{"credsStore": "test"}"#).unwrap();
        let with_helper = |args: &[&str], stdin: &[u8]| {
            let mut command = host.command(cli);
            let path = format!("{}:{}", helper.parent().unwrap().display(), std::env::var("PATH").unwrap());
            command.env("PATH", path).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(stdin).unwrap();
            let out = child.wait_with_output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        };
        with_helper(&["login", "-u", "user", "--password-stdin", REGISTRY], b"secret");
        let config = std::fs::read_to_string(host.dir().join("config/config.json")).unwrap();
        assert!(!config.contains("dXNlcjpzZWNyZXQ="), "the password is the helper's: {config}");
        with_helper(&["pull", &name], b"");
        with_helper(&["logout", REGISTRY], b"");
        assert!(!host.dir().join("secret").exists());
    }

    fn r_reg_01_certificates_of_a_registry(host, cli) {
        let folder = host.dir().join("tls");
        std::fs::create_dir(&folder).unwrap();
        let openssl = |args: &str| {
            let done = Command::new("openssl").args(args.split(' ')).current_dir(&folder).output().expect("openssl runs");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        let ca = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=ca -keyout ca.key -out ca.crt";
        openssl(ca);
        openssl(&ca.replace("ca.", "other.").replace("=ca", "=other"));
        for (who, extension) in [("server", "subjectAltName=IP:203.0.113.1"), ("client", "extendedKeyUsage=clientAuth")] {
            openssl(&format!("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={who} -keyout {who}.key -out {who}.csr"));
            std::fs::write(folder.join("ext"), extension).unwrap();
            openssl(&format!("x509 -req -in {who}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out {who}.crt"));
        }
        let at = |name: &str| folder.join(name).display().to_string();
        let http = format!("http: {{addr: '203.0.113.1:5000', tls: {{certificate: '{}', key: '{}', clientcas: ['{}']}}}}", at("server.crt"), at("server.key"), at("ca.crt"));
        let _registry = PeerRegistry::start(&host, 5000, &http);
        let name = format!("{REGISTRY}/app:1");
        host.cli(cli, &["tag", "busybox", &name]).ok();
        let unknown = host.cli(cli, &["push", &name]).fails(1);
        assert!(unknown.contains("x509: certificate signed by unknown authority"), "{unknown}");
        let put = |to: &str, from: &str| replace_etc(&host, &format!("docker/certs.d/{REGISTRY}/{to}"), &folder.join(from));
        put("ca.crt", "ca.crt");
        let anonymous = host.cli(cli, &["push", &name]).fails(1);
        // in TLS 1.3 the refusal comes behind the handshake: a client that is writing by then may only see the connection break
        let refused = ["remote error: tls: ", "connection reset by peer", "broken pipe"];
        assert!(refused.iter().any(|why| anonymous.contains(why)), "{anonymous}");
        put("client.cert", "client.crt");
        let keyless = host.cli(cli, &["push", &name]).fails(1);
        assert!(keyless.contains("missing key client.key for client certificate client.cert"), "{keyless}");
        put("client.key", "client.key");
        host.cli(cli, &["push", &name]).ok();
        put("ca.crt", "other.crt");
        let other = host.cli(cli, &["pull", &name]).fails(1);
        assert!(other.contains("x509: certificate signed by unknown authority"), "{other}");
        // plain HTTP at a port where TLS is spoken, and the other way round, say what is wrong
        let _plain = PeerRegistry::start(&host, 5001, "");
        let plain = host.cli(cli, &["pull", "203.0.113.1:5001/app:1"]).fails(1);
        assert!(plain.contains("http: server gave HTTP response to HTTPS client"), "{plain}");
    }

    fn r_reg_01_tokens_are_fetched_and_kept_from_others(host, cli) {
        let image = ShelfImage::new(&[&[("f", b"token")]]);
        let blob = image.layers[0].clone();
        let cdn = ScriptedRegistry::serve(&host, 5001, {
            let image = image.clone();
            move |asked| image.answer(asked)
        });
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            if let Some(query) = asked.path.strip_prefix("/token?") {
                let basic = asked.headers.get("authorization").map(String::as_str) == Some("Basic dXNlcjpzZWNyZXQ=");
                let fine = basic && query.contains("service=r.example") && (query.contains("repository%3Aapp%3Apull") || query.contains("offline_token=true"));
                return if fine { Reply::new(200, "application/json", r#"{"token":"t0ken","expires_in":300}"#) } else { Reply::new(401, "application/json", r#"{"details":"incorrect username or password"}"#) };
            }
            if asked.headers.get("authorization").map(String::as_str) != Some("Bearer t0ken") {
                let challenge = r#"Bearer realm="http://203.0.113.1:5000/token",service="r.example",scope="repository:app:pull""#;
                return Reply::refuse(401, "UNAUTHORIZED").with("WWW-Authenticate", challenge);
            }
            match asked.path.contains("/blobs/") && asked.path.ends_with(&blob) {
                true => Reply::new(307, "text/plain", "").with("Location", &format!("http://203.0.113.1:5001{}", asked.path)),
                false => image.answer(asked),
            }
        });
        trusting(&mut host, &[]);
        let name = format!("{REGISTRY}/app:1");
        // not through the command line: docker's asks for a password then, and does not stop
        let refused = host.api().send("POST", &format!("/images/create?fromImage={REGISTRY}/app&tag=1"), None, b"");
        assert_eq!((refused.status, refused.message().as_str()), (401, "unauthorized: incorrect username or password"));
        host.cli_with(cli, &["login", "-u", "user", "--password-stdin", REGISTRY], b"secret").ok();
        host.cli(cli, &["pull", &name]).ok();
        assert_eq!(content(&host, cli, &name, "/f")[..5], *b"token");
        let tokens = registry.asked().iter().filter(|a| a.path.starts_with("/token?") && a.path.contains("scope=")).count();
        assert_eq!(tokens, 2, "one for the refused pull, one for the other");
        assert!(!cdn.asked().is_empty() && cdn.asked().iter().all(|a| !a.headers.contains_key("authorization")), "the other host is told nothing");
    }

    fn r_reg_01_mirrors_come_first_and_need_not_work(host, cli) {
        let image = ShelfImage::new(&[&[("f", b"mirrored")]]);
        let shown = image.clone();
        let mirror = ScriptedRegistry::serve(&host, 5000, move |asked| match asked.path.contains("/broken/") {
            true => Reply::new(500, "text/plain", "no"),
            false => shown.answer(asked),
        });
        host.take_daemon().stop();
        host.start_with(&["--registry-mirror", "http://203.0.113.1:5000"], "");
        let pulled = host.cli(cli, &["pull", "team/app:1"]).ok();
        assert!(pulled.ends_with("Status: Downloaded newer image for team/app:1\ndocker.io/team/app:1"), "{pulled}");
        assert_eq!(mirror.count("GET", "/v2/team/app/manifests/1"), 1);
        assert!(host.cli(cli, &["info"]).ok().contains("http://203.0.113.1:5000"), "the mirror is told");
        // the hub itself is not to be reached from here: that is what is said in the end
        let broken = host.cli(cli, &["pull", "team/broken/x:1"]).fails(1);
        assert!(broken.contains("registry-1.docker.io"), "{broken}");
    }

    fn r_reg_01_a_mirror_may_lie_under_a_path(host, cli) {
        let image = ShelfImage::new(&[&[("f", b"mirrored")]]);
        let mirror = ScriptedRegistry::serve(&host, 5000, move |asked| match asked.path.strip_prefix("/cache/hub") {
            Some(path) => image.answer(&wharf_testkit::scripted::Asked { path: path.into(), ..asked.clone() }),
            None => Reply::new(404, "text/plain", ""),
        });
        host.take_daemon().stop();
        host.start_with(&["--registry-mirror", "http://203.0.113.1:5000/cache/hub/"], "");
        host.cli(cli, &["pull", "team/app:1"]).ok();
        assert!(mirror.asked().iter().all(|asked| asked.path.starts_with("/cache/hub/v2/")));
    }

    fn r_reg_01_proxies_are_used(host, cli) {
        let image = ShelfImage::new(&[&[("f", b"proxied")]]);
        let proxy = ScriptedRegistry::serve(&host, 3128, move |asked| {
            let Some(path) = asked.path.strip_prefix("http://registry.example.net:5000") else { return Reply::new(403, "text/plain", "") };
            image.answer(&wharf_testkit::scripted::Asked { path: path.into(), ..asked.clone() })
        });
        host.take_daemon().stop();
        host.start_with(&["--http-proxy", "http://user:pw@203.0.113.1:3128", "--insecure-registry", "registry.example.net:5000"], "");
        host.cli(cli, &["pull", "registry.example.net:5000/app:1"]).ok();
        assert!(proxy.asked().iter().all(|a| a.headers.get("proxy-authorization").map(String::as_str) == Some("Basic dXNlcjpwdw==")));
        // what is excepted goes directly: and there is nobody of that name
        host.take_daemon().stop();
        host.start_with(&["--http-proxy", "http://203.0.113.1:3128", "--no-proxy", ".example.net", "--insecure-registry", "registry.example.net:5000"], "");
        let direct = host.cli(cli, &["pull", "registry.example.net:5000/app:2"]).fails(1);
        assert!(direct.contains("lookup registry.example.net on 203.0.113.1:53"), "{direct}");
    }

    fn r_img_06_the_default_registry_is_configurable(host, cli) {
        let image = ShelfImage::new(&[&[("f", b"short")]]);
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| image.answer(asked));
        trusting(&mut host, &["--default-registry", REGISTRY]);
        host.cli(cli, &["pull", "app"]).ok();
        host.cli(cli, &["pull", "team/app:2"]).ok();
        assert_eq!((registry.count("GET", "/v2/app/manifests/latest"), registry.count("GET", "/v2/team/app/manifests/2")), (1, 1));
        assert!(images(&host, cli).is_superset(&["app:latest".to_owned(), "team/app:2".to_owned()].into()));
    }

    fn r_img_08_skopeos_images_with_zstd_are_pulled(host, cli) {
        let _registry = PeerRegistry::start(&host, 5000, "");
        trusting(&mut host, &[]);
        let tar = host.dir().join("b.tar").display().to_string();
        host.cli(cli, &["save", "-o", &tar, "busybox"]).ok();
        let id = inspect(&host, cli, "busybox", "{{.Id}}");
        let policy = host.dir().join("policy.json");
        std::fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        let policy = policy.display().to_string();
        let skopeo = |args: &[&str]| host.run_outside("skopeo", &[&["--policy", &policy], args].concat()).ok();
        for (format, tag) in [("zstd", "z"), ("gzip", "g")] {
            skopeo(&["copy", "-q", "--format", "oci", "--dest-compress-format", format, "--dest-tls-verify=false", &format!("docker-archive:{tar}"), &format!("docker://{REGISTRY}/s:{tag}")]);
        }
        host.cli(cli, &["rmi", "busybox"]).ok();
        for tag in ["z", "g"] {
            let name = format!("{REGISTRY}/s:{tag}");
            host.cli(cli, &["pull", &name]).ok();
            assert_eq!(host.cli(cli, &["run", "--rm", &name, "echo", "runs"]).ok(), "runs");
            host.cli(cli, &["rmi", &name]).ok();
        }
        // and the other way round: what we push, skopeo takes, and calls by the same digest
        host.cli(cli, &["load", "-i", &tar]).ok();
        assert_eq!(inspect(&host, cli, "busybox", "{{.Id}}"), id);
        let ours = format!("{REGISTRY}/ours:1");
        host.cli(cli, &["tag", "busybox", &ours]).ok();
        let pushed = host.cli(cli, &["push", &ours]).ok();
        let told = skopeo(&["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &format!("docker://{ours}")]);
        assert!(pushed.contains(&format!("1: digest: {told} ")), "{pushed} {told}");
        let back = host.dir().join("back");
        skopeo(&["copy", "-q", "--src-tls-verify=false", &format!("docker://{ours}"), &format!("oci:{}:x", back.display())]);
    }

    fn r_img_01_search_shows_what_a_registry_finds(host, cli) {
        let registry = ScriptedRegistry::serve(&host, 5000, |asked| match asked.path.starts_with("/v1/search?") {
            true => Reply::new(200, "application/json", r#"{"num_results":2,"query":"x","results":[{"name":"team/few","description":"Few stars","star_count":1,"is_official":false},{"name":"x","description":"Many stars","star_count":100,"is_official":true}]}"#),
            false => Reply::new(404, "text/plain", ""),
        });
        trusting(&mut host, &[]);
        let table = host.cli(cli, &["search", &format!("{REGISTRY}/x")]).ok();
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]);
        assert_eq!((lines[1][0], lines[2][0], lines[2].last()), ("team/few", "x", Some(&"[OK]")), "{table}");
        let named = host.cli(cli, &["search", "--format", "{{.Name}}", "--filter", "stars=10", &format!("{REGISTRY}/x")]).ok();
        assert_eq!(named, "x");
        assert!(registry.asked().iter().any(|a| a.path == "/v1/search?q=x&n=25"), "{:?}", registry.asked());
        let limit = host.cli(cli, &["search", "--limit", "200", "x"]).fails(1);
        assert!(limit.contains("limit 200 is outside the range of [1, 100]"), "{limit}");
        assert!(host.cli(cli, &["search", "--filter", "foo=bar", "x"]).fails(1).contains("invalid filter 'foo'"));
    }
}

#[test]
fn r_reg_01_manifest_lists_are_made_and_pushed() {
    let mut host = Host::boot();
    let _registry = PeerRegistry::start(&host, 5000, "");
    trusting(&mut host, &[]);
    let image = |name: &str| format!("{REGISTRY}/{name}");
    host.wharf(&["run", "--name", "c1", "busybox", "touch", "/x"]).ok();
    host.wharf(&["commit", "c1", &image("other:1")]).ok();
    host.wharf(&["tag", "busybox", &image("app:amd")]).ok();
    host.wharf(&["push", &image("app:amd")]).ok();
    host.wharf(&["push", &image("other:1")]).ok();
    let shown = host.wharf(&["manifest", "inspect", &image("app:amd")]).ok();
    assert!(
        shown.starts_with(
            "{\n\t\"schemaVersion\": 2,\n\t\"mediaType\": \"application/vnd.docker.distribution.manifest.v2+json\""
        ),
        "{shown}"
    );
    let (list, amd, other) = (image("app:all"), image("app:amd"), image("other:1"));
    host.wharf(&["manifest", "create", &list, &amd, &other]).ok();
    let again = host.wharf(&["manifest", "create", &list, &amd]).fails(1);
    assert!(again.contains("refusing to amend an existing manifest list with no --amend flag"), "{again}");
    host.wharf(&["manifest", "annotate", "--arch", "arm64", "--variant", "v8", &list, &other]).ok();
    let pushed = host.wharf(&["manifest", "push", "--purge", &list]).ok();
    let digest = pushed.lines().last().unwrap().to_owned();
    assert!(pushed.contains("Pushed ref 203.0.113.1:5000/app@sha256:") && digest.starts_with("sha256:"), "{pushed}");
    let shown = host.wharf(&["manifest", "inspect", &list]).ok();
    assert!(
        shown.contains("manifest.list.v2+json") && shown.contains("\"arm64\"") && shown.contains("\"v8\""),
        "{shown}"
    );
    host.wharf(&["rmi", "-f", &amd, &other]).ok();
    host.wharf(&["pull", &list]).ok();
    assert_eq!(inspect(&host, Cli::Wharf, &list, "{{.RepoDigests}}"), format!("[{REGISTRY}/app@{digest}]"));
    assert!(host.wharf(&["manifest", "rm", &list]).fails(1).contains("No such manifest"));
    assert!(host.wharf(&["manifest", "inspect", &image("app:none")]).fails(1).contains("no such manifest"));
}
