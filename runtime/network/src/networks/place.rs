//! Which addresses a container gets on each of its networks, and which of those its traffic takes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::record::Subnet;
use super::{AttachRequest, EndpointRequest, Network, NetworkError, Networks, State};
use crate::ipam;

/// Addresses that were chosen on a network.
pub(super) struct Place {
    pub(super) network: Network,
    /// One of each subnet, in its order.
    pub(super) addresses: Vec<IpAddr>,
    priority: i64,
}

impl Place {
    /// The addresses with the lengths of their subnets.
    pub(super) fn nets(&self) -> Vec<IpNet> {
        let pairs = self.addresses.iter().zip(&self.network.subnets);
        pairs.filter_map(|(address, subnet)| IpNet::new(*address, subnet.net.prefix_len()).ok()).collect()
    }

    fn of_family(&self, v4: bool) -> Option<(IpAddr, IpAddr)> {
        let pairs = self.addresses.iter().zip(&self.network.subnets);
        pairs.map(|(address, subnet)| (*address, subnet.gateway)).find(|(address, _)| address.is_ipv4() == v4)
    }
}

/// The way out and in, for one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlet {
    /// Number of the network, in order of connection.
    pub(super) number: usize,
    /// The bridge's address.
    pub(super) gateway: IpAddr,
    /// The container's.
    pub(super) address: IpAddr,
}

/// The ways out, IPv4 first: each by the network of the highest priority that has one. Internal networks have none.
pub(super) fn outlets(places: &[Place]) -> Vec<Outlet> {
    let of_family = |v4: bool| {
        let open = places.iter().enumerate().filter(|(_, place)| !place.network.spec.internal);
        let usable = open.filter_map(|(number, place)| {
            let (address, gateway) = place.of_family(v4)?;
            Some((place.priority, Outlet { number, gateway, address }))
        });
        let best = usable.max_by_key(|(priority, outlet)| (*priority, std::cmp::Reverse(outlet.number)));
        best.map(|(_, outlet)| outlet)
    };
    [true, false].into_iter().filter_map(of_family).collect()
}

impl Networks {
    /// Chooses addresses; they are nobody else's until the container is attached, or that failed.
    pub(super) fn reserve(&self, request: &AttachRequest) -> Result<Vec<Place>, NetworkError> {
        let mut state = self.state();
        let mut places: Vec<Place> = Vec::new();
        for endpoint in &request.endpoints {
            match choose(&state, &request.container, endpoint) {
                Ok(place) => {
                    state.reserved.extend(leases(&place));
                    places.push(place);
                }
                Err(error) => {
                    state.release(&places);
                    return Err(error);
                }
            }
        }
        Ok(places)
    }
}

impl State {
    /// Gives reserved addresses back.
    pub(super) fn release(&mut self, places: &[Place]) {
        for lease in places.iter().flat_map(leases) {
            self.reserved.remove(&lease);
        }
    }
}

fn leases(place: &Place) -> impl Iterator<Item = (String, IpAddr)> {
    place.addresses.iter().map(|address| (place.network.spec.name.clone(), *address))
}

fn choose(state: &State, container: &str, endpoint: &EndpointRequest) -> Result<Place, NetworkError> {
    let name = &endpoint.network;
    let network = state.networks.get(name).ok_or_else(|| NetworkError::NotFound(name.clone()))?;
    if let Some(stray) = endpoint.addresses.iter().find(|address| !network.has(**address)) {
        let nets: Vec<String> = network.subnets.iter().map(|subnet| subnet.net.to_string()).collect();
        let text = format!("address {stray} is not in {}", nets.join(" or "));
        return Err(NetworkError::Invalid { name: name.clone(), text });
    }
    let taken = taken(state, container, network);
    let address = |subnet: &Subnet| choose_in(subnet, name, &endpoint.addresses, &taken);
    let addresses = network.subnets.iter().map(address).collect::<Result<_, _>>()?;
    Ok(Place { network: network.clone(), addresses, priority: endpoint.gateway_priority })
}

/// Addresses that somebody else has, or is about to get.
fn taken(state: &State, container: &str, network: &Network) -> BTreeSet<IpAddr> {
    let name = network.spec.name.as_str();
    let others = state.endpoints.values().filter(|record| record.container != container);
    let mut taken: BTreeSet<IpAddr> = others.flat_map(|record| record.addresses_on(name)).collect();
    taken.extend(state.reserved.iter().filter(|(of, _)| of == name).map(|(_, address)| *address));
    taken.extend(network.subnets.iter().map(|subnet| subnet.gateway));
    taken
}

fn choose_in(subnet: &Subnet, name: &str, wanted: &[IpAddr], taken: &BTreeSet<IpAddr>) -> Result<IpAddr, NetworkError> {
    match wanted.iter().find(|address| subnet.net.contains(*address)) {
        Some(address) if taken.contains(address) => Err(NetworkError::AddressTaken { name: name.to_owned(), address: *address }),
        Some(address) if !ipam::is_host(subnet.net, *address) => {
            let text = format!("address {address} of {} is no container's", subnet.net);
            Err(NetworkError::Invalid { name: name.to_owned(), text })
        }
        Some(address) => Ok(*address),
        None => {
            // Whoever asks for a reserved address by name gets it; by chance nobody does.
            let taken = taken.iter().chain(&subnet.reserved).copied().collect();
            let chosen = ipam::choose_address(subnet.net, subnet.range, &taken);
            chosen.ok_or_else(|| NetworkError::SubnetFull { name: name.to_owned(), subnet: subnet.net })
        }
    }
}
