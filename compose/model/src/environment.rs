//! Files of variables and labels, read into the services that name them. What a service says itself wins.

use std::collections::HashMap;
use std::path::Path;

use crate::diagnostic::Code;
use crate::envfile::{self, Line};
use crate::load::{Files, MAX_ENV_BYTES};
use crate::node::{Key, Mapping, Node, Spot};
use crate::schema::TOP;
use crate::variables::{Lookup, Variables};
use crate::{Diagnostic, settle};

/// The project's variables before a service's own.
struct ServiceVariables<'a> {
    project: &'a Variables,
    own: Option<&'a Mapping>,
}

impl Lookup for ServiceVariables<'_> {
    fn find(&self, name: &str) -> Option<&str> {
        let own = || self.own.and_then(|own| own.get(name)).and_then(own_text);
        self.project.get(name).or_else(own)
    }
}

/// What earlier files say.
struct Earlier<'a>(&'a HashMap<String, String>);

impl Lookup for Earlier<'_> {
    fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn own_text(node: &Node) -> Option<&str> {
    match &node.kind {
        crate::node::Kind::Scalar { text, .. } if !node.is_null() => Some(text),
        _ => None,
    }
}

/// Reads `env_file` of every service into its `environment`, and gives names without value what the project says.
pub(crate) fn resolve(tree: &mut Node, variables: &Variables, files: &dyn Files, problems: &mut Vec<Diagnostic>) {
    let services = tree.get_mut("services").and_then(Node::mapping_mut).into_iter().flat_map(|entries| entries.values_mut());
    for service in services {
        if let Some(own) = service.get_mut("environment").and_then(Node::mapping_mut) {
            for (key, value) in own.iter_mut().filter(|(_, value)| value.is_null()) {
                if let Some(found) = variables.get(&key.name) {
                    *value = Node::text_at(found, &key.spot);
                }
            }
        }
        let named = service.get("env_file").cloned();
        let mut lines: Vec<(Line, Spot)> = Vec::new();
        let mut earlier = HashMap::new();
        for item in named.as_ref().and_then(Node::items).unwrap_or_default() {
            let own = service.get("environment").and_then(Node::mapping);
            match read(item, &ServiceVariables { project: variables, own }, &Earlier(&earlier), files) {
                Ok(more) => {
                    earlier.extend(more.iter().map(|(line, _)| (line.name.clone(), line.value.clone())));
                    lines.extend(more);
                }
                Err(problem) => problems.push(*problem),
            }
        }
        fill(service, "environment", lines);
    }
}

/// Tells which files of variables are not there, and reads none.
pub(crate) fn check_files(tree: &Node, files: &dyn Files, problems: &mut Vec<Diagnostic>) {
    let services = tree.get("services").and_then(Node::mapping).into_iter().flat_map(|entries| entries.values());
    for item in services.flat_map(|service| service.get("env_file").and_then(Node::items).unwrap_or_default()) {
        let node = item.get("path").unwrap_or(item);
        let path = node.text().unwrap_or_default();
        let required = item.get("required").and_then(Node::text) != Some("false");
        if required && !files.exists(Path::new(path)) {
            problems.push(missing(node, path, "env file"));
        }
    }
}

/// Reads `label_file` of every service into its `labels`.
pub(crate) fn resolve_labels(tree: &mut Node, files: &dyn Files, problems: &mut Vec<Diagnostic>) {
    let services = tree.get_mut("services").and_then(Node::mapping_mut).into_iter().flat_map(|entries| entries.values_mut());
    for service in services {
        let Some(named) = service.get("label_file").cloned() else { continue };
        let mut lines: Vec<(Line, Spot)> = Vec::new();
        let mut earlier = HashMap::new();
        for item in named.items().unwrap_or_default() {
            match read_file(
                item,
                Named { path: item.text().unwrap_or_default(), format: None, what: "label file" },
                &Earlier(&earlier),
                &Earlier(&earlier),
                files,
            ) {
                Ok(Some(more)) => {
                    earlier.extend(more.iter().map(|(line, _)| (line.name.clone(), line.value.clone())));
                    lines.extend(more);
                }
                Ok(None) => problems.push(missing(item, item.text().unwrap_or_default(), "label file")),
                Err(problem) => problems.push(*problem),
            }
        }
        fill(service, "labels", lines);
    }
}

