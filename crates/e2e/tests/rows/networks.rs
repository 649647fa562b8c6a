//! NET-01 … NET-09, NET-14, NET-16: networks of users, names, links, places of running and stopped containers.

use std::process::Stdio;

use serde_json::{Value, json};
use wharf_testkit::{Cli, Host, eventually};

/// Starts a container that stays.
fn idle(host: &Host, cli: Cli, name: &str, args: &[&str]) -> String {
    let mut all = vec!["run", "-d", "--name", name];
    all.extend_from_slice(args);
    all.extend_from_slice(&["busybox", "sleep", "600"]);
    host.cli(cli, &all).ok()
}

fn exec(host: &Host, cli: Cli, name: &str, script: &str) -> wharf_testkit::Output {
    host.cli(cli, &["exec", name, "sh", "-c", script])
}

fn inspect(host: &Host, cli: Cli, name: &str, template: &str) -> String {
    host.cli(cli, &["inspect", "-f", template, name]).ok()
}

fn address(host: &Host, cli: Cli, name: &str, network: &str) -> String {
    inspect(host, cli, name, &format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}"))
}

/// The addresses that `from` has for a name; empty when it has none.
fn lookup(host: &Host, cli: Cli, from: &str, name: &str) -> Vec<String> {
    let text = exec(host, cli, from, &format!("nslookup -type=a {name}")).stdout;
    let answers = text.lines().skip_while(|l| !l.starts_with("Name:"));
    let mut found: Vec<_> = answers.filter_map(|l| l.strip_prefix("Address: ")).map(|a| a.trim().to_owned()).collect();
    found.sort();
    found
}

/// A resolver that knows `outside.example` and nothing else.
const RESOLVER: &str = r#"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("203.0.113.1", 53))
while True:
    q, who = s.recvfrom(512)
    end = q.index(0, 12) + 5
    known = q[12:end] == b"\x07outside\x07example\0\0\1\0\1"
    head = q[:2] + (b"\x81\x80\0\1\0\1" if known else b"\x81\x83\0\1\0\0") + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([198, 51, 100, 7])
    s.sendto(head + q[12:end] + (record if known else b""), who)
"#;

/// Three seconds of 5,000 packets each: random bytes, and questions that are cut off, too long, or point to themselves.
const FLOOD: &str = r#"
import os, random, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
good = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\4long\0\0\1\0\1"
start = time.monotonic()
for n in range(15000):
    kind = n % 5
    packet = [os.urandom(random.randrange(600)), good[:random.randrange(len(good))], good[:12] + b"\x3f" * 300,
              good[:12] + b"\xc0\x0c\0\1\0\1", good[:4] + os.urandom(8) + good[12:]][kind]
    s.sendto(packet, ("127.0.0.11", 53))
    ahead = n / 5000 - (time.monotonic() - start)
    if ahead > 0.002:
        time.sleep(ahead)
assert time.monotonic() - start < 6, "slower than it should be"
"#;

fn reaches(host: &Host, cli: Cli, from: &str, to: &str) -> bool {
    exec(host, cli, from, &format!("ping -c1 -W2 {to}")).code == 0
}

