//! The life of another process in a container, as events.
//!
//! COMPAT: Docker also tells of the processes of health checks; here what they find is told, when it changes.

use std::sync::Arc;

use crate::keep::Keeper;
use crate::messages::Happening;
use crate::supervisor::Supervisor;

/// Another process in a container, about which there are events.
pub(crate) struct ExecEvents {
    keeper: Arc<Keeper>,
    container: String,
    exec: String,
    command: String,
}

impl ExecEvents {
    /// It is about to be started.
    pub(crate) fn begin(supervisor: &Supervisor, container: &str, command: &[String]) -> Self {
        // Without randomness nothing else works either; the events are then those of a process without an id.
        let exec = rcompose_engine::random_hex(32).unwrap_or_default();
        let begun = Self { keeper: supervisor.keeper.clone(), container: container.to_owned(), exec, command: command.join(" ") };
        begun.tell(Happening::ExecCreate { exec: begun.exec.clone(), command: begun.command.clone() });
        begun
    }

    /// It runs.
    pub(crate) fn started(&self) {
        self.tell(Happening::ExecStart { exec: self.exec.clone(), command: self.command.clone() });
    }

    /// It has ended.
    pub(crate) fn ended(self, code: i32) {
        self.tell(Happening::ExecDie { exec: self.exec.clone(), code });
    }

    fn tell(&self, what: Happening) {
        self.keeper.tell(&self.container, what, None);
    }
}