/// Takes the names of the files away: what they say is in the services now.
pub(crate) fn discard_files(tree: &mut Node) {
    let services = tree.get_mut("services").and_then(Node::mapping_mut).into_iter().flat_map(|entries| entries.values_mut());
    for service in services {
        service.remove("env_file");
        service.remove("label_file");
    }
}

/// Adds what a service does not say itself; a later line wins over an earlier one.
fn fill(service: &mut Node, attribute: &str, lines: Vec<(Line, Spot)>) {
    if lines.is_empty() {
        return;
    }
    let spot = service.spot.clone();
    let mut entries = service.get_mut(attribute).and_then(Node::mapping_mut).map(std::mem::take).unwrap_or_default();
    let own: std::collections::HashSet<String> = entries.keys().map(|key| key.name.clone()).collect();
    for (line, spot) in lines {
        if !own.contains(&line.name) {
            let value = Node::text_at(line.value, &spot);
            entries.insert(Key { name: line.name, spot }, value);
        }
    }
    entries.sort_by(|one, _, other, _| one.name.cmp(&other.name));
    let is_new = service.get(attribute).is_none();
    service.set(attribute, Node::mapping_at(entries, &spot));
    if let Some(shape) = TOP.below("services").and_then(|services| services.below("")).filter(|_| is_new) {
        settle::sort_fields(service, shape);
    }
}

type Lines = Vec<(Line, Spot)>;

/// A file that a service names.
#[derive(Clone, Copy)]
struct Named<'a> {
    path: &'a str,
    format: Option<&'a Node>,
    what: &'static str,
}

fn read(item: &Node, variables: &dyn Lookup, before: &dyn Lookup, files: &dyn Files) -> Result<Lines, Box<Diagnostic>> {
    let node = item.get("path").unwrap_or(item);
    let path = node.text().unwrap_or_default();
    let format = item.get("format");
    let required = item.get("required").and_then(Node::text) != Some("false");
    match read_file(node, Named { path, format, what: "env file" }, variables, before, files)? {
        Some(lines) => Ok(lines),
        None if required => Err(Box::new(missing(node, path, "env file"))),
        None => Ok(Vec::new()),
    }
}

fn missing(node: &Node, path: &str, what: &str) -> Diagnostic {
    let problem = Diagnostic::error(Code::File, format!("{what} {path} not found"));
    let help = match what {
        "env file" => "make the file, or say that it may be missing: `- path: FILE` with `required: false`",
        _ => "make the file, or remove the line",
    };
    problem.at(&node.spot).with_help(help)
}

fn read_file(
    node: &Node,
    Named { path, format, what }: Named<'_>,
    variables: &dyn Lookup,
    before: &dyn Lookup,
    files: &dyn Files,
) -> Result<Option<Lines>, Box<Diagnostic>> {
    let text = match files.read(Path::new(path), MAX_ENV_BYTES) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(why) => {
            let problem = Diagnostic::error(Code::File, format!("{what} {path} cannot be read: {why}"));
            return Err(Box::new(problem.at(&node.spot)));
        }
    };
    let lines = match format.and_then(Node::text) {
        None | Some("") => envfile::parse(&text, Path::new(path), variables, before).map_err(Box::new)?,
        Some("raw") => envfile::parse_raw(&text, Path::new(path), variables).map_err(Box::new)?,
        Some(other) => {
            let message = format!("unsupported env_file format \"{}\"", other.escape_debug());
            let spot = format.map_or(&node.spot, |format| &format.spot);
            let problem = Diagnostic::error(Code::InvalidValue, message).at(spot).on(other);
            return Err(Box::new(problem.with_help("write `raw`, or leave `format` out")));
        }
    };
    let file: std::sync::Arc<Path> = std::sync::Arc::from(Path::new(path));
    let spot = |line: &Line| Spot { file: file.clone(), line: line.number, column: 1, via: None };
    Ok(Some(
        lines
            .into_iter()
            .map(|line| {
                let spot = spot(&line);
                (line, spot)
            })
            .collect(),
    ))
}
