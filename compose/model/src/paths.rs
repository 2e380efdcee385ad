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

/// Joins every path of a canonical tree to its folder.
pub(crate) fn resolve(tree: &mut Node, base: &Base<'_>) {
    each(tree.get_mut("services"), |service| service_paths(service, base));
    each(tree.get_mut("volumes"), |volume| volume_device(volume, base));
    for section in ["configs", "secrets"] {
        each(tree.get_mut(section), |object| at(object, "file", |path| base.host_path(path)));
    }
}

fn service_paths(service: &mut Node, base: &Base<'_>) {
    at(service, "image", |image| match image.strip_prefix("rootfs:") {
        Some(folder) => format!("rootfs:{}", base.path(folder)),
        None => image.to_owned(),
    });
    if let Some(build) = service.get_mut("build") {
        at(build, "context", |path| base.context(path));
        each(build.get_mut("additional_contexts"), |context| scalar(context, |path| base.context(path)));
        each(build.get_mut("ssh"), |key| scalar(key, |path| base.host_path(path)));
    }
    items(service.get_mut("env_file"), |file| at(file, "path", |path| base.path(path)));
    items(service.get_mut("label_file"), |file| scalar(file, |path| base.path(path)));
    if let Some(extends) = service.get_mut("extends") {
        at(extends, "file", |path| if is_remote(path) { path.to_owned() } else { base.path(path) });
    }
    if let Some(develop) = service.get_mut("develop") {
        items(develop.get_mut("watch"), |rule| at(rule, "path", |path| base.watched(path)));
    }
    items(service.get_mut("volumes"), |volume| {
        if volume.get("type").and_then(Node::text) == Some("bind") {
            at(volume, "source", |path| base.host_path(path));
        }
    });
}

/// `driver_opts` of a volume that is a path of the host.
fn volume_device(volume: &mut Node, base: &Base<'_>) {
    if volume.get("driver").and_then(Node::text) != Some("local") {
        return;
    }
    let Some(options) = volume.get_mut("driver_opts") else { return };
    if options.get("o").and_then(Node::text) == Some("bind") {
        at(options, "device", |path| base.host_path(path));
    }
}

fn each(node: Option<&mut Node>, mut change: impl FnMut(&mut Node)) {
    if let Some(entries) = node.and_then(Node::mapping_mut) {
        entries.values_mut().for_each(&mut change);
    }
}

fn items(node: Option<&mut Node>, mut change: impl FnMut(&mut Node)) {
    if let Some(items) = node.and_then(Node::items_mut) {
        items.iter_mut().for_each(&mut change);
    }
}

fn at(node: &mut Node, name: &str, change: impl Fn(&str) -> String) {
    if let Some(value) = node.get_mut(name) {
        scalar(value, change);
    }
}

fn scalar(node: &mut Node, change: impl Fn(&str) -> String) {
    if node.is_null() {
        return;
    }
    if let Kind::Scalar { text, plain } = &mut node.kind {
        *text = change(text);
        *plain = false;
    }
}

impl Base<'_> {
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
    let prefixes = ["https://", "http://", "git://", "ssh://", "git@", "oci://"];
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

/// The folder of a file.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}
