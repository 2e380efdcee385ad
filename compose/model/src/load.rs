//! From a folder to a project: which files, which variables, which name, and what comes of them.
//!
//! ```text
//! each document of each file:   interpolate -> include -> extends -> check -> merge -> long forms
//! the merged tree:              defaults -> paths -> names -> settle -> profiles -> consistency -> selection -> env files
//! ```
//! Without interpolation the road ends after the names: what a `$` stands for is not known, so nothing can be settled.

mod discover;
mod document;
mod extends;
mod files;
mod include;
mod name;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::consistency::Parts;
use crate::diagnostic::{Code, Severity};
use crate::interpolate;
use crate::node::{Mapping, Node};
use crate::paths::{self, Base};
use crate::schema::TOP;
use crate::trail::Trail;
use crate::variables::{Source, Variables};
use crate::{Diagnostic, Project, check, consistency, decode, environment, merge, normalize, select, settle};
use document::Loader;

pub use files::{Files, HostFiles, Remote};
pub(crate) use files::{MAX_ENV_BYTES, clean};
pub use name::check as check_project_name;
pub use variables::read as read_variables;

/// What is to be loaded, and with what.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// Compose files; `-` is standard input. Empty: they are looked for.
    pub files: Vec<PathBuf>,
    /// Instead of any other project name.
    pub project_name: Option<String>,
    /// Instead of the folder of the first file.
    pub project_directory: Option<PathBuf>,
    /// Files of variables, instead of `.env`.
    pub env_files: Vec<PathBuf>,
    /// Profiles that are on; `*` is all.
    pub profiles: Vec<String>,
    /// Services named on the command line: their profiles are on too.
    pub services: Vec<String>,
    /// A document that is merged after all files: what flags of a command say of its service.
    pub command_line: Option<String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Absolute.
    pub working_dir: PathBuf,
    /// What is left out on the way.
    pub without: Without,
    /// Only the named services, and what they depend on.
    pub only_named: bool,
    /// Also networks, volumes, configs, secrets and models that no service uses.
    pub all_resources: bool,
}

/// Steps that are left out, as `config` offers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Without {
    /// `${X}` stays `${X}`.
    pub interpolation: bool,
    /// No names, no default network, no dependencies that follow from others.
    pub normalization: bool,
    /// Relative paths stay relative.
    pub path_resolution: bool,
    /// `env_file` is not read.
    pub env_resolution: bool,
    /// Nor does it matter whether it is there.
    pub env_files: bool,
    /// What does not fit together is not told.
    pub consistency: bool,
    /// Keys and types are not checked.
    pub validation: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The project, unless something is wrong with it.
    pub project: Option<Project>,
    /// Everything that is wrong or worth a look, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

/// A project as a tree: what `config` shows.
#[derive(Debug, Clone)]
pub struct Model {
    /// Canonical; every value knows where it was written.
    pub tree: Node,
    /// The name of the project.
    pub name: String,
    /// Services that no profile enables, or that were not asked for.
    pub disabled: Mapping,
    /// What the files could ask for.
    pub variables: Variables,
    /// Absolute; relative paths were resolved against it.
    pub directory: PathBuf,
    /// The Compose files, in the order in which they were merged.
    pub files: Vec<PathBuf>,
}

/// Loads a project; every problem comes back at once.
pub fn load(request: &LoadRequest, files: &dyn Files) -> Loaded {
    let mut problems = Vec::new();
    let model = load_unexplained(request, files, &mut problems);
    let mut loaded = Loaded::default();
    if let Some(model) = model {
        let project = decode::project(&model, request, &mut problems);
        if !has_errors(&problems) {
            loaded.project = Some(project);
        }
    }
    loaded.diagnostics = explained(problems, files);
    loaded
}

/// Loads a project as a tree; every problem comes back at once, and the tree unless something is wrong with it.
pub fn load_model(request: &LoadRequest, files: &dyn Files) -> (Option<Model>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let mut model = load_unexplained(request, files, &mut problems);
    if let Some(model) = model.as_mut().filter(|_| !request.without.env_resolution && !request.without.interpolation) {
        environment::discard_files(&mut model.tree);
    }
    (model, explained(problems, files))
}

