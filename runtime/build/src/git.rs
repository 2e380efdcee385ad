//! Contexts and sources from git: the program `git`, told exactly what to do and kept from everything else.
//!
//! ```text
//! <data>/build/git/<hash of the URL>         what was fetched
//!                 /<hash>-<commit>[-git]     the files of a commit, with `.git` or without
//! ```

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcompose_image::Digest;
use rcompose_sys::atomic::{self, TempDir};

use crate::error::{Doing, StepError};
use crate::request::BuildRequest;

/// A repository, what of it, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GitSource {
    url: String,
    /// Branch, tag or commit.
    reference: Option<String>,
    /// Directory.
    subdir: Option<String>,
}

/// The files of a commit.
#[derive(Debug)]
pub(crate) struct Checkout {
    pub(crate) path: PathBuf,
    pub(crate) commit: String,
}

/// Tells whether a source is a repository.
pub(crate) fn is_git(text: &str) -> bool {
    let (url, _) = text.split_once('#').unwrap_or((text, ""));
    let url = url.split('?').next().unwrap_or(url);
    let scheme = ["git://", "ssh://", "git+https://", "git+ssh://", "git+file://"].iter().any(|scheme| url.starts_with(scheme));
    let over_http = (url.starts_with("http://") || url.starts_with("https://")) && url.ends_with(".git");
    scheme
        || over_http
        || url.starts_with("git@")
        || url.starts_with("github.com/")
        || (url.starts_with("file://") && url.ends_with(".git"))
}

