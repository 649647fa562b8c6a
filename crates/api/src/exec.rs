//! Execs: declaration, start and inspection.

use crate::container::Words;

object! {
    /// Body of `POST /containers/{id}/exec`.
    pub struct ExecConfig = "container.ExecOptions" {
        /// `user[:group]`.
        user: String = "User",
        /// With all rights.
        privileged: bool = "Privileged",
        /// With a terminal.
        tty: bool = "Tty",
        /// Height and width of the terminal, v1.42.
        console_size: Option<[u32; 2]> = "ConsoleSize" omit,
        /// Feed standard input.
        attach_stdin: bool = "AttachStdin",
        /// Standard error.
        attach_stderr: bool = "AttachStderr",
        /// Standard output.
        attach_stdout: bool = "AttachStdout",
        /// Old clients say it here, too.
        detach: bool = "Detach",
        /// Keys that detach.
        detach_keys: String = "DetachKeys",
        /// `NAME=value`.
        env: Option<Vec<String>> = "Env",
        /// Working folder.
        working_dir: String = "WorkingDir",
        /// Program and arguments.
        cmd: Option<Words> = "Cmd",
    }

    /// Body of `POST /exec/{id}/start`.
    pub struct ExecStart = "container.ExecStartOptions" {
        /// Answer when it runs, with no stream.
        detach: bool = "Detach",
        /// The stream is raw.
        tty: bool = "Tty",
        /// Height and width of the terminal, v1.42.
        console_size: Option<[u32; 2]> = "ConsoleSize" omit,
    }

    /// Answer of `POST /containers/{id}/exec`.
    pub struct Created = "container.ExecCreateResponse" {
        /// Full ID.
        id: String = "Id",
    }

    /// Answer of `GET /exec/{id}/json`.
    pub struct Inspect = "backend.ExecInspect" {
        /// Full ID.
        id: String = "ID",
        /// Whether it runs.
        running: bool = "Running",
        /// `null` until it has ended.
        exit_code: Option<i64> = "ExitCode",
        /// The program.
        process_config: ProcessConfig = "ProcessConfig",
        /// Standard input is fed.
        open_stdin: bool = "OpenStdin",
        /// Standard error is sent.
        open_stderr: bool = "OpenStderr",
        /// Standard output is sent.
        open_stdout: bool = "OpenStdout",
        /// It may be forgotten.
        can_remove: bool = "CanRemove",
        /// Its container.
        container_id: String = "ContainerID",
        /// Base64 of the key bytes, as Go writes bytes.
        detach_keys: String = "DetachKeys",
        /// PID on the host.
        pid: i64 = "Pid",
    }

    /// The program of an exec.
    pub struct ProcessConfig = "backend.ExecProcessConfig" {
        /// With a terminal.
        tty: bool = "tty",
        /// Program.
        entrypoint: String = "entrypoint",
        /// Arguments.
        arguments: Vec<String> = "arguments",
        /// With all rights.
        privileged: Option<bool> = "privileged" omit,
        /// User.
        user: String = "user" omit,
    }
}
