//! Networks, ports and names.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::MAX_PORTS;
use crate::decode::ports;
use crate::decode::reader::Section;
use crate::node::{Kind, Node};
use crate::project::{NetworkAttachment, NetworkMode, Service};

pub(super) fn decode(section: &mut Section<'_, '_>, service: &mut Service) {
    service.network_mode = section.string("network_mode").map(|mode| match mode.as_str() {
        "none" => NetworkMode::None,
        "host" => NetworkMode::Host,
        "bridge" | "default" => NetworkMode::Bridge,
        other => match other.split_once(':') {
            Some(("service", name)) => NetworkMode::Service(name.to_owned()),
            Some(("container", name)) => NetworkMode::Container(name.to_owned()),
            _ => NetworkMode::Container(other.to_owned()),
        },
    });
    service.networks = attachments(section);
    if let (Some(_), Some(node)) = (&service.network_mode, section.get("networks")) {
        let text = format!("service {} declares mutually exclusive `network_mode` and `networks`", service.name);
        section.fault(node, text);
    }
    for node in section.items("ports") {
        service.ports.extend(ports::decode(section, node));
        if service.ports.len() > MAX_PORTS {
            section.fault(node, format!("services.{}.ports: more than {MAX_PORTS} ports", service.name));
            break;
        }
    }
    service.expose = section.strings("expose");
    service.links = section.strings("links");
    service.external_links = section.strings("external_links");
    service.mac_address = section.string("mac_address");
    for text in section.strings("dns") {
        match text.parse::<IpAddr>() {
            Ok(address) => service.dns.push(address),
            Err(_) => {
                let text = format!("{}.dns: `{}` is no address", section.path, text.escape_default());
                let node = section.node.get("dns").unwrap_or(section.node);
                section.fault(node, text);
            }
        }
    }
    service.dns_opt = section.strings("dns_opt");
    service.dns_search = section.strings("dns_search");
    service.extra_hosts = extra_hosts(section);
}

fn extra_hosts(section: &mut Section<'_, '_>) -> Vec<(String, String)> {
    let Some(node) = section.get("extra_hosts") else { return Vec::new() };
    if let Kind::Mapping(entries) = &node.kind {
        let values = |node: &Node| match &node.kind {
            Kind::Sequence(items) => items.iter().filter_map(|item| item.text().map(str::to_owned)).collect(),
            _ => node.text().map(str::to_owned).into_iter().collect::<Vec<_>>(),
        };
        return entries.iter().flat_map(|(key, value)| values(value).into_iter().map(|it| (key.name.clone(), it))).collect();
    }
    let split = |text: String| {
        let (name, address) = text.split_once('=').or_else(|| text.split_once(':'))?;
        Some((name.trim().to_owned(), address.trim().to_owned()))
    };
    section.strings("extra_hosts").into_iter().filter_map(split).collect()
}

fn attachments(section: &mut Section<'_, '_>) -> BTreeMap<String, NetworkAttachment> {
    let Some(node) = section.get("networks") else { return BTreeMap::new() };
    if matches!(node.kind, Kind::Sequence(_)) {
        return section.strings("networks").into_iter().map(|name| (name, NetworkAttachment::default())).collect();
    }
    let mut attachments = BTreeMap::new();
    for (key, node) in section.entries("networks") {
        let mut entry = Section::new(node, format!("{}.networks.{}", section.path, key.name), section.problems);
        entry.known(&[
            "aliases",
            "ipv4_address",
            "ipv6_address",
            "link_local_ips",
            "mac_address",
            "interface_name",
            "driver_opts",
            "priority",
            "gw_priority",
        ]);
        let address = |entry: &mut Section<'_, '_>, name: &str| {
            let text = entry.string(name)?;
            let parsed = text.parse::<IpAddr>();
            if parsed.is_err() {
                let text = format!("{}.{name}: `{}` is no address", entry.path, text.escape_default());
                let at = entry.node.get(name).unwrap_or(entry.node);
                entry.fault(at, text);
            }
            parsed.ok()
        };
        let attachment = NetworkAttachment {
            aliases: entry.strings("aliases"),
            ipv4_address: address(&mut entry, "ipv4_address"),
            ipv6_address: address(&mut entry, "ipv6_address"),
            link_local_ips: addresses(&mut entry, "link_local_ips"),
            mac_address: entry.string("mac_address"),
            interface_name: entry.string("interface_name"),
            driver_opts: entry.labels("driver_opts"),
            priority: entry.integer("priority").unwrap_or(0),
            gw_priority: entry.integer("gw_priority").unwrap_or(0),
        };
        attachments.insert(key.name.clone(), attachment);
    }
    attachments
}

fn addresses(section: &mut Section<'_, '_>, name: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for text in section.strings(name) {
        match text.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => {
                let problem = format!("{}.{name}: `{}` is no address", section.path, text.escape_default());
                let at = section.node.get(name).unwrap_or(section.node);
                section.fault(at, problem);
            }
        }
    }
    addresses
}