rows! {
    fn r_net_01_three_networks_are_always_there(host, cli) {
        let list = host.cli(cli, &["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"]).ok();
        assert_eq!(list, "bridge bridge local\nhost host local\nnone null local");
        for name in ["bridge", "host", "none"] {
            let refused = host.cli(cli, &["network", "rm", name]).fails(1);
            assert!(refused.contains(&format!("{name} is a pre-defined network and cannot be removed")), "{refused}");
        }
        let ipam = host.cli(cli, &["network", "inspect", "bridge", "-f", "{{json .IPAM.Config}}"]).ok();
        assert_eq!(ipam, r#"[{"Subnet":"172.17.0.0/16","Gateway":"172.17.0.1"}]"#);
        host.cli(cli, &["network", "create", "--label", "a=b", "used"]).ok();
        host.cli(cli, &["network", "create", "unused"]).ok();
        idle(&host, cli, "c1", &["--network", "used"]);
        let busy = host.cli(cli, &["network", "rm", "used"]).fails(1);
        assert!(busy.contains("error while removing network: network used has active endpoints (name:\"c1\" id:"), "{busy}");
        let names = |args: &[&str]| {
            let mut all = vec!["network", "ls", "--format", "{{.Name}}"];
            all.extend_from_slice(args);
            host.cli(cli, &all).ok()
        };
        assert_eq!(names(&["--filter", "type=custom"]), "unused\nused");
        assert_eq!(names(&["--filter", "label=a=b"]), "used");
        assert_eq!(names(&["--filter", "dangling=true"]), "unused");
        assert!(host.cli(cli, &["network", "ls", "--filter", "foo=bar"]).fails(1).contains("invalid filter 'foo'"));
        assert!(host.cli(cli, &["network", "prune", "-f"]).ok().contains("unused"));
        assert_eq!(names(&["--filter", "type=custom"]), "used");
        let events = crate::events(&host, cli, &["type=network"], "{{.Action}} {{.Actor.Attributes.name}}");
        for line in ["create used", "create unused", "connect used", "destroy unused"] {
            assert!(events.lines().any(|l| l == line), "{line} in {events}");
        }
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        assert_eq!(host.cli(cli, &["network", "rm", "used"]).ok(), "used");
        // a bridge with a name that we made up is taken away behind the answer
        eventually("their bridges are gone", || (!host.run("ip", &["-o", "link"]).ok().contains("br-")).then_some(()));
        host.assert_no_leaks();
    }

    fn r_net_04_subnets_and_static_addresses(host, cli) {
        host.cli(cli, &["network", "create", "--subnet", "172.22.16.0/24", "--gateway", "172.22.16.1", "my_net"]).ok();
        idle(&host, cli, "web1", &["--network", "my_net", "--ip", "172.22.16.8", "--mac-address", "02:42:ac:11:00:99"]);
        assert_eq!(address(&host, cli, "web1", "my_net"), "172.22.16.8");
        let inside = exec(&host, cli, "web1", "cat /sys/class/net/eth0/address; ip route").ok();
        assert!(inside.starts_with("02:42:ac:11:00:99\ndefault via 172.22.16.1 dev eth0"), "{inside}");
        let run = |args: &[&str]| {
            let mut all = vec!["run", "--rm"];
            all.extend_from_slice(args);
            all.extend_from_slice(&["busybox", "true"]);
            host.cli(cli, &all).fails(125)
        };
        host.cli(cli, &["network", "create", "chosen"]).ok();
        for (args, sentence) in [
            (&["--network", "chosen", "--ip", "172.18.0.9"][..], "user specified IP address is supported only when connecting to networks with user configured subnets"),
            (&["--ip", "172.17.0.9"], "invalid config for network bridge: invalid endpoint settings:\nuser specified IP address is supported on user defined networks only"),
            (&["--network", "my_net", "--ip", "10.1.1.1"], "no configured subnet or ip-range contain the IP address 10.1.1.1"),
            (&["--network", "my_net", "--ip", "zz"], "* invalid IPv4 address: zz\n* no configured subnet"),
            (&["--network", "my_net", "--ip", "172.22.16.8"], "failed to set up container networking: Address already in use"),
            (&["--network", "nosuch"], "failed to set up container networking: network nosuch not found"),
            (&["--network", "my_net", "--network", "none"], "conflicting options: cannot attach both user-defined and non-user-defined network-modes"),
        ] {
            let said = run(args);
            assert!(said.contains(sentence), "{args:?}: {said}");
        }
        // a stopped container keeps its address, and has it again
        host.cli(cli, &["stop", "-t", "0", "web1"]).ok();
        assert!(run(&["--network", "my_net", "--ip", "172.22.16.8"]).contains("Address already in use"));
        host.cli(cli, &["start", "web1"]).ok();
        assert_eq!(address(&host, cli, "web1", "my_net"), "172.22.16.8");
        host.cli(cli, &["rm", "-f", "web1"]).ok();
        host.cli(cli, &["run", "--rm", "--network", "my_net", "--ip", "172.22.16.8", "busybox", "true"]).ok();
    }

    fn r_net_04_bad_networks_are_refused_and_leave_nothing(host, cli) {
        host.run("ip", &["link", "add", "vpn0", "type", "bridge"]).ok();
        host.run("ip", &["addr", "add", "10.66.0.1/16", "dev", "vpn0"]).ok();
        host.run("ip", &["link", "set", "vpn0", "up"]).ok();
        host.cli(cli, &["network", "create", "--subnet", "10.231.0.0/16", "there"]).ok();
        for (args, sentence) in [
            (&["--subnet", "10.231.4.0/24"][..], "invalid pool request: Pool overlaps with other one on this address space"),
            (&["--subnet", "10.66.0.0/16"], "10.66.0.0/16 on vpn0"),
            (&["--subnet", "0.0.0.0/0"], "invalid pool request"),
            (&["--subnet", "10.0.0.0/33"], "invalid subnet 10.0.0.0/33: invalid CIDR block notation"),
            (&["--subnet", "10.233.0.5/24"], "invalid subnet 10.233.0.5/24: it should be 10.233.0.0/24"),
            (&["--subnet", "10.233.0.0/24", "--gateway", "10.235.0.1"], "no matching subnet for gateway 10.235.0.1"),
            (&["--gateway", "10.0.0.1"], "every ip-range or gateway must have a corresponding subnet"),
            (&["-o", "com.docker.network.bridge.enable_icc=zz"], "strconv.ParseBool: parsing \"zz\": invalid syntax"),
            (&["-o", "com.docker.network.driver.mtu=-1"], "invalid MTU number: -1"),
            (&["-o", "com.docker.network.bridge.gateway_mode_ipv4=isolated"], "gateway mode 'isolated' can only be used for an internal network"),
            (&["-o", "com.docker.network.bridge.name=docker0"], "networks have same bridge name"),
            (&["-d", "nosuch"], "plugin \"nosuch\" not found"),
            (&["-d", "macvlan", "-o", "parent=nosuch0"], "invalid subinterface vlan name nosuch0, example formatting is eth0.10"),
            (&["-d", "ipvlan", "-o", "parent=eth0"], "operation not supported"),
            (&["--ipv4=false"], "IPv4 or IPv6 must be enabled"),
        ] {
            let mut all = vec!["network", "create"];
            all.extend_from_slice(args);
            all.push("bad");
            let said = host.cli(cli, &all);
            assert_ne!(said.code, 0, "{args:?}");
            assert!(said.stderr.contains(sentence), "{args:?}: {}", said.stderr);
        }
        assert_eq!(host.cli(cli, &["network", "ls", "-q", "--filter", "type=custom"]).ok().lines().count(), 1);
        let links = host.run("ip", &["-o", "link"]).ok();
        assert_eq!(links.matches("br-").count(), 1, "{links}");
        let none = host.run("ip", &["-o", "link", "show", "type", "macvlan"]).ok();
        assert!(none.is_empty(), "{none}");
    }

    fn r_net_04_options_of_bridges(host, cli) {
        let create = |name: &str, args: &[&str]| {
            let mut all = vec!["network", "create"];
            all.extend_from_slice(args);
            all.push(name);
            host.cli(cli, &all).ok()
        };
        create("o1", &["-o", "com.docker.network.bridge.name=mybr", "-o", "com.docker.network.driver.mtu=1400", "-o", "com.docker.network.container_iface_prefix=lan"]);
        idle(&host, cli, "c1", &["--network", "o1"]);
        assert!(host.run("ip", &["link", "show", "mybr"]).ok().contains("mtu 1400"));
        assert!(exec(&host, cli, "c1", "ip link show lan0").ok().contains("mtu 1400"));
        create("inside", &["--internal", "--subnet", "10.232.0.0/24"]);
        idle(&host, cli, "c2", &["--network", "inside"]);
        assert!(!exec(&host, cli, "c2", "ip route").ok().contains("default"));
        assert!(!reaches(&host, cli, "c2", "203.0.113.1"), "an internal network has no way out");
        create("alone", &["--internal", "-o", "com.docker.network.bridge.gateway_mode_ipv4=isolated", "-o", "com.docker.network.bridge.name=lonely"]);
        assert!(!host.run("ip", &["addr", "show", "lonely"]).ok().contains("inet "), "the bridge has no address");
        create("inhibited", &["-o", "com.docker.network.bridge.inhibit_ipv4=true", "-o", "com.docker.network.bridge.name=noaddr"]);
        assert!(!host.run("ip", &["addr", "show", "noaddr"]).ok().contains("inet "), "the bridge has no address");
        create("quiet", &["-o", "com.docker.network.bridge.enable_icc=false", "--subnet", "10.235.0.0/24"]);
        idle(&host, cli, "q1", &["--network", "quiet"]);
        idle(&host, cli, "q2", &["--network", "quiet"]);
        assert!(!reaches(&host, cli, "q1", &address(&host, cli, "q2", "quiet")));
        let named = host.cli(cli, &["run", "--rm", "--network", "name=o1,alias=a1,driver-opt=com.docker.network.endpoint.ifname=foo0,gw-priority=5", "--network", "inside", "busybox", "sh", "-c", "ls /sys/class/net; ip route"]).ok();
        assert!(named.contains("foo0") && named.contains("default via") && named.contains("dev foo0"), "{named}");
    }

    fn r_net_05_connect_and_disconnect_live(host, cli) {
        host.cli(cli, &["network", "create", "n1"]).ok();
        host.cli(cli, &["network", "create", "--subnet", "10.240.0.0/24", "n2"]).ok();
        idle(&host, cli, "aa", &["--network", "n1"]);
        idle(&host, cli, "bb", &["--network", "n2"]);
        let there = address(&host, cli, "bb", "n2");
        assert!(!reaches(&host, cli, "aa", &there) && !reaches(&host, cli, "bb", &address(&host, cli, "aa", "n1")));
        host.cli(cli, &["network", "connect", "--ip", "10.240.0.77", "--alias", "extra", "n2", "aa"]).ok();
        assert_eq!(exec(&host, cli, "aa", "ls /sys/class/net").ok(), "eth0\neth1\nlo");
        assert_eq!(address(&host, cli, "aa", "n2"), "10.240.0.77");
        assert!(reaches(&host, cli, "aa", "bb"), "by name, too");
        assert_eq!(lookup(&host, cli, "bb", "extra"), ["10.240.0.77"]);
        assert!(exec(&host, cli, "aa", "cat /etc/hosts").ok().contains("10.240.0.77\t"));
        let again = host.cli(cli, &["network", "connect", "n2", "aa"]).fails(1);
        assert!(again.contains("endpoint with name aa already exists in network n2"), "{again}");
        // places survive the daemon and a restart of the container
        host.crash_and_restart();
        assert!(reaches(&host, cli, "aa", "bb"));
        host.cli(cli, &["restart", "-t", "0", "aa"]).ok();
        assert_eq!(address(&host, cli, "aa", "n2"), "10.240.0.77");
        host.cli(cli, &["network", "disconnect", "n2", "aa"]).ok();
        assert_eq!(exec(&host, cli, "aa", "ls /sys/class/net").ok(), "eth0\nlo");
        assert!(!reaches(&host, cli, "aa", &there) && !exec(&host, cli, "aa", "cat /etc/hosts").ok().contains("10.240.0.77"));
        let gone = host.cli(cli, &["network", "disconnect", "n2", "aa"]).fails(1);
        assert!(gone.contains("is not connected to network n2"), "{gone}");
        // off every network; back on the main one after a restart
        host.cli(cli, &["network", "disconnect", "n1", "aa"]).ok();
        assert_eq!(inspect(&host, cli, "aa", "{{json .NetworkSettings.Networks}}"), "{}");
        host.cli(cli, &["restart", "-t", "0", "aa"]).ok();
        assert!(!address(&host, cli, "aa", "n1").is_empty());
        for (network, sentence) in [("host", "cannot connect container to host network"), ("none", "in private (none) mode")] {
            let refused = host.cli(cli, &["network", "connect", network, "aa"]).fails(1);
            assert!(refused.contains(sentence), "{refused}");
        }
        // a container that does not run
        host.cli(cli, &["stop", "-t", "0", "aa"]).ok();
        host.cli(cli, &["network", "connect", "--ip", "10.240.0.99", "n2", "aa"]).ok();
        let taken = host.cli(cli, &["run", "--rm", "--network", "n2", "--ip", "10.240.0.99", "busybox", "true"]).fails(125);
        assert!(taken.contains("Address already in use"), "{taken}");
        host.cli(cli, &["network", "disconnect", "n2", "aa"]).ok();
        host.cli(cli, &["run", "--rm", "--network", "n2", "--ip", "10.240.0.99", "busybox", "true"]).ok();
        host.cli(cli, &["rm", "-f", "aa", "bb"]).ok();
        host.cli(cli, &["network", "rm", "n1", "n2"]).ok();
        host.assert_no_leaks();
    }

    fn r_net_06_names(host, cli) {
        host.cli(cli, &["network", "create", "my_net"]).ok();
        let id = idle(&host, cli, "web", &["--network", "my_net", "--network-alias", "pool"]);
        idle(&host, cli, "db", &["--network", "my_net", "--network-alias", "pool"]);
        let file = exec(&host, cli, "web", "cat /etc/resolv.conf").ok();
        assert!(file.contains("\nnameserver 127.0.0.11\noptions ndots:0\n"), "{file}");
        assert!(file.contains("(internal resolver)\n# ExtServers: ["), "{file}");
        let (web, db) = (address(&host, cli, "web", "my_net"), address(&host, cli, "db", "my_net"));
        for name in ["web", "WEB", "web.my_net", &id[..12]] {
            assert_eq!(lookup(&host, cli, "db", name), [web.as_str()], "{name}");
        }
        let mut both = [web.clone(), db.clone()];
        both.sort();
        assert_eq!(lookup(&host, cli, "web", "pool"), both);
        let first: std::collections::BTreeSet<_> = (0..8).map(|_| {
            let text = exec(&host, cli, "web", "nslookup -type=a pool").stdout;
            text.lines().skip_while(|l| !l.starts_with("Name:")).nth(1).unwrap_or_default().to_owned()
        }).collect();
        assert_eq!(first.len(), 2, "each comes first in turn: {first:?}");
        let ping = exec(&host, cli, "db", "ping -c1 web").ok();
        assert!(ping.contains(&format!("PING web ({web})")), "{ping}");
        assert!(exec(&host, cli, "db", &format!("nslookup {web}")).ok().contains("name = web.my_net"));
        host.cli(cli, &["rename", "web", "shop"]).ok();
        assert_eq!(lookup(&host, cli, "db", "shop"), [web.as_str()]);
        assert!(lookup(&host, cli, "db", "web").is_empty(), "its old name is free");
        // not on the default bridge
        idle(&host, cli, "plain", &[]);
        assert!(!exec(&host, cli, "plain", "cat /etc/resolv.conf").ok().contains("127.0.0.11"));
        assert!(lookup(&host, cli, "plain", "db").is_empty());
        // until it is connected to a network that has names
        host.cli(cli, &["network", "connect", "my_net", "plain"]).ok();
        assert_eq!(lookup(&host, cli, "plain", "db"), [db.as_str()]);
        let options = host.cli(cli, &["run", "--rm", "--network", "my_net", "--dns", "192.0.2.5", "--dns-search", "ex.com", "--dns-option", "ndots:3", "busybox", "cat", "/etc/resolv.conf"]).ok();
        assert!(options.contains("nameserver 127.0.0.11\nsearch ex.com\noptions ndots:3\n") && options.contains("ExtServers: [192.0.2.5]\n# Overrides: [nameservers search options]"), "{options}");
        let hosts = host.cli(cli, &["run", "--rm", "--network", "my_net", "--add-host", "host.docker.internal:host-gateway", "--add-host", "x:192.0.2.9", "busybox", "cat", "/etc/hosts"]).ok();
        assert!(hosts.contains("172.17.0.1\thost.docker.internal\n192.0.2.9\tx\n"), "{hosts}");
    }

    fn r_net_06_the_rest_of_the_world_answers(host, cli) {
        // a resolver outside, which knows one name
        let mut server = host.outside().command("python3").args(["-c", RESOLVER]).spawn().unwrap();
        host.cli(cli, &["network", "create", "my_net"]).ok();
        idle(&host, cli, "web", &["--network", "my_net", "--dns", "203.0.113.1"]);
        eventually("the answer comes from outside", || {
            (lookup(&host, cli, "web", "outside.example") == ["198.51.100.7"]).then_some(())
        });
        // and is kept: it is known while the other does not answer
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(lookup(&host, cli, "web", "outside.example"), ["198.51.100.7"]);
        host.cli(cli, &["network", "create", "--internal", "closed"]).ok();
        idle(&host, cli, "shut", &["--network", "closed"]);
        let inside = exec(&host, cli, "shut", "nslookup -type=a outside.example");
        assert!(inside.stdout.contains("SERVFAIL") || inside.stdout.contains("NXDOMAIN"), "{}", inside.stdout);
    }

    fn r_net_06_names_while_the_daemon_is_away_and_when_the_resolver_dies(host, cli) {
        host.cli(cli, &["network", "create", "my_net"]).ok();
        idle(&host, cli, "web", &["--network", "my_net"]);
        idle(&host, cli, "db", &["--network", "my_net"]);
        let db = address(&host, cli, "db", "my_net");
        let pid = inspect(&host, cli, "web", "{{.State.Pid}}");
        host.take_daemon().kill();
        let inside = |script: &str| host.run("nsenter", &["-t", &pid, "-n", "-m", "sh", "-c", script]).stdout;
        assert!(inside("nslookup db").contains(&format!("Address: {db}")), "names do not need the daemon");
        host.start();
        assert_eq!(lookup(&host, cli, "web", "db"), [db.as_str()]);
        let netd = |host: &Host| host.run("pidof", &["wharf-netd"]).stdout.trim().to_owned();
        let before = netd(&host);
        host.run("kill", &["-9", &before]).ok();
        eventually("another resolver answers", || (lookup(&host, cli, "web", "db") == [db.as_str()]).then_some(()));
        assert_ne!(netd(&host), before);
        host.cli(cli, &["rm", "-f", "web", "db"]).ok();
        host.cli(cli, &["network", "rm", "my_net"]).ok();
        host.assert_no_leaks();
    }

    fn r_net_07_links_on_the_default_bridge(host, cli) {
        let nosuch = host.cli(cli, &["run", "--rm", "--link", "nosuch:x", "busybox", "true"]).fails(125);
        assert!(nosuch.contains("could not get container for nosuch: No such container: nosuch"), "{nosuch}");
        idle(&host, cli, "first", &[]);
        let id = idle(&host, cli, "db", &["--expose", "5432", "-e", "DBPW=secret"]);
        let source = address(&host, cli, "db", "bridge");
        idle(&host, cli, "web", &["--link", "db:webdb"]);
        let env = exec(&host, cli, "web", "env").ok();
        for line in [
            "WEBDB_NAME=/web/webdb".to_owned(),
            format!("WEBDB_PORT=tcp://{source}:5432"),
            format!("WEBDB_PORT_5432_TCP=tcp://{source}:5432"),
            format!("WEBDB_PORT_5432_TCP_ADDR={source}"),
            "WEBDB_PORT_5432_TCP_PORT=5432".into(),
            "WEBDB_PORT_5432_TCP_PROTO=tcp".into(),
            "WEBDB_ENV_DBPW=secret".into(),
        ] {
            assert!(env.lines().any(|l| l == line), "{line} in {env}");
        }
        let hosts = |name: &str| exec(&host, cli, name, "cat /etc/hosts").ok();
        assert!(hosts("web").contains(&format!("{source}\twebdb {} db\n", &id[..12])), "{}", hosts("web"));
        assert_eq!(inspect(&host, cli, "web", "{{json .HostConfig.Links}}"), r#"["/db:/web/webdb"]"#);
        assert_eq!(host.cli(cli, &["ps", "--no-trunc", "--filter", "name=db", "--format", "{{.Names}}"]).ok(), "db,web/webdb");
        // the source comes back with another address
        host.cli(cli, &["stop", "-t", "0", "db", "first"]).ok();
        let down = host.cli(cli, &["run", "--rm", "--name", "late", "--link", "db:x", "busybox", "true"]).fails(125);
        assert!(down.contains("Cannot link to a non running container: /db AS /late/x"), "{down}");
        idle(&host, cli, "takes", &[]);
        host.cli(cli, &["start", "first", "db"]).ok();
        let moved = address(&host, cli, "db", "bridge");
        assert_ne!(moved, source);
        assert!(hosts("web").contains(&format!("{moved}\twebdb ")), "{}", hosts("web"));
        let environ = exec(&host, cli, "web", "tr '\\0' '\\n' < /proc/1/environ").ok();
        assert!(environ.contains(&format!("WEBDB_PORT_5432_TCP_ADDR={source}")), "the environment stays: {environ}");
        assert!(reaches(&host, cli, "web", "webdb"));
        host.cli(cli, &["rm", "--link", "/web/webdb"]).ok();
        assert_eq!(inspect(&host, cli, "web", "{{json .HostConfig.Links}}"), "null");
    }

    fn r_net_08_links_on_networks_of_users(host, cli) {
        host.cli(cli, &["network", "create", "my_net"]).ok();
        idle(&host, cli, "web", &["--network", "my_net", "--link", "db:webdb"]);
        assert!(lookup(&host, cli, "web", "webdb").is_empty(), "the source comes later");
        idle(&host, cli, "db", &["--network", "my_net"]);
        let db = address(&host, cli, "db", "my_net");
        assert_eq!(lookup(&host, cli, "web", "webdb"), [db.as_str()]);
        assert!(lookup(&host, cli, "db", "webdb").is_empty(), "nobody else knows it");
        assert!(!exec(&host, cli, "web", "env").ok().contains("WEBDB"));
    }

    fn r_net_16_ipv6(host, cli) {
        host.cli(cli, &["network", "create", "--ipv6", "--subnet", "2001:db8:5::/64", "six"]).ok();
        idle(&host, cli, "aa", &["--network", "six", "--ip6", "2001:db8:5::77"]);
        idle(&host, cli, "bb", &["--network", "six"]);
        let six = inspect(&host, cli, "aa", "{{.NetworkSettings.Networks.six.GlobalIPv6Address}}/{{.NetworkSettings.Networks.six.GlobalIPv6PrefixLen}} {{.NetworkSettings.Networks.six.IPv6Gateway}}");
        assert_eq!(six, "2001:db8:5::77/64 2001:db8:5::1");
        exec(&host, cli, "bb", "ping -6 -c1 2001:db8:5::77 && ping -6 -c1 2001:db8:5::1 && ping -6 -c1 aa && ping -4 -c1 aa").ok();
        assert!(exec(&host, cli, "bb", "nslookup -type=aaaa aa").ok().contains("2001:db8:5::77"));
        host.cli(cli, &["network", "create", "--ipv4=false", "--ipv6", "only"]).ok();
        idle(&host, cli, "cc", &["--network", "only"]);
        assert!(!exec(&host, cli, "cc", "ip addr show eth0").ok().contains("inet "));
        assert!(exec(&host, cli, "cc", "ip -6 route").ok().contains("default via fd"));
        host.cli(cli, &["rm", "-f", "aa", "bb", "cc"]).ok();
        host.cli(cli, &["network", "rm", "six", "only"]).ok();
        host.assert_no_leaks();
    }

    fn r_net_02_a_borrowed_network(host, cli) {
        host.cli(cli, &["network", "create", "my_net"]).ok();
        idle(&host, cli, "web1", &["--network", "my_net", "-h", "shared"]);
        let both = ["sh", "-c", "cat /sys/class/net/eth0/address; ip -4 addr show eth0; hostname; cat /etc/resolv.conf /etc/hosts"];
        let mut args = vec!["exec", "web1"];
        args.extend(both);
        let mine = host.cli(cli, &args).ok();
        let mut args = vec!["run", "--rm", "--network", "container:web1", "busybox"];
        args.extend(both);
        assert_eq!(host.cli(cli, &args).ok(), mine);
        for (args, sentence) in [
            (&["-h", "x"][..], "conflicting options: hostname and the network mode"),
            (&["-p", "80:80"], "conflicting options: port publishing and the container type network mode"),
            (&["--expose", "80"], "conflicting options: port exposing and the container type network mode"),
            (&["--dns", "1.1.1.1"], "conflicting options: dns and the network mode"),
            (&["--add-host", "a:1.1.1.1"], "conflicting options: custom host-to-IP mapping and the network mode"),
            (&["--link", "web1:x"], "conflicting options: container type network can't be used with links"),
        ] {
            let mut all = vec!["run", "--rm", "--network", "container:web1"];
            all.extend_from_slice(args);
            all.extend_from_slice(&["busybox", "true"]);
            let said = host.cli(cli, &all).fails(125);
            assert!(said.contains(sentence), "{args:?}: {said}");
        }
        let missing = host.cli(cli, &["run", "--rm", "--network", "container:nosuch", "busybox", "true"]).fails(125);
        assert!(missing.contains("joining network namespace of container: No such container: nosuch"), "{missing}");
    }

    fn r_net_14_macvlan_on_the_wire(host, cli) {
        // the parent is a wire to the outside world, which is one more machine on the same segment
        host.cli(cli, &["network", "create", "-d", "macvlan", "--subnet", "203.0.113.0/24", "--gateway", "203.0.113.1", "--ip-range", "203.0.113.128/25", "-o", "parent=eth0", "wire"]).ok();
        idle(&host, cli, "aa", &["--network", "wire"]);
        idle(&host, cli, "bb", &["--network", "wire", "--ip", "203.0.113.200"]);
        assert_eq!(address(&host, cli, "aa", "wire"), "203.0.113.128");
        assert!(reaches(&host, cli, "aa", "203.0.113.1"), "the other machine on the segment");
        assert!(reaches(&host, cli, "aa", "bb"), "each other, by name");
        // no NAT: the outside reaches a container by its own address
        let seen = host.run_outside("busybox", &["ping", "-c1", "-W2", "203.0.113.200"]);
        assert_eq!(seen.code, 0, "{}", seen.stdout);
        host.cli(cli, &["rm", "-f", "aa", "bb"]).ok();
        host.cli(cli, &["network", "rm", "wire"]).ok();
        assert!(host.run("ip", &["-o", "link", "show", "type", "macvlan"]).ok().is_empty());
    }

    fn r_net_13_a_deleted_bridge_comes_back(host, cli) {
        host.cli(cli, &["network", "create", "-o", "com.docker.network.bridge.name=mybr", "my_net"]).ok();
        idle(&host, cli, "aa", &[]);
        idle(&host, cli, "bb", &[]);
        idle(&host, cli, "cc", &["--network", "my_net"]);
        idle(&host, cli, "dd", &["--network", "my_net"]);
        for (link, from, to, network) in [("docker0", "aa", "bb", "bridge"), ("mybr", "cc", "dd", "my_net")] {
            host.run("ip", &["link", "del", link]).ok();
            let target = address(&host, cli, to, network);
            eventually("the bridge is back with its ports", || reaches(&host, cli, from, &target).then_some(()));
            assert!(reaches(&host, cli, from, "203.0.113.1"), "and the way out");
        }
    }

    fn r_net_06_hostile_names_and_packets(host, cli) {
        host.cli(cli, &["network", "create", "my_net"]).ok();
        let label = "l".repeat(63);
        let long = [label.as_str(), &label, &label, &"m".repeat(60)].join(".");
        idle(&host, cli, "long", &["--network", "my_net", "--network-alias", &label, "--network-alias", &long]);
        idle(&host, cli, "web", &["--network", "my_net"]);
        let target = address(&host, cli, "long", "my_net");
        assert_eq!(lookup(&host, cli, "web", &label), [target.as_str()]);
        assert_eq!(lookup(&host, cli, "web", &long), [target.as_str()]);
        let aliases: Vec<String> = (0..1000).map(|n| format!("alias-{n}")).collect();
        let mut args = vec!["--network", "my_net"];
        args.extend(aliases.iter().flat_map(|a| ["--network-alias", a.as_str()]));
        idle(&host, cli, "many", &args);
        let many = address(&host, cli, "many", "my_net");
        for name in ["alias-0", "alias-999"] {
            assert_eq!(lookup(&host, cli, "web", name), [many.as_str()]);
        }
        // 5,000 broken questions a second from one container, while another asks
        let pid = inspect(&host, cli, "many", "{{.State.Pid}}");
        let noise = host.enter("nsenter").args(["-t", &pid, "-n", "python3", "-c", FLOOD]).stdout(Stdio::piped()).spawn().unwrap();
        for _ in 0..20 {
            assert_eq!(lookup(&host, cli, "web", "long"), [target.as_str()]);
        }
        let said = noise.wait_with_output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
        assert_eq!(lookup(&host, cli, "web", "many"), [many.as_str()]);
    }
}

/// Two starts race for one address: one has it, the other is told so, and nothing is left of the other.
#[test]
fn r_net_04_a_race_for_one_address() {
    let host = Host::boot();
    host.docker(&["network", "create", "--subnet", "10.240.0.0/24", "n"]).ok();
    let start = |name: &str| {
        let args = ["run", "-d", "--name", name, "--network", "n", "--ip", "10.240.0.9", "busybox", "sleep", "600"];
        host.command(Cli::Docker).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let racers = ["r1", "r2", "r3", "r4"].map(start);
    let codes: Vec<_> = racers.into_iter().map(|r| r.wait_with_output().unwrap()).collect();
    assert_eq!(codes.iter().filter(|o| o.status.success()).count(), 1);
    for loser in codes.iter().filter(|o| !o.status.success()) {
        let said = String::from_utf8_lossy(&loser.stderr);
        assert!(said.contains("Address already in use"), "{said}");
    }
    host.remove_all_containers();
    host.assert_no_leaks();
}

/// `--icc=false`: containers of the default bridge cannot talk, linked ones can on exposed ports only.
#[test]
fn r_net_09_icc_false() {
    let host = Host::with_args(&["--icc=false"]);
    let serve = "echo hello > /f; httpd -p 80 -h /; httpd -f -p 81 -h /";
    host.docker(&["run", "-d", "--name", "db", "--expose", "80", "busybox", "sh", "-c", serve]).ok();
    let db = address(&host, Cli::Docker, "db", "bridge");
    idle(&host, Cli::Docker, "stranger", &[]);
    idle(&host, Cli::Docker, "friend", &["--link", "db"]);
    let fetch = |from: &str, port: u16| {
        exec(&host, Cli::Docker, from, &format!("timeout 2 wget -q -O - http://{db}:{port}/f")).stdout
    };
    eventually("the linked one may", || (fetch("friend", 80) == "hello\n").then_some(()));
    assert_eq!(fetch("friend", 81), "", "only what is exposed");
    assert_eq!(fetch("stranger", 80), "");
    assert!(!reaches(&host, Cli::Docker, "stranger", &db));
    assert!(reaches(&host, Cli::Docker, "stranger", "203.0.113.1"), "the way out is open");
}

/// The default bridge as the flags of the daemon say.
#[test]
fn r_net_03_flags_of_the_default_bridge() {
    let mut host = Host::bare();
    let args = [
        "--bip",
        "10.200.0.1/24",
        "--fixed-cidr",
        "10.200.0.64/26",
        "--mtu",
        "1400",
        "--ipv6",
        "--fixed-cidr-v6",
        "fd00:7::/64",
        "--default-address-pool",
        "base=10.210.0.0/16,size=24",
        "--dns",
        "192.0.2.5",
        "--dns-search",
        "ex.com",
        "--ip",
        "127.0.0.1",
        "--host-gateway-ip",
        "192.0.2.9",
        "--default-network-opt",
        "bridge=com.docker.network.driver.mtu=1300",
    ];
    host.start_with(&args, "");
    host.import_busybox();
    idle(&host, Cli::Docker, "aa", &["-p", "8080:80", "--add-host", "h:host-gateway"]);
    assert_eq!(address(&host, Cli::Docker, "aa", "bridge"), "10.200.0.64");
    let seen = exec(&host, Cli::Docker, "aa", "ip addr show eth0; ip route; cat /etc/resolv.conf /etc/hosts").ok();
    for part in [
        "mtu 1400",
        "inet6 fd00:7::",
        "default via 10.200.0.1",
        "nameserver 192.0.2.5",
        "search ex.com",
        "192.0.2.9\th",
    ] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    assert_eq!(host.docker(&["port", "aa"]).ok(), "80/tcp -> 127.0.0.1:8080");
    host.docker(&["network", "create", "n1"]).ok();
    host.docker(&["network", "create", "n2"]).ok();
    let subnets = host.docker(&["network", "inspect", "n1", "n2", "-f", "{{(index .IPAM.Config 0).Subnet}}"]).ok();
    assert_eq!(subnets, "10.210.0.0/24\n10.210.1.0/24");
    assert!(
        host.docker(&["run", "--rm", "--network", "n1", "busybox", "ip", "link", "show", "eth0"])
            .ok()
            .contains("mtu 1300")
    );
}

/// The daemon dies at every step of the life of a network; its next start makes the world as declared.
#[test]
fn r_net_01_kill_9_at_every_step() {
    for point in [
        "net.create.after_row",
        "net.create.after_link",
        "net.attach.after_links",
        "net.attach.after_firewall",
        "network.change.after_row",
        "net.connect.after_link",
        "network.change.after_link",
        "net.disconnect.after_firewall",
        "net.remove.before_row",
    ] {
        let mut host = Host::boot();
        host.docker(&["network", "create", "--subnet", "10.240.0.0/24", "there"]).ok();
        host.take_daemon().kill();
        host.start_with(&[], &format!("{point}=kill"));
        life(&host);
        host.take_daemon().wait_dead();
        host.start();
        // whatever was cut off: the container is where its row says, and nowhere else
        for container in host.api().get("/containers/json").json().as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default().to_owned();
            let declared =
                host.api().get(&format!("/containers/{id}/json")).json()["NetworkSettings"]["Networks"].clone();
            let inside = exec(&host, Cli::Docker, &id, "ls /sys/class/net | grep -c eth; true").ok();
            assert_eq!(inside, declared.as_object().map_or(0, |n| n.len()).to_string(), "{point}: {declared}");
            for (name, endpoint) in declared.as_object().into_iter().flatten() {
                let on = host.api().get(&format!("/networks/{name}")).json()["Containers"][&id]["IPv4Address"].clone();
                assert!(
                    on.as_str().is_some_and(|a| a.starts_with(endpoint["IPAddress"].as_str().unwrap_or("?"))),
                    "{point}: {on}"
                );
            }
        }
        life(&host);
        host.remove_all_containers();
        for name in ["n", "there"] {
            host.api().call("DELETE", &format!("/networks/{name}"), Value::Null);
        }
        let left = host.run("ip", &["-o", "link", "show", "type", "bridge"]).ok();
        eventually("only docker0 is left", || {
            let links = host.run("ip", &["-o", "link", "show", "type", "bridge"]).stdout;
            (links.lines().count() == 1 && links.contains("docker0")).then_some(())
        });
        drop(left);
        host.assert_no_leaks();
    }
}

/// A network, a container on it that is connected to another one and taken off again, and the end of both. Answers do not
/// matter: the daemon may die in the middle.
fn life(host: &Host) {
    let call = |method: &str, path: &str, body: Value| {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let _ = host.api().try_send(method, path, Some("application/json"), text.as_bytes());
    };
    call("POST", "/networks/create", json!({"Name": "n"}));
    call(
        "POST",
        "/containers/create?name=cc",
        json!({"Image": "busybox", "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "n"}}),
    );
    call("POST", "/containers/cc/start", Value::Null);
    call(
        "POST",
        "/networks/there/connect",
        json!({"Container": "cc", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.240.0.9"}}}),
    );
    call("POST", "/networks/there/disconnect", json!({"Container": "cc"}));
    call("DELETE", "/containers/cc?force=1", Value::Null);
    call("DELETE", "/networks/n", Value::Null);
}
