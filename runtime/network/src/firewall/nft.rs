//! nftables in its own words: tables, chains and rules as netlink attributes (linux/netfilter/nf_tables.h).

use std::net::IpAddr;

use ipnet::IpNet;
use rcompose_sys::Error;
use rustix::io::Errno;

use super::Protocol;
use crate::netlink::{ACKNOWLEDGE, APPEND, CREATE, Connection, DUMP, EXCLUSIVE, Message, NETFILTER};

const SUBSYSTEM: u16 = 10 << 8;
const NEW_TABLE: u16 = SUBSYSTEM;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const GET_RULE: u16 = SUBSYSTEM | 7;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

const INET: u8 = 1;
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// A table with everything in it.
pub(super) struct Table<'a> {
    pub(super) name: &'a str,
    pub(super) chains: Vec<Chain>,
}

impl Table<'_> {
    pub(super) fn rules(&self) -> usize {
        self.chains.iter().map(|chain| chain.rules.len()).sum()
    }
}

/// A chain at a hook.
pub(super) struct Chain {
    pub(super) name: &'static str,
    /// `filter` or `nat`.
    pub(super) kind: &'static str,
    pub(super) hook: Hook,
    pub(super) priority: i32,
    pub(super) rules: Vec<Rule>,
}

#[derive(Clone, Copy)]
pub(super) enum Hook {
    Prerouting = 0,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// A rule: comparisons, then what is done.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    expressions: Vec<(&'static str, Message)>,
}

fn header(family: u8, resource: u16) -> Vec<u8> {
    [&[family, 0], resource.to_be_bytes().as_slice()].concat()
}

fn message(kind: u16, flags: u16, about: String) -> Message {
    Message::new(kind, ACKNOWLEDGE | flags, about).fixed(&header(INET, 0))
}

/// Opens a conversation about tables.
///
/// It is to be kept: the kernel lets one go only when everything that was deleted by anybody is gone, which takes 10 ms.
pub(super) fn connect() -> Result<Connection, Error> {
    Connection::open(NETFILTER)
}

/// Writes a table in place of the one that is there.
pub(super) fn replace(connection: &mut Connection, table: &Table<'_>) -> Result<(), Error> {
    let emptied = vec![create_table(table.name, 0), delete_table(table.name)];
    transact(connection, emptied.into_iter().chain(written(table)).collect())
}

/// Writes a table that is not there; `EEXIST` if it is.
pub(super) fn create(connection: &mut Connection, table: &Table<'_>) -> Result<(), Error> {
    transact(connection, written(table).collect())
}

fn written<'a>(table: &'a Table<'_>) -> impl Iterator<Item = Message> + 'a {
    let chain = |chain: &'a Chain| {
        let rules = chain.rules.iter().map(|rule| create_rule(table.name, chain.name, rule));
        std::iter::once(create_chain(table.name, chain)).chain(rules)
    };
    std::iter::once(create_table(table.name, EXCLUSIVE)).chain(table.chains.iter().flat_map(chain))
}

/// Removes a table; one that is not there is fine.
pub(super) fn remove(connection: &mut Connection, table: &str) -> Result<(), Error> {
    match transact(connection, vec![delete_table(table)]) {
        Err(error) if error.errno() == Errno::NOENT => Ok(()),
        other => other,
    }
}

/// How many rules a table has; one that is not there has none.
pub(super) fn count_rules(connection: &mut Connection, table: &str) -> Result<usize, Error> {
    let question = Message::new(GET_RULE, DUMP, format!("NFT_MSG_GETRULE, {table}")).fixed(&header(INET, 0)).text(1, table);
    match connection.dump(question) {
        Err(error) if error.errno() == Errno::NOENT => Ok(0),
        rules => Ok(rules?.len()),
    }
}

fn transact(connection: &mut Connection, messages: Vec<Message>) -> Result<(), Error> {
    let border = |kind| Message::new(kind, 0, "batch").fixed(&header(0, 10));
    let batch = [vec![border(BATCH_BEGIN)], messages, vec![border(BATCH_END)]].concat();
    connection.transact(batch)
}

