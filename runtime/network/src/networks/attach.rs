//! Connecting a container, and letting go of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ipnet::Ipv4Net;
use rcompose_sys::netns;

use super::record::{EndpointAddress, EndpointRecord};
use super::{Network, NetworkError, Networks, PublishedPort, State, io_error, kernel, target};
use crate::dns::{self, Client, Entry};
use crate::firewall::Protocol;
use crate::link::Interface;
use crate::port::{self, Held};
use crate::{ipam, link};

/// What a container wants of its networks.
#[derive(Debug, Clone, Default)]
pub struct AttachRequest {
    /// 64 hex digits.
    pub container: String,
    /// Its name.
    pub name: String,
    /// In order of connection; empty is loopback alone.
    pub endpoints: Vec<EndpointRequest>,
    /// Published ports.
    pub ports: Vec<PortRequest>,
    /// Servers for names outside.
    pub upstreams: Vec<IpAddr>,
    /// Names that only this container sees, and the name each stands for.
    pub links: BTreeMap<String, String>,
}

/// A place on one network.
#[derive(Debug, Clone, Default)]
pub struct EndpointRequest {
    /// Which.
    pub network: String,
    /// Names under which others find the container.
    pub names: Vec<String>,
    /// Fixed address.
    pub address: Option<Ipv4Addr>,
    /// Fixed hardware address.
    pub mac: Option<[u8; 6]>,
    /// Instead of `eth<n>`.
    pub interface: Option<String>,
    /// The highest gives the default route.
    pub gateway_priority: i64,
}

/// A port to publish.
#[derive(Debug, Clone)]
pub struct PortRequest {
    /// Transport.
    pub protocol: Protocol,
    /// `None` is every address.
    pub host: Option<IpAddr>,
    /// First and last port to choose from; `None` takes any free one.
    pub range: Option<(u16, u16)>,
    /// Port of the container.
    pub container_port: u16,
}

/// A connected container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The file that its network namespace is pinned to.
    pub namespace: PathBuf,
    /// Network and address, in order of connection.
    pub addresses: Vec<(String, Ipv4Addr)>,
    /// Ports as they came to be.
    pub ports: Vec<PublishedPort>,
}

/// An address that was chosen on a network.
struct Place {
    network: Network,
    address: Ipv4Addr,
}

impl Networks {
    /// Connects a container: namespace, interfaces, names, ports. What fails leaves nothing behind.
    pub fn attach(&self, request: &AttachRequest) -> Result<Attached, NetworkError> {
        let places = self.reserve(request)?;
        let attached = self.connect(request, &places);
        let mut state = self.state();
        for place in &places {
            state.reserved.remove(&(place.network.spec.name.clone(), place.address));
        }
        if attached.is_err() {
            drop(state);
            self.detach(&request.container);
        }
        attached
    }

    /// Chooses addresses; they are nobody else's until the container is attached, or that failed.
    fn reserve(&self, request: &AttachRequest) -> Result<Vec<Place>, NetworkError> {
        let mut state = self.state();
        let mut places = Vec::new();
        for endpoint in &request.endpoints {
            let place = choose(&state, &request.container, endpoint);
            match place {
                Ok(place) => {
                    state.reserved.insert((place.network.spec.name.clone(), place.address));
                    places.push(place);
                }
                Err(error) => {
                    for place in &places {
                        let Place { network, address } = place;
                        state.reserved.remove(&(network.spec.name.clone(), *address));
                    }
                    return Err(error);
                }
            }
        }
        Ok(places)
    }

    fn connect(&self, request: &AttachRequest, places: &[Place]) -> Result<Attached, NetworkError> {
        // Ports first: a conflict is to be found before anything is made.
        let held = hold_ports(request)?;
        let published = request.ports.iter().zip(&held).map(|(port, held)| PublishedPort {
            protocol: port.protocol,
            host: port.host,
            host_port: held.port,
            container_port: port.container_port,
        });
        let record = self.record(request, places, published.collect())?;
        kernel(record.write(&self.config.data_dir), || format!("record the addresses of {}", request.name))?;
        let namespace = self.make_namespace(&request.container)?;
        let sockets = self.wire(request, places, &record, &namespace)?;
        self.publish(record, sockets, held)
    }

