//! Which subnet a network gets, and which address an interface.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpAddrRange, IpNet, Ipv4AddrRange, Ipv4Net, Ipv6AddrRange, Ipv6Net};

/// Finds a subnet of `prefix` bits in `pools` that overlaps nothing of `taken`.
///
/// Small subnets from wide pools: there are thousands before they run out.
pub(crate) fn choose_subnet(pools: &[Ipv4Net], prefix: u8, taken: &[IpNet]) -> Option<Ipv4Net> {
    // A default route written as two halves would overlap everything, and says nothing of single networks.
    let taken: Vec<&IpNet> = taken.iter().filter(|net| net.prefix_len() > 1).collect();
    let free = |subnet: &Ipv4Net| !taken.iter().any(|other| overlap(**other, (*subnet).into()));
    pools.iter().filter_map(|pool| pool.subnets(prefix.max(pool.prefix_len())).ok()).flatten().find(free)
}

/// A subnet of 64 bits that nobody else is likely to have (RFC 4193): 56 bits of `random`.
pub(crate) fn unique_local_subnet(random: [u8; 7]) -> Ipv6Net {
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..8].copy_from_slice(&random);
    Ipv6Net::new_assert(Ipv6Addr::from(octets), 64)
}

/// Tells whether two nets have an address in common.
pub(crate) fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// Finds a free address of `subnet`, inside `range` if given.
pub(crate) fn choose_address(subnet: IpNet, range: Option<IpNet>, taken: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let mut candidates: IpAddrRange = match range.unwrap_or(subnet) {
        IpNet::V4(net) => Ipv4AddrRange::new(net.network(), net.broadcast()).into(),
        IpNet::V6(net) => Ipv6AddrRange::new(net.network(), net.broadcast()).into(),
    };
    candidates.find(|address| is_host(subnet, *address) && !taken.contains(address))
}

/// Tells whether an address of `subnet` can be an interface's: neither the net itself nor, for IPv4, its broadcast.
pub(crate) fn is_host(subnet: IpNet, address: IpAddr) -> bool {
    let broadcast = address.is_ipv4() && address == subnet.broadcast();
    subnet.contains(&address) && address != subnet.network() && !broadcast
}

/// A hardware address that follows from an address, so that a neighbour's memory of it stays true.
pub(crate) fn mac_of(address: IpAddr) -> [u8; 6] {
    let [a, b, c, d] = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [a, b, c, d]
        }
    };
    [0x02, 0x42, a, b, c, d]
}

/// Reads `02:42:ac:11:00:02`.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> = text.split(':').map(|part| u8::from_str_radix(part, 16)).collect::<Result<_, _>>().ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn subnets_avoid_networks_and_routes() {
        let pools = ["172.20.0.0/16".parse().unwrap()];
        let choose = |taken: &[IpNet]| choose_subnet(&pools, 24, taken).map(IpNet::from);
        assert_eq!(choose(&[]), Some(net("172.20.0.0/24")));
        assert_eq!(choose(&[net("172.20.0.0/23"), net("fd00::/8")]), Some(net("172.20.2.0/24")));
        assert_eq!(choose(&[net("0.0.0.0/1")]), Some(net("172.20.0.0/24")));
        assert_eq!(choose(&[net("172.16.0.0/12")]), None);
        assert_eq!(unique_local_subnet([1, 2, 3, 4, 5, 6, 7]).to_string(), "fd01:203:405:607::/64");
    }

    #[test]
    fn addresses_come_in_order_and_within_the_range() {
        let choose = |subnet: &str, range: Option<&str>, taken: &[&str]| {
            let taken = taken.iter().map(|text| text.parse().unwrap()).collect();
            choose_address(net(subnet), range.map(net), &taken).map(|address| address.to_string())
        };
        assert_eq!(choose("10.0.0.0/24", None, &["10.0.0.1"]).as_deref(), Some("10.0.0.2"));
        assert_eq!(choose("10.0.0.0/24", Some("10.0.0.128/30"), &[]).as_deref(), Some("10.0.0.128"));
        assert_eq!(choose("10.0.0.0/30", None, &["10.0.0.1", "10.0.0.2"]), None);
        assert_eq!(choose("10.0.0.0/32", None, &[]), None);
        assert_eq!(choose("fd00::/64", None, &["fd00::1"]).as_deref(), Some("fd00::2"));
        assert_eq!(choose("fd00::/64", Some("fd00::f0/124"), &[]).as_deref(), Some("fd00::f0"));
    }

    #[test]
    fn reads_hardware_addresses() {
        assert_eq!(parse_mac("02:42:ac:11:00:02"), Some([2, 0x42, 0xac, 0x11, 0, 2]));
        assert_eq!(parse_mac("02:42"), None);
    }
}
