//! Builds: a request to an image. One builder for all of a data root.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rcompose_engine::Engine;
use rcompose_image::{Digest, Held, InvalidPlatform, Lease, Platform, RootFs};
use rcompose_sys::beneath::Root;

use crate::cache::{Cache, Made};
use crate::dockerfile::{Dockerfile, Kind, Place, Problem, Rule};
use crate::error::BuildError;
use crate::event::{BuildEvent, Excerpt};
use crate::git::GitSource;
use crate::index::Index;
use crate::pattern::Ignore;
use crate::platform;
use crate::request::{BuildRequest, ContextSource, DockerfileSource, Outside, Watch};
use crate::scheduler::{Cancel, Scheduler};
use crate::state::{Scope, State};
use crate::tree::Tree;

/// A Dockerfile or ignore file larger than this is none.
const MAX_FILE: u64 = 4 << 20;

/// Builds images.
pub struct Builder {
    pub(crate) engine: Arc<Engine>,
    pub(crate) cache: Cache,
    pub(crate) scheduler: Scheduler,
    /// Layers of steps that are known: they outlive the images that have them, until the cache is pruned.
    kept: Mutex<BTreeMap<Digest, Lease>>,
    /// How many builds run: while one does, what others made may not be on disk.
    pub(crate) active: Mutex<usize>,
}

/// What a build came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The image.
    pub image: Digest,
    /// Every step was taken from the cache.
    pub cached: bool,
}

impl Builder {
    /// Opens the build cache at `root`. At most `steps` steps of all builds run at a time.
    pub fn open(engine: Arc<Engine>, root: &Path, steps: usize) -> std::io::Result<Self> {
        let (cache, scheduler) = (Cache::open(root)?, Scheduler::new(steps.max(1)));
        let builder = Self { engine, cache, scheduler, kept: Mutex::default(), active: Mutex::new(0) };
        builder.cache.steps().into_iter().for_each(|(_, made)| builder.keep(&made));
        Ok(builder)
    }

    /// Keeps the layer of a step for the builds to come.
    pub(crate) fn keep(&self, made: &Made) {
        if let Some(layer) = &made.layer {
            let lease = || self.engine.images().lease([layer.clone()]);
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).entry(layer.clone()).or_insert_with(lease);
        }
    }

    /// No longer keeps a layer: it is whoever's that has it.
    pub(crate) fn let_go(&self, layer: &Digest) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(layer);
    }

    /// Builds an image, and has its names stand for it. Blocks until it is done.
    pub fn build(
        &self,
        request: &BuildRequest,
        pull: &dyn Outside,
        watch: &Watch<'_>,
        cancel: &Cancel,
    ) -> Result<Built, BuildError> {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let session = self.engine.build_session();
        let built = self.run(request, pull, watch, cancel);
        drop(session);
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        built
    }

    /// Looks at the Dockerfile of a request; gives all that is wrong with it.
    pub fn check(&self, request: &BuildRequest) -> Result<(String, Vec<Problem>), BuildError> {
        let sources = Sources::open(self, request)?;
        let (_, problems) = Dockerfile::parse(sources.text.as_bytes());
        Ok((sources.file, problems))
    }

    fn run(&self, request: &BuildRequest, pull: &dyn Outside, watch: &Watch<'_>, cancel: &Cancel) -> Result<Built, BuildError> {
        let sources = Sources::open(self, request)?;
        let build = Build::prepare(self, request, sources, Surroundings { pull, watch, cancel })?;
        let target = build.target()?;
        build.start_early(target);
        let state = match build.stage(target) {
            Ok(state) => state.clone(),
            // The first that failed had the others stop.
            Err(error) => return Err(build.first_failure().unwrap_or_else(|| error.clone())),
        };
        if let Some(index) = build.context.as_ref().and_then(|context| context.index.as_ref()) {
            index.save();
        }
        build.unused_arguments();
        build.finish(state)
    }

    /// Has everything on disk that builds made, as far as no other build goes on.
    fn sync(&self) -> Result<(), BuildError> {
        self.engine.images().sync()?;
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if *active == 1 {
            self.cache.synced();
        }
        Ok(())
    }
}

