//! A service to a container. Pure.

use std::collections::BTreeMap;

use rcompose_engine::container::{
    ContainerSpec, Endpoint, FileContent, Healthcheck, InjectedFile, Limits, Log, Mount, MountSource, Namespace, Namespaces,
    Protocol, PublishedPort, Seccomp, Security, VolumesFrom,
};
use rcompose_model::Project;
use rcompose_model::project::{
    self as model, FileReference, FileSource, HealthcheckTest, MountKind, NetworkMode, Propagation, SecurityOption, Service,
    StartHook,
};
use rcompose_plan::{OneOff, labels};

use crate::health::Look;

/// A service that cannot become a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TranslateError {
    /// Neither image nor a way to make one.
    #[error("service `{0}` has neither an image nor a build section")]
    NoImage(String),
    /// A secret or config that is not there.
    #[error("environment variable \"{variable}\" required by {kind} \"{name}\" is not set")]
    UnsetVariable {
        /// The variable.
        variable: String,
        /// `secret` or `config`.
        kind: &'static str,
        /// Its key.
        name: String,
    },
    /// Kept by a platform that we do not have.
    #[error("unsupported external {kind} {name}")]
    External {
        /// `secret` or `config`.
        kind: &'static str,
        /// Its key.
        name: String,
    },
}

/// What a container is to its service.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// One of its replicas, by number.
    Replica(u32),
    /// Made for one command.
    OneOff(&'a OneOff),
    /// Made for a command that runs before the service: which of them.
    Hook(usize),
}

/// Describes a container of a service.
pub(crate) fn container(
    project: &Project,
    service: &Service,
    part: Part<'_>,
    name: &str,
) -> Result<ContainerSpec, TranslateError> {
    let image = rcompose_plan::image_name(project, service).ok_or_else(|| TranslateError::NoImage(service.name.clone()))?;
    Ok(ContainerSpec {
        name: name.to_owned(),
        image,
        labels: labels_of(project, service, part),
        annotations: service.annotations.clone(),
        command: service.command.clone(),
        entrypoint: service.entrypoint.clone(),
        environment: service.environment.clone(),
        working_dir: service.working_dir.clone(),
        user: service.user.clone(),
        group_add: service.group_add.clone(),
        hostname: service.hostname.clone(),
        domainname: service.domainname.clone(),
        tty: if let Part::OneOff(one_off) = part { one_off.tty } else { service.tty },
        stdin_open: if let Part::OneOff(one_off) = part { one_off.interactive } else { service.stdin_open },
        init: service.init,
        read_only: service.read_only,
        security: security(service),
        sysctls: service.sysctls.clone(),
        ulimits: service.ulimits.iter().map(|(name, limit)| (name.clone(), (limit.soft, limit.hard))).collect(),
        devices: service
            .devices
            .iter()
            .map(|device| (device.source.clone(), device.target.clone(), device.permissions.clone()))
            .collect(),
        device_cgroup_rules: service.device_cgroup_rules.clone(),
        shm_size: service.shm_size,
        limits: limits(service),
        oom_score_adj: service.oom_score_adj,
        cgroup_parent: service.cgroup_parent.clone(),
        namespaces: namespaces(project, service),
        networks: endpoints(project, service, matches!(part, Part::OneOff(one_off) if !one_off.use_aliases)),
        substitute_ports: false,
        ports: service.ports.iter().map(port).collect(),
        expose: service.expose.clone(),
        dns: service.dns.clone(),
        dns_options: service.dns_opt.clone(),
        dns_search: (!service.dns_search.is_empty()).then(|| service.dns_search.clone()),
        extra_hosts: service.extra_hosts.clone(),
        mounts: service.mounts.iter().map(|mount| mount_of(project, mount)).collect(),
        volumes_from: service.volumes_from.iter().map(|text| volumes_from(project, text)).collect(),
        files: files(project, service)?,
        healthcheck: service.healthcheck.as_ref().map(healthcheck),
        stop_signal: service.stop_signal.clone(),
        stop_grace_period: service.stop_grace_period,
        log: Log {
            driver: service.logging.driver.clone(),
            options: service.logging.options.clone(),
            stream: Some(match part {
                Part::Hook(index) => format!("{}/{}-pre_start-{index}", project.name, service.name),
                Part::Replica(number) => format!("{}/{}-{number}", project.name, service.name),
                Part::OneOff(one_off) => format!("{}/run-{}/output", project.name, one_off.slug),
            }),
        },
    })
}

