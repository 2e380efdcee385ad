//! Commands of services at points of their containers' lives: before the first container, after a start, before a stop.
//!
//! What they say is shown line by line; when one fails, the end of it is told with the failure.

use std::collections::VecDeque;
use std::io::Read;
use std::os::unix::net::UnixStream;

use rcompose_engine::frame::Frame;
use rcompose_engine::{EngineError, ExecRequest};
use rcompose_model::project::{Hook, StartHook};
use rcompose_plan::{ContainerRef, hook_name, labels};
use tokio::sync::mpsc;

use super::{Run, tell};
use crate::events::ExecEvents;
use crate::keep::blocking;
use crate::messages::{Event, Failure, Happening, Why};
use crate::translate;

/// Lines that are told with a failure.
const TAIL: usize = 20;

impl Run {
    /// Runs commands in a container that has started. The first that fails is the last.
    pub(super) async fn after_start(&self, container: &ContainerRef, id: &str, hooks: &[Hook]) -> Result<(), Failure> {
        for (index, hook) in hooks.iter().enumerate() {
            self.run_in(container, id, &format!("post_start[{index}]"), hook).await?;
        }
        Ok(())
    }

    /// Runs commands in a container that is about to be stopped.
    ///
    /// COMPAT: docker compose leaves a container running whose `pre_stop` fails. Whoever stops a stack wants it stopped.
    pub(super) async fn before_stop(&self, container: &ContainerRef, id: &str, hooks: &[Hook]) {
        for (index, hook) in hooks.iter().enumerate() {
            if !self.supervisor.engine.get(id).is_ok_and(|it| it.state == rcompose_engine::State::Running) {
                // It ended before anybody stopped it.
                return;
            }
            if let Err(failure) = self.run_in(container, id, &format!("pre_stop[{index}]"), hook).await {
                let text = [vec![failure.message], failure.causes].concat().join(": ");
                tell(&self.events, Event::Warning { text }).await;
            }
        }
    }

    async fn run_in(&self, container: &ContainerRef, id: &str, what: &str, hook: &Hook) -> Result<(), Failure> {
        let request = ExecRequest {
            command: hook.command.clone(),
            environment: hook.environment.clone().into_iter().collect(),
            user: hook.user.clone(),
            working_dir: hook.working_dir.clone(),
            privileged: hook.privileged,
            ..ExecRequest::default()
        };
        let told = ExecEvents::begin(&self.supervisor, id, &hook.command);
        let (engine, owned) = (self.supervisor.engine.clone(), id.to_owned());
        let exec = blocking(move || engine.exec(&owned, &request)).await;
        let exec = exec.map_err(|error| self.cannot_run(container, what, &error))?;
        told.started();
        let (stream, helper) = exec.into_parts();
        let name = &container.name;
        let short = name.strip_prefix(&self.project_name).and_then(|rest| rest.strip_prefix(['-', '_'])).unwrap_or(name);
        let (_, tail) = self.follow(&format!("{short} ->"), stream).await;
        let code = tokio::task::spawn_blocking(move || helper.reap()).await.unwrap_or(255);
        told.ended(code);
        if code == 0 { Ok(()) } else { Err(self.hook_ended(container, what, code, tail)) }
    }

    /// Runs commands in containers of their own beside one that does not run yet. A container whose command fails is kept.
    pub(super) async fn prepare(&self, container: &ContainerRef, hooks: &[StartHook], why: &Why) -> Result<(), Failure> {
        let beside = self.id_of(container)?;
        self.remove_leftovers(&container.service, why).await?;
        for (index, hook) in hooks.iter().enumerate() {
            let what = format!("pre_start[{index}]");
            let id = self.create_hook(container, &beside, index, hook, why).await?;
            let started = self.supervisor.keeper.start_one_off(&id, false).await;
            let stream = started.map_err(|error| self.cannot_run(container, &what, &error))?;
            let (code, tail) = self.follow(&format!("{} {what} ->", container.service), stream).await;
            self.supervisor.keeper.wait_ended(&id).await;
            if code != 0 {
                let mut failure = self.hook_ended(container, &what, code, tail);
                failure.hint = Some(format!("hook container {} retained for inspection", &id[..12]));
                return Err(failure);
            }
            self.remove_hook(id, why).await?;
        }
        Ok(())
    }

