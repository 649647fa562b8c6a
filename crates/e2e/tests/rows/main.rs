//! Rows of the requirements, each through the stock `docker` client and through `wharf`, on a host of its own.

/// Declares rows: each body runs twice, once per command line, on a fresh host with a daemon and the busybox image.
macro_rules! rows {
    ($($(#[$meta:meta])* fn $name:ident($host:ident, $cli:ident) $body:block)*) => {
        mod bodies {
            #[allow(unused_imports, reason = "some groups need nothing from their file")]
            use super::*;
            $($(#[$meta])* #[allow(unused_mut, reason = "only rows that restart the daemon change their host")]
            pub(super) fn $name(mut $host: wharf_testkit::Host, $cli: wharf_testkit::Cli) $body)*
        }
        mod docker {
            $(#[test] fn $name() { super::bodies::$name(wharf_testkit::Host::boot(), wharf_testkit::Cli::Docker) })*
        }
        mod wharf {
            $(#[test] fn $name() { super::bodies::$name(wharf_testkit::Host::boot(), wharf_testkit::Cli::Wharf) })*
        }
    };
}

/// Every event since the daemon started, as lines of `template`.
///
/// `--until` counts whole seconds, so the end lies in the next one: the answer comes when it has begun.
pub(crate) fn events(host: &wharf_testkit::Host, cli: wharf_testkit::Cli, filters: &[&str], template: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
    let until = (now + 1).to_string();
    let mut args = vec!["events", "--since", "1", "--until", &until, "--format", template];
    for filter in filters {
        args.extend(["--filter", filter]);
    }
    host.cli(cli, &args).ok()
}

/// Asserts how many unpacked layers the data root holds, those of containers among them. What is removed goes behind the answer.
#[track_caller]
pub(crate) fn assert_layers(host: &wharf_testkit::Host, wanted: usize) {
    let names = |folder: std::path::PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let root = host.data_root().join("overlay2");
    wharf_testkit::eventually("so many layers, and none on its way out", || {
        let layers = names(root.clone()).iter().filter(|n| !matches!(n.as_str(), "init" | "staging" | "l")).count();
        (layers == wanted && names(root.join("staging")).is_empty()).then_some(())
    });
}

mod attach;
mod completion;
mod configuration;
mod copy;
mod copy_uploads;
mod daemon;
mod disk_usage;
mod downloads;
mod durability;
mod ecosystem;
mod engines;
mod etc;
mod health;
mod hostile;
mod image_features;
mod image_store;
mod image_story;
mod images;
mod imports;
mod in_progress;
mod isolation;
mod lifecycle;
mod listing;
mod network_kinds;
mod networks;
mod ports;
mod quotas;
mod recovery;
mod registries;
mod registry_folder;
mod registry_protocol;
mod replay;
mod restart;
mod runtimes;
mod segments;
mod spine;
mod tls;
mod v2;
mod volume_drivers;
mod volumes;
mod wires;
