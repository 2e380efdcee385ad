//! The task that owns what is known of one container.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rcompose_engine::EngineError;
use rcompose_model::project::RestartPolicy;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{Ended, Keeper, Status, blocking, watchable};
use crate::card::signal_name;
use crate::health::{Check, Health, Probed, Probes};
use crate::messages::{Happening, Why};
use crate::service::{Action, Event, Machine, Moment, State};

/// The grace period of a container that asks for none.
const GRACE: Duration = Duration::from_secs(10);

/// What others ask of a container.
pub(super) enum Message {
    /// To end; `taken` says that it was told to, not that it has, and names a signal that nobody hears.
    Stop {
        timeout: Option<Duration>,
        why: Why,
        taken: oneshot::Sender<Option<String>>,
    },
    Kill {
        signal: Signal,
        why: Why,
        answer: oneshot::Sender<Result<(), EngineError>>,
    },
    Freeze {
        paused: bool,
        answer: oneshot::Sender<Result<(), EngineError>>,
    },
}

/// As a policy is called that starts again what is unhealthy.
const UNHEALTHY: &str = "`restart_on_unhealthy`";

/// How an end is noticed.
enum Watch {
    /// It does not run.
    Off,
    /// Readable when it has ended.
    On(AsyncFd<OwnedFd>),
    /// It ended before it could be watched.
    Over,
}

pub(super) struct Driver {
    keeper: Arc<Keeper>,
    id: String,
    machine: Machine,
    status: watch::Sender<Status>,
    messages: mpsc::Receiver<Message>,
    gone: CancellationToken,
    watch: Watch,
    probes: Option<Probes>,
    /// It is started again when it becomes unhealthy.
    restarts_unhealthy: bool,
    /// Why it is to end.
    why: Option<Why>,
    /// Probes that failed one after the other.
    failing: u32,
}

fn now() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanoseconds) = (time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0));
    Moment(Duration::new(seconds, nanoseconds))
}

impl Driver {
    pub(super) fn new(
        keeper: Arc<Keeper>,
        id: String,
        machine: Machine,
        messages: mpsc::Receiver<Message>,
        gone: CancellationToken,
    ) -> (Self, watch::Receiver<Status>) {
        let (status, watched) = watch::channel(Status::of(&machine, None, 0));
        let (watch, probes, why) = (Watch::Off, None, None);
        let mut driver =
            Self { keeper, id, machine, status, messages, gone, watch, probes, restarts_unhealthy: false, why, failing: 0 };
        if !matches!(driver.machine.state, State::Ended { .. } | State::Backoff { .. }) {
            driver.watch();
        }
        (driver, watched)
    }

    /// Drives the container until it is gone, or the supervisor goes.
    pub(super) async fn run(mut self, first: Option<Event>) {
        if let Some(event) = first {
            self.take(event).await;
        }
        let gone = self.gone.clone();
        loop {
            let event = tokio::select! {
                // A wait, readiness, channels that keep what is in them: nothing is lost with the arms that are dropped.
                () = gone.cancelled() => return,
                message = self.messages.recv() => match message {
                    Some(message) => {
                        self.obey(message).await;
                        continue;
                    }
                    None => return,
                },
                () = self.watch.ended() => self.settle().await,
                () = until(self.machine.deadline()) => Event::Tick,
                probed = next(self.probes.as_mut()) => {
                    let health = probed.health;
                    if self.status.borrow().health != Some(health) {
                        self.tell(Happening::HealthStatus { health: health.as_str().to_owned() }, None);
                    }
                    self.failing = probed.streak;
                    self.keeper.note_probe(&self.id, probed);
                    self.publish(Some(health));
                    let ails = health == Health::Unhealthy && self.machine.state == State::Running;
                    if !ails || !self.restarts_unhealthy {
                        continue;
                    }
                    self.ail()
                }
            };
            self.take(event).await;
        }
    }

    /// Feeds the machine, and does what comes out.
    async fn take(&mut self, event: Event) {
        let mut event = Some(event);
        while let Some(happened) = event.take() {
            let before = self.machine.clone();
            let actions = self.machine.step(happened, now());
            if self.machine != before && !self.gone.is_cancelled() {
                self.keeper.write(&self.id, &self.machine);
            }
            if let (Event::Ended { code, .. }, true) = (happened, before.state.is_up()) {
                self.tell_end(code, before.state);
            }
            if matches!(self.machine.state, State::Ended { .. } | State::Backoff { .. }) {
                (self.watch, self.probes) = (Watch::Off, None);
            }
            let health = self.status.borrow().health;
            self.publish(health);
            for action in actions {
                event = self.perform(action).await.or(event);
            }
        }
    }

