//! Keeping containers as they should be: noticing ends, restarting, probing, stopping.
//!
//! ```text
//!            start              end, policy says so
//!  created ───────► running ──────────────────────► restarting ──┐ delay over
//!                    │  ▲                                        │
//!                    │  └────────────────────────────────────────┘
//!                    └── end, or a stop that was asked for ──► exited
//! ```
//! One task watches each running container; whoever waits for something watches what it publishes.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rcompose_engine::{Engine, EngineError, ExecRequest, State};
use rcompose_model::project::RestartPolicy;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::health::{Check, Health};
use crate::restart::{Backoff, Verdict};

/// The most output of a probe that is looked at.
const PROBE_OUTPUT: usize = 4096;

/// What a container is doing, as far as the supervisor is concerned.
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
}

/// A container has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) code: i32,
    pub(crate) restarting: bool,
}

/// What has to outlive the supervisor.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    policy: RestartPolicy,
    backoff: Backoff,
    /// Somebody asked for the end; no policy starts it again.
    stopped: bool,
    /// It goes when it has ended.
    #[serde(default)]
    removed_at_end: bool,
}

struct Tracked {
    kept: Kept,
    status: watch::Sender<Status>,
    /// Ends the wait before a restart, and probes.
    cancel: CancellationToken,
}

