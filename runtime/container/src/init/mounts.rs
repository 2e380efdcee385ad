//! The mounts of a spec, each attached by descriptor to a target that was resolved inside the root.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rcompose_sys::beneath::{Root, file_type, proc_path};
use rcompose_sys::mount::{self as sys_mount, Change, MountAttributes, Writable};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};

use super::channel::StartError;
use super::steps::{Doing, StepResult};
use super::{InitError, Prepared, invalid, settings};
use crate::spec::Mount;

/// Begins the option of a bind mount that shows only a part of its source, by a path that is resolved inside it.
///
/// Not of the runtime specification, which knows no such mounts.
pub const SUBPATH: &str = "x-rcompose.subpath=";

/// Begins the option of a bind mount whose source is a path of another mount namespace, by the file of that namespace.
///
/// Not of the runtime specification, where sources are paths of the host.
pub const NAMESPACE: &str = "x-rcompose.namespace=";

const ACCESS_TIMES: u64 = libc::MOUNT_ATTR_NOATIME | libc::MOUNT_ATTR_STRICTATIME;

/// Mounts everything, in the order of the spec.
pub(super) fn mount_all(root: &Root, prepared: &Prepared) -> StepResult<()> {
    for (index, mount) in prepared.spec.mounts.iter().enumerate() {
        check_target(mount)?;
        match mount.kind.as_deref() {
            Some("cgroup") => cgroups(root, mount, prepared)?,
            _ => one(root, mount, prepared.trees.get(&index))?,
        }
    }
    Ok(())
}

/// Attaches mounts below a root that is no container's: in a mount namespace of the caller's own, for looking at files. Those of
/// them that are bound are bound as they are seen there.
///
/// # Errors
/// A target that cannot be made or may not be mounted over, as at a start.
pub fn attach_all(root: &Root, mounts: &[Mount]) -> Result<(), StartError> {
    mounts.iter().try_for_each(|mount| {
        check_target(mount)?;
        one(root, mount, None)
    })
}

/// Opens the sources of mounts that have to be opened in another namespace than the container's own, by index: those that
/// propagate, in the host's, which is the caller's; what is opened later has lost its peers there.
pub(super) fn open_elsewhere(mounts: &[Mount]) -> Result<BTreeMap<usize, OwnedFd>, InitError> {
    let mut trees = BTreeMap::new();
    for (index, mount) in mounts.iter().enumerate() {
        let options = Options::parse(&mount.options);
        let propagates = options.propagation.is_some_and(|(flag, _)| flag != libc::MS_PRIVATE);
        if let Some(source) = mount.source.as_deref().filter(|_| options.bind && (propagates || options.namespace.is_some())) {
            let tree = match options.namespace {
                None => copy_of(source, &options),
                Some(namespace) => copy_from(Path::new(namespace), source),
            };
            trees.insert(index, tree.map_err(|error| invalid(format!("failed to mount {}: {error}", source.display())))?);
        }
    }
    Ok(trees)
}

/// Over /proc nothing is mounted but /proc itself and what imitates a few of its files: everything that writes there later
/// would be fooled (CVE-2019-16884).
fn check_target(mount: &Mount) -> StepResult<()> {
    const IMITATED: [&str; 9] =
        ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "sys/kernel/ns_last_pid"];
    let target = Path::new(&mount.destination);
    let fault = |text: String| Err(StartError { code: 128, text });
    if !target.is_absolute() || target.components().any(|part| part == std::path::Component::ParentDir) {
        return fault(format!("mount target `{}` is not an absolute, clean path", mount.destination));
    }
    if target == Path::new("/") {
        return fault("nothing can be mounted on `/` of a container".to_owned());
    }
    let Ok(below) = target.strip_prefix("/proc") else { return Ok(()) };
    let is_proc = below.as_os_str().is_empty() && mount.kind.as_deref() == Some("proc");
    let host_proc = below.as_os_str().is_empty() && mount.source.as_deref() == Some(Path::new("/proc"));
    if is_proc || host_proc || IMITATED.iter().any(|name| below == Path::new(name)) {
        Ok(())
    } else {
        fault(format!("`{}` cannot be mounted over: it lies in /proc", mount.destination))
    }
}

