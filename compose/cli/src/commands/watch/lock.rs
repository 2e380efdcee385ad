//! One watcher a project: two would write each other's files again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

use rcompose_supervisor::messages::Failure;

use crate::error::CommandError;
use crate::settings::World;

/// Held while somebody watches. The file stays: one that is removed would have two owners.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(world: &World, project: &str) -> Result<Self, CommandError> {
        let path = world.supervisor.run_root.join(format!("watch-{project}.lock"));
        let failed = |source| CommandError::System { doing: format!("lock {}", path.display()), source };
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) => return Err(CommandError::Failed(taken(project, file))),
        }
        let mut sign = || {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(std::process::id().to_string().as_bytes())
        };
        sign().map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn taken(project: &str, mut file: File) -> Failure {
    let mut owner = String::new();
    // Whoever just took it may not have written its number yet.
    let known = file.read_to_string(&mut owner).is_ok_and(|length| length > 0);
    let by = if known { format!(" by process {owner}") } else { String::new() };
    Failure {
        hint: Some("end the other `watch` or `up --watch` before".to_owned()),
        ..Failure::text(format!("project `{project}` is already being watched{by}"))
    }
}
