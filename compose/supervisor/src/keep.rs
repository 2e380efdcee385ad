//! Keeping containers as they should be: noticing ends, restarting, probing, stopping.
//!
//! Each container that was started has a driver: a task that owns its [`Machine`], feeds it what happens and does what comes out.
//! Others send it messages and watch what it publishes. The machine is on disk before anything is done about it:
//!
//! ```text
//! <data>/policies/<id>.json       boot, and the machine as it was last
//! ```

mod driver;

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rcompose_engine::{Engine, EngineError, State as Found, parse_signal};
use rcompose_model::project::RestartPolicy;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events::EventLog;
use crate::health::{Health, Probed};
use crate::messages::{Happening, Why};
use crate::service::{Event, Machine, State};
use driver::{Driver, Message};

/// What a container is doing, as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    Paused,
    Restarting,
    Exited { code: i32 },
}

/// What is published of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) phase: Phase,
    /// `None` without a health check.
    pub(crate) health: Option<Health>,
    pub(crate) restarts: u32,
    /// Probes that failed one after the other.
    pub(crate) failing: u32,
    /// It was killed and is still there.
    pub(crate) stuck: bool,
}

impl Status {
    fn of(machine: &Machine, health: Option<Health>, failing: u32) -> Self {
        let phase = match machine.state {
            State::Running | State::Stopping { .. } | State::Killed { .. } | State::Stuck => Phase::Running,
            State::Paused => Phase::Paused,
            State::Backoff { .. } => Phase::Restarting,
            State::Ended { code } => Phase::Exited { code },
        };
        Self { phase, health, restarts: machine.backoff.restarts, failing, stuck: machine.state == State::Stuck }
    }

    fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Exited { .. })
    }
}

/// A container has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) code: i32,
    pub(crate) restarting: bool,
    /// It was told to end.
    pub(crate) stopped: bool,
}

/// A machine as it is kept on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Its moments are of this boot.
    boot: String,
    machine: Machine,
}

/// A container's driver, as others know it.
#[derive(Clone)]
struct Handle {
    mailbox: mpsc::Sender<Message>,
    status: watch::Receiver<Status>,
    gone: CancellationToken,
}

/// The status of an end that nobody saw.
const UNKNOWN: i32 = 255;

