//! From a container's description to an OCI spec. Pure: what it needs to know of the machine comes in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rcompose_container::init::capabilities;
use rcompose_container::init::{NAMESPACE as MOUNT_NAMESPACE, SUBPATH};
use rcompose_container::spec::{
    Capabilities, Cpu, DeviceRule, Linux, Memory, Mount, Namespace as SpecNamespace, NamespaceKind, Pids, Process, Resources,
    Rlimit, Root, Seccomp as SpecSeccomp, Spec, User,
};
use rcompose_image::{ImageConfig, View};

use crate::container::{ContainerSpec, Limits, MountSource, Namespace, Seccomp};
use crate::devices::Asked;
use crate::error::EngineError;

/// What a spec needs besides the description.
pub(crate) struct Surroundings<'a> {
    pub(crate) id: &'a str,
    /// The name that it has for itself.
    pub(crate) hostname: &'a str,
    pub(crate) image: &'a ImageConfig,
    pub(crate) view: &'a View,
    /// The network namespace that was made for it, or is another container's.
    pub(crate) network: Option<PathBuf>,
    /// Namespaces of other containers to join.
    pub(crate) joined: &'a [(NamespaceKind, PathBuf)],
    /// Folder with `hosts`, `hostname` and `resolv.conf`.
    pub(crate) etc: &'a Path,
    /// Where each volume, image and injected file is.
    pub(crate) sources: Sources,
    /// Device nodes that were asked for.
    pub(crate) devices: Vec<Asked>,
    /// A policy that was read from a file.
    pub(crate) seccomp: Option<SpecSeccomp>,
    pub(crate) cgroup_parent: String,
    pub(crate) unified_cgroups: bool,
}

/// Where mounts come from on the host, by target.
pub(crate) type Sources = BTreeMap<String, Source>;

/// Where a mount comes from on the host.
pub(crate) struct Source {
    /// Trees that are seen as one, topmost first; more than one are layers of an image.
    pub(crate) trees: Vec<PathBuf>,
    /// Only this directory of them; resolved inside, when it is mounted.
    pub(crate) subpath: Option<String>,
    /// Whatever was asked for.
    pub(crate) read_only: bool,
}

impl Source {
    /// A single file.
    pub(crate) fn file(path: PathBuf) -> Self {
        Self { trees: vec![path], subpath: None, read_only: true }
    }
}

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Describes a container to the runtime.
pub(crate) fn spec(container: &ContainerSpec, around: &Surroundings<'_>) -> Result<Spec, EngineError> {
    Ok(Spec {
        oci_version: "1.2.0".to_owned(),
        process: Some(process(container, around.image, around.hostname)?),
        root: Some(Root { path: "rootfs".into(), readonly: container.read_only }),
        hostname: Some(around.hostname.to_owned()),
        domainname: container.domainname.clone(),
        mounts: mounts(container, around)?,
        annotations: container.annotations.clone(),
        linux: Some(linux(container, around)),
    })
}

/// The name that a container has for itself where no other decides it.
pub(crate) fn hostname(container: &ContainerSpec, id: &str) -> String {
    container.hostname.clone().unwrap_or_else(|| id[..id.len().min(12)].to_owned())
}

/// The process that the description and the image ask for together.
fn process(container: &ContainerSpec, image: &ImageConfig, hostname: &str) -> Result<Process, EngineError> {
    let arguments = arguments(container, image);
    if arguments.is_empty() {
        return Err(EngineError::NoCommand { container: container.name.clone(), image: container.image.clone() });
    }
    let asked = container.working_dir.as_deref().filter(|path| !path.is_empty());
    let cwd = asked.unwrap_or(if image.config.working_dir.is_empty() { "/" } else { &image.config.working_dir });
    let user = container.user.clone().unwrap_or_else(|| image.config.user.clone());
    let capabilities = capability_set(container)?;
    Ok(Process {
        terminal: container.tty,
        user: User { name: Some(user), group_names: container.group_add.clone(), ..User::default() },
        args: arguments,
        env: environment(container, image, hostname),
        cwd: cwd.to_owned(),
        capabilities: Some(Capabilities {
            bounding: capabilities.clone(),
            effective: capabilities.clone(),
            permitted: capabilities,
            ..Capabilities::default()
        }),
        rlimits: container.ulimits.iter().map(|(name, limit)| rlimit(name, *limit)).collect(),
        no_new_privileges: container.security.no_new_privileges,
        oom_score_adj: container.oom_score_adj,
    })
}

