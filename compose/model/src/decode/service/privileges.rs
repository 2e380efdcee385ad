//! What it may do, and how much it may use.

use crate::Diagnostic;
use crate::decode::reader::Section;
use crate::diagnostic::Code;
use crate::load::{Model, clean};
use crate::node::Node;
use crate::project::{Device, Limits, SecurityOption, Service, Ulimit};
use crate::units;

pub(super) fn decode(model: &Model, section: &Section<'_>, service: &mut Service, problems: &mut Vec<Diagnostic>) {
    service.read_only = section.flag("read_only");
    service.privileged = section.flag("privileged");
    service.cap_add = section.strings("cap_add");
    service.cap_drop = section.strings("cap_drop");
    service.sysctls = section.labels("sysctls");
    service.device_cgroup_rules = section.strings("device_cgroup_rules");
    service.shm_size = section.size("shm_size");
    service.oom_score_adj = section.integer("oom_score_adj");
    service.cgroup_parent = section.string("cgroup_parent");
    service.cgroup = section.string("cgroup");
    service.ipc = section.string("ipc");
    service.pid = section.string("pid");
    service.uts = section.string("uts");
    service.userns_mode = section.string("userns_mode");
    service.runtime = section.string("runtime");
    if let Some(uts) = service.uts.as_deref().filter(|uts| !matches!(*uts, "" | "host")) {
        let fault = section.fault("uts", Code::InvalidValue, &format!("must be `host`, not `{}`", uts.escape_debug()));
        problems.push(fault.on(uts));
    }
    for text in section.strings("security_opt") {
        match security_option(model, &text) {
            Some(option) => service.security_opt.push(option),
            None => {
                let fault =
                    section.fault("security_opt", Code::InvalidValue, &format!("unknown option `{}`", text.escape_debug()));
                problems.push(fault.on(&text).with_help(
                    "known are no-new-privileges, seccomp=FILE|unconfined|builtin, apparmor=PROFILE, label=..., \
                     systempaths=unconfined, writable-cgroups",
                ));
            }
        }
    }
    for (name, node) in section.entries("ulimits") {
        if let Some(limit) = ulimit(node) {
            service.ulimits.insert(name.name.clone(), limit);
        }
    }
    service.devices = section.items("devices").iter().filter_map(device).collect();
}

fn device(node: &Node) -> Option<Device> {
    let entry = Section::new(node, "devices");
    let source = entry.string("source")?;
    Some(Device {
        target: entry.string("target").unwrap_or_else(|| source.clone()),
        permissions: entry.string("permissions").unwrap_or_else(|| "rwm".to_owned()),
        source,
    })
}

fn security_option(model: &Model, text: &str) -> Option<SecurityOption> {
    let (name, value) = text.split_once(['=', ':']).map_or((text, None), |(name, value)| (name, Some(value)));
    Some(match (name, value) {
        ("no-new-privileges", value) => SecurityOption::NoNewPrivileges(value.map_or(Some(true), units::boolean)?),
        ("seccomp", Some("unconfined")) => SecurityOption::SeccompUnconfined,
        ("seccomp", Some("builtin")) => SecurityOption::SeccompBuiltin,
        ("seccomp", Some(path)) => SecurityOption::SeccompFile(clean(&model.directory.join(path))),
        ("apparmor", Some(profile)) => SecurityOption::Apparmor(profile.to_owned()),
        ("label", Some(label)) => SecurityOption::Label(label.to_owned()),
        ("systempaths", Some("unconfined")) => SecurityOption::SystemPathsUnconfined,
        ("writable-cgroups", value) => SecurityOption::WritableCgroups(value.map_or(Some(true), units::boolean)?),
        _ => return None,
    })
}

fn ulimit(node: &Node) -> Option<Ulimit> {
    if let Some(limit) = node.text().and_then(|text| text.parse().ok()) {
        return Some(Ulimit { soft: limit, hard: limit });
    }
    let entry = Section::new(node, "ulimits");
    Some(Ulimit { soft: entry.integer("soft")?, hard: entry.integer("hard")? })
}

pub(super) fn limits(section: &Section<'_>) -> Limits {
    let resources = section.below("deploy").and_then(|deploy| deploy.below("resources"));
    let limits = resources.as_ref().and_then(|resources| resources.below("limits"));
    let reservations = resources.as_ref().and_then(|resources| resources.below("reservations"));
    let limit = limits.as_ref();
    Limits {
        memory: section.size("mem_limit").or(limit.and_then(|it| it.size("memory"))).filter(|bytes| *bytes > 0),
        memory_reservation: section
            .size("mem_reservation")
            .or(reservations.and_then(|it| it.size("memory")))
            .filter(|bytes| *bytes > 0),
        memory_swap: section.integer("memswap_limit").filter(|bytes| *bytes != 0),
        memory_swappiness: section.integer("mem_swappiness"),
        oom_kill_disable: section.flag("oom_kill_disable"),
        cpus: section.number("cpus").or(limit.and_then(|it| it.number("cpus"))).filter(|cpus| *cpus > 0.0),
        cpu_shares: section.integer("cpu_shares"),
        cpu_period: section.integer("cpu_period"),
        cpu_quota: section.integer("cpu_quota"),
        cpuset: section.string("cpuset"),
        pids: section.integer("pids_limit").or(limit.and_then(|it| it.integer("pids"))),
    }
}
