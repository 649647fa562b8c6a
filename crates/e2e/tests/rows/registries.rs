//! REG-01, REG-02, IMG-01, IMG-02, IMG-06, IMG-08: images to and from registries in the outside world.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use wharf_testkit::scripted::{MANIFEST, PeerRegistry, Reply, ScriptedRegistry, ShelfImage, noise, replace_etc, tar};
use wharf_testkit::{Cli, Host, eventually};

const REGISTRY: &str = "203.0.113.1:5000";

/// A daemon that takes the outside world's registries without TLS.
fn trusting(host: &mut Host, more: &[&str]) {
    host.take_daemon().stop();
    let args: Vec<&str> = ["--insecure-registry", "203.0.113.0/24"].iter().chain(more).copied().collect();
    host.start_with(&args, "");
}

fn inspect(host: &Host, cli: Cli, name: &str, format: &str) -> String {
    host.cli(cli, &["image", "inspect", "-f", format, name]).ok()
}

/// Names of the images here.
fn images(host: &Host, cli: Cli) -> BTreeSet<String> {
    let list = host.cli(cli, &["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    list.lines().map(str::to_owned).collect()
}

/// Nothing of a failed pull is to be seen, and nothing but what makes it resume lies on the disk.
#[track_caller]
fn nothing_came(host: &Host, cli: Cli) {
    assert_eq!(images(host, cli), BTreeSet::from(["busybox:latest".to_owned()]));
    assert_eq!(crate::layers_left(host).len(), 1, "only busybox's layer");
}

fn kept(host: &Host) -> Vec<PathBuf> {
    std::fs::read_dir(host.data_root().join("downloads")).into_iter().flatten().flatten().map(|e| e.path()).collect()
}

/// A file that the container's image has.
fn content(host: &Host, cli: Cli, image: &str, path: &str) -> Vec<u8> {
    let id = host.cli(cli, &["create", image, "x"]).ok();
    let mut command = host.command(cli);
    let out = command.args(["cp", &format!("{id}:{path}"), "-"]).output().expect("cp runs");
    host.cli(cli, &["rm", &id]).ok();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // behind the header of the archive's one member
    out.stdout[512..].to_vec()
}

fn spawn(host: &Host, cli: Cli, args: &[&str]) -> Child {
    host.command(cli)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// A gate that a test opens for its registry.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
    fn pass(&self) {
        let closed = self.0.lock().unwrap();
        drop(self.1.wait_while(closed, |open| !*open).unwrap());
    }
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

    fn r_img_08_prune_takes_what_broke(host, cli) {
        let big = noise(12, 5 << 20);
        let image = ShelfImage::new(&[&[("big", &big)]]);
        let large = format!("/v2/app/blobs/{}", image.layers[0]);
        let cut = large.clone();
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let mut reply = image.answer(asked);
            if asked.path == cut {
                reply.only = Some(2 << 20);
            }
            reply
        });
        trusting(&mut host, &["--max-download-attempts", "1"]);
        let name = format!("{REGISTRY}/app:1");
        host.cli(cli, &["pull", &name]).fails(1);
        assert_eq!(kept(&host).len(), 1, "kept to go on with");
        host.cli(cli, &["image", "prune", "-f", "--filter", "label=x"]).ok();
        host.cli(cli, &["image", "prune", "-f", "--filter", "until=24h"]).ok();
        assert_eq!(kept(&host).len(), 1, "neither labelled nor old");
        // nobody may be at it any more: the failed pull is about to let go
        eventually("the part goes", || {
            host.cli(cli, &["image", "prune", "-f"]).ok();
            kept(&host).is_empty().then_some(())
        });
        host.cli(cli, &["pull", &name]).fails(1);
        let ranges: Vec<_> = registry.asked().iter().filter(|a| a.path == large).map(wharf_testkit::scripted::Asked::range).collect();
        assert_eq!(ranges, [None, None], "from the first byte");
        // the docker client shows the bytes only of images
        eventually("the bytes are counted", || {
            let pruned = host.api().send("POST", "/images/prune", None, &[]).json();
            (pruned["SpaceReclaimed"] == 2 << 20).then_some(())
        });
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

    fn r_img_02_sixteen_pulls_fetch_each_blob_once(host, cli) {
        let big = noise(7, 3 << 20);
        let tops: Vec<Vec<u8>> = (0..16).map(|n| noise(100 + 2 * n, 1000)).collect();
        let images: Vec<ShelfImage> = tops.iter().map(|top| ShelfImage::new(&[&[("base", &big)], &[("top", top)]])).collect();
        let base = images[0].layers[0].clone();
        let gate = Arc::new(Gate::default());
        let (closed, held) = (gate.clone(), base.clone());
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            if asked.path.ends_with(&held) {
                closed.pass();
            }
            match asked.path.strip_prefix("/v2/app/manifests/").and_then(|tag| tag.parse::<usize>().ok()) {
                Some(n) => images[n].answer(asked),
                None => images.iter().map(|image| image.answer(asked)).find(|reply| reply.status < 400).unwrap_or_else(|| Reply::refuse(404, "BLOB_UNKNOWN")),
            }
        });
        trusting(&mut host, &[]);
        let pulls: Vec<Child> = (0..16).map(|n| spawn(&host, cli, &["pull", &format!("{REGISTRY}/app:{n}")])).collect();
        // all of them are there before the shared layer comes
        eventually("sixteen pulls ask", || {
            let asked: BTreeSet<String> = registry.asked().into_iter().map(|a| a.path).filter(|p| p.contains("/manifests/")).collect();
            (asked.len() == 16).then_some(())
        });
        gate.open();
        for pull in pulls {
            let out = pull.wait_with_output().unwrap();
            assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        }
        let mut blobs: Vec<String> = registry.asked().into_iter().filter(|a| a.method == "GET" && a.path.contains("/blobs/")).map(|a| a.path).collect();
        let all = blobs.len();
        blobs.sort();
        blobs.dedup();
        assert_eq!((all, blobs.len()), (1 + 16 + 16, 1 + 16 + 16), "each blob once");
        assert_eq!(content(&host, cli, &format!("{REGISTRY}/app:9"), "/base")[..big.len()], big[..]);
    }

    fn r_img_08_a_broken_download_goes_on_where_it_broke(host, cli) {
        let big = noise(1, 5 << 20);
        let image = ShelfImage::new(&[&[("big", &big)]]);
        let blob = format!("/v2/app/blobs/{}", image.layers[0]);
        let (breaks, at) = (Arc::new(AtomicUsize::new(0)), blob.clone());
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let mut reply = image.answer(asked);
            if asked.path == at {
                match breaks.fetch_add(1, Ordering::SeqCst) {
                    // cut, cut again, told to wait, out of order for a moment, then all the rest
                    0 => reply.only = Some(2 << 20),
                    1 => reply.only = Some(1),
                    2 => return Reply::refuse(429, "TOOMANYREQUESTS").with("Retry-After", "1"),
                    3 => return Reply::new(503, "text/plain", "later"),
                    _ => {}
                }
            }
            reply
        });
        trusting(&mut host, &["--max-download-attempts", "6"]);
        let name = format!("{REGISTRY}/app:1");
        let said = host.cli(cli, &["pull", &name]).ok();
        assert!(said.contains("Retrying in 1 second"), "{said}");
        let ranges: Vec<_> = registry.asked().iter().filter(|a| a.path == blob).map(wharf_testkit::scripted::Asked::range).collect();
        assert_eq!(ranges[..2], [None, Some(2 << 20)], "{ranges:?}");
        assert_eq!(ranges[4], Some((2 << 20) + 1), "{ranges:?}");
        assert_eq!(content(&host, cli, &name, "/big")[..big.len()], big[..]);
    }

    fn r_img_08_a_cancelled_or_killed_pull_resumes(host, cli) {
        let big = noise(2, 5 << 20);
        let image = ShelfImage::new(&[&[("small", b"small")], &[("big", &big)]]);
        let (small, large) = (format!("/v2/app/blobs/{}", image.layers[0]), format!("/v2/app/blobs/{}", image.layers[1]));
        let whole = Arc::new(Gate::default());
        let (gate, at) = (whole.clone(), large.clone());
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let mut reply = image.answer(asked);
            if asked.path == at && !*gate.0.lock().unwrap() {
                (reply.only, reply.hold) = (Some(2 << 20), true);
            }
            reply
        });
        trusting(&mut host, &[]);
        let name = format!("{REGISTRY}/app:1");
        let here = |least: u64| kept(&host).iter().any(|file| file.metadata().is_ok_and(|m| m.len() >= least));
        // the client goes: the download ends with it
        let mut pull = spawn(&host, cli, &["pull", &name]);
        eventually("two MiB are here", || here(2 << 20).then_some(()));
        let client = format!("/proc/{0}/task/{0}/children", pull.id());
        let client = std::fs::read_to_string(client).unwrap();
        assert!(Command::new("kill").arg("-9").arg(client.trim()).status().unwrap().success());
        pull.wait().unwrap();
        nothing_came(&host, cli);
        // the next one goes on; the daemon is killed under it
        let mut pull = spawn(&host, cli, &["pull", &name]);
        eventually("four MiB are here", || here(4 << 20).then_some(()));
        host.crash_and_restart();
        pull.wait().unwrap();
        nothing_came(&host, cli);
        trusting(&mut host, &[]);
        whole.open();
        host.cli(cli, &["pull", &name]).ok();
        let ranges: Vec<_> = registry.asked().iter().filter(|a| a.path == large).map(wharf_testkit::scripted::Asked::range).collect();
        assert_eq!(ranges, [None, Some(2 << 20), Some(4 << 20)]);
        assert!(registry.count("GET", &small) >= 1);
        assert_eq!(content(&host, cli, &name, "/big")[..big.len()], big[..]);
        assert_eq!(kept(&host), Vec::<PathBuf>::new());
    }

    fn r_img_08_lies_are_refused_and_leave_nothing(host, cli) {
        let good = ShelfImage::new(&[&[("f", &noise(3, 2 << 20))]]);
        let lying = good.clone();
        let layer = good.layers[0].clone();
        let gz = |bytes: &[u8]| {
            let mut child = Command::new("gzip").arg("-nc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let bytes = bytes.to_vec();
            let feed = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
            let out = child.wait_with_output().unwrap().stdout;
            feed.join().unwrap();
            out
        };
        const GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        let plain = tar(&[("f", b"x")]);
        let packed = gz(&plain);
        let cut = packed[..packed.len() - 9].to_vec();
        let other = tar(&[("f", b"y")]);
        let evil = tar(&[("../../../../evil", b"x")]);
        let cases: Vec<(&str, ShelfImage)> = vec![
            ("truncated", ShelfImage::of_blobs(vec![(cut, Some((plain.clone(), GZIP)))])),
            ("otherdiff", ShelfImage::of_blobs(vec![(packed, Some((other, GZIP)))])),
            ("traversal", ShelfImage::new(&[&[("../../../../evil", b"x")]])),
            ("notar", ShelfImage::of_blobs(vec![(b"this is no archive at all".repeat(50), None)])),
        ];
        assert!(!evil.is_empty());
        let edit = |image: &ShelfImage, from: &str, to: &str| String::from_utf8(image.manifest.clone()).unwrap().replace(from, to).into_bytes();
        let size = format!("\"size\":{}", good.blobs[&layer].len());
        let manifests: Vec<(&str, Vec<u8>)> = vec![
            ("short", edit(&good, &size, "\"size\":1000")),
            ("long", edit(&good, &size, &format!("\"size\":{}", good.blobs[&layer].len() + 1000))),
            ("foreign", edit(&good, "rootfs.diff.tar\"", "rootfs.foreign.diff.tar.gzip\"")),
            ("kind", edit(&good, "application/vnd.docker.image.rootfs.diff.tar", "text/html")),
            ("artifact", edit(&good, "application/vnd.docker.container.image.v1+json", "application/vnd.example.thing")),
            ("nolayers", edit(&good, "\"layers\":[{", "\"layers\":[],\"x\":[{")),
            ("schema1", br#"{"schemaVersion":1,"name":"x","tag":"1","fsLayers":[],"history":[]}"#.to_vec()),
            ("html", b"<html>".to_vec()),
        ];
        let _registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let tag = asked.path.rsplit('/').next().unwrap_or_default().to_owned();
            if asked.path.contains("/manifests/") {
                if let Some((_, image)) = cases.iter().find(|(name, _)| *name == tag) {
                    return image.answer(asked);
                }
                if let Some((_, manifest)) = manifests.iter().find(|(name, _)| *name == tag) {
                    return Reply::new(200, MANIFEST, manifest.clone());
                }
                return match tag.as_str() {
                    "header" => Reply::new(200, MANIFEST, lying.manifest.clone()).with("Docker-Content-Digest", &lying.layers[0]),
                    "broken" => Reply::new(500, "text/html", "<h1>oops</h1>"),
                    "denied" => Reply::refuse(403, "DENIED"),
                    "huge" => Reply::new(200, MANIFEST, vec![b' '; 5 << 20]),
                    "good" => lying.answer(asked),
                    "digest" => Reply::new(200, MANIFEST, String::from_utf8(lying.manifest.clone()).unwrap()),
                    _ => Reply::refuse(404, "MANIFEST_UNKNOWN"),
                };
            }
            if asked.path.starts_with("/v2/liar/") && asked.path.ends_with(&layer) {
                let mut bytes = lying.blobs[&layer].clone();
                bytes[600] ^= 1;
                return Reply::new(200, "application/octet-stream", bytes);
            }
            let all = cases.iter().map(|(_, image)| image).chain([&lying]);
            all.map(|image| image.answer(asked)).find(|reply| reply.status < 400).unwrap_or_else(|| Reply::refuse(404, "BLOB_UNKNOWN"))
        });
        trusting(&mut host, &["--max-download-attempts", "2"]);
        for (name, expect) in [
            ("app:truncated", "unexpected"),
            ("app:otherdiff", "diff ID"),
            ("app:traversal", ""),
            ("app:notar", ""),
            ("liar:good", "filesystem layer verification failed for digest sha256:"),
            ("app:short", "longer than the 1000 bytes promised"),
            ("app:long", ""),
            ("app:foreign", "is a foreign layer"),
            ("app:kind", "of the unknown kind text/html"),
            ("app:artifact", "is no container image"),
            ("app:nolayers", "layers from manifest don't match image configuration"),
            ("app:schema1", "schema 1"),
            ("app:html", ""),
            ("app:header", "manifest verification failed for digest"),
            ("app:broken", "500"),
            ("app:denied", "pull access denied for 203.0.113.1:5000/app, repository does not exist or may require 'docker login': denied"),
            ("app:huge", "longer than"),
            ("app:none", "not found: manifest unknown"),
        ] {
            let refused = host.cli(cli, &["pull", &format!("{REGISTRY}/{name}")]).fails(1);
            let refused = refused.to_lowercase();
            assert!(!refused.is_empty() && refused.contains(&expect.to_lowercase()), "{name}: {refused}");
            nothing_came(&host, cli);
        }
        assert!(!std::path::Path::new("/evil").exists());
        // and the honest one comes, although its layer has been lied about before
        host.cli(cli, &["pull", &format!("{REGISTRY}/app:good")]).ok();
    }

    fn r_img_08_an_endless_list_of_tags_ends(host, cli) {
        let count = Arc::new(AtomicUsize::new(0));
        let _registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let path = asked.path.split('?').next().unwrap_or_default().to_owned();
            if !path.ends_with("/tags/list") {
                return Reply::new(200, "application/json", "{}");
            }
            let n = count.fetch_add(1, Ordering::SeqCst);
            let next = if path.contains("/loop/") { "</v2/loop/tags/list?last=t>; rel=\"next\"".to_owned() } else { format!("<{path}?last={n}>; rel=\"next\"") };
            let tags: Vec<String> = (0..2000).map(|i| format!("\"t{n}-{i}\"")).collect();
            Reply::new(200, "application/json", format!("{{\"tags\":[{}]}}", tags.join(","))).with("Link", &next)
        });
        trusting(&mut host, &[]);
        for name in ["loop", "endless"] {
            let refused = host.cli(cli, &["pull", "-a", &format!("{REGISTRY}/{name}")]).fails(1);
            assert!(refused.contains("does not end"), "{refused}");
        }
        nothing_came(&host, cli);
    }

    fn r_img_08_platforms_are_chosen_from_an_index(host, cli) {
        let here = ShelfImage::new(&[&[("f", b"here")]]);
        let there = {
            let mut image = ShelfImage::new(&[&[("f", b"there")]]);
            let id = image.blobs.iter().find(|(_, b)| b.starts_with(b"{")).map(|(id, _)| id.clone()).unwrap();
            let config = String::from_utf8(image.blobs.remove(&id).unwrap()).unwrap().replace("amd64", "arm64");
            let new = wharf_testkit::scripted::digest(config.as_bytes());
            image.manifest = String::from_utf8(image.manifest).unwrap().replace(&id, &new).into_bytes();
            image.blobs.insert(new, config.into_bytes());
            image
        };
        let digest = wharf_testkit::scripted::digest;
        let entry = |image: &ShelfImage, arch: &str| format!(r#"{{"mediaType":"{MANIFEST}","digest":"{}","size":{},"platform":{{"os":"linux","architecture":"{arch}"}}}}"#, digest(&image.manifest), image.manifest.len());
        let index = format!(r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{},{}]}}"#, entry(&there, "arm64"), entry(&here, "amd64"));
        let index_digest = digest(index.as_bytes());
        let _registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let last = asked.path.rsplit('/').next().unwrap_or_default();
            if asked.path.contains("/manifests/") {
                let chosen = [&here, &there].into_iter().find(|image| digest(&image.manifest) == last);
                return match chosen {
                    Some(image) => image.answer(asked),
                    None => Reply::new(200, "application/vnd.oci.image.index.v1+json", index.clone()).with("Docker-Content-Digest", &digest(index.as_bytes())),
                };
            }
            let first = here.answer(asked);
            if first.status < 400 { first } else { there.answer(asked) }
        });
        trusting(&mut host, &[]);
        let name = format!("{REGISTRY}/app:1");
        host.cli(cli, &["pull", &name]).ok();
        assert_eq!(inspect(&host, cli, &name, "{{.Architecture}} {{.RepoDigests}}"), format!("amd64 [{REGISTRY}/app@{index_digest}]"));
        host.cli(cli, &["pull", "--platform", "linux/arm64", &name]).ok();
        assert_eq!(inspect(&host, cli, &name, "{{.Architecture}}"), "arm64");
        let none = host.cli(cli, &["pull", "--platform", "linux/s390x", &name]).fails(1);
        assert!(none.contains("no matching manifest for linux/s390x in the manifest list entries"), "{none}");
        host.cli(cli, &["pull", "--platform", "a/b/c/d", &name]).fails(1);
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