fn arguments(container: &ContainerSpec, image: &ImageConfig) -> Vec<String> {
    let (entrypoint, command) = match (&container.entrypoint, &container.command) {
        // An entrypoint of one's own drops the image's command too.
        (Some(entrypoint), command) => (entrypoint.clone(), command.clone().unwrap_or_default()),
        (None, Some(command)) => (image.config.entrypoint.clone().unwrap_or_default(), command.clone()),
        (None, None) => (image.config.entrypoint.clone().unwrap_or_default(), image.config.cmd.clone().unwrap_or_default()),
    };
    [entrypoint, command].concat()
}

/// PATH and HOSTNAME, then the image's, then the service's; a variable without value is taken away.
fn environment(container: &ContainerSpec, image: &ImageConfig, hostname: &str) -> Vec<String> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut set = |entry: &str| {
        if let Some((name, value)) = entry.split_once('=')
            && !name.is_empty()
            && !entry.contains('\0')
        {
            variables.retain(|(known, _)| known != name);
            variables.push((name.to_owned(), value.to_owned()));
        }
    };
    set(DEFAULT_PATH);
    set(&format!("HOSTNAME={hostname}"));
    if container.tty {
        set("TERM=xterm");
    }
    image.config.env.iter().for_each(|entry| set(entry));
    for (name, value) in &container.environment {
        if let Some(value) = value {
            set(&format!("{name}={value}"));
        }
    }
    variables.retain(|(name, _)| !matches!(container.environment.get(name), Some(None)));
    variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn capability_set(container: &ContainerSpec) -> Result<Vec<String>, EngineError> {
    let security = &container.security;
    let mask =
        if security.privileged { Ok(capabilities::ALL) } else { capabilities::adjusted(&security.cap_add, &security.cap_drop) };
    let mask = mask.map_err(|name| EngineError::UnknownCapability { container: container.name.clone(), name })?;
    Ok(capabilities::names(mask))
}

fn rlimit(name: &str, (soft, hard): (i64, i64)) -> Rlimit {
    let value = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    Rlimit { kind: format!("RLIMIT_{}", name.to_ascii_uppercase()), soft: value(soft), hard: value(hard) }
}

fn mount(destination: &str, kind: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: Some(kind.to_owned()),
        source: Some(kind.into()),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    }
}

fn bind(source: PathBuf, destination: &str, options: &[&str]) -> Mount {
    Mount { source: Some(source), ..mount(destination, "bind", options) }
}

