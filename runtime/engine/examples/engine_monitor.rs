//! A program that knows the role `monitor` and nothing else: what the room's tests launch.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("monitor") => rcompose_container::monitor::main(),
        _ => ExitCode::FAILURE,
    }
}
