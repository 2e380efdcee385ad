//! A stage: its base, then instruction by instruction; and what is common to all steps that make layers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rcompose_image::{ImageConfig, InvalidPlatform, LayoutName, Platform};

use crate::build::Build;
use crate::cache::{Inputs, Made};
use crate::dockerfile::{Instruction, Kind, Place, Problem, Rule, trigger};
use crate::error::{BuildError, StepError};
use crate::event::BuildEvent;
use crate::platform::runs_here;
use crate::request::NamedContext;
use crate::state::{Scope, State};

/// Where in its build a stage is.
pub(crate) struct StageRun<'a> {
    pub(crate) index: usize,
    pub(crate) scope: Scope,
    label: String,
    total: usize,
    /// Of the step that is next, from 1.
    number: usize,
    /// Nothing is taken from the cache.
    no_cache: bool,
    pub(crate) build: &'a Build<'a>,
}

/// A step that has begun.
pub(crate) struct Step {
    pub(crate) id: u32,
    began: Instant,
    /// `web/0/3`: the same step in the next build.
    position: String,
}

impl Step {
    /// Milliseconds since it began.
    pub(crate) fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Build<'_> {
    pub(crate) fn run_stage(&self, index: usize) -> Result<State, BuildError> {
        let stage = &self.file.stages[index];
        let name = stage.from.name.clone();
        let label = match (&name, self.file.stages.len()) {
            (Some(name), _) => format!("{name} "),
            (None, 1) => String::new(),
            (None, _) => format!("stage-{index} "),
        };
        let filter = &self.request.no_cache_filter;
        let no_cache = self.request.no_cache
            || name.as_ref().is_some_and(|name| filter.contains(name))
            || filter.contains(&index.to_string());
        let mut run = StageRun { index, scope: self.scope(), label, total: 0, number: 1, no_cache, build: self };
        run.total = usize::from(stage.from.image != "scratch") + count(&stage.instructions);
        let mut state = run.base()?;
        let mut triggered = Vec::new();
        for text in std::mem::take(&mut state.image.config.on_build) {
            let parsed = trigger(&text, stage.place);
            triggered.push(parsed.map_err(|problem| run.failed(&text, stage.place, StepError::Invalid(problem.text)))?);
        }
        run.total += count(&triggered);
        for instruction in triggered.iter().chain(&stage.instructions) {
            run.instruction(&mut state, instruction)?;
        }
        Ok(state)
    }
}

/// An error and everything behind it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn count(instructions: &[Instruction]) -> usize {
    let makes_layer = |it: &&Instruction| matches!(it.kind, Kind::Run(_) | Kind::Copy(_) | Kind::Workdir(_));
    instructions.iter().filter(makes_layer).count()
}

