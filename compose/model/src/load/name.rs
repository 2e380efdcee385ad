//! The name of a project.

use std::path::Path;

use super::{Files, LoadRequest, Stop};
use crate::diagnostic::Code;
use crate::variables::Variables;
use crate::{Diagnostic, interpolate};

/// Checks a name that somebody gave: it is used as it is, or not at all.
///
/// # Errors
/// Anything but lower-case letters, digits, `-` and `_`, and one of the latter two at the start.
pub fn check(name: &str) -> Result<(), Diagnostic> {
    if normalized(name) == name && !name.is_empty() {
        return Ok(());
    }
    let problem = Diagnostic::error(
        Code::ProjectName,
        format!(
            "invalid project name \"{}\": must consist only of lowercase alphanumeric characters, hyphens, and underscores \
             as well as start with a letter or number",
            name.escape_debug()
        ),
    );
    let better = normalized(name);
    Err(if better.is_empty() { problem } else { problem.with_help(format!("write `{better}`")) })
}

/// The name that was given, that of the files, or that of the folder.
pub(super) fn choose(
    request: &LoadRequest,
    variables: &Variables,
    written: Option<&str>,
    directory: &Path,
    files: &dyn Files,
    problems: &mut Vec<Diagnostic>,
) -> Result<String, Stop> {
    let given = request.project_name.as_deref().or_else(|| variables.get("COMPOSE_PROJECT_NAME"));
    if let Some(name) = given.filter(|name| !name.is_empty()) {
        check(name)?;
        return Ok(name.to_owned());
    }
    let written = match written.filter(|name| !name.is_empty()) {
        // A name that cannot be read is told with the rest of the file.
        Some(text) if !request.without.interpolation => interpolate::text(text, variables, &mut Vec::new()).ok(),
        other => other.map(str::to_owned),
    };
    let name = match written {
        Some(name) => normalized(&name),
        None => normalized(&folder_name(directory, files, problems)),
    };
    if name.is_empty() {
        let problem = Diagnostic::error(Code::ProjectName, "project name must not be empty");
        problems.push(problem.with_help("give one with `-p`, or `name:` in the file"));
    }
    Ok(name)
}

fn folder_name(directory: &Path, files: &dyn Files, problems: &mut Vec<Diagnostic>) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let own = name(directory);
    if files.follow(directory).is_some_and(|real| name(&real) != own) {
        let text = format!("project has been loaded without an explicit name from a symlink. Using name \"{own}\"");
        problems.push(Diagnostic::warning(Code::ProjectName, text).with_help("give it a name with `name:` in the file"));
    }
    own
}

fn normalized(name: &str) -> String {
    let kept: String =
        name.to_lowercase().chars().filter(|letter| letter.is_ascii_alphanumeric() || "_-".contains(*letter)).collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}
