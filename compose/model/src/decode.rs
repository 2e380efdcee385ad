//! The tree to the typed model: validation, defaults and long forms in one pass that goes on after a problem.

mod ports;
mod reader;
mod resource;
mod service;
mod volumes;

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::interpolate::Variables;
use crate::load::Files;
use crate::node::{Kind, Node};
use crate::project::{Network, NetworkAttachment, NetworkMode, Project, Service};
use crate::{Diagnostic, Origins};
use reader::Section;

/// What decoding needs to know beside the tree.
pub(crate) struct Context<'a> {
    pub(crate) name: String,
    pub(crate) directory: &'a Path,
    pub(crate) variables: &'a Variables,
    pub(crate) files: &'a dyn Files,
    pub(crate) profiles: BTreeSet<String>,
    pub(crate) named: BTreeSet<String>,
}

/// Decodes a tree; problems are added to `problems`.
pub(crate) fn project(tree: &Node, context: &Context<'_>, problems: &mut Vec<Diagnostic>) -> Project {
    let mut project = Project { name: context.name.clone(), working_dir: context.directory.to_owned(), ..Project::default() };
    record_origins(tree, String::new(), &mut project.origins);
    let mut top = Section::new(tree, "", problems);
    top.known(&["name", "version", "services", "networks", "volumes", "configs", "secrets", "include", "models"]);
    if let Some(version) = tree.get("version") {
        let text = "the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential confusion";
        top.problems.push(Diagnostic::warning(text, Some(&version.place.place())));
    }
    for (attribute, what) in [("include", "`include`"), ("models", "`models`")] {
        if let Some(node) = tree.get(attribute) {
            let text = format!("{what} is not supported yet");
            top.problems.push(Diagnostic::error(text, Some(&node.place.place())));
        }
    }
    for (key, node) in top.entries("volumes") {
        project.volumes.insert(key.name.clone(), resource::volume(&context.name, &key.name, node, problems));
    }
    let mut top = Section::new(tree, "", problems);
    for (key, node) in top.entries("networks") {
        project.networks.insert(key.name.clone(), resource::network(&context.name, &key.name, node, problems));
    }
    for (section, into) in [("configs", &mut project.configs), ("secrets", &mut project.secrets)] {
        let mut top = Section::new(tree, "", problems);
        for (key, node) in top.entries(section) {
            if let Some(object) = resource::file_object(context, section, &key.name, node, problems) {
                into.insert(key.name.clone(), object);
            }
        }
    }
    let mut top = Section::new(tree, "", problems);
    let services = top.entries("services");
    let mut ports = 0;
    for (key, node) in services {
        if !key.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) || key.name.is_empty() {
            let text = format!("service name `{}` may only hold letters, digits, `.`, `_` and `-`", key.name.escape_default());
            problems.push(Diagnostic::error(text, Some(&key.place.place())));
            continue;
        }
        let service = service::decode(context, &key.name, node, problems);
        ports += service.ports.len();
        if ports > service::MAX_PORTS {
            let text = format!("the services up to `{}` publish more than {} ports", key.name, service::MAX_PORTS);
            problems.push(Diagnostic::error(text, Some(&key.place.place())));
            break;
        }
        if is_enabled(&service, context) {
            project.services.insert(key.name.clone(), service);
        } else {
            project.disabled_services.push(key.name.clone());
        }
    }
    complete(&mut project, problems);
    project
}

fn is_enabled(service: &Service, context: &Context<'_>) -> bool {
    service.profiles.is_empty()
        || context.named.contains(&service.name)
        || context.profiles.contains("*")
        || service.profiles.iter().any(|profile| context.profiles.contains(profile))
}

fn record_origins(node: &Node, path: String, origins: &mut Origins) {
    match &node.kind {
        Kind::Mapping(entries) => {
            for (key, value) in entries {
                let below = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
                origins.insert(below.clone(), key.place.place());
                record_origins(value, below, origins);
            }
        }
        Kind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                let below = format!("{path}[{index}]");
                origins.insert(below.clone(), item.place.place());
                record_origins(item, below, origins);
            }
        }
        Kind::Scalar { .. } => {}
    }
}

/// What follows from all services together: the default network, references, fingerprints.
fn complete(project: &mut Project, problems: &mut Vec<Diagnostic>) {
    let name = project.name.clone();
    for service in project.services.values_mut() {
        if service.networks.is_empty() && service.network_mode.is_none() {
            service.networks.insert("default".to_owned(), NetworkAttachment::default());
        }
    }
    let uses_default = project.services.values().any(|service| service.networks.contains_key("default"));
    if uses_default {
        project.networks.entry("default".to_owned()).or_insert_with(|| Network {
            name: format!("{name}_default"),
            driver: "bridge".to_owned(),
            enable_ipv4: true,
            ..Network::default()
        });
    }
    check_references(project, problems);
    for service in project.services.values_mut() {
        service.config_hash = fingerprint(service);
    }
}

fn check_references(project: &Project, problems: &mut Vec<Diagnostic>) {
    let mut undefined = |service: &Service, attribute: &str, kind: &str, name: &str, known: Vec<&String>| {
        let place = project.origins.find(&format!("services.{}.{attribute}", service.name));
        let mut problem = Diagnostic::error(format!("service \"{}\" refers to undefined {kind} {name}", service.name), place);
        if let Some(near) = crate::diagnostic::nearest(name, known.into_iter().map(String::as_str)) {
            problem = problem.with_help(format!("did you mean `{near}`?"));
        }
        problems.push(problem);
    };
    for service in project.services.values() {
        for key in service.networks.keys().filter(|key| !project.networks.contains_key(*key)) {
            undefined(service, &format!("networks.{key}"), "network", key, project.networks.keys().collect());
        }
        for mount in &service.mounts {
            if let crate::project::MountKind::Volume { source, .. } = &mount.kind
                && !project.volumes.contains_key(source)
            {
                undefined(service, "volumes", "volume", source, project.volumes.keys().collect());
            }
        }
        for (attribute, kind, references, known) in
            [("configs", "config", &service.configs, &project.configs), ("secrets", "secret", &service.secrets, &project.secrets)]
        {
            for reference in references.iter().filter(|reference| !known.contains_key(&reference.source)) {
                undefined(service, attribute, kind, &reference.source, known.keys().collect());
            }
        }
        let all: Vec<&String> = project.services.keys().chain(&project.disabled_services).collect();
        for (dependency, how) in &service.depends_on {
            if how.required && !all.contains(&dependency) {
                let attribute = format!("depends_on.{dependency}");
                undefined(service, &attribute, "service", dependency, all.clone());
            }
        }
        if let Some(NetworkMode::Service(other)) = &service.network_mode
            && !all.contains(&other)
        {
            undefined(service, "network_mode", "service", other, all.clone());
        }
    }
}

/// SHA-256 over what matters to a container.
fn fingerprint(service: &Service) -> String {
    let mut canonical = service.clone();
    canonical.build = None;
    canonical.pull_policy = None;
    canonical.scale = 0;
    canonical.profiles = Vec::new();
    canonical.depends_on.clear();
    canonical.env_files.clear();
    canonical.config_hash.clear();
    let json = serde_json::to_vec(&canonical).expect("the model's types have string keys and no failing serializers");
    Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect()
}
