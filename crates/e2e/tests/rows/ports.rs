//! NET-09 to NET-13: published ports, isolation and the firewall, with an outside world beside the host.

use wharf_testkit::{Cli, Host, eventually};

const HOST: &str = "203.0.113.2";
const OUTSIDE: &str = "203.0.113.1";

/// A container that tells whoever asks at port 80 the address it sees him under.
pub(super) fn serve(host: &Host, cli: Cli, name: &str, args: &[&str]) -> String {
    let script = "mkdir -p /www/cgi-bin; cd /www/cgi-bin; \
        printf '#!/bin/sh\\nprintf \"Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n$REMOTE_ADDR\"\\n' >who; chmod +x who; \
        exec httpd -f -p 0.0.0.0:80 -h /www";
    let all = [&["run", "-d", "--name", name], args, &["busybox", "sh", "-c", script]].concat();
    let id = host.cli(cli, &all).ok();
    eventually("the server listens", || {
        let listening = host.cli(cli, &["exec", name, "sh", "-c", "cat /proc/net/tcp | grep -q ':0050 .* 0A '"]);
        (listening.code == 0).then_some(())
    });
    id
}

/// What a client of the host or the outside says: the stock busybox cannot look up names without its files.
const ASK: &str = r#"exec 3<>/dev/tcp/$0/$1 && printf 'GET /cgi-bin/who HTTP/1.0\r\n\r\n' >&3 && cat <&3"#;

fn split(address: &str) -> (&str, &str) {
    let (ip, port) = address.rsplit_once(':').unwrap();
    (ip.trim_matches(['[', ']']), port)
}

fn answer(output: &wharf_testkit::Output) -> Option<String> {
    let (_, body) = output.stdout.split_once("\r\n\r\n")?;
    (output.code == 0).then(|| body.to_owned())
}

pub(super) fn ask(host: &Host, address: &str) -> Option<String> {
    let (ip, port) = split(address);
    answer(&host.run("timeout", &["2", "bash", "-c", ASK, ip, port]))
}

pub(super) fn ask_from_outside(host: &Host, address: &str) -> Option<String> {
    let (ip, port) = split(address);
    answer(&host.run_outside("timeout", &["2", "bash", "-c", ASK, ip, port]))
}