/// What a build is made from, read.
struct Sources {
    context: Option<Tree>,
    /// The Dockerfile's name for people, and its text.
    file: String,
    text: String,
}

impl Sources {
    fn open(builder: &Builder, request: &BuildRequest) -> Result<Self, BuildError> {
        let keep_git = request.args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR").is_some_and(|text| text == "1" || text == "true");
        let context = request.context.as_ref().map(|context| open_context(builder, request, context, keep_git)).transpose()?;
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

pub(crate) fn open_context(
    builder: &Builder,
    request: &BuildRequest,
    context: &ContextSource,
    keep_git: bool,
) -> Result<Tree, BuildError> {
    let path = match context {
        ContextSource::Directory(path) => path.clone(),
        ContextSource::Git(text) => {
            let checkout = GitSource::parse(text).and_then(|source| source.checkout(request, &builder.cache.git(), keep_git));
            checkout.map_err(|failure| BuildError::Unsupported(failure.to_string()))?.path
        }
    };
    let root = Root::open(&path)
        .map_err(|error| BuildError::Context { context: path.display().to_string(), source: Arc::new(error.into()) })?;
    Ok(Tree { root, ignore: Ignore::default(), index: Some(Index::open(&builder.cache.contexts(), &path)), path })
}

/// Who pulls, who watches, who says stop.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) pull: &'a dyn Outside,
    pub(crate) watch: &'a Watch<'a>,
    pub(crate) cancel: &'a Cancel,
}

/// One build.
pub(crate) struct Build<'a> {
    pub(crate) builder: &'a Builder,
    pub(crate) request: &'a BuildRequest,
    pub(crate) around: Surroundings<'a>,
    pub(crate) file: Dockerfile,
    file_name: String,
    text: String,
    pub(crate) context: Option<Arc<Tree>>,
    /// Other directories, opened when they are needed.
    pub(crate) directories: BTreeMap<String, OnceLock<Result<Arc<Tree>, BuildError>>>,
    globals: BTreeMap<String, String>,
    pub(crate) platform: Platform,
    pub(crate) held: Held,
    /// What each stage comes to, once somebody needs it.
    stages: Vec<OnceLock<Result<State, BuildError>>>,
    failure: Mutex<Option<BuildError>>,
    steps: AtomicU32,
    /// Something was made rather than found.
    pub(crate) made: AtomicBool,
}

impl<'a> Build<'a> {
    fn prepare(
        builder: &'a Builder,
        request: &'a BuildRequest,
        sources: Sources,
        around: Surroundings<'a>,
    ) -> Result<Self, BuildError> {
        let Sources { context, file: file_name, text } = sources;
        let (file, problems) = Dockerfile::parse(text.as_bytes());
        let told = problems.iter().filter(|problem| !problem.is_error());
        for problem in told {
            (around.watch)(BuildEvent::Problem { file: file_name.clone(), problem: problem.clone() });
        }
        let Some(file) = file else {
            let problems = problems.into_iter().filter(Problem::is_error).collect();
            return Err(BuildError::Dockerfile { file: file_name, problems });
        };
        let platform = match &request.platform {
            Some(text) => text.parse().map_err(|error: InvalidPlatform| BuildError::Unsupported(error.to_string()))?,
            None => Platform::host(),
        };
        if !platform::runs_here(&platform) {
            let text =
                format!("programs for {platform} do not run on this machine: install qemu-user-static with binfmt support");
            return Err(BuildError::Unsupported(text));
        }
        let stages = file.stages.iter().map(|_| OnceLock::new()).collect();
        let directories = request.contexts.keys().map(|name| (name.clone(), OnceLock::new())).collect();
        let mut build = Self {
            builder,
            request,
            around,
            file,
            file_name,
            text,
            context: context.map(Arc::new),
            directories,
            globals: BTreeMap::new(),
            platform,
            held: Held::new(builder.engine.images().clone()),
            stages,
            failure: Mutex::new(None),
            steps: AtomicU32::new(0),
            made: AtomicBool::new(false),
        };
        build.frontend();
        build.globals = build.global_values()?;
        Ok(build)
    }

