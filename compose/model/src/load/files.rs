//! How files are read. The model opens nothing else.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::trees::Trees;
use crate::diagnostic::Code;
use crate::node::Spot;
use crate::paths::{is_remote, without_credentials};
use crate::{Diagnostic, Place};

/// The largest file of variables, bytes.
pub(crate) const MAX_ENV_BYTES: u64 = 1 << 20;

/// How files are read.
pub trait Files {
    /// The content of a regular file of at most `limit` bytes; `None` if there is none.
    ///
    /// # Errors
    /// Why it cannot be read, as text.
    fn read(&self, path: &Path, limit: u64) -> Result<Option<String>, String>;
    /// Standard input. Whoever can be asked again remembers it: problems are shown with the lines that they are about.
    ///
    /// # Errors
    /// As [`Files::read`].
    fn read_standard_input(&self, limit: u64) -> Result<String, String>;
    /// Whether there is something at a path.
    fn exists(&self, path: &Path) -> bool;
    /// A path with its links followed, if something is there.
    fn follow(&self, path: &Path) -> Option<PathBuf>;
    /// Where a path leads, links followed; also where nothing is there yet.
    fn lead(&self, path: &Path) -> PathBuf {
        self.follow(path).unwrap_or_else(|| clean(path))
    }
    /// Makes a local copy of a Git repository or an OCI artifact; see [`Remote`]. `by` is the word of a file that names it,
    /// `None` if it is a main file.
    ///
    /// # Errors
    /// Why it cannot be fetched, as text.
    fn fetch(&self, _reference: &str, _by: Option<&Place>) -> Result<Remote, String> {
        Err("it is not on this machine, and fetching is not possible here".to_owned())
    }
}

/// A local copy of something that is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The Compose file.
    pub file: PathBuf,
    /// The folder that no path of the file may leave.
    pub root: PathBuf,
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

    fn follow(&self, path: &Path) -> Option<PathBuf> {
        path.canonicalize().ok()
    }

    fn lead(&self, path: &Path) -> PathBuf {
        led(path)
    }
}

/// Follows links as the kernel does, and goes on by the text where nothing is there.
fn led(path: &Path) -> PathBuf {
    /// As many links as the kernel follows.
    const MAX_LINKS: usize = 40;
    let mut waiting: Vec<OsString> = path.components().rev().map(|component| component.as_os_str().to_owned()).collect();
    let (mut reached, mut links) = (PathBuf::from("/"), 0);
    while let Some(component) = waiting.pop() {
        match component.to_str() {
            Some("/") => reached = PathBuf::from("/"),
            Some(".") => {}
            Some("..") => drop(reached.pop()),
            _ => match std::fs::read_link(reached.join(&component)) {
                Ok(target) if links < MAX_LINKS => {
                    links += 1;
                    waiting.extend(target.components().rev().map(|component| component.as_os_str().to_owned()));
                }
                _ => reached.push(component),
            },
        }
    }
    reached
}

fn limited(source: impl Read, limit: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    source.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("it is larger than {limit} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not valid UTF-8".to_owned())
}

/// A file, fetched if it was elsewhere.
pub(super) struct Fetched {
    pub(super) path: PathBuf,
    pub(super) remote: bool,
}

/// Makes a local file of what may be a reference to something elsewhere; `by` is the word that names it.
pub(super) fn fetched(file: PathBuf, by: Option<&Spot>, files: &dyn Files, trees: &mut Trees) -> Result<Fetched, super::Stop> {
    let Some(reference) = file.to_str().filter(|text| is_remote(text)) else { return Ok(Fetched { path: file, remote: false }) };
    let told = |problem: Diagnostic| match by {
        Some(spot) => Box::new(problem.at(spot).on(reference)),
        None => Box::new(problem),
    };
    let shown = without_credentials(reference);
    let remote = files.fetch(reference, by.map(Spot::place).as_ref());
    let remote = remote.map_err(|why| told(Diagnostic::error(Code::File, format!("failed to fetch {shown}: {why}"))))?;
    let outside = || told(Diagnostic::error(Code::Outside, format!("{shown}: its Compose file is a link that leads out of it")));
    trees.add(shown.clone(), remote.root);
    if trees.leaves(&remote.file, &remote.file, files).is_some() {
        return Err(outside());
    }
    Ok(Fetched { path: remote.file, remote: true })
}

/// Without `.` and `..`, by the text alone.
pub(crate) fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
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

/// The way from one folder to another, both absolute and clean; `.` if they are the same.
pub(super) fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(shared).map(|_| PathBuf::from(".."));
    let way: PathBuf = up.chain(to.components().skip(shared).map(|it| PathBuf::from(it.as_os_str()))).collect();
    if way.as_os_str().is_empty() { PathBuf::from(".") } else { way }
}
