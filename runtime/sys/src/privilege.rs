//! Who this thread is and what it may do. For processes of one thread: the calls act on the calling thread only.

use crate::{Error, Result};

fn prctl(name: &'static str, option: libc::c_int, argument: u64) -> Result<libc::c_int> {
    // SAFETY: every option used here takes plain integers; unused arguments are zero, as the newer ones demand.
    let done = unsafe { libc::prctl(option, argument, 0_u64, 0_u64, 0_u64) };
    if done >= 0 { Ok(done) } else { Err(Error::last("prctl", format!("{name}, {argument}"))) }
}

/// Sets the three classic capability sets, as bit masks.
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Half {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let half = |shift: u32| Half {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let mut header = Header { version: VERSION_3, pid: 0 };
    let halves = [half(0), half(32)];
    // SAFETY: version 3 takes exactly two halves; the kernel reads them and may write the version back into the header.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(Error::last("capset", format!("{effective:#x}, {permitted:#x}, {inheritable:#x}"))) }
}

/// The capabilities that this thread and its children can ever get.
pub fn bounding_capabilities() -> u64 {
    (0..64).filter(|&bit| prctl("PR_CAPBSET_READ", libc::PR_CAPBSET_READ, bit) == Ok(1)).fold(0, |mask, bit| mask | 1 << bit)
}

/// Drops every capability from the bounding set that is in `present` and not in `keep`.
pub fn limit_bounding(present: u64, keep: u64) -> Result<()> {
    let excess = present & !keep;
    (0..64).filter(|bit| excess & (1 << bit) != 0).try_for_each(|bit| {
        prctl("PR_CAPBSET_DROP", libc::PR_CAPBSET_DROP, bit)?;
        Ok(())
    })
}

/// Empties the ambient set.
pub fn clear_ambient() -> Result<()> {
    prctl("PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL", libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64).map(drop)
}

/// Keeps permitted capabilities over the next change of user.
pub fn keep_capabilities(keep: bool) -> Result<()> {
    prctl("PR_SET_KEEPCAPS", libc::PR_SET_KEEPCAPS, keep.into()).map(drop)
}

/// Nothing that is executed from here on gains privileges.
pub fn set_no_new_privileges() -> Result<()> {
    prctl("PR_SET_NO_NEW_PRIVS", libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// Whether others of the same user may look into this process.
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, dumpable.into()).map(drop)
}

/// The signal that this process gets when its parent ends.
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    prctl("PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, signal.unsigned_abs().into()).map(drop)
}

/// Orphaned descendants become children of this process.
pub fn set_child_subreaper() -> Result<()> {
    prctl("PR_SET_CHILD_SUBREAPER", libc::PR_SET_CHILD_SUBREAPER, 1).map(drop)
}

/// Sets the supplementary groups.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: the kernel reads as many ids as the slice has.
    let done = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(Error::last("setgroups", format!("{groups:?}"))) }
}

/// Sets the real, effective and saved group.
pub fn set_gid(gid: u32) -> Result<()> {
    // SAFETY: setresgid takes three integers.
    let done = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    if done == 0 { Ok(()) } else { Err(Error::last("setresgid", gid.to_string())) }
}

/// Sets the real, effective and saved user.
pub fn set_uid(uid: u32) -> Result<()> {
    // SAFETY: setresuid takes three integers.
    let done = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    if done == 0 { Ok(()) } else { Err(Error::last("setresuid", uid.to_string())) }
}

/// Sets a resource limit by the kernel's number; `u64::MAX` is unlimited.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the kernel reads one structure that lives on this stack; the old limit is not asked for.
    let done =
        unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, std::ptr::null_mut::<libc::rlimit64>()) };
    if done == 0 { Ok(()) } else { Err(Error::last("prlimit64", format!("{resource}, {soft}, {hard}"))) }
}