    async fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Signal { thaw } => self.send_stop_signal(thaw).await,
            Action::Kill => {
                self.tell(Happening::Kill { signal: Signal::KILL.as_raw() }, self.why.as_ref());
                self.in_engine("be killed", |engine, id| unless_ended(engine.kill(id))).await;
            }
            Action::Launch { at } => return Some(self.launch(at).await),
            Action::Report { code, restarting } => {
                // Nobody may be listening.
                let _ = self.keeper.ends.send(Ended { id: self.id.clone(), code, restarting, stopped: self.machine.stopped });
            }
            Action::Disconnect => {
                let (engine, id) = (self.keeper.engine.clone(), self.id.clone());
                self.keeper.tasks.spawn_blocking(move || engine.disconnect(&id));
            }
            Action::Remove => self.keeper.remove(&self.id).await,
        }
        None
    }

    async fn obey(&mut self, message: Message) {
        match message {
            Message::Stop { timeout, why, taken } => {
                let runs = matches!(self.machine.state, State::Running | State::Paused);
                let unheard = self.unheard().filter(|_| runs);
                let grace = if unheard.is_some() { Duration::ZERO } else { self.grace(timeout) };
                self.why = Some(why);
                self.take(Event::Stop { grace }).await;
                // Whoever asked may be gone; it stops all the same.
                let _ = taken.send(unheard);
            }
            Message::Kill { signal, why, answer } => {
                let outcome = self.kill(signal, why).await;
                let _ = answer.send(outcome);
            }
            Message::Freeze { paused, answer } => {
                let (engine, id) = (self.keeper.engine.clone(), self.id.clone());
                let outcome = blocking(move || engine.set_paused(&id, paused)).await;
                if outcome.is_ok() {
                    self.take(Event::Frozen(paused)).await;
                }
                let _ = answer.send(outcome);
            }
        }
    }

    /// The stop signal, if pid 1 does nothing about it: it would only sit out its grace period.
    fn unheard(&self) -> Option<String> {
        let record = self.keeper.engine.get(&self.id).ok()?.record;
        let signal = self.keeper.stop_signal(&record);
        let heard = record.spec.init || signal == Signal::KILL || self.keeper.engine.handles(&self.id, signal);
        (!heard).then(|| signal_name(signal.as_raw()))
    }

    fn grace(&self, timeout: Option<Duration>) -> Duration {
        let asked = || self.keeper.engine.get(&self.id).ok().and_then(|it| it.record.spec.stop_grace_period);
        timeout.or_else(asked).unwrap_or(GRACE)
    }

    async fn kill(&mut self, signal: Signal, why: Why) -> Result<(), EngineError> {
        let record = self.keeper.engine.get(&self.id)?.record;
        let ends = signal == Signal::KILL || signal == self.keeper.stop_signal(&record);
        if ends || record.spec.stop_signal.is_none() {
            let waited = matches!(self.machine.state, State::Backoff { .. });
            self.take(Event::Condemn).await;
            if waited {
                return Ok(());
            }
        }
        self.keeper.events.tell(&record, Happening::Kill { signal: signal.as_raw() }, None, Some(&why));
        self.keeper.engine.signal(&self.id, signal)?;
        // What another signal comes to is up to the program: a later end has reasons of its own.
        self.why = Some(why).filter(|_| ends);
        Ok(())
    }

    async fn send_stop_signal(&self, thaw: bool) {
        let stop_signal = self.keeper.engine.get(&self.id).map(|container| self.keeper.stop_signal(&container.record));
        let signal = stop_signal.unwrap_or(Signal::TERM);
        self.tell(Happening::Kill { signal: signal.as_raw() }, self.why.as_ref());
        self.in_engine("be told to end", move |engine, id| unless_ended(engine.signal(id, signal))).await;
        if thaw {
            self.in_engine("be thawed", |engine, id| unless_ended(engine.set_paused(id, false))).await;
        }
    }

    /// Does something of which a failure changes nothing: the deadline that is running leads to the next means.
    async fn in_engine(
        &self,
        what: &'static str,
        work: impl FnOnce(&rcompose_engine::Engine, &str) -> Result<(), EngineError> + Send + 'static,
    ) {
        let (engine, id) = (self.keeper.engine.clone(), self.id.clone());
        if let Err(error) = blocking(move || work(&engine, &id)).await {
            tracing::warn!(%error, container = self.id, what, "a container could not be reached");
        }
    }

    async fn launch(&mut self, at: Moment) -> Event {
        let (engine, id) = (self.keeper.engine.clone(), self.id.clone());
        let not_before = std::time::Instant::now() + at.0.saturating_sub(now().0);
        match blocking(move || engine.start_at(&id, not_before)).await {
            Ok(()) => {
                self.tell(Happening::Start, Some(&self.why_again()));
                self.watch();
                Event::Launched
            }
            Err(error) => {
                tracing::warn!(%error, container = self.id, "a container could not be started again");
                Event::LaunchFailed { code: error.exit_code() }
            }
        }
    }

    /// Watches a running container to its end, and probes it.
    fn watch(&mut self) {
        self.watch = match self.keeper.engine.ended(&self.id).map(watchable) {
            Ok(Ok(descriptor)) => Watch::On(descriptor),
            Ok(Err(_)) | Err(_) => Watch::Over,
        };
        let check = self.check();
        let health = check.as_ref().map(|_| Health::Starting);
        self.failing = 0;
        self.restarts_unhealthy = check.as_ref().is_some_and(|check| check.restart);
        self.publish(health);
        self.probes = check.map(|check| {
            let (keeper, status) = (&self.keeper, self.status.subscribe());
            Probes::begin(keeper.engine.clone(), self.id.clone(), check, status, &keeper.tasks)
        });
    }

    fn check(&self) -> Option<Check> {
        let container = self.keeper.engine.get(&self.id).ok()?;
        let (_, image, _) = self.keeper.engine.images().open_image(&container.record.image_id).ok()?;
        Check::resolve(container.record.spec.healthcheck.as_ref(), &image)
    }

    /// It is unhealthy, and may be started again.
    fn ail(&mut self) -> Event {
        let reason = format!("it is unhealthy, and {UNHEALTHY} starts it again");
        self.why.get_or_insert(Why { by: Why::POLICY.to_owned(), reason, place: None });
        Event::Ailing { grace: self.grace(None) }
    }

    /// Takes note of an end.
    async fn settle(&mut self) -> Event {
        self.watch = Watch::Off;
        let (engine, id) = (self.keeper.engine.clone(), self.id.clone());
        match blocking(move || engine.settle(&id)).await {
            Ok(record) => Event::Ended { code: record.code, ran_for: Duration::from_nanos(record.ran_for) },
            Err(error) => {
                tracing::warn!(%error, container = self.id, "the end of a container could not be read");
                Event::Ended { code: 255, ran_for: Duration::ZERO }
            }
        }
    }

    fn publish(&self, health: Option<Health>) {
        let status = Status::of(&self.machine, health, self.failing);
        self.status.send_if_modified(|published| std::mem::replace(published, status) != status);
    }

    fn tell(&self, what: Happening, why: Option<&Why>) {
        self.keeper.tell(&self.id, what, why);
    }

    /// Tells how it ended, and that a stop is over if one was under way.
    fn tell_end(&mut self, code: i32, before: State) {
        let why = self.why.take();
        let Ok(container) = self.keeper.engine.get(&self.id) else { return };
        let (oom_killed, at, ran_for) = match &container.state {
            rcompose_engine::State::Exited(record) => (record.oom_killed, record.finished_at, record.ran_for),
            _ => (false, 0, 0),
        };
        let tell = |what| self.keeper.events.tell(&container.record, what, Some(at).filter(|at| *at > 0), why.as_ref());
        if matches!(before, State::Stopping { .. } | State::Killed { .. } | State::Stuck) {
            tell(Happening::Stop);
        }
        if oom_killed {
            tell(Happening::Oom);
        }
        tell(Happening::Die { code, ran_for: Duration::from_nanos(ran_for).as_secs() });
    }

    fn why_again(&self) -> Why {
        let policy = match self.machine.policy {
            RestartPolicy::No => "no".to_owned(),
            RestartPolicy::Always => "always".to_owned(),
            RestartPolicy::UnlessStopped => "unless-stopped".to_owned(),
            RestartPolicy::OnFailure { max_retries: None } => "on-failure".to_owned(),
            RestartPolicy::OnFailure { max_retries: Some(most) } => format!("on-failure:{most}"),
        };
        let before = match (self.machine.state, self.machine.backoff.restarts) {
            // Not after an end: the machine was booted.
            (_, 0) => "after a boot".to_owned(),
            (State::Backoff { code, .. }, restarts) => format!("restart {restarts}, it had exited with code {code}"),
            (_, restarts) => format!("restart {restarts}"),
        };
        let policy = if self.machine.ailing { UNHEALTHY.to_owned() } else { format!("`restart: {policy}`") };
        Why { by: Why::POLICY.to_owned(), reason: format!("{policy} starts it again ({before})"), place: None }
    }
}

impl Watch {
    /// # Cancel safety
    /// It says only that something is to be looked at.
    async fn ended(&self) {
        match self {
            Self::Off => std::future::pending().await,
            Self::On(descriptor) => drop(descriptor.readable().await),
            Self::Over => {}
        }
    }
}

/// Waits for ever where there is nothing to wait for.
async fn until(deadline: Option<Moment>) {
    match deadline {
        Some(Moment(deadline)) => tokio::time::sleep(deadline.saturating_sub(now().0)).await,
        None => std::future::pending().await,
    }
}

async fn next(probes: Option<&mut Probes>) -> Probed {
    match probes {
        Some(probes) => probes.next().await,
        None => std::future::pending().await,
    }
}

/// A container that ended on its own just before it was told to has done what was wanted.
fn unless_ended(outcome: Result<(), EngineError>) -> Result<(), EngineError> {
    match outcome {
        Err(EngineError::NotRunning(_)) => Ok(()),
        other => other,
    }
}
