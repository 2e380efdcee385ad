//! Names: who answers to what on which network, and the server in each container at 127.0.0.11.
//!
//! A container sees only names of networks that it is on. What is not known is asked of the servers outside, unless every
//! network of the container is internal.

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, RwLock};

use domain::base::iana::{Opcode, Rcode};
use domain::base::{Message, MessageBuilder, Name, Rtype, ToName};
use domain::rdata::{A, Ptr};

pub(crate) use server::{Sockets, serve};

/// Seconds for which an answer may be remembered. Replicas come and go: not long.
const LIFETIME: u32 = 5;

/// What every server knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zone(Arc<RwLock<Names>>);

#[derive(Debug, Default)]
struct Names {
    /// By network, then lower-case name: the addresses that it stands for, and whose they are.
    networks: BTreeMap<String, BTreeMap<String, BTreeSet<(Ipv4Addr, String)>>>,
    clients: BTreeMap<String, Client>,
}

/// A container, as one who asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    /// Networks that it is on.
    pub(crate) networks: Vec<String>,
    /// Names that only it sees, and the name each stands for.
    pub(crate) links: BTreeMap<String, String>,
    /// Servers for everything else; empty when nothing may leave.
    pub(crate) upstreams: Vec<IpAddr>,
}

/// A container, as one who is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) container: String,
    pub(crate) network: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) names: Vec<String>,
}

/// What is to be done with a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Sent back.
    Answer(Vec<u8>),
    /// Asked of these.
    Forward(Vec<IpAddr>),
    /// No question at all.
    Ignore,
}

impl Zone {
    /// Makes a container's names known, and the container a client.
    pub(crate) fn add(&self, container: &str, client: Client, entries: &[Entry]) {
        let mut names = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        names.clients.insert(container.to_owned(), client);
        for entry in entries {
            let network = names.networks.entry(entry.network.clone()).or_default();
            for name in &entry.names {
                network.entry(name.to_ascii_lowercase()).or_default().insert((entry.address, entry.container.clone()));
            }
        }
    }

    /// Forgets a container.
    pub(crate) fn remove(&self, container: &str) {
        let mut names = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        names.clients.remove(container);
        for network in names.networks.values_mut() {
            network.values_mut().for_each(|holders| holders.retain(|(_, holder)| holder != container));
            network.retain(|_, holders| !holders.is_empty());
        }
        names.networks.retain(|_, network| !network.is_empty());
    }

    /// Decides about a question of a client. `turn` rotates the order of several addresses.
    pub(crate) fn decide(&self, client: &str, question: &[u8], turn: usize) -> Verdict {
        let names = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(client) = names.clients.get(client) else { return Verdict::Ignore };
        let Ok(message) = Message::from_octets(question) else { return Verdict::Ignore };
        if message.header().qr() {
            return Verdict::Ignore;
        }
        let Ok(asked) = message.sole_question() else { return refuse(&message, Rcode::FORMERR) };
        if message.header().opcode() != Opcode::QUERY {
            return refuse(&message, Rcode::NOTIMP);
        }
        let name = asked.qname().to_string().trim_end_matches('.').to_ascii_lowercase();
        let found = match asked.qtype() {
            Rtype::PTR => names.reverse(client, &name).map(Found::Name),
            _ => names.addresses(client, &name).map(Found::Addresses),
        };
        match (found, asked.qtype()) {
            (Some(Found::Addresses(addresses)), Rtype::A) => answer(&message, &addresses, turn),
            // The name is there, with nothing of that kind.
            (Some(Found::Addresses(_)), _) => answer(&message, &[], 0),
            (Some(Found::Name(name)), _) => answer_name(&message, &name),
            (None, _) if client.upstreams.is_empty() => refuse(&message, Rcode::NXDOMAIN),
            (None, _) => Verdict::Forward(client.upstreams.clone()),
        }
    }
}

enum Found {
    Addresses(Vec<Ipv4Addr>),
    Name(String),
}

impl Names {
    fn addresses(&self, client: &Client, name: &str) -> Option<Vec<Ipv4Addr>> {
        let name = client.links.get(name).map_or(name, String::as_str);
        let on = |network: &String, name: &str| {
            let holders = self.networks.get(network)?.get(name)?;
            Some(holders.iter().map(|(address, _)| *address).collect::<Vec<_>>())
        };
        let plain = client.networks.iter().find_map(|network| on(network, name));
        plain.or_else(|| {
            // `web.shop_default` names a network on purpose.
            let qualified = |network: &String| on(network, name.strip_suffix(network.as_str())?.strip_suffix('.')?);
            client.networks.iter().find_map(qualified)
        })
    }

    fn reverse(&self, client: &Client, name: &str) -> Option<String> {
        let octets = name.strip_suffix(".in-addr.arpa")?;
        let parts: Vec<u8> = octets.split('.').rev().map(str::parse).collect::<Result<_, _>>().ok()?;
        let address = Ipv4Addr::from(<[u8; 4]>::try_from(parts).ok()?);
        client.networks.iter().find_map(|network| {
            let holders = self.networks.get(network)?;
            let holder = holders.values().flatten().find(|(held, _)| *held == address)?;
            Some(format!("{}.{network}", holder.1))
        })
    }
}

