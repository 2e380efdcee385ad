//! One build: its stages, those that nobody needs left out, and the image that the last one comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rcompose_image::{Held, InvalidPlatform, Platform, RootFs};

use crate::builder::{Builder, Built};
use crate::cache::exchange::Exchange;
use crate::dockerfile::{Dockerfile, Kind, Place, Problem};
use crate::error::BuildError;
use crate::event::{BuildEvent, Excerpt};
use crate::platform;
use crate::request::{BuildRequest, NamedContext, Outside, Watch};
use crate::scheduler::Cancel;
use crate::sources::Sources;
use crate::state::{Scope, State};
use crate::tree::Tree;

/// Who gets what is not here, who watches, who says stop.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) outside: &'a dyn Outside,
    pub(crate) watch: &'a Watch<'a>,
    pub(crate) cancel: &'a Cancel,
}

/// One build.
pub(crate) struct Build<'a> {
    pub(crate) builder: &'a Builder,
    pub(crate) request: &'a BuildRequest,
    pub(crate) around: Surroundings<'a>,
    pub(crate) file: Dockerfile,
    pub(crate) file_name: String,
    text: String,
    pub(crate) context: Option<Arc<Tree>>,
    /// Other directories, opened when they are needed.
    pub(crate) directories: BTreeMap<String, OnceLock<Result<Arc<Tree>, BuildError>>>,
    pub(crate) globals: BTreeMap<String, String>,
    pub(crate) platform: Platform,
    pub(crate) held: Held,
    /// What each stage comes to, once somebody needs it.
    stages: Vec<OnceLock<Result<State, BuildError>>>,
    failure: Mutex<Option<BuildError>>,
    steps: AtomicU32,
    /// Something was made rather than found.
    pub(crate) made: AtomicBool,
    /// Caches elsewhere.
    pub(crate) exchange: Exchange,
}

impl<'a> Build<'a> {
    pub(crate) fn prepare(
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
            exchange: Exchange::default(),
        };
        build.frontend();
        build.globals = build.global_values()?;
        Ok(build)
    }
    pub(crate) fn target(&self) -> Result<usize, BuildError> {
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

    pub(crate) fn first_failure(&self) -> Option<BuildError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins the stages that the target needs, each on a thread: who needs one waits for it.
    pub(crate) fn start_early(&self, target: usize) {
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
    pub(crate) fn needed(&self, target: usize) -> Vec<usize> {
        let mut needed = vec![target];
        let mut at = 0;
        while let Some(&index) = needed.get(at) {
            at += 1;
            for name in std::iter::once(self.file.stages[index].from.image.as_str()).chain(self.copied_from(index)) {
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

    /// What the instructions of a stage name besides its base.
    fn copied_from(&self, index: usize) -> impl Iterator<Item = &str> {
        self.file.stages[index].instructions.iter().flat_map(|instruction| match &instruction.kind {
            Kind::Copy(copy) => copy.from.iter().map(String::as_str).collect::<Vec<_>>(),
            Kind::Run(run) => run.mounts.iter().filter_map(|mount| mount.from.as_deref()).collect(),
            _ => Vec::new(),
        })
    }

    /// The images that the target is made from, as far as the file says so.
    pub(crate) fn bases(&self, target: usize) -> Result<BTreeSet<String>, BuildError> {
        let mut bases = BTreeSet::new();
        for index in self.needed(target) {
            let from = &self.file.stages[index].from.image;
            let base = self.expand_from(from, self.file.stages[index].place)?;
            let is_stage = self.file.stage_before(&base, index).is_some() && base.parse::<usize>().is_err();
            if base != "scratch" && !is_stage {
                bases.extend(self.image_named(&base));
            }
            let others = self.copied_from(index).filter(|name| self.file.stage_before(name, index).is_none());
            bases.extend(others.filter_map(|name| self.image_named(name)));
        }
        Ok(bases)
    }

    /// The image that a name stands for which is no stage's.
    fn image_named(&self, name: &str) -> Option<String> {
        match self.request.contexts.get(name) {
            None => Some(name.to_owned()),
            Some(NamedContext::Image(image)) => Some(image.clone()),
            Some(_) => None,
        }
    }

    /// Values that no ARG asked for.
    pub(crate) fn unused_arguments(&self) {
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
    pub(crate) fn finish(&self, state: State) -> Result<Built, BuildError> {
        let State { layers, mut image, .. } = state;
        let given = |name: &str| self.request.args.get(name).is_some_and(|text| text == "1" || text == "true");
        let inline = self.request.inline_cache || given("BUILDKIT_INLINE_CACHE");
        image.build_cache = inline.then(|| self.inline_cache(&layers));
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
        self.leave(&image.rootfs.diff_ids);
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