fn has_errors(problems: &[Diagnostic]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

fn load_unexplained(request: &LoadRequest, files: &dyn Files, problems: &mut Vec<Diagnostic>) -> Option<Model> {
    let model = match assemble(request, files, problems) {
        Ok(model) => model,
        Err(problem) => {
            problems.push(*problem);
            None
        }
    };
    model.filter(|_| !has_errors(problems))
}

type Stop = Box<Diagnostic>;

fn assemble(request: &LoadRequest, files: &dyn Files, problems: &mut Vec<Diagnostic>) -> Result<Option<Model>, Stop> {
    let mut variables = variables::of_standing(request, files)?;
    let found = discover::files(request, &variables, files, problems)?;
    let directory = discover::project_directory(request, &found);
    variables::add_project_file(&mut variables, request, &directory, files)?;
    let found = found.into_iter().map(|file| files::fetched(file, files)).collect::<Result<Vec<_>, _>>()?;
    let directory = match (found.first(), &request.project_directory) {
        (Some(files::Fetched { path, remote: true }), None) => paths::folder_of(path),
        _ => directory,
    };
    let mut loader = Loader::new(request, files, problems);
    let sources: Vec<PathBuf> = found.into_iter().map(|file| file.path).collect();
    let texts = sources.iter().map(|path| loader.documents(path, None)).collect::<Result<Vec<_>, _>>()?;
    let written = texts.iter().flatten().filter_map(|tree| tree.get("name")?.text()).next_back();
    let name = name::choose(request, &variables, written, &directory, files, loader.problems)?;
    variables.set("COMPOSE_PROJECT_NAME".to_owned(), name.clone(), Source::Project);

    let Some(tree) = loader.merge(texts, &directory, &variables)? else {
        let problem = Diagnostic::error(Code::MissingKey, "empty compose file");
        return Err(Box::new(problem.with_help("a stack needs at least `services:`")));
    };
    loader.warn_of_unset(&variables);
    let mut model = Model { tree, name, disabled: Mapping::new(), variables, directory, files: sources };
    complete(&mut model, request, files, problems);
    Ok(Some(model))
}

/// Everything that is done to the merged tree.
fn complete(model: &mut Model, request: &LoadRequest, files: &dyn Files, problems: &mut Vec<Diagnostic>) {
    let tree = &mut model.tree;
    merge::settle_tags(tree);
    if !request.without.validation {
        check::complete(tree, &TOP, &Trail::TOP, problems);
        consistency::attributes(tree, problems);
    }
    normalize::defaults(tree);
    if !request.without.path_resolution {
        let folder = model.directory.display().to_string();
        let home = model.variables.get("HOME").map(str::to_owned);
        paths::resolve(tree, &Base { folder: &folder, home: home.as_deref(), files });
    }
    // COMPAT: as in docker compose, names without value get none where variables are not put in.
    let mut only_name = Variables::default();
    only_name.set("COMPOSE_PROJECT_NAME".to_owned(), model.name.clone(), Source::Project);
    let variables = if request.without.interpolation { &only_name } else { &model.variables };
    normalize::resolve_environment(tree, variables);
    if !request.without.normalization {
        normalize::normalize(tree, &model.name, variables);
    }
    // What is of the wrong type cannot be settled, and what it would have meant need not be guessed.
    if request.without.interpolation || has_errors(problems) {
        return;
    }
    normalize::name(tree, &model.name);
    let spot = tree.spot.clone();
    *tree = settle::settle(std::mem::replace(tree, Node::null_at(&spot)), &TOP, problems);
    choose(model, request, problems);
    match request.without {
        Without { env_files: true, .. } => return,
        Without { env_resolution: true, .. } => environment::check_files(&model.tree, files, problems),
        _ => environment::resolve(&mut model.tree, &model.variables, files, problems),
    }
    environment::resolve_labels(&mut model.tree, files, problems);
}

/// Which services take part, and whether they fit together.
fn choose(model: &mut Model, request: &LoadRequest, problems: &mut Vec<Diagnostic>) {
    let active = active_profiles(request, &model.variables);
    model.disabled = select::profiles(&mut model.tree, &active);
    if !request.without.consistency {
        consistency::project(&Parts { tree: &model.tree, disabled: &model.disabled }, problems);
    }
    if !request.services.is_empty() {
        select::enable(&mut model.tree, &mut model.disabled, &request.services, &active);
        if request.only_named {
            select::services(&mut model.tree, &mut model.disabled, &request.services, problems);
        }
    }
    if !request.all_resources {
        select::prune(&mut model.tree);
    }
}

fn active_profiles(request: &LoadRequest, variables: &Variables) -> BTreeSet<String> {
    if !request.profiles.is_empty() {
        return request.profiles.iter().cloned().collect();
    }
    let listed = variables.get("COMPOSE_PROFILES").unwrap_or_default();
    listed.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Problems in the order of the files, each once, with the lines that they are about.
fn explained(mut problems: Vec<Diagnostic>, files: &dyn Files) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(problems.len());
    let mut seen = BTreeSet::new();
    for problem in problems.drain(..) {
        if seen.insert((problem.message.clone(), problem.place.clone())) {
            kept.push(problem);
        }
    }
    crate::excerpt::add(&mut kept, files);
    kept
}

impl Loader<'_> {
    /// Merges the documents of the main files.
    fn merge(&mut self, texts: Vec<Vec<Node>>, directory: &Path, variables: &Variables) -> Result<Option<Node>, Stop> {
        let mut merged = None;
        for documents in texts {
            for document in documents {
                merged = self.document(merged, document, directory, variables, &[])?;
            }
        }
        if let Some(text) = &self.request.command_line {
            for document in crate::parse::parse(text, Path::new("command line"))? {
                merged = self.document(merged, document, directory, variables, &[])?;
            }
        }
        Ok(merged)
    }

    /// Tells which names are not set.
    fn warn_of_unset(&mut self, variables: &Variables) {
        interpolate::warn_of_unset(std::mem::take(&mut self.unset), variables, self.problems);
    }
}
