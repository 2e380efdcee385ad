//! `version`, and what is said of us as a plugin. Never reads a file, never needs a supervisor.

use serde_json::json;

use crate::arguments::Version;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of docker compose that scripts find who call us by its name: the one whose words and shapes we follow.
const AS_DOCKER_COMPOSE: &str = concat!("5.5.0+rcompose.", env!("CARGO_PKG_VERSION"));

pub(crate) fn version(arguments: &Version, as_docker_compose: bool) -> Result<Exit, CommandError> {
    let (name, version) = if as_docker_compose { ("Docker Compose", AS_DOCKER_COMPOSE) } else { ("rcompose", VERSION) };
    let text = match (arguments.short, arguments.format.as_str()) {
        (true, _) => format!("{version}\n"),
        (false, "json") => format!("{}\n", json!({ "version": version })),
        (false, _) => format!("{name} version {version}\n"),
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

/// What `docker` asks its plugins.
pub(crate) fn metadata() -> Result<Exit, CommandError> {
    let described = json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "rcompose",
        "Version": AS_DOCKER_COMPOSE,
        "ShortDescription": "Compose stacks by rcompose, without Docker",
    });
    output::print(&format!("{described}\n"))?;
    Ok(Exit::Success)
}