/// Keeps containers.
pub(crate) struct Keeper {
    engine: Arc<Engine>,
    folder: std::path::PathBuf,
    tracked: Mutex<BTreeMap<String, Tracked>>,
    pub(crate) ends: broadcast::Sender<Ended>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Keeper {
    pub(crate) fn new(engine: Arc<Engine>, folder: std::path::PathBuf) -> Arc<Self> {
        let (ends, _) = broadcast::channel(1024);
        let tracked = Mutex::new(BTreeMap::new());
        Arc::new(Self { engine, folder, tracked, ends, tasks: TaskTracker::new(), stop: CancellationToken::new() })
    }

    fn tracked(&self) -> MutexGuard<'_, BTreeMap<String, Tracked>> {
        self.tracked.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What a container is doing; `None` if it was never started here.
    pub(crate) fn status(&self, id: &str) -> Option<Status> {
        self.tracked().get(id).map(|tracked| *tracked.status.borrow())
    }

    /// What a container is doing, as it changes.
    pub(crate) fn subscribe(&self, id: &str) -> Option<watch::Receiver<Status>> {
        self.tracked().get(id).map(|tracked| tracked.status.subscribe())
    }

    /// Tells whether anything is left to be kept.
    pub(crate) fn is_idle(&self) -> bool {
        !self.tracked().values().any(|it| matches!(it.status.borrow().phase, Phase::Running | Phase::Paused | Phase::Restarting))
    }

    /// After a restart of the supervisor: goes on where the last one was.
    pub(crate) fn adopt(self: &Arc<Self>) {
        for container in self.engine.list() {
            let id = container.record.id.to_string();
            let Some(kept) = self.read(&id) else { continue };
            match &container.state {
                State::Running => {
                    self.track(&id, kept, Phase::Running);
                    self.watch(&id);
                }
                State::Exited(record) => {
                    let ran_for = Duration::from_nanos(record.ran_for);
                    self.track(&id, kept.clone(), Phase::Exited { code: record.code });
                    self.decide(&id, record.code, ran_for);
                }
                State::Created | State::Removing => {}
            }
        }
    }

    fn track(&self, id: &str, kept: Kept, phase: Phase) {
        let health = self.check(id).map(|_| Health::Starting);
        let status = Status { phase, health, restarts: kept.backoff.restarts };
        let (sender, _) = watch::channel(status);
        let cancel = self.stop.child_token();
        self.tracked().insert(id.to_owned(), Tracked { kept, status: sender, cancel });
    }

    fn check(&self, id: &str) -> Option<Check> {
        let container = self.engine.get(id).ok()?;
        let (_, image, _) = self.engine.images().open_image(&container.record.image_id).ok()?;
        Check::resolve(container.record.spec.healthcheck.as_ref(), &image)
    }

    /// Starts a container and keeps it from then on.
    pub(crate) async fn start(self: &Arc<Self>, id: &str, policy: RestartPolicy) -> Result<(), EngineError> {
        if self.status(id).is_some_and(|status| matches!(status.phase, Phase::Running | Phase::Paused)) {
            return Ok(());
        }
        if let Some(tracked) = self.tracked().remove(id) {
            tracked.cancel.cancel();
        }
        self.launch(id).await?;
        self.begin(id, Kept { policy, ..Kept::default() });
        Ok(())
    }

    /// Starts a container that was made for one command and has no policy. The stream is open before its first instruction.
    pub(crate) async fn start_one_off(self: &Arc<Self>, id: &str, removed_at_end: bool) -> Result<UnixStream, EngineError> {
        let (engine, owned) = (self.engine.clone(), id.to_owned());
        let started = blocking(move || engine.start_attached(&owned)).await;
        match &started {
            Ok(_) => self.begin(id, Kept { removed_at_end, ..Kept::default() }),
            Err(_) if removed_at_end => self.remove(id).await,
            Err(_) => {}
        }
        started
    }

    fn begin(self: &Arc<Self>, id: &str, kept: Kept) {
        self.write(id, &kept);
        self.track(id, kept, Phase::Running);
        self.watch(id);
    }

    /// Removes a container that nobody asks for any more, with what it said.
    async fn remove(&self, id: &str) {
        let (engine, owned) = (self.engine.clone(), id.to_owned());
        let removed = blocking(move || {
            let stream = engine.get(&owned)?.record.spec.log.stream;
            engine.remove(&owned, true)?;
            match stream.as_deref().and_then(|stream| stream.strip_suffix("/output")) {
                Some(folder) => engine.remove_logs(folder),
                None => Ok(()),
            }
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, container = id, "a container could not be removed at its end");
        }
        self.forget(id);
    }

    /// Waits until a container is gone, which one that goes at its end soon is.
    pub(crate) async fn wait_removed(&self, id: &str) {
        if let Some(mut changes) = self.subscribe(id) {
            while changes.changed().await.is_ok() {}
        }
    }

    async fn launch(&self, id: &str) -> Result<(), EngineError> {
        let (engine, id) = (self.engine.clone(), id.to_owned());
        blocking(move || engine.start(&id)).await
    }

    /// Watches a running container to its end, and probes it.
    fn watch(self: &Arc<Self>, id: &str) {
        let (keeper, owned) = (self.clone(), id.to_owned());
        self.tasks.spawn(async move { keeper.wait_for_end(&owned).await });
        if let Some(check) = self.check(id) {
            let (keeper, owned) = (self.clone(), id.to_owned());
            self.tasks.spawn(async move { keeper.probe(&owned, &check).await });
        }
    }

    async fn wait_for_end(self: Arc<Self>, id: &str) {
        let Ok(descriptor) = self.engine.ended(id).map(watchable) else { return };
        let Ok(descriptor) = descriptor else { return };
        tokio::select! {
            // Readiness only; whoever comes next finds the container as it is.
            () = self.stop.cancelled() => return,
            _ = descriptor.readable() => {}
        }
        drop(descriptor);
        let (engine, owned) = (self.engine.clone(), id.to_owned());
        let record = match blocking(move || engine.settle(&owned)).await {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(%error, container = id, "the end of a container could not be read");
                return;
            }
        };
        self.decide(id, record.code, Duration::from_nanos(record.ran_for));
    }

    /// Restarts a container that has ended, or lets it be.
    fn decide(self: &Arc<Self>, id: &str, code: i32, ran_for: Duration) {
        let mut tracked = self.tracked();
        let Some(entry) = tracked.get_mut(id) else { return };
        let (backoff, verdict) = entry.kept.backoff.after(entry.kept.policy, code, ran_for, entry.kept.stopped);
        entry.kept.backoff = backoff;
        let kept = entry.kept.clone();
        let restarting = matches!(verdict, Verdict::Retry(_));
        let phase = if restarting { Phase::Restarting } else { Phase::Exited { code } };
        entry.status.send_modify(|status| {
            status.phase = phase;
            status.restarts = backoff.restarts;
        });
        let cancel = entry.cancel.clone();
        drop(tracked);
        self.write(id, &kept);
        // Nobody may be listening.
        let _ = self.ends.send(Ended { id: id.to_owned(), code, restarting });
        match verdict {
            Verdict::Stay if kept.removed_at_end => {
                let (keeper, owned) = (self.clone(), id.to_owned());
                self.tasks.spawn(async move { keeper.remove(&owned).await });
            }
            Verdict::Stay => {
                let (engine, owned) = (self.engine.clone(), id.to_owned());
                self.tasks.spawn_blocking(move || engine.disconnect(&owned));
            }
            Verdict::Retry(delay) => {
                let (keeper, owned) = (self.clone(), id.to_owned());
                self.tasks.spawn(async move { keeper.restart_after(&owned, delay, cancel).await });
            }
        }
    }

