//! NET-14: containers on the wire of a parent interface, alone, on a VLAN, and of two machines on one segment.

use wharf_testkit::{Cli, Host};

fn idle(host: &Host, cli: Cli, name: &str, args: &[&str]) {
    host.cli(cli, &[&["run", "-d", "--name", name], args, &["busybox", "sleep", "600"]].concat()).ok();
}

fn reaches(host: &Host, cli: Cli, from: &str, to: &str) -> bool {
    host.cli(cli, &["exec", from, "ping", "-c1", "-W2", to]).code == 0
}

/// Whether this kernel can make a link, tried in the host.
fn can(host: &Host, link: &[&str]) -> bool {
    let made = host.run("ip", &[&["link", "add"], link].concat()).code == 0;
    if made {
        host.run("ip", &["link", "del", "probe"]).ok();
    }
    made
}

fn links(host: &Host) -> Vec<String> {
    let text = host.run("ip", &["-o", "link"]).ok();
    let name = |line: &str| Some(line.split(": ").nth(1)?.split('@').next()?.to_owned());
    text.lines().filter_map(name).collect()
}

rows! {
    fn r_net_14_parents_that_we_make_come_and_go(host, cli) {
        let before = links(&host);
        let vlan = ["link", "eth0", "name", "probe", "type", "vlan", "id", "7"];
        let dummy = ["probe", "type", "dummy"];
        for (able, parent, refusal) in [
            (can(&host, &vlan), &["-o", "parent=eth0.50"][..], "this kernel has no 802.1q driver"),
            (can(&host, &dummy), &[], "this kernel has no dummy interfaces"),
        ] {
            let made = host.cli(cli, &[&["network", "create", "-d", "macvlan", "--subnet", "10.50.0.0/24"], parent, &["wire"]].concat());
            if able {
                made.ok();
                assert_eq!(links(&host).len(), before.len() + 1, "the parent");
                idle(&host, cli, "aa", &["--network", "wire"]);
                idle(&host, cli, "bb", &["--network", "wire"]);
                assert!(reaches(&host, cli, "aa", "bb"), "by name");
                host.cli(cli, &["rm", "-f", "aa", "bb"]).ok();
                host.cli(cli, &["network", "rm", "wire"]).ok();
            } else {
                let said = made.fails(1);
                assert!(said.contains(refusal), "{said}");
            }
            assert_eq!(links(&host), before);
            assert!(!host.cli(cli, &["network", "ls"]).ok().contains("wire"), "nothing is left");
        }
        for (parent, sentence) in [
            ("eth9", "invalid subinterface vlan name eth9, example formatting is eth0.10"),
            ("eth9.10", "-o parent interface was not found on the host: eth9"),
            ("eth0.4095", "invalid subinterface vlan name eth0.4095"),
            ("eth0.x", "invalid subinterface vlan name eth0.x"),
        ] {
            let option = format!("parent={parent}");
            let said = host.cli(cli, &["network", "create", "-d", "macvlan", "-o", &option, "wire"]).fails(1);
            assert!(said.contains(sentence), "{parent}: {said}");
        }
        let said = host.cli(cli, &["network", "create", "-d", "macvlan", "-o", "parent=eth0", "-o", "macvlan_mode=ring", "wire"]).fails(1);
        assert!(said.contains("requested macvlan mode 'ring' is not valid"), "{said}");
        for (option, sentence) in [
            ("ipvlan_mode=l4", "requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default"),
            ("ipvlan_flag=ring", "requested ipvlan flag 'ring' is not valid, 'bridge' is the ipvlan driver default"),
        ] {
            let said = host.cli(cli, &["network", "create", "-d", "ipvlan", "-o", "parent=eth0", "-o", option, "wire"]).fails(1);
            assert!(said.contains(sentence), "{said}");
        }
        // with a driver that the kernel may lack: a network, or a clear refusal
        let made = host.cli(cli, &["network", "create", "-d", "ipvlan", "--subnet", "10.51.0.0/24", "-o", "parent=eth0", "wire"]);
        if can(&host, &["link", "eth0", "name", "probe", "type", "ipvlan"]) {
            made.ok();
            idle(&host, cli, "aa", &["--network", "wire"]);
            idle(&host, cli, "bb", &["--network", "wire"]);
            assert!(reaches(&host, cli, "aa", "bb"), "by name");
            host.cli(cli, &["rm", "-f", "aa", "bb"]).ok();
            host.cli(cli, &["network", "rm", "wire"]).ok();
        } else {
            let said = made.fails(1);
            assert!(said.contains("this kernel has no ipvlan driver"), "{said}");
        }
        assert_eq!(links(&host), before);
    }
}

/// Containers of two machines on one segment reach each other by their own addresses.
#[test]
fn r_net_14_two_hosts_on_one_segment() {
    let (left, right) = (Host::boot(), Host::boot());
    left.join(&right, "lan0");
    for (host, range, name) in [(&left, "10.60.0.64/26", "aa"), (&right, "10.60.0.128/25", "bb")] {
        let create = ["network", "create", "-d", "macvlan", "--subnet", "10.60.0.0/24", "--gateway", "10.60.0.254"];
        host.docker(&[&create[..], &["--ip-range", range, "-o", "parent=lan0", "lan"]].concat()).ok();
        idle(host, Cli::Docker, name, &["--network", "lan"]);
    }
    let address = |host: &Host, name: &str| {
        host.docker(&["inspect", "-f", "{{.NetworkSettings.Networks.lan.IPAddress}}", name]).ok()
    };
    let (aa, bb) = (address(&left, "aa"), address(&right, "bb"));
    assert_eq!((aa.as_str(), bb.as_str()), ("10.60.0.64", "10.60.0.128"));
    assert!(reaches(&left, Cli::Docker, "aa", &bb), "to the other machine");
    assert!(reaches(&right, Cli::Docker, "bb", &aa), "and back");
    let neighbours = left.docker(&["exec", "aa", "cat", "/proc/net/arp"]).ok();
    let mac = right.docker(&["inspect", "-f", "{{.NetworkSettings.Networks.lan.MacAddress}}", "bb"]).ok();
    assert!(neighbours.contains(&mac), "with its own MAC address on the wire: {neighbours}");
    // a published port means nothing there: no translation, the container's own port is open
    right.docker(&["exec", "bb", "sh", "-c", "echo hello >/f; httpd -p 80 -h /"]).ok();
    wharf_testkit::eventually("the other machine's server answers", || {
        let fetch = format!("timeout 2 wget -q -O - http://{bb}/f");
        (left.docker(&["exec", "aa", "sh", "-c", &fetch]).stdout == "hello\n").then_some(())
    });
    for (host, name) in [(&left, "aa"), (&right, "bb")] {
        host.docker(&["rm", "-f", name]).ok();
        host.docker(&["network", "rm", "lan"]).ok();
        assert!(host.run("ip", &["-o", "link", "show", "type", "macvlan"]).ok().is_empty());
    }
}
