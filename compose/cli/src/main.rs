//! The `rcompose` program: picks the process role, or reads the command line.

mod arguments;
mod commands;
mod environment;
mod error;
mod exit;
mod legacy;
mod output;
mod remote;
mod settings;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The roles first and cheaply: a monitor is started for every container.
    match std::env::args().nth(1).as_deref() {
        Some("monitor") => rcompose_container::monitor::main(),
        Some("supervisor") => commands::supervisor::main(),
        _ => commands::main(),
    }
}
