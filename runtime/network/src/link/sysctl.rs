//! Switches of the kernel below `/proc/sys/net`, in the network namespace of the thread.
//!
//! IPv6 is off wherever nobody asked for it, and router advertisements count nowhere: any container can send them, and would
//! become the way out of its neighbours, or of the host (CVE-2020-13401).

use std::path::PathBuf;

/// Sets a switch; a kernel without IPv6 lacks some, and then there is nothing to switch.
fn set(family: &str, link: &str, switch: &str, value: &str) {
    let _ = std::fs::write(path(family, link, switch), value);
}

fn path(family: &str, link: &str, switch: &str) -> PathBuf {
    PathBuf::from(format!("/proc/sys/net/{family}/conf/{link}/{switch}"))
}

/// Of a bridge that was made and is not switched on yet.
pub(super) fn of_bridge(name: &str, ipv6: bool) {
    set("ipv4", name, "route_localnet", "1");
    set("ipv4", name, "accept_redirects", "0");
    set("ipv6", name, "accept_ra", "0");
    set("ipv6", name, "accept_redirects", "0");
    set("ipv6", name, "accept_dad", "0");
    set("ipv6", name, "disable_ipv6", if ipv6 { "0" } else { "1" });
}

/// Of an interface inside a container that has an IPv6 address.
pub(super) fn of_container(name: &str) {
    set("ipv6", name, "accept_ra", "0");
    set("ipv6", name, "autoconf", "0");
    set("ipv6", name, "accept_redirects", "0");
    set("ipv6", name, "accept_dad", "0");
    set("ipv6", name, "disable_ipv6", "0");
}

/// Of interfaces that a container gets later.
pub(crate) fn of_new_namespace() {
    set("ipv6", "default", "accept_ra", "0");
    set("ipv6", "default", "disable_ipv6", "1");
}

/// Tells whether packets between two ports of a bridge pass the firewall. Then translation happens inside the bridge, where
/// isolated ports would lose what is published too; the firewall keeps those apart instead.
pub(crate) fn firewall_sees_bridged_packets() -> bool {
    let on = |switch: &str| std::fs::read_to_string(format!("/proc/sys/net/bridge/{switch}")).is_ok_and(|it| it.trim() == "1");
    on("bridge-nf-call-iptables") && on("bridge-nf-call-ip6tables")
}

/// Lets the host pass packets on.
pub(crate) fn forward(ipv6: bool) {
    const ALL: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
    set("ipv4", "all", "forwarding", "1");
    if !ipv6 || std::fs::read_to_string(ALL).is_ok_and(|value| value.trim() == "1") {
        return;
    }
    // A host that forwards no longer listens to routers, and would lose its own way out, unless it is told to go on.
    for link in std::fs::read_dir("/proc/sys/net/ipv6/conf").into_iter().flatten().flatten() {
        let switch = link.path().join("accept_ra");
        if std::fs::read_to_string(&switch).is_ok_and(|value| value.trim() == "1") {
            // The link may just have gone.
            let _ = std::fs::write(&switch, "2");
        }
    }
    let _ = std::fs::write(ALL, "1");
}