fn one(root: &Root, mount: &Mount, opened: Option<&OwnedFd>) -> StepResult<()> {
    let options = Options::parse(&mount.options);
    let what = || format!("failed to mount {}", mount.destination);
    if options.bind || mount.kind.as_deref() == Some("bind") {
        let source = mount.source.as_deref().unwrap_or(Path::new(""));
        let tree =
            bind(source, &options, opened).doing(|| format!("failed to mount {} at {}", source.display(), mount.destination))?;
        let is_directory = file_type(&tree).doing(what)? == FileType::Directory;
        let target = target(root, &mount.destination, is_directory)?;
        sys_mount::attach(&tree, &target, &changes(&options)).doing(what)
    } else {
        let target = target(root, &mount.destination, true)?;
        match fresh(mount, &options) {
            // Before Linux 6.5.
            Err(Errno::INVAL) if !layers(&options).is_empty() => {
                sys_mount::overlay_at(&target, &layers(&options), writable(&options)).doing(what)?;
            }
            fresh => sys_mount::attach(fresh.doing(what)?, &target, &[]).doing(what)?,
        }
        match options.subpath {
            Some(subpath) => only_part(root, &mount.destination, subpath, &options).doing(what),
            None => Ok(()),
        }
    }
}

/// Puts a part of what was just attached in its place. Before Linux 6.15 only what is attached can be cloned.
fn only_part(root: &Root, target: &str, subpath: &str, options: &Options<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let whole = root.open_path(target)?;
    let part = Root::from_fd(whole.try_clone()?).open_path(subpath)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let part = open_tree(&part, "", flags)?;
    // By descriptor: what was attached lies on top there.
    rustix::mount::unmount(proc_path(&whole), UnmountFlags::DETACH)?;
    let attributes = MountAttributes { set: options.set, ..MountAttributes::default() };
    sys_mount::attach(&part, root.open_path(target)?, &[Change { attributes, recursive: false }])?;
    Ok(())
}

/// The layers of an overlay that are given one by one.
fn layers(options: &Options<'_>) -> Vec<PathBuf> {
    options.data.iter().filter_map(|option| option.strip_prefix("lowerdir+=")).map(PathBuf::from).collect()
}

/// Where an overlay keeps what is written to it, if anywhere.
fn writable<'a>(options: &Options<'a>) -> Option<Writable<'a>> {
    let path = |name: &str| options.data.iter().find_map(|option| option.strip_prefix(name)).map(Path::new);
    Some(Writable { upper: path("upperdir=")?, work: path("workdir=")?, throwaway: false })
}

/// A mount of its own kind of file system, not attached yet.
fn fresh(mount: &Mount, options: &Options<'_>) -> rustix::io::Result<OwnedFd> {
    let kind = mount.kind.as_deref().unwrap_or("none");
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if let Some(source) = mount.source.as_deref().filter(|source| !source.as_os_str().is_empty()) {
        fsconfig_set_string(&context, "source", source)?;
    }
    for option in &options.data {
        match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(&context, key, value)?,
            None => fsconfig_set_flag(&context, *option)?,
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::from_bits_retain(u32::try_from(options.set).unwrap_or(0)))
}

/// A copy of a mount, not attached yet.
fn copy_of(source: &Path, options: &Options<'_>) -> Result<OwnedFd, Box<dyn std::error::Error>> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if options.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(match options.subpath {
        // Inside the source: who can write there must not lead us out of it.
        Some(subpath) => {
            let part = Root::open(source)?.open_path(subpath)?;
            open_tree(&part, "", flags | OpenTreeFlags::AT_EMPTY_PATH)?
        }
        None => open_tree(CWD, source, flags)?,
    })
}

/// A copy of a mount of another namespace. Whoever lives there chooses what is at the path, but not where it leads.
fn copy_from(namespace: &Path, source: &Path) -> Result<OwnedFd, Box<dyn std::error::Error>> {
    let namespace = rcompose_sys::netns::open(namespace)?;
    let copy = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let found = openat2(CWD, source, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        open_tree(&found, "", flags)
    };
    Ok(rcompose_sys::namespace::run_with_mounts_of(&namespace, copy)??)
}

