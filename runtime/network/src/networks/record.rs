//! What is kept of networks and endpoints.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use ipnet::Ipv4Net;
use rcompose_sys::atomic;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::firewall::{Forward, Protocol};

/// What a network is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Unique in the data root.
    pub name: String,
    /// Only `bridge`.
    pub driver: String,
    /// No way out of the host.
    pub internal: bool,
    /// Packets that leave get the host's address.
    pub masquerade: bool,
    /// One is chosen if not given.
    pub subnet: Option<Ipv4Net>,
    /// Addresses are given from it; the whole subnet if not given.
    pub ip_range: Option<Ipv4Net>,
    /// The first address if not given.
    pub gateway: Option<Ipv4Addr>,
    /// Addresses that are never given.
    pub reserved: Vec<Ipv4Addr>,
    /// One is chosen if not given.
    pub bridge_name: Option<String>,
    /// Bytes; the kernel's default if not given.
    pub mtu: Option<u32>,
    /// Free-form.
    pub labels: BTreeMap<String, String>,
}

/// A network that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hex digits.
    pub id: String,
    /// Its addresses.
    pub subnet: Ipv4Net,
    /// The bridge's own.
    pub gateway: Ipv4Addr,
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndpointAddress {
    pub(super) network: String,
    pub(super) address: Ipv4Addr,
    pub(super) link: String,
    pub(super) names: Vec<String>,
}

impl EndpointRecord {
    /// Ports that NAT can carry: to IPv4, on the first network.
    pub(super) fn forwards(&self) -> Vec<Forward> {
        let Some(first) = self.endpoints.first() else { return Vec::new() };
        let forward = |port: &PublishedPort| {
            let host = match port.host {
                Some(IpAddr::V6(_)) => return None,
                Some(IpAddr::V4(address)) if !address.is_unspecified() => Some(address),
                _ => None,
            };
            Some(Forward {
                protocol: port.protocol,
                host,
                host_port: port.host_port,
                container: first.address,
                container_port: port.container_port,
            })
        };
        self.ports.iter().filter_map(forward).collect()
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