/// Describes the container of a command that runs before a service: it has the service's mounts and networks, and is no part of it.
pub(crate) fn hook(
    project: &Project,
    service: &Service,
    index: usize,
    wanted: &StartHook,
    name: &str,
) -> Result<ContainerSpec, TranslateError> {
    let mut of_hook = service.clone();
    let StartHook { hook, image } = wanted;
    of_hook.image = image.clone().or(of_hook.image);
    // What the image runs, with this instead of its command; what the service runs is nothing to it.
    of_hook.entrypoint = None;
    of_hook.command = Some(hook.command.clone()).filter(|command| !command.is_empty());
    of_hook.user = hook.user.clone().or(of_hook.user);
    of_hook.working_dir = hook.working_dir.clone().or(of_hook.working_dir);
    of_hook.privileged |= hook.privileged;
    of_hook.environment.extend(hook.environment.clone());
    (of_hook.healthcheck, of_hook.container_name) = (None, None);
    of_hook.ports.clear();
    let spec = container(project, &of_hook, Part::Hook(index), name)?;
    Ok(ContainerSpec { tty: false, stdin_open: false, ..spec })
}

fn labels_of(project: &Project, service: &Service, part: Part<'_>) -> BTreeMap<String, String> {
    let files: Vec<String> = project.files.iter().map(|path| path.display().to_string()).collect();
    let condition = |condition: model::Condition| match condition {
        model::Condition::ServiceStarted => "service_started",
        model::Condition::ServiceHealthy => "service_healthy",
        model::Condition::ServiceCompletedSuccessfully => "service_completed_successfully",
    };
    let dependencies: Vec<String> =
        service.depends_on.iter().map(|(name, how)| format!("{name}:{}:{}", condition(how.condition), how.restart)).collect();
    let identity = match part {
        Part::Replica(number) => [(labels::CONTAINER_NUMBER, number.to_string()), (labels::ONE_OFF, "False".to_owned())],
        Part::OneOff(one_off) => [(labels::SLUG, one_off.slug.clone()), (labels::ONE_OFF, "True".to_owned())],
        Part::Hook(_) => [(labels::HOOK, "pre_start".to_owned()), (labels::ONE_OFF, "True".to_owned())],
    };
    let own = [
        (labels::PROJECT, project.name.clone()),
        (labels::SERVICE, service.name.clone()),
        (labels::CONFIG_HASH, service.config_hash.clone()),
        (labels::DEPENDS_ON, dependencies.join(",")),
        (labels::WORKING_DIR, project.working_dir.display().to_string()),
        (labels::CONFIG_FILES, files.join(",")),
        (labels::VERSION, env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let mut all = service.labels.clone();
    all.extend(own.into_iter().chain(identity).map(|(name, value)| (name.to_owned(), value)));
    all
}

fn security(service: &Service) -> Security {
    let mut security = Security {
        privileged: service.privileged,
        cap_add: service.cap_add.clone(),
        cap_drop: service.cap_drop.clone(),
        ..Security::default()
    };
    for option in &service.security_opt {
        match option {
            SecurityOption::NoNewPrivileges(on) => security.no_new_privileges = *on,
            SecurityOption::SeccompUnconfined => security.seccomp = Seccomp::Unconfined,
            SecurityOption::SeccompBuiltin => security.seccomp = Seccomp::Builtin,
            SecurityOption::SeccompFile(path) => security.seccomp = Seccomp::File(path.clone()),
            SecurityOption::SystemPathsUnconfined => security.unconfined_paths = true,
            SecurityOption::WritableCgroups(on) => security.writable_cgroups = *on,
            // Security modules that this kernel may not have; the model has told so.
            SecurityOption::Apparmor(_) | SecurityOption::Label(_) => {}
        }
    }
    security
}

fn limits(service: &Service) -> Limits {
    let asked = &service.limits;
    // A share of CPUs is a quota of the usual period.
    const PERIOD: u64 = 100_000;
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "CPU shares are small numbers")]
    let quota = asked.cpus.map(|cpus| (cpus * PERIOD as f64) as i64);
    Limits {
        memory: asked.memory,
        memory_reservation: asked.memory_reservation,
        memory_swap: asked.memory_swap,
        memory_swappiness: asked.memory_swappiness,
        oom_kill_disable: asked.oom_kill_disable,
        cpu_shares: asked.cpu_shares,
        cpu_period: asked.cpu_period.or(quota.map(|_| PERIOD)),
        cpu_quota: asked.cpu_quota.or(quota),
        cpuset: asked.cpuset.clone(),
        pids: asked.pids,
    }
}

