//! A service.

mod lifecycle;
mod networking;
mod privileges;
mod process;
mod storage;

use super::Context;
use super::reader::Section;
use crate::Diagnostic;
use crate::node::Node;
use crate::project::Service;

/// Of one project; a host has not many more to give, and ranges are short to write.
pub(super) const MAX_PORTS: usize = 65_536;

const KNOWN: [&str; 91] = [
    "annotations",
    "attach",
    "blkio_config",
    "build",
    "cap_add",
    "cap_drop",
    "cgroup",
    "cgroup_parent",
    "command",
    "configs",
    "container_name",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "cpuset",
    "credential_spec",
    "depends_on",
    "deploy",
    "develop",
    "device_cgroup_rules",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "external_links",
    "extra_hosts",
    "gpus",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "ipc",
    "isolation",
    "label_file",
    "labels",
    "links",
    "logging",
    "mac_address",
    "mem_limit",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "models",
    "network_mode",
    "networks",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "platform",
    "ports",
    "post_start",
    "pre_start",
    "pre_stop",
    "privileged",
    "profiles",
    "provider",
    "pull_policy",
    "pull_refresh_after",
    "read_only",
    "restart",
    "runtime",
    "scale",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "use_api_socket",
    "user",
    "userns_mode",
    "uts",
    "volumes",
];
const REST: [&str; 2] = ["volumes_from", "working_dir"];

/// Known, kept, and without effect for now.
const WITHOUT_EFFECT: [&str; 22] = [
    "blkio_config",
    "cpu_count",
    "cpu_percent",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "credential_spec",
    "gpus",
    "isolation",
    "models",
    "pre_start",
    "post_start",
    "pre_stop",
    "provider",
    "pull_refresh_after",
    "storage_opt",
    "use_api_socket",
    "userns_mode",
    "external_links",
    "volumes_from",
    "mac_address",
    "runtime",
    "build",
];

pub(super) fn decode(context: &Context<'_>, name: &str, node: &Node, problems: &mut Vec<Diagnostic>) -> Service {
    let mut section = Section::new(node, format!("services.{name}"), problems);
    section.known(&[KNOWN.as_slice(), REST.as_slice()].concat());
    section.without_effect(&WITHOUT_EFFECT);
    if let Some(extends) = section.get("extends") {
        section.fault(extends, format!("services.{name}.extends is not supported yet"));
    }
    let mut service = Service { name: name.to_owned(), ..Service::default() };
    process::decode(context, &mut section, &mut service);
    process::environment(context, &mut section, &mut service);
    privileges::decode(context, &mut section, &mut service);
    service.limits = privileges::limits(&mut section);
    networking::decode(&mut section, &mut service);
    storage::decode(context, &mut section, &mut service);
    lifecycle::decode(&mut section, &mut service);
    if service.image.is_none() && service.build.is_none() {
        let text = format!("service \"{name}\" has neither an image nor a build context specified");
        section.fault(node, text);
    }
    service
}
