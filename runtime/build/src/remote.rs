//! ADD of a URL: the file is kept with what its server says of it, and asked for again only if that has changed.
//!
//! ```text
//! <data>/build/urls/<hash of the URL>.json            what the server said, and what the content was
//!                  /<hash of the URL>/<content>/NAME  the file
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use rcompose_image::{Digest, FetchRequest, Fetched};
use rcompose_sys::atomic::{self, TempDir};
use rcompose_sys::beneath::Root;
use rcompose_sys::error::Context;
use rustix::fs::{Timespec, Timestamps};
use serde::{Deserialize, Serialize};

use crate::build::Build;
use crate::builder::Builder;
use crate::cache::note_use;
use crate::error::{Doing, StepError};
use crate::request::{BuildRequest, Outside, SecretSource};
use crate::tree::Tree;
use rcompose_pattern::Ignore;

/// A file larger than this is not fetched.
const MAX_BYTES: u64 = 16 << 30;

/// What is known of a file elsewhere.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    etag: Option<String>,
    modified: Option<String>,
    content: Digest,
}

/// Tells whether a source of ADD is a file elsewhere.
pub(crate) fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// The name that a file gets where only a directory is given.
fn file_name(url: &str) -> String {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let name = path.split_once('/').and_then(|(_, path)| path.rsplit('/').next()).unwrap_or_default();
    let clean: String = name.chars().filter(|letter| !letter.is_control()).collect();
    if matches!(clean.as_str(), "" | "." | "..") || clean.len() > 255 { "download".to_owned() } else { clean }
}

/// Who fetches, for which build.
#[derive(Clone, Copy)]
pub(crate) struct Remote<'a> {
    pub(crate) builder: &'a Builder,
    pub(crate) request: &'a BuildRequest,
    pub(crate) outside: &'a dyn Outside,
}

impl Build<'_> {
    pub(crate) fn elsewhere_files(&self) -> Remote<'_> {
        Remote { builder: self.builder, request: self.request, outside: self.around.outside }
    }

    /// A folder with the one file of a URL in it, and its name.
    pub(crate) fn remote(&self, url: &str, checksum: Option<&str>) -> Result<(Arc<Tree>, PathBuf), StepError> {
        tree(self.elsewhere_files().file(url, checksum)?)
    }
}

