//! The `wharf` executable: the command line in docker's grammar.
//!
//! `table` is the grammar; `flags` reads a command line by it and `help` prints it; `dispatch` picks the function in
//! `commands`; `engine` speaks HTTP; `format` turns answers into columns, templates and JSON.

#![forbid(unsafe_code)]

mod commands;
mod complete;
mod config;
mod context;
mod dispatch;
mod engine;
mod exit;
mod flags;
mod format;
mod go;
mod help;
mod human;
mod json;
mod options;
mod output;
mod progress;
mod session;
mod streams;
mod table;
mod terminal;
mod transfer;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let called = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    match dispatch::run(dispatch::program(&called), &words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            if !exit.message.is_empty() {
                output::err(&format!("{}\n", exit.message));
            }
            ExitCode::from(exit.code)
        }
    }
}
