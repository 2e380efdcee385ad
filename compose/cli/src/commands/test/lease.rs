//! Who a copy belongs to, so that one whose test was killed is found.
//!
//! ```text
//! <data>/tests/<project>       held by the test as long as it runs; empty
//! <data>/tests/.<project>      not held yet
//! ```
//! A file that nobody holds is that of a test that was killed.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// A copy, held.
pub(super) struct Lease {
    project: String,
    path: PathBuf,
    _held: File,
}

/// A name for a copy that no other has.
pub(super) fn name_for(project: &str) -> Result<String, CommandError> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| CommandError::System { doing: "make up a name".to_owned(), source: error.into() })?;
    Ok(format!("{project}-test-{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

impl Lease {
    /// Takes a new name for a copy of `project`.
    pub(super) fn take(data_root: &Path, project: &str) -> Result<Self, CommandError> {
        let (folder, project) = (data_root.join("tests"), name_for(project)?);
        let (path, early) = (folder.join(&project), folder.join(format!(".{project}")));
        let taken = std::fs::create_dir_all(&folder).and_then(|()| {
            let held = File::create_new(&early)?;
            held.try_lock()?;
            // Under this name others see it, and only as held.
            std::fs::rename(&early, &path)?;
            Ok(held)
        });
        match taken {
            Ok(held) => Ok(Self { project, path, _held: held }),
            Err(source) => Err(CommandError::System { doing: format!("write {}", path.display()), source }),
        }
    }

    /// Name of the copy.
    pub(super) fn project(&self) -> &str {
        &self.project
    }

    /// Nothing is left of the copy.
    pub(super) fn give_back(self) {
        // What stays is taken for a test that was killed, and finds nothing to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Copies whose tests were killed, held from now on.
pub(super) fn abandoned(data_root: &Path) -> Vec<Lease> {
    let entries = std::fs::read_dir(data_root.join("tests")).into_iter().flatten().flatten();
    let lease = |entry: std::fs::DirEntry| {
        let project = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'))?;
        let held = File::open(entry.path()).ok()?;
        held.try_lock().ok()?;
        // Given back between the look and the lock, its name may be gone.
        let path = entry.path();
        path.exists().then_some(Lease { project, path, _held: held })
    };
    entries.filter_map(lease).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_abandoned() {
        let folder = std::env::temp_dir().join(name_for("rcompose-lease").unwrap());
        let (held, lost) = (Lease::take(&folder, "shop").unwrap(), Lease::take(&folder, "shop").unwrap());
        let (held_name, lost_name) = (held.project().to_owned(), lost.project().to_owned());
        assert_ne!(held_name, lost_name);
        assert!(abandoned(&folder).is_empty());
        drop(lost);
        let found = abandoned(&folder);
        assert_eq!(found.iter().map(Lease::project).collect::<Vec<_>>(), [lost_name.as_str()]);
        found.into_iter().for_each(Lease::give_back);
        held.give_back();
        assert!(abandoned(&folder).is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
