//! `build`.

use std::collections::BTreeMap;

use rcompose_model::Project;
use rcompose_supervisor::messages::{Action, BuildOptions};
use serde_json::{Map, Value, json};

use super::{apply_shown, check_names, or_interrupted};
use crate::arguments::{Build, Global};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Progress};
use crate::settings::World;

/// Builds images of services. Ctrl-C stops it; what was finished is kept.
pub(crate) async fn build(world: &World, arguments: Build) -> Result<Exit, CommandError> {
    let project = world.project(&arguments.services)?;
    check_names(&project, &arguments.services)?;
    if arguments.print {
        output::print(&format!("{:#}\n", bake(&project, &arguments)))?;
        return Ok(Exit::Success);
    }
    tell_what_has_no_effect(&arguments);
    let options = options(world, &project, &arguments)?;
    let name = project.name.clone();
    let global = Global { progress: arguments.progress.unwrap_or(world.global.progress), ..world.global.clone() };
    let progress = Progress::new(&global, "build").quiet_if(arguments.quiet);
    let work = apply_shown(world, progress, &name, Some(project), Action::Build(options));
    or_interrupted(async { work.await.map(|_| Exit::Success) }).await
}

fn tell_what_has_no_effect(arguments: &Build) {
    let ignored = [
        ("--builder", arguments.builder.is_some()),
        ("--provenance", arguments.provenance.is_some()),
        ("--sbom", arguments.sbom.is_some()),
    ];
    for (flag, _) in ignored.into_iter().filter(|(_, given)| *given) {
        output::warn_text(&format!("{flag} has no effect here"));
    }
}

/// How images are built by a command that builds on its way.
pub(crate) fn on_the_way(world: &World, project: &Project) -> Result<BuildOptions, CommandError> {
    let ssh_agent = world.environment.get("SSH_AUTH_SOCK").cloned();
    Ok(BuildOptions { ssh_agent, pins: world.pins(project)?, ..BuildOptions::default() })
}

fn options(world: &World, project: &Project, arguments: &Build) -> Result<BuildOptions, CommandError> {
    let mut args = BTreeMap::new();
    for text in &arguments.build_arg {
        match text.split_once('=') {
            Some((name, value)) => drop(args.insert(name.to_owned(), value.to_owned())),
            // One that is not set here has no value there either.
            None => args.extend(world.environment.get(text).map(|value| (text.clone(), value.clone()))),
        }
    }
    let memory = arguments.memory.as_deref().map(|text| {
        let invalid = || CommandError::Usage(format!("invalid --memory `{text}`: write 512m, 2g"));
        rcompose_supervisor::parse_size(text).ok_or_else(invalid)
    });
    Ok(BuildOptions {
        services: arguments.services.clone(),
        with_dependencies: arguments.with_dependencies,
        args,
        no_cache: arguments.no_cache,
        pull: arguments.pull,
        memory: memory.transpose()?,
        ssh: arguments.ssh.clone(),
        check: arguments.check,
        push: arguments.push,
        ..on_the_way(world, project)?
    })
}

/// What would be built, in the language of bake files.
fn bake(project: &Project, arguments: &Build) -> Value {
    let named = |name: &String| arguments.services.is_empty() || arguments.services.contains(name);
    let mut targets = Map::new();
    for (name, service) in project.services.iter().filter(|(name, _)| named(name)) {
        let Some(build) = &service.build else { continue };
        let section = &build.attributes;
        let tag = rcompose_plan::image_name(project, service).unwrap_or_default();
        let push = arguments.push && service.image.is_some();
        let mut target = Map::from_iter([
            ("context".to_owned(), json!(project.working_dir.join(&build.context))),
            ("tags".to_owned(), json!([tag])),
            ("output".to_owned(), json!([if push { "type=registry" } else { "type=docker" }])),
        ]);
        let renamed = [
            ("dockerfile", "dockerfile"),
            ("dockerfile_inline", "dockerfile-inline"),
            ("args", "args"),
            ("labels", "labels"),
            ("target", "target"),
            ("additional_contexts", "contexts"),
            ("no_cache", "no-cache"),
            ("platforms", "platforms"),
            ("cache_from", "cache-from"),
            ("cache_to", "cache-to"),
        ];
        for (from, to) in renamed {
            if !section[from].is_null() {
                target.insert(to.to_owned(), section[from].clone());
            }
        }
        targets.insert(name.clone(), Value::Object(target));
    }
    let names: Vec<&String> = targets.keys().collect();
    json!({ "group": { "default": { "targets": names } }, "target": targets })
}