impl Remote<'_> {
    /// The files of an archive, in a folder of their own.
    pub(crate) fn unpacked(&self, url: &str) -> Result<PathBuf, StepError> {
        let file = self.file(url, None)?;
        let place = file.parent().unwrap_or(&file).with_extension("files");
        if place.is_dir() {
            return Ok(place);
        }
        let doing = || format!("unpack {}", shown(url));
        let scratch = TempDir::below(place.parent().unwrap_or(&place)).doing(doing)?;
        std::fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).doing(doing)?;
        let archive = std::fs::File::open(&file).doing(doing)?;
        rcompose_image::unpack_files(archive, scratch.path()).map_err(|error| StepError::Fetch {
            url: shown(url),
            why: format!("it is no archive that could be a context: {error}"),
        })?;
        match atomic::publish_dir_relaxed(scratch.path(), &place) {
            Ok(()) => drop(scratch.into_path()),
            // Another build was faster.
            Err(error) if error.errno() == rustix::io::Errno::EXIST => {}
            Err(error) => return Err(error).doing(doing),
        }
        Ok(place)
    }

    /// The file of a URL, as it is now.
    fn file(&self, url: &str, checksum: Option<&str>) -> Result<PathBuf, StepError> {
        let expected = checksum.map(str::parse::<Digest>).transpose();
        let expected = expected.map_err(|error| StepError::Invalid(format!("--checksum: {error}")))?;
        let name = file_name(url);
        let place = self.builder.cache.urls().join(&Digest::of(url.as_bytes()).hex()[..32]);
        let record = place.with_extension("json");
        let known: Option<Known> = std::fs::read(&record).ok().and_then(|json| serde_json::from_slice(&json).ok());
        note_use(&place);
        let file = |content: &Digest| place.join(content.hex()).join(&name);
        let known = known.filter(|known| file(&known.content).is_file());
        if let Some(known) = known.as_ref().filter(|known| expected.as_ref() == Some(&known.content)) {
            return Ok(file(&known.content));
        }
        let doing = || format!("keep {}", shown(url));
        std::fs::create_dir_all(&place).doing(doing)?;
        let scratch = TempDir::below(&place).doing(doing)?;
        let target = scratch.path().join(&name);
        let request = FetchRequest {
            url: url.to_owned(),
            etag: known.as_ref().and_then(|known| known.etag.clone()),
            modified: known.as_ref().and_then(|known| known.modified.clone()),
            authorization: self.authorization(url)?,
            limit: MAX_BYTES,
        };
        let failed = |why: String| StepError::Fetch { url: shown(url), why };
        let fetched = self.outside.fetch(&request, &target).map_err(|failure| failed(failure.0))?;
        let content = match (fetched, known) {
            (None, Some(known)) => known.content,
            (None, None) => return Err(failed("the server says that it is what it was, and it was not here".to_owned())),
            (Some(fetched), _) => {
                let content = self.keep(scratch, &target, &fetched, &file).doing(doing)?;
                let known = Known { etag: fetched.etag, modified: fetched.modified, content: content.clone() };
                let json = serde_json::to_vec(&known).expect("texts have a JSON form");
                atomic::write_file_relaxed(&record, &json, 0o600).doing(doing)?;
                content
            }
        };
        match expected {
            Some(expected) if expected != content => Err(failed(format!("its content is {content}, expected {expected}"))),
            _ => Ok(file(&content)),
        }
    }

    /// Describes what came, and gives it its place.
    fn keep(
        &self,
        scratch: TempDir,
        target: &std::path::Path,
        fetched: &Fetched,
        file: &dyn Fn(&Digest) -> PathBuf,
    ) -> rcompose_sys::Result<Digest> {
        let path = || format!("{target:?}");
        let opened = std::fs::File::open(target).during("open", path)?;
        let digest = crate::tree::hash(&opened.into(), target)?;
        let content: Digest = digest.parse().expect("a digest that was just taken");
        std::fs::set_permissions(target, std::os::unix::fs::PermissionsExt::from_mode(0o600)).during("chmod", path)?;
        let modified = fetched.modified.as_deref().and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
        let seconds = modified.map_or(0, |time| time.timestamp().as_second());
        let time = Timespec { tv_sec: self.request.epoch().unwrap_or(seconds), tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(rustix::fs::CWD, target, &times, rustix::fs::AtFlags::empty()).during("utimensat", path)?;
        let kept = file(&content);
        match atomic::publish_dir_relaxed(scratch.path(), kept.parent().unwrap_or(&kept)) {
            Ok(()) => drop(scratch.into_path()),
            // It came before, or another build was faster.
            Err(error) if error.errno() == rustix::io::Errno::EXIST => {}
            Err(error) => return Err(error),
        }
        Ok(content)
    }

    /// What the build's secrets say to the host of a URL.
    fn authorization(&self, url: &str) -> Result<Option<String>, StepError> {
        let host = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or(host);
        let read = |name: String| -> Result<Option<String>, StepError> {
            match self.request.secrets.get(&name) {
                None => Ok(None),
                Some(SecretSource::Value(value)) => Ok(Some(value.trim().to_owned())),
                Some(SecretSource::File(path)) => {
                    let text = std::fs::read_to_string(path).doing(|| format!("read the secret `{name}`"))?;
                    Ok(Some(text.trim().to_owned()))
                }
            }
        };
        if let Some(header) = read(format!("HTTP_AUTH_HEADER_{host}"))? {
            return Ok(Some(header));
        }
        Ok(read(format!("HTTP_AUTH_TOKEN_{host}"))?.map(|token| format!("Bearer {token}")))
    }
}

/// Without user and password.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = host.rsplit('@').next().unwrap_or(host);
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}

fn tree(file: PathBuf) -> Result<(Arc<Tree>, PathBuf), StepError> {
    let folder = file.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
    let root = Root::open(&folder).doing(|| format!("open {}", folder.display()))?;
    let name = file.file_name().map(PathBuf::from).unwrap_or_default();
    Ok((Arc::new(Tree { root, path: folder, ignore: Ignore::default(), index: None }), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_component_and_passwords_are_not_shown() {
        for (url, name) in [
            ("https://host/a/b.tar.gz?x=1", "b.tar.gz"),
            ("https://host/", "download"),
            ("https://host", "download"),
            ("https://host/a/..", "download"),
            ("https://host/a%2fb", "a%2fb"),
        ] {
            assert_eq!(file_name(url), name, "{url}");
        }
        assert_eq!(shown("https://user:secret@host/a"), "https://host/a");
    }
}
