//! `version`. Never reads a file, never needs a supervisor.

use serde_json::json;

use crate::arguments::Version;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;

pub(crate) fn version(arguments: &Version) -> Result<Exit, CommandError> {
    let version = env!("CARGO_PKG_VERSION");
    let text = match (arguments.short, arguments.format.as_str()) {
        (true, _) => format!("{version}\n"),
        (false, "json") => format!("{}\n", json!({ "version": version })),
        (false, _) => format!("rcompose version {version}\n"),
    };
    output::print(&text)?;
    Ok(Exit::Success)
}
