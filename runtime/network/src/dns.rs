//! Names: who answers to what on which network, and the server in each container at 127.0.0.11.
//!
//! A container sees only names of networks that it is on. What is not known is asked of the servers outside, unless every
//! network of the container is internal.

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, RwLock};

use domain::base::iana::{Opcode, Rcode};
use domain::base::{Message, MessageBuilder, Name, Rtype, ToName};
use domain::rdata::{A, Aaaa, Ptr};

pub(crate) use server::{Sockets, serve};

/// Seconds for which an answer may be remembered. Replicas come and go: not long.
const LIFETIME: u32 = 5;

/// What every server knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zone(Arc<RwLock<Names>>);

#[derive(Debug, Default)]
struct Names {
    /// By network, then lower-case name: the addresses that it stands for, and whose they are.
    networks: BTreeMap<String, BTreeMap<String, BTreeSet<(IpAddr, String)>>>,
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
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) names: Vec<String>,
}

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
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
                let held = entry.addresses.iter().map(|address| (*address, entry.container.clone()));
                network.entry(name.to_ascii_lowercase()).or_default().extend(held);
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
    pub(crate) fn decide(&self, client: &str, question: &[u8], transport: Transport, turn: usize) -> Verdict {
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
            (Some(Found::Addresses(addresses)), kind) => {
                // Of another kind the name has nothing; it is there all the same.
                let of_kind = |it: &IpAddr| (kind == Rtype::A && it.is_ipv4()) || (kind == Rtype::AAAA && it.is_ipv6());
                let addresses: Vec<IpAddr> = addresses.into_iter().filter(of_kind).collect();
                answer(&message, &addresses, transport, turn)
            }
            (Some(Found::Name(name)), _) => answer_name(&message, &name),
            (None, _) if client.upstreams.is_empty() => refuse(&message, Rcode::NXDOMAIN),
            (None, _) => Verdict::Forward(client.upstreams.clone()),
        }
    }
}

enum Found {
    Addresses(Vec<IpAddr>),
    Name(String),
}

impl Names {
    fn addresses(&self, client: &Client, name: &str) -> Option<Vec<IpAddr>> {
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
        let address = reversed(name)?;
        client.networks.iter().find_map(|network| {
            let holders = self.networks.get(network)?;
            let holder = holders.values().flatten().find(|(held, _)| *held == address)?;
            Some(format!("{}.{network}", holder.1))
        })
    }
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let parts: Vec<u8> = octets.split('.').rev().map(str::parse).collect::<Result<_, _>>().ok()?;
        return Some(IpAddr::from(<[u8; 4]>::try_from(parts).ok()?));
    }
    let digits: Vec<&str> = name.strip_suffix(".ip6.arpa")?.split('.').collect();
    if digits.len() != 32 || digits.iter().any(|digit| digit.len() != 1) {
        return None;
    }
    let digits: String = digits.into_iter().rev().collect();
    u128::from_str_radix(&digits, 16).ok().map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
}

/// Bytes that an answer may have: what a client of UDP says it takes, or 512.
fn room(question: &Message<&[u8]>, transport: Transport) -> usize {
    const PLAIN: u16 = 512;
    // More would be cut into pieces on the way, which many networks lose.
    const MOST: u16 = 1232;
    match transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => usize::from(question.opt().map_or(PLAIN, |opt| opt.udp_payload_size().clamp(PLAIN, MOST))),
    }
}

