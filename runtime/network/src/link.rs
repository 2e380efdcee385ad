//! Bridges, veth pairs, addresses and routes.

pub(crate) mod sysctl;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

use ipnet::IpNet;
use rcompose_sys::Error;
use rustix::io::Errno;

use crate::netlink::{ACKNOWLEDGE, CREATE, Connection, DUMP, EXCLUSIVE, Message, ROUTE, attributes};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

const UP: u32 = 1;

// Attributes of a link (if_link.h).
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

// Attributes of an address and a route (if_addr.h, rtnetlink.h).
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

/// `struct ifinfomsg`.
fn link_header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    [vec![0_u8; 4], index.to_ne_bytes().to_vec(), flags.to_ne_bytes().to_vec(), change.to_ne_bytes().to_vec()].concat()
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

fn octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    }
}

/// `struct ifaddrmsg`.
fn address(index: u32, address: IpNet) -> Message {
    // We know that nobody else has it; otherwise the kernel would ask around for a second first.
    const NO_DUPLICATE_DETECTION: u8 = 2;
    const LINK_SCOPE: u8 = 253;
    let (family, bytes) = octets(address.addr());
    let flags = if family == AF_INET6 { NO_DUPLICATE_DETECTION } else { 0 };
    let scope = if is_link_local(address.addr()) { LINK_SCOPE } else { 0 };
    let fixed = [&[family, address.prefix_len(), flags, scope], index.to_ne_bytes().as_slice()].concat();
    let message = Message::new(NEW_ADDRESS, ACKNOWLEDGE | CREATE, format!("RTM_NEWADDR, {address}"))
        .fixed(&fixed)
        .attribute(IFA_LOCAL, &bytes)
        .attribute(IFA_ADDRESS, &bytes);
    match address {
        IpNet::V4(net) => message.attribute(IFA_BROADCAST, &net.broadcast().octets()),
        IpNet::V6(_) => message,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// A bridge to be.
pub(crate) struct NewBridge<'a> {
    pub(crate) name: &'a str,
    /// Given, because the kernel would change it with each port, and neighbours remember the old one.
    pub(crate) mac: [u8; 6],
    pub(crate) mtu: Option<u32>,
    /// Its own addresses, with their subnets.
    pub(crate) addresses: &'a [IpNet],
}

/// Makes a bridge with its addresses and switches it on; gives its index.
pub(crate) fn create_bridge(bridge: &NewBridge<'_>) -> Result<u32, Error> {
    let name = bridge.name;
    let mut connection = Connection::open(ROUTE)?;
    let create = Message::new(NEW_LINK, ACKNOWLEDGE | CREATE | EXCLUSIVE, format!("RTM_NEWLINK, bridge {name}"))
        .fixed(&link_header(0, 0, 0))
        .text(IFLA_IFNAME, name)
        .attribute(IFLA_ADDRESS, &bridge.mac)
        .nested(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, "bridge"));
    let create = match bridge.mtu {
        Some(mtu) => create.number(IFLA_MTU, mtu),
        None => create,
    };
    connection.transact(vec![create])?;
    let index = index_of(name)?;
    // Before it is switched on: what follows from them happens at that moment.
    sysctl::of_bridge(name, bridge.addresses.iter().any(|net| matches!(net, IpNet::V6(_))));
    let addresses = bridge.addresses.iter().map(|net| address(index, *net));
    connection.transact(addresses.chain([switch_on(index)]).collect())?;
    Ok(index)
}

fn switch_on(index: u32) -> Message {
    Message::new(NEW_LINK, ACKNOWLEDGE, format!("RTM_NEWLINK, up {index}")).fixed(&link_header(index, UP, UP))
}

/// Removes a link; one that is not there is fine.
pub(crate) fn remove(name: &str) -> Result<(), Error> {
    let message = Message::new(DELETE_LINK, ACKNOWLEDGE, format!("RTM_DELLINK, {name}"))
        .fixed(&link_header(0, 0, 0))
        .text(IFLA_IFNAME, name);
    match Connection::open(ROUTE)?.transact(vec![message]) {
        Err(error) if error.errno() == Errno::NODEV => Ok(()),
        other => other,
    }
}

/// The names of all links of this network namespace.
pub(crate) fn names() -> Result<Vec<String>, Error> {
    let question = Message::new(GET_LINK, DUMP, "RTM_GETLINK").fixed(&link_header(0, 0, 0));
    let links = Connection::open(ROUTE)?.dump(question)?;
    let name = |link: &Vec<u8>| {
        let (_, bytes) = *attributes(link, 16).iter().find(|(kind, _)| *kind == IFLA_IFNAME)?;
        Some(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())
    };
    Ok(links.iter().filter_map(name).collect())
}

/// The destinations of all routes of this network namespace, without the default ones.
pub(crate) fn route_destinations() -> Result<Vec<IpNet>, Error> {
    Ok([destinations(AF_INET)?, destinations(AF_INET6)?].concat())
}

