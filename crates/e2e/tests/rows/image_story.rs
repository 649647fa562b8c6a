//! IMG-01 … IMG-07, REG-01: the story that people learn first, with two distributions.

use std::process::Command;

use wharf_testkit::scripted::{PeerRegistry, replace_etc};
use wharf_testkit::{Cli, Host};

/// A small Debian (or what this machine is) out of this machine's own packages, as an archive: `bash -c DEBIAN - FILE`.
const DEBIAN: &str = r"
packages='base-files base-passwd bash coreutils dash debianutils diffutils dpkg findutils grep gzip hostname libacl1 libattr1 libbz2-1.0 libc6 libc-bin
    libcap2 libcrypt1 libgcc-s1 libgmp10 liblzma5 libmd0 libpam0g libpcre2-8-0 libselinux1 libssl3 libssl3t64 libtinfo6 libzstd1 login mawk ncurses-base
    passwd sed tar zlib1g'
{
    for package in $packages; do dpkg -L $package 2>/dev/null; done | grep -v -E '^/usr/share/(doc|man|locale|info|lintian)/|sh\.distrib'
    printf '%s\n' /bin /sbin /lib /lib64 /etc/passwd /etc/group /tmp /var/lib/dpkg /var/lib/dpkg/status /var/lib/dpkg/info
} | sed -E 's,^/(bin|sbin|lib|lib64)/,/usr/\1/,; s,^/\.?,./,' | sort -u > $1.list
cd / && tar --no-recursion --ignore-failed-read -cf $1 -T $1.list 2>/dev/null || true
rm $1.list
";

const REPOSITORY: &str = "registry.example.net:5000/name";

/// What a script says on this machine itself, with its packages.
fn machine(script: &str, argument: &str) -> String {
    let out = Command::new("bash").args(["-c", script, "-", argument]).output().expect("bash runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

fn inspect(host: &Host, cli: Cli, name: &str, format: &str) -> String {
    host.cli(cli, &["image", "inspect", "-f", format, name]).ok()
}

rows! {
    fn r_img_07_the_story_that_people_learn_first(host, cli) {
        let _registry = PeerRegistry::start(&host, 5000, "");
        let hosts = host.dir().join("hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost\n203.0.113.1 registry.example.net\n").unwrap();
        replace_etc(&host, "hosts", &hosts);
        host.take_daemon().stop();
        host.start_with(&["--insecure-registry", "203.0.113.0/24"], "");

        // two distributions on one kernel
        let archive = host.dir().join("debian.tar").display().to_string();
        machine(DEBIAN, &archive);
        host.cli(cli, &["import", "-c", "CMD [\"bash\"]", "-m", "a small Debian", &archive, "debian"]).ok();
        let run = |image: &str, script: &str| host.cli(cli, &["run", "--rm", image, "sh", "-c", script]).ok();
        let bash = run("debian", ". /etc/os-release; echo $ID; dpkg-query -W -f '${Version}' bash");
        let here = machine(". /etc/os-release; echo $ID; dpkg-query -W -f '${Version}' bash", "");
        assert_eq!(bash, here);
        assert!(run("busybox", "sh --help 2>&1; busybox | head -1").contains("BusyBox"));

        // changed, looked at, kept
        let change = "echo new > /new; echo changed >> /etc/passwd; rm /etc/group";
        host.cli(cli, &["run", "--name", "deb", "debian", "bash", "-c", change]).ok();
        host.cli(cli, &["run", "--name", "box", "busybox", "sh", "-c", "mkdir /d; echo x > /d/f"]).ok();
        let diff = host.cli(cli, &["diff", "deb"]).ok();
        let lines: Vec<_> = diff.lines().collect();
        for line in ["A /new", "C /etc", "C /etc/passwd", "D /etc/group"] {
            assert!(lines.contains(&line), "{diff}");
        }
        assert_eq!(host.cli(cli, &["diff", "box"]).ok(), "A /d\nA /d/f");
        host.cli(cli, &["commit", "-m", "changed", "-a", "Ann", "deb", "repo:1"]).ok();
        host.cli(cli, &["commit", "box", "small:1"]).ok();
        host.cli(cli, &["rm", "deb", "box"]).ok();
        let history = host.cli(cli, &["history", "--format", "{{.Comment}}", "repo:1"]).ok();
        assert_eq!(history, "changed\na small Debian");

        // one image, many names; only the last one is the image
        for tag in ["repo:1.9", "repo:1.9.1", "repo:latest"] {
            host.cli(cli, &["tag", "repo:1", tag]).ok();
        }
        assert_eq!(host.cli(cli, &["rmi", "repo:1.9"]).ok(), "Untagged: repo:1.9");
        let id = inspect(&host, cli, "repo", "{{.Id}}");
        let (name, second) = (format!("{REPOSITORY}:v1"), format!("{REPOSITORY}:v2"));
        host.cli(cli, &["tag", "repo", &name]).ok();
        host.cli(cli, &["tag", "debian", &second]).ok();

        // away and back
        let pushed = host.cli(cli, &["push", &name]).ok();
        assert_eq!(pushed.matches(": Pushed").count(), 2, "{pushed}");
        let digest = pushed.split("v1: digest: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
        let base = host.cli(cli, &["push", &second]).ok();
        assert_eq!((base.matches(": Layer already exists").count(), base.matches(": Pushed").count()), (1, 0), "{base}");
        host.cli(cli, &["rmi", "repo:1", "repo:1.9.1", "repo:latest", &name, &second, "debian"]).ok();
        let pulled = host.cli(cli, &["pull", &name]).ok();
        assert!(pulled.contains(&format!("Digest: {digest}\n")), "{pulled}");
        assert_eq!(inspect(&host, cli, &name, "{{.Id}} {{index .RepoDigests 0}}"), format!("{id} {REPOSITORY}@{digest}"));
        let seen = run(&name, "cat /new; tail -1 /etc/passwd; test -e /etc/group || echo gone");
        assert_eq!(seen, "new\nchanged\ngone");
        // what another tool finds there is the same
        let remote = "docker://203.0.113.1:5000/name:v1";
        assert_eq!(host.run("skopeo", &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", remote]).ok(), digest);
    }
}
