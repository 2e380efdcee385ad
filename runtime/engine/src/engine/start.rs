//! Starting a container: network, files, bundle, monitor; in this order, and undone in reverse.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use rcompose_container::launch::LogTarget;
use rcompose_container::spec::{Device, NamespaceKind, Seccomp as SpecSeccomp};
use rcompose_container::{Container as Running, Launch, Rootfs};
use rcompose_image::{ImageConfig, View};
use rcompose_network::{AttachRequest, Attached, EndpointRequest, PortRequest, Protocol, ResolverConfig};
use rcompose_sys::beneath::Root;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use super::{Engine, Entry, lock, now};
use crate::EngineError;
use crate::bundle::{self, Surroundings};
use crate::container::{ContainerSpec, FileContent, InjectedFile, MountSource, Namespace, Protocol as SpecProtocol, Seccomp};
use crate::error::Doing;
use crate::record::{Paths, Record};

impl Engine {
    /// Starts a container that does not run. What fails leaves nothing behind, and is remembered.
    pub fn start(&self, id: &str) -> Result<(), EngineError> {
        let entry = self.entry(id)?;
        if entry.running().is_some() {
            return Ok(());
        }
        let record = entry.record();
        let started = self.launch(&entry, &record);
        let mut kept = lock(&entry.record);
        kept.failure = started.as_ref().err().map(|error| (error.exit_code(), error.to_string()));
        if started.is_ok() {
            kept.started_at = Some(now());
        }
        kept.write(&entry.paths.directory).doing(|| format!("record the start of {}", record.spec.name))?;
        drop(kept);
        match started {
            Ok(running) => {
                *lock(&entry.running) = Some(running);
                Ok(())
            }
            Err(error) => {
                self.disconnect(id);
                Err(error)
            }
        }
    }

    fn launch(&self, entry: &Entry, record: &Record) -> Result<Running, EngineError> {
        let (_, image, view) = self.images.open_image(&record.image_id)?;
        let attached = self.connect(record)?;
        let paths = &entry.paths;
        self.write_etc(paths, record, attached.as_ref())?;
        let sources = self.sources(paths, &record.spec)?;
        self.write_bundle(paths, record, &image, &view, attached, sources)?;
        self.run(paths, record, &view)
    }

    fn run(&self, paths: &Paths, record: &Record, view: &View) -> Result<Running, EngineError> {
        let doing = || format!("start container {}", record.spec.name);
        // An old end is not to be taken for the new one.
        rcompose_sys::atomic::remove_tree(&paths.exit()).doing(doing)?;
        std::fs::create_dir_all(&paths.state).doing(doing)?;
        let log = self.log_target(record)?;
        let launch = Launch {
            id: record.id.clone(),
            bundle: paths.directory.clone(),
            rootfs: Rootfs::Overlay {
                lower: view.lower.clone(),
                upper: paths.directory.join("upper"),
                work: paths.directory.join("work"),
            },
            state_dir: paths.state.clone(),
            exit_record: paths.exit(),
            log,
            stdin_open: record.spec.stdin_open,
        };
        let failure = |source| EngineError::Launch { container: record.spec.name.clone(), source };
        let created = self.launcher.create(launch).map_err(failure);
        let running = created.inspect_err(|_| {
            // Made a moment ago, for this start alone.
            let _ = rcompose_sys::atomic::remove_tree(&paths.state);
        })?;
        if let Err(error) = running.start() {
            // The monitor ends with its container, and has said all it knows.
            let _ = running.wait(Some(std::time::Duration::from_secs(10)));
            let _ = running.release();
            return Err(failure(error.into()));
        }
        Ok(running)
    }

