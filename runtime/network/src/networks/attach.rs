//! Connecting a container, and letting go of it.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use ipnet::IpNet;
use rcompose_sys::netns;

use super::place::{Outlet, Place, outlets};
use super::record::{EndpointAddress, EndpointRecord};
use super::{AttachRequest, Attached, NetworkError, Networks, PortRequest, PublishedPort, kernel};
use crate::firewall::Protocol;
use crate::link::{self, Interface, PortMode, sysctl};
use crate::port::{self, Held};
use crate::{dns, ipam};

impl Networks {
    /// Connects a container: namespace, interfaces, names, ports. What fails leaves nothing behind.
    pub fn attach(&self, request: &AttachRequest) -> Result<Attached, NetworkError> {
        let places = self.reserve(request)?;
        let attached = self.connect(request, &places);
        self.state().release(&places);
        if attached.is_err() {
            self.detach(&request.container);
        }
        attached
    }

    fn connect(&self, request: &AttachRequest, places: &[Place]) -> Result<Attached, NetworkError> {
        let outlets = outlets(places);
        // Ports first: a conflict is to be found before anything is made.
        let (ports, held): (Vec<PublishedPort>, Vec<Held>) = hold_ports(request, places, &outlets)?.into_iter().unzip();
        let record = self.record(request, places, &outlets, ports)?;
        kernel(record.write(&self.config.data_dir), || format!("record the addresses of {}", request.name))?;
        let namespace = self.make_namespace(&request.container)?;
        let sockets = self.wire(request, places, &outlets, &record, &namespace)?;
        self.publish(record, sockets, held)
    }

