//! CTR-07: `ps` with its columns and filters, generated names.

rows! {
    fn r_ctr_07_columns(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "web", "-p", "127.0.0.1:8080:80", "busybox", "sleep", "600"]).ok();
        let table = host.cli(cli, &["ps"]).ok();
        let mut lines = table.lines();
        assert_eq!(lines.next().unwrap().split("  ").map(str::trim).filter(|w| !w.is_empty()).collect::<Vec<_>>(), ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]);
        let row = lines.next().unwrap();
        assert!(row.contains("\"sleep 600\"") && row.contains("Up ") && row.contains("127.0.0.1:8080->80/tcp") && row.ends_with("web"), "{row}");
    }

    fn r_ctr_07_filters(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "up", "-l", "tier=a", "-p", "8080:80", "-v", "data:/data", "busybox", "sleep", "600"]).ok();
        host.cli(cli, &["run", "--name", "down", "-l", "tier=b", "busybox", "sh", "-c", "exit 4"]);
        host.cli(cli, &["create", "--name", "new", "busybox"]).ok();
        let names = |args: &[&str]| {
            let mut all = vec!["ps", "--format", "{{.Names}}"];
            all.extend_from_slice(args);
            host.cli(cli, &all).ok().lines().map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&[]), "up");
        assert_eq!(names(&["-a"]), "new down up");
        assert_eq!(names(&["-n", "1"]), "new");
        assert_eq!(names(&["-l"]), "new");
        assert_eq!(names(&["-a", "--filter", "status=exited"]), "down");
        assert_eq!(names(&["-a", "--filter", "status=created"]), "new");
        assert_eq!(names(&["-a", "--filter", "exited=4"]), "down");
        assert_eq!(names(&["-a", "--filter", "label=tier"]), "down up");
        assert_eq!(names(&["-a", "--filter", "label=tier=a"]), "up");
        assert_eq!(names(&["--filter", "exited=4"]), "", "it is a filter of the list, not another list");
        assert_eq!(names(&["-a", "--filter", "name=ow"]), "down");
        assert_eq!(names(&["-a", "--filter", "name=^/?(up|n[d-f]w)$"]), "new up");
        assert_eq!(names(&["-a", "--filter", "publish=8080"]), "up");
        assert_eq!(names(&["-a", "--filter", "publish=80"]), "");
        assert_eq!(names(&["-a", "--filter", "expose=80/tcp"]), "up");
        let id = host.cli(cli, &["inspect", "-f", "{{.Id}}", "up"]).ok();
        let refused = host.cli(cli, &["volume", "rm", "data"]).fails(1);
        assert!(refused.ends_with(&format!("remove data: volume is in use - [{id}]")), "{refused}");
        assert_eq!(host.cli(cli, &["inspect", "-f", "{{json .Config.Volumes}}", "new"]).ok(), "null");
        assert_eq!(names(&["-a", "--filter", "ancestor=busybox"]), "new down up");
        assert_eq!(names(&["-a", "--filter", "before=down"]), "up");
        assert_eq!(names(&["-a", "--filter", "since=down"]), "new");
        assert_eq!(names(&["-a", "--filter", "network=bridge"]), "new down up");
        let bad = host.cli(cli, &["ps", "--filter", "status=odd"]).fails(1);
        assert!(bad.contains("invalid filter 'status=odd'"), "{bad}");
    }

    fn r_ctr_07_clean_up_by_list(host, cli) {
        for _ in 0..3 {
            host.cli(cli, &["run", "-v", "/data", "busybox", "true"]).ok();
        }
        let exited = host.cli(cli, &["ps", "-aq", "-f", "status=exited"]).ok();
        let mut args = vec!["rm", "-v"];
        args.extend(exited.lines());
        assert_eq!(host.cli(cli, &args).ok(), exited);
        assert_eq!(host.cli(cli, &["volume", "ls", "-q"]).ok(), "");
        host.assert_no_leaks();
    }

    fn r_ctr_07_names_are_made_up(host, cli) {
        let id = host.cli(cli, &["create", "busybox"]).ok();
        let name = host.cli(cli, &["inspect", "-f", "{{.Name}} {{.Config.Hostname}}", &id]).ok();
        let (name, hostname) = name.split_once(' ').unwrap();
        assert!(name.starts_with('/') && name.contains('_'), "{name}");
        assert_eq!(hostname, &id[..12]);
        let long = host.cli(cli, &["ps", "-a", "--no-trunc", "-q"]).ok();
        assert_eq!(long, id);
    }
}