    fn log_target(&self, record: &Record) -> Result<Option<LogTarget>, EngineError> {
        let log = &record.spec.log;
        if log.driver == "none" {
            return Ok(None);
        }
        let path = self.log_path(record);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).doing(|| format!("make {}", folder.display()))?;
        }
        let invalid = |text: String| EngineError::Invalid { container: record.spec.name.clone(), text };
        let max_size = match log.options.get("max-size") {
            Some(text) => Some(parse_size(text).ok_or_else(|| invalid(format!("log option `max-size`: `{text}` is no size")))?),
            None => None,
        };
        let max_files = match log.options.get("max-file") {
            Some(text) => text.parse().map_err(|_| invalid(format!("log option `max-file`: `{text}` is no number")))?,
            None => 1,
        };
        Ok(Some(LogTarget { path, max_size, max_files }))
    }

    /// Connects the container, unless a restart finds it still connected.
    fn connect(&self, record: &Record) -> Result<Option<Attached>, EngineError> {
        let id = record.id.as_str();
        match &record.spec.namespaces.network {
            Namespace::Host | Namespace::Container(_) => return Ok(None),
            Namespace::Private => {}
        }
        if let Some(attached) = self.networks.attached(id).filter(|attached| attached.namespace.exists()) {
            return Ok(Some(attached));
        }
        Ok(Some(self.networks.attach(&attach_request(record))?))
    }

    fn write_etc(&self, paths: &Paths, record: &Record, attached: Option<&Attached>) -> Result<(), EngineError> {
        let doing = || format!("write the files of {}", record.spec.name);
        let hostname = bundle::hostname(&record.spec, record.id.as_str());
        let own: Vec<IpAddr> =
            attached.iter().flat_map(|attached| &attached.addresses).map(|(_, address)| IpAddr::V4(*address)).collect();
        let extra = self.extra_hosts(&record.spec)?;
        let hosts = rcompose_network::hosts(&own, &hostname, record.spec.domainname.as_deref(), &extra);
        let embedded = attached.is_some_and(|attached| !attached.addresses.is_empty());
        let files = [
            ("hosts", hosts),
            ("hostname", format!("{hostname}\n")),
            ("resolv.conf", resolver(&record.spec, embedded).render(embedded)),
        ];
        for (name, text) in files {
            std::fs::write(paths.etc().join(name), text).doing(doing)?;
        }
        Ok(())
    }

    fn extra_hosts(&self, spec: &ContainerSpec) -> Result<Vec<(String, IpAddr)>, EngineError> {
        let address = |text: &str| match text {
            "host-gateway" => {
                let network = spec.networks.first().and_then(|endpoint| self.networks.get(&endpoint.network));
                Some(IpAddr::V4(network.map_or(Ipv4Addr::LOCALHOST, |network| network.gateway)))
            }
            text => text.trim_matches(['[', ']']).parse().ok(),
        };
        let entry = |(name, text): &(String, String)| {
            let address = address(text).ok_or_else(|| EngineError::Invalid {
                container: spec.name.clone(),
                text: format!("extra host `{name}`: `{text}` is no address"),
            })?;
            Ok((name.clone(), address))
        };
        spec.extra_hosts.iter().map(entry).collect()
    }

    /// Where volumes and injected files are on the host, by target.
    fn sources(&self, paths: &Paths, spec: &ContainerSpec) -> Result<BTreeMap<String, PathBuf>, EngineError> {
        let mut sources = BTreeMap::new();
        for mount in &spec.mounts {
            match &mount.source {
                MountSource::Volume { name, subpath, .. } => {
                    let data = self.volumes.get(name)?.data();
                    sources.insert(mount.target.clone(), below(&data, subpath.as_deref(), spec)?);
                }
                MountSource::Image { reference, subpath } => {
                    let (_, _, view) = self.images.open_image(reference)?;
                    let layer = view.lower.first().cloned().unwrap_or_default();
                    sources.insert(mount.target.clone(), below(&layer, subpath.as_deref(), spec)?);
                }
                MountSource::Bind { .. } | MountSource::Tmpfs { .. } => {}
            }
        }
        if !spec.files.is_empty() {
            let folder = paths.secrets();
            release_secrets(paths);
            std::fs::create_dir_all(&folder).doing(|| format!("make {}", folder.display()))?;
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            rustix::mount::mount("tmpfs", &folder, "tmpfs", flags, Some(c"mode=0711,size=16m"))
                .doing(|| format!("mount {}", folder.display()))?;
            for (number, file) in spec.files.iter().enumerate() {
                let path = folder.join(number.to_string());
                inject(&path, file).doing(|| format!("write `{}` of container {}", file.target, spec.name))?;
                sources.insert(file.target.clone(), path);
            }
        }
        Ok(sources)
    }

    fn write_bundle(
        &self,
        paths: &Paths,
        record: &Record,
        image: &ImageConfig,
        view: &View,
        attached: Option<Attached>,
        sources: BTreeMap<String, PathBuf>,
    ) -> Result<(), EngineError> {
        let spec = &record.spec;
        let hierarchies = rcompose_container::cgroup::hierarchies().doing(|| "find the cgroups".to_owned())?;
        let joined = self.joined(spec)?;
        let network = match &spec.namespaces.network {
            Namespace::Container(_) => {
                joined.iter().find(|(kind, _)| *kind == NamespaceKind::Network).map(|(_, path)| path.clone())
            }
            _ => attached.map(|attached| attached.namespace),
        };
        let around = Surroundings {
            id: record.id.as_str(),
            image,
            view,
            network,
            joined,
            etc: &paths.etc(),
            sources,
            devices: devices(spec)?,
            seccomp: seccomp(spec)?,
            cgroup_parent: spec.cgroup_parent.clone().unwrap_or_else(|| format!("/rcompose-{}", self.root_hash)),
            unified_cgroups: hierarchies.is_unified(),
        };
        let bundle = bundle::spec(spec, &around)?;
        let json = serde_json::to_vec(&bundle).expect("a spec has a JSON form");
        std::fs::write(paths.directory.join("config.json"), json).doing(|| format!("write the bundle of {}", spec.name))
    }

    /// The namespaces of other containers that a container joins.
    fn joined(&self, spec: &ContainerSpec) -> Result<Vec<(NamespaceKind, PathBuf)>, EngineError> {
        let wanted = &spec.namespaces;
        let kinds = [
            (NamespaceKind::Network, &wanted.network, "net"),
            (NamespaceKind::Pid, &wanted.pid, "pid"),
            (NamespaceKind::Ipc, &wanted.ipc, "ipc"),
            (NamespaceKind::Uts, &wanted.uts, "uts"),
        ];
        let mut joined = Vec::new();
        for (kind, namespace, file) in kinds {
            if let Namespace::Container(name) = namespace {
                let other = self.find(name).ok_or_else(|| EngineError::NotFound(name.clone()))?;
                let pid = other.pid.ok_or_else(|| EngineError::NotRunning(name.clone()))?;
                joined.push((kind, PathBuf::from(format!("/proc/{pid}/ns/{file}"))));
            }
        }
        Ok(joined)
    }
}

