//! Mounts of a service.

use std::path::PathBuf;

use super::reader::Section;
use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::node::Node;
use crate::project::{Mount, MountKind, Propagation};

/// Reads one entry of `volumes`.
pub(super) fn decode(path: &str, node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Mount> {
    let entry = Section::new(node, format!("{path}.volumes"));
    let source = entry.string("source").filter(|source| !source.is_empty());
    let nothing = Node::null_at(&node.spot);
    let target = entry.string("target").unwrap_or_default();
    if !target.starts_with('/') {
        let fault = entry.fault("target", Code::InvalidValue, &format!("`{}` must be an absolute path", target.escape_debug()));
        problems.push(fault.on(&target).with_help("begin it with a slash"));
        return None;
    }
    let kind = entry.string("type").unwrap_or_default();
    let options = Section::new(entry.get(&kind).unwrap_or(&nothing), format!("{}.{kind}", entry.path));
    let kind = match kind.as_str() {
        "bind" => MountKind::Bind {
            source: PathBuf::from(source.unwrap_or_default()),
            create_host_path: options.boolean("create_host_path").unwrap_or(true),
            propagation: propagation(&options, problems),
            recursive: options.string("recursive"),
            selinux: options.string("selinux"),
        },
        "volume" => {
            let nocopy = options.flag("nocopy");
            match source {
                Some(source) => MountKind::Volume { source, nocopy, subpath: options.string("subpath") },
                None => MountKind::Anonymous { nocopy },
            }
        }
        "tmpfs" => MountKind::Tmpfs { size: options.size("size"), mode: options.integer("mode"), options: Vec::new() },
        "image" => MountKind::Image { source: source.unwrap_or_default(), subpath: options.string("subpath") },
        other => {
            let fault = entry.fault("type", Code::Unsupported, &format!("`{other}` mounts are not for Linux hosts"));
            problems.push(fault.on(other).with_help("use bind, volume, tmpfs or image"));
            return None;
        }
    };
    Some(Mount { target, read_only: entry.flag("read_only"), kind })
}

/// Reads one entry of `tmpfs`.
pub(super) fn tmpfs(text: &str) -> Mount {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
    Mount { target: target.to_owned(), read_only: false, kind: MountKind::Tmpfs { size: None, mode: None, options } }
}

fn propagation(options: &Section<'_>, problems: &mut Vec<Diagnostic>) -> Propagation {
    match options.string("propagation").as_deref() {
        None | Some("" | "rprivate") => Propagation::Rprivate,
        Some("private") => Propagation::Private,
        Some("rshared") => Propagation::Rshared,
        Some("shared") => Propagation::Shared,
        Some("rslave") => Propagation::Rslave,
        Some("slave") => Propagation::Slave,
        Some(other) => {
            let fault =
                options.fault("propagation", Code::InvalidValue, &format!("`{}` is no propagation", other.escape_debug()));
            let known = ["rprivate", "private", "rshared", "shared", "rslave", "slave"];
            problems.push(fault.on(other).with_nearest(other, known));
            Propagation::Rprivate
        }
    }
}
