//! Networks and volumes as files and commands ask for them, to what the runtime makes. Pure.

use std::collections::BTreeMap;

use rcompose_engine::network::{NetworkSpec, Pool};
use rcompose_engine::volume::VolumeSpec;
use rcompose_model::project::{IpamPool, Network, Volume};

use crate::messages::Failure;

/// What all options of the bridge driver begin with.
const PREFIX: &str = "com.docker.network.";

/// Describes a network with these labels.
pub(crate) fn network(asked: &Network, labels: BTreeMap<String, String>) -> Result<NetworkSpec, Failure> {
    let option = |name: &str| asked.driver_opts.get(&format!("{PREFIX}{name}"));
    let wrong = |name: &str, value: &str, what: &str| {
        Failure::text(format!("network {}: option `{PREFIX}{name}`: `{value}` is no {what}", asked.name))
    };
    let flag = |name: &str| match option(name).map(String::as_str) {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(wrong(name, other, "boolean")),
    };
    let host_binding = option("bridge.host_binding_ipv4")
        .map(|text| text.parse().map_err(|_| wrong("bridge.host_binding_ipv4", text, "address")))
        .transpose()?;
    let mtu = option("driver.mtu").map(|text| text.parse().map_err(|_| wrong("driver.mtu", text, "number"))).transpose()?;
    Ok(NetworkSpec {
        name: asked.name.clone(),
        driver: asked.driver.clone(),
        internal: asked.internal,
        masquerade: flag("bridge.enable_ip_masquerade")?,
        connected: flag("bridge.enable_icc")?,
        ipv4: asked.enable_ipv4,
        ipv6: asked.enable_ipv6,
        pools: asked.ipam.iter().filter_map(|pool| pool_of(&asked.name, pool).transpose()).collect::<Result<_, _>>()?,
        host_binding,
        bridge_name: option("bridge.name").cloned(),
        mtu,
        labels,
    })
}

/// A pool of addresses, if it says which.
fn pool_of(name: &str, pool: &IpamPool) -> Result<Option<Pool>, Failure> {
    let parse = |text: &Option<String>| {
        let parsed = text.as_ref().map(|text| text.parse().map_err(|_| format!("network {name}: `{text}` is no subnet")));
        parsed.transpose().map_err(Failure::text)
    };
    let (subnet, range) = (parse(&pool.subnet)?, parse(&pool.ip_range)?);
    match subnet {
        Some(subnet) => {
            let reserved = pool.aux_addresses.values().copied().collect();
            Ok(Some(Pool { subnet, range, gateway: pool.gateway, reserved }))
        }
        None if range.is_some() || pool.gateway.is_some() => {
            Err(Failure::text(format!("network {name}: an `ip_range` or `gateway` needs its `subnet`")))
        }
        None => Ok(None),
    }
}

/// What was asked of a network and has no effect, in words for its user.
pub(crate) fn network_without_effect(spec: &NetworkSpec, asked: &Network) -> Vec<String> {
    let unused = |v4: bool| spec.pools.iter().filter(move |pool| pool.subnet.addr().is_ipv4() == v4);
    let unused = [(spec.ipv4, true, "IPv4"), (spec.ipv6, false, "IPv6")]
        .into_iter()
        .filter(|(enabled, ..)| !enabled)
        .flat_map(|(_, v4, family)| unused(v4).map(move |pool| (pool.subnet, family)));
    let unused = unused.map(|(subnet, family)| {
        format!(
            "network {}: subnet {subnet} has no effect: {family} is not enabled (`enable_{}`)",
            spec.name,
            family.to_lowercase()
        )
    });
    const KNOWN: [&str; 5] =
        ["bridge.enable_ip_masquerade", "bridge.enable_icc", "bridge.host_binding_ipv4", "bridge.name", "driver.mtu"];
    let unknown = asked.driver_opts.keys().filter(|key| !key.strip_prefix(PREFIX).is_some_and(|name| KNOWN.contains(&name)));
    unused.chain(unknown.map(|key| format!("network {}: option `{key}` has no effect", spec.name))).collect()
}

/// Describes a volume with these labels.
pub(crate) fn volume(asked: &Volume, labels: BTreeMap<String, String>) -> VolumeSpec {
    VolumeSpec { name: asked.name.clone(), labels, options: asked.driver_opts.clone(), anonymous: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(options: &[(&str, &str)]) -> Network {
        let driver_opts = options.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned())).collect();
        Network { name: "n".to_owned(), driver: "bridge".to_owned(), enable_ipv4: true, driver_opts, ..Network::default() }
    }

    #[test]
    fn options_are_read_or_refused() {
        let good = [("bridge.enable_icc", "false"), ("driver.mtu", "1400"), ("bridge.host_binding_ipv4", "127.0.0.1")];
        let spec = network(&asked(&good), BTreeMap::new()).unwrap();
        assert_eq!((spec.connected, spec.masquerade, spec.mtu), (false, true, Some(1400)));
        assert_eq!(spec.host_binding, Some("127.0.0.1".parse().unwrap()));
        for bad in [("bridge.enable_icc", "maybe"), ("driver.mtu", "large"), ("bridge.host_binding_ipv4", "localhost")] {
            assert!(network(&asked(&[bad]), BTreeMap::new()).unwrap_err().message.contains(bad.1));
        }
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let pool = IpamPool { subnet: Some("fd00:1::/64".to_owned()), ..IpamPool::default() };
        let asked = Network { ipam: vec![pool], ..asked(&[("bridge.enable_ip_masq", "true"), ("driver.mtu", "1400")]) };
        let spec = network(&asked, BTreeMap::new()).unwrap();
        assert_eq!(
            network_without_effect(&spec, &asked),
            [
                "network n: subnet fd00:1::/64 has no effect: IPv6 is not enabled (`enable_ipv6`)",
                "network n: option `com.docker.network.bridge.enable_ip_masq` has no effect"
            ]
        );
    }
}
