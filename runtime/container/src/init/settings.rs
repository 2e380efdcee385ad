//! Names, kernel parameters and limits.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use rcompose_sys::namespace::Kinds;
use rustix::fs::{Mode, OFlags};

use super::steps::{Doing, StepResult};
use super::{InitError, Prepared, invalid};
use crate::spec::{Linux, NamespaceKind, Process};

/// Refuses what could not be applied, before anything is made.
pub(super) fn check(process: &Process, linux: &Linux) -> Result<(), InitError> {
    if process.args.is_empty() {
        return Err(invalid("no command specified"));
    }
    if !process.cwd.is_empty() && !process.cwd.starts_with('/') {
        return Err(invalid(format!("working directory `{}` is not absolute", process.cwd)));
    }
    // The kernel would take what is before it for all of it.
    if let Some(text) = process.args.iter().chain(&process.env).find(|text| text.contains('\0')) {
        return Err(invalid(format!("`{}` holds a zero byte", text.escape_debug())));
    }
    for limit in &process.rlimits {
        limit_number(&limit.kind).ok_or_else(|| invalid(format!("unknown limit `{}`", limit.kind)))?;
        if limit.soft > limit.hard {
            return Err(invalid(format!("limit `{}`: the soft limit is above the hard one", limit.kind)));
        }
    }
    linux.sysctl.keys().try_for_each(|name| check_sysctl(name, linux))
}

/// Only parameters of the container's own namespaces.
fn check_sysctl(name: &str, linux: &Linux) -> Result<(), InitError> {
    const IPC: [&str; 8] = ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];
    let own = |kind| linux.namespaces.iter().any(|namespace| namespace.kind == kind);
    let dotted = name.replace('/', ".");
    if dotted.split('.').any(|part| part.is_empty() || part == "..") {
        return Err(invalid(format!("sysctl `{name}` is not a name")));
    }
    let allowed = match dotted.split_once('.') {
        Some(("net", _)) => own(NamespaceKind::Network),
        Some(("fs", rest)) if rest.starts_with("mqueue.") => own(NamespaceKind::Ipc),
        Some(("kernel", "domainname")) => own(NamespaceKind::Uts),
        Some(("kernel", rest)) if IPC.contains(&rest) => own(NamespaceKind::Ipc),
        _ => false,
    };
    if allowed { Ok(()) } else { Err(invalid(format!("sysctl `{name}` is not in a namespace of the container"))) }
}

/// Tells whether the network that is joined is the one that this process, on the host, is in.
pub(super) fn is_hosts_network(joined: &[(Kinds, OwnedFd)]) -> Result<bool, InitError> {
    let Some((_, network)) = joined.iter().find(|(kind, _)| *kind == Kinds::NETWORK) else { return Ok(false) };
    let failed = |errno| invalid(format!("failed to compare network namespaces: {errno}"));
    let own = rustix::fs::stat("/proc/self/ns/net").map_err(failed)?;
    let other = rustix::fs::fstat(network).map_err(failed)?;
    Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}

/// Sets host name and domain name.
pub(super) fn apply_names(prepared: &Prepared) -> StepResult<()> {
    if !prepared.has_own(NamespaceKind::Uts) {
        return Ok(());
    }
    if let Some(name) = &prepared.spec.hostname {
        rustix::system::sethostname(name.as_bytes()).doing(|| format!("failed to set the host name `{name}`"))?;
    }
    if let Some(name) = &prepared.spec.domainname {
        rustix::system::setdomainname(name.as_bytes()).doing(|| format!("failed to set the domain name `{name}`"))?;
    }
    Ok(())
}

/// Writes kernel parameters through the /proc that was just mounted, which is checked to be one.
pub(super) fn apply_sysctls(linux: &Linux) -> StepResult<()> {
    for (name, value) in &linux.sysctl {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        write_to_proc(&path, value).doing(|| format!("failed to set sysctl {name}"))?;
    }
    Ok(())
}

fn write_to_proc(path: &str, value: &str) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    if !is_proc(&file)? {
        return Err(std::io::Error::other("it does not lie in a proc file system"));
    }
    std::fs::File::from(file).write_all(value.as_bytes())
}

/// Tells whether a handle is of a proc file system.
pub(super) fn is_proc(handle: impl AsFd) -> rustix::io::Result<bool> {
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    Ok(rustix::fs::fstatfs(handle)?.f_type == PROC_SUPER_MAGIC)
}

/// Sets resource limits and the file mode mask.
pub(super) fn apply_limits(process: &Process) -> StepResult<()> {
    for limit in &process.rlimits {
        let number = limit_number(&limit.kind).ok_or("unknown").doing(|| limit.kind.clone())?;
        rcompose_sys::privilege::set_limit(number, limit.soft, limit.hard).doing(|| format!("failed to set {}", limit.kind))?;
    }
    rustix::process::umask(Mode::from_raw_mode(process.user.umask.unwrap_or(0o022)));
    Ok(())
}

/// Sets how willingly the kernel kills. The monitor protects itself; the container is not to inherit that.
pub(super) fn apply_oom_score(process: &Process) -> StepResult<()> {
    let score = process.oom_score_adj.unwrap_or(0).to_string();
    if let Err(error) = write_to_proc("/proc/self/oom_score_adj", &score)
        && process.oom_score_adj.is_some()
    {
        return Err(error).doing(|| format!("failed to set oom_score_adj to {score}"));
    }
    Ok(())
}

fn limit_number(name: &str) -> Option<u32> {
    const NAMES: [&str; 16] = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    let upper = name.to_ascii_uppercase();
    let name = upper.strip_prefix("RLIMIT_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == name).and_then(|position| u32::try_from(position).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Namespace;

    fn allowed(name: &str, own: &[NamespaceKind]) -> bool {
        let namespaces = own.iter().map(|&kind| Namespace { kind, path: None }).collect();
        check_sysctl(name, &Linux { namespaces, ..Linux::default() }).is_ok()
    }

    #[test]
    fn sets_only_parameters_of_own_namespaces() {
        assert!(allowed("net.core.somaxconn", &[NamespaceKind::Network]));
        assert!(allowed("net/core/somaxconn", &[NamespaceKind::Network]));
        assert!(allowed("kernel.shmmax", &[NamespaceKind::Ipc]));
        assert!(!allowed("net.core.somaxconn", &[]));
        assert!(!allowed("net/../kernel/core_pattern", &[NamespaceKind::Network]));
        assert!(!allowed("kernel.core_pattern", &[NamespaceKind::Ipc, NamespaceKind::Uts]));
        assert!(!allowed("kernel.hostname", &[NamespaceKind::Uts]));
    }
}
