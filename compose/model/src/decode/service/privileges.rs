//! What it may do, and how much it may use.

use crate::decode::Context;
use crate::decode::reader::Section;
use crate::load::clean;
use crate::node::Node;
use crate::project::{Device, Limits, SecurityOption, Service, Ulimit};
use crate::units;

pub(super) fn decode(context: &Context<'_>, section: &mut Section<'_, '_>, service: &mut Service) {
    service.read_only = section.flag("read_only");
    service.privileged = section.flag("privileged");
    service.cap_add = section.strings("cap_add");
    service.cap_drop = section.strings("cap_drop");
    service.sysctls = section.labels("sysctls");
    service.device_cgroup_rules = section.strings("device_cgroup_rules");
    service.shm_size = section.size("shm_size");
    service.oom_score_adj = section.integer("oom_score_adj");
    service.cgroup_parent = section.string("cgroup_parent");
    service.cgroup = section.choice("cgroup", &["host", "private"]);
    service.ipc = section.string("ipc");
    service.pid = section.string("pid");
    service.uts = section.choice("uts", &["host"]);
    service.userns_mode = section.string("userns_mode");
    service.runtime = section.string("runtime");
    for text in section.strings("security_opt") {
        match security_option(context, &text) {
            Some(option) => service.security_opt.push(option),
            None => {
                let text = format!("{}.security_opt: unknown option `{}`", section.path, text.escape_default());
                let node = section.node.get("security_opt").unwrap_or(section.node);
                section.fault(node, text);
            }
        }
    }
    for (name, node) in section.entries("ulimits") {
        if let Some(limit) = ulimit(section, &name.name, node) {
            service.ulimits.insert(name.name.clone(), limit);
        }
    }
    for node in section.items("devices") {
        let text = node.text().unwrap_or_default();
        let parts: Vec<&str> = text.split(':').collect();
        service.devices.push(match (parts.as_slice(), node.get("source").and_then(Node::text)) {
            (_, Some(source)) => Device {
                source: source.to_owned(),
                target: node.get("target").and_then(Node::text).unwrap_or(source).to_owned(),
                permissions: node.get("permissions").and_then(Node::text).unwrap_or("rwm").to_owned(),
            },
            ([source], _) => Device { source: (*source).to_owned(), target: (*source).to_owned(), permissions: "rwm".to_owned() },
            ([source, target], _) => {
                Device { source: (*source).to_owned(), target: (*target).to_owned(), permissions: "rwm".to_owned() }
            }
            ([source, target, permissions, ..], _) => {
                Device { source: (*source).to_owned(), target: (*target).to_owned(), permissions: (*permissions).to_owned() }
            }
            ([], _) => continue,
        });
    }
}

fn security_option(context: &Context<'_>, text: &str) -> Option<SecurityOption> {
    let (name, value) = text.split_once(['=', ':']).map_or((text, None), |(name, value)| (name, Some(value)));
    Some(match (name, value) {
        ("no-new-privileges", value) => SecurityOption::NoNewPrivileges(value.map_or(Some(true), units::boolean)?),
        ("seccomp", Some("unconfined")) => SecurityOption::SeccompUnconfined,
        ("seccomp", Some("builtin")) => SecurityOption::SeccompBuiltin,
        ("seccomp", Some(path)) => SecurityOption::SeccompFile(clean(&context.directory.join(path))),
        ("apparmor", Some(profile)) => SecurityOption::Apparmor(profile.to_owned()),
        ("label", Some(label)) => SecurityOption::Label(label.to_owned()),
        ("systempaths", Some("unconfined")) => SecurityOption::SystemPathsUnconfined,
        ("writable-cgroups", value) => SecurityOption::WritableCgroups(value.map_or(Some(true), units::boolean)?),
        _ => return None,
    })
}

fn ulimit(section: &mut Section<'_, '_>, name: &str, node: &Node) -> Option<Ulimit> {
    let path = format!("{}.ulimits.{name}", section.path);
    if let Some(text) = node.text() {
        let Some(limit) = units::integer(text) else {
            section.fault(node, format!("{path} must be a whole number"));
            return None;
        };
        return Some(Ulimit { soft: limit, hard: limit });
    }
    let mut entry = Section::new(node, path, section.problems);
    entry.known(&["soft", "hard"]);
    let (soft, hard) = (entry.integer("soft"), entry.integer("hard"));
    Some(Ulimit { soft: soft.or(hard)?, hard: hard.or(soft)? })
}

pub(super) fn limits(section: &mut Section<'_, '_>) -> Limits {
    let mut limits = Limits {
        memory: section.size("mem_limit").filter(|bytes| *bytes > 0),
        memory_reservation: section.size("mem_reservation").filter(|bytes| *bytes > 0),
        memory_swap: match section.get("memswap_limit").and_then(Node::text) {
            Some("-1") => Some(-1),
            _ => section.size("memswap_limit").filter(|bytes| *bytes > 0).and_then(|bytes| i64::try_from(bytes).ok()),
        },
        memory_swappiness: section.integer("mem_swappiness"),
        oom_kill_disable: section.flag("oom_kill_disable"),
        cpus: section.number("cpus").filter(|cpus| *cpus > 0.0),
        cpu_shares: section.integer("cpu_shares"),
        cpu_period: section.integer("cpu_period"),
        cpu_quota: section.integer("cpu_quota"),
        cpuset: section.string("cpuset"),
        pids: section.integer("pids_limit"),
    };
    let Some(resources) = section.get("deploy").and_then(|deploy| deploy.get("resources")) else { return limits };
    let path = format!("{}.deploy.resources", section.path);
    if let Some(node) = resources.get("limits") {
        let mut entry = Section::new(node, format!("{path}.limits"), section.problems);
        entry.known(&["cpus", "memory", "pids"]);
        limits.memory = limits.memory.or(entry.size("memory"));
        limits.cpus = limits.cpus.or(entry.number("cpus"));
        limits.pids = limits.pids.or(entry.integer("pids"));
    }
    if let Some(node) = resources.get("reservations") {
        let mut entry = Section::new(node, format!("{path}.reservations"), section.problems);
        entry.known(&["cpus", "memory", "devices", "generic_resources"]);
        limits.memory_reservation = limits.memory_reservation.or(entry.size("memory"));
    }
    limits
}
