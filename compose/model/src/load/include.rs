//! `include`: whole models of other folders, copied in.

use std::path::{Path, PathBuf};

use super::document::{Loader, brought};
use super::files::{self, clean, relative};
use super::{Stop, variables as env};
use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::merge::{self, settle_tags};
use crate::node::{Kind, Node, Road, Spot};
use crate::normalize;
use crate::paths::{self, Base, folder_of};
use crate::schema::TOP;
use crate::trail::Trail;
use crate::variables::Variables;

/// How deep files include each other.
const MAX_DEPTH: usize = 50;

/// One entry of `include`.
struct Entry {
    paths: Vec<Node>,
    project_directory: Option<String>,
    env_files: Vec<Node>,
    spot: Spot,
}

impl Loader<'_> {
    /// Copies what a document includes into it; what the document says itself is laid on top.
    pub(super) fn include(
        &mut self,
        tree: &mut Node,
        folder: &Path,
        variables: &Variables,
        including: &[PathBuf],
    ) -> Result<(), Stop> {
        let Some(node) = tree.get("include") else { return Ok(()) };
        if node.items().is_none() && !node.is_null() {
            let text = format!("`include` must be a list, not {}", node.describe());
            let problem = Diagnostic::error(Code::WrongType, text).at(&node.spot);
            self.problems.push(problem.with_help("write `include:` and below it `- path`"));
        }
        let entries: Vec<Entry> =
            node.items().unwrap_or_default().iter().filter_map(|node| read_entry(node, self.problems)).collect();
        tree.remove("include");
        let own = tree.spot.file.to_path_buf();
        let including: Vec<PathBuf> = including.iter().cloned().chain([own]).collect();
        for entry in entries {
            let Some(mut model) = self.included(&entry, folder, variables, &including)? else { continue };
            settle_tags(&mut model);
            let model = brought(model, Road::Include, &entry.spot);
            import(model, tree, self.problems);
        }
        Ok(())
    }

    fn included(
        &mut self,
        entry: &Entry,
        folder: &Path,
        variables: &Variables,
        including: &[PathBuf],
    ) -> Result<Option<Node>, Stop> {
        let mut sources: Vec<(PathBuf, &Node)> = Vec::new();
        for node in &entry.paths {
            let text = node.text().unwrap_or_default();
            let given = if paths::is_remote(text) { PathBuf::from(text) } else { folder.join(text) };
            sources.push((clean(&files::fetched(given, self.files)?.path), node));
        }
        let Some((main, _)) = sources.first() else { return Ok(None) };
        if let Some(problem) = circle(main, entry, including) {
            self.problems.push(problem);
            return Ok(None);
        }
        let directory = match &entry.project_directory {
            Some(given) => clean(&folder.join(given)),
            None => folder_of(main),
        };
        let mut inner = variables.clone();
        env::add(&mut inner, &self.env_files(entry, folder, &directory)?, self.files)?;
        let mut merged = None;
        for (path, node) in &sources {
            for document in self.documents(path, Some(&node.spot))? {
                merged = self.document(merged, document, &directory, &inner, including)?;
            }
        }
        let Some(mut model) = merged else { return Ok(None) };
        normalize::defaults(&mut model);
        let way = relative(folder, &directory).display().to_string();
        let home = variables.get("HOME").map(str::to_owned);
        paths::resolve(&mut model, &Base { folder: &way, home: home.as_deref(), files: self.files });
        normalize::resolve_environment(&mut model, &inner);
        Ok(Some(model))
    }

    fn env_files(&self, entry: &Entry, folder: &Path, directory: &Path) -> Result<Vec<PathBuf>, Stop> {
        if entry.env_files.is_empty() {
            let usual = directory.join(".env");
            return Ok(if self.files.exists(&usual) { vec![usual] } else { Vec::new() });
        }
        let mut paths = Vec::new();
        for node in &entry.env_files {
            let text = node.text().unwrap_or_default();
            if text == "/dev/null" {
                continue;
            }
            let path = clean(&folder.join(text));
            if !self.files.exists(&path) {
                let problem = Diagnostic::error(Code::File, format!("couldn't find env file: {}", path.display()));
                return Err(Box::new(problem.at(&node.spot).on(text).with_help("make the file, or remove the line")));
            }
            paths.push(path);
        }
        Ok(paths)
    }
}

fn circle(main: &Path, entry: &Entry, including: &[PathBuf]) -> Option<Diagnostic> {
    if including.len() > MAX_DEPTH {
        let text = format!("files include each other more than {MAX_DEPTH} deep");
        return Some(Diagnostic::error(Code::Limit, text).at(&entry.spot));
    }
    let begin = including.iter().position(|file| file == main)?;
    let names: Vec<String> = including[begin..].iter().map(|file| file.display().to_string()).collect();
    let text = format!("include cycle detected: {} -> {}", names.join(" -> "), main.display());
    let problem = Diagnostic::error(Code::Cycle, text).at(&entry.spot);
    Some(problem.with_help("a file cannot be a part of itself: remove one of these `include`"))
}

fn read_entry(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Entry> {
    let list = |node: Option<&Node>| match node.map(|node| (&node.kind, node)) {
        Some((Kind::Scalar { .. }, node)) if !node.is_null() => vec![node.clone()],
        Some((Kind::Sequence(items), _)) => items.iter().filter(|item| item.text().is_some()).cloned().collect(),
        _ => Vec::new(),
    };
    let entry = if node.text().is_some() {
        Entry { paths: vec![node.clone()], project_directory: None, env_files: Vec::new(), spot: node.spot.clone() }
    } else {
        let before = problems.len();
        let shape = TOP.below("include").and_then(|shape| shape.list)?;
        crate::check::shapes(node, shape, &Trail::TOP.key("include"), problems);
        if problems.len() > before {
            return None;
        }
        Entry {
            paths: list(node.get("path")),
            project_directory: node.get("project_directory").and_then(Node::text).filter(|it| !it.is_empty()).map(str::to_owned),
            env_files: list(node.get("env_file")),
            spot: node.spot.clone(),
        }
    };
    Some(entry)
}

/// Puts the resources of a model below those of a document.
fn import(mut model: Node, tree: &mut Node, problems: &mut Vec<Diagnostic>) {
    for section in ["services", "volumes", "networks", "secrets", "configs", "models"] {
        let Some(base) = model.remove(section).filter(|node| node.mapping().is_some()) else { continue };
        let merged = match tree.remove(section).filter(|node| !node.is_null()) {
            Some(own) => merge::merge(base, own, TOP.below(section), &Trail::TOP.key(section), problems),
            None => base,
        };
        tree.set(section, merged);
    }
}
