//! The store of volumes.
//!
//! ```text
//! <data>/volumes/<name>/volume.json     record
//!                      /_data           what containers see
//!                      /fill-<random>   a copy from an image that is being made; swept when it was not finished
//! ```
//! A volume appears by the rename of a finished directory, and its first content by another one: a crash leaves it empty or
//! full, never half.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rcompose_sys::atomic::{self, TempDir};
use rcompose_sys::beneath::Root;
use serde::{Deserialize, Serialize};

use crate::copy;

/// What a volume is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Unique in the data root; `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
    pub name: String,
    /// Free-form.
    pub labels: BTreeMap<String, String>,
    /// `type`, `o`, `device` as mount(8) has them.
    pub options: BTreeMap<String, String>,
    /// Belongs to a container and has no name that anybody chose.
    pub anonymous: bool,
}

/// A volume that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// As asked for.
    pub spec: VolumeSpec,
    /// Seconds since 1970.
    pub created: i64,
    /// Its directory.
    #[serde(skip)]
    pub path: PathBuf,
}

impl Volume {
    /// What containers see.
    pub fn data(&self) -> PathBuf {
        self.path.join("_data")
    }
}

/// What could not be done.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// No such volume.
    #[error("volume {0} not found")]
    NotFound(String),
    /// The name cannot be one.
    #[error("invalid volume name `{0}`: expected [a-zA-Z0-9][a-zA-Z0-9_.-]*")]
    InvalidName(String),
    /// Something that this program does not do.
    #[error("volume {name}: option `{option}` is not supported")]
    Unsupported {
        /// Which.
        name: String,
        /// Asked for.
        option: String,
    },
    /// The file system refused.
    #[error("failed to {doing} volume {name}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// Which.
        name: String,
        /// Why not.
        #[source]
        source: rcompose_sys::Error,
    },
}

/// The store of volumes.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store, and makes it if it is not there.
    pub fn open(root: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o701).create(root)?;
        let store = Self { root: root.to_owned() };
        store.sweep();
        Ok(store)
    }

    /// Clears away what a crash left half-done.
    fn sweep(&self) {
        for entry in std::fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let unfinished = entry.file_name().to_string_lossy().starts_with("rcompose-");
            let inside = std::fs::read_dir(entry.path()).into_iter().flatten().flatten();
            let fills = inside.filter(|it| it.file_name().to_string_lossy().starts_with("fill-")).map(|it| it.path());
            for path in fills.chain(unfinished.then(|| entry.path())) {
                if let Err(error) = atomic::remove_tree(&path) {
                    tracing::warn!(%error, "something half-made could not be removed");
                }
            }
        }
    }

    /// Makes a volume; gives the one that is there if there is one.
    pub fn ensure(&self, spec: VolumeSpec) -> Result<Volume, VolumeError> {
        check_name(&spec.name)?;
        if let Some(option) = spec.options.keys().find(|option| !matches!(option.as_str(), "type" | "o" | "device")) {
            return Err(VolumeError::Unsupported { name: spec.name.clone(), option: option.clone() });
        }
        if let Ok(volume) = self.get(&spec.name) {
            return Ok(volume);
        }
        let name = spec.name.clone();
        let failure = |source| VolumeError::Storage { doing: "create", name: name.clone(), source };
        let folder = TempDir::below(&self.root).map_err(failure)?;
        let volume = Volume { spec, created: now(), path: self.root.join(&name) };
        let json = serde_json::to_vec(&volume).expect("texts and numbers have a JSON form");
        let data = folder.path().join("_data");
        std::fs::create_dir(&data).map_err(|error| failure(io("mkdir", &data, &error)))?;
        atomic::write_file(&folder.path().join("volume.json"), &json, 0o600).map_err(failure)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o701);
        std::fs::set_permissions(folder.path(), mode).map_err(|error| failure(io("chmod", folder.path(), &error)))?;
        match atomic::publish_dir(folder.path(), &volume.path) {
            Ok(()) => drop(folder.into_path()),
            // Somebody else was faster.
            Err(error) if error.errno() == rustix::io::Errno::EXIST => return self.get(&name),
            Err(error) => return Err(failure(error)),
        }
        Ok(volume)
    }

    /// A volume by name.
    pub fn get(&self, name: &str) -> Result<Volume, VolumeError> {
        check_name(name)?;
        let path = self.root.join(name);
        let record = std::fs::read(path.join("volume.json")).ok();
        let volume: Option<Volume> = record.and_then(|json| serde_json::from_slice(&json).ok());
        volume.map(|volume| Volume { path, ..volume }).ok_or_else(|| VolumeError::NotFound(name.to_owned()))
    }

    /// All volumes, by name.
    pub fn list(&self) -> Vec<Volume> {
        let entries = std::fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut volumes: Vec<Volume> = entries.filter_map(|entry| self.get(entry.file_name().to_str()?).ok()).collect();
        volumes.sort_by(|one, other| one.spec.name.cmp(&other.spec.name));
        volumes
    }

    /// Takes a volume away with everything in it. Whether anybody uses it is the caller's to know.
    pub fn remove(&self, name: &str) -> Result<(), VolumeError> {
        let volume = self.get(name)?;
        let failure = |source| VolumeError::Storage { doing: "remove", name: name.to_owned(), source };
        // Out of sight at once, so that a crash in the middle leaves no volume that has lost a part of itself.
        let trash = self.root.join(format!("rcompose-{}", atomic::random_hex(8).map_err(failure)?));
        atomic::publish_dir(&volume.path, &trash).map_err(failure)?;
        atomic::remove_tree(&trash).map_err(failure)
    }

    /// Fills a volume that is still empty with what an image has at a path; owner and mode of that directory included.
    ///
    /// `source` is a directory of the image, opened inside its root.
    pub fn fill(&self, volume: &Volume, source: &OwnedFd) -> Result<(), VolumeError> {
        let failure = |source| VolumeError::Storage { doing: "fill", name: volume.spec.name.clone(), source };
        let data = volume.data();
        let root = Root::open(&data).map_err(failure)?;
        if !atomic::is_empty_directory(&root).map_err(failure)? {
            return Ok(());
        }
        let fill = volume.path.join(format!("fill-{}", atomic::random_hex(8).map_err(failure)?));
        std::fs::create_dir(&fill).map_err(|error| failure(io("mkdir", &fill, &error)))?;
        let copied = Root::open(&fill).and_then(|target| copy::tree(source, &target));
        if let Err(error) = copied {
            // The sweep at the next start takes what is left.
            let _ = atomic::remove_tree(&fill);
            return Err(failure(error));
        }
        // The new content takes the place of the empty directory in one step.
        rustix::fs::rename(&fill, &data)
            .map_err(|errno| failure(rcompose_sys::Error::new("rename", format!("{fill:?}, {data:?}"), errno)))?;
        atomic::sync_directory(&volume.path).map_err(failure)
    }
}

