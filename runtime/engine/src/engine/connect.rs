//! Connecting a container: its networks, the namespaces it shares, and what it finds in `/etc` about both.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use rcompose_container::Container as Running;
use rcompose_container::spec::NamespaceKind;
use rcompose_network::{AttachRequest, Attached, EndpointRequest, PortRequest, Protocol, ResolverConfig};

use super::Engine;
use crate::EngineError;
use crate::bundle;
use crate::container::{ContainerSpec, Endpoint, Namespace, Protocol as SpecProtocol, PublishedPort};
use crate::error::Doing;
use crate::record::{Paths, Record};

/// What a container is called, and where that is written.
pub(super) struct Names {
    pub(super) hostname: String,
    /// Folder with `hosts`, `hostname` and `resolv.conf`.
    pub(super) etc: PathBuf,
}

/// Namespaces of other containers, and the containers, which have to run until they are joined.
#[derive(Default)]
pub(super) struct Joined {
    pub(super) namespaces: Vec<(NamespaceKind, PathBuf)>,
    owners: Vec<(String, Running)>,
}

impl Joined {
    /// The network namespace among them.
    pub(super) fn network(&self) -> Option<PathBuf> {
        self.namespaces.iter().find(|(kind, _)| *kind == NamespaceKind::Network).map(|(_, path)| path.clone())
    }

    /// The namespaces were named by the numbers of processes. If those have not ended until now, the numbers were theirs.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        for (name, owner) in &self.owners {
            if owner.wait(Some(std::time::Duration::ZERO)).doing(|| format!("look at container {name}"))? {
                return Err(EngineError::NotRunning(name.clone()));
            }
        }
        Ok(())
    }
}

impl Engine {
    /// Connects the container; `None` where it has no network of its own.
    pub(super) fn connect(&self, record: &Record) -> Result<Option<Attached>, EngineError> {
        let id = record.id.as_str();
        match &record.spec.namespaces.network {
            Namespace::Host | Namespace::Container(_) => return Ok(None),
            Namespace::Private => {}
        }
        // A restart finds it still connected.
        if let Some(attached) = self.networks.attached(id).filter(|attached| attached.namespace.exists()) {
            return Ok(Some(attached));
        }
        Ok(Some(self.networks.attach(&attach_request(record)?)?))
    }

