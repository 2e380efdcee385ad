//! What was fetched names nothing outside of its own tree, unless the user allows it.
//!
//! Every value knows the file that it was written in, so the tree that it may not leave is known wherever it ends up: through
//! merging, `extends` and `include`. What the user's own files say of a fetched stack is not confined.

use std::path::{Path, PathBuf};

use super::files::clean;
use super::{Files, Stop};
use crate::diagnostic::Code;
use crate::node::{Node, Spot};
use crate::paths::{self, Sort};
use crate::problems::Problems;
use crate::{Diagnostic, paths::is_remote};

/// The trees that were fetched.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    /// What each was fetched by, and its folder.
    fetched: Vec<(String, PathBuf)>,
    /// Paths that they may name all the same.
    allowed: Vec<PathBuf>,
}

/// A path that leaves its tree.
pub(super) struct Leaving {
    /// What the tree was fetched by.
    reference: String,
    /// Where the path leads.
    to: PathBuf,
}

impl Trees {
    pub(super) fn new(allowed: &[PathBuf], working_dir: &Path, files: &dyn Files) -> Self {
        let allowed = allowed.iter().map(|path| files.lead(&clean(&working_dir.join(path)))).collect();
        Self { fetched: Vec::new(), allowed }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fetched.is_empty()
    }

    pub(super) fn add(&mut self, reference: String, root: PathBuf) {
        if !self.fetched.iter().any(|(_, known)| *known == root) {
            self.fetched.push((reference, root));
        }
    }

    /// Where `path` leads, if a file of a tree names it, and it is neither in that tree nor allowed.
    pub(super) fn leaves(&self, file: &Path, path: &Path, files: &dyn Files) -> Option<Leaving> {
        let (reference, root) = self.fetched.iter().find(|(_, root)| file.starts_with(root))?;
        // By the text too: what is not there yet must not become something else later.
        let (text, real) = (clean(path), files.lead(path));
        let inside = text.starts_with(root) && real.starts_with(files.lead(root));
        let allowed = self.allowed.iter().any(|allowed| real.starts_with(allowed));
        (!inside && !allowed).then(|| Leaving { reference: reference.clone(), to: real })
    }

    /// Stops at a path that a file must not name.
    pub(super) fn check(&self, path: &Path, spot: &Spot, files: &dyn Files) -> Result<(), Stop> {
        self.check_of(&spot.file, path, spot, files)
    }

    /// As [`Trees::check`], of what is a part of another file than that which names it.
    pub(super) fn check_of(&self, file: &Path, path: &Path, spot: &Spot, files: &dyn Files) -> Result<(), Stop> {
        match self.leaves(file, path, files) {
            Some(leaving) => Err(Box::new(leaving.told(path, spot))),
            None => Ok(()),
        }
    }

    /// Tells every path of a tree that leaves what it was fetched with. The paths are absolute, those of `directory`.
    pub(super) fn confine(&self, tree: &mut Node, directory: &Path, files: &dyn Files, problems: &mut Problems) {
        if self.is_empty() {
            return;
        }
        let mut check = |text: &str, spot: &Spot| {
            let path = directory.join(text);
            if let Some(leaving) = self.leaves(&spot.file, &path, files) {
                problems.push(leaving.told(&path, spot));
            }
        };
        paths::each_path(tree, &mut |node, sort| {
            let text = node.text().unwrap_or_default();
            match (sort, text.strip_prefix("rootfs:")) {
                // The host's programs: no path, but a name for what every stack may use.
                (Sort::Image, None | Some("/" | "")) => {}
                (Sort::Image, Some(folder)) => check(folder, &node.spot),
                (Sort::Context, _) if !text.starts_with('/') => {}
                _ => check(text, &node.spot),
            }
        });
        each_other_path(tree, &mut check);
    }
}

/// Paths that are not joined to the folder where the others are, or that hide in other texts.
fn each_other_path(tree: &Node, check: &mut dyn FnMut(&str, &Spot)) {
    let section = |name: &str| tree.get(name).and_then(Node::mapping).into_iter().flat_map(|entries| entries.values());
    for service in section("services") {
        if let Some(build) = service.get("build") {
            of_build(build, check);
        }
        for option in items(service, "security_opt") {
            let text = option.text().unwrap_or_default();
            let profile = text.strip_prefix("seccomp").and_then(|rest| rest.strip_prefix([':', '=']));
            if let Some(path) = profile.filter(|path| !["unconfined", "builtin"].contains(path)) {
                check(path, &option.spot);
            }
        }
        let images = items(service, "pre_start").filter_map(|hook| hook.get("image"));
        let sources = items(service, "volumes").filter(|it| it.get("type").and_then(Node::text) == Some("image"));
        for image in images.chain(sources.filter_map(|volume| volume.get("source"))) {
            let folder = image.text().and_then(|text| text.strip_prefix("rootfs:"));
            if let Some(folder) = folder.filter(|folder| *folder != "/") {
                check(folder, &image.spot);
            }
        }
    }
    for device in section("volumes").filter_map(|volume| volume.get("driver_opts")?.get("device")) {
        // Whatever the other options make of it: a device, a folder, a link to either.
        let text = device.text().unwrap_or_default();
        if text.starts_with(['/', '.', '~']) {
            check(text, &device.spot);
        }
    }
}

fn of_build(build: &Node, check: &mut dyn FnMut(&str, &Spot)) {
    let context = build.get("context").and_then(Node::text).unwrap_or_default();
    if let Some(dockerfile) = build.get("dockerfile").filter(|_| context.starts_with('/')) {
        check(&format!("{context}/{}", dockerfile.text().unwrap_or_default()), &dockerfile.spot);
        if let Some(absolute) = dockerfile.text().filter(|text| text.starts_with('/')) {
            check(absolute, &dockerfile.spot);
        }
    }
    for cache in items(build, "cache_from").chain(items(build, "cache_to")) {
        let parts = cache.text().unwrap_or_default().split(',');
        for path in parts.filter_map(|part| part.split_once('=')).filter(|(key, _)| ["src", "dest"].contains(key)) {
            check(path.1, &cache.spot);
        }
    }
}

fn items<'a>(node: &'a Node, name: &str) -> impl Iterator<Item = &'a Node> {
    node.get(name).and_then(Node::items).into_iter().flatten()
}

impl Leaving {
    fn told(self, path: &Path, spot: &Spot) -> Diagnostic {
        let Self { reference, to } = self;
        let way = if to == clean(path) { String::new() } else { format!(", which leads to {},", to.display()) };
        let text = format!("{}{way} is outside of {reference}", path.display());
        let help = format!("what is fetched names files of its own tree; `--allow-path {}` makes an exception", to.display());
        Diagnostic::error(Code::Outside, text).at(spot).with_help(help)
    }
}

/// Joins what a file says to its folder, unless it is a reference.
pub(super) fn joined(folder: &Path, text: &str) -> PathBuf {
    if is_remote(text) { PathBuf::from(text) } else { folder.join(text) }
}