    fn record(
        &self,
        request: &AttachRequest,
        places: &[Place],
        ports: Vec<PublishedPort>,
    ) -> Result<EndpointRecord, NetworkError> {
        let mut endpoints = Vec::new();
        for (endpoint, place) in request.endpoints.iter().zip(places) {
            let suffix = kernel(rcompose_sys::atomic::random_hex(3), || "name a link".to_owned())?;
            endpoints.push(EndpointAddress {
                network: endpoint.network.clone(),
                address: place.address,
                link: format!("rv{}-{suffix}", self.config.root),
                names: endpoint.names.clone(),
            });
        }
        // Where every network is internal, questions stay inside too.
        let closed = !places.is_empty() && places.iter().all(|place| place.network.spec.internal);
        Ok(EndpointRecord {
            container: request.container.clone(),
            name: request.name.clone(),
            endpoints,
            ports,
            upstreams: if closed { Vec::new() } else { request.upstreams.clone() },
            links: request.links.clone(),
        })
    }

    fn namespace_path(&self, container: &str) -> PathBuf {
        self.config.run_dir.join(container)
    }

    fn make_namespace(&self, container: &str) -> Result<std::os::fd::OwnedFd, NetworkError> {
        let path = self.namespace_path(container);
        kernel(netns::unpin(&path), || format!("clear {}", path.display()))?;
        kernel(netns::create_pinned(&path), || format!("make the network namespace of {container}"))
    }

    /// Makes the interfaces and sets them up from inside; gives the sockets for names.
    fn wire(
        &self,
        request: &AttachRequest,
        places: &[Place],
        record: &EndpointRecord,
        namespace: &std::os::fd::OwnedFd,
    ) -> Result<Option<dns::Sockets>, NetworkError> {
        let mut interfaces = Vec::new();
        let names: Vec<String> = request
            .endpoints
            .iter()
            .enumerate()
            .map(|(number, endpoint)| endpoint.interface.clone().unwrap_or_else(|| format!("eth{number}")))
            .collect();
        for (number, ((endpoint, place), record)) in request.endpoints.iter().zip(places).zip(&record.endpoints).enumerate() {
            let prefix = place.network.subnet.prefix_len();
            interfaces.push(Interface {
                host_name: &record.link,
                bridge: self.ensure_bridge(&place.network)?,
                name: &names[number],
                index: u32::try_from(number).unwrap_or(0) + 2,
                address: Ipv4Net::new(place.address, prefix).unwrap_or(place.network.subnet),
                mac: endpoint.mac.unwrap_or_else(|| ipam::mac_of(place.address)),
                mtu: place.network.spec.mtu,
            });
        }
        let gateway = gateway(request, places);
        let doing = || format!("set up the network of {}", request.name);
        let prepared = netns::run_in(namespace, || {
            // Interfaces that come later have no IPv6; a kernel without it has no such file.
            let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        });
        kernel(prepared, doing)?;
        for interface in &interfaces {
            let doing = || format!("make link {} of {}", interface.host_name, request.name);
            kernel(link::create_pair(interface, namespace), doing)?;
            if !request.ports.is_empty() {
                kernel(link::allow_hairpin(interface.host_name), doing)?;
            }
        }
        let configured = netns::run_in(namespace, || {
            link::configure(&interfaces, gateway)?;
            if interfaces.is_empty() {
                return Ok(None);
            }
            dns::Sockets::open().map(Some).map_err(|error| io_error("bind", std::path::Path::new("127.0.0.11"), &error))
        });
        kernel(configured.and_then(|done| done), doing)
    }