impl StageRun<'_> {
    fn base(&mut self) -> Result<State, BuildError> {
        let build = self.build;
        let stage = &build.file.stages[self.index];
        let image = build.expand_from(&stage.from.image, stage.place)?;
        if let Some(platform) = &stage.from.platform {
            self.check_platform(&build.expand_from(platform, stage.place)?, stage.place)?;
        }
        if image == "scratch" && !build.request.contexts.contains_key("scratch") {
            return Ok(State::on(ImageConfig::default()));
        }
        let (step, title) = self.begin(&format!("FROM {image}"));
        let found = self.state_of(&image);
        let last = stage.place.line;
        let state = self.end(&step, &title, stage.place, last, found.map(|state| (state, true)))?;
        if state.image.architecture != build.platform.architecture && !state.image.architecture.is_empty() {
            let text = format!("base image `{image}` is for {}, the build for {}", state.image.architecture, build.platform);
            build.problem(Problem { place: stage.place, text, hint: None, rule: Some(Rule::InvalidBaseImagePlatform) });
        }
        Ok(state)
    }

    fn check_platform(&self, text: &str, place: Place) -> Result<(), BuildError> {
        let failed = |text: String| self.failed(&format!("FROM --platform={text}"), place, StepError::Invalid(text));
        let platform: Platform = text.parse().map_err(|error: InvalidPlatform| failed(error.to_string()))?;
        if runs_here(&platform) {
            return Ok(());
        }
        let text = format!("programs for {platform} do not run on this machine: install qemu-user-static with binfmt support");
        Err(failed(text))
    }

    /// What FROM names: a context, a stage before, an image.
    fn state_of(&self, name: &str) -> Result<State, StepError> {
        let build = self.build;
        match build.request.contexts.get(name) {
            Some(NamedContext::Image(image)) => return build.image(image).map(State::on),
            Some(NamedContext::Layout { folder, name }) => return build.layout(folder, name).map(State::on),
            Some(NamedContext::Stage(stage)) => {
                let index = build.file.stage(stage).filter(|index| *index != self.index);
                let index = index
                    .ok_or_else(|| StepError::Invalid(format!("context `{name}` is stage `{stage}`, which is not there")))?;
                return build.stage_state(index).map(|state| State::after(&state));
            }
            Some(NamedContext::Files(_)) => {
                return Err(StepError::Invalid(format!("context `{name}` is a directory: a base has to be an image")));
            }
            None => {}
        }
        match build.file.stage_before(name, self.index).filter(|_| name.parse::<usize>().is_err()) {
            Some(index) => build.stage_state(index).map(|state| State::after(&state)),
            None => build.image(name).map(State::on),
        }
    }

    fn instruction(&mut self, state: &mut State, instruction: &Instruction) -> Result<(), BuildError> {
        if self.build.around.cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        let (place, last) = (instruction.place, instruction.last_line);
        let made = match &instruction.kind {
            Kind::Run(run) => {
                let (step, title) = self.begin(&instruction.text);
                let made = self.run(state, run, &step);
                self.end(&step, &title, place, last, made)
            }
            Kind::Copy(copy) => {
                let (step, title) = self.begin(&instruction.text);
                let made = self.copy(state, copy, &step);
                self.end(&step, &title, place, last, made)
            }
            Kind::Workdir(path) => {
                let (step, title) = self.begin(&instruction.text);
                let made = self.workdir(state, path, place, &step);
                self.end(&step, &title, place, last, made)
            }
            _ => {
                let missing = state.apply(instruction, &self.scope);
                let missing = missing.map_err(|failure| self.failed(&instruction.text, place, failure))?;
                self.undefined(place, missing.unwrap_or_default());
                return Ok(());
            }
        }?;
        state.add_layer(made.layer, &made.created, &instruction.text);
        Ok(())
    }

    /// Tells of variables that had no value.
    pub(crate) fn undefined(&self, place: Place, names: Vec<String>) {
        for name in names {
            let text = format!("`${name}` has no value here: no ENV or ARG before sets it");
            self.build.problem(Problem { place, text, hint: None, rule: Some(Rule::UndefinedVar) });
        }
    }

    fn begin(&mut self, text: &str) -> (Step, String) {
        let line = text.lines().next().unwrap_or_default();
        let title = format!("[{}{}/{}] {line}", self.label, self.number, self.total);
        let id = self.build.next_step();
        self.build.tell(BuildEvent::Started { step: id, name: title.clone() });
        let position = format!("{}/{}/{}", self.build.request.name, self.index, self.number);
        self.number += 1;
        (Step { id, began: Instant::now(), position }, title)
    }

    /// Tells how a step ended; with what it gave, whether that was taken from the cache.
    fn end<T>(
        &self,
        step: &Step,
        title: &str,
        place: Place,
        last: u32,
        outcome: Result<(T, bool), StepError>,
    ) -> Result<T, BuildError> {
        match outcome {
            Ok((given, cached)) => {
                self.build.tell(BuildEvent::Done { step: step.id, cached, took: step.elapsed() });
                Ok(given)
            }
            Err(StepError::Cancelled) => Err(BuildError::Cancelled),
            // It has been told where it failed.
            Err(StepError::Stage(error)) => Err(*error),
            Err(failure) => {
                let tail = match &failure {
                    StepError::Exit { tail, .. } => tail.clone(),
                    _ => Vec::new(),
                };
                self.build.tell(BuildEvent::Failed {
                    step: step.id,
                    text: with_causes(&failure),
                    tail,
                    excerpt: Some(self.build.excerpt(place, last)),
                });
                Err(BuildError::Step { step: title.to_owned(), place, failure: Box::new(failure) })
            }
        }
    }

    fn failed(&self, text: &str, place: Place, failure: StepError) -> BuildError {
        let line = text.lines().next().unwrap_or_default().to_owned();
        BuildError::Step { step: line, place, failure: Box::new(failure) }
    }

    /// Takes what a step comes to from the cache, or has it made; gives whether it was there.
    pub(crate) fn cached(
        &self,
        step: &Step,
        inputs: &Inputs,
        make: &dyn Fn() -> Result<Made, StepError>,
    ) -> Result<(Made, bool), StepError> {
        let build = self.build;
        let (cache, key) = (&build.builder.cache, inputs.key());
        if !self.no_cache {
            let held = |made: &Made| made.layer.iter().all(|layer| build.held.add(std::slice::from_ref(layer)));
            let known = cache.find(&key).filter(|made| build.trusts(made) && held(made));
            if let Some(made) = known.or_else(|| build.elsewhere(&key)) {
                build.came_to(&key, &made);
                return Ok((made, true));
            }
            if let Some(text) = cache.explain(&step.position, inputs) {
                build.tell(BuildEvent::Reason { step: step.id, text });
            }
        }
        build.made.store(true, Ordering::SeqCst);
        let (made, own) = build.builder.scheduler.once(&key, build.around.cancel, || {
            let _turn = build.builder.scheduler.turn(build.around.cancel)?;
            cache.begin();
            let made = make()?;
            cache.note(&key, &made);
            build.builder.keep(&made);
            Ok(made)
        })?;
        cache.note_inputs(&step.position, inputs);
        build.came_to(&key, &made);
        if !own && !made.layer.iter().all(|layer| build.held.add(std::slice::from_ref(layer))) {
            return Err(StepError::Invalid("what another build made for this step was removed: build again".to_owned()));
        }
        Ok((made, !own))
    }
}

