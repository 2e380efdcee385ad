//! Networks, volumes, configs and secrets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::reader::Section;
use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::load::Model;
use crate::node::Node;
use crate::project::{FileObject, FileSource, IpamPool, Network, Volume};

pub(super) fn network(key: &str, node: &Node, problems: &mut Vec<Diagnostic>) -> Network {
    let section = Section::new(node, format!("networks.{key}"));
    let pools = section.below("ipam").map(|ipam| ipam.items("config")).unwrap_or_default();
    Network {
        name: section.string("name").unwrap_or_default(),
        driver: section.string("driver").unwrap_or_else(|| "bridge".to_owned()),
        driver_opts: section.labels("driver_opts"),
        external: section.flag("external"),
        internal: section.flag("internal"),
        enable_ipv4: section.boolean("enable_ipv4").unwrap_or(true),
        enable_ipv6: section.flag("enable_ipv6"),
        labels: section.labels("labels"),
        ipam: pools.iter().map(|pool| ipam_pool(&section.path, pool, problems)).collect(),
    }
}

fn ipam_pool(path: &str, node: &Node, problems: &mut Vec<Diagnostic>) -> IpamPool {
    let section = Section::new(node, format!("{path}.ipam.config"));
    let mut aux_addresses = BTreeMap::new();
    if let Some(named) = section.below("aux_addresses") {
        for name in named.node.mapping().into_iter().flat_map(|entries| entries.keys()) {
            if let Some(address) = address(&named, &name.name, problems) {
                aux_addresses.insert(name.name.clone(), address);
            }
        }
    }
    IpamPool {
        subnet: section.string("subnet"),
        ip_range: section.string("ip_range"),
        gateway: address(&section, "gateway", problems),
        aux_addresses,
    }
}

fn address(section: &Section<'_>, name: &str, problems: &mut Vec<Diagnostic>) -> Option<IpAddr> {
    let text = section.string(name)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let fault = section.fault(name, Code::InvalidValue, &format!("`{}` is no address", text.escape_debug()));
        problems.push(fault.on(&text));
    }
    parsed
}

pub(super) fn volume(key: &str, node: &Node, problems: &mut Vec<Diagnostic>) -> Volume {
    let section = Section::new(node, format!("volumes.{key}"));
    let driver = section.string("driver").unwrap_or_else(|| "local".to_owned());
    if driver != "local" {
        let fault =
            section.fault("driver", Code::Unsupported, &format!("only `local` is supported, not `{}`", driver.escape_debug()));
        problems.push(fault.on(&driver).with_help("leave `driver` out, or mount the storage on the host and use a bind mount"));
    }
    Volume {
        name: section.string("name").unwrap_or_default(),
        driver,
        driver_opts: section.labels("driver_opts"),
        external: section.flag("external"),
        labels: section.labels("labels"),
    }
}

pub(super) fn file_object(model: &Model, kind: &str, key: &str, node: &Node) -> Option<FileObject> {
    let section = Section::new(node, format!("{kind}.{key}"));
    let environment = || {
        let variable = section.string("environment")?;
        let value = model.variables.get(&variable).map(str::to_owned);
        Some(FileSource::Environment { variable, value })
    };
    let source = section
        .string("file")
        .map(|path| FileSource::File(PathBuf::from(path)))
        .or_else(environment)
        .or_else(|| section.string("content").map(FileSource::Content))
        .or_else(|| section.get("external").map(|_| FileSource::External))?;
    Some(FileObject { name: section.string("name").unwrap_or_default(), source, labels: section.labels("labels") })
}
