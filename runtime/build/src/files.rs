//! COPY, ADD and WORKDIR: what they take, what that is by content, and the layer it becomes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcompose_image::{Digest, NewLayer, View};
use rcompose_sys::beneath::Root;
use rcompose_sys::overlay;
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::build::Build;
use crate::cache::{Inputs, Made};
use crate::copy::{Arrival, Copier};
use crate::dockerfile::{Copy, CopySource, Place, Problem, Quotes, Rule, expand};
use crate::error::{Doing, StepError};
use crate::git::GitSource;
use crate::owner::{Chmod, parse_owner};
use crate::request::NamedContext;
use crate::sources::open_context;
use crate::stage::{StageRun, Step};
use crate::state::{State, expand_one};
use crate::tree::{Entry, Hashing, Tree, manifest};
use rcompose_pattern::{Ignore, Pattern};

/// What files are taken from.
#[derive(Clone)]
pub(crate) struct Origin {
    /// The build context, stage `x`.
    pub(crate) name: String,
    pub(crate) from: Whence,
    /// Files stay whose they are; those of a context become root's.
    keeps_owner: bool,
}

/// Where that is.
#[derive(Clone)]
pub(crate) enum Whence {
    /// A directory of the host.
    Directory(Arc<Tree>),
    /// Layers, lowest first.
    Layers(Vec<Digest>),
}

/// What one source comes to.
struct Group {
    /// As written.
    source: String,
    /// The part of the path that is left away with `--parents`.
    pivot: PathBuf,
    entries: Vec<Entry>,
    /// What they are in, if it is not what the instruction copies from.
    tree: Option<Arc<Tree>>,
    /// They came from elsewhere: archives stay whole unless the instruction says otherwise.
    remote: bool,
}

/// A file that stands in the Dockerfile.
struct Inline {
    name: String,
    content: String,
}

/// An instruction with its values.
struct Said {
    keyword: &'static str,
    sources: Vec<String>,
    excludes: Vec<String>,
    inlines: Vec<Inline>,
    target: PathBuf,
    /// What is copied goes into the target, whatever is there.
    into: bool,
    parents: bool,
    link: bool,
    arrival: Arrival,
    unpack: bool,
    /// Archives from elsewhere are unpacked too.
    unpack_remote: bool,
    /// Whose files of archives become; their own if not given.
    chown: Option<(u32, u32)>,
}

impl Said {
    /// Everything that decides what becomes of the files.
    fn text(&self) -> String {
        format!(
            "{} {:?} {:?} into {} parents {} link {} unpack {} {} owner {:?} mode {:?} excludes {:?}",
            self.keyword,
            self.sources,
            self.target,
            self.into,
            self.parents,
            self.link,
            self.unpack,
            self.unpack_remote,
            self.arrival.owner,
            self.arrival.chmod,
            self.excludes,
        )
    }
}

/// What the sources of an instruction are.
struct Found {
    tree: Arc<Tree>,
    groups: Vec<Group>,
}

impl Build<'_> {
    /// What `--from` names; without it, the context.
    pub(crate) fn origin(&self, from: Option<&str>, before: usize) -> Result<Origin, StepError> {
        let Some(name) = from else {
            let tree =
                self.context.clone().ok_or_else(|| StepError::Invalid("this build has no context to copy from".to_owned()))?;
            return Ok(Origin { name: "the build context".to_owned(), from: Whence::Directory(tree), keeps_owner: false });
        };
        let layers = |layers: Vec<Digest>| Origin { name: format!("`{name}`"), from: Whence::Layers(layers), keeps_owner: true };
        match self.request.contexts.get(name) {
            Some(NamedContext::Files(files)) => {
                let opened =
                    self.directories[name].get_or_init(|| open_context(&self.elsewhere_files(), files, false).map(Arc::new));
                let tree = opened.clone().map_err(|error| StepError::Stage(Box::new(error)))?;
                return Ok(Origin { name: format!("context `{name}`"), from: Whence::Directory(tree), keeps_owner: false });
            }
            Some(NamedContext::Image(image)) => return Ok(layers(self.image(image)?.rootfs.diff_ids)),
            Some(NamedContext::Layout { folder, name }) => return Ok(layers(self.layout(folder, name)?.rootfs.diff_ids)),
            Some(NamedContext::Stage(stage)) => {
                let index = self.file.stage(stage).filter(|index| *index < before);
                let index = index.ok_or_else(|| {
                    StepError::Invalid(format!("context `{name}` is stage `{stage}`, which is not before this one"))
                })?;
                return Ok(layers(self.stage_state(index)?.layers));
            }
            None => {}
        }
        match self.file.stage_before(name, before) {
            Some(index) => Ok(layers(self.stage_state(index)?.layers)),
            None => Ok(layers(self.image(name)?.rootfs.diff_ids)),
        }
    }

    /// Opens what an origin is.
    pub(crate) fn open_origin(&self, origin: &Origin) -> Result<Arc<Tree>, StepError> {
        match &origin.from {
            Whence::Directory(tree) => Ok(tree.clone()),
            Whence::Layers(layers) => {
                let root = self.open_view(&self.held.view(layers))?;
                Ok(Arc::new(Tree { root, path: PathBuf::new(), ignore: Ignore::default(), index: None }))
            }
        }
    }

    /// Opens merged layers to read.
    pub(crate) fn open_view(&self, view: &View) -> Result<Root, StepError> {
        let opened = match view.lower.as_slice() {
            [] => Root::open(&self.builder.cache.empty()),
            [only] => Root::open(only),
            layers => overlay::read_only(layers),
        };
        opened.doing(|| "open the layers".to_owned())
    }

    /// Has something write on top of layers, and makes a layer of it.
    pub(crate) fn write_layer(
        &self,
        below: &View,
        write: &dyn Fn(&Root, &NewLayer) -> Result<(), StepError>,
    ) -> Result<Digest, StepError> {
        let store = self.builder.engine.images();
        let new = store.new_layer(below)?;
        let lower = if below.lower.is_empty() { vec![self.builder.cache.empty()] } else { below.lower.clone() };
        let root = overlay::writable(&lower, &new.upper(), &new.work()).doing(|| "open the layers to write".to_owned())?;
        write(&root, &new)?;
        // The overlay goes before its upper directory becomes a layer.
        drop(root);
        Ok(store.commit(new, self.epoch(), &self.held)?)
    }
}