/// Keeps containers.
pub(crate) struct Keeper {
    engine: Arc<Engine>,
    events: Arc<EventLog>,
    folder: std::path::PathBuf,
    boot: String,
    handles: Mutex<BTreeMap<String, Handle>>,
    /// The last probe of each container.
    probed: Mutex<BTreeMap<String, Probed>>,
    /// Goes up when a container begins to be kept, and when one was probed.
    pub(crate) news: watch::Sender<u64>,
    pub(crate) ends: broadcast::Sender<Ended>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Keeper {
    pub(crate) fn new(engine: Arc<Engine>, events: Arc<EventLog>, folder: std::path::PathBuf) -> Arc<Self> {
        // Without the file every boot is another one: what ran has ended, which a look at the processes corrects.
        let boot = rcompose_engine::boot_id().unwrap_or_default();
        let (ends, _) = broadcast::channel(1024);
        let (handles, probed, news) = (Mutex::new(BTreeMap::new()), Mutex::new(BTreeMap::new()), watch::Sender::new(0));
        Arc::new(Self {
            engine,
            events,
            folder,
            boot,
            handles,
            probed,
            news,
            ends,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    fn handles(&self) -> MutexGuard<'_, BTreeMap<String, Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a container that is there.
    pub(crate) fn tell(&self, id: &str, what: Happening, why: Option<&Why>) {
        if let Ok(container) = self.engine.get(id) {
            self.events.tell(&container.record, what, None, why);
        }
    }

    fn handle(&self, id: &str) -> Option<Handle> {
        self.handles().get(id).cloned()
    }

    /// What a container is doing; `None` if it was never started here.
    pub(crate) fn status(&self, id: &str) -> Option<Status> {
        self.handles().get(id).map(|handle| *handle.status.borrow())
    }

    /// What a container is doing, as it changes.
    pub(crate) fn subscribe(&self, id: &str) -> Option<watch::Receiver<Status>> {
        self.handles().get(id).map(|handle| handle.status.clone())
    }

    /// Tells whether nothing is left to be kept.
    pub(crate) fn is_idle(&self) -> bool {
        self.handles().values().all(|handle| handle.status.borrow().has_ended())
    }

    /// After a restart of the supervisor: goes on where the last one was.
    pub(crate) fn adopt(self: &Arc<Self>) {
        let containers = self.engine.list();
        for container in &containers {
            let id = container.record.id.as_str();
            let (kept, rebooted) = self.read(id).map_or((None, false), |(machine, rebooted)| (Some(machine), rebooted));
            match &container.state {
                Found::Removing => {}
                Found::Created => match kept {
                    // Its record did not hear of the start any more; this one was on disk before.
                    Some(machine) if rebooted && !matches!(machine.state, State::Ended { .. }) => {
                        self.drive(id, machine, Some(Event::Ended { code: UNKNOWN, ran_for: Duration::ZERO }));
                    }
                    _ => {}
                },
                Found::Running => {
                    let mut machine = kept.unwrap_or_else(|| Machine::new(RestartPolicy::No, false));
                    if matches!(machine.state, State::Backoff { .. } | State::Ended { .. }) {
                        machine.state = State::Running;
                    }
                    self.drive(id, machine, None);
                }
                Found::Exited(record) => {
                    let Some(machine) = kept else { continue };
                    let event = Event::Ended { code: record.code, ran_for: Duration::from_nanos(record.ran_for) };
                    self.drive(id, machine, Some(event));
                }
            }
        }
        self.sweep(|id| containers.iter().any(|container| container.record.id.as_str() == id));
    }

    fn drive(self: &Arc<Self>, id: &str, machine: Machine, first: Option<Event>) {
        let gone = self.stop.child_token();
        let (mailbox, messages) = mpsc::channel(16);
        let (driver, status) = Driver::new(self.clone(), id.to_owned(), machine, messages, gone.clone());
        self.handles().insert(id.to_owned(), Handle { mailbox, status, gone });
        self.tasks.spawn(driver.run(first));
        self.news.send_modify(|count| *count += 1);
    }

    fn note_probe(&self, id: &str, probed: Probed) {
        self.probed.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), probed);
        self.news.send_modify(|count| *count += 1);
    }

    /// What the last probe of a container came to.
    pub(crate) fn probed(&self, id: &str) -> Option<Probed> {
        self.probed.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Starts a container and keeps it from then on.
    pub(crate) async fn start(self: &Arc<Self>, id: &str, policy: RestartPolicy, why: &Why) -> Result<(), EngineError> {
        if self.status(id).is_some_and(|status| matches!(status.phase, Phase::Running | Phase::Paused)) {
            return Ok(());
        }
        self.launch(id, Machine::new(policy, false), why, Engine::start).await
    }

    /// Starts a container that was made for one command and has no policy. The stream is open before its first instruction.
    pub(crate) async fn start_one_off(self: &Arc<Self>, id: &str, removed_at_end: bool) -> Result<UnixStream, EngineError> {
        let machine = Machine::new(RestartPolicy::No, removed_at_end);
        let started = self.launch(id, machine, &Why::asked("run"), Engine::start_attached).await;
        if started.is_err() && removed_at_end {
            self.remove(id).await;
        }
        started
    }

    async fn launch<T: Send + 'static>(
        self: &Arc<Self>,
        id: &str,
        mut machine: Machine,
        why: &Why,
        start: impl FnOnce(&Engine, &str) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        if let Some(earlier) = self.handles().remove(id) {
            earlier.gone.cancel();
        }
        // Before the start: whoever finds it running has to know what becomes of it.
        self.write(id, &machine);
        let (engine, owned) = (self.engine.clone(), id.to_owned());
        // The disk takes its time meanwhile: before anybody hears of the start, both records are there.
        let (started, ()) = tokio::join!(blocking(move || start(&engine, &owned)), self.sync(id));
        match &started {
            Ok(_) => {
                // Before anybody watches for its end.
                self.tell(id, Happening::Start, Some(why));
                self.drive(id, machine, None);
            }
            Err(error) => {
                machine.state = State::Ended { code: error.exit_code() };
                self.write(id, &machine);
            }
        }
        started
    }

    /// Stops a container: signal, grace, kill. Bounded by the grace period and a few seconds.
    ///
    /// `unheard` is called with the name of the signal where nobody would hear it, and where it is not waited for therefore.
    pub(crate) async fn stop(
        &self,
        id: &str,
        timeout: Option<Duration>,
        why: &Why,
        unheard: impl AsyncFnOnce(String),
    ) -> Result<(), EngineError> {
        let Some(Handle { mailbox, mut status, .. }) = self.handle(id) else { return Ok(()) };
        let (taken, answer) = oneshot::channel();
        // One that is not driven any more has ended.
        let _ = mailbox.send(Message::Stop { timeout, why: why.clone(), taken }).await;
        if let Ok(Some(signal)) = answer.await {
            unheard(signal).await;
        }
        // What was stopped by hand stays so, even if the power goes as soon as that was answered.
        let ended = async { status.wait_for(|status| status.has_ended() || status.stuck).await.is_ok_and(|status| status.stuck) };
        let (stuck, ()) = tokio::join!(ended, self.sync(id));
        if !stuck {
            return Ok(());
        }
        Err(EngineError::Invalid {
            container: self.engine.get(id)?.record.spec.name,
            text: "it did not end within 10 s of being killed".to_owned(),
        })
    }

    /// Sends a signal; one that ends a container for good cancels its policy.
    pub(crate) async fn kill(&self, id: &str, signal: &str, why: &Why) -> Result<(), EngineError> {
        let name = || self.engine.get(id).map_or_else(|_| id.to_owned(), |container| container.record.spec.name);
        let invalid = || EngineError::Invalid { container: name(), text: format!("invalid signal: {signal}") };
        let signal = parse_signal(signal).ok_or_else(invalid)?;
        self.ask(id, |answer| Message::Kill { signal, why: why.clone(), answer }).await
    }

    /// Freezes or thaws.
    pub(crate) async fn set_paused(&self, id: &str, paused: bool, why: &Why) -> Result<(), EngineError> {
        self.ask(id, |answer| Message::Freeze { paused, answer }).await?;
        self.tell(id, if paused { Happening::Pause } else { Happening::Unpause }, Some(why));
        Ok(())
    }

    async fn ask(
        &self,
        id: &str,
        message: impl FnOnce(oneshot::Sender<Result<(), EngineError>>) -> Message,
    ) -> Result<(), EngineError> {
        let not_running = || EngineError::NotRunning(id.to_owned());
        let handle = self.handle(id).ok_or_else(not_running)?;
        let (sender, answer) = oneshot::channel();
        handle.mailbox.send(message(sender)).await.map_err(|_| not_running())?;
        answer.await.map_err(|_| not_running())?
    }

    fn stop_signal(&self, record: &rcompose_engine::Record) -> Signal {
        let image = || {
            let (_, image, _) = self.engine.images().open_image(&record.image_id).ok()?;
            image.config.stop_signal
        };
        let name = record.spec.stop_signal.clone().or_else(image);
        name.and_then(|name| parse_signal(&name)).unwrap_or(Signal::TERM)
    }

    /// Waits until a container has ended.
    pub(crate) async fn wait_ended(&self, id: &str) {
        if let Some(mut changes) = self.subscribe(id) {
            // The sender goes only with the container.
            let _ = changes.wait_for(Status::has_ended).await;
        }
    }

    /// Waits until a container has ended for good; gives its status, which nobody knows of one that was never started.
    pub(crate) async fn wait_code(&self, id: &str) -> i32 {
        let Some(mut changes) = self.subscribe(id) else { return UNKNOWN };
        // The sender goes only with the container, whose last word stays.
        let _ = changes.wait_for(Status::has_ended).await;
        match changes.borrow().phase {
            Phase::Exited { code } => code,
            Phase::Running | Phase::Paused | Phase::Restarting => UNKNOWN,
        }
    }

    /// Waits until a container is gone, which one that goes at its end soon is.
    pub(crate) async fn wait_removed(&self, id: &str) {
        if let Some(mut changes) = self.subscribe(id) {
            while changes.changed().await.is_ok() {}
        }
    }

    /// Removes a container that nobody asks for any more, with what it said.
    async fn remove(&self, id: &str) {
        let (engine, events, owned) = (self.engine.clone(), self.events.clone(), id.to_owned());
        let removed = blocking(move || {
            let record = engine.get(&owned)?.record;
            engine.remove(&owned, true)?;
            events.tell(&record, Happening::Destroy, None, Some(&Why::asked("run")));
            match record.spec.log.stream.as_deref().and_then(|stream| stream.strip_suffix("/output")) {
                Some(folder) => engine.remove_logs(folder),
                None => Ok(()),
            }
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, container = id, "a container could not be removed at its end");
        }
        self.forget(id);
    }

    /// Forgets a container that was removed.
    pub(crate) fn forget(&self, id: &str) {
        if let Some(handle) = self.handles().remove(id) {
            handle.gone.cancel();
        }
        self.probed.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        // One that was never started has none.
        let _ = std::fs::remove_file(self.path(id));
    }

    fn path(&self, id: &str) -> std::path::PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn write(&self, id: &str, machine: &Machine) {
        let kept = Kept { boot: self.boot.clone(), machine: machine.clone() };
        let json = serde_json::to_vec(&kept).expect("a machine has a JSON form");
        if let Err(error) = rcompose_engine::write_file(&self.path(id), &json, 0o600) {
            tracing::warn!(%error, container = id, "what becomes of a container could not be written down");
        }
    }

    /// Has a container that a boot brings back on disk: what becomes of it, and its own record.
    async fn sync(&self, id: &str) {
        if self.read(id).is_none_or(|(machine, _)| machine.policy == RestartPolicy::No) {
            return;
        }
        let (engine, path, owned) = (self.engine.clone(), self.path(id), id.to_owned());
        let synced = blocking(move || {
            if let Err(error) = rcompose_engine::sync_file(&path) {
                tracing::warn!(%error, container = owned, "what becomes of a container may not outlive a loss of power");
            }
            engine.sync(&owned)
        });
        if let Err(error) = synced.await {
            tracing::warn!(%error, container = id, "a container may not outlive a loss of power");
        }
    }

    /// What was written down of a container, and whether that was before the last boot.
    fn read(&self, id: &str) -> Option<(Machine, bool)> {
        let Kept { boot, mut machine } = serde_json::from_slice(&std::fs::read(self.path(id)).ok()?).ok()?;
        let rebooted = boot != self.boot;
        if rebooted {
            machine.after_boot();
        }
        Some((machine, rebooted))
    }

    /// Removes what was written down of containers that are gone.
    fn sweep(&self, exists: impl Fn(&str) -> bool) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !name.to_str().and_then(|name| name.strip_suffix(".json")).is_some_and(&exists) {
                // What cannot be removed now is found again by the next one.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Ends every task; containers go on.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        // A task in the middle of a kernel call ends with the process.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
    }
}

/// A descriptor that tasks can wait for.
#[expect(
    deprecated,
    reason = "an owned descriptor stays what it is for as long as the value lives, which is what the newer call asks"
)]
pub(crate) fn watchable(descriptor: std::os::fd::OwnedFd) -> std::io::Result<AsyncFd<std::os::fd::OwnedFd>> {
    AsyncFd::new(descriptor)
}

/// Runs something that blocks on a thread made for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
