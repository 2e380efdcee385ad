//! Published ports.

use super::reader::Section;
use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::node::Node;
use crate::project::{PortMapping, Protocol};

/// Reads one port.
pub(super) fn decode(path: &str, node: &Node, problems: &mut Vec<Diagnostic>) -> Option<PortMapping> {
    let entry = Section::new(node, format!("{path}.ports"));
    let protocol = match entry.string("protocol").unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        other => {
            let fault = entry.fault("protocol", Code::InvalidValue, &format!("`{}` is no protocol", other.escape_debug()));
            problems.push(fault.on(other).with_help("protocols are tcp, udp and sctp"));
            return None;
        }
    };
    let Some(target) = entry.integer::<u16>("target").filter(|port| *port > 0) else {
        problems.push(entry.fault("target", Code::InvalidValue, "must be a port of the container, from 1 to 65535"));
        return None;
    };
    let published = match entry.string("published").filter(|text| !text.is_empty()) {
        Some(text) => match range(&text) {
            Some(range) => Some(range),
            None => {
                let fault = entry.fault("published", Code::InvalidValue, &format!("`{}` is no port", text.escape_debug()));
                problems.push(fault.on(&text).with_help("write a port from 1 to 65535, or a range such as `8000-8010`"));
                return None;
            }
        },
        None => None,
    };
    Some(PortMapping {
        target,
        published,
        host_ip: entry.string("host_ip").and_then(|text| text.parse().ok()),
        protocol,
        name: entry.string("name"),
        app_protocol: entry.string("app_protocol"),
        mode: entry.string("mode").unwrap_or_else(|| "ingress".to_owned()),
    })
}

/// First and last host port. Zero lets the kernel choose, as no port does.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some((first, last))
}
