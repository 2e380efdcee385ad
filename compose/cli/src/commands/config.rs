//! `config`.

use std::collections::BTreeSet;

use rcompose_model::Severity;

use crate::arguments::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

pub(crate) fn config(world: &World, arguments: &Config) -> Result<Exit, CommandError> {
    let loaded = world.load(&[]);
    let (Some(project), Some(tree)) = (loaded.project, loaded.tree) else {
        return Err(CommandError::Files(loaded.diagnostics));
    };
    loaded.diagnostics.iter().filter(|problem| problem.severity == Severity::Warning).for_each(output::warn);
    let names = |names: Vec<String>| names.into_iter().map(|name| format!("{name}\n")).collect::<String>();
    let text = if arguments.quiet {
        String::new()
    } else if arguments.services {
        names(project.services.keys().cloned().collect())
    } else if arguments.volumes {
        names(project.volumes.keys().cloned().collect())
    } else if arguments.networks {
        names(project.networks.keys().cloned().collect())
    } else if arguments.profiles {
        let profiles: BTreeSet<String> = project.services.values().flat_map(|service| service.profiles.clone()).collect();
        names(profiles.into_iter().collect())
    } else if arguments.images {
        names(project.services.values().filter_map(|service| rcompose_plan::image_name(&project, service)).collect())
    } else if let Some(wanted) = &arguments.hash {
        let wanted: Vec<&str> = wanted.split(',').collect();
        let hashed = project.services.values().filter(|service| wanted.contains(&"*") || wanted.contains(&service.name.as_str()));
        hashed.map(|service| format!("{} {}\n", service.name, service.config_hash)).collect()
    } else {
        let mut json = tree.to_json();
        json["name"] = serde_json::Value::String(project.name.clone());
        if arguments.format == "json" {
            format!("{json:#}\n")
        } else {
            serde_yaml::to_string(&json).map_err(|error| CommandError::Usage(error.to_string()))?
        }
    };
    output::print(&text)?;
    Ok(Exit::Success)
}
