//! From a folder to a project: which files, which variables, which name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use crate::decode::{self, Context};
use crate::diagnostic::Severity;
use crate::interpolate::{self, Variables};
use crate::node::{Kind, Node};
use crate::{Diagnostic, Project, envfile, merge, parse};

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
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The project, unless something is wrong with it.
    pub project: Option<Project>,
    /// All files, merged and interpolated.
    pub tree: Option<Node>,
    /// Everything that is wrong or worth a look, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

/// How files are read. The model opens nothing else.
pub trait Files {
    /// The content of a regular file of at most `limit` bytes; `None` if there is none.
    ///
    /// # Errors
    /// Why it cannot be read, as text.
    fn read(&self, path: &Path, limit: u64) -> Result<Option<String>, String>;
    /// Standard input.
    ///
    /// # Errors
    /// As [`Files::read`].
    fn read_standard_input(&self, limit: u64) -> Result<String, String>;
    /// Whether there is something at a path.
    fn exists(&self, path: &Path) -> bool;
}

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct HostFiles;

impl Files for HostFiles {
    fn read(&self, path: &Path, limit: u64) -> Result<Option<String>, String> {
        // Looked at before it is opened: opening a FIFO would wait for its other end.
        let about = match std::fs::metadata(path) {
            Ok(about) => about,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        if !about.is_file() {
            return Err("it is not a regular file".to_owned());
        }
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        limited(file, limit).map(Some)
    }

    fn read_standard_input(&self, limit: u64) -> Result<String, String> {
        limited(std::io::stdin().lock(), limit)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

fn limited(source: impl Read, limit: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    source.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("it is larger than {limit} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not valid UTF-8".to_owned())
}

const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];
const MAX_ENV_BYTES: u64 = 1 << 20;

/// Loads a project; every problem comes back at once.
pub fn load(request: &LoadRequest, files: &dyn Files) -> Loaded {
    let mut loaded = Loaded::default();
    if let Err(problem) = load_into(request, files, &mut loaded) {
        loaded.diagnostics.push(problem);
    }
    if loaded.diagnostics.iter().any(|problem| problem.severity == Severity::Error) {
        loaded.project = None;
    }
    add_excerpts(&mut loaded.diagnostics, files);
    loaded
}

fn load_into(request: &LoadRequest, files: &dyn Files, loaded: &mut Loaded) -> Result<(), Diagnostic> {
    let found = find_files(request, files, &mut loaded.diagnostics)?;
    let directory = project_directory(request, &found);
    let variables = variables(request, files, &directory)?;
    let mut trees = Vec::new();
    for path in &found {
        trees.extend(read_documents(path, files)?);
    }
    if let Some(text) = &request.command_line {
        trees.extend(parse::parse(text, Path::new("command line"))?);
    }
    let written_name = trees.iter().filter_map(|tree| tree.get("name")?.text().map(str::to_owned)).next_back();
    let name = project_name(request, &variables, written_name.as_deref(), &directory, &mut loaded.diagnostics)?;
    let mut variables = variables;
    variables.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let mut merged: Option<Node> = None;
    for mut tree in trees {
        interpolate::node(&mut tree, &variables, &mut loaded.diagnostics);
        merged = Some(match merged {
            Some(base) => merge::merge(base, tree),
            None => tree,
        });
    }
    let Some(mut tree) = merged.filter(|tree| !tree.is_null()) else {
        return Err(Diagnostic::error("empty compose file", None).with_help("a stack needs at least `services:`"));
    };
    if !matches!(tree.kind, Kind::Mapping(_)) {
        let text = format!("top-level object must be a mapping, not {}", tree.describe());
        return Err(Diagnostic::error(text, Some(&tree.place.place())));
    }
    drop_resets(&mut tree);
    let context = Context {
        name,
        directory: &directory,
        variables: &variables,
        files,
        profiles: profiles(request, &variables),
        named: request.services.iter().cloned().collect(),
    };
    let mut project = decode::project(&tree, &context, &mut loaded.diagnostics);
    project.files = found;
    project.env_files = request.env_files.iter().map(|path| clean(&request.working_dir.join(path))).collect();
    loaded.project = Some(project);
    loaded.tree = Some(tree);
    Ok(())
}

/// A `!reset` that met nothing takes nothing away, and is nothing itself.
fn drop_resets(node: &mut Node) {
    match &mut node.kind {
        Kind::Mapping(entries) => {
            entries.retain(|(_, value)| value.tag != Some(crate::node::Tag::Reset));
            entries.iter_mut().for_each(|(_, value)| drop_resets(value));
        }
        Kind::Sequence(items) => items.iter_mut().for_each(drop_resets),
        Kind::Scalar { .. } => {}
    }
}

fn profiles(request: &LoadRequest, variables: &Variables) -> BTreeSet<String> {
    if !request.profiles.is_empty() {
        return request.profiles.iter().cloned().collect();
    }
    let listed = variables.get("COMPOSE_PROFILES").map(String::as_str).unwrap_or_default();
    listed.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn find_files(request: &LoadRequest, files: &dyn Files, problems: &mut Vec<Diagnostic>) -> Result<Vec<PathBuf>, Diagnostic> {
    let absolute = |path: &PathBuf| if path == Path::new("-") { path.clone() } else { clean(&request.working_dir.join(path)) };
    if !request.files.is_empty() {
        return Ok(request.files.iter().map(absolute).collect());
    }
    if let Some(listed) = request.environment.get("COMPOSE_FILE").filter(|listed| !listed.is_empty()) {
        let separator = request.environment.get("COMPOSE_PATH_SEPARATOR").map_or(":", String::as_str);
        return Ok(listed.split(separator).filter(|part| !part.is_empty()).map(|part| absolute(&PathBuf::from(part))).collect());
    }
    let start = request.project_directory.as_ref().map_or(request.working_dir.clone(), |folder| request.working_dir.join(folder));
    for folder in clean(&start).ancestors() {
        let present = |names: &[&str]| -> Vec<PathBuf> {
            names.iter().map(|name| folder.join(name)).filter(|path| files.exists(path)).collect()
        };
        let mut found = present(&NAMES);
        if found.is_empty() {
            continue;
        }
        if found.len() > 1 {
            let names: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
            problems.push(
                Diagnostic::warning(format!("Found multiple config files with supported names: {}", names.join(", ")), None)
                    .with_help(format!("using {}", names[0])),
            );
            found.truncate(1);
        }
        found.extend(present(&OVERRIDES).into_iter().take(1));
        return Ok(found);
    }
    Err(Diagnostic::error("no configuration file provided: not found", None)
        .with_help(format!("make a `compose.yaml` in {}, or name a file with `-f`", request.working_dir.display())))
}

fn project_directory(request: &LoadRequest, found: &[PathBuf]) -> PathBuf {
    if let Some(folder) = &request.project_directory {
        return clean(&request.working_dir.join(folder));
    }
    let first = found.iter().find(|path| *path != Path::new("-"));
    first.and_then(|path| path.parent()).map_or_else(|| request.working_dir.clone(), Path::to_owned)
}

/// The environment, and below it the files of variables; the later file wins.
fn variables(request: &LoadRequest, files: &dyn Files, directory: &Path) -> Result<Variables, Diagnostic> {
    let mut from_files = Variables::new();
    let explicit = !request.env_files.is_empty();
    let off = request.environment.get("COMPOSE_DISABLE_ENV_FILE").is_some_and(|value| crate::units::boolean(value) == Some(true));
    let standing = request.project_directory.as_ref().map_or(request.working_dir.clone(), |it| request.working_dir.join(it));
    let mut paths: Vec<PathBuf> = match (explicit, off) {
        (true, _) => request.env_files.iter().map(|path| request.working_dir.join(path)).collect(),
        (false, true) => Vec::new(),
        // That of the folder where the user stands counts more than that of the project.
        (false, false) => vec![directory.join(".env"), standing.join(".env")],
    };
    paths.dedup();
    for path in paths {
        if explicit || files.exists(&path) {
            from_files.extend(read_variables(&path, files, &request.environment)?);
        }
    }
    from_files.extend(request.environment.clone());
    Ok(from_files)
}

/// Reads a file of variables.
///
/// # Errors
/// The file is not there, is no regular file, or has a line that is no variable.
pub fn read_variables(path: &Path, files: &dyn Files, environment: &Variables) -> Result<Vec<(String, String)>, Diagnostic> {
    let unreadable = |why: &str| Diagnostic::error(format!("couldn't read env file {}: {why}", path.display()), None);
    match files.read(path, MAX_ENV_BYTES) {
        Ok(Some(text)) => envfile::parse(&text, path, environment),
        Ok(None) => Err(unreadable("no such file")),
        Err(why) => Err(unreadable(&why)),
    }
}

fn read_documents(path: &Path, files: &dyn Files) -> Result<Vec<Node>, Diagnostic> {
    let unreadable = |why: String| Diagnostic::error(format!("open {}: {why}", path.display()), None);
    let text = if path == Path::new("-") {
        files.read_standard_input(parse::MAX_BYTES).map_err(unreadable)?
    } else {
        files
            .read(path, parse::MAX_BYTES)
            .map_err(unreadable)?
            .ok_or_else(|| unreadable("no such file or directory".to_owned()))?
    };
    parse::parse(&text, path)
}

/// Checks a name that somebody gave: it is used as it is, or not at all.
///
/// # Errors
/// Anything but lower-case letters, digits, `-` and `_`, and one of the latter two at the start.
pub fn check_project_name(name: &str) -> Result<(), Diagnostic> {
    let valid = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    if valid && name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Diagnostic::error(
        format!(
            "invalid project name \"{name}\": must consist only of lowercase alphanumeric characters, hyphens, and underscores \
             as well as start with a letter or number"
        ),
        None,
    ))
}

fn project_name(
    request: &LoadRequest,
    variables: &Variables,
    written: Option<&str>,
    directory: &Path,
    problems: &mut Vec<Diagnostic>,
) -> Result<String, Diagnostic> {
    let given = request.project_name.clone().or_else(|| variables.get("COMPOSE_PROJECT_NAME").cloned());
    if let Some(name) = given.filter(|name| !name.is_empty()) {
        return check_project_name(&name).map(|()| name);
    }
    let written = written.map(|name| interpolate::interpolate(name, variables, &mut BTreeSet::new()).unwrap_or_default());
    let folder = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = normalized(written.as_deref().unwrap_or(&folder));
    if name.is_empty() {
        problems.push(
            Diagnostic::error("project name must not be empty", None).with_help("give one with `-p`, or `name:` in the file"),
        );
    }
    Ok(name)
}

fn normalized(name: &str) -> String {
    let kept =
        name.to_lowercase().chars().filter(|letter| letter.is_ascii_alphanumeric() || "_-".contains(*letter)).collect::<String>();
    kept.trim_start_matches(['_', '-']).to_owned()
}

/// Without `.` and `..`, by the text alone.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(cleaned.pop()),
            Component::CurDir => {}
            other => cleaned.push(other),
        }
    }
    cleaned
}

/// Shows the line of each problem. Files are read once more only when something is wrong.
fn add_excerpts(problems: &mut [Diagnostic], files: &dyn Files) {
    let mut texts: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
    for problem in problems {
        let Some(place) = &problem.place else { continue };
        let text = texts.entry(place.file.clone()).or_insert_with(|| files.read(&place.file, parse::MAX_BYTES).ok().flatten());
        let line = text.as_ref().and_then(|text| text.lines().nth(place.line.saturating_sub(1) as usize));
        problem.excerpt = line.map(str::to_owned);
    }
}