    /// Writes what the container reads of its names; one that shares a network shares them too.
    pub(super) fn names(&self, paths: &Paths, record: &Record, attached: Option<&Attached>) -> Result<Names, EngineError> {
        let doing = || format!("write the files of {}", record.spec.name);
        if let Namespace::Container(other) = &record.spec.namespaces.network {
            let other = self.find(other).ok_or_else(|| EngineError::NotFound(other.clone()))?.record;
            let etc = self.paths(other.id.as_str()).etc();
            let hostname = std::fs::read_to_string(etc.join("hostname")).doing(doing)?.trim().to_owned();
            return Ok(Names { hostname, etc });
        }
        let on_host = record.spec.namespaces.network == Namespace::Host;
        let hostname = match &record.spec.hostname {
            None if on_host => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            _ => bundle::hostname(&record.spec, record.id.as_str()),
        };
        let own: Vec<IpAddr> = attached.iter().flat_map(|attached| &attached.addresses).map(|(_, address)| *address).collect();
        let extra = self.extra_hosts(&record.spec)?;
        let mut hosts = rcompose_network::hosts(&own, &hostname, record.spec.domainname.as_deref(), &extra);
        if on_host && let Ok(of_host) = std::fs::read_to_string("/etc/hosts") {
            let extra = extra.iter().map(|(name, address)| format!("{address}\t{name}\n"));
            hosts = std::iter::once(of_host).chain(extra).collect();
        }
        let embedded = attached.is_some_and(|attached| !attached.addresses.is_empty());
        let resolver = resolver(&record.spec, embedded).render(embedded);
        for (name, text) in [("hosts", hosts), ("hostname", format!("{hostname}\n")), ("resolv.conf", resolver)] {
            let path = paths.etc().join(name);
            std::fs::write(&path, text).doing(doing)?;
            // Everybody in the container reads them, whatever our own mask says.
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).doing(doing)?;
        }
        Ok(Names { hostname, etc: paths.etc() })
    }

    fn extra_hosts(&self, spec: &ContainerSpec) -> Result<Vec<(String, IpAddr)>, EngineError> {
        let address = |text: &str| match text {
            "host-gateway" => {
                let network = spec.networks.first().and_then(|endpoint| self.networks.get(&endpoint.network));
                let gateway = network.and_then(|network| network.subnets.first().map(|subnet| subnet.gateway));
                Some(gateway.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))
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

    /// The namespaces of other containers that a container joins.
    pub(super) fn joined(&self, spec: &ContainerSpec) -> Result<Joined, EngineError> {
        let wanted = &spec.namespaces;
        let kinds = [
            (NamespaceKind::Network, &wanted.network, "net"),
            (NamespaceKind::Pid, &wanted.pid, "pid"),
            (NamespaceKind::Ipc, &wanted.ipc, "ipc"),
            (NamespaceKind::Uts, &wanted.uts, "uts"),
        ];
        let mut joined = Joined::default();
        for (kind, namespace, file) in kinds {
            if let Namespace::Container(name) = namespace {
                let other = self.find(name).ok_or_else(|| EngineError::NotFound(name.clone()))?;
                let running = self.running(other.record.id.as_str())?;
                joined.namespaces.push((kind, PathBuf::from(format!("/proc/{}/ns/{file}", running.pid()))));
                joined.owners.push((name.clone(), running));
            }
        }
        Ok(joined)
    }
}

fn attach_request(record: &Record) -> Result<AttachRequest, EngineError> {
    let spec = &record.spec;
    let id = record.id.as_str();
    let endpoints = spec.networks.iter().map(|endpoint| endpoint_request(record, endpoint));
    let ports = spec.ports.iter().map(|port| port_request(spec, port));
    Ok(AttachRequest {
        container: id.to_owned(),
        name: spec.name.clone(),
        endpoints: endpoints.collect::<Result<_, _>>()?,
        ports: ports.collect::<Result<_, _>>()?,
        upstreams: resolver(spec, true).servers,
        links: spec.networks.iter().flat_map(|endpoint| endpoint.links.clone()).collect(),
    })
}

fn endpoint_request(record: &Record, endpoint: &Endpoint) -> Result<EndpointRequest, EngineError> {
    let spec = &record.spec;
    let invalid = |text: String| EngineError::Invalid { container: spec.name.clone(), text };
    let mut names = vec![spec.name.clone(), record.id.short().to_owned()];
    names.extend(endpoint.aliases.iter().cloned());
    names.extend(spec.hostname.clone());
    let of_family = |address: Option<IpAddr>, v4: bool| match address {
        Some(address) if address.is_ipv4() != v4 => {
            Err(invalid(format!("`{address}` is no {} address", if v4 { "IPv4" } else { "IPv6" })))
        }
        address => Ok(address),
    };
    let fixed = [of_family(endpoint.ipv4_address, true)?, of_family(endpoint.ipv6_address, false)?];
    let mac = endpoint
        .mac_address
        .as_deref()
        .map(|text| rcompose_network::parse_mac(text).ok_or_else(|| invalid(format!("`{text}` is no hardware address"))));
    Ok(EndpointRequest {
        network: endpoint.network.clone(),
        names,
        addresses: fixed.into_iter().flatten().collect(),
        link_local: endpoint.link_local_ips.clone(),
        mac: mac.transpose()?,
        interface: endpoint.interface_name.clone(),
        gateway_priority: endpoint.gateway_priority,
    })
}

fn port_request(spec: &ContainerSpec, port: &PublishedPort) -> Result<PortRequest, EngineError> {
    let protocol = match port.protocol {
        SpecProtocol::Tcp => Protocol::Tcp,
        SpecProtocol::Udp => Protocol::Udp,
        SpecProtocol::Sctp => {
            let text = format!("port {}: SCTP ports cannot be published", port.target);
            return Err(EngineError::Invalid { container: spec.name.clone(), text });
        }
    };
    let substitute = spec.substitute_ports.then(|| format!("{} {}/{:?}", spec.name, port.target, port.protocol));
    Ok(PortRequest { protocol, host: port.host_ip, range: port.published, container_port: port.target, substitute })
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