fn attach_request(record: &Record) -> AttachRequest {
    let spec = &record.spec;
    let id = record.id.as_str();
    let endpoint = |endpoint: &crate::container::Endpoint| {
        let mut names = vec![spec.name.clone(), id[..id.len().min(12)].to_owned()];
        names.extend(endpoint.aliases.iter().cloned());
        names.extend(spec.hostname.clone());
        let address = endpoint.ipv4_address.and_then(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        EndpointRequest {
            network: endpoint.network.clone(),
            names,
            address,
            mac: endpoint.mac_address.as_deref().and_then(rcompose_network::parse_mac),
            interface: endpoint.interface_name.clone(),
            gateway_priority: endpoint.gateway_priority,
        }
    };
    let port = |port: &crate::container::PublishedPort| {
        let protocol = match port.protocol {
            SpecProtocol::Tcp => Protocol::Tcp,
            SpecProtocol::Udp => Protocol::Udp,
            SpecProtocol::Sctp => return None,
        };
        Some(PortRequest { protocol, host: port.host_ip, range: port.published, container_port: port.target })
    };
    AttachRequest {
        container: id.to_owned(),
        name: spec.name.clone(),
        endpoints: spec.networks.iter().map(endpoint).collect(),
        ports: spec.ports.iter().filter_map(port).collect(),
        upstreams: resolver(spec, true).servers,
        links: spec.networks.iter().flat_map(|endpoint| endpoint.links.clone()).collect(),
    }
}

/// What the host asks, changed by what the service asks for.
fn resolver(spec: &ContainerSpec, embedded: bool) -> ResolverConfig {
    let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let mut config = ResolverConfig::parse(&host);
    if !spec.dns.is_empty() {
        config.servers.clone_from(&spec.dns);
    }
    if let Some(search) = &spec.dns_search {
        config.search = search.iter().filter(|domain| *domain != ".").cloned().collect();
    }
    if !spec.dns_options.is_empty() {
        config.options.clone_from(&spec.dns_options);
    } else if embedded {
        config.options = vec!["ndots:0".to_owned()];
    }
    config
}

/// A directory below another one, resolved inside it.
fn below(root: &std::path::Path, subpath: Option<&str>, spec: &ContainerSpec) -> Result<PathBuf, EngineError> {
    let Some(subpath) = subpath.filter(|path| !path.is_empty()) else { return Ok(root.to_owned()) };
    let handle = Root::open(root).and_then(|root| root.open_path(subpath));
    let handle = handle.doing(|| format!("open `{subpath}` for container {}", spec.name))?;
    let path = rcompose_sys::beneath::proc_path(&handle);
    std::fs::read_link(path).doing(|| format!("resolve `{subpath}` for container {}", spec.name))
}

fn inject(path: &std::path::Path, file: &InjectedFile) -> std::io::Result<()> {
    use std::io::Write;
    let bytes = match &file.content {
        FileContent::Inline(text) => text.clone().into_bytes(),
        FileContent::HostFile(source) => {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let open = rustix::fs::open(source, flags, Mode::empty())?;
            rcompose_sys::beneath::read_regular(open, 8 << 20)?
        }
    };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let target = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
    let mut target = std::fs::File::from(target);
    target.write_all(&bytes)?;
    std::os::unix::fs::fchown(&target, Some(file.uid), Some(file.gid))?;
    target.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(file.mode))
}