    fn record(
        &self,
        request: &AttachRequest,
        places: &[Place],
        outlets: &[Outlet],
        ports: Vec<PublishedPort>,
    ) -> Result<EndpointRecord, NetworkError> {
        let mut endpoints = Vec::new();
        for (endpoint, place) in request.endpoints.iter().zip(places) {
            let suffix = kernel(rcompose_sys::atomic::random_hex(3), || "name a link".to_owned())?;
            endpoints.push(EndpointAddress {
                network: endpoint.network.clone(),
                addresses: place.addresses.clone(),
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
            targets: outlets.iter().map(|outlet| outlet.address).collect(),
        })
    }

    pub(super) fn namespace_path(&self, container: &str) -> PathBuf {
        self.config.run_dir.join(container)
    }

    fn make_namespace(&self, container: &str) -> Result<OwnedFd, NetworkError> {
        let path = self.namespace_path(container);
        kernel(netns::unpin(&path), || format!("clear {}", path.display()))?;
        let doing = || format!("make the network namespace of {container}");
        let namespace = kernel(netns::create_pinned(&path), doing)?;
        kernel(netns::run_in(&namespace, sysctl::of_new_namespace), doing)?;
        Ok(namespace)
    }

    /// Makes the interfaces and sets them up from inside; gives the sockets for names.
    fn wire(
        &self,
        request: &AttachRequest,
        places: &[Place],
        outlets: &[Outlet],
        record: &EndpointRecord,
        namespace: &OwnedFd,
    ) -> Result<Option<dns::Sockets>, NetworkError> {
        let interfaces = self.interfaces(request, places, record)?;
        for (interface, place) in interfaces.iter().zip(places) {
            let doing = || format!("make link {} of {}", interface.host_name, request.name);
            kernel(link::create_pair(interface, namespace), doing)?;
            let mode = PortMode {
                hairpin: !request.ports.is_empty(),
                isolated: !place.network.spec.connected && !sysctl::firewall_sees_bridged_packets(),
            };
            if mode.hairpin || mode.isolated {
                kernel(link::set_port_mode(interface.host_name, mode), doing)?;
            }
        }
        let gateways: Vec<(IpAddr, u32)> = outlets.iter().map(|outlet| (outlet.gateway, index_of(outlet.number))).collect();
        let configured = netns::run_in(namespace, || {
            link::configure(&interfaces, &gateways)?;
            if interfaces.is_empty() { Ok(None) } else { dns::Sockets::open().map(Some) }
        });
        kernel(configured.and_then(|done| done), || format!("set up the network of {}", request.name))
    }

    fn interfaces<'a>(
        &self,
        request: &AttachRequest,
        places: &[Place],
        record: &'a EndpointRecord,
    ) -> Result<Vec<Interface<'a>>, NetworkError> {
        let mut interfaces = Vec::new();
        for (number, ((endpoint, place), made)) in request.endpoints.iter().zip(places).zip(&record.endpoints).enumerate() {
            let mac = endpoint.mac.or_else(|| place.addresses.first().map(|address| ipam::mac_of(*address)));
            interfaces.push(Interface {
                host_name: &made.link,
                bridge: self.ensure_bridge(&self.state(), &place.network)?,
                name: endpoint.interface.clone().unwrap_or_else(|| format!("eth{number}")),
                index: index_of(number),
                addresses: [place.nets(), endpoint.link_local.iter().copied().map(of_link).collect()].concat(),
                mac: mac.unwrap_or_default(),
                mtu: place.network.spec.mtu,
            });
        }
        Ok(interfaces)
    }

    /// Opens what leads to the container: names, ports.
    fn publish(&self, record: EndpointRecord, sockets: Option<dns::Sockets>, held: Vec<Held>) -> Result<Attached, NetworkError> {
        let attached = self.attached_of(&record);
        let stop = self.stop.child_token();
        let mut state = self.state();
        let has_ports = !record.ports.is_empty();
        self.announce(&record);
        let held = held.into_iter().zip(&record.ports).map(|(held, port)| (held, port.container_port)).collect();
        self.serve(&record, sockets, held, &stop);
        state.servers.insert(record.container.clone(), stop);
        state.endpoints.insert(record.container.clone(), record);
        if has_ports {
            self.apply_firewall(&state)?;
            self.forget_flows(&attached.ports);
        }
        Ok(attached)
    }

    pub(super) fn attached_of(&self, record: &EndpointRecord) -> Attached {
        let addresses = record.endpoints.iter().flat_map(|endpoint| {
            let network = &endpoint.network;
            endpoint.addresses.iter().map(|address| (network.clone(), *address))
        });
        Attached {
            namespace: self.namespace_path(&record.container),
            addresses: addresses.collect(),
            ports: record.ports.clone(),
        }
    }

    /// What was on its way when a port was opened or closed takes the new way.
    fn forget_flows(&self, ports: &[PublishedPort]) {
        let udp: Vec<u16> = ports.iter().filter(|port| port.protocol == Protocol::Udp).map(|port| port.host_port).collect();
        if !udp.is_empty()
            && let Err(error) = self.firewall.forget_flows(&udp)
        {
            tracing::warn!(%error, "clients that send to a published UDP port already may not reach it until they pause");
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
            if !record.ports.is_empty() {
                if let Err(error) = self.apply_firewall(&state) {
                    tracing::warn!(%error, container, "a published port could not be closed");
                }
                self.forget_flows(&record.ports);
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
}

/// Takes the ports that are asked for. Without a way in there are none.
fn hold_ports(request: &AttachRequest, places: &[Place], outlets: &[Outlet]) -> Result<Vec<(PublishedPort, Held)>, NetworkError> {
    let Some(outlet) = outlets.first() else { return Ok(Vec::new()) };
    let usual = places[outlet.number].network.spec.host_binding.filter(|address| !address.is_unspecified());
    let hold = |wanted: &PortRequest| {
        let host = wanted.host.or(usual);
        let held = match (port::hold(wanted.protocol, host, wanted.range), &wanted.substitute) {
            (Err(taken), Some(words)) => port::hold_substitute(wanted.protocol, host, words).ok_or(taken)?,
            (held, _) => held?,
        };
        let (protocol, container_port) = (wanted.protocol, wanted.container_port);
        Ok((PublishedPort { protocol, host, host_port: held.port, container_port }, held))
    };
    request.ports.iter().map(hold).collect()
}

/// The index of an interface inside, after loopback.
fn index_of(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(0) + 2
}

/// An address that is not one of its network's.
fn of_link(address: IpAddr) -> IpNet {
    let length = match address {
        IpAddr::V4(address) if address.is_link_local() => 16,
        IpAddr::V4(_) => 32,
        IpAddr::V6(address) if address.is_unicast_link_local() => 64,
        IpAddr::V6(_) => 128,
    };
    IpNet::new(address, length).expect("the length fits the family")
}
