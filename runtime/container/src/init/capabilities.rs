//! Capability names and masks.

/// Names in the order of the kernel's numbers.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container may do unless something else is asked: the same 14 as Docker.
pub const DEFAULT: u64 = 0xa804_25fb;

/// All that this program knows.
pub const ALL: u64 = (1 << NAMES.len()) - 1;

/// The bit of a capability, by its name with or without `CAP_`, in any case.
pub fn bit(name: &str) -> Option<u64> {
    let upper = name.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == name).map(|position| 1 << position)
}

/// The mask of a list of names; unknown ones come back as the error.
pub fn mask<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<u64, String> {
    names.into_iter().try_fold(0, |mask, name| bit(name).map(|bit| mask | bit).ok_or_else(|| name.to_owned()))
}

/// The names of a mask, with `CAP_`.
pub fn names(mask: u64) -> Vec<String> {
    let set = |(number, _): &(usize, &&str)| mask & (1 << number) != 0;
    NAMES.iter().enumerate().filter(set).map(|(_, name)| format!("CAP_{name}")).collect()
}

/// The default set with additions and removals; `ALL` is applied before single names.
///
/// # Errors
/// A name that is no capability.
pub fn adjusted(add: &[String], drop: &[String]) -> Result<u64, String> {
    let all = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case("all"));
    let single = |names: &[String]| mask(names.iter().filter(|name| !name.eq_ignore_ascii_case("all")).map(String::as_str));
    let base = match (all(add), all(drop)) {
        (true, _) => ALL,
        (false, true) => 0,
        (false, false) => DEFAULT,
    };
    Ok((base & !single(drop)?) | single(add)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusts_the_default_set() {
        let adjust = |add: &[&str], drop: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            adjusted(&owned(add), &owned(drop))
        };
        assert_eq!(adjust(&[], &[]), Ok(DEFAULT));
        assert_eq!(adjust(&["NET_BIND_SERVICE"], &["ALL"]), Ok(bit("net_bind_service").unwrap()));
        assert_eq!(adjust(&["CAP_SYS_ADMIN"], &[]), Ok(DEFAULT | 1 << 21));
        assert_eq!(adjust(&["ALL"], &["CAP_MKNOD"]), Ok(ALL & !(1 << 27)));
        assert_eq!(adjust(&["NO_SUCH"], &[]), Err("NO_SUCH".to_owned()));
        assert_eq!(names(DEFAULT).len(), 14);
    }
}
