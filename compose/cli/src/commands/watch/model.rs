//! The files that say what the stack is: which they are, and what they say now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rcompose_model::Project;
use rcompose_model::project::{MountKind, Service};
use rcompose_watch::{Rule, dockerfile};

use super::built_first;
use super::session::{Options, Told};
use super::tasks::Scene;
use crate::error::CommandError;
use crate::settings::World;

/// Files that a project comes from, by what a change of them means.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Compose files, those that they include and extend, and files of variables: the project is loaded again.
    pub(super) model: BTreeSet<PathBuf>,
    /// Single files that are mounted into containers, with their services and how those name them.
    pub(super) mounted: BTreeMap<PathBuf, BTreeSet<(String, PathBuf)>>,
    /// Dockerfiles and what they leave out, with the services that are built from them.
    pub(super) builds: BTreeMap<PathBuf, BTreeSet<String>>,
}

impl Sources {
    /// Single files that containers have mounted.
    pub(super) fn mounted(project: &Project) -> BTreeMap<PathBuf, BTreeSet<(String, PathBuf)>> {
        let mut mounted: BTreeMap<PathBuf, BTreeSet<(String, PathBuf)>> = BTreeMap::new();
        for (name, service) in &project.services {
            for mount in &service.mounts {
                if let MountKind::Bind { source, .. } = &mount.kind
                    && source.is_file()
                {
                    for path in with_target(source) {
                        mounted.entry(path).or_default().insert((name.clone(), source.clone()));
                    }
                }
            }
        }
        mounted
    }

    /// Those of a project that was just loaded.
    pub(super) fn of(world: &World, project: &Project) -> Self {
        let mut sources = Self { model: world.files.looked_at(), ..Self::default() };
        sources.model.insert(world.lock_file(project));
        for (name, service) in &project.services {
            let Some(file) = dockerfile(service) else { continue };
            let folder = service.build.as_ref().map(|build| PathBuf::from(&build.context)).unwrap_or_default();
            let beside = PathBuf::from(format!("{}.dockerignore", file.display()));
            for path in [file, beside, folder.join(".dockerignore")].iter().flat_map(|path| with_target(path)) {
                sources.builds.entry(path).or_default().insert(name.clone());
            }
        }
        sources.model = sources.model.iter().flat_map(|path| with_target(path)).collect();
        sources
    }

    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        self.model.iter().chain(self.builds.keys()).chain(self.mounted.keys()).cloned().collect()
    }
}

/// A file, and what it is a link to: either may be replaced.
fn with_target(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let real = path.canonicalize().ok();
    std::iter::once(path.to_owned()).chain(real)
}

/// Loads the project again.
pub(super) fn load(world: &World, options: &Options) -> Result<Project, CommandError> {
    world.files.look_anew();
    world.project(&options.up.services).map(built_first)
}

/// The rules of the services that are watched.
pub(super) fn rules(project: &Project, options: &Options) -> Result<Vec<Rule>, CommandError> {
    if !options.rules {
        return Ok(Vec::new());
    }
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let mut rules = Vec::new();
    for service in project.services.values().filter(|it| options.services.is_empty() || options.services.contains(&it.name)) {
        let of =
            Rule::of(service, read).map_err(|error| CommandError::Failed(rcompose_supervisor::messages::Failure::of(&error)))?;
        rules.extend(of);
    }
    Ok(rules)
}

impl Scene<'_> {
    /// The rules that are followed, and the files besides that are watched.
    pub(super) fn rules(&self) -> Result<(Vec<Rule>, Sources), CommandError> {
        let mut rules = rules(&self.project, &self.options)?;
        for rule in rules.iter_mut().filter(|rule| rule.action.syncs()) {
            if self.project.services.get(&rule.service).is_some_and(|service| sees(service, rule)) {
                rule.target = None;
                let (whose, path) = (&rule.service, rule.path.display());
                let text = format!("{whose}: {path} is mounted into its containers already, and is not synchronised");
                // The receiver is there as long as the session.
                let _ = self.tell.send(Told::Line(text));
            }
        }
        let mut sources = if self.options.live { Sources::of(self.world, &self.project) } else { Sources::default() };
        sources.mounted = Sources::mounted(&self.project);
        Ok((rules, sources))
    }
}

/// Tells whether containers see the files of a rule by themselves.
fn sees(service: &Service, rule: &Rule) -> bool {
    service.mounts.iter().any(|mount| match &mount.kind {
        MountKind::Bind { source, .. } => rule.path.starts_with(source.canonicalize().as_ref().unwrap_or(source)),
        _ => false,
    })
}
