//! What is kept of networks and endpoints.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use ipnet::IpNet;
use rcompose_sys::atomic;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::firewall::{Forward, Protocol};

/// What a network is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Unique in the data root.
    pub name: String,
    /// Only `bridge`.
    pub driver: String,
    /// No way out of the host.
    pub internal: bool,
    /// Packets that leave get the host's address.
    pub masquerade: bool,
    /// Containers reach each other by more than published ports.
    pub connected: bool,
    /// Containers get an IPv4 address.
    pub ipv4: bool,
    /// Containers get an IPv6 address.
    pub ipv6: bool,
    /// At most one of each family; one is chosen where none is given.
    pub pools: Vec<Pool>,
    /// Where ports are published that say nothing of it; every address if not given.
    pub host_binding: Option<IpAddr>,
    /// One is chosen if not given.
    pub bridge_name: Option<String>,
    /// Bytes; the kernel's default if not given.
    pub mtu: Option<u32>,
    /// Free-form.
    pub labels: BTreeMap<String, String>,
}

impl Default for NetworkSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            driver: "bridge".to_owned(),
            internal: false,
            masquerade: true,
            connected: true,
            ipv4: true,
            ipv6: false,
            pools: Vec::new(),
            host_binding: None,
            bridge_name: None,
            mtu: None,
            labels: BTreeMap::new(),
        }
    }
}

/// Where addresses are to come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its family is the pool's.
    pub subnet: IpNet,
    /// Addresses are given from it; the whole subnet if not given.
    pub range: Option<IpNet>,
    /// The first address if not given.
    pub gateway: Option<IpAddr>,
    /// Addresses that are never given.
    pub reserved: Vec<IpAddr>,
}

/// Where addresses of one family come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// All of them.
    pub net: IpNet,
    /// The bridge's own.
    pub gateway: IpAddr,
    /// Those that are given.
    pub range: Option<IpNet>,
    /// Those that are never given.
    pub reserved: Vec<IpAddr>,
}

/// A network that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hex digits.
    pub id: String,
    /// IPv4 first; at most one of each family.
    pub subnets: Vec<Subnet>,
    /// Name of the link.
    pub bridge: String,
    /// Seconds since 1970.
    pub created: i64,
    /// As asked for.
    pub spec: NetworkSpec,
}

/// A published port as it came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Transport.
    pub protocol: Protocol,
    /// `None` is every address.
    pub host: Option<IpAddr>,
    /// Port of the host.
    pub host_port: u16,
    /// Port of the container.
    pub container_port: u16,
}

/// A container's place on its networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndpointRecord {
    pub(super) container: String,
    pub(super) name: String,
    pub(super) endpoints: Vec<EndpointAddress>,
    pub(super) ports: Vec<PublishedPort>,
    pub(super) upstreams: Vec<IpAddr>,
    pub(super) links: BTreeMap<String, String>,
    /// Where published ports lead: at most one address of each family.
    pub(super) targets: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndpointAddress {
    pub(super) network: String,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) link: String,
    pub(super) names: Vec<String>,
}

impl EndpointRecord {
    /// Ports that NAT can carry: those whose two ends are of one family.
    pub(super) fn forwards(&self) -> Vec<Forward> {
        let pairs = self.ports.iter().flat_map(|port| self.targets.iter().map(move |target| (port, *target)));
        let forward = |(port, container): (&PublishedPort, IpAddr)| {
            let host = port.host.filter(|address| !address.is_unspecified());
            // The kernel routes nothing from ::1.
            let carried = port.host.is_none_or(|host| host.is_ipv4() == container.is_ipv4() && host != Ipv6Addr::LOCALHOST);
            carried.then_some(Forward {
                protocol: port.protocol,
                host,
                host_port: port.host_port,
                container,
                container_port: port.container_port,
            })
        };
        pairs.filter_map(forward).collect()
    }

    /// Its address on a network, and whatever else it has there.
    pub(super) fn addresses_on(&self, network: &str) -> impl Iterator<Item = IpAddr> {
        let on = self.endpoints.iter().filter(move |endpoint| endpoint.network == network);
        on.flat_map(|endpoint| endpoint.addresses.iter().copied())
    }

    pub(super) fn write(&self, data_dir: &Path) -> rcompose_sys::Result<()> {
        let json = serde_json::to_vec(self).expect("texts and numbers have a JSON form");
        atomic::write_file_relaxed(&data_dir.join(format!("endpoints/{}.json", self.container)), &json, 0o600)
    }

    pub(super) fn delete(data_dir: &Path, container: &str) {
        // One that is not there is what is wanted.
        let _ = std::fs::remove_file(data_dir.join(format!("endpoints/{container}.json")));
    }
}

impl Network {
    /// Tells whether an address is one of the network's.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|subnet| subnet.net.contains(&address))
    }

    pub(super) fn write(&self, data_dir: &Path) -> rcompose_sys::Result<()> {
        let json = serde_json::to_vec(self).expect("texts and numbers have a JSON form");
        atomic::write_file(&data_dir.join(format!("{}.json", self.spec.name)), &json, 0o600)
    }

    pub(super) fn delete(&self, data_dir: &Path) -> rcompose_sys::Result<()> {
        atomic::remove_tree(&data_dir.join(format!("{}.json", self.spec.name)))
    }
}

pub(super) fn networks(data_dir: &Path) -> BTreeMap<String, Network> {
    all(data_dir).into_iter().map(|network: Network| (network.spec.name.clone(), network)).collect()
}

pub(super) fn endpoints(data_dir: &Path) -> BTreeMap<String, EndpointRecord> {
    let records: Vec<EndpointRecord> = all(&data_dir.join("endpoints"));
    records.into_iter().map(|record| (record.container.clone(), record)).collect()
}

/// Every record of a folder; one that cannot be read is left where it is, and the rest works.
fn all<T: DeserializeOwned>(folder: &Path) -> Vec<T> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let records = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"));
    records
        .filter_map(|entry| match std::fs::read(entry.path()).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(record)) => Some(record),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(file = %entry.path().display(), "a record cannot be read");
                None
            }
        })
        .collect()
}

pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
