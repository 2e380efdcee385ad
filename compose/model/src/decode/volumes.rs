//! Mounts, short and long.

use std::path::{Path, PathBuf};

use super::Context;
use super::reader::Section;
use crate::load::clean;
use crate::node::{Kind, Node};
use crate::project::{Mount, MountKind, Propagation};

/// Reads one entry of `volumes`.
pub(super) fn decode(context: &Context<'_>, section: &mut Section<'_, '_>, node: &Node) -> Option<Mount> {
    match &node.kind {
        Kind::Scalar { text, .. } => short(context, section, node, text),
        Kind::Mapping(_) => long(context, section, node),
        Kind::Sequence(_) => {
            let text = format!("{}.volumes: an entry is `SOURCE:TARGET` or a mapping, not a list", section.path);
            section.fault(node, text);
            None
        }
    }
}

/// An absolute path without `.` and `..`.
fn target(section: &mut Section<'_, '_>, node: &Node, text: &str) -> Option<String> {
    if text.starts_with('/') {
        return Some(clean(Path::new(text)).to_string_lossy().into_owned());
    }
    let text = format!("{}.volumes: mount target `{}` must be an absolute path", section.path, text.escape_default());
    section.fault(node, text);
    None
}

fn host_path(context: &Context<'_>, text: &str) -> PathBuf {
    if let Some(rest) = text.strip_prefix('~') {
        let home = context.variables.get("HOME").map_or("/", String::as_str);
        return clean(&Path::new(home).join(rest.trim_start_matches('/')));
    }
    clean(&context.directory.join(text))
}

fn short(context: &Context<'_>, section: &mut Section<'_, '_>, node: &Node, text: &str) -> Option<Mount> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, at, options) = match parts.as_slice() {
        [at] => (None, *at, ""),
        [source, at] if at.starts_with('/') => (Some(*source), *at, ""),
        [at, options] if at.starts_with('/') => (None, *at, *options),
        [source, at] => (Some(*source), *at, ""),
        [source, at, options] => (Some(*source), *at, *options),
        _ => {
            let text = format!("{}.volumes: invalid volume `{}`: too many colons", section.path, text.escape_default());
            section.fault(node, text);
            return None;
        }
    };
    let options: Vec<&str> = options.split(',').collect();
    let has = |name: &str| options.contains(&name);
    let kind = match source {
        None => MountKind::Anonymous { nocopy: has("nocopy") },
        Some(path) if path.starts_with(['.', '/', '~']) => MountKind::Bind {
            source: host_path(context, path),
            create_host_path: true,
            propagation: options.iter().find_map(|option| propagation(option)).unwrap_or_default(),
            recursive: None,
            selinux: options.iter().find(|option| matches!(**option, "z" | "Z")).map(|option| (*option).to_owned()),
        },
        Some("") => {
            let text = format!("{}.volumes: `{}` has no source", section.path, text.escape_default());
            section.fault(node, text);
            return None;
        }
        Some(name) => MountKind::Volume { source: name.to_owned(), nocopy: has("nocopy"), subpath: None },
    };
    Some(Mount { target: target(section, node, at)?, read_only: has("ro"), kind })
}

fn propagation(text: &str) -> Option<Propagation> {
    Some(match text {
        "rprivate" => Propagation::Rprivate,
        "private" => Propagation::Private,
        "rshared" => Propagation::Rshared,
        "shared" => Propagation::Shared,
        "rslave" => Propagation::Rslave,
        "slave" => Propagation::Slave,
        _ => return None,
    })
}

fn long(context: &Context<'_>, section: &mut Section<'_, '_>, node: &Node) -> Option<Mount> {
    let path = format!("{}.volumes", section.path);
    let mut entry = Section::new(node, path.clone(), section.problems);
    entry.known(&["type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs", "image"]);
    let kind = entry.choice("type", &["bind", "volume", "tmpfs", "image"])?;
    let source = entry.string("source");
    let read_only = entry.flag("read_only");
    let at = entry.string("target").unwrap_or_default();
    let nothing = Node { kind: Kind::Mapping(Vec::new()), place: node.place.clone(), tag: None };
    let below = entry.get(&kind).unwrap_or(&nothing);
    let mut options = Section::new(below, format!("{path}.{kind}"), entry.problems);
    let kind = match kind.as_str() {
        "bind" => {
            options.known(&["propagation", "create_host_path", "recursive", "selinux"]);
            let asked = options.choice("propagation", &["rprivate", "private", "rshared", "shared", "rslave", "slave"]);
            MountKind::Bind {
                source: host_path(context, source.as_deref().unwrap_or_default()),
                create_host_path: options.boolean("create_host_path").unwrap_or(true),
                propagation: asked.as_deref().and_then(propagation).unwrap_or_default(),
                recursive: options.choice("recursive", &["enabled", "disabled", "writable", "readonly"]),
                selinux: options.choice("selinux", &["z", "Z"]),
            }
        }
        "volume" => {
            options.known(&["nocopy", "subpath", "labels"]);
            let nocopy = options.flag("nocopy");
            match source {
                Some(source) => MountKind::Volume { source, nocopy, subpath: options.string("subpath") },
                None => MountKind::Anonymous { nocopy },
            }
        }
        "tmpfs" => {
            options.known(&["size", "mode"]);
            MountKind::Tmpfs { size: options.size("size"), mode: options.integer("mode"), options: Vec::new() }
        }
        _ => {
            options.known(&["subpath"]);
            MountKind::Image { source: source.unwrap_or_default(), subpath: options.string("subpath") }
        }
    };
    Some(Mount { target: target(section, node, &at)?, read_only, kind })
}