fn check_name(name: &str) -> Result<(), VolumeError> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest && name.len() <= 255 && !name.starts_with("rcompose-") {
        Ok(())
    } else {
        Err(VolumeError::InvalidName(name.to_owned()))
    }
}

fn io(call: &'static str, path: &Path, error: &std::io::Error) -> rcompose_sys::Error {
    let errno = rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO);
    rcompose_sys::Error::new(call, format!("{path:?}"), errno)
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn store() -> (TempDir, Store) {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("volumes")).unwrap();
        (folder, store)
    }

    fn spec(name: &str) -> VolumeSpec {
        VolumeSpec { name: name.to_owned(), ..VolumeSpec::default() }
    }

    #[test]
    fn comes_stays_and_goes() {
        let (_folder, store) = store();
        let volume = store.ensure(spec("data")).unwrap();
        std::fs::write(volume.data().join("kept"), "x").unwrap();
        assert_eq!(store.ensure(spec("data")).unwrap(), volume);
        assert!(volume.data().join("kept").exists());
        assert_eq!(store.list().len(), 1);
        store.remove("data").unwrap();
        assert!(matches!(store.get("data"), Err(VolumeError::NotFound(_))));
        assert_eq!(std::fs::read_dir(&store.root).unwrap().count(), 0);
        assert!(matches!(store.ensure(spec("../x")), Err(VolumeError::InvalidName(_))));
    }

    #[test]
    fn is_filled_once_with_owners_modes_and_links_as_they_are() {
        let (folder, store) = store();
        let image = folder.path().join("image");
        std::fs::create_dir_all(image.join("sub")).unwrap();
        std::fs::write(image.join("sub/file"), "content").unwrap();
        std::fs::hard_link(image.join("sub/file"), image.join("again")).unwrap();
        symlink("/etc/passwd", image.join("link")).unwrap();
        std::os::unix::fs::chown(&image, Some(1234), Some(1234)).unwrap();
        std::fs::set_permissions(&image, PermissionsExt::from_mode(0o750)).unwrap();
        std::fs::set_permissions(image.join("sub/file"), PermissionsExt::from_mode(0o4755)).unwrap();
        let volume = store.ensure(spec("data")).unwrap();
        let source = || OwnedFd::from(std::fs::File::open(&image).unwrap());
        store.fill(&volume, &source()).unwrap();
        let about = std::fs::metadata(volume.data()).unwrap();
        assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (1234, 1234, 0o750));
        assert_eq!(std::fs::read_to_string(volume.data().join("sub/file")).unwrap(), "content");
        assert_eq!(std::fs::metadata(volume.data().join("sub/file")).unwrap().mode() & 0o7777, 0o4755);
        assert_eq!(std::fs::read_link(volume.data().join("link")).unwrap(), Path::new("/etc/passwd"));
        std::fs::remove_file(volume.data().join("again")).unwrap();
        store.fill(&volume, &source()).unwrap();
        assert!(!volume.data().join("again").exists(), "only an empty volume is filled");
    }

    #[test]
    fn what_a_crash_left_is_swept() {
        let (_folder, store) = store();
        let volume = store.ensure(spec("data")).unwrap();
        std::fs::create_dir(volume.path.join("fill-1")).unwrap();
        std::fs::create_dir(store.root.join("rcompose-1")).unwrap();
        let again = Store::open(&store.root).unwrap();
        assert!(!volume.path.join("fill-1").exists() && !again.root.join("rcompose-1").exists());
        assert!(again.get("data").is_ok());
    }
}
