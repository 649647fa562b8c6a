//! Execs: another process in a running container.

use hyper::StatusCode;
use wharf_api::exec;
use wharf_engine::{ExecConfig, ExecStart};

use super::{API_VERSION, Answer, Call, created, ok, server};
use crate::failure::Failure;
use crate::hijack::{self, Hijack};
use crate::input::{self, Unread};
use crate::{body, json};

/// Declares one.
pub(super) async fn create(call: &Call<'_>, container: &str, body: Unread) -> Answer {
    let request: exec::ExecConfig = input::optional(call.headers, body).await?;
    let cmd = request.cmd.unwrap_or_default().0;
    if cmd.is_empty() {
        return Err(Failure::bad("No exec command specified"));
    }
    let config = ExecConfig {
        attach_stdin: request.attach_stdin,
        attach_stdout: request.attach_stdout,
        attach_stderr: request.attach_stderr,
        detach_keys: Some(request.detach_keys).filter(|keys| !keys.is_empty()),
        tty: request.tty,
        console_size: if call.before(42) { None } else { size(request.console_size) },
        env: request.env.unwrap_or_default(),
        cmd,
        privileged: request.privileged,
        user: request.user,
        working_dir: request.working_dir,
    };
    let id = call.engine.exec_create(container, config).await?;
    created(&exec::Created { id: id.to_string() })
}

fn size(cells: Option<[u32; 2]>) -> Option<(u16, u16)> {
    let narrow = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    cells.filter(|size| *size != [0, 0]).map(|[height, width]| (narrow(height), narrow(width)))
}

/// Starts one: in the background, or with its stream on this connection.
pub(super) async fn start(call: &Call<'_>, id: &str, body: Unread) -> Answer {
    let request: exec::ExecStart = input::optional(call.headers, body).await?;
    if request.console_size.is_some() && !request.tty {
        return Err(Failure::bad("console size is only supported when TTY is enabled"));
    }
    let console_size = if call.before(42) { None } else { size(request.console_size) };
    let options = ExecStart { detach: request.detach, tty: request.tty, console_size };
    if request.detach {
        call.engine.exec_start_detached(id, options).await?;
        return Ok(body::empty(StatusCode::OK));
    }
    let session = call.engine.exec_start(id, options).await?;
    // Docker has these on the hijacked answer of an exec, not of an attach
    let extra = format!(
        "Api-Version: {}\r\nDocker-Experimental: {}\r\nOstype: linux\r\nServer: {}\r\n",
        API_VERSION.to_str().unwrap_or_default(),
        call.engine.config().experimental,
        server(call.engine).to_str().unwrap_or_default(),
    );
    let head = hijack::head(call.headers, call.version, request.tty, &extra);
    let hijack = Hijack::new(head, move |socket, early| async move {
        if let Err(error) = session.run(socket, early).await {
            tracing::debug!(%error, "exec stream");
        }
    });
    Ok(call.peer.hijack(hijack).await)
}

/// The size of its terminal.
pub(super) async fn resize(call: &Call<'_>, id: &str) -> Answer {
    let (height, width) = call.size()?;
    call.engine.exec_resize(id, height, width).await?;
    Ok(body::empty(StatusCode::OK))
}

/// Everything about one.
pub(super) async fn inspect(call: &Call<'_>, id: &str) -> Answer {
    ok(&json::exec(&call.engine.exec_inspect(id).await?))
}