fn answer(question: &Message<&[u8]>, addresses: &[Ipv4Addr], turn: usize) -> Verdict {
    let reply = || {
        let mut builder = MessageBuilder::new_vec().start_answer(question, Rcode::NOERROR).ok()?;
        builder.header_mut().set_ra(true);
        let name = question.sole_question().ok()?.qname().to_name::<Vec<u8>>();
        for index in 0..addresses.len() {
            let address = addresses[(index + turn) % addresses.len()];
            builder.push((&name, LIFETIME, A::new(address))).ok()?;
        }
        Some(builder.finish())
    };
    reply().map_or(Verdict::Ignore, Verdict::Answer)
}

fn answer_name(question: &Message<&[u8]>, target: &str) -> Verdict {
    let reply = || {
        let target: Name<Vec<u8>> = target.parse().ok()?;
        let mut builder = MessageBuilder::new_vec().start_answer(question, Rcode::NOERROR).ok()?;
        builder.header_mut().set_ra(true);
        let name = question.sole_question().ok()?.qname().to_name::<Vec<u8>>();
        builder.push((&name, LIFETIME, Ptr::new(target))).ok()?;
        Some(builder.finish())
    };
    reply().map_or(Verdict::Ignore, Verdict::Answer)
}

fn refuse(question: &Message<&[u8]>, code: Rcode) -> Verdict {
    let mut builder = MessageBuilder::new_vec().start_error(question, code);
    builder.header_mut().set_ra(true);
    Verdict::Answer(builder.finish())
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Class;

    use super::*;

    fn question(name: &str, kind: Rtype) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_id(7);
        builder.push((Name::<Vec<u8>>::vec_from_str(name).unwrap(), kind, Class::IN)).unwrap();
        builder.finish()
    }

    fn zone() -> Zone {
        let zone = Zone::default();
        let entry = |container: &str, network: &str, last, names: &[&str]| Entry {
            container: container.to_owned(),
            network: network.to_owned(),
            address: Ipv4Addr::new(10, 0, 0, last),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let client = |networks: &[&str], upstreams: Vec<IpAddr>| Client {
            networks: networks.iter().map(|name| (*name).to_owned()).collect(),
            links: BTreeMap::from([("database".to_owned(), "db".to_owned())]),
            upstreams,
        };
        let outside = vec![IpAddr::from([9, 9, 9, 9])];
        zone.add("web1", client(&["front"], outside.clone()), &[entry("web1", "front", 2, &["web", "web1"])]);
        zone.add("web2", client(&["front"], outside), &[entry("web2", "front", 3, &["web", "web2"])]);
        zone.add("db1", client(&["back"], Vec::new()), &[entry("db1", "back", 4, &["db"])]);
        zone
    }

    fn addresses(verdict: &Verdict) -> Vec<Ipv4Addr> {
        let Verdict::Answer(bytes) = verdict else { panic!("{verdict:?}") };
        let message = Message::from_octets(bytes.as_slice()).unwrap();
        let records = message.answer().unwrap().limit_to::<A>();
        records.map(|record| record.unwrap().data().addr()).collect()
    }

    #[test]
    fn answers_with_all_replicas_in_turn() {
        let zone = zone();
        let (first, second) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3));
        assert_eq!(addresses(&zone.decide("web1", &question("WEB", Rtype::A), 0)), [first, second]);
        assert_eq!(addresses(&zone.decide("web1", &question("web", Rtype::A), 1)), [second, first]);
        assert_eq!(addresses(&zone.decide("web1", &question("web2.front", Rtype::A), 0)), [second]);
        assert!(addresses(&zone.decide("web1", &question("web", Rtype::AAAA), 0)).is_empty());
    }

    #[test]
    fn a_client_sees_only_its_networks() {
        let zone = zone();
        assert!(matches!(zone.decide("web1", &question("db", Rtype::A), 0), Verdict::Forward(_)));
        assert!(addresses(&zone.decide("db1", &question("web", Rtype::A), 0)).is_empty());
        assert_eq!(addresses(&zone.decide("db1", &question("database", Rtype::A), 0)), [Ipv4Addr::new(10, 0, 0, 4)]);
        zone.remove("web1");
        assert_eq!(addresses(&zone.decide("web2", &question("web", Rtype::A), 0)), [Ipv4Addr::new(10, 0, 0, 3)]);
    }

    #[test]
    fn nonsense_never_panics() {
        let zone = zone();
        let good = question("web", Rtype::A);
        for length in 0..good.len() {
            let _ = zone.decide("web1", &good[..length], 0);
        }
        for position in 0..good.len() {
            for bit in 0..8 {
                let mut mutated = good.clone();
                mutated[position] ^= 1 << bit;
                let _ = zone.decide("web1", &mutated, 0);
            }
        }
    }
}
