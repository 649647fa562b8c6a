//! IMG-03 … IMG-07: images good enough to run: import, load, save, tag, rmi, history, commit, diff.

use std::process::Command;
use wharf_testkit::{Host, eventually};

fn image_id(host: &Host, cli: wharf_testkit::Cli, name: &str) -> String {
    host.cli(cli, &["image", "inspect", "-f", "{{.Id}}", name]).ok()
}

rows! {
    fn r_img_03_copy_on_write_and_diff(host, cli) {
        host.cli(cli, &["run", "--name", "a1", "busybox", "sh", "-c", "echo a > /new; echo changed >> /etc/group; rm /etc/passwd"]).ok();
        host.cli(cli, &["run", "--name", "b1", "busybox", "sh", "-c", "test ! -e /new && test -e /etc/passwd"]).ok();
        let diff = host.cli(cli, &["diff", "a1"]).ok();
        let mut lines: Vec<&str> = diff.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["A /new", "C /etc", "C /etc/group", "D /etc/passwd"]);
        let size = host.cli(cli, &["ps", "-a", "-s", "--filter", "name=^a1$", "--format", "{{.Size}}"]).ok();
        assert!(size.contains("(virtual "), "{size}");
    }

    fn r_img_04_commit_makes_an_image(host, cli) {
        host.cli(cli, &["run", "--name", "c1", "busybox", "sh", "-c", "echo data > /data"]).ok();
        let args = ["commit", "-a", "Ann <a@example.net>", "-m", "with data", "-c", "ENV X=1", "-c", "CMD [\"cat\", \"/data\"]", "c1", "made:v1"];
        let id = host.cli(cli, &args).ok();
        assert!(id.starts_with("sha256:"), "{id}");
        assert_eq!(host.cli(cli, &["run", "--rm", "made:v1"]).ok(), "data");
        assert_eq!(host.cli(cli, &["image", "inspect", "-f", "{{.Author}}|{{.Comment}}|{{len .RootFS.Layers}}", "made:v1"]).ok(), "Ann <a@example.net>|with data|2");
        let history = host.cli(cli, &["history", "--format", "{{.Comment}}", "made:v1"]).ok();
        assert!(history.starts_with("with data"), "{history}");
        let refused = host.cli(cli, &["rmi", "busybox"]).fails(1);
        assert!(refused.contains("conflict: unable to remove repository reference \"busybox\" (must force)") || refused.contains("is using its referenced image"), "{refused}");
    }

    fn r_reg_01_push_of_what_is_not_here_asks_nobody(host, cli) {
        let said = host.cli(cli, &["push", "127.0.0.1:1/none:1"]).fails(1);
        assert_eq!(said, "An image does not exist locally with the tag: 127.0.0.1:1/none");
    }

    fn r_img_04_export_import_round_trip(host, cli) {
        host.cli(cli, &["run", "--name", "c1", "busybox", "sh", "-c", "mkdir /d; echo x > /d/f; chmod 640 /d/f; chown 1:50 /d/f; ln /d/f /d/hard; ln -s f /d/soft"]).ok();
        let tar = host.dir().join("c.tar").display().to_string();
        host.cli(cli, &["export", "-o", &tar, "c1"]).ok();
        let id = host.cli(cli, &["import", "-c", "CMD [\"sh\"]", &tar, "again:v1"]).ok();
        assert!(id.starts_with("sha256:"), "{id}");
        let listing = host.cli(cli, &["run", "--rm", "again:v1", "sh", "-c", "stat -c '%n %a %u:%g %h' /d/f /d/hard; readlink /d/soft; cat /d/soft"]).ok();
        assert_eq!(listing, "/d/f 640 1:50 2\n/d/hard 640 1:50 2\nf\nx");
    }

    fn r_img_04_save_load_keeps_bytes_and_tags(host, cli) {
        host.cli(cli, &["tag", "busybox", "example.net:5000/team/app:1.9"]).ok();
        let tar = host.dir().join("saved.tar").display().to_string();
        host.cli(cli, &["save", "-o", &tar, "busybox", "example.net:5000/team/app:1.9"]).ok();
        let id = image_id(&host, cli, "busybox");
        host.cli(cli, &["rmi", "busybox", "example.net:5000/team/app:1.9"]).ok();
        assert_eq!(host.cli(cli, &["images", "-q"]).ok(), "");
        let said = host.cli(cli, &["load", "-i", &tar]).ok();
        assert!(said.contains("Loaded image: busybox:latest") && said.contains("Loaded image: example.net:5000/team/app:1.9"), "{said}");
        assert_eq!(image_id(&host, cli, "busybox"), id);
        let second = host.dir().join("second.tar").display().to_string();
        host.cli(cli, &["save", "-o", &second, "busybox", "example.net:5000/team/app:1.9"]).ok();
        for (from, to) in [(&tar, "one"), (&second, "two")] {
            let folder = host.dir().join(to);
            std::fs::create_dir(&folder).unwrap();
            assert!(Command::new("tar").args(["-xf", from, "-C"]).arg(folder).status().unwrap().success());
        }
        let same = Command::new("diff").arg("-r").arg(host.dir().join("one")).arg(host.dir().join("two")).status().unwrap();
        assert!(same.success(), "save → load → save gives the same files");
    }

    fn r_img_04_load_takes_compressed_archives(host, cli) {
        let tar = host.dir().join("saved.tar").display().to_string();
        host.cli(cli, &["save", "-o", &tar, "busybox"]).ok();
        host.cli(cli, &["rmi", "busybox"]).ok();
        for packer in ["gzip", "xz"] {
            assert!(Command::new(packer).args(["-k", &tar]).status().unwrap().success());
            let file = format!("{tar}.{}", if packer == "gzip" { "gz" } else { "xz" });
            assert!(host.cli(cli, &["load", "-q", "-i", &file]).ok().contains("busybox:latest"));
            host.cli(cli, &["rmi", "busybox"]).ok();
        }
        assert!(host.cli_with(cli, &["load"], &std::fs::read(&tar).unwrap()).ok().contains("busybox:latest"));
    }

    fn r_img_05_rmi_untags_until_the_last(host, cli) {
        for tag in ["repo:1", "repo:1.9", "repo:latest"] {
            host.cli(cli, &["tag", "busybox", tag]).ok();
        }
        assert_eq!(host.cli(cli, &["rmi", "repo:1.9"]).ok(), "Untagged: repo:1.9");
        let id = image_id(&host, cli, "busybox");
        let refused = host.cli(cli, &["rmi", &id]).fails(1);
        assert!(refused.contains("(must be forced) - image is referenced in multiple repositories"), "{refused}");
        host.cli(cli, &["rmi", "repo", "repo:1"]).ok();
        host.cli(cli, &["create", "--name", "c1", "busybox"]).ok();
        let used = host.cli(cli, &["rmi", "busybox"]).fails(1);
        assert!(used.contains("conflict: unable to remove repository reference \"busybox\" (must force) - container") && used.contains("is using its referenced image"), "{used}");
        host.cli(cli, &["rm", "c1"]).ok();
        let gone = host.cli(cli, &["rmi", "busybox"]).ok();
        assert!(gone.starts_with("Untagged: busybox:latest\nDeleted: sha256:") && gone.contains(&format!("Deleted: {id}")), "{gone}");
        crate::assert_layers(&host, 0);
        let none = host.cli(cli, &["rmi", "busybox"]).fails(1);
        assert!(none.contains("No such image: busybox"), "{none}");
    }

    fn r_img_06_names_are_normalised(host, cli) {
        host.cli(cli, &["tag", "docker.io/library/busybox", "docker.io/me/app"]).ok();
        let list = host.cli(cli, &["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
        let mut names: Vec<&str> = list.lines().collect();
        names.sort_unstable();
        assert_eq!(names, ["busybox:latest", "me/app:latest"]);
        let bad = host.cli(cli, &["tag", "busybox", "UPPER"]).fails(1);
        assert!(bad.contains("must be lowercase") || bad.contains("invalid reference format"), "{bad}");
    }

    fn r_img_07_hello_world_is_built_in(host, cli) {
        let greeting = host.cli(cli, &["run", "--rm", "hello-world"]).ok();
        assert!(greeting.trim_start().starts_with("Hello from Wharf!"), "{greeting}");
        assert!(greeting.to_lowercase().contains("pid 1"), "{greeting}");
    }

    fn r_img_07_images_list_and_inspect(host, cli) {
        let table = host.cli(cli, &["images"]).ok();
        assert!(table.lines().next().unwrap().split_whitespace().eq(["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]), "{table}");
        let id = image_id(&host, cli, "busybox");
        assert_eq!(host.cli(cli, &["images", "-q", "--no-trunc"]).ok(), id);
        assert_eq!(image_id(&host, cli, &id[7..15]), id);
        assert_eq!(host.cli(cli, &["image", "inspect", "-f", "{{json .Config.Cmd}} {{.Os}}/{{.Architecture}} {{.RootFS.Type}}", "busybox"]).ok(), "[\"sh\"] linux/amd64 layers");
        host.cli(cli, &["image", "inspect", "nothing"]).fails(1);
    }

    fn r_img_05_dangling_images_are_pruned(host, cli) {
        host.cli(cli, &["run", "--name", "c1", "busybox", "touch", "/x"]).ok();
        host.cli(cli, &["commit", "c1", "app"]).ok();
        host.cli(cli, &["run", "--name", "d1", "busybox", "touch", "/y"]).ok();
        host.cli(cli, &["commit", "d1", "app"]).ok();
        assert_eq!(host.cli(cli, &["images", "-q", "--filter", "dangling=true"]).ok().lines().count(), 1);
        let pruned = host.cli(cli, &["image", "prune", "-f"]).ok();
        assert!(pruned.contains("Total reclaimed space:"), "{pruned}");
        eventually("it is gone", || host.cli(cli, &["images", "-q", "--filter", "dangling=true"]).ok().is_empty().then_some(()));
    }
}
