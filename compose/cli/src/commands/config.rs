//! `config`.

pub(super) mod digests;
mod origin;
mod variables;

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;

use rcompose_model::emit::{self, Dollars};
use rcompose_model::node::{Key, Node};
use rcompose_model::{LoadRequest, Model, Without};

use crate::arguments::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

pub(crate) async fn config(world: &World, arguments: &Config) -> Result<Exit, CommandError> {
    if arguments.hash.is_some() {
        return hashes(world, arguments);
    }
    let text = match shown(world, arguments).await? {
        _ if arguments.quiet => return Ok(Exit::Success),
        text => text,
    };
    match &arguments.output {
        Some(path) if !text.is_empty() => std::fs::write(path, text)
            .map_err(|source| CommandError::System { doing: format!("write {}", path.display()), source })?,
        _ => output::print(&text)?,
    }
    Ok(Exit::Success)
}

async fn shown(world: &World, arguments: &Config) -> Result<String, CommandError> {
    if arguments.variables {
        return variables::variables(world, arguments);
    }
    // The process ends after this: to give a large model back piece by piece takes time and helps nobody.
    let mut model = ManuallyDrop::new(load(world, arguments, arguments.no_interpolate)?);
    if !arguments.is_list() {
        if arguments.resolve_image_digests || arguments.lock_image_digests {
            digests::resolve(world, &mut model.tree).await?;
        }
        if arguments.lock_image_digests {
            model.tree = digests::lock(&model.tree);
        }
    }
    let names = |section: &str| lines(entries(&model.tree, section).map(|(key, _)| key.name.clone()));
    Ok(if arguments.services {
        names("services")
    } else if arguments.volumes {
        names("volumes")
    } else if arguments.networks {
        names("networks")
    } else if arguments.models {
        lines(entries(&model.tree, "models").filter_map(|(_, node)| node.get("model")?.text().map(str::to_owned)))
    } else if arguments.profiles {
        profiles(&model)
    } else if arguments.images {
        lines(entries(&model.tree, "services").map(|(key, service)| image(world, &model.name, key, service)))
    } else if arguments.environment {
        lines(model.variables.iter().map(|(name, variable)| format!("{name}={}", variable.value)))
    } else if arguments.origin {
        origin::text(&model)
    } else {
        let dollars = if arguments.no_interpolate { Dollars::AsIs } else { Dollars::Escaped };
        match arguments.format.as_deref() {
            Some("json") => emit::json(&model.tree, dollars),
            _ => emit::yaml(&model.tree, dollars),
        }
    })
}

/// Loads the model with what the flags leave out; warnings are shown.
fn load(world: &World, arguments: &Config, no_interpolation: bool) -> Result<Model, CommandError> {
    let listing = arguments.services || arguments.volumes || arguments.networks || arguments.models || arguments.profiles;
    let request = LoadRequest {
        without: Without {
            interpolation: no_interpolation,
            normalization: arguments.no_normalize,
            path_resolution: arguments.no_path_resolution,
            env_resolution: arguments.no_env_resolution,
            env_files: listing,
            consistency: arguments.no_consistency,
            validation: arguments.variables,
        },
        only_named: true,
        // Lists are of the whole project.
        ..world.request(if listing && !arguments.profiles { &[] } else { &arguments.services_wanted })
    };
    let (model, problems) = rcompose_model::load_model(&request, &world.files);
    match model {
        Some(model) => {
            world.problems.warn(&problems);
            Ok(model)
        }
        None => Err(CommandError::Files(problems)),
    }
}

fn entries<'a>(tree: &'a Node, section: &str) -> impl Iterator<Item = (&'a Key, &'a Node)> {
    tree.get(section).and_then(Node::mapping).into_iter().flatten()
}

fn lines(items: impl Iterator<Item = String>) -> String {
    items.map(|item| format!("{item}\n")).collect()
}

fn profiles(model: &Model) -> String {
    let services = entries(&model.tree, "services").map(|(_, service)| service).chain(model.disabled.values());
    let own = |service: &Node| -> Vec<String> {
        let items = service.get("profiles").and_then(Node::items).unwrap_or_default();
        items.iter().filter_map(|item| item.text().map(str::to_owned)).collect()
    };
    lines(services.flat_map(own).collect::<BTreeSet<String>>().into_iter())
}

fn image(world: &World, project: &str, key: &Key, service: &Node) -> String {
    match service.get("image").and_then(Node::text).filter(|image| !image.is_empty()) {
        Some(image) => image.to_owned(),
        None if world.global.compatibility => format!("{project}_{}", key.name),
        None => format!("{project}-{}", key.name),
    }
}

/// Fingerprints are of the typed model: they say what a container is made from.
fn hashes(world: &World, arguments: &Config) -> Result<Exit, CommandError> {
    let project = world.project(&[])?;
    let wanted: Vec<&str> = arguments.hash.as_deref().unwrap_or("*").split(',').collect();
    if let Some(name) = wanted.iter().find(|name| **name != "*" && !project.services.contains_key(**name)) {
        return Err(CommandError::Usage(format!("no such service: {name}")));
    }
    let hashed = project.services.values().filter(|service| wanted.contains(&"*") || wanted.contains(&service.name.as_str()));
    output::print(&lines(hashed.map(|service| format!("{} {}", service.name, service.config_hash))))?;
    Ok(Exit::Success)
}
