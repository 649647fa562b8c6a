//! NET-04, NET-06, NET-12, NET-13: networks that are configurations, gateway modes, and what comes back when somebody removes it.

use std::process::Stdio;

use serde_json::{Value, json};
use wharf_testkit::{Cli, Host, eventually};

use super::ports::{ask, ask_from, ask_from_outside, serve};

/// A resolver outside that tells everybody to ask again over TCP, and answers there.
const RESOLVER: &str = r#"
import socket, threading
def answer(q):
    end = q.index(0, 12) + 5
    return q[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + q[12:end] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([198, 51, 100, 7])
def datagrams():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("203.0.113.1", 53))
    while True:
        q, who = s.recvfrom(512)
        end = q.index(0, 12) + 5
        s.sendto(q[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + q[12:end], who)
threading.Thread(target=datagrams, daemon=True).start()
t = socket.create_server(("203.0.113.1", 53))
while True:
    c, _ = t.accept()
    size = c.recv(2, socket.MSG_WAITALL)
    if len(size) == 2:
        a = answer(c.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
        c.sendall(len(a).to_bytes(2, "big") + a)
    c.close()
"#;

/// Asks the embedded resolver for names over one TCP connection, each answer's last four bytes as an address; "-" for none.
const ASKER: &str = r#"
import socket, sys
s = socket.create_connection(("127.0.0.11", 53), 5)
for n, name in enumerate(sys.argv[1:]):
    labels = b"".join(bytes([len(l)]) + l for l in name.encode().split(b"."))
    q = n.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
    s.sendall(len(q).to_bytes(2, "big") + q)
    a = s.recv(int.from_bytes(s.recv(2, socket.MSG_WAITALL), "big"), socket.MSG_WAITALL)
    assert a[:2] == q[:2]
    print(".".join(map(str, a[-4:])) if a[7] else "-")
"#;

/// An engine that knows nothing but how to greet, and takes what we ask for a name, as a stock one does.
const STRANGER: &str = r#"
import re, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
while True:
    c, _ = s.accept()
    line = c.recv(65536).split(b"\r\n")[0]
    name = re.search(rb"/networks/(\S+)", line)
    body = b'{"message":"network %s not found"}' % name[1] if name else b"OK"
    head = b"HTTP/1.1 %s\r\nApi-Version: 1.51\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    c.sendall(head % (b"404 Not Found" if name else b"200 OK", len(body)) + body)
    c.close()
"#;

fn idle(host: &Host, cli: Cli, name: &str, args: &[&str]) {
    host.cli(cli, &[&["run", "-d", "--name", name], args, &["busybox", "sleep", "600"]].concat()).ok();
}

fn inspect(host: &Host, name: &str) -> Value {
    host.api().get(&format!("/networks/{name}")).json()
}

fn address(host: &Host, cli: Cli, name: &str) -> String {
    host.cli(cli, &["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name]).ok()
}

/// The host's end of a container's pair.
fn pair(host: &Host, cli: Cli, name: &str) -> String {
    let index = host.cli(cli, &["exec", name, "cat", "/sys/class/net/eth0/iflink"]).ok();
    let all = host.run("ip", &["-o", "link"]).ok();
    let line = all.lines().find(|l| l.starts_with(&format!("{index}: "))).unwrap_or_else(|| panic!("{index} in {all}"));
    line.split(": ").nth(1).unwrap().split('@').next().unwrap().to_owned()
}

rows! {
    fn r_net_04_networks_that_are_configurations(host, cli) {
        let create = |args: &[&str]| host.cli(cli, &[&["network", "create"], args].concat());
        create(&["--config-only", "--subnet", "10.78.0.0/24", "--ip-range", "10.78.0.128/25", "--label", "a=b", "-o", "com.docker.network.driver.mtu=1400", "conf"]).ok();
        let conf = inspect(&host, "conf");
        assert_eq!((&conf["Driver"], &conf["ConfigOnly"]), (&json!("null"), &json!(true)));
        assert_eq!(conf["IPAM"]["Config"], json!([{"Subnet": "10.78.0.0/24", "IPRange": "10.78.0.128/25"}]));
        assert!(!host.run("ip", &["-o", "link"]).ok().contains("br-"), "nothing of it is in the kernel");
        create(&["--config-from", "conf", "net"]).ok();
        let net = inspect(&host, "net");
        for (key, value) in [
            ("Driver", json!("bridge")),
            ("ConfigFrom", json!({"Network": "conf"})),
            ("ConfigOnly", json!(false)),
            ("Labels", json!({"a": "b"})),
            ("Options", json!({"com.docker.network.driver.mtu": "1400"})),
        ] {
            assert_eq!(net[key], value, "{key}");
        }
        assert_eq!(net["IPAM"]["Config"], conf["IPAM"]["Config"]);
        idle(&host, cli, "aa", &["--network", "net"]);
        assert_eq!(address(&host, cli, "aa"), "10.78.0.129");
        assert!(host.cli(cli, &["exec", "aa", "ip", "link", "show", "eth0"]).ok().contains("mtu 1400"));
        let user = "user specified configurations are not supported if the network depends on a configuration network";
        let operator = "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.";
        for (args, sentence) in [
            (&["--config-from", "conf", "n2"][..], "Pool overlaps with other one on this address space"),
            (&["--config-from", "conf", "--subnet", "10.79.0.0/24", "n2"], user),
            (&["--config-from", "conf", "--label", "x=y", "n2"], user),
            (&["--config-from", "conf", "--ipv6", "n2"], user),
            (&["--config-from", "conf", "-o", "a=b", "n2"], "network driver options are not supported if the network depends on a configuration network"),
            (&["--config-from", "nonesuch", "n2"], "configuration network \"nonesuch\" does not exist"),
            (&["--config-from", "bridge", "n2"], "configuration network \"bridge\" does not exist"),
            (&["--config-only", "--config-from", "conf", "n2"], "a configuration network cannot depend on another configuration network"),
            (&["--config-only", "--internal", "n2"], operator),
            (&["--config-only", "--attachable", "n2"], operator),
            (&["--config-only", "conf"], "network with name conf already exists"),
        ] {
            let said = create(args).fails(1);
            assert!(said.contains(sentence), "{args:?}: {said}");
        }
        let nobody = host.cli(cli, &["run", "--network", "conf", "--name", "bb", "busybox", "true"]).fails(125);
        assert!(nobody.contains("cannot create endpoint on configuration-only network"), "{nobody}");
        host.cli(cli, &["rm", "bb"]).ok();
        let live = host.cli(cli, &["network", "connect", "conf", "aa"]).fails(1);
        assert!(live.contains("cannot create endpoint on configuration-only network"), "{live}");
        let used = host.cli(cli, &["network", "rm", "conf"]).fails(1);
        assert!(used.contains("error while removing network: configuration network \"conf\" is in use"), "{used}");
        // all of it is there after a crash, and what nobody uses is not a reason to throw it away
        host.crash_and_restart();
        assert_eq!(inspect(&host, "conf"), conf);
        host.cli(cli, &["rm", "-f", "aa"]).ok();
        host.cli(cli, &["network", "prune", "-f"]).ok();
        assert_eq!(host.cli(cli, &["network", "ls", "--filter", "type=custom", "--format", "{{.Name}} {{.Driver}}"]).ok(), "conf null");
        host.cli(cli, &["network", "rm", "conf"]).ok();
        host.assert_no_leaks();
    }

    fn r_net_01_inspect_verbose(host, cli) {
        host.cli(cli, &["network", "create", "my_net"]).ok();
        idle(&host, cli, "aa", &["--network", "my_net"]);
        let plain = host.cli(cli, &["network", "inspect", "my_net"]).ok();
        assert_eq!(host.cli(cli, &["network", "inspect", "-v", "my_net"]).ok(), plain);
        assert!(host.cli(cli, &["network", "inspect", "-v", "nonesuch"]).fails(1).contains("network nonesuch not found"));
        let refused = host.api().get("/networks/my_net?verbose=zz");
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["message"], "invalid value for verbose: zz: strconv.ParseBool: parsing \"zz\": invalid syntax");
        assert_eq!(host.api().get("/networks/my_net?scope=swarm").status, 404);
    }

    fn r_net_12_gateway_modes(host, cli) {
        const MODE: &str = "com.docker.network.bridge.gateway_mode_ipv4";
        let create = |name: &str, mode: &str, more: &[&str]| {
            let option = format!("{MODE}={mode}");
            host.cli(cli, &[&["network", "create", "-o", &option], more, &[name]].concat())
        };
        create("own", "routed", &["--subnet", "10.81.0.0/24"]).ok();
        create("bare", "nat-unprotected", &["--subnet", "10.82.0.0/24"]).ok();
        create("alone", "isolated", &["--internal"]).ok();
        let said = create("no", "isolated", &[]).fails(1);
        assert!(said.contains("gateway mode 'isolated' can only be used for an internal network"), "{said}");
        let said = create("no", "bogus", &[]).fails(1);
        assert!(said.contains(&format!("failed to parse {MODE} value: bogus (unknown gateway mode bogus)")), "{said}");
        let route = ["route", "add", "10.80.0.0/12", "via", "203.0.113.2"];
        host.run_outside("ip", &route).ok();
        serve(&host, cli, "rr", &["--network", "own", "-p", "8081:80"]);
        assert!(host.cli(cli, &["port", "rr"]).ok().starts_with("80/tcp -> 0.0.0.0:\n"), "no port of the machine");
        assert_eq!(ask_from_outside(&host, "10.81.0.2:80").as_deref(), Some("203.0.113.1"), "at its own address");
        assert_eq!(ask_from_outside(&host, "203.0.113.2:8081"), None);
        let ping = |to: &str| host.run_outside("busybox", &["ping", "-c1", "-W1", to]).code == 0;
        assert!(ping("10.81.0.2"));
        serve(&host, cli, "uu", &["--network", "bare"]);
        assert_eq!(ask_from_outside(&host, "10.82.0.2:80").as_deref(), Some("203.0.113.1"), "not published, and open");
        serve(&host, cli, "nn", &[]);
        host.run_outside("ip", &["route", "add", "172.16.0.0/12", "via", "203.0.113.2"]).ok();
        assert_eq!(ask_from_outside(&host, "172.17.0.2:80"), None, "not on an ordinary one");
        assert!(!ping("172.17.0.2"));
        assert!(ask_from(&host, cli, "nn", "10.81.0.2:80").is_some(), "other networks are outside as well");
        assert_eq!(ask_from(&host, cli, "nn", "10.82.0.2:80"), None);
        let words = host.wharf(&["network", "rules", "own"]).ok();
        assert!(words.contains("10.81.0.2:80/tcp is open to whoever has a route to it"), "{words}");
        // as before after a crash
        host.crash_and_restart();
        assert_eq!(ask_from_outside(&host, "10.81.0.2:80").as_deref(), Some("203.0.113.1"));
        idle(&host, cli, "ii", &["--network", "alone"]);
        assert!(host.cli(cli, &["exec", "ii", "ip", "route"]).ok().lines().all(|l| !l.starts_with("default")));
        host.cli(cli, &["rm", "-f", "rr", "uu", "nn", "ii"]).ok();
        host.cli(cli, &["network", "rm", "own", "bare", "alone"]).ok();
        host.assert_no_leaks();
    }

    fn r_net_12_gateway_modes_of_ipv6(host, cli) {
        let link = host.run_outside("sh", &["-c", "ip -o -4 addr show to 203.0.113.1 | cut -d' ' -f2"]).ok();
        host.run_outside("ip", &["-6", "addr", "add", "2001:db8:f::1/64", "dev", &link, "nodad"]).ok();
        host.run("ip", &["-6", "addr", "add", "2001:db8:f::2/64", "dev", "eth0", "nodad"]).ok();
        host.run_outside("ip", &["-6", "route", "add", "2001:db8::/32", "via", "2001:db8:f::2"]).ok();
        let start = |network: &str, mode: &str, subnet: &str, more: &[&str]| {
            let option = format!("com.docker.network.bridge.gateway_mode_ipv6={mode}");
            host.cli(cli, &["network", "create", "--ipv6", "--subnet", subnet, "-o", &option, network]).ok();
            let script = "exec httpd -f -p '[::]:80' -h /etc";
            let name = format!("{network}1");
            let run = [&["run", "-d", "--name", &name, "--network", network], more, &["busybox", "sh", "-c", script]].concat();
            host.cli(cli, &run).ok();
            eventually("the server listens", || {
                let listening = host.cli(cli, &["exec", &name, "sh", "-c", "grep -q ':0050 .* 0A ' /proc/net/tcp6"]);
                (listening.code == 0).then_some(())
            });
        };
        let outside = |host: &Host, to: &str, port: &str| {
            let ask = "exec 3<>/dev/tcp/$0/$1 && printf 'GET /passwd HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3";
            host.run_outside("timeout", &["2", "bash", "-c", ask, to, port]).stdout.contains("HTTP/1.")
        };
        start("own", "routed", "2001:db8:51::/64", &["-p", "8081:80"]);
        assert!(outside(&host, "2001:db8:51::2", "80"), "at its own address");
        assert!(!outside(&host, "2001:db8:f::2", "8081"), "no port of the machine");
        start("bare", "nat-unprotected", "2001:db8:52::/64", &[]);
        assert!(outside(&host, "2001:db8:52::2", "80"), "not published, and open");
        start("usual", "nat", "2001:db8:53::/64", &["-p", "8083:80"]);
        assert!(outside(&host, "2001:db8:f::2", "8083"));
        assert!(!outside(&host, "2001:db8:53::2", "81"));
        let ping = |host: &Host, to: &str| host.run_outside("busybox", &["ping", "-6", "-c1", "-W1", to]).code == 0;
        assert!(ping(&host, "2001:db8:51::2") && !ping(&host, "2001:db8:53::2"));
        host.crash_and_restart();
        assert!(outside(&host, "2001:db8:51::2", "80") && !outside(&host, "2001:db8:f::2", "8081"));
        host.cli(cli, &["rm", "-f", "own1", "bare1", "usual1"]).ok();
        host.cli(cli, &["network", "rm", "own", "bare", "usual"]).ok();
        host.assert_no_leaks();
    }

    fn r_net_05_the_same_address_again(host, cli) {
        host.cli(cli, &["network", "create", "my_net"]).ok();
        for (name, network) in [("one", "bridge"), ("two", "bridge"), ("three", "my_net"), ("four", "my_net")] {
            idle(&host, cli, name, &["--network", network]);
        }
        let all = |host: &Host| ["one", "two", "three", "four"].map(|name| address(host, cli, name));
        let before = all(&host);
        host.cli(cli, &["stop", "-t", "0", "one", "two", "three", "four"]).ok();
        host.cli(cli, &["start", "four", "three", "two", "one"]).ok();
        assert_eq!(all(&host), before);
        // for as long as nobody needs it
        host.cli(cli, &["stop", "-t", "0", "one"]).ok();
        idle(&host, cli, "new", &[]);
        assert_eq!(address(&host, cli, "new"), before[0]);
        host.cli(cli, &["start", "one"]).ok();
        assert_ne!(address(&host, cli, "one"), before[0]);
    }

    fn r_net_13_a_deleted_pair_comes_back(host, cli) {
        host.cli(cli, &["network", "create", "--ipv6", "--subnet", "fd00:9::/64", "--subnet", "10.83.0.0/24", "my_net"]).ok();
        serve(&host, cli, "web", &["--network", "my_net", "-p", "8080:80"]);
        idle(&host, cli, "other", &["--network", "my_net"]);
        let seen = |host: &Host| host.cli(cli, &["exec", "web", "sh", "-c", "cat /sys/class/net/eth0/address; ip -o addr show eth0 scope global; ip route"]).stdout;
        let shown = |text: String| text.lines().map(|l| l.split_once(": ").map_or(l, |(_, rest)| rest).to_owned()).collect::<Vec<_>>();
        let before = shown(seen(&host));
        let link = pair(&host, cli, "web");
        host.run("ip", &["link", "del", &link]).ok();
        eventually("the interface is back", || (shown(seen(&host)) == before).then_some(()));
        assert_eq!(pair(&host, cli, "web"), link);
        eventually("its published port answers", || ask_from_outside(&host, "203.0.113.2:8080"));
        assert!(ask(&host, "127.0.0.1:8080").is_some());
        assert_eq!(host.cli(cli, &["exec", "other", "ping", "-c1", "-W2", "web"]).code, 0);
        assert_eq!(host.cli(cli, &["exec", "web", "ping", "-c1", "-W2", "203.0.113.1"]).code, 0, "and the way out");
        // one that the user takes off goes, and one that ends takes its own with it
        host.cli(cli, &["network", "disconnect", "my_net", "other"]).ok();
        assert!(!host.cli(cli, &["exec", "other", "ip", "-o", "link"]).ok().contains("eth0"));
        host.cli(cli, &["rm", "-f", "web", "other"]).ok();
        host.cli(cli, &["network", "rm", "my_net"]).ok();
        host.assert_no_leaks();
    }

    fn r_net_06_names_over_tcp(host, cli) {
        let mut server = host.outside().command("python3").args(["-c", RESOLVER]).spawn().unwrap();
        host.cli(cli, &["network", "create", "my_net"]).ok();
        idle(&host, cli, "db", &["--network", "my_net"]);
        idle(&host, cli, "web", &["--network", "my_net", "--dns", "203.0.113.1"]);
        let db = address(&host, cli, "db");
        let pid = host.cli(cli, &["inspect", "-f", "{{.State.Pid}}", "web"]).ok();
        let ask = |names: &[&str]| {
            host.run("nsenter", &[&["-t", &pid, "-n", "python3", "-c", ASKER], names].concat()).stdout
        };
        // the kernel's queue takes them all on one connection, what is ours and what is not
        let expect = format!("{db}\n198.51.100.7\n{db}\n");
        eventually("the resolver outside runs", || (ask(&["db", "outside.example", "db"]) == expect).then_some(()));
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(ask(&["db"]), format!("{db}\n"), "names of our own need nobody outside");
    }
}

/// Two starts race for one port: one has it, the others are told so, and nothing of theirs is left.
#[test]
fn r_net_11_a_race_for_one_port() {
    let host = Host::boot();
    let start = |name: &str| {
        let args = ["run", "-d", "--name", name, "-p", "8080:80", "busybox", "sleep", "600"];
        host.command(Cli::Docker).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let racers = ["r1", "r2", "r3", "r4"].map(start);
    let ends: Vec<_> = racers.into_iter().map(|r| r.wait_with_output().unwrap()).collect();
    assert_eq!(ends.iter().filter(|o| o.status.success()).count(), 1);
    for loser in ends.iter().filter(|o| !o.status.success()) {
        let said = String::from_utf8_lossy(&loser.stderr);
        assert!(said.contains("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{said}");
    }
    host.remove_all_containers();
    host.assert_no_leaks();
}

/// Containers send no larger packets than the machine's way out takes.
#[test]
fn r_net_03_mtu_of_the_way_out() {
    let mut host = Host::bare();
    host.run("ip", &["link", "set", "eth0", "mtu", "1380"]).ok();
    host.start();
    host.import_busybox();
    host.docker(&["network", "create", "my_net"]).ok();
    for network in ["bridge", "my_net"] {
        let link = host.docker(&["run", "--rm", "--network", network, "busybox", "ip", "link", "show", "eth0"]).ok();
        assert!(link.contains("mtu 1380"), "{network}: {link}");
    }
}

/// Somebody else's engine explains nothing: our client says so.
#[test]
fn r_net_13_an_engine_that_explains_no_rules() {
    let host = Host::bare();
    let socket = host.dir().join("stranger.sock");
    let address = socket.to_str().unwrap();
    let mut stranger = host.enter("python3").args(["-c", STRANGER, address]).spawn().unwrap();
    eventually("it listens", || socket.exists().then_some(()));
    let said = host.wharf(&["-H", &format!("unix://{address}"), "network", "rules", "bridge"]).fails(1);
    assert!(said.contains("this engine does not explain its rules"), "{said}");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// A rule for each of a thousand ports, made, removed and put back at once.
#[test]
fn r_net_13_a_thousand_ports_with_iptables() {
    let host = Host::with_args(&["--firewall-backend=iptables"]);
    serve(&host, Cli::Docker, "many", &["-p", "20001-21000:80-1079"]);
    let rules = |host: &Host| {
        // while chains are being put back it may find them half there, and says so
        let all = host.run("iptables-nft", &["-t", "nat", "-S", "DOCKER"]).stdout;
        all.lines().filter(|l| l.contains("DNAT")).count()
    };
    assert_eq!(rules(&host), 1000);
    assert_eq!(ask_from_outside(&host, "203.0.113.2:20001").as_deref(), Some("203.0.113.1"));
    serve(&host, Cli::Docker, "one", &["-p", "8080:80"]);
    assert_eq!(rules(&host), 1001);
    host.docker(&["rm", "-f", "one"]).ok();
    assert_eq!(rules(&host), 1000);
    host.run("nft", &["flush", "ruleset"]).ok();
    eventually("all of them are back", || (rules(&host) == 1000).then_some(()));
    host.docker(&["rm", "-f", "many"]).ok();
    assert_eq!(rules(&host), 0);
}