    /// The language is built in; an image that would speak another is named.
    fn frontend(&self) {
        let syntax = self.request.args.get("BUILDKIT_SYNTAX").or(self.file.directives.syntax.as_ref());
        let known = |name: &str| {
            let name = name.strip_prefix("docker.io/").unwrap_or(name);
            ["docker/dockerfile:1", "docker/dockerfile-upstream", "docker/dockerfile"].iter().any(|known| name.starts_with(known))
        };
        if let Some(name) = syntax.filter(|name| !known(name)) {
            let text = format!("`# syntax={name}` names another builder: it is not run, the file is read as a Dockerfile");
            self.tell(BuildEvent::Warning { text });
        }
    }

    /// ARG before the first stage, in order; the platform before all.
    fn global_values(&self) -> Result<BTreeMap<String, String>, BuildError> {
        let target = self.request.target.as_deref().unwrap_or("default");
        let mut globals = platform::arguments(&self.platform, target);
        for (name, value) in &self.request.args {
            if globals.contains_key(name) {
                globals.insert(name.clone(), value.clone());
            }
        }
        for instruction in &self.file.globals {
            let Kind::Arg(arguments) = &instruction.kind else { continue };
            for (name, default) in arguments {
                let value = match (self.request.args.get(name), default) {
                    (Some(given), _) => Some(given.clone()),
                    (None, Some(default)) => Some(self.expand_global(default, &globals, instruction.place)?),
                    (None, None) => None,
                };
                if let Some(value) = value {
                    globals.insert(name.clone(), value);
                }
            }
        }
        Ok(globals)
    }

    /// Expands a text outside of stages.
    fn expand_global(&self, text: &str, globals: &BTreeMap<String, String>, place: Place) -> Result<String, BuildError> {
        use crate::dockerfile::{Quotes, expand};
        let value = |name: &str| {
            globals.get(name).or_else(|| self.request.args.get(name).filter(|_| Scope::is_predefined(name))).cloned()
        };
        let expanded = expand(text, self.file.directives.escape, Quotes::Removed, &value);
        expanded.map_err(|error| BuildError::Dockerfile {
            file: self.file_name.clone(),
            problems: vec![Problem { place, text: error.to_string(), hint: None, rule: None }],
        })
    }

