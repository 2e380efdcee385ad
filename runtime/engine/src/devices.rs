//! Devices of the host that a container is given: nodes by their paths, folders of nodes, or all of them.

use std::path::{Path, PathBuf};

use rcompose_container::spec::Device;
use rustix::fs::FileType;

use crate::EngineError;
use crate::container::ContainerSpec;

/// A device that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) device: Device,
    /// Letters of `rwm`.
    pub(crate) access: String,
}

/// Nodes and folders that every container has for itself.
const OWN: [&str; 7] = ["/dev/ptmx", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd", "/dev/hugepages", "/dev/console"];

/// The devices that a container is to have besides the default ones.
pub(crate) fn of(spec: &ContainerSpec) -> Result<Vec<Asked>, EngineError> {
    let invalid = |text: String| EngineError::Invalid { container: spec.name.clone(), text };
    let mut devices = Vec::new();
    if spec.security.privileged {
        devices = below(Path::new("/dev"), Path::new("/dev"), "rwm");
    }
    for (source, target, access) in &spec.devices {
        let about = rustix::fs::stat(source.as_str()).map_err(|errno| invalid(format!("device `{source}`: {errno}")))?;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::Directory => devices.extend(below(Path::new(source), Path::new(target), access)),
            _ => {
                let device = describe(&about, Path::new(target)).ok_or_else(|| invalid(format!("`{source}` is not a device")))?;
                devices.push(Asked { device, access: access.clone() });
            }
        }
    }
    Ok(devices)
}

/// Every node below a folder of the host. What cannot be looked at, or is gone meanwhile, is left out; links are not followed.
fn below(source: &Path, target: &Path, access: &str) -> Vec<Asked> {
    let (mut devices, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(source.join(&folder)).into_iter().flatten().flatten() {
            let relative = folder.join(entry.file_name());
            if OWN.iter().any(|own| Path::new(own) == source.join(&relative)) {
                continue;
            }
            let Ok(about) = rustix::fs::lstat(source.join(&relative)) else { continue };
            if FileType::from_raw_mode(about.st_mode) == FileType::Directory {
                folders.push(relative);
            } else if let Some(device) = describe(&about, &target.join(relative)) {
                devices.push(Asked { device, access: access.to_owned() });
            }
        }
    }
    devices
}

fn describe(about: &rustix::fs::Stat, target: &Path) -> Option<Device> {
    let kind = match FileType::from_raw_mode(about.st_mode) {
        FileType::CharacterDevice => "c",
        FileType::BlockDevice => "b",
        _ => return None,
    };
    Some(Device {
        kind: kind.to_owned(),
        path: target.to_str()?.to_owned(),
        major: rustix::fs::major(about.st_rdev),
        minor: rustix::fs::minor(about.st_rdev),
        file_mode: Some(about.st_mode & 0o777),
        uid: Some(about.st_uid),
        gid: Some(about.st_gid),
    })
}