impl GitSource {
    /// Reads `URL#reference:directory` or `URL?ref=...&subdir=...`.
    pub(crate) fn parse(text: &str) -> Result<Self, StepError> {
        let invalid = |what: &str| StepError::Invalid(format!("`{text}`: {what}"));
        let (url, fragment) = text.split_once('#').map_or((text, None), |(url, fragment)| (url, Some(fragment)));
        let (url, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
        let (mut reference, mut subdir) = (None, None);
        if let Some(fragment) = fragment {
            let (name, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
            (reference, subdir) = (Some(name), Some(folder));
        }
        for (key, value) in query.into_iter().flat_map(|query| query.split('&')).filter_map(|field| field.split_once('=')) {
            match key {
                "ref" | "branch" | "tag" | "commit" | "checksum" => reference = Some(value),
                "subdir" => subdir = Some(value),
                _ => return Err(invalid(&format!("`{key}` is not known of a repository"))),
            }
        }
        let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let source =
            Self { url: url.strip_prefix("git+").unwrap_or(url).to_owned(), reference: given(reference), subdir: given(subdir) };
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._/-+@".contains(letter);
        if source
            .reference
            .as_ref()
            .is_some_and(|name| name.starts_with('-') || !name.chars().all(allowed) || name.contains(".."))
        {
            return Err(invalid("no branch, tag or commit is called so"));
        }
        if source.url.starts_with('-') || source.url.chars().any(char::is_control) {
            return Err(invalid("no repository is called so"));
        }
        let source = match source.url.strip_prefix("github.com/") {
            Some(path) => Self { url: format!("https://github.com/{path}"), ..source },
            None => source,
        };
        Ok(source)
    }

    /// Has the files of the repository in a directory of their own.
    pub(crate) fn checkout(&self, request: &BuildRequest, folder: &Path, keep_git: bool) -> Result<Checkout, StepError> {
        if request.offline {
            return Err(StepError::Fetch { url: self.shown(), why: "nothing is fetched offline".to_owned() });
        }
        let doing = || format!("keep {}", self.shown());
        std::fs::create_dir_all(folder).doing(doing)?;
        let name = Digest::of(self.url.as_bytes()).hex()[..32].to_owned();
        let repository = folder.join(&name);
        if !repository.join("HEAD").exists() {
            std::fs::create_dir_all(&repository).doing(doing)?;
            self.git(&repository, &["init", "--quiet", "--bare", "."])?;
        }
        crate::cache::note_use(&repository);
        let wanted = self.reference.as_deref().unwrap_or("HEAD");
        self.git(&repository, &["fetch", "--quiet", "--depth=1", "--no-tags", "--force", "--", &self.url, wanted])?;
        let commit = self.git(&repository, &["rev-parse", "--verify", "FETCH_HEAD^{commit}"])?.trim().to_owned();
        let place = folder.join(format!("{name}-{commit}{}", if keep_git { "-git" } else { "" }));
        if !place.is_dir() {
            let scratch = TempDir::below(folder).doing(doing)?;
            std::fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).doing(doing)?;
            let tree = format!("--work-tree={}", scratch.path().display());
            self.git(&repository, &[&tree, "checkout", "--quiet", "--force", &commit, "--", "."])?;
            if keep_git {
                self.keep_git(&repository, scratch.path(), &commit)?;
            }
            match atomic::publish_dir_relaxed(scratch.path(), &place) {
                Ok(()) => drop(scratch.into_path()),
                Err(error) if error.errno() == rustix::io::Errno::EXIST => {}
                Err(error) => return Err(error).doing(doing),
            }
        }
        crate::cache::note_use(&place);
        Ok(Checkout { path: self.below(&place)?, commit })
    }

    /// A repository of the one commit beside its files.
    fn keep_git(&self, repository: &Path, files: &Path, commit: &str) -> Result<(), StepError> {
        self.git(files, &["init", "--quiet", "."])?;
        let from = repository.display().to_string();
        self.git(files, &["fetch", "--quiet", "--depth=1", "--", &from, commit])?;
        self.git(files, &["reset", "--quiet", commit]).map(drop)
    }

    /// The directory that is meant, which is in the repository whatever its links say.
    fn below(&self, place: &Path) -> Result<PathBuf, StepError> {
        let Some(subdir) = &self.subdir else { return Ok(place.to_owned()) };
        let path = place.join(crate::files::relative(subdir));
        let found = path.canonicalize().ok().filter(|found| found.is_dir());
        let top = place.canonicalize().doing(|| format!("open {}", place.display()))?;
        found.filter(|found| found.starts_with(&top)).ok_or_else(|| StepError::NoFile {
            path: subdir.clone(),
            place: self.shown(),
            hint: None,
        })
    }

    /// Without hooks, prompts, or anything of the user's configuration.
    fn git(&self, folder: &Path, arguments: &[&str]) -> Result<String, StepError> {
        let mut command = Command::new("git");
        command.env_clear().envs([
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/nonexistent"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
        ]);
        let safe = [
            "-c",
            "protocol.file.allow=user",
            "-c",
            "protocol.ext.allow=never",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "safe.directory=*",
        ];
        let output = command.args(safe).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
        let missing = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                StepError::Invalid(format!("{} needs the program `git`, which is not installed", self.shown()))
            }
            _ => StepError::System { doing: "run git".to_owned(), source: std::sync::Arc::new(error) },
        };
        let output = output.map_err(missing)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("git ended with an error").to_owned();
        Err(StepError::Fetch { url: self.shown(), why: why.replace(&self.url, &self.shown()) })
    }

    /// Without user and password.
    fn shown(&self) -> String {
        match self.url.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                format!("{scheme}://{}/{path}", host.rsplit('@').next().unwrap_or(host))
            }
            None => self.url.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_as_people_write_them() {
        for (text, expected) in [
            ("https://host/x.git", true),
            ("https://host/x.git#main:sub", true),
            ("https://host/x.tar.gz", false),
            ("git@host:x.git", true),
            ("github.com/a/b", true),
            ("./x.git", false),
        ] {
            assert_eq!(is_git(text), expected, "{text}");
        }
        let parsed = GitSource::parse("https://host/x.git?ref=v1&subdir=a/b").unwrap();
        assert_eq!((parsed.reference.as_deref(), parsed.subdir.as_deref()), (Some("v1"), Some("a/b")));
        for invalid in ["https://host/x.git#--upload-pack=x", "https://host/x.git#a..b", "-x.git", "https://host/x.git?what=1"] {
            assert!(GitSource::parse(invalid).is_err(), "{invalid}");
        }
    }
}