    /// Expands what a FROM says; names without a value are told.
    pub(crate) fn expand_from(&self, text: &str, place: Place) -> Result<String, BuildError> {
        let plain = text.trim_start_matches('$').trim_matches(['{', '}']);
        if text.starts_with('$')
            && !self.globals.contains_key(plain)
            && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            let text = format!("FROM asks for ARG `{plain}`, which has no value before the first stage");
            self.problem(Problem { place, text, hint: None, rule: Some(Rule::UndefinedArgInFrom) });
        }
        self.expand_global(text, &self.globals, place)
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope {
            given: self.request.args.clone(),
            globals: self.globals.clone(),
            escape: self.file.directives.escape,
            epoch: self.epoch().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).map(|time| time.to_string()),
        }
    }

    /// When everything is said to have happened, seconds since 1970.
    pub(crate) fn epoch(&self) -> Option<i64> {
        self.request.args.get("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok())
    }

    /// Now, or when everything is said to have happened; RFC 3339.
    pub(crate) fn now(&self) -> String {
        let epoch = self.epoch().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        epoch.unwrap_or_else(jiff::Timestamp::now).to_string()
    }

    fn target(&self) -> Result<usize, BuildError> {
        match &self.request.target {
            None => Ok(self.file.stages.len() - 1),
            Some(name) => self.file.stage(name).ok_or_else(|| BuildError::NoTarget(name.clone())),
        }
    }

    pub(crate) fn stage(&self, index: usize) -> &Result<State, BuildError> {
        self.stages[index].get_or_init(|| {
            let outcome = self.run_stage(index);
            if let Err(error) = &outcome {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                let first = failure.is_none() && !self.around.cancel.is_cancelled();
                if first {
                    *failure = Some(error.clone());
                }
                drop(failure);
                // The others would work for nothing.
                self.around.cancel.cancel();
            }
            outcome
        })
    }

    fn first_failure(&self) -> Option<BuildError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins the stages that the target needs, each on a thread: who needs one waits for it.
    fn start_early(&self, target: usize) {
        const THREADS: usize = 16;
        let needed = self.needed(target);
        let others: Vec<usize> = needed.into_iter().filter(|index| *index != target).take(THREADS).collect();
        if others.is_empty() {
            return;
        }
        std::thread::scope(|scope| {
            for index in others {
                let begun = std::thread::Builder::new().name("build".to_owned()).spawn_scoped(scope, move || {
                    // What it comes to is kept for those who need it.
                    let _ = self.stage(index);
                });
                // Without a thread it is built by whoever needs it.
                drop(begun);
            }
            let _ = self.stage(target);
        });
    }

    /// The stages that a stage is based on or copies from, as far as the file says so.
    fn needed(&self, target: usize) -> Vec<usize> {
        let mut needed = vec![target];
        let mut at = 0;
        while let Some(&index) = needed.get(at) {
            at += 1;
            let stage = &self.file.stages[index];
            let names = stage.instructions.iter().flat_map(|instruction| match &instruction.kind {
                Kind::Copy(copy) => copy.from.iter().map(String::as_str).collect::<Vec<_>>(),
                Kind::Run(run) => run.mounts.iter().filter_map(|mount| mount.from.as_deref()).collect(),
                _ => Vec::new(),
            });
            for name in std::iter::once(stage.from.image.as_str()).chain(names) {
                if self.request.contexts.contains_key(name) {
                    continue;
                }
                if let Some(other) = self.file.stage_before(name, index).filter(|other| !needed.contains(other)) {
                    needed.push(other);
                }
            }
        }
        needed
    }

    /// Values that no ARG asked for.
    fn unused_arguments(&self) {
        let declared = |name: &String| {
            let instructions = self.file.globals.iter().chain(self.file.stages.iter().flat_map(|stage| &stage.instructions));
            instructions
                .into_iter()
                .any(|it| matches!(&it.kind, Kind::Arg(arguments) if arguments.iter().any(|(own, _)| own == name)))
        };
        for name in self.request.args.keys().filter(|name| !Scope::is_predefined(name) && !self.globals.contains_key(*name)) {
            if !declared(name) {
                self.tell(BuildEvent::Warning {
                    text: format!("build argument `{name}` is not declared by any ARG: it has no effect"),
                });
            }
        }
    }

    /// Makes the image of what the target came to.
    fn finish(&self, state: State) -> Result<Built, BuildError> {
        let State { layers, mut image, .. } = state;
        image.rootfs = RootFs { kind: "layers".to_owned(), diff_ids: layers };
        image.os.clone_from(&self.platform.os);
        image.architecture.clone_from(&self.platform.architecture);
        image.variant.clone_from(&self.platform.variant);
        if let Some(epoch) = self.scope().epoch {
            image.created = Some(epoch);
        }
        image.config.labels.extend(self.request.labels.clone());
        let made = self.made.load(Ordering::SeqCst);
        if made {
            self.builder.sync()?;
        }
        let store = self.builder.engine.images();
        let id = store.add_image(&image)?;
        for tag in &self.request.tags {
            let known = store.resolve(&tag.to_string()).is_ok_and(|known| known.id == id);
            if !known {
                store.tag(&id, tag)?;
            }
        }
        Ok(Built { image: id, cached: !made })
    }

    pub(crate) fn tell(&self, event: BuildEvent) {
        (self.around.watch)(event);
    }

    pub(crate) fn problem(&self, problem: Problem) {
        self.tell(BuildEvent::Problem { file: self.file_name.clone(), problem });
    }

    pub(crate) fn next_step(&self) -> u32 {
        self.steps.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn excerpt(&self, place: Place, last: u32) -> Excerpt {
        Excerpt::of(&self.file_name, &self.text, place.line, last.max(place.line))
    }
}