    async fn restart_after(self: Arc<Self>, id: &str, delay: Duration, cancel: CancellationToken) {
        tokio::select! {
            // A wait; nothing is lost when it ends early.
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
        let started = self.launch(id).await;
        match started {
            Ok(()) => {
                let health = self.check(id).map(|_| Health::Starting);
                if let Some(entry) = self.tracked().get_mut(id) {
                    entry.status.send_modify(|status| (status.phase, status.health) = (Phase::Running, health));
                }
                self.watch(id);
            }
            Err(error) => {
                tracing::warn!(%error, container = id, "a container could not be started again");
                if let Some(entry) = self.tracked().get_mut(id) {
                    entry.status.send_modify(|status| status.phase = Phase::Exited { code: error.exit_code() });
                }
            }
        }
    }

    async fn probe(self: Arc<Self>, id: &str, check: &Check) {
        let Some(mut changes) = self.subscribe(id) else { return };
        let cancel = self.stop.child_token();
        let (begin, mut health, mut streak) = (Instant::now(), Health::Starting, 0);
        loop {
            let wait = tokio::time::sleep(check.wait(health, begin.elapsed()));
            tokio::select! {
                // As above.
                () = cancel.cancelled() => return,
                () = wait => {}
                _ = changes.wait_for(|status| !matches!(status.phase, Phase::Running | Phase::Paused)) => return,
            }
            if changes.borrow().phase == Phase::Paused {
                continue;
            }
            let began = begin.elapsed();
            let succeeded = self.run_probe(id, check).await;
            let judged = check.judge(health, streak, succeeded, began);
            (health, streak) = judged;
            let Some(sender) = self.tracked().get(id).map(|entry| entry.status.clone()) else { return };
            sender.send_if_modified(|status| {
                let changed = status.health != Some(health);
                status.health = Some(health);
                changed
            });
        }
    }

    /// Runs one probe; it is ended when its time is over.
    async fn run_probe(&self, id: &str, check: &Check) -> bool {
        let request = ExecRequest { command: check.command.clone(), ..ExecRequest::default() };
        let (engine, owned) = (self.engine.clone(), id.to_owned());
        let running = Arc::new(Mutex::new(None::<UnixStream>));
        let register = running.clone();
        let probe = tokio::task::spawn_blocking(move || {
            engine.exec_captured(&owned, &request, PROBE_OUTPUT, |stream| {
                *register.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(stream);
            })
        });
        tokio::pin!(probe);
        let ended = tokio::time::timeout(check.timeout, &mut probe).await;
        match ended {
            Ok(result) => matches!(result, Ok(Ok((0, _)))),
            Err(_) => {
                // The process ends with its stream; the next probe waits for that.
                if let Some(stream) = running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                }
                let _ = probe.await;
                false
            }
        }
    }

    /// Stops a container: signal, grace, kill. Bounded by the grace period and a few seconds.
    pub(crate) async fn stop(self: &Arc<Self>, id: &str, timeout: Option<Duration>) -> Result<(), EngineError> {
        let Some(mut changes) = self.intend_stop(id) else { return Ok(()) };
        let container = self.engine.get(id)?;
        if container.state != State::Running {
            return Ok(());
        }
        let signal = self.stop_signal(&container.record);
        let grace = timeout.or(container.record.spec.stop_grace_period).unwrap_or(Duration::from_secs(10));
        // A pid 1 that does nothing about the signal would only sit out its grace period.
        let pointless = !self.engine.handles(id, signal) && !container.record.spec.init;
        unless_ended(self.engine.signal(id, signal))?;
        if self.status(id).is_some_and(|status| status.phase == Phase::Paused) {
            self.set_paused(id, false).await?;
        }
        let ended = |status: &Status| matches!(status.phase, Phase::Exited { .. });
        let grace = if pointless { Duration::ZERO } else { grace };
        if tokio::time::timeout(grace, changes.wait_for(ended)).await.is_ok() {
            return Ok(());
        }
        unless_ended(self.engine.kill(id))?;
        let last = tokio::time::timeout(Duration::from_secs(10), changes.wait_for(ended)).await;
        match last {
            Ok(_) => Ok(()),
            Err(_) => Err(EngineError::Invalid {
                container: container.record.spec.name,
                text: "it did not end within 10 s of being killed".to_owned(),
            }),
        }
    }