fn create_table(name: &str, flags: u16) -> Message {
    message(NEW_TABLE, CREATE | flags, format!("NFT_MSG_NEWTABLE, {name}")).text(1, name)
}

fn delete_table(name: &str) -> Message {
    message(DELETE_TABLE, 0, format!("NFT_MSG_DELTABLE, {name}")).text(1, name)
}

fn create_chain(table: &str, chain: &Chain) -> Message {
    message(NEW_CHAIN, CREATE, format!("NFT_MSG_NEWCHAIN, {table} {}", chain.name))
        .text(1, table)
        .text(3, chain.name)
        .nested(4, |hook| hook.network_number(1, chain.hook as u32).network_number(2, chain.priority.cast_unsigned()))
        .text(7, chain.kind)
}

fn create_rule(table: &str, chain: &str, rule: &Rule) -> Message {
    let about = format!("NFT_MSG_NEWRULE, {table} {chain}");
    message(NEW_RULE, CREATE | APPEND, about).text(1, table).text(2, chain).nested(4, |list| {
        rule.expressions.iter().fold(list, |list, (name, data)| {
            list.nested(1, |element| element.text(1, name).nested(2, |inner| inner.append(data)))
        })
    })
}

// Registers: 1 for what is compared and the address of a translation, 2 for its port.
const FIRST: u32 = 1;
const SECOND: u32 = 2;
const VERDICT: u32 = 0;

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

const META_INPUT_NAME: u32 = 6;
const META_OUTPUT_NAME: u32 = 7;
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;

/// Which address of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Source,
    Destination,
}

fn data() -> Message {
    Message::data()
}