impl StageRun<'_> {
    pub(crate) fn copy(&self, state: &State, copy: &Copy, step: &Step) -> Result<(Made, bool), StepError> {
        let origin = self.build.origin(copy.from.as_deref(), self.index)?;
        let said = self.said(state, copy, &origin)?;
        let below = if copy.link { Vec::new() } else { state.layers.clone() };
        let found = OnceLock::new();
        let find = || -> Result<&Found, StepError> {
            if found.get().is_none() {
                let tree = self.build.open_origin(&origin)?;
                let groups = self.groups(copy, &said, &origin, &tree)?;
                // Nobody else does it: this is one step's.
                let _ = found.set(Found { tree, groups });
            }
            Ok(found.get().expect("it has just been found"))
        };
        let inputs = self.inputs_of_copy(&said, &origin, &below, &find)?;
        self.cached(step, &inputs, &|| {
            let view = self.build.held.view(&below);
            let found = find()?;
            let layer = self.build.write_layer(&view, &|root, new| arrive(root, found, &said, new))?;
            Ok(Made::here(Some(layer), self.build.now()))
        })
    }

    /// An instruction with its values.
    fn said(&self, state: &State, copy: &Copy, origin: &Origin) -> Result<Said, StepError> {
        let values = state.values(&self.scope);
        let one = |text: &str| expand_one(text, &self.scope, &values);
        let mut target = one(&copy.target)?;
        if target == "." {
            target = "./".to_owned();
        }
        let excludes = copy.excludes.iter().map(|text| one(text)).collect::<Result<Vec<_>, _>>()?;
        let (mut sources, mut inlines) = (Vec::new(), Vec::new());
        for source in &copy.sources {
            match source {
                CopySource::Path(text) => sources.push(one(text)?),
                CopySource::Inline(heredoc) => {
                    let content = heredoc.content();
                    let content = if heredoc.head.expands {
                        let expanded = expand(&content, self.scope.escape, Quotes::Kept, &values);
                        expanded.map_err(|error| StepError::Invalid(error.to_string()))?
                    } else {
                        content
                    };
                    inlines.push(Inline { name: heredoc.head.name.clone(), content });
                }
            }
        }
        let keyword = if copy.add { "ADD" } else { "COPY" };
        let into = target.ends_with('/') || target.ends_with("/.") || copy.parents;
        if copy.sources.len() > 1 && !into {
            let text = format!("{keyword} of more than one source needs a directory to copy to: end `{target}` with a slash");
            return Err(StepError::Invalid(text));
        }
        let names = || {
            let view = self.build.held.view(&state.layers);
            self.build.open_view(&view).map(Some)
        };
        let chown = copy.chown.as_deref().map(|text| parse_owner(&one(text)?, &names)).transpose()?;
        let owner = chown.or(if origin.keeps_owner { None } else { Some((0, 0)) });
        let chmod = copy.chmod.as_deref().map(|text| Chmod::parse(&one(text)?)).transpose()?;
        Ok(Said {
            keyword,
            sources,
            excludes,
            inlines,
            target: relative(&state.resolve(&target)),
            into,
            parents: copy.parents,
            link: copy.link,
            arrival: Arrival { owner, chmod, stamp: self.stamp(state) },
            unpack: copy.add && copy.unpack != Some(false),
            unpack_remote: copy.add && copy.unpack == Some(true),
            chown,
        })
    }

    /// What the sources are.
    fn groups(&self, copy: &Copy, said: &Said, origin: &Origin, tree: &Tree) -> Result<Vec<Group>, StepError> {
        let excludes =
            said.excludes.iter().map(|text| Pattern::parse(text).map_err(|error| StepError::Invalid(error.to_string())));
        let excludes = Ignore::of(excludes.collect::<Result<Vec<_>, _>>()?);
        let mut groups = Vec::new();
        for source in &said.sources {
            if copy.add && (crate::git::is_git(source) || crate::remote::is_url(source)) {
                groups.push(self.elsewhere(source, copy, &excludes)?);
                continue;
            }
            self.find(source, copy, origin, tree, &excludes, &mut groups)?;
        }
        Ok(groups)
    }

    /// What a repository or the file of a URL is.
    fn elsewhere(&self, source: &str, copy: &Copy, excludes: &Ignore) -> Result<Group, StepError> {
        let (tree, top) = if crate::git::is_git(source) {
            let repository = GitSource::parse(source)?;
            let checkout = repository.checkout(self.build.request, &self.build.builder.cache.git(), copy.keep_git_dir)?;
            if let Some(expected) = copy.checksum.as_deref().filter(|expected| !checkout.commit.starts_with(*expected)) {
                let why = format!("the commit is {}, expected {expected}", checkout.commit);
                return Err(StepError::Fetch { url: source.to_owned(), why });
            }
            let root = Root::open(&checkout.path).doing(|| format!("open {}", checkout.path.display()))?;
            (Arc::new(Tree { root, path: checkout.path, ignore: Ignore::default(), index: None }), PathBuf::new())
        } else {
            self.build.remote(source, copy.checksum.as_deref())?
        };
        let entries = tree.walk(&top, excludes, Hashing::Yes).doing(|| format!("read {source}"))?;
        Ok(Group { source: source.to_owned(), pivot: PathBuf::new(), entries, tree: Some(tree), remote: true })
    }

    /// What a source of the instruction is.
    fn find(
        &self,
        source: &str,
        copy: &Copy,
        origin: &Origin,
        tree: &Tree,
        excludes: &Ignore,
        groups: &mut Vec<Group>,
    ) -> Result<(), StepError> {
        let doing = || format!("read `{source}` in {}", origin.name);
        let pivot = source.split_once("/./").map(|(pivot, _)| relative(pivot)).unwrap_or_default();
        let paths = tree.matching(source).doing(doing)?;
        let excluded = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            excludes.ignores(&name) || excludes.ignores(&path.to_string_lossy())
        };
        for path in paths.into_iter().filter(|path| !Pattern::is_one(source) || !excluded(path)) {
            match tree.walk(&path, excludes, Hashing::Yes) {
                Ok(entries) => {
                    groups.push(Group { source: source.to_owned(), pivot: pivot.clone(), entries, tree: None, remote: false })
                }
                // What a pattern finds may lead nowhere; that is no file.
                Err(error) if error.errno() == Errno::NOENT && Pattern::is_one(source) => {}
                Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => {
                    let ignored = copy.from.is_none() && tree.ignore.ignores(&path.to_string_lossy());
                    let hint = ignored.then(|| "the ignore file keeps it away".to_owned());
                    return Err(StepError::NoFile { path: source.to_owned(), place: origin.name.clone(), hint });
                }
                Err(error) => return Err(error).doing(doing),
            }
        }
        Ok(())
    }

    /// What the step depends on. Layers never change: what was found out about them once needs no second look.
    fn inputs_of_copy<'f>(
        &self,
        said: &Said,
        origin: &Origin,
        below: &[Digest],
        find: &dyn Fn() -> Result<&'f Found, StepError>,
    ) -> Result<Inputs, StepError> {
        let cache = &self.build.builder.cache;
        let mut inputs = Inputs::new(below, &said.text());
        match &origin.from {
            Whence::Directory(_) => {
                for group in &find()?.groups {
                    let (text, digest) = manifest(&group.entries, origin.keeps_owner);
                    cache.keep_list(&digest, &text);
                    inputs.files(&format!("`{}`", group.source), &digest);
                }
            }
            Whence::Layers(layers) => {
                let layers: String = layers.iter().map(Digest::hex).collect();
                let what = format!("{layers} {:?} {:?}", said.sources, said.excludes);
                let known = match cache.recall(&what) {
                    Some(known) => known,
                    None => {
                        let lists: String =
                            find()?.groups.iter().map(|group| manifest(&group.entries, origin.keeps_owner).0).collect();
                        let digest = Digest::of(lists.as_bytes());
                        cache.remember(&what, &digest);
                        digest
                    }
                };
                inputs.add(&format!("what is copied from {}", origin.name), known.hex());
            }
        }
        for inline in &said.inlines {
            inputs.add(&format!("the text of `{}`", inline.name), &inline.content);
        }
        if let Some(epoch) = self.build.epoch() {
            inputs.add("SOURCE_DATE_EPOCH", &epoch.to_string());
        }
        Ok(inputs)
    }

    /// The time of what has none, seconds since 1970: that of the layers below.
    fn stamp(&self, state: &State) -> i64 {
        let created = state.image.created.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        self.build.epoch().or(created.map(jiff::Timestamp::as_second)).unwrap_or(0)
    }

    pub(crate) fn workdir(&self, state: &mut State, text: &str, place: Place, step: &Step) -> Result<(Made, bool), StepError> {
        let values = state.values(&self.scope);
        // Only to learn what has no value.
        expand_one(text, &self.scope, &values)?;
        self.undefined(place, values.missing.take());
        let (path, relative_to_root) = state.work_in(text, &self.scope)?;
        if relative_to_root {
            let text = format!("`{text}` is relative, and nothing before says to what: write an absolute path");
            self.build.problem(Problem { place, text, hint: None, rule: Some(Rule::WorkdirRelativePath) });
        }
        let mut inputs = Inputs::new(&state.layers, &format!("WORKDIR {path}"));
        if let Some(epoch) = self.build.epoch() {
            inputs.add("SOURCE_DATE_EPOCH", &epoch.to_string());
        }
        let stamp = self.stamp(state);
        let view = self.build.held.view(&state.layers);
        self.cached(step, &inputs, &|| {
            let created = state.image.created.clone().unwrap_or_else(|| self.build.now());
            let known = self.build.open_view(&view)?.open_path(&path).and_then(rcompose_sys::beneath::file_type);
            if known.is_ok_and(|kind| kind == FileType::Directory) {
                return Ok(Made::here(None, created));
            }
            let layer = self.build.write_layer(&view, &|root, _| {
                let mut copier = Copier::new(root, Arrival { stamp, ..Arrival::default() });
                let made = copier.ensure_dir(&relative(&path), false);
                made.and_then(|_| copier.finish()).doing(|| format!("make {path}"))
            })?;
            Ok(Made::here(Some(layer), self.build.now()))
        })
    }
}