/// Names the first container of a service.
fn first_of(project: &Project, service: &str) -> String {
    match project.services.get(service) {
        Some(other) => rcompose_plan::container_name(project, other, 1),
        None => format!("{}-{service}-1", project.name),
    }
}

fn namespaces(project: &Project, service: &Service) -> Namespaces {
    let mode = |text: Option<&str>| match text {
        Some("host") => Namespace::Host,
        Some(text) => match text.split_once(':') {
            Some(("service", name)) => Namespace::Container(first_of(project, name)),
            Some(("container", name)) => Namespace::Container(name.to_owned()),
            _ => Namespace::Private,
        },
        None => Namespace::Private,
    };
    Namespaces {
        network: match &service.network_mode {
            Some(NetworkMode::Host) => Namespace::Host,
            Some(NetworkMode::Service(name)) => Namespace::Container(first_of(project, name)),
            Some(NetworkMode::Container(name)) => Namespace::Container(name.clone()),
            Some(NetworkMode::None | NetworkMode::Bridge) | None => Namespace::Private,
        },
        pid: mode(service.pid.as_deref()),
        ipc: mode(service.ipc.as_deref()),
        uts: mode(service.uts.as_deref()),
        cgroup: service.cgroup.as_deref().map(|text| mode(Some(text))),
    }
}

/// In order of connection: priority, then name. One that is `anonymous` does not answer for its service.
fn endpoints(project: &Project, service: &Service, anonymous: bool) -> Vec<Endpoint> {
    let mut attachments: Vec<_> = service.networks.iter().collect();
    attachments.sort_by_key(|(key, attachment)| (std::cmp::Reverse(attachment.priority), (*key).clone()));
    let links: BTreeMap<String, String> = service
        .links
        .iter()
        .filter_map(|link| link.split_once(':'))
        .map(|(name, alias)| (alias.to_owned(), name.to_owned()))
        .collect();
    let endpoint = |(key, attachment): (&String, &model::NetworkAttachment)| Endpoint {
        network: project.networks.get(key).map_or_else(|| key.clone(), |network| network.name.clone()),
        aliases: if anonymous { Vec::new() } else { [vec![service.name.clone()], attachment.aliases.clone()].concat() },
        links: links.clone(),
        ipv4_address: attachment.ipv4_address,
        ipv6_address: attachment.ipv6_address,
        link_local_ips: attachment.link_local_ips.clone(),
        mac_address: attachment.mac_address.clone(),
        interface_name: attachment.interface_name.clone(),
        gateway_priority: attachment.gw_priority,
    };
    attachments.into_iter().map(endpoint).collect()
}

fn port(port: &model::PortMapping) -> PublishedPort {
    PublishedPort {
        target: port.target,
        published: port.published,
        host_ip: port.host_ip,
        protocol: match port.protocol {
            model::Protocol::Tcp => Protocol::Tcp,
            model::Protocol::Udp => Protocol::Udp,
            model::Protocol::Sctp => Protocol::Sctp,
        },
    }
}

fn mount_of(project: &Project, mount: &model::Mount) -> Mount {
    let source = match &mount.kind {
        MountKind::Bind { source, create_host_path, propagation, recursive, .. } => MountSource::Bind {
            path: source.clone(),
            create: *create_host_path,
            propagation: match propagation {
                Propagation::Rprivate => "rprivate",
                Propagation::Private => "private",
                Propagation::Rshared => "rshared",
                Propagation::Shared => "shared",
                Propagation::Rslave => "rslave",
                Propagation::Slave => "slave",
            }
            .to_owned(),
            recursive: recursive.as_deref() != Some("disabled"),
        },
        MountKind::Volume { source, nocopy, subpath } => MountSource::Volume {
            name: project.volumes.get(source).map_or_else(|| source.clone(), |volume| volume.name.clone()),
            nocopy: *nocopy,
            subpath: subpath.clone(),
        },
        MountKind::Anonymous { nocopy } => MountSource::Volume { name: String::new(), nocopy: *nocopy, subpath: None },
        MountKind::Tmpfs { size, mode, options } => {
            let mut all = options.clone();
            all.extend(size.map(|bytes| format!("size={bytes}")));
            all.extend(mode.map(|bits| format!("mode={bits:o}")));
            MountSource::Tmpfs { options: all }
        }
        MountKind::Image { source, subpath } => MountSource::Image { reference: source.clone(), subpath: subpath.clone() },
    };
    Mount { target: mount.target.clone(), read_only: mount.read_only, source }
}

