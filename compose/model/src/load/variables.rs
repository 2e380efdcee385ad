//! What files may ask for: the environment, and below it the files of variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{MAX_ENV_BYTES, clean};
use super::{Files, LoadRequest, Stop};
use crate::diagnostic::Code;
use crate::envfile::{self, Line};
use crate::variables::{Lookup, Source, Variables};
use crate::{Diagnostic, Place, units};

/// The environment, and the files of variables that were named, or that of the folder where the user stands.
pub(super) fn of_standing(request: &LoadRequest, files: &dyn Files) -> Result<Variables, Stop> {
    let mut variables = Variables::of_environment(&request.environment);
    if request.env_files.is_empty() {
        let standing = match (&request.project_directory, request.files.iter().find(|path| *path != Path::new("-"))) {
            (Some(folder), _) => request.working_dir.join(folder),
            (None, Some(file)) => crate::paths::folder_of(&request.working_dir.join(file)),
            (None, None) => request.working_dir.clone(),
        };
        if !is_switched_off(request) {
            add_if_there(&mut variables, &clean(&standing).join(".env"), files)?;
        }
    } else {
        let paths: Vec<PathBuf> = request.env_files.iter().map(|path| clean(&request.working_dir.join(path))).collect();
        add(&mut variables, &paths, files)?;
    }
    Ok(variables)
}

/// The file of variables beside the project's first file; what is set already stays.
pub(super) fn add_project_file(
    variables: &mut Variables,
    request: &LoadRequest,
    directory: &Path,
    files: &dyn Files,
) -> Result<(), Stop> {
    if request.env_files.is_empty() && !is_switched_off(request) {
        add_if_there(variables, &directory.join(".env"), files)?;
    }
    Ok(())
}

fn is_switched_off(request: &LoadRequest) -> bool {
    request.environment.get("COMPOSE_DISABLE_ENV_FILE").is_some_and(|value| units::boolean(value) == Some(true))
}

fn add_if_there(variables: &mut Variables, path: &Path, files: &dyn Files) -> Result<(), Stop> {
    let known = variables
        .iter()
        .flat_map(|(_, variable)| std::iter::once(&variable.source).chain(variable.shadowed.iter().map(|it| &it.0)));
    let read_before = known.into_iter().any(|source| matches!(source, Source::File(place) if place.file == path));
    if !read_before && files.exists(path) { add(variables, &[path.to_owned()], files) } else { Ok(()) }
}

/// Reads files in their order: a later line wins over an earlier one, the environment over all of them.
pub(super) fn add(variables: &mut Variables, paths: &[PathBuf], files: &dyn Files) -> Result<(), Stop> {
    let mut all: Vec<(Line, &Path)> = Vec::new();
    for path in paths {
        let lines = read_file(path, variables, &Before(&all), files)?;
        all.extend(lines.into_iter().map(|line| (line, path.as_path())));
    }
    for (line, path) in all.into_iter().rev() {
        let place = Place { file: path.to_owned(), line: line.number, column: 1 };
        variables.offer(line.name, line.value, Source::File(place));
    }
    Ok(())
}

/// What earlier files say.
struct Before<'a>(&'a [(Line, &'a Path)]);

impl Lookup for Before<'_> {
    fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(line, _)| line.name == name).map(|(line, _)| line.value.as_str())
    }
}

fn read_file(path: &Path, variables: &Variables, before: &dyn Lookup, files: &dyn Files) -> Result<Vec<Line>, Stop> {
    let unreadable = |why: &str| Diagnostic::error(Code::File, format!("couldn't read env file {}: {why}", path.display()));
    match files.read(path, MAX_ENV_BYTES) {
        Ok(Some(text)) => envfile::parse(&text, path, variables, before).map_err(Box::new),
        Ok(None) => Err(Box::new(unreadable("no such file"))),
        Err(why) => Err(Box::new(unreadable(&why))),
    }
}

/// Reads one file of variables, in the order of its lines.
///
/// # Errors
/// It cannot be read, or a line of it is none.
pub fn read(path: &Path, files: &dyn Files, environment: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, Diagnostic> {
    let lines = read_file(path, &Variables::of_environment(environment), &Before(&[]), files).map_err(|problem| *problem)?;
    Ok(lines.into_iter().map(|line| (line.name, line.value)).collect())
}