impl Build<'_> {
    /// What another stage came to.
    pub(crate) fn stage_state(&self, index: usize) -> Result<State, StepError> {
        self.stage(index).clone().map_err(|error| match error {
            BuildError::Cancelled => StepError::Cancelled,
            error => StepError::Stage(Box::new(error)),
        })
    }

    /// An image of a folder; its layers are held.
    pub(crate) fn layout(&self, folder: &Path, name: &LayoutName) -> Result<ImageConfig, StepError> {
        let refused = |why: String| StepError::Invalid(format!("{}: {why}", folder.display()));
        let loaded = self.builder.engine.images().load_layout(folder, name, &self.platform);
        let id = loaded.map_err(|error| refused(with_causes(&error)))?;
        let found = self.held.resolve(&id.to_string());
        found.map(|(_, config)| config).ok_or_else(|| refused("what was loaded of it is gone: build again".to_owned()))
    }

    /// An image, pulled if it has to be; its layers are held.
    pub(crate) fn image(&self, name: &str) -> Result<ImageConfig, StepError> {
        if name.starts_with("rootfs:") {
            return Err(StepError::Invalid(format!("`{name}` is a directory of the host: it has no layers to build on")));
        }
        let pinned = self.request.pins.pin(name)?;
        let name = pinned.as_str();
        let failed = |source| StepError::Image { image: name.to_owned(), source: Arc::new(source) };
        let is_id = name.strip_prefix("sha256:").unwrap_or(name).len() == 64;
        let here = if self.request.pull && !is_id { None } else { self.held.resolve(name) };
        if let Some((_, config)) = here {
            return Ok(config);
        }
        self.around.outside.pull(name, self.request.pull).map_err(failed)?;
        let found = self.held.resolve(name);
        found.map(|(_, config)| config).ok_or_else(|| failed(crate::error::PullFailure("it is not in the store".to_owned())))
    }
}