/// A path of an image from its root.
pub(crate) fn relative(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect()
}

/// Copies what is wanted into a tree.
fn arrive(root: &Root, found: &Found, wanted: &Said, new: &NewLayer) -> Result<(), StepError> {
    let mut copier = Copier::new(root, wanted.arrival.clone());
    let doing = || format!("copy to /{}", wanted.target.display());
    let several = found.groups.len() + wanted.inlines.len() > 1;
    let into = wanted.into || several || copier.is_dir(&wanted.target);
    for group in &found.groups {
        let Some(first) = group.entries.first() else { continue };
        let tree = group.tree.as_deref().unwrap_or(&found.tree);
        let unpack = if group.remote { wanted.unpack_remote } else { wanted.unpack };
        let top = &first.path;
        if unpack && first.kind == FileType::RegularFile && crate::archive::is_archive(tree, top) {
            let mut unpacked = Copier::new(root, Arrival { owner: wanted.chown, ..wanted.arrival.clone() });
            crate::archive::unpack(tree, top, &mut unpacked, &wanted.target, new.folder())?;
            unpacked.finish().doing(doing)?;
            continue;
        }
        let base = if wanted.parents {
            wanted.target.join(top.strip_prefix(&group.pivot).unwrap_or(top))
        } else if first.is_dir() || !into {
            wanted.target.clone()
        } else {
            wanted.target.join(top.file_name().unwrap_or_default())
        };
        for entry in &group.entries {
            let below = entry.path.strip_prefix(top).unwrap_or(Path::new(""));
            let to = if below.as_os_str().is_empty() { base.clone() } else { base.join(below) };
            copier.entry(tree, entry, &to).doing(|| format!("copy {:?}", entry.path))?;
        }
        if first.is_dir() {
            copier.ensure_dir(&base, true).doing(doing)?;
        }
    }
    for inline in &wanted.inlines {
        let to = if into { wanted.target.join(&inline.name) } else { wanted.target.clone() };
        copier.file(inline.content.as_bytes(), 0o644, &to).doing(doing)?;
    }
    copier.finish().doing(doing)
}
