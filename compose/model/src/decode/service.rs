//! A service.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::reader::Section;
use super::{Context, ports, volumes};
use crate::load::clean;
use crate::node::{Kind, Node};
use crate::project::{
    Build, Condition, Dependency, Device, EnvFile, FileReference, Healthcheck, HealthcheckTest, Limits, Logging, Mount,
    MountKind, NetworkAttachment, NetworkMode, PullPolicy, RestartPolicy, SecurityOption, Service, Ulimit,
};
use crate::{Diagnostic, envfile, units};

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
    what_runs(context, &mut section, &mut service);
    environment(context, &mut section, &mut service);
    privileges(context, &mut section, &mut service);
    service.limits = limits(&mut section);
    networking(&mut section, &mut service);
    storage(context, &mut section, &mut service);
    lifecycle(&mut section, &mut service);
    if service.image.is_none() && service.build.is_none() {
        let text = format!("service \"{name}\" has neither an image nor a build context specified");
        section.fault(node, text);
    }
    service
}

fn what_runs(context: &Context<'_>, section: &mut Section<'_, '_>, service: &mut Service) {
    service.image = section.string("image").map(|image| match image.strip_prefix("rootfs:") {
        Some(path) => format!("rootfs:{}", clean(&context.directory.join(path)).display()),
        None => image,
    });
    service.build = section.get("build").map(|node| match &node.kind {
        Kind::Scalar { text, .. } => Build { context: text.clone(), attributes: serde_json::Value::Null },
        _ => Build { context: node.get("context").and_then(Node::text).unwrap_or(".").to_owned(), attributes: node.to_json() },
    });
    service.pull_policy = pull_policy(section);
    service.platform = section.string("platform");
    service.command = section.command("command");
    service.entrypoint = section.command("entrypoint");
    service.container_name = section.string("container_name");
    service.hostname = section.string("hostname");
    service.domainname = section.string("domainname");
    service.user = section.string("user");
    service.group_add = section.strings("group_add");
    service.working_dir = section.string("working_dir");
    service.tty = section.flag("tty");
    service.stdin_open = section.flag("stdin_open");
    service.init = section.flag("init");
    service.attach = section.boolean("attach").unwrap_or(true);
    service.profiles = section.strings("profiles");
    service.annotations = section.labels("annotations");
    service.scale = scale(section);
}

fn scale(section: &mut Section<'_, '_>) -> u32 {
    let own = section.integer("scale");
    let deployed = section.get("deploy").and_then(|deploy| deploy.get("replicas")).filter(|node| !node.is_null());
    let replicas = deployed.and_then(|node| {
        let value = node.text().and_then(units::integer).and_then(|number| u32::try_from(number).ok());
        if value.is_none() {
            let text = format!("{}.deploy.replicas must be a whole number, at least 0", section.path);
            section.fault(node, text);
        }
        value
    });
    match (own, replicas, deployed) {
        (Some(one), Some(other), Some(node)) if one != other => {
            let text = format!("{}: `scale` and `deploy.replicas` differ", section.path);
            section.fault(node, text);
            one
        }
        (own, replicas, _) => own.or(replicas).unwrap_or(1),
    }
}

fn pull_policy(section: &mut Section<'_, '_>) -> Option<PullPolicy> {
    let text = section.string("pull_policy")?;
    let days = |days: u64| PullPolicy::Every(std::time::Duration::from_secs(days * 86_400));
    Some(match text.as_str() {
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "missing" | "if_not_present" => PullPolicy::Missing,
        "build" => PullPolicy::Build,
        "daily" => days(1),
        "weekly" => days(7),
        other => match other.strip_prefix("every_").and_then(units::duration) {
            Some(duration) => PullPolicy::Every(duration),
            None => {
                let text = format!("{}.pull_policy: unknown policy `{}`", section.path, other.escape_default());
                let node = section.node.get("pull_policy").unwrap_or(section.node);
                section.fault(node, text);
                return None;
            }
        },
    })
}

