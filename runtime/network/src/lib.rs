//! Bridges, links, addresses, the firewall, published ports and names.
//!
//! [`Networks`] is the whole of it for those above. A container's network is ready before its first instruction runs: namespace,
//! interfaces, addresses, routes, firewall and names are made first, and the container joins them.

mod dns;
mod files;
mod firewall;
mod ipam;
mod link;
mod netlink;
mod networks;
mod port;

pub use files::{ResolverConfig, hosts};
pub use firewall::Protocol;
pub use ipam::parse_mac;
pub use networks::{
    AttachRequest, Attached, Config, EndpointRequest, Network, NetworkError, NetworkSpec, Networks, Pool, PortRequest,
    PublishedPort, Subnet,
};
pub use port::{PortTaken, owner_of};
