//! Which subnet a network gets, and which address an interface.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Finds a subnet of `prefix` bits in `pools` that overlaps nothing of `taken`.
///
/// Small subnets from wide pools: there are thousands before they run out.
pub(crate) fn choose_subnet(pools: &[Ipv4Net], prefix: u8, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    // A default route written as two halves would overlap everything, and says nothing of single networks.
    let taken: Vec<&Ipv4Net> = taken.iter().filter(|net| net.prefix_len() > 1).collect();
    let free = |subnet: &Ipv4Net| !taken.iter().any(|other| other.contains(subnet) || subnet.contains(*other));
    pools.iter().filter_map(|pool| pool.subnets(prefix.max(pool.prefix_len())).ok()).flatten().find(free)
}

/// Finds a free address of `subnet`, inside `range` if given.
pub(crate) fn choose_address(subnet: Ipv4Net, range: Option<Ipv4Net>, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    let hosts = range.unwrap_or(subnet).hosts();
    hosts.into_iter().find(|address| *address != subnet.network() && *address != subnet.broadcast() && !taken.contains(address))
}

/// A hardware address that follows from an address, so that a neighbour's memory of it stays true.
pub(crate) fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
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

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn subnets_avoid_networks_and_routes() {
        let pools = [net("172.20.0.0/16")];
        assert_eq!(choose_subnet(&pools, 24, &[]), Some(net("172.20.0.0/24")));
        assert_eq!(choose_subnet(&pools, 24, &[net("172.20.0.0/23")]), Some(net("172.20.2.0/24")));
        assert_eq!(choose_subnet(&pools, 24, &[net("0.0.0.0/1")]), Some(net("172.20.0.0/24")));
        assert_eq!(choose_subnet(&pools, 24, &[net("172.16.0.0/12")]), None);
    }

    #[test]
    fn addresses_come_in_order_and_within_the_range() {
        let taken = BTreeSet::from([Ipv4Addr::new(10, 0, 0, 1)]);
        assert_eq!(choose_address(net("10.0.0.0/24"), None, &taken), Some(Ipv4Addr::new(10, 0, 0, 2)));
        let range = Some(net("10.0.0.128/30"));
        assert_eq!(choose_address(net("10.0.0.0/24"), range, &taken), Some(Ipv4Addr::new(10, 0, 0, 129)));
        assert_eq!(choose_address(net("10.0.0.0/32"), None, &taken), None);
    }

    #[test]
    fn reads_hardware_addresses() {
        assert_eq!(parse_mac("02:42:ac:11:00:02"), Some([2, 0x42, 0xac, 0x11, 0, 2]));
        assert_eq!(parse_mac("02:42"), None);
    }
}
