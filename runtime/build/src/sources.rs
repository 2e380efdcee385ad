//! What a build is made from, read: its context, its Dockerfile, what is to be ignored.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcompose_sys::beneath::Root;

use crate::builder::Builder;
use crate::error::BuildError;
use crate::git::GitSource;
use crate::index::Index;
use crate::remote::Remote;
use crate::request::{BuildRequest, ContextSource, DockerfileSource, Outside};
use crate::tree::Tree;
use rcompose_pattern::Ignore;

/// A Dockerfile or ignore file larger than this is none.
const MAX_FILE: u64 = 4 << 20;

/// What a build is made from, read.
pub(crate) struct Sources {
    pub(crate) context: Option<Tree>,
    /// The Dockerfile's name for people, and its text.
    pub(crate) file: String,
    pub(crate) text: String,
}

impl Sources {
    pub(crate) fn open(builder: &Builder, request: &BuildRequest, outside: &dyn Outside) -> Result<Self, BuildError> {
        let keep_git = request.args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR").is_some_and(|text| text == "1" || text == "true");
        let remote = Remote { builder, request, outside };
        let context = request.context.as_ref().map(|context| open_context(&remote, context, keep_git)).transpose()?;
        let (file, text, ignore) = Self::dockerfile(request, context.as_ref())?;
        let mut sources = Self { context, file, text };
        if let Some(context) = &mut sources.context
            && let Some((file, text)) = ignore.or_else(|| of_context(context, ".dockerignore"))
        {
            context.ignore =
                Ignore::parse(&text).map_err(|(line, error)| BuildError::IgnoreFile { file, line, text: error.to_string() })?;
        }
        Ok(sources)
    }

    /// The Dockerfile's name and text, and the ignore file of its own.
    fn dockerfile(request: &BuildRequest, context: Option<&Tree>) -> Result<(String, String, Option<Named>), BuildError> {
        let in_context = |context: &Tree, path: &str| {
            let bytes = context.root.read_regular(path, MAX_FILE).map_err(|error| BuildError::Read {
                file: context.path.join(path.trim_start_matches('/')).display().to_string(),
                source: Arc::new(error.into()),
            })?;
            let ignore = of_context(context, &format!("{path}.dockerignore"));
            let name = context.path.join(path.trim_start_matches('/'));
            Ok((
                name.components().collect::<PathBuf>().display().to_string(),
                String::from_utf8_lossy(&bytes).into_owned(),
                ignore,
            ))
        };
        match (&request.dockerfile, context) {
            (DockerfileSource::Inline(text), _) => Ok(("Dockerfile".to_owned(), text.clone(), None)),
            (DockerfileSource::File(path), _) => {
                let text = read(path)?;
                let mut beside = path.clone().into_os_string();
                beside.push(".dockerignore");
                let beside = PathBuf::from(beside);
                let ignore = if beside.is_file() { Some((beside.display().to_string(), read(&beside)?)) } else { None };
                Ok((path.display().to_string(), text, ignore))
            }
            (DockerfileSource::InContext(path), Some(context)) => in_context(context, path),
            (DockerfileSource::Default, Some(context)) => {
                let lower = context.root.open_path("Dockerfile").is_err() && context.root.open_path("dockerfile").is_ok();
                in_context(context, if lower { "dockerfile" } else { "Dockerfile" })
            }
            (_, None) => Err(BuildError::Unsupported("a build without a context needs its Dockerfile inline".to_owned())),
        }
    }
}

/// A file's name and text.
type Named = (String, String);

fn of_context(context: &Tree, name: &str) -> Option<Named> {
    let text = context.root.read_regular(name, MAX_FILE).ok()?;
    Some((name.to_owned(), String::from_utf8_lossy(&text).into_owned()))
}

fn read(path: &Path) -> Result<String, BuildError> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty());
    let bytes = file.and_then(|file| rcompose_sys::beneath::read_regular(file, MAX_FILE));
    let bytes = bytes.map_err(|errno| BuildError::Read { file: path.display().to_string(), source: Arc::new(errno.into()) })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn open_context(remote: &Remote<'_>, context: &ContextSource, keep_git: bool) -> Result<Tree, BuildError> {
    let cache = &remote.builder.cache;
    let refused = |failure: crate::error::StepError| BuildError::Unsupported(failure.to_string());
    let path = match context {
        ContextSource::Directory(path) => path.clone(),
        ContextSource::Git(text) => {
            let checkout = GitSource::parse(text).and_then(|source| source.checkout(remote.request, &cache.git(), keep_git));
            checkout.map_err(refused)?.path
        }
        ContextSource::Archive(url) => remote.unpacked(url).map_err(refused)?,
    };
    let root = Root::open(&path)
        .map_err(|error| BuildError::Context { context: path.display().to_string(), source: Arc::new(error.into()) })?;
    Ok(Tree { root, ignore: Ignore::default(), index: Some(Index::open(&cache.contexts(), &path)), path })
}