pub(super) fn ask_from(host: &Host, cli: Cli, container: &str, address: &str) -> Option<String> {
    let (ip, port) = split(address);
    let line = format!("printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {ip} {port}");
    answer(&host.cli(cli, &["exec", container, "sh", "-c", &line]))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn restart_with(host: &mut Host, args: &[&str]) {
    host.take_daemon().stop();
    host.start_with(args, "");
}

/// Runs a server in the host that holds a port, as any program may; says when it does.
fn hold_port(host: &Host, port: u16) -> std::process::Child {
    let mut command = host.enter("busybox");
    command.args(["nc", "-l", "-p", &port.to_string()]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let child = command.spawn().unwrap();
    let wanted = format!(":{port:04X} ");
    eventually("it listens", || {
        let tables = host.run("cat", &["/proc/net/tcp", "/proc/net/tcp6"]).stdout;
        tables.lines().any(|l| l.contains(&wanted) && l.contains(" 0A ")).then_some(())
    });
    child
}

rows! {
    fn r_net_11_every_form_of_p(host, cli) {
        let shown = |args: &[&str]| {
            let all = [&["run", "-d", "--name", "c1"], args, &["busybox", "sleep", "600"]].concat();
            host.cli(cli, &all).ok();
            let port = host.cli(cli, &["port", "c1"]).ok().replace('\n', ", ");
            let ps = host.cli(cli, &["ps", "--format", "{{.Ports}}"]).ok();
            host.cli(cli, &["rm", "-f", "c1"]).ok();
            (port, ps)
        };
        let check = |args: &[&str], port: &str, ps: &str| assert_eq!(shown(args), (port.to_owned(), ps.to_owned()), "{args:?}");
        check(&["-p", "8080:80"], "80/tcp -> 0.0.0.0:8080, 80/tcp -> [::]:8080", "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
        check(&["-p", "127.0.0.1:8080:80"], "80/tcp -> 127.0.0.1:8080", "127.0.0.1:8080->80/tcp");
        check(&["-p", "[::1]:8080:80"], "80/tcp -> [::1]:8080", "[::1]:8080->80/tcp");
        check(&["-p", "5353:53/udp"], "53/udp -> 0.0.0.0:5353, 53/udp -> [::]:5353", "0.0.0.0:5353->53/udp, [::]:5353->53/udp");
        check(
            &["-p", "127.0.0.1:8080-8081:80-81"],
            "80/tcp -> 127.0.0.1:8080, 81/tcp -> 127.0.0.1:8081",
            "127.0.0.1:8080->80/tcp, 127.0.0.1:8081->81/tcp",
        );
        check(&["-p", "127.0.0.1:8080-8090:80"], "80/tcp -> 127.0.0.1:8080", "127.0.0.1:8080->80/tcp");
        for any in ["80", "0:80", ":80"] {
            let (port, _) = shown(&["-p", any]);
            let number: u32 = port.split("0.0.0.0:").nth(1).and_then(|p| p.split(',').next()).unwrap().parse().unwrap();
            assert!((32768..=60999).contains(&number), "{any}: {port}");
        }
        let (port, _) = shown(&["-p", "127.0.0.1::8080"]);
        assert!(port.starts_with("8080/tcp -> 127.0.0.1:") && !port.contains("0.0.0.0"), "{port}");
    }

    fn r_net_11_ports_that_cannot_be(host, cli) {
        let refused = |form: &str| host.cli(cli, &["run", "-d", "-p", form, "busybox", "true"]).fails(125);
        // port 0 of the host stands for any
        host.cli(cli, &["run", "-d", "--name", "any", "-p", "0:80", "busybox", "sleep", "600"]).ok();
        assert!(!host.cli(cli, &["port", "any"]).ok().contains(":0"));
        host.cli(cli, &["rm", "-f", "any"]).ok();
        assert!(refused("-5:80").contains("invalid hostPort: -5"));
        assert!(refused("65536:80").contains("invalid hostPort: 65536"));
        assert!(refused("80:65536").contains("invalid containerPort: 65536"));
        assert!(refused("x:80").contains("invalid hostPort: x"));
        assert!(refused("1.2.3:80:80").contains("invalid IP address: 1.2.3"));
        assert!(refused("80/foo").contains("invalid proto: foo"));
        assert!(refused("8000-8001:80-82").contains("invalid ranges specified for container and host Ports: 80-82 and 8000-8001"));
        assert_eq!(host.cli(cli, &["ps", "-aq"]).ok(), "");
    }

    fn r_net_11_publish_all_takes_from_the_range(host, cli) {
        restart_with(&mut host, &["--publish-range", "49000-49900"]);
        host.cli(cli, &["run", "-d", "--name", "c1", "-P", "--expose", "22", "--expose", "7000-7002/udp", "busybox", "sleep", "600"]).ok();
        let ports = host.cli(cli, &["port", "c1"]).ok();
        let numbers: Vec<u32> = ports.lines().filter_map(|l| l.split("0.0.0.0:").nth(1)?.parse().ok()).collect();
        assert_eq!(numbers.len(), 4, "{ports}");
        assert!(numbers.iter().all(|p| (49000..=49900).contains(p)), "{ports}");
        assert!(ports.contains("22/tcp -> 0.0.0.0:") && ports.contains("7002/udp -> [::]:"), "{ports}");
    }

    fn r_net_11_a_port_taken_is_an_error_and_nothing_starts(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "one", "-p", "8080:80", "busybox", "sleep", "600"]).ok();
        let error = host.cli(cli, &["run", "-d", "--name", "two", "-p", "8080:81", "busybox", "sleep", "600"]).fails(125);
        let begin = "failed to set up container networking: driver failed programming external connectivity on endpoint two (";
        assert!(error.contains(begin) && error.contains("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{error}");
        assert_eq!(host.cli(cli, &["inspect", "-f", "{{.State.Status}}", "two"]).ok(), "created");
        // a program of the host
        let mut holder = hold_port(&host, 9090);
        let error = host.cli(cli, &["run", "-d", "--name", "three", "-p", "9090:80", "busybox", "sleep", "600"]).fails(125);
        assert!(error.contains("failed to bind host port for 0.0.0.0:9090:172.17.0.3:80/tcp: address already in use"), "{error}");
        // the server is a grandchild: nsenter forks into the host's PID namespace, and ends with it
        host.run("sh", &["-c", "kill -9 $(pidof busybox)"]).ok();
        holder.wait().unwrap();
        // and the other way round: nobody takes a published port
        assert_ne!(host.run("busybox", &["timeout", "1", "busybox", "nc", "-l", "-p", "8080"]).code, 143);
        host.cli(cli, &["rm", "-f", "one"]).ok();
        host.cli(cli, &["start", "two", "three"]).ok();
        host.cli(cli, &["rm", "-f", "two", "three"]).ok();
        host.assert_no_leaks();
    }

    fn r_net_12_a_published_port_answers_from_everywhere(host, cli) {
        host.cli(cli, &["network", "create", "other"]).ok();
        serve(&host, cli, "web", &["-p", "8080:80", "-p", "127.0.0.1:8081:80"]);
        assert_eq!(ask_from_outside(&host, &format!("{HOST}:8080")), some(OUTSIDE), "the client's address is kept");
        assert_eq!(ask_from_outside(&host, &format!("{HOST}:8081")), None);
        assert_eq!(ask(&host, &format!("{HOST}:8080")), some(HOST));
        for loopback in ["127.0.0.1:8080", "127.0.0.1:8081", "[::1]:8080", "172.17.0.1:8080"] {
            assert_eq!(ask(&host, loopback), some("172.17.0.1"), "{loopback}");
        }
        host.cli(cli, &["run", "-d", "--name", "near", "busybox", "sleep", "600"]).ok();
        host.cli(cli, &["run", "-d", "--name", "far", "--network", "other", "busybox", "sleep", "600"]).ok();
        for container in ["web", "near", "far"] {
            assert!(ask_from(&host, cli, container, &format!("{HOST}:8080")).is_some(), "{container}");
        }
        assert_eq!(ask_from(&host, cli, "far", "172.17.0.2:80"), None, "networks are isolated");
        host.cli(cli, &["stop", "-t", "0", "web"]).ok();
        assert_eq!(ask_from_outside(&host, &format!("{HOST}:8080")), None);
        host.cli(cli, &["start", "web"]).ok();
        eventually("it answers again", || ask_from_outside(&host, &format!("{HOST}:8080")));
    }

    fn r_net_12_ports_answer_while_the_daemon_is_dead(host, cli) {
        serve(&host, cli, "web", &["-p", "8080:80"]);
        host.take_daemon().kill();
        assert_eq!(ask(&host, "[::1]:8080"), some("172.17.0.1"));
        assert_eq!(ask(&host, "127.0.0.1:8080"), some("172.17.0.1"));
        assert_eq!(ask_from_outside(&host, &format!("{HOST}:8080")), some(OUTSIDE));
        host.start();
        assert_eq!(ask(&host, "[::1]:8080"), some("172.17.0.1"));
        let error = host.cli(cli, &["run", "-d", "-p", "8080:80", "busybox", "true"]).fails(125);
        assert!(error.contains("port is already allocated"), "{error}");
        // the process that holds the ports dies too
        let netd = host.run("pidof", &["wharf-netd"]).ok();
        host.run("kill", &["-9", &netd]).ok();
        eventually("another one holds them", || ask(&host, "[::1]:8080"));
        host.cli(cli, &["rm", "-f", "web"]).ok();
        assert_eq!(ask(&host, "[::1]:8080"), None);
    }

    fn r_net_12_without_the_userland_proxy(host, cli) {
        restart_with(&mut host, &["--userland-proxy=false"]);
        serve(&host, cli, "web", &["-p", "8080:80"]);
        assert_eq!(ask_from_outside(&host, &format!("{HOST}:8080")), some(OUTSIDE));
        assert_eq!(ask(&host, "127.0.0.1:8080"), some("172.17.0.1"));
        assert!(ask_from(&host, cli, "web", &format!("{HOST}:8080")).is_some(), "hairpin");
    }

    fn r_net_10_internal_networks_and_the_way_out(host, cli) {
        host.cli(cli, &["network", "create", "--internal", "in"]).ok();
        host.cli(cli, &["run", "-d", "--name", "free", "busybox", "sleep", "600"]).ok();
        serve(&host, cli, "inner", &["--network", "in", "-p", "8080:80"]);
        let ping = |container: &str| host.cli(cli, &["exec", container, "ping", "-c1", "-W1", OUTSIDE]).code;
        assert_eq!((ping("free"), ping("inner")), (0, 1));
        assert_eq!(host.cli(cli, &["port", "inner"]).ok(), "", "nothing is published from there");
        assert_eq!(ask_from_outside(&host, &format!("{HOST}:8080")), None);
    }

    fn r_net_09_containers_that_may_not_talk(host, cli) {
        host.cli(cli, &["network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "quiet"]).ok();
        serve(&host, cli, "web", &["--network", "quiet", "-p", "8080:80"]);
        host.cli(cli, &["run", "-d", "--name", "near", "--network", "quiet", "busybox", "sleep", "600"]).ok();
        assert_eq!(ask_from(&host, cli, "near", "web:80"), None);
        assert!(ask_from(&host, cli, "near", &format!("{HOST}:8080")).is_some(), "a published port is for everybody");
        assert_eq!(host.cli(cli, &["exec", "near", "ping", "-c1", "-W1", OUTSIDE]).code, 0);
    }

    fn r_net_13_the_iptables_back_end_shows_what_users_know(host, cli) {
        restart_with(&mut host, &["--firewall-backend", "iptables"]);
        assert_eq!(host.cli(cli, &["info", "-f", "{{json .FirewallBackend.Driver}}"]).stdout.trim().trim_matches('"'), "iptables");
        let save = || host.run("iptables-nft-save", &[]).ok();
        serve(&host, cli, "web", &["-p", "8080:80"]);
        let nat = host.run("iptables-nft", &["-t", "nat", "-L", "-n"]).ok();
        for part in ["Chain DOCKER (2 references)", "MASQUERADE", "172.17.0.0/16", "tcp dpt:8080 to:172.17.0.2:80"] {
            assert!(nat.contains(part), "{part}: {nat}");
        }
        let text = save();
        for line in ["-A FORWARD -j DOCKER-USER", "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP", "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert_eq!(ask_from_outside(&host, &format!("{HOST}:8080")), some(OUTSIDE));
        for loopback in ["127.0.0.1:8080", "[::1]:8080"] {
            assert_eq!(ask(&host, loopback), some("172.17.0.1"), "{loopback}");
        }
        host.run("iptables-nft", &["-I", "DOCKER-USER", "-s", OUTSIDE, "-j", "DROP"]).ok();
        assert_eq!(ask_from_outside(&host, &format!("{HOST}:8080")), None, "DOCKER-USER is honoured");
        host.crash_and_restart();
        restart_with(&mut host, &["--firewall-backend", "iptables"]);
        assert!(host.run("iptables-nft-save", &[]).ok().contains(&format!("-A DOCKER-USER -s {OUTSIDE}/32 -j DROP")));
        host.run("iptables-nft", &["-F", "DOCKER-USER"]).ok();
        host.run("nft", &["flush", "ruleset"]).ok();
        eventually("the rules are back", || ask_from_outside(&host, &format!("{HOST}:8080")));
        host.cli(cli, &["network", "create", "-o", "com.docker.network.bridge.name=brgone", "gone"]).ok();
        assert!(host.run("iptables-nft-save", &[]).ok().contains("brgone"));
        host.cli(cli, &["network", "rm", "gone"]).ok();
        host.cli(cli, &["rm", "-f", "web"]).ok();
        let text = host.run("iptables-nft-save", &[]).ok();
        assert!(!text.contains("brgone") && !text.contains("8080"), "{text}");
    }

    fn r_net_13_rules_come_back_after_a_flush(host, cli) {
        serve(&host, cli, "web", &["-p", "8080:80"]);
        for _ in 0..3 {
            host.run("nft", &["flush", "ruleset"]).ok();
            eventually("the rules are back", || ask_from_outside(&host, &format!("{HOST}:8080")));
        }
    }

    fn r_net_13_rules_are_explained(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "web", "-p", "8080:80", "busybox", "sleep", "600"]).ok();
        let text = host.wharf(&["network", "rules", "bridge"]).ok();
        for part in ["its containers may talk to each other", "0.0.0.0:8080/tcp is open to everybody", "web published it", "map any4: tcp . 8080 : 172.17.0.2 . 80"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let all = host.wharf(&["network", "rules", "--words"]).ok();
        assert!(all.contains("this machine's own network") && !all.contains("    "), "{all}");
        let missing = host.wharf(&["network", "rules", "nope"]).fails(1);
        assert!(missing.contains("network nope not found"), "{missing}");
    }

    fn r_net_11_killed_at_every_step_nothing_holds_a_port(host, cli) {
        for point in ["net.attach.after_links", "net.attach.after_firewall", "net.attach.after_ports"] {
            host.take_daemon().stop();
            host.start_with(&[], &format!("{point}=kill"));
            host.cli(cli, &["run", "-d", "--name", "c1", "-p", "8080:80", "busybox", "sleep", "600"]);
            host.take_daemon().wait_dead();
            host.start();
            host.cli(cli, &["rm", "-f", "c1"]).ok();
            host.cli(cli, &["run", "-d", "--name", "c1", "-p", "8080:80", "busybox", "sleep", "600"]).ok();
            host.cli(cli, &["rm", "-f", "c1"]).ok();
            host.assert_no_leaks();
        }
    }
}
