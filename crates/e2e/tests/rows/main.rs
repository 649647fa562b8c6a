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

mod attach;
mod daemon;
mod hostile;
mod images;
mod isolation;
mod lifecycle;
mod listing;
mod recovery;
mod v2;