/// `SERVICE`, `SERVICE:ro`, `container:NAME`, `container:NAME:ro`.
fn volumes_from(project: &Project, text: &str) -> VolumesFrom {
    let (name, is_service) = match text.strip_prefix("container:") {
        Some(name) => (name, false),
        None => (text, true),
    };
    let (name, mode) = name.split_once(':').unwrap_or((name, ""));
    let container = if is_service { first_of(project, name) } else { name.to_owned() };
    VolumesFrom { container, read_only: mode.split(',').any(|word| word == "ro") }
}

fn files(project: &Project, service: &Service) -> Result<Vec<InjectedFile>, TranslateError> {
    let configs = service.configs.iter().map(|reference| ("config", reference, project.configs.get(&reference.source)));
    let secrets = service.secrets.iter().map(|reference| ("secret", reference, project.secrets.get(&reference.source)));
    let mut files = Vec::new();
    for (kind, reference, object) in configs.chain(secrets) {
        if let Some(object) = object {
            files.push(file(kind, reference, &object.source)?);
        }
    }
    Ok(files)
}

fn file(kind: &'static str, reference: &FileReference, source: &FileSource) -> Result<InjectedFile, TranslateError> {
    let name = reference.source.clone();
    let content = match source {
        FileSource::File(path) => FileContent::HostFile(path.clone()),
        FileSource::Content(text) => FileContent::Inline(text.clone()),
        FileSource::Environment { value: Some(value), .. } => FileContent::Inline(value.clone()),
        FileSource::Environment { variable, value: None } => {
            return Err(TranslateError::UnsetVariable { variable: variable.clone(), kind, name });
        }
        FileSource::External => return Err(TranslateError::External { kind, name }),
    };
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(InjectedFile {
        target: reference.target.clone(),
        content,
        uid: number(&reference.uid),
        gid: number(&reference.gid),
        mode: reference.mode.unwrap_or(0o444),
    })
}

fn healthcheck(asked: &model::Healthcheck) -> Healthcheck {
    let test = asked.test.as_ref().map(|test| match test {
        HealthcheckTest::None => vec!["NONE".to_owned()],
        HealthcheckTest::Command(words) => [vec!["CMD".to_owned()], words.clone()].concat(),
        HealthcheckTest::Shell(text) => vec!["CMD-SHELL".to_owned(), text.clone()],
        HealthcheckTest::Http(probe) => Look::Http(probe.clone()).words(),
        HealthcheckTest::Tcp(port) => Look::Tcp(*port).words(),
        HealthcheckTest::Log(text) => Look::Log(text.clone()).words(),
    });
    Healthcheck {
        test,
        interval: asked.interval,
        timeout: asked.timeout,
        retries: asked.retries,
        start_period: asked.start_period,
        start_interval: asked.start_interval,
        restart: asked.restart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_follow_the_project() {
        let mut project = Project { name: "shop".to_owned(), ..Project::default() };
        let network = model::Network { name: "shop_default".to_owned(), ..model::Network::default() };
        project.networks.insert("default".to_owned(), network);
        let mut service = Service { name: "web".to_owned(), image: Some("x".to_owned()), ..Service::default() };
        service.networks.insert("default".to_owned(), model::NetworkAttachment::default());
        service.limits.cpus = Some(1.5);
        let container = container(&project, &service, Part::Replica(2), "shop-web-2").unwrap();
        assert_eq!(container.labels[labels::CONTAINER_NUMBER], "2");
        assert_eq!(container.networks[0].network, "shop_default");
        assert_eq!(container.networks[0].aliases, ["web"]);
        let asked = OneOff { slug: "abc".to_owned(), tty: true, ..OneOff::default() };
        let one_off = super::container(&project, &service, Part::OneOff(&asked), "shop-web-run-abc").unwrap();
        assert_eq!((one_off.labels[labels::ONE_OFF].as_str(), one_off.labels[labels::SLUG].as_str()), ("True", "abc"));
        assert!(one_off.networks[0].aliases.is_empty() && !one_off.labels.contains_key(labels::CONTAINER_NUMBER));
        assert_eq!((container.limits.cpu_quota, container.limits.cpu_period), (Some(150_000), Some(100_000)));
        service.image = None;
        assert!(super::container(&project, &service, Part::Replica(1), "x").is_err());
    }
}
