//! Mounts and files.

use crate::Diagnostic;
use crate::decode::mounts;
use crate::decode::reader::Section;
use crate::project::{FileReference, Service};

pub(super) fn decode(section: &Section<'_>, service: &mut Service, problems: &mut Vec<Diagnostic>) {
    for node in section.items("volumes") {
        service.mounts.extend(mounts::decode(&section.path, node, problems));
    }
    service.mounts.extend(section.strings("tmpfs").iter().map(|text| mounts::tmpfs(text)));
    service.volumes_from = section.strings("volumes_from");
    service.configs = references(section, "configs", "/");
    service.secrets = references(section, "secrets", "/run/secrets/");
}

fn references(section: &Section<'_>, attribute: &str, folder: &str) -> Vec<FileReference> {
    let reference = |node| {
        let entry = Section::new(node, attribute);
        let source = entry.string("source")?;
        let target = entry.string("target").unwrap_or_else(|| source.clone());
        Some(FileReference {
            target: if target.starts_with('/') { target } else { format!("{folder}{target}") },
            uid: entry.string("uid"),
            gid: entry.string("gid"),
            mode: entry.string("mode").and_then(|bits| u32::from_str_radix(&bits, 8).ok()),
            source,
        })
    };
    section.items(attribute).iter().filter_map(reference).collect()
}
