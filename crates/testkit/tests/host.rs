//! The test host itself: isolated, wired to its outside world, and gone without a trace.

use wharf_testkit::Host;

#[test]
fn a_host_is_a_machine_of_its_own() {
    let host = Host::bare();
    assert_eq!(host.run("hostname", &[]).ok(), "testhost");
    host.run("test", &["-d", "/run/netns"]).fails(1);
    let links = host.run("ip", &["-o", "link"]).ok();
    assert_eq!(links.lines().count(), 2, "lo and eth0 only: {links}");
    let processes = host.run("ps", &["-e"]).ok();
    assert!(processes.lines().count() <= 4, "its own processes only: {processes}");
    assert!(host.run("ls", &["/sys/fs/cgroup"]).ok().contains("memory"));
}

#[test]
fn the_outside_world_answers() {
    let host = Host::bare();
    host.run("busybox", &["ping", "-c", "1", "-W", "2", "203.0.113.1"]).ok();
    host.run_outside("busybox", &["ping", "-c", "1", "-W", "2", "203.0.113.2"]).ok();
}

#[test]
fn hosts_do_not_see_each_other() {
    let (a, b) = (Host::bare(), Host::bare());
    a.run("touch", &["/run/mark"]).ok();
    b.run("test", &["-e", "/run/mark"]).fails(1);
    assert_ne!(a.run("readlink", &["/proc/self/ns/net"]).ok(), b.run("readlink", &["/proc/self/ns/net"]).ok());
}
