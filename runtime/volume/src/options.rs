//! `type`, `o` and `device` of a volume, as mount(8) has them.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use rcompose_sys::error::Context;
use rustix::mount::MountFlags;

/// Options that make no volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// An option of another driver.
    #[error("unknown option `{0}`: expected `type`, `o`, `device`")]
    Unknown(String),
    /// One of them is missing.
    #[error("option `{0}` is missing")]
    Missing(&'static str),
    /// A directory has to be absolute.
    #[error("device `{0}` is not an absolute path")]
    Relative(String),
    /// A value that cannot be passed on.
    #[error("option `{0}` contains a null byte")]
    NullByte(&'static str),
}

/// What a volume is made of, if not of a directory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Device {
    /// A directory of the host.
    Directory {
        /// Absolute.
        path: PathBuf,
        /// No writes.
        read_only: bool,
    },
    /// A file system that is mounted.
    FileSystem(FileSystem),
}

/// A file system that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSystem {
    kind: CString,
    device: CString,
    options: String,
}

impl Device {
    /// Reads the options; `None` where there are none.
    pub(crate) fn of(options: &BTreeMap<String, String>) -> Result<Option<Self>, InvalidOptions> {
        if let Some(unknown) = options.keys().find(|name| !["type", "o", "device"].contains(&name.as_str())) {
            return Err(InvalidOptions::Unknown(unknown.clone()));
        }
        if options.is_empty() {
            return Ok(None);
        }
        let value = |name: &str| options.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let words = value("o").unwrap_or_default();
        let device = value("device").ok_or(InvalidOptions::Missing("device"))?;
        if words.split(',').any(|word| matches!(word, "bind" | "rbind")) {
            if !device.starts_with('/') {
                return Err(InvalidOptions::Relative(device.to_owned()));
            }
            return Ok(Some(Self::Directory { path: device.into(), read_only: words.split(',').any(|word| word == "ro") }));
        }
        let kind = value("type").ok_or(InvalidOptions::Missing("type"))?;
        let text = |name, value: &str| CString::new(value).map_err(|_| InvalidOptions::NullByte(name));
        text("o", words)?;
        Ok(Some(Self::FileSystem(FileSystem {
            kind: text("type", kind)?,
            device: text("device", device)?,
            options: words.to_owned(),
        })))
    }
}

impl FileSystem {
    /// Mounts it at a path of ours.
    pub(crate) fn mount(&self, target: &Path) -> rcompose_sys::Result<()> {
        let (mut flags, mut data) = (MountFlags::empty(), Vec::new());
        for word in self.options.split(',').filter(|word| !word.is_empty()) {
            match flag(word) {
                Some(flag) => flags |= flag,
                None => data.push(resolved(word)),
            }
        }
        let data = CString::new(data.join(",")).unwrap_or_default();
        rustix::mount::mount(&self.device, target, &self.kind, flags, Some(data.as_c_str()))
            .during("mount", || format!("{:?}, {target:?}, {:?}", self.device, self.kind))
    }
}

/// The words that are not for the file system itself.
fn flag(word: &str) -> Option<MountFlags> {
    Some(match word {
        "ro" => MountFlags::RDONLY,
        "nosuid" => MountFlags::NOSUID,
        "nodev" => MountFlags::NODEV,
        "noexec" => MountFlags::NOEXEC,
        "noatime" => MountFlags::NOATIME,
        "nodiratime" => MountFlags::NODIRATIME,
        "relatime" => MountFlags::RELATIME,
        "sync" => MountFlags::SYNCHRONOUS,
        "rw" | "defaults" | "suid" | "dev" | "exec" | "async" => MountFlags::empty(),
        _ => return None,
    })
}

/// `addr=` of network file systems: the kernel knows no names.
fn resolved(word: &str) -> String {
    let Some(name) = word.strip_prefix("addr=").filter(|name| name.parse::<IpAddr>().is_err()) else { return word.to_owned() };
    let address = (name, 0).to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    address.map_or_else(|| word.to_owned(), |address| format!("addr={}", address.ip()))
}