/// As [`copy_of`], if it was not opened already.
fn bind(source: &Path, options: &Options<'_>, opened: Option<&OwnedFd>) -> Result<OwnedFd, Box<dyn std::error::Error>> {
    if let Some(unknown) = options.data.first() {
        return Err(format!("unknown option `{unknown}` of a bind mount").into());
    }
    match opened {
        Some(tree) => Ok(tree.try_clone()?),
        None => copy_of(source, options),
    }
}

/// What makes a copy of a mount the container's own.
fn changes(options: &Options<'_>) -> Vec<Change> {
    // Propagation first, with everything below; private unless asked otherwise.
    let (propagation, recursive) = options.propagation.unwrap_or((libc::MS_PRIVATE, true));
    let attributes = MountAttributes { propagation, ..MountAttributes::default() };
    let mut changes = vec![Change { attributes, recursive }];
    if options.set != 0 {
        // Of the three ways to keep access times one is set: the others have to go.
        let clear = if options.set & ACCESS_TIMES == 0 { 0 } else { libc::MOUNT_ATTR__ATIME };
        let attributes = MountAttributes { set: options.set, clear, ..MountAttributes::default() };
        changes.push(Change { attributes, recursive: options.recursive && options.set & sys_mount::READ_ONLY != 0 });
    }
    changes
}

/// The place of a mount inside the root; made if it is missing.
fn target(root: &Root, path: &str, directory: bool) -> StepResult<OwnedFd> {
    let what = || format!("failed to make the mount target {path}");
    if path == "/proc" || path == "/sys" {
        // A link in the image would have /proc mounted elsewhere, and what is written to it later written there.
        if let Ok(found) = root.open_path_nofollow(path)
            && file_type(&found).doing(what)? != FileType::Directory
        {
            return Err(StartError { code: 128, text: format!("{path} of the image is not a directory") });
        }
    }
    if let Ok(found) = root.open_path(path) {
        refuse_proc(&found, path)?;
        let found_directory = file_type(&found).doing(what)? == FileType::Directory;
        return match (directory, found_directory) {
            (true, false) | (false, true) => Err(StartError {
                code: 127,
                text: format!(
                    "cannot mount a {} over a {} at {path}: are you trying to mount a directory onto a file (or vice-versa)?",
                    kind(directory),
                    kind(found_directory)
                ),
            }),
            _ => Ok(found),
        };
    }
    if directory {
        root.create_dir_all(path, 0o755).doing(what)
    } else {
        drop(root.create_file(path, 0o644).doing(what)?);
        root.open_path(path).doing(what)
    }
}

/// A link of the image may lead into /proc from anywhere; what is meant to go there has been checked by its name.
fn refuse_proc(found: &OwnedFd, path: &str) -> StepResult<()> {
    let in_proc = settings::is_proc(found).doing(|| format!("failed to look at the mount target {path}"))?;
    if in_proc && !Path::new(path).starts_with("/proc") {
        return Err(StartError { code: 128, text: format!("`{path}` cannot be mounted over: it leads into /proc") });
    }
    Ok(())
}

fn kind(directory: bool) -> &'static str {
    if directory { "directory" } else { "file" }
}

/// `/sys/fs/cgroup`: on v2 the file system itself, on v1 a small directory with the container's own part of each hierarchy.
fn cgroups(root: &Root, mount: &Mount, prepared: &Prepared) -> StepResult<()> {
    let what = || "failed to mount /sys/fs/cgroup".to_owned();
    let hierarchies = crate::cgroup::hierarchies().doing(what)?;
    if hierarchies.is_unified() {
        let plain = Mount { kind: Some("cgroup2".to_owned()), source: Some("cgroup".into()), ..mount.clone() };
        return one(root, &plain, None);
    }
    let options = Options::parse(&mount.options);
    let place = Mount {
        destination: mount.destination.clone(),
        kind: Some("tmpfs".to_owned()),
        source: Some("tmpfs".into()),
        options: ["nosuid", "noexec", "nodev", "mode=755"].map(str::to_owned).to_vec(),
    };
    one(root, &place, None)?;
    let own = prepared.linux().cgroups_path.as_deref().unwrap_or_default().trim_start_matches('/');
    for hierarchy in hierarchies.all() {
        // Hierarchies that are not used for the container are not shown either.
        let source = hierarchy.mount_point.join(own);
        if !source.is_dir() {
            continue;
        }
        let mut part = Mount {
            destination: format!("{}/{}", mount.destination, hierarchy.name()),
            kind: Some("bind".to_owned()),
            source: Some(source),
            options: ["bind", "nosuid", "noexec", "nodev"].map(str::to_owned).to_vec(),
        };
        if options.set & sys_mount::READ_ONLY != 0 {
            part.options.push("ro".to_owned());
        }
        one(root, &part, None)?;
        for alias in hierarchy.aliases() {
            let (parent, name) = root.open_parent(format!("{}/{alias}", mount.destination)).doing(what)?;
            rustix::fs::symlinkat(hierarchy.name(), &parent, &name).doing(what)?;
        }
    }
    if options.set & sys_mount::READ_ONLY != 0 {
        let top = root.open_path(&mount.destination).doing(what)?;
        sys_mount::change(&top, Change::read_only(false)).doing(what)?;
    }
    Ok(())
}

