//! A network as asked for to one that can be made: its subnets, its bridge.

use std::net::IpAddr;

use ipnet::IpNet;

use super::error::kernel;
use super::record::{self, Network, NetworkSpec, Pool, Subnet};
use super::{NetworkError, Networks, State};
use crate::ipam;
use crate::link::{self, NewBridge, sysctl};

impl Networks {
    pub(super) fn describe(&self, state: &State, spec: NetworkSpec) -> Result<Network, NetworkError> {
        let invalid = |text: String| NetworkError::Invalid { name: spec.name.clone(), text };
        if !is_name(&spec.name) {
            return Err(invalid("expected a name of [a-zA-Z0-9][a-zA-Z0-9_.-]*, 200 at most".to_owned()));
        }
        if spec.driver != "bridge" {
            return Err(NetworkError::Driver { name: spec.name.clone(), driver: spec.driver.clone() });
        }
        if !spec.ipv4 && !spec.ipv6 {
            return Err(invalid("it has neither IPv4 nor IPv6".to_owned()));
        }
        let mut subnets = Vec::new();
        for (wanted, v4) in [(spec.ipv4, true), (spec.ipv6, false)] {
            if wanted {
                subnets.push(self.subnet(state, &spec, v4)?);
            }
        }
        let id = kernel(rcompose_sys::atomic::random_hex(32), || "make an id".to_owned())?;
        let bridge = spec.bridge_name.clone().unwrap_or_else(|| format!("rc{}-{}", self.config.root, &id[..6]));
        // Removing the network would remove what is somebody else's.
        if link::index_of(&bridge).is_ok() {
            return Err(invalid(format!("the link `{bridge}` exists already, and would become its bridge")));
        }
        Ok(Network { id, subnets, bridge, created: record::now(), spec })
    }

    fn subnet(&self, state: &State, spec: &NetworkSpec, v4: bool) -> Result<Subnet, NetworkError> {
        let invalid = |text: String| NetworkError::Invalid { name: spec.name.clone(), text };
        let taken: Vec<IpNet> = state.networks.values().flat_map(|it| &it.subnets).map(|subnet| subnet.net).collect();
        let mut pools = spec.pools.iter().filter(|pool| pool.subnet.addr().is_ipv4() == v4);
        let subnet = match (pools.next(), pools.next()) {
            (Some(pool), None) => of_pool(pool).map_err(invalid)?,
            (None, _) => self.free_subnet(&spec.name, v4, &taken)?,
            (Some(one), Some(other)) => {
                let text = format!("one subnet of a family is supported, not {} and {}", one.subnet, other.subnet);
                return Err(invalid(text));
            }
        };
        match taken.iter().find(|other| ipam::overlap(**other, subnet.net)) {
            Some(other) => Err(invalid(format!("subnet {} overlaps {other} of another network", subnet.net))),
            None => Ok(subnet),
        }
    }

    fn free_subnet(&self, name: &str, v4: bool, taken: &[IpNet]) -> Result<Subnet, NetworkError> {
        let routes = kernel(link::route_destinations(), || "look at the host's routes".to_owned())?;
        let taken = [taken, &routes].concat();
        let net = if v4 {
            ipam::choose_subnet(&self.config.pools, self.config.prefix, &taken).map(IpNet::V4)
        } else {
            let text = kernel(rcompose_sys::atomic::random_hex(7), || "choose a subnet".to_owned())?;
            let number = u64::from_str_radix(&text, 16).expect("hex digits are a number");
            let [_, random @ ..] = number.to_be_bytes();
            Some(IpNet::V6(ipam::unique_local_subnet(random)))
        };
        let exhausted = || NetworkError::PoolsExhausted(name.to_owned());
        let net = net.filter(|net| v4 || !taken.iter().any(|other| ipam::overlap(*other, *net))).ok_or_else(exhausted)?;
        let gateway = first_host(net).ok_or_else(exhausted)?;
        Ok(Subnet { net, gateway, range: None, reserved: Vec::new() })
    }

    /// The bridge may be gone: after a reboot, or by somebody's hand.
    pub(super) fn ensure_bridge(&self, state: &State, network: &Network) -> Result<u32, NetworkError> {
        if let Ok(index) = link::index_of(&network.bridge) {
            return Ok(index);
        }
        let doing = || format!("make bridge {} of network {}", network.bridge, network.spec.name);
        let own = |subnet: &Subnet| IpNet::new(subnet.gateway, subnet.net.prefix_len()).ok();
        let addresses: Vec<IpNet> = network.subnets.iter().filter_map(own).collect();
        let bridge = NewBridge {
            name: &network.bridge,
            mac: network.subnets.first().map(|subnet| ipam::mac_of(subnet.gateway)).unwrap_or_default(),
            mtu: network.spec.mtu,
            addresses: &addresses,
        };
        let index = kernel(link::create_bridge(&bridge), doing)?;
        sysctl::forward(network.spec.ipv6);
        let endpoints = state.endpoints.values().flat_map(|record| &record.endpoints);
        for endpoint in endpoints.filter(|endpoint| endpoint.network == network.spec.name) {
            // Links of containers that ended while the bridge was gone are gone too.
            let _ = link::set_bridge(&endpoint.link, index);
        }
        Ok(index)
    }
}

/// The record is a file of that name.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.len() <= 200 && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && name.bytes().all(allowed)
}

fn of_pool(pool: &Pool) -> Result<Subnet, String> {
    let net = pool.subnet.trunc();
    let gateway = match pool.gateway {
        Some(gateway) if !net.contains(&gateway) => return Err(format!("gateway {gateway} is not in {net}")),
        Some(gateway) => gateway,
        None => first_host(net).ok_or_else(|| format!("subnet {net} is too small"))?,
    };
    if let Some(range) = pool.range.filter(|range| !net.contains(range)) {
        return Err(format!("ip_range {range} is not in {net}"));
    }
    if let Some(stray) = pool.reserved.iter().find(|address| !net.contains(*address)) {
        return Err(format!("aux_address {stray} is not in {net}"));
    }
    Ok(Subnet { net, gateway, range: pool.range, reserved: pool.reserved.clone() })
}

fn first_host(net: IpNet) -> Option<IpAddr> {
    ipam::choose_address(net, None, &std::collections::BTreeSet::new())
}