fn mounts(container: &ContainerSpec, around: &Surroundings<'_>) -> Result<Vec<Mount>, EngineError> {
    let privileged = container.security.privileged;
    let access = if privileged { "rw" } else { "ro" };
    let cgroup_access = if privileged || container.security.writable_cgroups { "rw" } else { "ro" };
    let shm = format!("size={}", container.shm_size.unwrap_or(64 << 20));
    let mut mounts = vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", access]),
        mount("/sys/fs/cgroup", "cgroup", &[cgroup_access, "nosuid", "noexec", "nodev"]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    match container.namespaces.ipc {
        Namespace::Host => mounts.push(bind("/dev/shm".into(), "/dev/shm", &["bind"])),
        // Segments with a name are files there: they are shared with those that have none.
        Namespace::Container(_) => {
            let of_owner =
                around.joined.iter().find(|(kind, _)| *kind == NamespaceKind::Ipc).map(|(_, path)| path.with_file_name("mnt"));
            let namespace = format!("{MOUNT_NAMESPACE}{}", of_owner.unwrap_or_default().display());
            mounts.push(bind("/dev/shm".into(), "/dev/shm", &["bind", "nosuid", "noexec", "nodev", &namespace]));
        }
        Namespace::Private => mounts.push(mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", &shm])),
    }
    mounts.extend(own_mounts(container, around.view, around.etc, &around.sources)?);
    for file in &container.files {
        if let Some(source) = around.sources.get(&file.target) {
            mounts.push(bind(source.trees[0].clone(), &file.target, &["bind", "ro", "rprivate"]));
        }
    }
    Ok(mounts)
}

/// What a container has of its image, the host and volumes, without what the kernel makes for it.
pub(crate) fn own_mounts(
    container: &ContainerSpec,
    view: &View,
    etc: &Path,
    sources: &Sources,
) -> Result<Vec<Mount>, EngineError> {
    let mut mounts = image_mounts(view);
    let names = ["resolv.conf", "hostname", "hosts"];
    let mut inner: Vec<Mount> =
        names.iter().map(|name| bind(etc.join(name), &format!("/etc/{name}"), &["bind", "rprivate"])).collect();
    for asked in &container.mounts {
        inner.push(asked_mount(container, asked, sources)?);
    }
    // Outer targets first, or they would hide the inner ones; of two at one target the one that was asked for is on top.
    inner.sort_by_key(|it| it.destination.trim_end_matches('/').matches('/').count());
    mounts.extend(inner);
    Ok(mounts)
}

/// What belongs to an image and is not in its layers.
pub(crate) fn image_mounts(view: &View) -> Vec<Mount> {
    let options = ["rbind", "ro", "nosuid", "rprivate"];
    view.binds.iter().map(|(source, target)| bind(source.clone(), target, &options)).collect()
}

fn asked_mount(container: &ContainerSpec, asked: &crate::container::Mount, sources: &Sources) -> Result<Mount, EngineError> {
    let access = if asked.read_only { "ro" } else { "rw" };
    Ok(match &asked.source {
        MountSource::Bind { path, propagation, recursive, .. } => {
            let kind = if *recursive { "rbind" } else { "bind" };
            let propagation = if propagation.is_empty() { "rprivate" } else { propagation };
            bind(path.clone(), &asked.target, &[kind, access, propagation])
        }
        MountSource::Volume { .. } | MountSource::Image { .. } => {
            let invalid = |text: String| EngineError::Invalid { container: container.name.clone(), text };
            let source = sources.get(&asked.target).ok_or_else(|| invalid(format!("nothing to mount at {}", asked.target)))?;
            let access = if source.read_only { "ro" } else { access };
            tree_mount(source, &asked.target, access).ok_or_else(|| {
                invalid(format!("a part of an image cannot be mounted at {}: it has several layers", asked.target))
            })?
        }
        MountSource::Trees { lower, subpath, upper } => trees(&asked.target, lower, subpath.as_deref(), upper.as_ref(), access),
        MountSource::Tmpfs { options } => {
            let mut all = vec!["nosuid", "nodev", "noexec", access];
            all.extend(options.iter().map(String::as_str).filter(|option| !option.is_empty()));
            mount(&asked.target, "tmpfs", &all)
        }
    })
}

/// A bind mount of one tree; an overlay of several, or of one that keeps what it is.
fn trees(target: &str, lower: &[PathBuf], subpath: Option<&str>, upper: Option<&(PathBuf, PathBuf)>, access: &str) -> Mount {
    let part = subpath.map(|path| format!("{SUBPATH}{path}"));
    if let ([tree], None) = (lower, upper) {
        let options: Vec<&str> = ["rbind", access, "rprivate"].into_iter().chain(part.as_deref()).collect();
        return bind(tree.clone(), target, &options);
    }
    let mut options: Vec<String> = vec![access.to_owned()];
    options.extend(lower.iter().map(|layer| format!("lowerdir+={}", layer.display())));
    if let Some((upper, work)) = upper {
        options.extend([format!("upperdir={}", upper.display()), format!("workdir={}", work.display())]);
    }
    options.extend(part);
    mount(target, "overlay", &options.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A bind mount of one tree, an overlay of several; `None` for a part of several.
fn tree_mount(source: &Source, target: &str, access: &str) -> Option<Mount> {
    match (source.trees.as_slice(), &source.subpath) {
        ([tree], None) => Some(bind(tree.clone(), target, &["rbind", access, "rprivate"])),
        ([tree], Some(subpath)) => {
            let subpath = format!("{SUBPATH}{subpath}");
            Some(bind(tree.clone(), target, &["rbind", access, "rprivate", &subpath]))
        }
        (trees, None) => {
            let layers: Vec<String> = trees.iter().map(|tree| format!("lowerdir+={}", tree.display())).collect();
            let options: Vec<&str> = std::iter::once("ro").chain(layers.iter().map(String::as_str)).collect();
            Some(mount(target, "overlay", &options))
        }
        (_, Some(_)) => None,
    }
}

fn linux(container: &ContainerSpec, around: &Surroundings<'_>) -> Linux {
    let security = &container.security;
    let open = security.privileged || security.unconfined_paths;
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    let unfiltered = security.privileged || security.seccomp == Seccomp::Unconfined;
    Linux {
        namespaces: namespaces(container, around),
        devices: around.devices.iter().map(|asked| asked.device.clone()).collect(),
        cgroups_path: Some(format!("{}/{}", around.cgroup_parent, around.id)),
        resources: Some(resources(container, around)),
        masked_paths: if open { Vec::new() } else { owned(&MASKED) },
        readonly_paths: if open { Vec::new() } else { owned(&READ_ONLY) },
        sysctl: sysctls(container, around),
        seccomp_default: !unfiltered && around.seccomp.is_none(),
        seccomp: if unfiltered { None } else { around.seccomp.clone() },
        init: container.init,
        ..Linux::default()
    }
}

fn namespaces(container: &ContainerSpec, around: &Surroundings<'_>) -> Vec<SpecNamespace> {
    let wanted = &container.namespaces;
    let mut namespaces = vec![SpecNamespace { kind: NamespaceKind::Mount, path: None }];
    let mut add = |kind: NamespaceKind, whose: &Namespace| match whose {
        Namespace::Private => namespaces.push(SpecNamespace { kind, path: None }),
        Namespace::Host => {}
        Namespace::Container(_) => {
            let path = around.joined.iter().find(|(joined, _)| *joined == kind).map(|(_, path)| path.clone());
            namespaces.push(SpecNamespace { kind, path });
        }
    };
    add(NamespaceKind::Pid, &wanted.pid);
    add(NamespaceKind::Ipc, &wanted.ipc);
    add(NamespaceKind::Uts, &wanted.uts);
    let default = if around.unified_cgroups { Namespace::Private } else { Namespace::Host };
    add(NamespaceKind::Cgroup, wanted.cgroup.as_ref().unwrap_or(&default));
    // Without a path it is a new one, where there is only loopback; never the host's by omission.
    if wanted.network != Namespace::Host {
        namespaces.push(SpecNamespace { kind: NamespaceKind::Network, path: around.network.clone() });
    }
    namespaces
}

fn sysctls(container: &ContainerSpec, around: &Surroundings<'_>) -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    if around.network.is_some() && container.namespaces.network == Namespace::Private {
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        sysctls.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
    }
    sysctls.extend(container.sysctls.clone());
    sysctls
}

fn resources(container: &ContainerSpec, around: &Surroundings<'_>) -> Resources {
    let Limits { memory, memory_reservation, memory_swap, memory_swappiness, oom_kill_disable, .. } = container.limits;
    let limits = &container.limits;
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    // Unset, a container may swap as much as it may hold in memory.
    let swap = memory_swap.or_else(|| memory.map(|bytes| signed(bytes.saturating_mul(2))));
    let wants_memory = memory.is_some() || memory_reservation.is_some() || memory_swap.is_some() || memory_swappiness.is_some();
    let wants_cpu =
        limits.cpu_shares.is_some() || limits.cpu_quota.is_some() || limits.cpu_period.is_some() || limits.cpuset.is_some();
    Resources {
        devices: device_rules(container, &around.devices),
        memory: wants_memory.then(|| Memory {
            limit: memory.map(signed),
            reservation: memory_reservation.map(signed),
            swap,
            swappiness: memory_swappiness,
            disable_oom_killer: oom_kill_disable.then_some(true),
        }),
        cpu: wants_cpu.then(|| Cpu {
            shares: limits.cpu_shares,
            quota: limits.cpu_quota,
            period: limits.cpu_period,
            cpus: limits.cpuset.clone(),
            mems: None,
        }),
        pids: limits.pids.map(|limit| Pids { limit }),
    }
}

/// An allow list: nothing at first, then making nodes, the default devices, and what was asked for.
fn device_rules(container: &ContainerSpec, asked: &[Asked]) -> Vec<DeviceRule> {
    if container.security.privileged {
        return vec![DeviceRule { allow: true, ..DeviceRule::default() }];
    }
    let rule = |kind: &str, major, minor, access: &str| DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major,
        minor,
        access: Some(access.to_owned()),
    };
    let mut rules = vec![DeviceRule::default(), rule("c", None, None, "m"), rule("b", None, None, "m")];
    rules.extend([3, 5, 7, 8, 9].map(|minor| rule("c", Some(1), Some(minor), "rwm")));
    rules.extend([0, 1, 2].map(|minor| rule("c", Some(5), Some(minor), "rwm")));
    rules.push(rule("c", Some(136), None, "rwm"));
    rules.push(rule("c", Some(10), Some(200), "rwm"));
    for asked in asked {
        let device = &asked.device;
        rules.push(rule(&device.kind, Some(device.major), Some(device.minor), &asked.access));
    }
    rules.extend(container.device_cgroup_rules.iter().filter_map(|text| parse_rule(text)));
    rules
}

/// Reads `c 1:3 rwm`.
fn parse_rule(text: &str) -> Option<DeviceRule> {
    let mut words = text.split_ascii_whitespace();
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let (major, minor) = numbers.split_once(':')?;
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
    Some(DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major: number(major)?,
        minor: number(minor)?,
        access: Some(access.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use rcompose_image::Config;

    use super::*;

    fn image() -> ImageConfig {
        let config = Config {
            env: vec!["A=image".to_owned(), "B=image".to_owned(), "broken".to_owned()],
            entrypoint: Some(vec!["/entry".to_owned()]),
            cmd: Some(vec!["default".to_owned()]),
            working_dir: "/work".to_owned(),
            ..Config::default()
        };
        ImageConfig { config, ..ImageConfig::default() }
    }

    #[test]
    fn an_entrypoint_of_ones_own_drops_the_command_of_the_image() {
        let words = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let run = |entrypoint: Option<&[&str]>, command: Option<&[&str]>| {
            let container =
                ContainerSpec { entrypoint: entrypoint.map(words), command: command.map(words), ..ContainerSpec::default() };
            arguments(&container, &image()).join(" ")
        };
        assert_eq!(run(None, None), "/entry default");
        assert_eq!(run(None, Some(&["mine"])), "/entry mine");
        assert_eq!(run(Some(&["/my"]), None), "/my");
        assert_eq!(run(Some(&["/my"]), Some(&["mine"])), "/my mine");
        assert_eq!(run(Some(&[]), Some(&[])), "");
    }

    #[test]
    fn the_service_has_the_last_word_on_the_environment() {
        let environment_of = |entries: &[(&str, Option<&str>)]| {
            let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
            let container = ContainerSpec { environment: entries.collect(), ..ContainerSpec::default() };
            environment(&container, &image(), "web")
        };
        let text = environment_of(&[("A", Some("mine")), ("B", None), ("HOSTNAME", Some("x"))]);
        assert_eq!(text, [DEFAULT_PATH, "A=mine", "HOSTNAME=x"]);
    }

    #[test]
    fn the_hosts_network_is_only_for_those_who_ask_for_it() {
        let (view, config) = (View::default(), ImageConfig::default());
        let network_of = |network: Namespace, path: Option<&str>| {
            let around = Surroundings { network: path.map(PathBuf::from), ..around(&config, &view) };
            let namespaces = crate::container::Namespaces { network, ..crate::container::Namespaces::default() };
            let container = ContainerSpec { namespaces, ..ContainerSpec::default() };
            let found = super::namespaces(&container, &around);
            found.into_iter().find(|it| it.kind == NamespaceKind::Network).map(|it| it.path)
        };
        let other = || Namespace::Container("other".to_owned());
        assert_eq!(network_of(Namespace::Host, None), None);
        assert_eq!(network_of(Namespace::Private, None), Some(None));
        assert_eq!(network_of(other(), None), Some(None));
        assert_eq!(network_of(other(), Some("/proc/7/ns/net")), Some(Some("/proc/7/ns/net".into())));
        assert_eq!(network_of(Namespace::Private, Some("/run/x")), Some(Some("/run/x".into())));
    }

    #[test]
    fn an_image_that_is_mounted_is_read_only_and_a_part_is_resolved_inside() {
        let source = |trees: &[&str], subpath: Option<&str>| Source {
            trees: trees.iter().map(PathBuf::from).collect(),
            subpath: subpath.map(str::to_owned),
            read_only: true,
        };
        let options = |source: &Source| tree_mount(source, "/x", "ro").map(|it| it.options.join(","));
        assert_eq!(options(&source(&["/a"], None)).unwrap(), "rbind,ro,rprivate");
        assert_eq!(options(&source(&["/a"], Some("b"))).unwrap(), "rbind,ro,rprivate,x-rcompose.subpath=b");
        assert_eq!(options(&source(&["/a", "/b"], None)).unwrap(), "ro,lowerdir+=/a,lowerdir+=/b");
        assert!(options(&source(&["/a", "/b"], Some("c"))).is_none());
    }

    fn around<'a>(image: &'a ImageConfig, view: &'a View) -> Surroundings<'a> {
        Surroundings {
            id: "x",
            hostname: "x",
            image,
            view,
            network: None,
            joined: &[],
            etc: Path::new("/"),
            sources: Sources::new(),
            devices: Vec::new(),
            seccomp: None,
            cgroup_parent: "/p".to_owned(),
            unified_cgroups: false,
        }
    }

    #[test]
    fn swap_defaults_to_as_much_as_memory() {
        let container = ContainerSpec { limits: Limits { memory: Some(100), ..Limits::default() }, ..ContainerSpec::default() };
        let (view, config) = (View::default(), ImageConfig::default());
        let around = around(&config, &view);
        let memory = resources(&container, &around).memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(100), Some(200)));
        assert_eq!(linux(&container, &around).resources.unwrap().devices[0], DeviceRule::default());
    }
}