fn answer(question: &Message<&[u8]>, addresses: &[IpAddr], transport: Transport, turn: usize) -> Verdict {
    let reply = || {
        let mut builder = MessageBuilder::new_vec().start_answer(question, Rcode::NOERROR).ok()?;
        builder.header_mut().set_ra(true);
        builder.set_push_limit(room(question, transport));
        let name = question.sole_question().ok()?.qname().to_name::<Vec<u8>>();
        for index in 0..addresses.len() {
            let pushed = match addresses[(index + turn) % addresses.len()] {
                IpAddr::V4(address) => builder.push((&name, LIFETIME, A::new(address))),
                IpAddr::V6(address) => builder.push((&name, LIFETIME, Aaaa::new(address))),
            };
            if pushed.is_err() {
                // The client asks again by TCP.
                builder.header_mut().set_tc(true);
                break;
            }
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
    use std::net::Ipv4Addr;

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
        let entry = |container: &str, network: &str, last: u8, names: &[&str]| Entry {
            container: container.to_owned(),
            network: network.to_owned(),
            addresses: vec![IpAddr::from([10, 0, 0, last]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)])],
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

    fn decide(zone: &Zone, client: &str, name: &str, kind: Rtype, turn: usize) -> Verdict {
        zone.decide(client, &question(name, kind), Transport::Udp, turn)
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
        assert_eq!(addresses(&decide(&zone, "web1", "WEB", Rtype::A, 0)), [first, second]);
        assert_eq!(addresses(&decide(&zone, "web1", "web", Rtype::A, 1)), [second, first]);
        assert_eq!(addresses(&decide(&zone, "web1", "web2.front", Rtype::A, 0)), [second]);
        let Verdict::Answer(bytes) = decide(&zone, "web1", "web", Rtype::AAAA, 0) else { panic!() };
        let message = Message::from_octets(bytes.as_slice()).unwrap();
        let found: Vec<Ipv6Addr> =
            message.answer().unwrap().limit_to::<Aaaa>().map(|record| record.unwrap().data().addr()).collect();
        assert_eq!(found, ["fd00::2".parse::<Ipv6Addr>().unwrap(), "fd00::3".parse().unwrap()]);
        assert!(addresses(&decide(&zone, "web1", "web", Rtype::MX, 0)).is_empty());
    }

    #[test]
    fn a_client_sees_only_its_networks() {
        let zone = zone();
        assert!(matches!(decide(&zone, "web1", "db", Rtype::A, 0), Verdict::Forward(_)));
        assert!(addresses(&decide(&zone, "db1", "web", Rtype::A, 0)).is_empty());
        assert_eq!(addresses(&decide(&zone, "db1", "database", Rtype::A, 0)), [Ipv4Addr::new(10, 0, 0, 4)]);
        zone.remove("web1");
        assert_eq!(addresses(&decide(&zone, "web2", "web", Rtype::A, 0)), [Ipv4Addr::new(10, 0, 0, 3)]);
    }

    #[test]
    fn addresses_lead_back_to_names() {
        let name_of = |name: &str| match decide(&zone(), "web1", name, Rtype::PTR, 0) {
            Verdict::Answer(bytes) => {
                let message = Message::from_octets(bytes.as_slice()).unwrap();
                let names: Vec<String> =
                    message.answer().unwrap().limit_to::<Ptr<_>>().map(|it| it.unwrap().data().to_string()).collect();
                names.join(" ")
            }
            other => format!("{other:?}"),
        };
        assert_eq!(name_of("3.0.0.10.in-addr.arpa").trim_end_matches('.'), "web2.front");
        let v6 = format!("3.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
        assert_eq!(name_of(&v6).trim_end_matches('.'), "web2.front");
        assert!(name_of("4.0.0.10.in-addr.arpa").starts_with("Forward"), "of a network that it is not on");
    }

    #[test]
    fn what_does_not_fit_into_a_datagram_is_asked_for_again() {
        let zone = zone();
        let addresses_of_many = (0..100).map(|last| IpAddr::from([10, 0, 1, last])).collect();
        let many = Entry {
            container: "many".to_owned(),
            network: "front".to_owned(),
            addresses: addresses_of_many,
            names: vec!["many".to_owned()],
        };
        zone.add("many", Client { networks: vec!["front".to_owned()], ..Client::default() }, &[many]);
        let answer = |transport| match zone.decide("web1", &question("many", Rtype::A), transport, 0) {
            Verdict::Answer(bytes) => bytes,
            other => panic!("{other:?}"),
        };
        let (short, whole) = (answer(Transport::Udp), answer(Transport::Tcp));
        assert!(short.len() <= 512 && Message::from_octets(short.as_slice()).unwrap().header().tc());
        assert!(!Message::from_octets(whole.as_slice()).unwrap().header().tc());
        assert_eq!(addresses(&Verdict::Answer(whole)).len(), 100);
    }

    #[test]
    fn nonsense_never_panics() {
        let zone = zone();
        let good = question("web", Rtype::A);
        for length in 0..good.len() {
            let _ = zone.decide("web1", &good[..length], Transport::Udp, 0);
        }
        for position in 0..good.len() {
            for bit in 0..8 {
                let mut mutated = good.clone();
                mutated[position] ^= 1 << bit;
                let _ = zone.decide("web1", &mutated, Transport::Udp, 0);
            }
        }
    }
}
