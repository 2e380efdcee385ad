//! Published ports, short and long.

use std::net::IpAddr;

use super::reader::Section;
use crate::node::{Kind, Node};
use crate::project::{PortMapping, Protocol};

/// Reads one entry; a range becomes a mapping each.
pub(super) fn decode(section: &mut Section<'_, '_>, node: &Node) -> Vec<PortMapping> {
    match &node.kind {
        Kind::Scalar { text, .. } => match short(text) {
            Ok(ports) => ports,
            Err(why) => {
                let text = format!("{}.ports: invalid port `{}`: {why}", section.path, text.escape_default());
                section.fault(node, text);
                Vec::new()
            }
        },
        Kind::Mapping(_) => long(section, node).into_iter().collect(),
        Kind::Sequence(_) => {
            let text = format!("{}.ports: an entry is `HOST:CONTAINER` or a mapping, not a list", section.path);
            section.fault(node, text);
            Vec::new()
        }
    }
}

fn short(text: &str) -> Result<Vec<PortMapping>, String> {
    let (body, protocol) = match text.rsplit_once('/') {
        Some((body, protocol)) => (body, protocol_of(protocol)?),
        None => (text, Protocol::Tcp),
    };
    let (rest, container) = match body.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, body),
    };
    let (host_ip, host) = match rest {
        None => (None, None),
        Some(rest) => match rest.rsplit_once(':') {
            Some((ip, host)) => (Some(address(ip)?), Some(host)),
            None => (None, Some(rest)),
        },
    };
    let (first, last) = range(container)?;
    let published = host.filter(|host| !host.is_empty()).map(range).transpose()?;
    let count = last - first;
    let each = |offset: u16| {
        let published = match published {
            // As many as the container has: one each. More for one port: the first that is free.
            Some((from, to)) if to - from == count => Ok(Some((from + offset, from + offset))),
            Some((from, to)) if count == 0 => Ok(Some((from, to))),
            Some(_) => Err("the two ranges differ in length".to_owned()),
            None => Ok(None),
        };
        Ok(PortMapping {
            target: first + offset,
            published: published?,
            host_ip,
            protocol,
            name: None,
            app_protocol: None,
            mode: "ingress".to_owned(),
        })
    };
    (0..=count).map(each).collect()
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("`{}` is no port from 1 to 65535", text.escape_default())),
    };
    match text.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (port(first)?, port(last)?);
            if first <= last { Ok((first, last)) } else { Err(format!("the range {first}-{last} runs backwards")) }
        }
        None => port(text).map(|port| (port, port)),
    }
}

fn protocol_of(text: &str) -> Result<Protocol, String> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        other => Err(format!("`{}` is no protocol: expected tcp, udp or sctp", other.escape_default())),
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.trim_matches(['[', ']']).parse().map_err(|_| format!("`{}` is no address", text.escape_default()))
}

fn checked<T>(entry: &mut Section<'_, '_>, result: Result<T, String>) -> Option<T> {
    let why = match result {
        Ok(value) => return Some(value),
        Err(why) => why,
    };
    let text = format!("{}: {why}", entry.path);
    entry.fault(entry.node, text);
    None
}

fn long(section: &mut Section<'_, '_>, node: &Node) -> Option<PortMapping> {
    let path = format!("{}.ports", section.path);
    let mut entry = Section::new(node, path.clone(), section.problems);
    entry.known(&["name", "target", "published", "host_ip", "protocol", "app_protocol", "mode"]);
    let target: Option<u16> = entry.integer("target").filter(|port| *port > 0);
    if target.is_none() {
        entry.fault(node, format!("{path}: `target` must be a port of the container"));
    }
    let published = entry.string("published").filter(|text| !text.is_empty()).map(|text| range(&text)).transpose();
    let host_ip = entry.string("host_ip").filter(|text| !text.is_empty()).map(|text| address(&text)).transpose();
    let protocol = entry.string("protocol").map_or(Ok(Protocol::Tcp), |text| protocol_of(&text));
    let published = checked(&mut entry, published)?;
    let host_ip = checked(&mut entry, host_ip)?;
    let protocol = checked(&mut entry, protocol)?;
    Some(PortMapping {
        target: target?,
        published,
        host_ip,
        protocol,
        name: entry.string("name"),
        app_protocol: entry.string("app_protocol"),
        mode: entry.string("mode").unwrap_or_else(|| "ingress".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_short_forms() {
        let read = |text: &str| -> Vec<String> {
            let show =
                |port: &PortMapping| format!("{:?} {:?} {} {:?}", port.host_ip, port.published, port.target, port.protocol);
            short(text).unwrap().iter().map(show).collect()
        };
        assert_eq!(read("80"), ["None None 80 Tcp"]);
        assert_eq!(read("8080:80/udp"), ["None Some((8080, 8080)) 80 Udp"]);
        assert_eq!(read("127.0.0.1:8080:80"), ["Some(127.0.0.1) Some((8080, 8080)) 80 Tcp"]);
        assert_eq!(read("[::1]:8080:80"), ["Some(::1) Some((8080, 8080)) 80 Tcp"]);
        assert_eq!(read("127.0.0.1::80"), ["Some(127.0.0.1) None 80 Tcp"]);
        assert_eq!(read("7000-7005:70"), ["None Some((7000, 7005)) 70 Tcp"]);
        assert_eq!(read("90-91:80-81"), ["None Some((90, 90)) 80 Tcp", "None Some((91, 91)) 81 Tcp"]);
        for wrong in ["0:80", "70000:80", "80:80:80:80", "a", "80/x", "90-92:80-81", "9-8:1", ""] {
            assert!(short(wrong).is_err(), "{wrong}");
        }
    }
}