/// Takes injected files out of memory. What is not there is fine.
pub(super) fn release_secrets(paths: &Paths) {
    let folder = paths.secrets();
    if folder.exists() {
        // Busy or not mounted: it goes with its last user, or is a plain folder.
        let _ = rustix::mount::unmount(&folder, UnmountFlags::DETACH);
        let _ = std::fs::remove_dir(&folder);
    }
}

fn devices(spec: &ContainerSpec) -> Result<Vec<Device>, EngineError> {
    let device = |(source, target, _): &(String, String, String)| {
        let invalid = |text: String| EngineError::Invalid { container: spec.name.clone(), text };
        let about = rustix::fs::stat(source.as_str()).map_err(|errno| invalid(format!("device `{source}`: {errno}")))?;
        let kind = match FileType::from_raw_mode(about.st_mode) {
            FileType::CharacterDevice => "c",
            FileType::BlockDevice => "b",
            _ => return Err(invalid(format!("`{source}` is not a device"))),
        };
        Ok(Device {
            kind: kind.to_owned(),
            path: target.clone(),
            major: rustix::fs::major(about.st_rdev),
            minor: rustix::fs::minor(about.st_rdev),
            file_mode: Some(about.st_mode & 0o777),
            uid: Some(about.st_uid),
            gid: Some(about.st_gid),
        })
    };
    spec.devices.iter().map(device).collect()
}

/// A policy file in the OCI's words.
fn seccomp(spec: &ContainerSpec) -> Result<Option<SpecSeccomp>, EngineError> {
    let Seccomp::File(path) = &spec.security.seccomp else { return Ok(None) };
    let invalid = |text: String| EngineError::Invalid { container: spec.name.clone(), text };
    let text = std::fs::read(path).map_err(|error| invalid(format!("seccomp policy {}: {error}", path.display())))?;
    let policy = serde_json::from_slice(&text).map_err(|error| invalid(format!("seccomp policy {}: {error}", path.display())))?;
    Ok(Some(policy))
}

/// `10m`, `1g`, `4096`.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}