fn environment(context: &Context<'_>, section: &mut Section<'_, '_>, service: &mut Service) {
    service.env_files = env_files(context, section);
    let mut variables: BTreeMap<String, Option<String>> = BTreeMap::new();
    for file in service.env_files.clone() {
        match context.files.read(&file.path, 1 << 20) {
            Ok(Some(text)) => {
                let entries = if file.format.as_deref() == Some("raw") {
                    Ok(envfile::parse_raw(&text, context.variables))
                } else {
                    envfile::parse(&text, &file.path, context.variables)
                };
                match entries {
                    Ok(entries) => variables.extend(entries.into_iter().map(|(key, value)| (key, Some(value)))),
                    Err(problem) => section.problems.push(problem),
                }
            }
            Ok(None) if !file.required => {}
            unreadable => {
                let why = unreadable.err().unwrap_or_else(|| "no such file".to_owned());
                let text = format!("env file {} not found or unreadable: {why}", file.path.display());
                let node = section.node.get("env_file").unwrap_or(section.node);
                section.fault(node, text);
            }
        }
    }
    for (key, value) in section.pairs("environment") {
        // A name alone takes the value that the variable has here; unset here, it is unset there.
        let value = value.or_else(|| context.variables.get(&key).cloned());
        variables.insert(key, value);
    }
    service.environment = variables;
    service.labels = section.labels("labels");
    if let Some(key) = service.labels.keys().find(|key| key.starts_with("com.docker.compose.")).cloned() {
        let node = section.node.get("labels").unwrap_or(section.node);
        let text = format!("{}.labels: `{key}` is reserved: labels of that prefix are ours", section.path);
        section.fault(node, text);
    }
}

