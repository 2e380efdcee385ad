//! A container of tools beside another one.

use serde::{Deserialize, Serialize};

/// What is to run in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DebugRequest {
    /// With the tools; `rootfs:/` is the host's own programs.
    pub image: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Names and values.
    pub environment: Vec<(String, String)>,
    /// On a terminal.
    pub tty: bool,
}
