//! Locks on files that are never removed: an unlinked lock file would have two owners.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::error::Context;

/// A held lock; released when the value goes or the process ends.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
    path: PathBuf,
}

impl FileLock {
    /// Waits until nobody else holds the lock in any way.
    pub fn exclusive(path: &Path) -> Result<Self> {
        let file = open(path)?;
        file.lock().during("flock", || format!("{path:?}, LOCK_EX"))?;
        Ok(Self { _file: file, path: path.to_owned() })
    }

    /// Waits until nobody holds the lock alone.
    pub fn shared(path: &Path) -> Result<Self> {
        let file = open(path)?;
        file.lock_shared().during("flock", || format!("{path:?}, LOCK_SH"))?;
        Ok(Self { _file: file, path: path.to_owned() })
    }

    /// Takes the lock alone if it is free, `None` if it is not.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file, path: path.to_owned() })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).during("flock", || format!("{path:?}, LOCK_EX|LOCK_NB")),
        }
    }

    /// The locked file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .during("open", || format!("{path:?}, O_RDWR|O_CREAT"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::TempDir;

    #[test]
    fn one_holder_at_a_time() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lock");
        let held = FileLock::exclusive(&path).unwrap();
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(FileLock::try_exclusive(&path).unwrap().is_some());
    }
}