impl Rule {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &'static str, data: Message) -> Self {
        self.expressions.push((name, data));
        self
    }

    fn meta(self, key: u32) -> Self {
        self.with("meta", data().network_number(1, FIRST).network_number(2, key))
    }

    fn compare(self, operator: u32, value: &[u8]) -> Self {
        let compared = data().network_number(1, FIRST).network_number(2, operator);
        self.with("cmp", compared.nested(3, |inner| inner.attribute(1, value)))
    }

    fn payload(self, base: u32, offset: u32, length: u32) -> Self {
        let loaded = data().network_number(1, FIRST).network_number(2, base);
        self.with("payload", loaded.network_number(3, offset).network_number(4, length))
    }

    fn mask(self, mask: &[u8]) -> Self {
        let length = u32::try_from(mask.len()).expect("masks are a few bytes");
        let masked = data().network_number(1, FIRST).network_number(2, FIRST).network_number(3, length);
        let zero = vec![0; mask.len()];
        self.with("bitwise", masked.nested(4, |inner| inner.attribute(1, mask)).nested(5, |inner| inner.attribute(1, &zero)))
    }

    fn immediate(self, register: u32, value: &[u8]) -> Self {
        self.with("immediate", data().network_number(1, register).nested(2, |inner| inner.attribute(1, value)))
    }

    fn verdict(self, code: u32) -> Self {
        let verdict = data().network_number(1, VERDICT);
        self.with("immediate", verdict.nested(2, |inner| inner.nested(2, |code_of| code_of.network_number(1, code))))
    }

    /// A name of a link is compared with its padding, or `br1` would also match `br10`.
    fn link(self, key: u32, operator: u32, name: &str) -> Self {
        let mut padded = name.as_bytes().to_vec();
        padded.resize(16, 0);
        self.meta(key).compare(operator, &padded)
    }

    pub(super) fn from(self, link: &str) -> Self {
        self.link(META_INPUT_NAME, EQUAL, link)
    }

    pub(super) fn not_from(self, link: &str) -> Self {
        self.link(META_INPUT_NAME, NOT_EQUAL, link)
    }

    pub(super) fn to(self, link: &str) -> Self {
        self.link(META_OUTPUT_NAME, EQUAL, link)
    }

    pub(super) fn not_to(self, link: &str) -> Self {
        self.link(META_OUTPUT_NAME, NOT_EQUAL, link)
    }

    fn family(self, family: u8) -> Self {
        self.meta(META_FAMILY).compare(EQUAL, &[family])
    }

    pub(super) fn ipv4(self) -> Self {
        self.family(IPV4)
    }

    /// Compares an address in the network header, as far as the mask of `net` goes.
    fn address(self, end: End, operator: u32, net: IpNet) -> Self {
        match net {
            IpNet::V4(net) => {
                let loaded = self.family(IPV4).payload(1, if end == End::Source { 12 } else { 16 }, 4);
                loaded.mask(&net.netmask().octets()).compare(operator, &net.network().octets())
            }
            IpNet::V6(net) => {
                let loaded = self.family(IPV6).payload(1, if end == End::Source { 8 } else { 24 }, 16);
                loaded.mask(&net.netmask().octets()).compare(operator, &net.network().octets())
            }
        }
    }

    pub(super) fn source_net(self, net: IpNet) -> Self {
        self.address(End::Source, EQUAL, net)
    }

    pub(super) fn not_source_net(self, net: IpNet) -> Self {
        self.address(End::Source, NOT_EQUAL, net)
    }

    pub(super) fn destination_net(self, net: IpNet) -> Self {
        self.address(End::Destination, EQUAL, net)
    }

    pub(super) fn not_destination_net(self, net: IpNet) -> Self {
        self.address(End::Destination, NOT_EQUAL, net)
    }

    pub(super) fn destination(self, address: IpAddr) -> Self {
        self.destination_net(IpNet::from(address))
    }

    pub(super) fn destination_port(self, protocol: Protocol, port: u16) -> Self {
        let transport = self.meta(META_PROTOCOL).compare(EQUAL, &[protocol.number()]);
        transport.payload(2, 2, 2).compare(EQUAL, &port.to_be_bytes())
    }

    /// `fib daddr type local`.
    pub(super) fn at_local_address(self) -> Self {
        const ADDRESS_TYPE: u32 = 3;
        const DESTINATION: u32 = 2;
        const LOCAL: u32 = 2;
        let looked_up = data().network_number(1, FIRST).network_number(2, ADDRESS_TYPE).network_number(3, DESTINATION);
        self.with("fib", looked_up).compare(EQUAL, &LOCAL.to_ne_bytes())
    }

    /// `ct state established,related`.
    pub(super) fn established(self) -> Self {
        const STATE: u32 = 0;
        const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
        self.tracked(STATE, ESTABLISHED_OR_RELATED)
    }

    /// `ct status dnat`.
    pub(super) fn translated(self) -> Self {
        const STATUS: u32 = 2;
        const DESTINATION_CHANGED: u32 = 1 << 5;
        self.tracked(STATUS, DESTINATION_CHANGED)
    }

    fn tracked(self, key: u32, bits: u32) -> Self {
        let loaded = self.with("ct", data().network_number(1, FIRST).network_number(2, key));
        loaded.mask(&bits.to_ne_bytes()).compare(NOT_EQUAL, &[0; 4])
    }

    pub(super) fn accept(self) -> Self {
        self.verdict(1)
    }

    pub(super) fn drop(self) -> Self {
        self.verdict(0)
    }

    pub(super) fn masquerade(self) -> Self {
        self.with("masq", data())
    }

    pub(super) fn dnat(self, address: IpAddr, port: u16) -> Self {
        const DESTINATION: u32 = 1;
        let (family, octets) = match address {
            IpAddr::V4(address) => (IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (IPV6, address.octets().to_vec()),
        };
        let registers = self.immediate(FIRST, &octets).immediate(SECOND, &port.to_be_bytes());
        let translation = data().network_number(1, DESTINATION).network_number(2, u32::from(family));
        registers.with("nat", translation.network_number(3, FIRST).network_number(5, SECOND))
    }
}