    async fn create_hook(
        &self,
        container: &ContainerRef,
        beside: &str,
        index: usize,
        hook: &StartHook,
        why: &Why,
    ) -> Result<String, Failure> {
        let project = self.project()?;
        let missing = || Failure::text(format!("no service `{}`", container.service));
        let service = project.services.get(&container.service).ok_or_else(missing)?;
        let name = hook_name(project, &service.name, index);
        let spec = translate::hook(project, service, index, hook, &name).map_err(|error| Failure::of(&error))?;
        let (engine, events) = (self.supervisor.engine.clone(), self.supervisor.events.clone());
        // With the anonymous volumes of the one beside.
        let (beside, why) = (beside.to_owned(), why.clone());
        let created = blocking(move || {
            let record = engine.create(spec, Some(&beside))?;
            events.tell(&record, Happening::Create, None, Some(&why));
            Ok(record.id.to_string())
        });
        created.await.map_err(|error| Failure::of(&error))
    }

    /// Containers of commands that failed, or that were cut off.
    async fn remove_leftovers(&self, service: &str, why: &Why) -> Result<(), Failure> {
        let label = |container: &rcompose_engine::Container, name: &str| container.record.spec.labels.get(name).cloned();
        for container in self.supervisor.containers(Some(&self.project_name)) {
            let is_left =
                label(&container, labels::HOOK).is_some() && label(&container, labels::SERVICE).as_deref() == Some(service);
            if is_left {
                let id = container.record.id.to_string();
                let stopped = self.supervisor.keeper.stop(&id, Some(std::time::Duration::ZERO), why, async |_| {}).await;
                stopped.map_err(|error| Failure::of(&error))?;
                self.remove_hook(id, why).await?;
            }
        }
        Ok(())
    }

    async fn remove_hook(&self, id: String, why: &Why) -> Result<(), Failure> {
        let found = self.supervisor.engine.get(&id);
        self.supervisor.keeper.forget(&id);
        // A volume that the service's container has too stays.
        self.with_engine(id, |engine, id| engine.remove(&id, true)).await?;
        if let Ok(found) = found {
            self.supervisor.events.tell(&found.record, Happening::Destroy, None, Some(why));
        }
        Ok(())
    }

    /// Shows what a command says until it has ended; gives its status and its last lines.
    async fn follow(&self, prefix: &str, stream: UnixStream) -> (i32, VecDeque<String>) {
        let (sender, mut lines) = mpsc::channel::<String>(64);
        let read = tokio::task::spawn_blocking(move || read_lines(stream, &sender));
        let mut tail = VecDeque::new();
        while let Some(text) = lines.recv().await {
            tell(&self.events, Event::Hook { prefix: prefix.to_owned(), text: text.clone() }).await;
            tail.push_back(text);
            if tail.len() > TAIL {
                tail.pop_front();
            }
        }
        (read.await.unwrap_or(255), tail)
    }

    fn hook_ended(&self, container: &ContainerRef, what: &str, code: i32, tail: VecDeque<String>) -> Failure {
        let mut failure = Failure::text(format!("{what} of service {} exited with status {code}", container.service));
        failure.causes = tail.into();
        failure.place = self.place_of(container, what);
        failure
    }

    fn cannot_run(&self, container: &ContainerRef, what: &str, error: &EngineError) -> Failure {
        let mut failure = Failure::of(error);
        let text = format!("{what} of service {} cannot run", container.service);
        failure.causes.insert(0, std::mem::replace(&mut failure.message, text));
        failure.place = self.place_of(container, what);
        failure
    }

    fn place_of(&self, container: &ContainerRef, what: &str) -> Option<String> {
        let path = format!("services.{}.{what}", container.service);
        Some(self.project.as_ref()?.origins.find(&path)?.to_string())
    }
}

/// Reads frames to the end and passes lines on; gives the status that the last frame tells.
fn read_lines(mut stream: UnixStream, lines: &mpsc::Sender<String>) -> i32 {
    let (mut buffer, mut line, mut code) = (Vec::new(), Vec::new(), 255);
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..count]);
        while let Ok(Some(frame)) = Frame::take(&mut buffer) {
            match frame {
                Frame::Stdout(bytes) | Frame::Stderr(bytes) => {
                    for byte in bytes {
                        if byte == b'\n' || line.len() >= LONGEST {
                            pass_on(&mut line, lines);
                        }
                        if byte != b'\n' {
                            line.push(byte);
                        }
                    }
                }
                Frame::Exit(status) => code = status,
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        pass_on(&mut line, lines);
    }
    code
}

/// A line without an end is cut here.
const LONGEST: usize = 16 * 1024;

fn pass_on(line: &mut Vec<u8>, lines: &mpsc::Sender<String>) {
    // Nobody may be left to be told.
    let _ = lines.blocking_send(String::from_utf8_lossy(line).into_owned());
    line.clear();
}