    /// Notes that an end is wanted, before anything is sent; `None` when there is nothing to end.
    fn intend_stop(&self, id: &str) -> Option<watch::Receiver<Status>> {
        let mut tracked = self.tracked();
        let entry = tracked.get_mut(id)?;
        entry.kept.stopped = true;
        let kept = entry.kept.clone();
        if entry.status.borrow().phase == Phase::Restarting {
            entry.cancel.cancel();
            entry.status.send_modify(|status| status.phase = Phase::Exited { code: 0 });
            let (engine, owned) = (self.engine.clone(), id.to_owned());
            self.tasks.spawn_blocking(move || engine.disconnect(&owned));
        }
        let changes = entry.status.subscribe();
        drop(tracked);
        self.write(id, &kept);
        Some(changes)
    }

    fn stop_signal(&self, record: &rcompose_engine::Record) -> Signal {
        let image = || {
            let (_, image, _) = self.engine.images().open_image(&record.image_id).ok()?;
            image.config.stop_signal
        };
        let name = record.spec.stop_signal.clone().or_else(image);
        name.and_then(|name| parse_signal(&name)).unwrap_or(Signal::TERM)
    }

    /// Sends a signal; one that ends a container for good cancels its policy.
    pub(crate) fn kill(self: &Arc<Self>, id: &str, signal: &str) -> Result<(), EngineError> {
        let invalid = || EngineError::Invalid { container: id.to_owned(), text: format!("invalid signal: {signal}") };
        let signal = parse_signal(signal).ok_or_else(invalid)?;
        let record = self.engine.get(id)?.record;
        if signal == Signal::KILL || signal == self.stop_signal(&record) || record.spec.stop_signal.is_none() {
            self.intend_stop(id);
        }
        self.engine.signal(id, signal)
    }

    /// Freezes or thaws.
    pub(crate) async fn set_paused(&self, id: &str, paused: bool) -> Result<(), EngineError> {
        let (engine, owned) = (self.engine.clone(), id.to_owned());
        blocking(move || engine.set_paused(&owned, paused)).await?;
        if let Some(entry) = self.tracked().get_mut(id) {
            let phase = if paused { Phase::Paused } else { Phase::Running };
            entry.status.send_modify(|status| status.phase = phase);
        }
        Ok(())
    }

    /// Waits until a container has ended.
    pub(crate) async fn wait_ended(&self, id: &str) {
        if let Some(mut changes) = self.subscribe(id) {
            // The sender goes only with the container.
            let _ = changes.wait_for(|status| matches!(status.phase, Phase::Exited { .. })).await;
        }
    }

    /// Forgets a container that was removed.
    pub(crate) fn forget(&self, id: &str) {
        if let Some(tracked) = self.tracked().remove(id) {
            tracked.cancel.cancel();
        }
        // One that was never started has none.
        let _ = std::fs::remove_file(self.folder.join(format!("{id}.json")));
    }

    fn write(&self, id: &str, kept: &Kept) {
        let json = serde_json::to_vec(kept).expect("a policy has a JSON form");
        let path = self.folder.join(format!("{id}.json"));
        if let Err(error) = std::fs::write(&path, json) {
            tracing::warn!(%error, container = id, "the policy of a container could not be kept");
        }
    }

    fn read(&self, id: &str) -> Option<Kept> {
        serde_json::from_slice(&std::fs::read(self.folder.join(format!("{id}.json"))).ok()?).ok()
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

fn parse_signal(text: &str) -> Option<Signal> {
    rcompose_engine::parse_signal(text)
}

/// A container that ended on its own just before it was told to has done what was wanted.
fn unless_ended(outcome: Result<(), EngineError>) -> Result<(), EngineError> {
    match outcome {
        Err(EngineError::NotRunning(_)) => Ok(()),
        other => other,
    }
}
