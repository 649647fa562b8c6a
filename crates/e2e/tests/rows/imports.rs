//! IMG-04: `import` of what a web server has.

use wharf_testkit::scripted::{Asked, Reply, ScriptedRegistry, noise, tar};

const SERVER: &str = "http://203.0.113.1:8080";

/// A web server with one good archive and a dozen bad habits.
fn answer(archive: &[u8], asked: &Asked) -> Reply {
    let whole = || Reply::new(200, "application/x-tar", archive);
    let to = |place: &str| Reply::new(302, "text/plain", "").with("Location", place);
    match asked.path.as_str() {
        "/root.tar" => whole(),
        "/moved" => to("/root.tar"),
        "/round" => to("/round"),
        "/elsewhere" => to("file:///etc/passwd"),
        "/cut" => Reply { only: Some(archive.len() / 2), ..whole() },
        "/text" => Reply::new(200, "text/html", "<html>this is no archive</html>"),
        "/up" => Reply::new(200, "application/x-tar", tar(&[("../../up", b"x")])),
        "/secret" => Reply::new(403, "text/plain", "not \x1b[31mfor you\n"),
        _ => Reply::new(404, "text/plain", "there is nothing\n"),
    }
}

rows! {
    fn r_img_04_import_from_a_web_server(host, cli) {
        let archive = tar(&[("bin/data", &noise(3, 3 << 20)), ("file", b"from afar")]);
        let server = ScriptedRegistry::serve(&host, 8080, move |asked| answer(&archive, asked));
        let import = |path: &str, more: &[&str]| {
            let url = format!("{SERVER}{path}");
            host.cli(cli, &[&["import"], more, &[&url, "afar:1"]].concat())
        };
        let said = import("/root.tar", &["-c", "CMD [\"/x\"]"]).ok();
        assert!(said.starts_with("Downloading from http://203.0.113.1:8080/root.tar") && said.contains("sha256:"), "{said}");
        let id = host.cli(cli, &["image", "inspect", "-f", "{{.Id}} {{.Config.Cmd}}", "afar:1"]).ok();
        assert!(said.ends_with(id.strip_suffix(" [/x]").expect("the change was applied")), "{said} {id}");
        let history = host.cli(cli, &["history", "--format", "{{.Comment}}", "afar:1"]).ok();
        assert_eq!(history, "Imported from http://203.0.113.1:8080/root.tar");
        let made = host.cli(cli, &["create", "afar:1"]).ok();
        let copy = host.dir().join("copy").display().to_string();
        host.cli(cli, &["cp", &format!("{made}:/file"), &copy]).ok();
        assert_eq!(std::fs::read(&copy).unwrap(), b"from afar");
        host.cli(cli, &["rm", &made]).ok();

        import("/moved", &["-m", "a message"]).ok();
        assert_eq!(host.cli(cli, &["history", "--format", "{{.Comment}}", "afar:1"]).ok(), "a message");
        assert_eq!(server.count("GET", "/root.tar"), 2);
    }

    fn r_img_04_import_from_a_hostile_web_server(host, cli) {
        let archive = tar(&[("data", &noise(4, 3 << 20))]);
        let _server = ScriptedRegistry::serve(&host, 8080, move |asked| answer(&archive, asked));
        for (url, why) in [
            ("http://203.0.113.1:8080/none", "failed to GET http://203.0.113.1:8080/none with status 404 Not Found: there is nothing"),
            ("http://203.0.113.1:8080/secret", "with status 403 Forbidden: not [31mfor you"),
            ("http://203.0.113.1:8080/round", "stopped after 10 redirects"),
            ("http://203.0.113.1:8080/elsewhere", "redirect of"),
            ("http://203.0.113.1:8080/cut", "unexpected EOF"),
            ("http://203.0.113.1:8080/text", "archive"),
            ("http://203.0.113.1:8081/", "connect: connection refused"),
            ("ftp://203.0.113.1/x", "unsupported protocol scheme \"ftp\""),
            ("http:///x", "no Host in request URL"),
        ] {
            // through the API: the docker client takes some of these for names of files
            let place = format!("/images/create?repo=bad&fromSrc={}", url.replace(':', "%3A"));
            let said = host.api().send("POST", &place, None, &[]).message();
            assert!(said.contains(why), "{url}: {said}");
        }
        let up = host.cli(cli, &["import", &format!("{SERVER}/up"), "up:1"]);
        // as with any archive: what climbs out of the root is put below it, or refused
        assert!(!host.data_root().join("up").exists() && !host.dir().join("up").exists(), "{up:?}");
        let left = host.cli(cli, &["images", "--format", "{{.Repository}}"]).ok();
        assert!(!left.contains("bad"), "{left}");
        let images = left.lines().count();
        crate::assert_layers(&host, images); // a refused import leaves no layer
    }
}
