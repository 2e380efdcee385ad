//! `[[address:]host:]container[/protocol]`, each part a port or a range.

use std::net::IpAddr;

use super::{Code, Diagnostic, Key, Mapping, Node, Spot, Trail};
use crate::scalar::Scalar;

/// Of one project; a host has not many more to give, and ranges are short to write.
pub(crate) const MAX_PORTS: usize = 65_536;

/// Makes mappings of texts and numbers; a range of a container becomes as many.
pub(crate) fn ports(node: &mut Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    let Some(items) = node.items_mut() else { return };
    let mut long = Vec::with_capacity(items.len());
    for (index, item) in std::mem::take(items).into_iter().enumerate() {
        let text = match item.scalar() {
            Some(Scalar::Null) | None => {
                long.push(item);
                continue;
            }
            Some(scalar) => scalar.to_string(),
        };
        match parse(&text) {
            Ok(ports) if long.len() + ports.len() > MAX_PORTS => {
                let message = format!("{trail}: more than {MAX_PORTS} ports");
                problems.push(Diagnostic::error(Code::Limit, message).at(&item.spot).on(text));
                break;
            }
            Ok(ports) => long.extend(ports.iter().map(|port| port.node(&item.spot))),
            // What a variable stands for is not known yet.
            Err(_) if text.contains('$') => long.push(item),
            Err(fault) => {
                let trail = trail.item(index);
                let message = format!("{trail}: {}", fault.message);
                let problem = Diagnostic::error(Code::InvalidValue, message).at(&item.spot);
                problems.push(problem.on(text).with_help(fault.help));
                long.push(item);
            }
        }
    }
    *items = long;
}

struct Port {
    address: String,
    published: String,
    target: u16,
    protocol: String,
}

impl Port {
    fn node(&self, spot: &Spot) -> Node {
        let key = |name: &str| Key { name: name.to_owned(), spot: spot.clone() };
        let mut entries = Mapping::new();
        entries.insert(key("mode"), Node::text_at("ingress", spot));
        if !self.address.is_empty() {
            entries.insert(key("host_ip"), Node::text_at(&self.address, spot));
        }
        entries.insert(key("target"), Node::plain_at(self.target.to_string(), spot));
        if !self.published.is_empty() {
            entries.insert(key("published"), Node::text_at(&self.published, spot));
        }
        entries.insert(key("protocol"), Node::text_at(&self.protocol, spot));
        Node::mapping_at(entries, spot)
    }
}

struct Fault {
    message: String,
    help: String,
}

fn fault(message: String, help: impl Into<String>) -> Fault {
    Fault { message, help: help.into() }
}

fn parse(text: &str) -> Result<Vec<Port>, Fault> {
    let (front, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (address, host) = front.rsplit_once(':').unwrap_or(("", front));
    let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if container.is_empty() {
        return Err(fault("no container port".to_owned(), "write `host:container`, such as `8080:80`"));
    }
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        let message = format!("invalid protocol `{}`", protocol.escape_debug());
        return Err(fault(message, "protocols are tcp, udp and sctp"));
    }
    if address.contains(':') && !address.starts_with('[') {
        let message = format!("invalid IP address `{}`: an IPv6 address stands in brackets", address.escape_debug());
        return Err(fault(message, format!("write `[{address}]:{host}:{container}`")));
    }
    let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if !address.is_empty() && address.parse::<IpAddr>().is_err() {
        let message = format!("invalid IP address `{}`", address.escape_debug());
        return Err(fault(message, "write an address such as 127.0.0.1, or leave it out for all of them"));
    }
    let (first, last) = range(container)?;
    let host_range = if host.is_empty() { None } else { Some(range(host)?) };
    if let Some((host_first, host_last)) = host_range
        && last - first != host_last - host_first
        && first != last
    {
        let message = format!("the ranges {host} and {container} are of unequal length");
        return Err(fault(message, "give the host's range as many ports as the container's, or one container port"));
    }
    let mut ports: Vec<Port> = (first..=last)
        .map(|target| {
            let published = match host_range {
                None => String::new(),
                Some((host_first, host_last)) if first == last && host_first != host_last => format!("{host_first}-{host_last}"),
                Some((host_first, _)) => (host_first + (target - first)).to_string(),
            };
            Port { address: address.to_owned(), published, target, protocol: protocol.clone() }
        })
        .collect();
    // COMPAT: docker compose gives the ports of a range in the order of their text.
    ports.sort_by_cached_key(|port| port.target.to_string());
    Ok(ports)
}

fn range(text: &str) -> Result<(u16, u16), Fault> {
    let number = |part: &str| {
        part.parse::<u16>().map_err(|_| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let message = format!("invalid port `{}`", part.escape_debug());
            let help = if digits { "ports go up to 65535" } else { "write the port as a number" };
            fault(message, help)
        })
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if first > last {
        let message = format!("the range {text} ends before it begins");
        return Err(fault(message, "write the smaller port first"));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = |port: &Port| format!("{} {}->{}/{}", port.address, port.published, port.target, port.protocol);
        let got = match parse(text) {
            Ok(ports) => ports.iter().map(shown).collect::<Vec<_>>().join(", "),
            Err(fault) => fault.message,
        };
        assert_eq!(got.trim_start(), expected, "{text}");
    }

    #[test]
    fn reads_every_form() {
        check("80", "->80/tcp");
        check("8080:80", "8080->80/tcp");
        check("127.0.0.1:8080:80/UDP", "127.0.0.1 8080->80/udp");
        check("127.0.0.1::80", "127.0.0.1 ->80/tcp");
        check("[::1]:8080:80", "::1 8080->80/tcp");
        check("7000-7001:80-81", "7000->80/tcp,  7001->81/tcp");
        check("7000-7005:80", "7000-7005->80/tcp");
        check("9-10:9-10", "10->10/tcp,  9->9/tcp");
    }

    #[test]
    fn says_what_is_wrong() {
        check("80800:80", "invalid port `80800`");
        check("8080:http", "invalid port `http`");
        check("8000-8005:80-82", "the ranges 8000-8005 and 80-82 are of unequal length");
        check("81-80", "the range 81-80 ends before it begins");
        check("localhost:80:80", "invalid IP address `localhost`");
        check("80:80/icmp", "invalid protocol `icmp`");
        check("80:", "no container port");
    }
}
