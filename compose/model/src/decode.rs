//! The settled tree to the typed model. What the specification demands holds already; what is refused here is what we do not do.

mod mounts;
mod ports;
mod reader;
mod resource;
mod service;

use sha2::{Digest, Sha256};

use crate::canonical::MAX_PORTS;
use crate::diagnostic::Code;
use crate::load::{LoadRequest, Model, clean};
use crate::node::{Kind, Node};
use crate::problems::Problems;
use crate::project::{Project, Service};
use crate::{Diagnostic, Origins, effect};
use reader::Section;
pub(crate) use service::restart_policy;

/// Decodes a model; problems are added to `problems`.
pub(crate) fn project(model: &Model, request: &LoadRequest, problems: &mut Problems) -> Project {
    let tree = &model.tree;
    effect::warn(tree, problems);
    let mut project = Project { name: model.name.clone(), working_dir: model.directory.clone(), ..Project::default() };
    record_origins(tree, String::new(), &mut project.origins);
    let top = Section::new(tree, String::new());
    for (key, node) in top.entries("volumes") {
        project.volumes.insert(key.name.clone(), resource::volume(&key.name, node, problems));
    }
    for (key, node) in top.entries("networks") {
        project.networks.insert(key.name.clone(), resource::network(&key.name, node, problems));
    }
    for (section, into) in [("configs", &mut project.configs), ("secrets", &mut project.secrets)] {
        for (key, node) in top.entries(section) {
            if let Some(object) = resource::file_object(model, section, &key.name, node) {
                into.insert(key.name.clone(), object);
            }
        }
    }
    let mut ports = 0;
    for (key, node) in top.entries("services") {
        let service = service::decode(model, &key.name, node, problems);
        ports += service.ports.len();
        if ports > MAX_PORTS {
            let text = format!("the services up to `{}` publish more than {MAX_PORTS} ports", key.name);
            problems.push(Diagnostic::error(Code::Limit, text).at(&key.spot).on(&key.name));
            break;
        }
        project.services.insert(key.name.clone(), service);
    }
    project.disabled_services = model.disabled.keys().map(|key| key.name.clone()).collect();
    project.files = model.files.clone();
    project.env_files = request.env_files.iter().map(|path| clean(&request.working_dir.join(path))).collect();
    for service in project.services.values_mut() {
        service.config_hash = fingerprint(service);
    }
    project
}

fn record_origins(node: &Node, path: String, origins: &mut Origins) {
    match &node.kind {
        Kind::Mapping(entries) => {
            for (key, value) in entries {
                let below = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
                origins.insert(below.clone(), key.spot.place());
                record_origins(value, below, origins);
            }
        }
        Kind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                let below = format!("{path}[{index}]");
                origins.insert(below.clone(), item.spot.place());
                record_origins(item, below, origins);
            }
        }
        Kind::Scalar { .. } => {}
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
    canonical.watch.clear();
    canonical.config_hash.clear();
    let json = serde_json::to_vec(&canonical).expect("the model's types have string keys and no failing serializers");
    Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect()
}
