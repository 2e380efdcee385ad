//! Mounts and files.

use crate::decode::reader::Section;
use crate::decode::{Context, volumes};
use crate::project::{FileReference, Mount, MountKind, Service};

pub(super) fn decode(context: &Context<'_>, section: &mut Section<'_, '_>, service: &mut Service) {
    for node in section.items("volumes") {
        service.mounts.extend(volumes::decode(context, section, node));
    }
    for text in section.strings("tmpfs") {
        let (target, options) = text.split_once(':').unwrap_or((&text, ""));
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        let kind = MountKind::Tmpfs { size: None, mode: None, options };
        service.mounts.push(Mount { target: target.to_owned(), read_only: false, kind });
    }
    let mut seen = std::collections::BTreeSet::new();
    if let Some(mount) = service.mounts.iter().find(|mount| !seen.insert(mount.target.clone())) {
        let text = format!("{}.volumes: two mounts have the target `{}`", section.path, mount.target);
        let node = section.node.get("volumes").unwrap_or(section.node);
        section.fault(node, text);
    }
    service.volumes_from = section.strings("volumes_from");
    service.configs = references(section, "configs", "/");
    service.secrets = references(section, "secrets", "/run/secrets/");
}

fn references(section: &mut Section<'_, '_>, attribute: &str, folder: &str) -> Vec<FileReference> {
    let mut references = Vec::new();
    for node in section.items(attribute) {
        let absolute = |target: &str| if target.starts_with('/') { target.to_owned() } else { format!("{folder}{target}") };
        if let Some(source) = node.text() {
            references.push(FileReference {
                source: source.to_owned(),
                target: absolute(source),
                uid: None,
                gid: None,
                mode: None,
            });
            continue;
        }
        let mut entry = Section::new(node, format!("{}.{attribute}", section.path), section.problems);
        entry.known(&["source", "target", "uid", "gid", "mode"]);
        let Some(source) = entry.string("source") else { continue };
        let target = entry.string("target").unwrap_or_else(|| source.clone());
        references.push(FileReference {
            target: absolute(&target),
            uid: entry.string("uid"),
            gid: entry.string("gid"),
            mode: entry.integer("mode"),
            source,
        });
    }
    references
}
