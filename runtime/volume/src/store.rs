//! The store of volumes.
//!
//! ```text
//! <data>/volumes/<name>/volume.json     record
//!                      /_data           what containers see; for volumes with a file system of their own, where it is mounted
//!                      /lock            held by whoever fills, mounts or unmounts it; never removed alone
//!                      /fill-<random>   a copy from an image that is being made; swept when it was not finished
//!                      /full            such a copy that is complete, on its way into `_data`; the next open goes on with it
//! ```
//! A volume appears by the rename of a finished directory. Its first content is moved in when all of it is there, and `_data`
//! stays the same directory: who has it open already sees the content too.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rcompose_sys::atomic::{self, TempDir};
use rcompose_sys::beneath::Root;
use rcompose_sys::lock::FileLock;
use serde::{Deserialize, Serialize};

use crate::fill;
use crate::options::{Device, InvalidOptions};

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
    /// What containers see, once [`Store::acquire`] has been called.
    pub fn data(&self) -> PathBuf {
        match self.device() {
            Some(Device::Directory { path, .. }) => path,
            _ => self.path.join("_data"),
        }
    }

    /// Tells whether its own options forbid writes.
    pub fn is_read_only(&self) -> bool {
        matches!(self.device(), Some(Device::Directory { read_only: true, .. }))
    }

    /// Options were checked when the volume was made.
    fn device(&self) -> Option<Device> {
        Device::of(&self.spec.options).ok().flatten()
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
    /// Options that make no volume.
    #[error("volume {name}")]
    Options {
        /// Which.
        name: String,
        /// Why not.
        #[source]
        source: InvalidOptions,
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
    /// Names of the volumes whose file system is mounted now.
    mounted: Mutex<BTreeSet<String>>,
}

impl Store {
    /// Opens the store, and makes it if it is not there.
    pub fn open(root: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let store = Self { root: root.to_owned(), mounted: Mutex::new(BTreeSet::new()) };
        store.sweep();
        let mounted = store.list().into_iter().filter(is_mounted).map(|volume| volume.spec.name).collect();
        *store.mounted_names() = mounted;
        Ok(store)
    }

    /// Finishes or clears away what a crash left half-done.
    fn sweep(&self) {
        for entry in std::fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let unfinished = entry.file_name().to_string_lossy().starts_with("rcompose-");
            let swept = if unfinished { atomic::remove_tree(&entry.path()) } else { fill::resume(&entry.path()) };
            if let Err(error) = swept {
                tracing::warn!(%error, "something half-made could not be finished or removed");
            }
        }
    }

    fn mounted_names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.mounted.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes a volume; gives the one that is there if there is one.
    pub fn ensure(&self, spec: VolumeSpec) -> Result<Volume, VolumeError> {
        check_name(&spec.name)?;
        Device::of(&spec.options).map_err(|source| VolumeError::Options { name: spec.name.clone(), source })?;
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
        // Programs that are not root write here; what our own mask says does not matter.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&data, mode).map_err(|error| failure(io("chmod", &data, &error)))?;
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
        self.release(name, || false)?;
        let volume = self.get(name)?;
        let failure = |source| VolumeError::Storage { doing: "remove", name: name.to_owned(), source };
        // Out of sight at once, so that a crash in the middle leaves no volume that has lost a part of itself.
        let trash = self.root.join(format!("rcompose-{}", atomic::random_hex(8).map_err(failure)?));
        atomic::publish_dir(&volume.path, &trash).map_err(failure)?;
        atomic::remove_tree(&trash).map_err(failure)
    }

    /// Fills a volume that is still empty with what an image has at a path; owner and mode of that directory included.
    ///
    /// `source` is a directory of the image, opened inside its root. `COMPAT:` Docker also fills volumes with options of their
    /// own; here a directory of the host or a file system that somebody else serves stays as it is.
    pub fn fill(&self, volume: &Volume, source: &OwnedFd) -> Result<(), VolumeError> {
        let failure = |source| VolumeError::Storage { doing: "fill", name: volume.spec.name.clone(), source };
        if volume.device().is_some() {
            return Ok(());
        }
        // Whoever comes second waits until the first is done, rather than start with half of it.
        let _lock = FileLock::exclusive(&volume.path.join("lock")).map_err(failure)?;
        let data = Root::open(&volume.data()).map_err(failure)?;
        if !atomic::is_empty_directory(&data).map_err(failure)? {
            return Ok(());
        }
        fill::copy_in(&volume.path, source).map_err(failure)
    }

    /// Has a volume ready for use: mounts its file system if it has one of its own.
    pub fn acquire(&self, name: &str) -> Result<Volume, VolumeError> {
        let volume = self.get(name)?;
        let Some(Device::FileSystem(system)) = volume.device() else { return Ok(volume) };
        let failure = |source| VolumeError::Storage { doing: "mount", name: name.to_owned(), source };
        let _lock = FileLock::exclusive(&volume.path.join("lock")).map_err(failure)?;
        if !is_mounted(&volume) {
            system.mount(&volume.data()).map_err(failure)?;
        }
        self.mounted_names().insert(name.to_owned());
        Ok(volume)
    }

    /// Names of the volumes whose file system is mounted now.
    pub fn mounted(&self) -> Vec<String> {
        self.mounted_names().iter().cloned().collect()
    }

    /// Unmounts the file system of a volume, unless `is_used` says otherwise when nobody can acquire it any more.
    pub fn release(&self, name: &str, is_used: impl FnOnce() -> bool) -> Result<(), VolumeError> {
        if !self.mounted_names().contains(name) {
            return Ok(());
        }
        let volume = self.get(name)?;
        let failure = |source| VolumeError::Storage { doing: "unmount", name: name.to_owned(), source };
        let _lock = FileLock::exclusive(&volume.path.join("lock")).map_err(failure)?;
        if is_used() {
            return Ok(());
        }
        let data = volume.data();
        match rustix::mount::unmount(&data, rustix::mount::UnmountFlags::DETACH) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => drop(self.mounted_names().remove(name)),
            Err(errno) => return Err(failure(rcompose_sys::Error::new("umount2", format!("{data:?}, MNT_DETACH"), errno))),
        }
        Ok(())
    }

    /// Bytes that a volume takes on this machine.
    pub fn size(&self, volume: &Volume) -> u64 {
        if volume.device().is_some() { 0 } else { crate::tree_size(&volume.data()) }
    }
}

