//! What a container's root file system is made of.
//!
//! Beside images of the store there are directories: `rootfs:/path` is used as it is, read-only below the container's own
//! layer; `rootfs:/` shows the host's programs, and of its configuration only what programs need to run.

use std::path::{Path, PathBuf};

use rcompose_sys::atomic;

use crate::config::{Config, ImageConfig};

/// What a container's root file system is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// Read-only layers, topmost first.
    pub lower: Vec<PathBuf>,
    /// Read-only directories of the host, and where they are seen.
    pub binds: Vec<(PathBuf, String)>,
}

/// A directory that cannot be an image.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    /// It is not there, or no directory.
    #[error("`rootfs:{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// A relative path has no meaning here.
    #[error("`rootfs:{}` is not an absolute path", .0.display())]
    NotAbsolute(PathBuf),
    /// The skeleton around the host's programs.
    #[error("failed to prepare the view of the host's programs")]
    Skeleton(#[source] std::io::Error),
}

/// The directory that a reference names, if it names one.
pub(crate) fn path_of(reference: &str) -> Option<&Path> {
    reference.strip_prefix("rootfs:").map(Path::new)
}

/// What programs of the host need of `/etc`: who users are, where libraries and certificates are, what names mean. Never
/// passwords, keys, or what is configured of services.
const CONFIGURATION: [&str; 22] = [
    "passwd",
    "group",
    "nsswitch.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ca-certificates.conf",
    "protocols",
    "services",
    "mime.types",
    "timezone",
    "localtime",
    "locale.alias",
    "locale.gen",
    "terminfo",
    "os-release",
    "debian_version",
    "perl",
    "python3",
];

/// Folders of the host that hold programs; links to them are made again.
const PROGRAMS: [&str; 8] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "opt"];

/// Opens a directory as an image: its view, and a description that fits it.
pub(crate) fn open(path: &Path, store: &Path) -> Result<(View, ImageConfig), RootfsError> {
    if !path.is_absolute() {
        return Err(RootfsError::NotAbsolute(path.to_owned()));
    }
    if !path.is_dir() {
        return Err(RootfsError::NotADirectory(path.to_owned()));
    }
    let view = if path == Path::new("/") {
        host_programs(store).map_err(RootfsError::Skeleton)?
    } else {
        View { lower: vec![path.to_owned()], binds: Vec::new() }
    };
    Ok((view, description()))
}

fn description() -> ImageConfig {
    let config = Config {
        env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
        cmd: Some(vec!["/bin/sh".to_owned()]),
        ..Config::default()
    };
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    ImageConfig { architecture: architecture.to_owned(), os: "linux".to_owned(), config, ..ImageConfig::default() }
}

/// A small tree of our own, with places for what is shown of the host.
fn host_programs(store: &Path) -> std::io::Result<View> {
    let skeleton = store.join("host");
    let mut binds = Vec::new();
    for name in PROGRAMS {
        let host = Path::new("/").join(name);
        match std::fs::symlink_metadata(&host) {
            Ok(about) if about.is_dir() => binds.push((host, format!("/{name}"))),
            _ => {}
        }
    }
    for name in CONFIGURATION {
        let host = Path::new("/etc").join(name);
        if host.exists() {
            binds.push((std::fs::canonicalize(&host)?, format!("/etc/{name}")));
        }
    }
    if !skeleton.join("etc").is_dir() {
        make_skeleton(store, &skeleton)?;
    }
    Ok(View { lower: vec![skeleton], binds })
}

fn make_skeleton(store: &Path, skeleton: &Path) -> std::io::Result<()> {
    let folder = atomic::TempDir::below(store)?;
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(folder.path(), mode(0o755))?;
    for name in ["dev", "etc", "home", "proc", "root", "run", "srv", "sys", "tmp", "var/log", "var/tmp", "var/lib", "var/cache"] {
        std::fs::create_dir_all(folder.path().join(name))?;
    }
    for name in ["tmp", "var/tmp"] {
        std::fs::set_permissions(folder.path().join(name), mode(0o1777))?;
    }
    std::fs::set_permissions(folder.path().join("root"), mode(0o700))?;
    for name in PROGRAMS {
        if let Ok(target) = std::fs::read_link(Path::new("/").join(name)) {
            std::os::unix::fs::symlink(target, folder.path().join(name))?;
        }
    }
    std::os::unix::fs::symlink("/run", folder.path().join("var/run"))?;
    match atomic::publish_dir(folder.path(), skeleton) {
        Ok(()) => drop(folder.into_path()),
        // Somebody else was faster, with the same.
        Err(error) if error.errno() == rustix::io::Errno::EXIST => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_programs_of_the_host_and_no_secrets() {
        let folder = atomic::TempDir::new().unwrap();
        let (view, config) = open(Path::new("/"), folder.path()).unwrap();
        let targets: Vec<&str> = view.binds.iter().map(|(_, target)| target.as_str()).collect();
        assert!(targets.contains(&"/usr") && targets.contains(&"/etc/passwd"));
        for secret in ["/etc", "/etc/shadow", "/root", "/home", "/var", "/etc/ssh", "/etc/ssl/private", "/etc/ssl"] {
            assert!(!targets.contains(&secret), "{secret}");
        }
        assert!(config.config.env[0].starts_with("PATH="));
        assert_eq!(open(Path::new("/"), folder.path()).unwrap().0, view);
    }

    #[test]
    fn refuses_what_is_no_directory() {
        assert!(matches!(open(Path::new("/etc/passwd"), Path::new("/tmp")), Err(RootfsError::NotADirectory(_))));
        assert!(matches!(open(Path::new("relative"), Path::new("/tmp")), Err(RootfsError::NotAbsolute(_))));
    }
}
