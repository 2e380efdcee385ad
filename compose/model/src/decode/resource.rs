//! Networks, volumes, configs and secrets.

use std::path::Path;

use super::Context;
use super::reader::Section;
use crate::Diagnostic;
use crate::load::clean;
use crate::node::Node;
use crate::project::{FileObject, FileSource, IpamPool, Network, Volume};

fn name_of(section: &mut Section<'_, '_>, project: &str, key: &str, external: bool) -> String {
    let default = if external { key.to_owned() } else { format!("{project}_{key}") };
    section.string("name").unwrap_or(default)
}

fn is_external(section: &mut Section<'_, '_>) -> bool {
    match section.get("external") {
        Some(node) if node.text().is_none() => true,
        _ => section.flag("external"),
    }
}

pub(super) fn network(project: &str, key: &str, node: &Node, problems: &mut Vec<Diagnostic>) -> Network {
    let mut section = Section::new(node, format!("networks.{key}"), problems);
    section.known(&[
        "name",
        "driver",
        "driver_opts",
        "ipam",
        "external",
        "internal",
        "enable_ipv4",
        "enable_ipv6",
        "attachable",
        "labels",
    ]);
    let external = is_external(&mut section);
    section.without_effect(&["attachable"]);
    let mut network = Network {
        name: name_of(&mut section, project, key, external),
        driver: section.string("driver").unwrap_or_else(|| "bridge".to_owned()),
        driver_opts: section.labels("driver_opts"),
        external,
        internal: section.flag("internal"),
        enable_ipv4: section.boolean("enable_ipv4").unwrap_or(true),
        enable_ipv6: section.flag("enable_ipv6"),
        labels: section.labels("labels"),
        ipam: Vec::new(),
    };
    if let Some(ipam) = section.get("ipam") {
        let mut ipam = Section::new(ipam, format!("networks.{key}.ipam"), section.problems);
        ipam.known(&["driver", "config", "options"]);
        for pool in ipam.items("config") {
            network.ipam.push(ipam_pool(key, pool, ipam.problems));
        }
    }
    network
}

fn ipam_pool(key: &str, node: &Node, problems: &mut Vec<Diagnostic>) -> IpamPool {
    let mut section = Section::new(node, format!("networks.{key}.ipam.config"), problems);
    section.known(&["subnet", "ip_range", "gateway", "aux_addresses"]);
    let address = |section: &mut Section<'_, '_>, text: String, node: &Node| match text.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let text = format!("`{}` is no address", text.escape_default());
            section.fault(node, text);
            None
        }
    };
    let gateway = section.string("gateway").and_then(|text| address(&mut section, text, node));
    let named = section.labels("aux_addresses");
    let aux_addresses = named.into_iter().filter_map(|(name, text)| Some((name, address(&mut section, text, node)?))).collect();
    IpamPool { subnet: section.string("subnet"), ip_range: section.string("ip_range"), gateway, aux_addresses }
}

pub(super) fn volume(project: &str, key: &str, node: &Node, problems: &mut Vec<Diagnostic>) -> Volume {
    let mut section = Section::new(node, format!("volumes.{key}"), problems);
    section.known(&["name", "driver", "driver_opts", "external", "labels"]);
    let external = is_external(&mut section);
    if external {
        for other in ["driver", "driver_opts", "labels"] {
            if let Some(node) = section.get(other) {
                section.fault(node, format!("volumes.{key}: `external` and `{other}` conflict"));
            }
        }
    }
    let driver = section.string("driver").unwrap_or_else(|| "local".to_owned());
    if driver != "local" {
        let text = format!("volumes.{key}.driver: only `local` is supported, not `{}`", driver.escape_default());
        section.fault(node, text);
    }
    section.without_effect(&["driver_opts"]);
    Volume {
        name: name_of(&mut section, project, key, external),
        driver,
        driver_opts: section.labels("driver_opts"),
        external,
        labels: section.labels("labels"),
    }
}

pub(super) fn file_object(
    context: &Context<'_>,
    kind: &str,
    key: &str,
    node: &Node,
    problems: &mut Vec<Diagnostic>,
) -> Option<FileObject> {
    let mut section = Section::new(node, format!("{kind}.{key}"), problems);
    section.known(&["name", "file", "content", "environment", "external", "labels", "driver", "driver_opts", "template_driver"]);
    let file = section.string("file").map(|path| FileSource::File(clean(&context.directory.join(Path::new(&path)))));
    let content = section.string("content").map(FileSource::Content);
    let environment = section.string("environment").map(|variable| {
        let value = context.variables.get(&variable).cloned();
        FileSource::Environment { variable, value }
    });
    let external = is_external(&mut section).then_some(FileSource::External);
    let mut sources = [file, content, environment, external].into_iter().flatten();
    let (first, second) = (sources.next(), sources.next());
    match (first, second) {
        (Some(source), None) => {
            Some(FileObject { name: name_of(&mut section, &context.name, key, false), source, labels: section.labels("labels") })
        }
        (None, _) => {
            section.fault(node, format!("{kind}.{key} needs one of `file`, `content`, `environment` or `external`"));
            None
        }
        (Some(_), Some(_)) => {
            section.fault(node, format!("{kind}.{key} has more than one source"));
            None
        }
    }
}
