//! The role `supervisor`, which the first command that needs it starts.

use std::process::ExitCode;

use rcompose_supervisor::Settings;

use crate::exit::Exit;
use crate::output;

/// Reads its settings and works until nothing is left to do.
pub(crate) fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(2);
    let settings = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--settings"), Some(json)) => serde_json::from_str::<Settings>(&json).ok(),
        _ => None,
    };
    let Some(settings) = settings else {
        output::tell("error: the supervisor is started by the commands that need it\n");
        return Exit::Failure.into();
    };
    rcompose_supervisor::leave_starter();
    log_to_file(&settings);
    rcompose_supervisor::main(&settings)
}

fn log_to_file(settings: &Settings) {
    const LARGEST: u64 = 4 << 20;
    let path = settings.data_root.join("supervisor.log");
    // Without its folder there is nothing to log yet; the supervisor makes it, and says why if it can't.
    let _ = std::fs::create_dir_all(&settings.data_root);
    if std::fs::metadata(&path).is_ok_and(|about| about.len() > LARGEST) {
        let _ = std::fs::rename(&path, path.with_extension("log.1"));
    }
    if let Ok(file) = std::fs::OpenOptions::new().append(true).create(true).open(&path) {
        tracing_subscriber::fmt()
            .with_writer(std::sync::Mutex::new(file))
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .init();
    }
}