fn env_files(context: &Context<'_>, section: &mut Section<'_, '_>) -> Vec<EnvFile> {
    let Some(node) = section.get("env_file") else { return Vec::new() };
    let plain = |text: &str| EnvFile { path: clean(&context.directory.join(text)), required: true, format: None };
    let items = match &node.kind {
        Kind::Scalar { text, .. } => return vec![plain(text)],
        Kind::Sequence(items) => items,
        Kind::Mapping(_) => {
            let text = format!("{}.env_file must be a path or a list", section.path);
            section.fault(node, text);
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for item in items {
        match item.text() {
            Some(text) => files.push(plain(text)),
            None => {
                let mut entry = Section::new(item, format!("{}.env_file", section.path), section.problems);
                entry.known(&["path", "required", "format"]);
                let path = entry.string("path").unwrap_or_default();
                let (required, format) = (entry.boolean("required").unwrap_or(true), entry.string("format"));
                files.push(EnvFile { required, format, ..plain(&path) });
            }
        }
    }
    files
}

fn privileges(context: &Context<'_>, section: &mut Section<'_, '_>, service: &mut Service) {
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

fn limits(section: &mut Section<'_, '_>) -> Limits {
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

fn networking(section: &mut Section<'_, '_>, service: &mut Service) {
    service.network_mode = section.string("network_mode").map(|mode| match mode.as_str() {
        "none" => NetworkMode::None,
        "host" => NetworkMode::Host,
        "bridge" | "default" => NetworkMode::Bridge,
        other => match other.split_once(':') {
            Some(("service", name)) => NetworkMode::Service(name.to_owned()),
            Some(("container", name)) => NetworkMode::Container(name.to_owned()),
            _ => NetworkMode::Container(other.to_owned()),
        },
    });
    service.networks = attachments(section);
    if let (Some(_), Some(node)) = (&service.network_mode, section.get("networks")) {
        let text = format!("service {} declares mutually exclusive `network_mode` and `networks`", service.name);
        section.fault(node, text);
    }
    for node in section.items("ports") {
        service.ports.extend(ports::decode(section, node));
        if service.ports.len() > MAX_PORTS {
            section.fault(node, format!("services.{}.ports: more than {MAX_PORTS} ports", service.name));
            break;
        }
    }
    service.expose = section.strings("expose");
    service.links = section.strings("links");
    service.external_links = section.strings("external_links");
    service.mac_address = section.string("mac_address");
    for text in section.strings("dns") {
        match text.parse::<IpAddr>() {
            Ok(address) => service.dns.push(address),
            Err(_) => {
                let text = format!("{}.dns: `{}` is no address", section.path, text.escape_default());
                let node = section.node.get("dns").unwrap_or(section.node);
                section.fault(node, text);
            }
        }
    }
    service.dns_opt = section.strings("dns_opt");
    service.dns_search = section.strings("dns_search");
    service.extra_hosts = extra_hosts(section);
}

fn extra_hosts(section: &mut Section<'_, '_>) -> Vec<(String, String)> {
    let Some(node) = section.get("extra_hosts") else { return Vec::new() };
    if let Kind::Mapping(entries) = &node.kind {
        let values = |node: &Node| match &node.kind {
            Kind::Sequence(items) => items.iter().filter_map(|item| item.text().map(str::to_owned)).collect(),
            _ => node.text().map(str::to_owned).into_iter().collect::<Vec<_>>(),
        };
        return entries.iter().flat_map(|(key, value)| values(value).into_iter().map(|it| (key.name.clone(), it))).collect();
    }
    let split = |text: String| {
        let (name, address) = text.split_once('=').or_else(|| text.split_once(':'))?;
        Some((name.trim().to_owned(), address.trim().to_owned()))
    };
    section.strings("extra_hosts").into_iter().filter_map(split).collect()
}

fn attachments(section: &mut Section<'_, '_>) -> BTreeMap<String, NetworkAttachment> {
    let Some(node) = section.get("networks") else { return BTreeMap::new() };
    if matches!(node.kind, Kind::Sequence(_)) {
        return section.strings("networks").into_iter().map(|name| (name, NetworkAttachment::default())).collect();
    }
    let mut attachments = BTreeMap::new();
    for (key, node) in section.entries("networks") {
        let mut entry = Section::new(node, format!("{}.networks.{}", section.path, key.name), section.problems);
        entry.known(&[
            "aliases",
            "ipv4_address",
            "ipv6_address",
            "link_local_ips",
            "mac_address",
            "interface_name",
            "driver_opts",
            "priority",
            "gw_priority",
        ]);
        let address = |entry: &mut Section<'_, '_>, name: &str| {
            let text = entry.string(name)?;
            let parsed = text.parse::<IpAddr>();
            if parsed.is_err() {
                let text = format!("{}.{name}: `{}` is no address", entry.path, text.escape_default());
                let at = entry.node.get(name).unwrap_or(entry.node);
                entry.fault(at, text);
            }
            parsed.ok()
        };
        let attachment = NetworkAttachment {
            aliases: entry.strings("aliases"),
            ipv4_address: address(&mut entry, "ipv4_address"),
            ipv6_address: address(&mut entry, "ipv6_address"),
            link_local_ips: Vec::new(),
            mac_address: entry.string("mac_address"),
            interface_name: entry.string("interface_name"),
            driver_opts: entry.labels("driver_opts"),
            priority: entry.integer("priority").unwrap_or(0),
            gw_priority: entry.integer("gw_priority").unwrap_or(0),
        };
        attachments.insert(key.name.clone(), attachment);
    }
    attachments
}

fn storage(context: &Context<'_>, section: &mut Section<'_, '_>, service: &mut Service) {
    for node in section.items("volumes") {
        service.mounts.extend(volumes::decode(context, section, node));
    }
    for text in section.strings("tmpfs") {
        let (target, options) = text.split_once(':').unwrap_or((&text, ""));
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        let kind = MountKind::Tmpfs { size: None, mode: None, options };
        service.mounts.push(Mount { target: target.to_owned(), read_only: false, kind });
    }
    let mut seen = std::collections::BTreeSet::new();
    if let Some(mount) = service.mounts.iter().find(|mount| !seen.insert(mount.target.clone())) {
        let text = format!("{}.volumes: two mounts have the target `{}`", section.path, mount.target);
        let node = section.node.get("volumes").unwrap_or(section.node);
        section.fault(node, text);
    }
    service.volumes_from = section.strings("volumes_from");
    service.configs = references(section, "configs", "/");
    service.secrets = references(section, "secrets", "/run/secrets/");
}

fn references(section: &mut Section<'_, '_>, attribute: &str, folder: &str) -> Vec<FileReference> {
    let mut references = Vec::new();
    for node in section.items(attribute) {
        let absolute = |target: &str| if target.starts_with('/') { target.to_owned() } else { format!("{folder}{target}") };
        if let Some(source) = node.text() {
            references.push(FileReference {
                source: source.to_owned(),
                target: absolute(source),
                uid: None,
                gid: None,
                mode: None,
            });
            continue;
        }
        let mut entry = Section::new(node, format!("{}.{attribute}", section.path), section.problems);
        entry.known(&["source", "target", "uid", "gid", "mode"]);
        let Some(source) = entry.string("source") else { continue };
        let target = entry.string("target").unwrap_or_else(|| source.clone());
        references.push(FileReference {
            target: absolute(&target),
            uid: entry.string("uid"),
            gid: entry.string("gid"),
            mode: entry.integer("mode"),
            source,
        });
    }
    references
}

fn lifecycle(section: &mut Section<'_, '_>, service: &mut Service) {
    service.depends_on = dependencies(section);
    for link in service.links.clone() {
        let name = link.split(':').next().unwrap_or_default().to_owned();
        imply(service, name, true);
    }
    let mut shared: Vec<String> = [&service.ipc, &service.pid]
        .into_iter()
        .filter_map(|mode| mode.as_deref()?.strip_prefix("service:").map(str::to_owned))
        .collect();
    if let Some(NetworkMode::Service(name)) = &service.network_mode {
        shared.push(name.clone());
    }
    shared.into_iter().for_each(|name| imply(service, name, true));
    service.healthcheck = section.get("healthcheck").map(|node| healthcheck(section, node));
    service.restart = restart(section);
    service.stop_signal = section.string("stop_signal");
    service.stop_grace_period = section.duration("stop_grace_period");
    if let Some(node) = section.get("logging") {
        let mut entry = Section::new(node, format!("{}.logging", section.path), section.problems);
        entry.known(&["driver", "options"]);
        let driver = entry.string("driver").unwrap_or_else(|| "json-file".to_owned());
        if !["json-file", "local", "none"].contains(&driver.as_str()) {
            let text = format!(
                "{}.driver: `{}` is not supported: expected json-file, local or none",
                entry.path,
                driver.escape_default()
            );
            entry.fault(node, text);
        }
        service.logging = Logging { driver, options: entry.labels("options") };
    }
}

fn imply(service: &mut Service, name: String, restart: bool) {
    let implied = Dependency { condition: Condition::ServiceStarted, restart, required: true };
    service.depends_on.entry(name).or_insert(implied);
}

fn dependencies(section: &mut Section<'_, '_>) -> BTreeMap<String, Dependency> {
    let Some(node) = section.get("depends_on") else { return BTreeMap::new() };
    if !matches!(node.kind, Kind::Mapping(_)) {
        let plain = Dependency { condition: Condition::ServiceStarted, restart: false, required: true };
        return section.strings("depends_on").into_iter().map(|name| (name, plain.clone())).collect();
    }
    let mut dependencies = BTreeMap::new();
    for (key, node) in section.entries("depends_on") {
        let mut entry = Section::new(node, format!("{}.depends_on.{}", section.path, key.name), section.problems);
        entry.known(&["condition", "restart", "required"]);
        let choices = ["service_started", "service_healthy", "service_completed_successfully"];
        let condition = match entry.choice("condition", &choices).as_deref() {
            Some("service_healthy") => Condition::ServiceHealthy,
            Some("service_completed_successfully") => Condition::ServiceCompletedSuccessfully,
            _ => Condition::ServiceStarted,
        };
        let dependency =
            Dependency { condition, restart: entry.flag("restart"), required: entry.boolean("required").unwrap_or(true) };
        dependencies.insert(key.name.clone(), dependency);
    }
    dependencies
}

fn healthcheck(section: &mut Section<'_, '_>, node: &Node) -> Healthcheck {
    let mut entry = Section::new(node, format!("{}.healthcheck", section.path), section.problems);
    entry.known(&["test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"]);
    let test = entry.get("test").and_then(|test| match &test.kind {
        Kind::Scalar { text, .. } => Some(HealthcheckTest::Shell(text.clone())),
        _ => {
            let words = entry.strings("test");
            match words.split_first() {
                Some((first, _)) if first == "NONE" => Some(HealthcheckTest::None),
                Some((first, rest)) if first == "CMD" => Some(HealthcheckTest::Command(rest.to_vec())),
                Some((first, rest)) if first == "CMD-SHELL" => Some(HealthcheckTest::Shell(rest.join(" "))),
                _ => {
                    let text = format!("{}.test: a list begins with NONE, CMD or CMD-SHELL", entry.path);
                    entry.fault(test, text);
                    None
                }
            }
        }
    });
    let test = if entry.flag("disable") { Some(HealthcheckTest::None) } else { test };
    Healthcheck {
        test,
        interval: entry.duration("interval"),
        timeout: entry.duration("timeout"),
        retries: entry.integer("retries"),
        start_period: entry.duration("start_period"),
        start_interval: entry.duration("start_interval"),
    }
}

fn restart(section: &mut Section<'_, '_>) -> RestartPolicy {
    let deployed = section.get("deploy").and_then(|deploy| deploy.get("restart_policy"));
    if let Some(node) = deployed {
        let mut entry = Section::new(node, format!("{}.deploy.restart_policy", section.path), section.problems);
        entry.known(&["condition", "delay", "max_attempts", "window"]);
        let max_retries = entry.integer("max_attempts");
        return match entry.choice("condition", &["none", "on-failure", "any"]).as_deref() {
            Some("none") => RestartPolicy::No,
            Some("on-failure") => RestartPolicy::OnFailure { max_retries },
            _ => RestartPolicy::Always,
        };
    }
    let Some(text) = section.string("restart") else { return RestartPolicy::No };
    match text.as_str() {
        "no" | "false" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => RestartPolicy::OnFailure { max_retries: None },
        other => {
            if let Some(max) = other.strip_prefix("on-failure:").and_then(|max| max.parse().ok()) {
                return RestartPolicy::OnFailure { max_retries: Some(max) };
            }
            let text = format!("{}.restart: unknown policy `{}`", section.path, other.escape_default());
            let node = section.node.get("restart").unwrap_or(section.node);
            section.fault(node, text);
            RestartPolicy::No
        }
    }
}
