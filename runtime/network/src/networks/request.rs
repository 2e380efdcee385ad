//! What a container wants of its networks, and what it got.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::PublishedPort;
use crate::firewall::Protocol;

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
    /// Fixed addresses, at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// More addresses that its interface gets; nobody looks whether they are free.
    pub link_local: Vec<IpAddr>,
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
    /// Where all of the range are taken, another one that follows from these words: the same each time while it is free.
    pub substitute: Option<String>,
}

/// A connected container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The file that its network namespace is pinned to.
    pub namespace: PathBuf,
    /// Network and address, in order of connection; of one network, IPv4 first.
    pub addresses: Vec<(String, IpAddr)>,
    /// Ports as they came to be.
    pub ports: Vec<PublishedPort>,
}
