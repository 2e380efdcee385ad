//! The firewall: one table of ours, written anew as a whole in one transaction whenever it changes.
//!
//! Writing it whole makes it repair itself, and a reader of `nft list ruleset` finds the same order each time. Tables of others
//! are never touched; when somebody flushes ours, it is written again ([`watch`]).
//!
//! ```text
//! table inet rcompose-<root>
//!   guard      prerouting -150   the host's loopback is not for containers; nobody but its bridge reaches a container's address
//!                                directly; loopback ports stay loopback; internal networks see nothing but themselves
//!   publish    prerouting -100   a published port of a local address becomes the container's
//!   local      output -100       the same for what the host itself sends
//!   leave      postrouting 100   masquerade; hairpin; the host's loopback as a source
//!   pass       forward 0         answers, the same bridge, published ports; nothing else enters a bridge
//! ```
//! Bridges route packets of 127.0.0.0/8, because the host's own loopback reaches published ports: whatever else the kernel would
//! have thrown away for being of that net, `guard` throws away.

mod flows;
mod nft;
mod watch;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rcompose_sys::Error;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::netlink::Connection;
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
    /// At most one of each family.
    pub(crate) subnets: Vec<IpNet>,
    pub(crate) internal: bool,
    pub(crate) masquerade: bool,
    /// Its containers reach each other by more than published ports.
    pub(crate) connected: bool,
}

/// A published port, as far as the firewall is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) protocol: Protocol,
    /// `None` is every local address of the container's family.
    pub(crate) host: Option<IpAddr>,
    pub(crate) host_port: u16,
    pub(crate) container: IpAddr,
    pub(crate) container_port: u16,
}

/// The table of one data root, and what is to be in it.
#[derive(Clone)]
pub(crate) struct Firewall {
    name: String,
    /// As it was written last; held while it is written.
    wanted: Arc<Mutex<Wanted>>,
}

#[derive(Default)]
struct Wanted {
    bridges: Vec<Bridge>,
    forwards: Vec<Forward>,
    /// Let go after a failure, when what is still unread of it could be taken for another answer.
    connection: Option<Connection>,
}

impl Firewall {
    /// Nothing is written yet.
    pub(crate) fn new(name: String) -> Self {
        Self { name, wanted: Arc::default() }
    }

    /// Writes the table, or removes it when there is nothing to write.
    pub(crate) fn apply(&self, bridges: Vec<Bridge>, forwards: Vec<Forward>) -> Result<(), Error> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        (wanted.bridges, wanted.forwards) = (bridges, forwards);
        let table = wanted.table(&self.name);
        let empty = wanted.bridges.is_empty();
        wanted.talk(|connection| match empty {
            true => nft::remove(connection, &self.name),
            false => nft::replace(connection, &table),
        })
    }

    /// Writes the table again if rules of it are missing; tells whether they were.
    pub(crate) fn repair(&self) -> Result<bool, Error> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.bridges.is_empty() {
            return Ok(false);
        }
        let table = wanted.table(&self.name);
        wanted.talk(|connection| {
            let missing = nft::count_rules(connection, &self.name)? < table.rules();
            if missing {
                nft::replace(connection, &table)?;
            }
            Ok(missing)
        })
    }
}

impl Firewall {
    /// Has what is sent to these UDP ports already take the way that the table says now.
    pub(crate) fn forget_flows(&self, ports: &[u16]) -> Result<(), Error> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.talk(|connection| flows::forget(connection, ports))
    }
}

impl Wanted {
    fn talk<T>(&mut self, about: impl FnOnce(&mut Connection) -> Result<T, Error>) -> Result<T, Error> {
        let mut connection = self.connection.take().map_or_else(nft::connect, Ok)?;
        let answer = about(&mut connection)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    fn table<'a>(&self, name: &'a str) -> Table<'a> {
        let Self { bridges, forwards, .. } = self;
        let chain = |name, kind, hook, priority, rules| Chain { name, kind, hook, priority, rules };
        let chains = vec![
            chain("guard", "filter", Hook::Prerouting, -150, guard(bridges, forwards)),
            chain("publish", "nat", Hook::Prerouting, -100, publish(forwards)),
            chain("local", "nat", Hook::Output, -100, publish(forwards)),
            chain("leave", "nat", Hook::Postrouting, 100, leave(bridges)),
            chain("pass", "filter", Hook::Forward, 0, pass(bridges)),
        ];
        Table { name, chains }
    }
}

