//! Which files a project is made of, and which folder it is in.

use std::path::{Path, PathBuf};

use super::files::clean;
use super::{Files, LoadRequest, Stop};
use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::paths::is_remote;
use crate::variables::Variables;

const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// The files that were named, or those that are found from the working directory up.
pub(super) fn files(
    request: &LoadRequest,
    variables: &Variables,
    files: &dyn Files,
    problems: &mut Vec<Diagnostic>,
) -> Result<Vec<PathBuf>, Stop> {
    let absolute = |path: &Path| match path.to_str() {
        Some("-") => path.to_owned(),
        Some(text) if is_remote(text) => path.to_owned(),
        _ => clean(&request.working_dir.join(path)),
    };
    if !request.files.is_empty() {
        return Ok(request.files.iter().map(|path| absolute(path)).collect());
    }
    if let Some(listed) = variables.get("COMPOSE_FILE").filter(|listed| !listed.is_empty()) {
        let separator = variables.get("COMPOSE_PATH_SEPARATOR").filter(|it| !it.is_empty()).unwrap_or(":");
        return Ok(listed.split(separator).filter(|part| !part.is_empty()).map(|part| absolute(Path::new(part))).collect());
    }
    let start = request.project_directory.as_ref().map_or(request.working_dir.clone(), |folder| request.working_dir.join(folder));
    for folder in clean(&start).ancestors() {
        let found = in_folder(folder, &NAMES, "config files", files, problems);
        if let Some(file) = found {
            let over = in_folder(folder, &OVERRIDES, "override files", files, problems);
            return Ok(std::iter::once(file).chain(over).collect());
        }
    }
    let problem = Diagnostic::error(Code::NotFound, "no configuration file provided: not found");
    Err(Box::new(
        problem.with_help(format!("make a `compose.yaml` in {}, or name a file with `-f`", request.working_dir.display())),
    ))
}

fn in_folder(folder: &Path, names: &[&str], what: &str, files: &dyn Files, problems: &mut Vec<Diagnostic>) -> Option<PathBuf> {
    let present: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).filter(|path| files.exists(path)).collect();
    if present.len() > 1 {
        let shown: Vec<String> = present.iter().map(|path| path.display().to_string()).collect();
        let text = format!("Found multiple {what} with supported names: {}", shown.join(", "));
        problems.push(Diagnostic::warning(Code::Conflict, text).with_help(format!("using {}", shown[0])));
    }
    present.into_iter().next()
}

/// The folder that relative paths are relative to.
pub(super) fn project_directory(request: &LoadRequest, found: &[PathBuf]) -> PathBuf {
    if let Some(folder) = &request.project_directory {
        return clean(&request.working_dir.join(folder));
    }
    let local = |path: &&PathBuf| path.to_str().is_none_or(|text| text != "-" && !is_remote(text));
    let first = found.iter().find(local);
    first.and_then(|path| path.parent()).map_or_else(|| request.working_dir.clone(), Path::to_owned)
}
