//! Networks, ports and names.

use std::net::IpAddr;

use crate::Diagnostic;
use crate::decode::ports;
use crate::decode::reader::Section;
use crate::diagnostic::Code;
use crate::project::{NetworkAttachment, NetworkMode, Service};

pub(super) fn decode(section: &Section<'_>, service: &mut Service, problems: &mut Vec<Diagnostic>) {
    service.network_mode = section.string("network_mode").filter(|mode| !mode.is_empty()).map(|mode| match mode.as_str() {
        "none" => NetworkMode::None,
        "host" => NetworkMode::Host,
        "bridge" | "default" => NetworkMode::Bridge,
        other => match other.split_once(':') {
            Some(("service", name)) => NetworkMode::Service(name.to_owned()),
            Some(("container", name)) => NetworkMode::Container(name.to_owned()),
            _ => NetworkMode::Container(other.to_owned()),
        },
    });
    for (key, node) in section.entries("networks") {
        let entry = Section::new(node, format!("{}.networks.{}", section.path, key.name));
        service.networks.insert(key.name.clone(), attachment(&entry, problems));
    }
    for node in section.items("ports") {
        service.ports.extend(ports::decode(&section.path, node, problems));
    }
    service.expose = section.strings("expose");
    service.links = section.strings("links");
    service.external_links = section.strings("external_links");
    service.mac_address = section.string("mac_address");
    service.dns = addresses(section, "dns", problems);
    service.dns_opt = section.strings("dns_opt");
    service.dns_search = section.strings("dns_search");
    let host = |line: String| line.split_once('=').map(|(name, address)| (name.trim().to_owned(), address.trim().to_owned()));
    service.extra_hosts = section.strings("extra_hosts").into_iter().filter_map(host).collect();
}

fn attachment(entry: &Section<'_>, problems: &mut Vec<Diagnostic>) -> NetworkAttachment {
    let mut address = |name: &str| {
        let text = entry.string(name)?;
        let parsed = parse(entry, name, &text);
        parsed.map_err(|problem| problems.push(*problem)).ok()
    };
    NetworkAttachment {
        ipv4_address: address("ipv4_address"),
        ipv6_address: address("ipv6_address"),
        link_local_ips: addresses(entry, "link_local_ips", problems),
        aliases: entry.strings("aliases"),
        mac_address: entry.string("mac_address"),
        interface_name: entry.string("interface_name"),
        driver_opts: entry.labels("driver_opts"),
        priority: entry.integer("priority").unwrap_or(0),
        gw_priority: entry.integer("gw_priority").unwrap_or(0),
    }
}

fn parse(section: &Section<'_>, name: &str, text: &str) -> Result<IpAddr, Box<Diagnostic>> {
    text.parse().map_err(|_| {
        let fault = section.fault(name, Code::InvalidValue, &format!("`{}` is no address", text.escape_debug()));
        Box::new(fault.on(text).with_help("write an address such as 192.168.1.1, not a name"))
    })
}

fn addresses(section: &Section<'_>, name: &str, problems: &mut Vec<Diagnostic>) -> Vec<IpAddr> {
    let texts = section.strings(name);
    let parsed = texts.iter().map(|text| parse(section, name, text));
    parsed.filter_map(|result| result.map_err(|problem| problems.push(*problem)).ok()).collect()
}
