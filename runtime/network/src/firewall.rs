//! The firewall: one table of ours, written anew as a whole in one transaction whenever it changes.
//!
//! Writing it whole makes it repair itself, and a reader of `nft list ruleset` finds the same order each time. Tables of others
//! are never touched.
//!
//! ```text
//! table inet rcompose-<root>
//!   raw        prerouting -300   nobody but its bridge reaches a container's address directly; loopback ports stay loopback
//!   publish    prerouting -100   a published port of a local address becomes the container's
//!   local      output -100       the same for what the host itself sends
//!   leave      postrouting 100   masquerade; hairpin; the host's loopback as a source
//!   pass       forward 0         answers, the same bridge, published ports; nothing else enters a bridge
//! ```

mod nft;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rcompose_sys::Error;
use serde::{Deserialize, Serialize};

use nft::{Chain, Hook, Rule, Table};

/// Transport of a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

/// A network, as far as the firewall is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) subnet: Ipv4Net,
    pub(crate) internal: bool,
    pub(crate) masquerade: bool,
}

/// A published port, as far as the firewall is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) protocol: Protocol,
    /// `None` is every local address.
    pub(crate) host: Option<Ipv4Addr>,
    pub(crate) host_port: u16,
    pub(crate) container: Ipv4Addr,
    pub(crate) container_port: u16,
}

/// Writes the table, or removes it when there is nothing to write.
pub(crate) fn apply(table: &str, bridges: &[Bridge], forwards: &[Forward]) -> Result<(), Error> {
    if bridges.is_empty() {
        return nft::remove(table);
    }
    let raw = Chain { name: "raw", kind: "filter", hook: Hook::Prerouting, priority: -300, rules: raw(bridges, forwards) };
    let from_outside = Chain { name: "publish", kind: "nat", hook: Hook::Prerouting, priority: -100, rules: publish(forwards) };
    let from_here = Chain { name: "local", kind: "nat", hook: Hook::Output, priority: -100, rules: publish(forwards) };
    let leave = Chain { name: "leave", kind: "nat", hook: Hook::Postrouting, priority: 100, rules: leave(bridges) };
    let pass = Chain { name: "pass", kind: "filter", hook: Hook::Forward, priority: 0, rules: pass(bridges) };
    nft::replace(&Table { name: table, chains: vec![raw, from_outside, from_here, leave, pass] })
}

/// Has names asked of 127.0.0.11 answered by a socket on another port of it, in this thread's network namespace. Port 53
/// itself stays free for a name server in the container.
pub(crate) fn redirect_names(udp: u16, tcp: u16) -> Result<(), Error> {
    const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
    let rule = |protocol, port| Rule::new().destination(RESOLVER).destination_port(protocol, 53).dnat(RESOLVER, port);
    let rules = vec![rule(Protocol::Udp, udp), rule(Protocol::Tcp, tcp)];
    let chain = Chain { name: "names", kind: "nat", hook: Hook::Output, priority: -100, rules };
    nft::replace(&Table { name: "rcompose-names", chains: vec![chain] })
}

fn raw(bridges: &[Bridge], forwards: &[Forward]) -> Vec<Rule> {
    let loopback_only = forwards.iter().filter_map(|forward| {
        let host = forward.host.filter(Ipv4Addr::is_loopback)?;
        Some(Rule::new().not_from("lo").destination(host).destination_port(forward.protocol, forward.host_port).drop())
    });
    let direct = bridges.iter().map(|bridge| Rule::new().not_from(&bridge.name).destination_net(bridge.subnet).drop());
    loopback_only.chain(direct).collect()
}

fn publish(forwards: &[Forward]) -> Vec<Rule> {
    let rule = |forward: &Forward| {
        // Only for addresses of this machine: by the port alone, traffic that merely passes would be taken too.
        let rule = match forward.host {
            Some(host) => Rule::new().destination(host),
            None => Rule::new().ipv4().at_local_address(),
        };
        rule.destination_port(forward.protocol, forward.host_port).dnat(forward.container, forward.container_port)
    };
    forwards.iter().map(rule).collect()
}

fn leave(bridges: &[Bridge]) -> Vec<Rule> {
    let loopback: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    let of_bridge = |bridge: &Bridge| {
        let mut rules = vec![
            // A container that reaches another one, or itself, by a published port: the answer has to come back this way.
            Rule::new().source_net(bridge.subnet).to(&bridge.name).translated().masquerade(),
            Rule::new().source_net(loopback).to(&bridge.name).masquerade(),
        ];
        if bridge.masquerade && !bridge.internal {
            rules.push(Rule::new().source_net(bridge.subnet).not_to(&bridge.name).masquerade());
        }
        rules
    };
    bridges.iter().flat_map(of_bridge).collect()
}

fn pass(bridges: &[Bridge]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for bridge in bridges {
        rules.push(Rule::new().from(&bridge.name).to(&bridge.name).accept());
        if bridge.internal {
            rules.push(Rule::new().from(&bridge.name).drop());
            rules.push(Rule::new().to(&bridge.name).drop());
        }
    }
    rules.push(Rule::new().established().accept());
    for bridge in bridges {
        rules.push(Rule::new().to(&bridge.name).translated().accept());
        rules.push(Rule::new().to(&bridge.name).drop());
    }
    rules
}