/// Has names asked of 127.0.0.11 answered by a socket on another port of it, in this thread's network namespace. Port 53
/// itself stays free for a name server in the container.
pub(crate) fn redirect_names(udp: u16, tcp: u16) -> Result<(), Error> {
    const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
    let rule = |protocol, port| Rule::new().destination(RESOLVER).destination_port(protocol, 53).dnat(RESOLVER, port);
    let rules = vec![rule(Protocol::Udp, udp), rule(Protocol::Tcp, tcp)];
    let chain = Chain { name: "names", kind: "nat", hook: Hook::Output, priority: -100, rules };
    let table = Table { name: "rcompose-names", chains: vec![chain] };
    let mut connection = nft::connect()?;
    match nft::create(&mut connection, &table) {
        // That of an earlier supervisor. To replace it takes longer.
        Err(error) if error.errno() == Errno::EXIST => nft::replace(&mut nft::connect()?, &table),
        other => other,
    }
}

fn loopback() -> IpNet {
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into()
}

fn v6(first: u16, prefix: u8) -> IpNet {
    Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0), prefix).into()
}

fn guard(bridges: &[Bridge], forwards: &[Forward]) -> Vec<Rule> {
    let loopback_of_host = bridges.iter().flat_map(|bridge| {
        let from = || Rule::new().from(&bridge.name);
        [from().destination_net(loopback()).drop(), from().source_net(loopback()).drop()]
    });
    let loopback_only = forwards.iter().filter_map(|forward| {
        let host = forward.host.filter(IpAddr::is_loopback)?;
        Some(Rule::new().not_from("lo").destination(host).destination_port(forward.protocol, forward.host_port).drop())
    });
    let direct = bridges.iter().flat_map(|bridge| {
        let rule = |subnet: &IpNet| Rule::new().not_from(&bridge.name).not_from("lo").destination_net(*subnet).drop();
        bridge.subnets.iter().map(rule)
    });
    let closed = bridges.iter().filter(|bridge| bridge.internal).flat_map(only_itself);
    let answers = std::iter::once(Rule::new().established().accept());
    loopback_of_host.chain(answers).chain(loopback_only).chain(direct).chain(closed).collect()
}

/// An internal network reaches no address of the host but its own gateway, whatever routes a container makes.
fn only_itself(bridge: &Bridge) -> Vec<Rule> {
    let from = || Rule::new().from(&bridge.name);
    let rules = |subnet: &IpNet| match subnet {
        IpNet::V4(_) => vec![from().not_destination_net(*subnet).drop()],
        // Link-local and multicast addresses are how neighbours find each other.
        IpNet::V6(_) => {
            [v6(0x2000, 3), v6(0xfc00, 7)].map(|net| from().destination_net(net).not_destination_net(*subnet).drop()).to_vec()
        }
    };
    bridge.subnets.iter().flat_map(rules).collect()
}

fn publish(forwards: &[Forward]) -> Vec<Rule> {
    let rule = |forward: &Forward| {
        // Only for addresses of this machine: by the port alone, traffic that merely passes would be taken too.
        let rule = match (forward.host, forward.container) {
            (Some(host), _) => Rule::new().destination(host),
            (None, IpAddr::V4(_)) => Rule::new().ipv4().at_local_address(),
            // Neither ::1 nor a link-local source can be routed: the proxy passes those on.
            (None, IpAddr::V6(_)) => Rule::new()
                .not_destination_net(IpAddr::V6(Ipv6Addr::LOCALHOST).into())
                .not_source_net(v6(0xfe80, 10))
                .at_local_address(),
        };
        rule.destination_port(forward.protocol, forward.host_port).dnat(forward.container, forward.container_port)
    };
    forwards.iter().map(rule).collect()
}

fn leave(bridges: &[Bridge]) -> Vec<Rule> {
    let of_subnet = |bridge: &Bridge, subnet: IpNet| {
        // A container that reaches another one, or itself, by a published port: the answer has to come back this way.
        let mut rules = vec![Rule::new().source_net(subnet).to(&bridge.name).translated().masquerade()];
        if matches!(subnet, IpNet::V4(_)) {
            rules.push(Rule::new().source_net(loopback()).to(&bridge.name).masquerade());
        }
        if bridge.masquerade && !bridge.internal {
            rules.push(Rule::new().source_net(subnet).not_to(&bridge.name).masquerade());
        }
        rules
    };
    bridges.iter().flat_map(|bridge| bridge.subnets.iter().flat_map(|subnet| of_subnet(bridge, *subnet))).collect()
}

fn pass(bridges: &[Bridge]) -> Vec<Rule> {
    let mut rules = vec![Rule::new().established().accept()];
    for bridge in bridges {
        let within = || Rule::new().from(&bridge.name).to(&bridge.name);
        if bridge.connected {
            rules.push(within().accept());
        } else {
            rules.extend([within().translated().accept(), within().drop()]);
        }
        if bridge.internal {
            rules.push(Rule::new().from(&bridge.name).drop());
            rules.push(Rule::new().to(&bridge.name).drop());
        }
    }
    for bridge in bridges {
        rules.push(Rule::new().to(&bridge.name).translated().accept());
        rules.push(Rule::new().to(&bridge.name).drop());
    }
    rules
}
