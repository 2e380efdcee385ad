//! Which name something gets where, as docker cp decides it. Pure: what is at both ends comes in.
//!
//! ```text
//!                        a folder is there          a file is there       nothing is there
//! a folder               goes into it               cannot be             becomes that
//! a folder, `/.`         its content goes into it   cannot be             becomes that
//! a file                 goes into it               replaces it           becomes that, unless it ends with `/`
//! ```

use std::path::{Component, Path, PathBuf};

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Files of the containers of a service.
    Service { service: String, path: String },
    /// A path of the host.
    Host(String),
    /// An archive on standard input or output.
    Stream,
}

impl End {
    /// `SERVICE:PATH`, unless it is absolute or begins with a dot.
    pub(super) fn parse(text: &str) -> Self {
        match text.split_once(':') {
            _ if text == "-" => Self::Stream,
            Some((service, path)) if !text.starts_with(['/', '.']) && !service.is_empty() => {
                Self::Service { service: service.to_owned(), path: path.to_owned() }
            }
            _ => Self::Host(text.to_owned()),
        }
    }
}

/// What is copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// As given.
    pub(super) path: &'a str,
    /// Without dots, so that it ends with a name.
    pub(super) clean: &'a Path,
    pub(super) is_directory: bool,
}

/// What is where it is copied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    Directory,
    File,
    Nothing,
}

/// What becomes of it: the archive calls it `name`, and is put into a directory that has to be there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) into: PathBuf,
    pub(super) name: PathBuf,
}

/// Decides about a copy to `target`, as given.
pub(super) fn place(source: Source<'_>, target: &str, there: There) -> Result<Placement, String> {
    if names_directory(source.path) && !source.is_directory {
        return Err(format!("`{}` is not a directory", source.path));
    }
    let only_content = names_content(source.path) || source.clean.file_name().is_none();
    let own_name = source.clean.file_name().map(PathBuf::from).filter(|_| !only_content);
    let clean = clean(target);
    match there {
        There::Directory => Ok(Placement { into: clean, name: own_name.unwrap_or_else(|| PathBuf::from(".")) }),
        There::File if source.is_directory => Err(format!("cannot copy a directory to the file `{target}`")),
        There::File if names_directory(target) => Err(format!("`{target}` is not a directory")),
        There::Nothing if names_directory(target) && !source.is_directory => {
            Err(format!("the directory `{target}` does not exist"))
        }
        There::File | There::Nothing => {
            let name = clean.file_name().ok_or_else(|| format!("`{target}` names no file"))?.into();
            let into = clean.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
            Ok(Placement { into, name })
        }
    }
}

/// Whether a path can only be a directory.
pub(super) fn names_directory(path: &str) -> bool {
    path.ends_with('/') || names_content(path)
}

/// Whether a path stands for what is in a directory.
fn names_content(path: &str) -> bool {
    path == "." || path.ends_with("/.")
}

/// A path without `.` and what `..` takes back.
pub(super) fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some() && !clean.ends_with("..") => drop(clean.pop()),
            Component::ParentDir if clean.is_absolute() => {}
            other => clean.push(other),
        }
    }
    if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean }
}

/// A path of a container: absolute.
pub(super) fn in_container(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_services_from_paths() {
        let service = |path: &str| End::Service { service: "web".to_owned(), path: path.to_owned() };
        for (text, expected) in [
            ("web:/x", service("/x")),
            ("web:", service("")),
            ("web:a:b", service("a:b")),
            ("./web:/x", End::Host("./web:/x".to_owned())),
            ("/web:x", End::Host("/web:x".to_owned())),
            ("x", End::Host("x".to_owned())),
            ("-", End::Stream),
        ] {
            assert_eq!(End::parse(text), expected, "{text}");
        }
    }

    fn check(source: &str, is_directory: bool, target: &str, there: There) -> String {
        let clean = clean(source);
        match place(Source { path: source, clean: &clean, is_directory }, target, there) {
            Ok(Placement { into, name }) => format!("{} in {}", name.display(), into.display()),
            Err(why) => why,
        }
    }

    #[test]
    fn places_are_docker_cps() {
        for (source, is_directory, target, there, expected) in [
            ("/a/b", true, "/to", There::Directory, "b in /to"),
            ("/a/b/", true, "/to/", There::Directory, "b in /to"),
            ("/a/b/.", true, "/to", There::Directory, ". in /to"),
            ("/", true, "/to", There::Directory, ". in /to"),
            ("/a/b", true, "/to/new", There::Nothing, "new in /to"),
            ("/a/b/.", true, "/to/new/", There::Nothing, "new in /to"),
            ("/a/b", true, "/to/f", There::File, "cannot copy a directory to the file `/to/f`"),
            ("/a/f", false, "/to", There::Directory, "f in /to"),
            ("/a/f", false, "new", There::Nothing, "new in ."),
            ("/a/f", false, "/to/f", There::File, "f in /to"),
            ("/a/f", false, "/to/new/", There::Nothing, "the directory `/to/new/` does not exist"),
            ("/a/f", false, "/to/f/", There::File, "`/to/f/` is not a directory"),
            ("/a/f/", false, "/to", There::Directory, "`/a/f/` is not a directory"),
            ("/a/../f", false, "../x/./y", There::Nothing, "y in ../x"),
        ] {
            assert_eq!(check(source, is_directory, target, there), expected, "{source} to {target}");
        }
    }
}
