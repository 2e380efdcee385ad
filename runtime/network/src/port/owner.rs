//! Who holds a port, as far as /proc shows it.

use std::collections::BTreeSet;

use crate::firewall::Protocol;

/// Names the process that holds a port: number and command. `None` if it belongs to somebody else's namespace, or is hidden.
pub fn owner_of(protocol: Protocol, port: u16) -> Option<String> {
    let files = match protocol {
        Protocol::Tcp => ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"],
        Protocol::Udp => ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"],
    };
    let inodes: BTreeSet<String> = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .flat_map(|text| holders(&text, protocol, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.into_iter().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let descriptors = std::fs::read_dir(process.path().join("fd")).ok()?.flatten();
        let holds = descriptors
            .into_iter()
            .filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok())
            .any(|target| target.to_str().is_some_and(|target| inodes.contains(target)));
        let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        holds.then(|| format!("process {pid} ({})", name.trim()))
    })
}

/// The inodes of sockets that listen on (TCP) or are bound to (UDP) a port.
fn holders(table: &str, protocol: Protocol, port: u16) -> Vec<String> {
    const LISTENING: &str = "0A";
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let local = fields.get(1)?.rsplit(':').next()?;
        let same = u16::from_str_radix(local, 16).ok()? == port;
        let listens = protocol == Protocol::Udp || fields.get(3) == Some(&LISTENING);
        (same && listens).then(|| fields.get(9).map(|inode| (*inode).to_owned())).flatten()
    };
    table.lines().skip(1).filter_map(holder).collect()
}