    /// Opens what leads to the container: names, ports.
    fn publish(&self, record: EndpointRecord, sockets: Option<dns::Sockets>, held: Vec<Held>) -> Result<Attached, NetworkError> {
        let attached = self.attached_of(&record);
        let stop = self.stop.child_token();
        let mut state = self.state();
        let has_ports = !record.ports.is_empty();
        self.announce(&record);
        self.serve(&record, sockets, held, &stop);
        state.servers.insert(record.container.clone(), stop);
        state.endpoints.insert(record.container.clone(), record);
        if has_ports {
            self.apply_firewall(&state)?;
        }
        Ok(attached)
    }

    fn announce(&self, record: &EndpointRecord) {
        let client = Client {
            networks: record.endpoints.iter().map(|endpoint| endpoint.network.clone()).collect(),
            links: record.links.clone(),
            upstreams: record.upstreams.clone(),
        };
        let entry = |endpoint: &EndpointAddress| Entry {
            container: record.name.clone(),
            network: endpoint.network.clone(),
            address: endpoint.address,
            names: endpoint.names.clone(),
        };
        let entries: Vec<Entry> = record.endpoints.iter().map(entry).collect();
        self.zone.add(&record.name, client, &entries);
    }

    fn serve(
        &self,
        record: &EndpointRecord,
        sockets: Option<dns::Sockets>,
        held: Vec<Held>,
        stop: &tokio_util::sync::CancellationToken,
    ) {
        if let Some(sockets) = sockets {
            let server = dns::serve(record.name.clone(), sockets, self.zone.clone(), stop.clone());
            self.tasks.spawn_on(
                async move {
                    if let Err(error) = server.await {
                        tracing::warn!(%error, "the name server of a container ended");
                    }
                },
                &self.runtime,
            );
        }
        let Some(address) = record.endpoints.first().map(|endpoint| endpoint.address) else { return };
        for (held, port) in held.into_iter().zip(&record.ports) {
            self.tasks.spawn_on(held.serve(target(address, port.container_port), stop.clone()), &self.runtime);
        }
    }

    pub(super) fn attached_of(&self, record: &EndpointRecord) -> Attached {
        Attached {
            namespace: self.namespace_path(&record.container),
            addresses: record.endpoints.iter().map(|endpoint| (endpoint.network.clone(), endpoint.address)).collect(),
            ports: record.ports.clone(),
        }
    }

    /// Lets go of a container. What is not there is fine; what cannot be removed is removed by the next attempt.
    pub fn detach(&self, container: &str) {
        let mut state = self.state();
        if let Some(server) = state.servers.remove(container) {
            server.cancel();
        }
        let record = state.endpoints.remove(container);
        if let Some(record) = &record {
            self.zone.remove(&record.name);
            if !record.ports.is_empty()
                && let Err(error) = self.apply_firewall(&state)
            {
                tracing::warn!(%error, container, "a published port could not be closed");
            }
        }
        drop(state);
        // The other ends of its links go with the namespace, once its last process has.
        if let Err(error) = netns::unpin(&self.namespace_path(container)) {
            tracing::warn!(%error, container, "a network namespace could not be let go");
        }
        for endpoint in record.iter().flat_map(|record| &record.endpoints) {
            // The kernel takes namespaces down behind our back; the bridge is to be free now.
            let _ = link::remove(&endpoint.link);
        }
        EndpointRecord::delete(&self.config.data_dir, container);
    }

    /// After a restart of the supervisor: serves the containers of `alive` again, and clears away what is left of others.
    pub fn restore(&self, alive: &BTreeSet<String>) -> Result<(), NetworkError> {
        let known: Vec<EndpointRecord> = self.state().endpoints.values().cloned().collect();
        let (kept, gone): (Vec<_>, Vec<_>) = known.into_iter().partition(|record| alive.contains(&record.container));
        for record in &gone {
            self.detach(&record.container);
        }
        self.sweep(&kept)?;
        for record in kept {
            if let Err(error) = self.serve_again(&record) {
                tracing::warn!(%error, container = record.name, "names or ports of a container could not be served again");
            }
        }
        let state = self.state();
        for network in state.networks.values() {
            self.ensure_bridge(network)?;
        }
        self.apply_firewall(&state)
    }

