//! Relative paths of a tree, joined to the folder that they are relative to.

use std::path::{Path, PathBuf};

use crate::canonical::clean;
use crate::load::Files;
use crate::node::{Kind, Node};

/// Where relative paths lead to.
pub(crate) struct Base<'a> {
    /// The folder.
    pub(crate) folder: &'a str,
    /// What `~` stands for.
    pub(crate) home: Option<&'a str>,
    /// Follows the links of watched paths.
    pub(crate) files: &'a dyn Files,
}

/// What a value that names a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// An image; `rootfs:DIR` names a folder.
    Image,
    /// A path of this machine.
    Path,
    /// As before; what looks absolute on Windows is left alone, and an empty one is the folder.
    HostPath,
    /// A build context: a folder, unless it is a URL or names something else.
    Context,
    /// A path whose events are waited for.
    Watched,
}

/// Joins every path of a canonical tree to its folder.
pub(crate) fn resolve(tree: &mut Node, base: &Base<'_>) {
    each_path(tree, &mut |node, sort| {
        if let Kind::Scalar { text, plain } = &mut node.kind {
            *text = base.resolved(text, sort);
            *plain = false;
        }
    });
}

/// Visits every value of a canonical tree that names a path.
pub(crate) fn each_path(tree: &mut Node, visit: &mut dyn FnMut(&mut Node, Sort)) {
    each(tree.get_mut("services"), |service| service_paths(service, visit));
    each(tree.get_mut("volumes"), |volume| volume_device(volume, visit));
    for section in ["configs", "secrets"] {
        each(tree.get_mut(section), |object| at(object, "file", Sort::HostPath, visit));
    }
}

fn service_paths(service: &mut Node, visit: &mut dyn FnMut(&mut Node, Sort)) {
    at(service, "image", Sort::Image, visit);
    if let Some(build) = service.get_mut("build") {
        at(build, "context", Sort::Context, visit);
        each(build.get_mut("additional_contexts"), |context| scalar(context, Sort::Context, visit));
        each(build.get_mut("ssh"), |key| scalar(key, Sort::HostPath, visit));
    }
    items(service.get_mut("env_file"), |file| at(file, "path", Sort::Path, visit));
    items(service.get_mut("label_file"), |file| scalar(file, Sort::Path, visit));
    if let Some(extends) = service.get_mut("extends")
        && !extends.get("file").and_then(Node::text).is_some_and(is_remote)
    {
        at(extends, "file", Sort::Path, visit);
    }
    if let Some(develop) = service.get_mut("develop") {
        items(develop.get_mut("watch"), |rule| at(rule, "path", Sort::Watched, visit));
    }
    items(service.get_mut("volumes"), |volume| {
        if volume.get("type").and_then(Node::text) == Some("bind") {
            at(volume, "source", Sort::HostPath, visit);
        }
    });
}

/// `driver_opts` of a volume that is a path of the host.
fn volume_device(volume: &mut Node, visit: &mut dyn FnMut(&mut Node, Sort)) {
    if volume.get("driver").and_then(Node::text) != Some("local") {
        return;
    }
    let Some(options) = volume.get_mut("driver_opts") else { return };
    if options.get("o").and_then(Node::text) == Some("bind") {
        at(options, "device", Sort::HostPath, visit);
    }
}

fn each(node: Option<&mut Node>, change: impl FnMut(&mut Node)) {
    if let Some(entries) = node.and_then(Node::mapping_mut) {
        entries.values_mut().for_each(change);
    }
}

fn items(node: Option<&mut Node>, change: impl FnMut(&mut Node)) {
    if let Some(items) = node.and_then(Node::items_mut) {
        items.iter_mut().for_each(change);
    }
}

fn at(node: &mut Node, name: &str, sort: Sort, visit: &mut dyn FnMut(&mut Node, Sort)) {
    if let Some(value) = node.get_mut(name) {
        scalar(value, sort, visit);
    }
}

fn scalar(node: &mut Node, sort: Sort, visit: &mut dyn FnMut(&mut Node, Sort)) {
    if !node.is_null() && matches!(node.kind, Kind::Scalar { .. }) {
        visit(node, sort);
    }
}

impl Base<'_> {
    fn resolved(&self, path: &str, sort: Sort) -> String {
        match sort {
            Sort::Image => match path.strip_prefix("rootfs:") {
                Some(folder) => format!("rootfs:{}", self.path(folder)),
                None => path.to_owned(),
            },
            Sort::Path => self.path(path),
            Sort::HostPath => self.host_path(path),
            Sort::Context => self.context(path),
            Sort::Watched => self.watched(path),
        }
    }

    /// A path of the host; an empty one stays empty.
    pub(crate) fn path(&self, path: &str) -> String {
        if path.is_empty() { String::new() } else { self.join(&self.expand_home(path)) }
    }

    /// As `path`; what looks absolute on Windows is left alone, and an empty one is the folder.
    fn host_path(&self, path: &str) -> String {
        let path = self.expand_home(path);
        if is_windows_absolute(&path) { path } else { self.join(&path) }
    }

    /// A build context: a folder, unless it is a URL or names something else.
    fn context(&self, path: &str) -> String {
        if path.contains("://") || path.starts_with("service:") || is_remote_context(path) {
            return path.to_owned();
        }
        self.path(path)
    }

    /// A path with its links followed, as the events of the kernel name it.
    fn watched(&self, path: &str) -> String {
        let path = self.path(path);
        match self.files.follow(Path::new(&path)) {
            Some(real) => real.display().to_string(),
            None => path,
        }
    }

    fn expand_home(&self, path: &str) -> String {
        match (path.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) => clean(&format!("{home}/{rest}")),
            _ => path.to_owned(),
        }
    }

    fn join(&self, path: &str) -> String {
        if path.starts_with('/') {
            // As written, also with `..`: what it leads to is a question to the file system.
            return path.to_owned();
        }
        clean(&format!("{}/{path}", self.folder))
    }
}

/// A Git repository or an OCI artifact, not a file.
pub(crate) fn is_remote(path: &str) -> bool {
    let prefixes = ["https://", "http://", "git://", "ssh://", "file://", "git@", "github.com/", "oci://"];
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

fn is_remote_context(path: &str) -> bool {
    ["https://", "http://", "git://", "ssh://", "github.com/", "git@"].iter().any(|prefix| path.starts_with(prefix))
}

fn is_windows_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    let separator = |byte: Option<&u8>| matches!(byte, Some(b'/' | b'\\'));
    let drive = bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && separator(bytes.get(2));
    drive || path.starts_with("\\\\") && bytes.len() > 2
}

/// A reference to something elsewhere as it may be shown: without the name and the password in it.
pub fn without_credentials(reference: &str) -> String {
    let Some((scheme, rest)) = reference.split_once("://") else { return reference.to_owned() };
    let end = rest.find(['/', '#', '?']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{}", &rest[end..]),
        None => reference.to_owned(),
    }
}

/// The folder of a file.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}