/// mount(8) options, sorted out.
#[derive(Debug, Default, PartialEq)]
struct Options<'a> {
    bind: bool,
    recursive: bool,
    set: u64,
    /// Flag, and whether it is for everything below too.
    propagation: Option<(u64, bool)>,
    /// Only this part of the source.
    subpath: Option<&'a str>,
    /// Where the source is a path, if not on the host.
    namespace: Option<&'a str>,
    data: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(options: &'a [String]) -> Self {
        let mut parsed = Self::default();
        for option in options {
            match option.as_str() {
                "bind" => parsed.bind = true,
                "rbind" => (parsed.bind, parsed.recursive) = (true, true),
                "ro" | "rro" => parsed.set |= sys_mount::READ_ONLY,
                "rw" => parsed.set &= !sys_mount::READ_ONLY,
                "nosuid" => parsed.set |= sys_mount::NO_SUID,
                "suid" => parsed.set &= !sys_mount::NO_SUID,
                "nodev" => parsed.set |= sys_mount::NO_DEV,
                "dev" => parsed.set &= !sys_mount::NO_DEV,
                "noexec" => parsed.set |= sys_mount::NO_EXEC,
                "exec" => parsed.set &= !sys_mount::NO_EXEC,
                "strictatime" => parsed.set |= libc::MOUNT_ATTR_STRICTATIME,
                "noatime" => parsed.set |= libc::MOUNT_ATTR_NOATIME,
                "relatime" | "defaults" | "async" | "loud" => {}
                "private" => parsed.propagation = Some((libc::MS_PRIVATE, false)),
                "rprivate" => parsed.propagation = Some((libc::MS_PRIVATE, true)),
                "slave" => parsed.propagation = Some((libc::MS_SLAVE, false)),
                "rslave" => parsed.propagation = Some((libc::MS_SLAVE, true)),
                "shared" => parsed.propagation = Some((libc::MS_SHARED, false)),
                "rshared" => parsed.propagation = Some((libc::MS_SHARED, true)),
                data => match (data.strip_prefix(SUBPATH), data.strip_prefix(NAMESPACE)) {
                    (Some(subpath), _) => parsed.subpath = Some(subpath),
                    (None, Some(namespace)) => parsed.namespace = Some(namespace),
                    (None, None) => parsed.data.push(data),
                },
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(destination: &str, kind: &str) -> bool {
        let mount = Mount { destination: destination.to_owned(), kind: Some(kind.to_owned()), ..Mount::default() };
        check_target(&mount).is_err()
    }

    #[test]
    fn refuses_to_mount_over_proc_or_the_root() {
        assert!(refused("/", "tmpfs") && refused("/proc/self", "bind") && refused("/proc", "tmpfs") && refused("../x", "bind"));
        assert!(!refused("/proc", "proc") && !refused("/proc/cpuinfo", "bind") && !refused("/process", "bind"));
    }

    #[test]
    fn sorts_options_out() {
        let options: Vec<String> = ["rbind", "ro", "rshared", "size=64m"].map(str::to_owned).to_vec();
        let expected = Options {
            bind: true,
            recursive: true,
            set: sys_mount::READ_ONLY,
            propagation: Some((libc::MS_SHARED, true)),
            subpath: None,
            namespace: None,
            data: vec!["size=64m"],
        };
        assert_eq!(Options::parse(&options), expected);
    }
}