    fn serve_again(&self, record: &EndpointRecord) -> Result<(), NetworkError> {
        let doing = || format!("serve {} again", record.name);
        let namespace = kernel(netns::open(&self.namespace_path(&record.container)), doing)?;
        let sockets = netns::run_in(&namespace, || {
            dns::Sockets::open().map_err(|error| io_error("bind", std::path::Path::new("127.0.0.11"), &error))
        });
        let sockets = if record.endpoints.is_empty() { None } else { Some(kernel(sockets.and_then(|made| made), doing)?) };
        let hold = |port: &PublishedPort| port::hold(port.protocol, port.host, Some((port.host_port, port.host_port)));
        let held = record.ports.iter().map(hold).collect::<Result<Vec<_>, _>>()?;
        let stop = self.stop.child_token();
        self.announce(record);
        self.serve(record, sockets, held, &stop);
        self.state().servers.insert(record.container.clone(), stop);
        Ok(())
    }

    /// Removes namespaces and links of ours that no record knows.
    fn sweep(&self, kept: &[EndpointRecord]) -> Result<(), NetworkError> {
        let known: BTreeSet<&str> = kept.iter().map(|record| record.container.as_str()).collect();
        for pin in std::fs::read_dir(&self.config.run_dir).into_iter().flatten().flatten() {
            if pin.file_name().to_str().is_some_and(|name| !known.contains(name)) {
                kernel(netns::unpin(&pin.path()), || format!("let go of {}", pin.path().display()))?;
            }
        }
        let links: BTreeSet<&str> = kept.iter().flat_map(|record| &record.endpoints).map(|it| it.link.as_str()).collect();
        let prefix = format!("rv{}-", self.config.root);
        for name in kernel(link::names(), || "look at the host's links".to_owned())? {
            if name.starts_with(&prefix) && !links.contains(name.as_str()) {
                kernel(link::remove(&name), || format!("remove link {name}"))?;
            }
        }
        Ok(())
    }
}

fn choose(state: &State, container: &str, endpoint: &EndpointRequest) -> Result<Place, NetworkError> {
    let name = &endpoint.network;
    let network = state.networks.get(name).ok_or_else(|| NetworkError::NotFound(name.clone()))?;
    let mut taken: BTreeSet<Ipv4Addr> = network.spec.reserved.iter().copied().chain([network.gateway]).collect();
    let others = state.endpoints.values().filter(|record| record.container != container);
    taken.extend(others.flat_map(|record| &record.endpoints).filter(|it| it.network == *name).map(|it| it.address));
    taken.extend(state.reserved.iter().filter(|(of, _)| of == name).map(|(_, address)| *address));
    let address = match endpoint.address {
        Some(address) if !network.subnet.contains(&address) => {
            let text = format!("address {address} is not in {}", network.subnet);
            return Err(NetworkError::Invalid { name: name.clone(), text });
        }
        Some(address) if taken.contains(&address) => {
            return Err(NetworkError::AddressTaken { name: name.clone(), address });
        }
        Some(address) => address,
        None => ipam::choose_address(network.subnet, network.spec.ip_range, &taken)
            .ok_or_else(|| NetworkError::SubnetFull { name: name.clone(), subnet: network.subnet })?,
    };
    Ok(Place { network: network.clone(), address })
}

fn hold_ports(request: &AttachRequest) -> Result<Vec<Held>, NetworkError> {
    let hold = |wanted: &PortRequest| Ok(port::hold(wanted.protocol, wanted.host, wanted.range)?);
    request.ports.iter().map(hold).collect()
}

/// The way out: the network with the highest priority that has one.
fn gateway(request: &AttachRequest, places: &[Place]) -> Option<(Ipv4Addr, u32)> {
    let numbered = request.endpoints.iter().zip(places).enumerate();
    let open = numbered.filter(|(_, (_, place))| !place.network.spec.internal);
    let best = open.max_by_key(|(number, (endpoint, _))| (endpoint.gateway_priority, std::cmp::Reverse(*number)));
    best.map(|(number, (_, place))| (place.network.gateway, u32::try_from(number).unwrap_or(0) + 2))
}
