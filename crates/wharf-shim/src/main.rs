//! The keeper's executable. The daemon starts one as template; there is nothing to call by hand.

mod init;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    if std::path::Path::new(&called).file_name().is_some_and(|name| name == "docker-init") {
        return init::run(arguments);
    }
    match (arguments.next(), arguments.next()) {
        (Some(argument), None) if argument == "--template" => match wharf_shim::template::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        _ => {
            let message = b"wharf-shim keeps a container for wharfd, which starts it with --template\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), message);
            ExitCode::from(2)
        }
    }
}
