//! Bridges, veth pairs, addresses and routes.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};

use ipnet::Ipv4Net;
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

/// `struct ifaddrmsg`.
fn address(index: u32, address: Ipv4Net) -> Message {
    let fixed = [&[libc_af_inet(), address.prefix_len(), 0, 0], index.to_ne_bytes().as_slice()].concat();
    Message::new(NEW_ADDRESS, ACKNOWLEDGE | CREATE, format!("RTM_NEWADDR, {address}"))
        .fixed(&fixed)
        .attribute(IFA_LOCAL, &address.addr().octets())
        .attribute(IFA_ADDRESS, &address.addr().octets())
        .attribute(IFA_BROADCAST, &address.broadcast().octets())
}

fn libc_af_inet() -> u8 {
    2
}

/// Makes a bridge with its address and switches it on; gives its index.
pub(crate) fn create_bridge(name: &str, gateway: Ipv4Net, mtu: Option<u32>) -> Result<u32, Error> {
    let mut connection = Connection::open(ROUTE)?;
    let create = Message::new(NEW_LINK, ACKNOWLEDGE | CREATE | EXCLUSIVE, format!("RTM_NEWLINK, bridge {name}"))
        .fixed(&link_header(0, UP, UP))
        .text(IFLA_IFNAME, name)
        .nested(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, "bridge"));
    let create = match mtu {
        Some(mtu) => create.number(IFLA_MTU, mtu),
        None => create,
    };
    connection.transact(vec![create])?;
    let index = index_of(name)?;
    connection.transact(vec![address(index, gateway)])?;
    Ok(index)
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

/// The destinations of all IPv4 routes of this network namespace, without the default one.
pub(crate) fn route_destinations() -> Result<Vec<Ipv4Net>, Error> {
    let fixed = [libc_af_inet(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let question = Message::new(GET_ROUTE, DUMP, "RTM_GETROUTE").fixed(&fixed);
    let routes = Connection::open(ROUTE)?.dump(question)?;
    let destination = |route: &Vec<u8>| {
        let prefix = *route.get(1)?;
        let (_, bytes) = *attributes(route, 12).iter().find(|(kind, _)| *kind == RTA_DST)?;
        let octets: [u8; 4] = bytes.try_into().ok()?;
        Ipv4Net::new(Ipv4Addr::from(octets), prefix).ok()
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
    pub(crate) name: &'a str,
    /// Index inside.
    pub(crate) index: u32,
    /// Address inside.
    pub(crate) address: Ipv4Net,
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
                    .text(IFLA_IFNAME, interface.name)
                    .attribute(IFLA_ADDRESS, &interface.mac)
                    .number(IFLA_NET_NS_FD, number);
                with_mtu(peer)
            })
        })
    });
    Connection::open(ROUTE)?.transact(vec![message])
}

/// Lets a bridge send packets back through the port that they came from: a container that reaches itself by a published port
/// needs it where bridged packets pass the firewall too (`bridge-nf-call-iptables`).
pub(crate) fn allow_hairpin(port: &str) -> Result<(), Error> {
    const SET_LINK: u16 = 19;
    const AF_BRIDGE: u8 = 7;
    const IFLA_PROTINFO: u16 = 12;
    const IFLA_BRPORT_MODE: u16 = 4;
    let mut header = link_header(index_of(port)?, 0, 0);
    header[0] = AF_BRIDGE;
    let message = Message::new(SET_LINK, ACKNOWLEDGE, format!("RTM_SETLINK, hairpin {port}"))
        .fixed(&header)
        .nested(IFLA_PROTINFO, |port| port.attribute(IFLA_BRPORT_MODE, &[1]));
    Connection::open(ROUTE)?.transact(vec![message])
}

/// Switches loopback on in this thread's network namespace, and everything else that a container has there.
pub(crate) fn configure(interfaces: &[Interface<'_>], gateway: Option<(Ipv4Addr, u32)>) -> Result<(), Error> {
    let switch_on =
        |index: u32| Message::new(NEW_LINK, ACKNOWLEDGE, format!("RTM_NEWLINK, up {index}")).fixed(&link_header(index, UP, UP));
    let mut messages = vec![switch_on(1)];
    for interface in interfaces {
        messages.push(address(interface.index, interface.address));
        messages.push(switch_on(interface.index));
    }
    if let Some((gateway, index)) = gateway {
        // Family, prefix lengths, tos, main table, boot protocol, universe scope, unicast.
        let fixed = [libc_af_inet(), 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        let route = Message::new(NEW_ROUTE, ACKNOWLEDGE | CREATE, format!("RTM_NEWROUTE, default via {gateway}"))
            .fixed(&fixed)
            .attribute(RTA_GATEWAY, &gateway.octets())
            .number(RTA_OIF, index);
        messages.push(route);
    }
    Connection::open(ROUTE)?.transact(messages)
}