fn destinations(family: u8) -> Result<Vec<IpNet>, Error> {
    let fixed = [family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let question = Message::new(GET_ROUTE, DUMP, "RTM_GETROUTE").fixed(&fixed);
    let routes = Connection::open(ROUTE)?.dump(question)?;
    let destination = |route: &Vec<u8>| {
        let prefix = *route.get(1)?;
        let (_, bytes) = *attributes(route, 12).iter().find(|(kind, _)| *kind == RTA_DST)?;
        let address = match bytes.len() {
            4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
            _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        };
        IpNet::new(address, prefix).ok()
    };
    Ok(routes.iter().filter_map(destination).collect())
}

/// The index of a link.
pub(crate) fn index_of(name: &str) -> Result<u32, Error> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
        .map_err(|errno| Error::new("socket", "AF_INET", errno))?;
    rustix::net::netdevice::name_to_index(&socket, name)
        .map_err(|errno| Error::new("ioctl", format!("SIOCGIFINDEX, {name}"), errno))
}

/// One interface of a container.
pub(crate) struct Interface<'a> {
    /// Name of the end that stays with the host.
    pub(crate) host_name: &'a str,
    /// Bridge that it is a port of.
    pub(crate) bridge: u32,
    /// Name inside.
    pub(crate) name: String,
    /// Index inside.
    pub(crate) index: u32,
    /// Addresses inside.
    pub(crate) addresses: Vec<IpNet>,
    /// Hardware address inside.
    pub(crate) mac: [u8; 6],
    /// As the bridge's.
    pub(crate) mtu: Option<u32>,
}

/// Makes a veth pair whose other end is born inside a network namespace.
pub(crate) fn create_pair(interface: &Interface<'_>, namespace: impl AsFd) -> Result<(), Error> {
    let number = namespace.as_fd().as_raw_fd().cast_unsigned();
    let with_mtu = |message: Message| match interface.mtu {
        Some(mtu) => message.number(IFLA_MTU, mtu),
        None => message,
    };
    let message = Message::new(NEW_LINK, ACKNOWLEDGE | CREATE | EXCLUSIVE, format!("RTM_NEWLINK, veth {}", interface.host_name))
        .fixed(&link_header(0, UP, UP))
        .text(IFLA_IFNAME, interface.host_name)
        .number(IFLA_MASTER, interface.bridge);
    let message = with_mtu(message).nested(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "veth").nested(IFLA_INFO_DATA, |data| {
            data.nested(VETH_INFO_PEER, |peer| {
                let peer = peer
                    .fixed(&link_header(interface.index, 0, 0))
                    .text(IFLA_IFNAME, &interface.name)
                    .attribute(IFLA_ADDRESS, &interface.mac)
                    .number(IFLA_NET_NS_FD, number);
                with_mtu(peer)
            })
        })
    });
    Connection::open(ROUTE)?.transact(vec![message])
}

/// What a port of a bridge may do beside the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortMode {
    /// Packets go back through the port that they came from: a container that reaches itself by a published port needs it where
    /// bridged packets pass the firewall too (`bridge-nf-call-iptables`).
    pub(crate) hairpin: bool,
    /// Nothing passes between this port and others of the kind.
    pub(crate) isolated: bool,
}

/// Sets the mode of a port.
pub(crate) fn set_port_mode(port: &str, mode: PortMode) -> Result<(), Error> {
    const SET_LINK: u16 = 19;
    const AF_BRIDGE: u8 = 7;
    const IFLA_PROTINFO: u16 = 12;
    const IFLA_BRPORT_MODE: u16 = 4;
    const IFLA_BRPORT_ISOLATED: u16 = 33;
    let mut header = link_header(index_of(port)?, 0, 0);
    header[0] = AF_BRIDGE;
    let message = Message::new(SET_LINK, ACKNOWLEDGE, format!("RTM_SETLINK, {mode:?} of {port}")).fixed(&header).nested(
        IFLA_PROTINFO,
        |attributes| {
            let attributes = attributes.attribute(IFLA_BRPORT_MODE, &[u8::from(mode.hairpin)]);
            attributes.attribute(IFLA_BRPORT_ISOLATED, &[u8::from(mode.isolated)])
        },
    );
    Connection::open(ROUTE)?.transact(vec![message])
}

/// Makes a link a port of a bridge, again.
pub(crate) fn set_bridge(port: &str, bridge: u32) -> Result<(), Error> {
    let message = Message::new(NEW_LINK, ACKNOWLEDGE, format!("RTM_NEWLINK, {port} in bridge {bridge}"))
        .fixed(&link_header(index_of(port)?, 0, 0))
        .number(IFLA_MASTER, bridge);
    Connection::open(ROUTE)?.transact(vec![message])
}

/// Switches loopback on in this thread's network namespace, and everything else that a container has there.
pub(crate) fn configure(interfaces: &[Interface<'_>], gateways: &[(IpAddr, u32)]) -> Result<(), Error> {
    let mut messages = vec![switch_on(1)];
    for interface in interfaces {
        if interface.addresses.iter().any(|net| matches!(net, IpNet::V6(_))) {
            sysctl::of_container(&interface.name);
        }
        messages.extend(interface.addresses.iter().map(|net| address(interface.index, *net)));
        messages.push(switch_on(interface.index));
    }
    messages.extend(gateways.iter().map(|(gateway, index)| default_route(*gateway, *index)));
    Connection::open(ROUTE)?.transact(messages)
}

fn default_route(gateway: IpAddr, index: u32) -> Message {
    let (family, bytes) = octets(gateway);
    // Family, prefix lengths, tos, main table, boot protocol, universe scope, unicast.
    let fixed = [family, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    Message::new(NEW_ROUTE, ACKNOWLEDGE | CREATE, format!("RTM_NEWROUTE, default via {gateway}"))
        .fixed(&fixed)
        .attribute(RTA_GATEWAY, &bytes)
        .number(RTA_OIF, index)
}