/// Tells whether something is mounted where a volume has its content.
fn is_mounted(volume: &Volume) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::metadata(path).map(|about| about.dev()).ok();
    matches!(volume.device(), Some(Device::FileSystem(_))) && device(&volume.path.join("_data")) != device(&volume.path)
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

pub(crate) fn io(call: &'static str, path: &Path, error: &std::io::Error) -> rcompose_sys::Error {
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

    #[test]
    fn a_copy_that_was_complete_when_it_all_ended_is_moved_in() {
        let (_folder, store) = store();
        let volume = store.ensure(spec("data")).unwrap();
        std::fs::create_dir_all(volume.path.join("full/sub")).unwrap();
        std::fs::write(volume.path.join("full/late"), "late").unwrap();
        std::fs::write(volume.data().join("early"), "early").unwrap();
        std::fs::set_permissions(volume.path.join("full"), PermissionsExt::from_mode(0o750)).unwrap();
        Store::open(&store.root).unwrap();
        assert!(
            volume.data().join("early").exists() && volume.data().join("late").exists() && volume.data().join("sub").is_dir()
        );
        assert_eq!(std::fs::metadata(volume.data()).unwrap().mode() & 0o7777, 0o750);
        assert!(!volume.path.join("full").exists());
    }

    #[test]
    fn options_make_a_directory_of_the_host_the_volume() {
        let (folder, store) = store();
        let options = |texts: &[(&str, &str)]| {
            texts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let device = folder.path().to_string_lossy().into_owned();
        let wanted = VolumeSpec { options: options(&[("type", "none"), ("o", "bind,ro"), ("device", &device)]), ..spec("there") };
        let volume = store.ensure(wanted).unwrap();
        assert!(volume.data() == folder.path() && volume.is_read_only());
        for wrong in [&[("size", "1m")][..], &[("type", "none"), ("o", "bind"), ("device", "relative")], &[("o", "size=1m")]] {
            let refused = store.ensure(VolumeSpec { options: options(wrong), ..spec("wrong") });
            assert!(matches!(refused, Err(VolumeError::Options { .. })), "{wrong:?}");
        }
        store.remove("there").unwrap();
        assert!(folder.path().is_dir());
    }

    #[test]
    fn a_file_system_of_its_own_is_mounted_while_it_is_used() {
        let (_folder, store) = store();
        let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,nosuid,mode=0711")];
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let volume = store.ensure(VolumeSpec { options, ..spec("memory") }).unwrap();
        let mode = || std::fs::metadata(volume.data()).unwrap().mode() & 0o7777;
        store.acquire("memory").unwrap();
        store.acquire("memory").unwrap();
        assert!(mode() == 0o711 && store.mounted() == ["memory"]);
        assert_eq!(Store::open(&store.root).unwrap().mounted(), ["memory"]);
        store.release("memory", || true).unwrap();
        assert_eq!(mode(), 0o711);
        store.release("memory", || false).unwrap();
        assert!(mode() == 0o755 && store.mounted().is_empty());
        store.acquire("memory").unwrap();
        store.remove("memory").unwrap();
        assert_eq!(std::fs::read_dir(&store.root).unwrap().count(), 0);
    }
}
