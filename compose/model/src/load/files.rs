//! How files are read. The model opens nothing else.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::paths::is_remote;

/// The largest file of variables, bytes.
pub(crate) const MAX_ENV_BYTES: u64 = 1 << 20;

/// How files are read.
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
    /// A path with its links followed, if something is there.
    fn follow(&self, path: &Path) -> Option<PathBuf>;
    /// Makes a local copy of a Git repository or an OCI artifact; see [`Remote`].
    ///
    /// # Errors
    /// Why it cannot be fetched, as text.
    fn fetch(&self, reference: &str) -> Result<Remote, String> {
        Err(format!("`{reference}` is not on this machine, and fetching is not possible here"))
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

/// Makes a local file of what may be a reference to something elsewhere.
pub(super) fn fetched(file: PathBuf, files: &dyn Files) -> Result<Fetched, super::Stop> {
    match file.to_str().filter(|text| is_remote(text)) {
        None => Ok(Fetched { path: file, remote: false }),
        Some(reference) => match files.fetch(reference) {
            Ok(remote) => Ok(Fetched { path: remote.file, remote: true }),
            Err(why) => Err(Box::new(Diagnostic::error(Code::File, format!("failed to fetch {reference}: {why}")))),
        },
    }
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
