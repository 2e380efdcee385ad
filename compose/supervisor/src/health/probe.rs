//! The probes of one run of a container, one after the other.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rcompose_engine::{Engine, ExecRequest};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::look::Looking;
use super::{Check, Health, Probe};
use crate::keep::{Phase, Status};

/// The most output of a probe that is looked at.
const OUTPUT: usize = 4096;

/// What a probe came to.
#[derive(Debug, Clone)]
pub(crate) struct Probed {
    pub(crate) health: Health,
    /// Failures in a row.
    pub(crate) streak: u32,
    /// Of the process; `None` if its time was over, or it could not be started.
    pub(crate) code: Option<i32>,
    /// The beginning of what it said, or why it could not be started.
    pub(crate) output: String,
}

/// Probes that go on until the value goes.
pub(crate) struct Probes {
    results: mpsc::Receiver<Probed>,
    _running: DropGuard,
}

impl Probes {
    /// Begins to probe a container that runs; none come while `status` says that it stands still.
    pub(crate) fn begin(
        engine: Arc<Engine>,
        id: String,
        check: Check,
        status: watch::Receiver<Status>,
        tasks: &TaskTracker,
    ) -> Self {
        let (sender, results) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let looking = match &check.probe {
            Probe::Look(look) => Some(Looking::new(look.clone())),
            Probe::Command(_) => None,
        };
        let probing = Probing { engine, id, check, status, looking };
        let token = cancel.clone();
        tasks.spawn(async move {
            tokio::select! {
                // Given up only when the container has ended, and the probe with it.
                () = token.cancelled() => {}
                () = probing.run(sender) => {}
            }
        });
        Self { results, _running: cancel.drop_guard() }
    }

    /// What the next probe comes to.
    ///
    /// # Cancel safety
    /// Results wait in their channel.
    pub(crate) async fn next(&mut self) -> Probed {
        match self.results.recv().await {
            Some(probed) => probed,
            None => std::future::pending().await,
        }
    }
}

struct Probing {
    engine: Arc<Engine>,
    id: String,
    check: Check,
    status: watch::Receiver<Status>,
    /// Of a probe that runs nothing.
    looking: Option<Looking>,
}

impl Probing {
    async fn run(mut self, results: mpsc::Sender<Probed>) {
        let (begin, mut health, mut streak) = (Instant::now(), Health::Starting, 0);
        loop {
            tokio::time::sleep(self.check.wait(health, begin.elapsed())).await;
            if self.status.borrow().phase == Phase::Paused {
                continue;
            }
            let began = begin.elapsed();
            let (code, output) = self.probe().await;
            (health, streak) = self.check.judge(health, streak, code == Some(0), began);
            if results.send(Probed { health, streak, code, output }).await.is_err() {
                return;
            }
        }
    }

    /// Gives a status and what was said; no status where there is none.
    async fn probe(&mut self) -> (Option<i32>, String) {
        match &self.check.probe {
            Probe::Command(command) => self.execute(command.clone()).await,
            Probe::Look(_) => self.look().await,
        }
    }

    /// Looks once; who looks keeps to the time by itself.
    async fn look(&mut self) -> (Option<i32>, String) {
        let Some(mut looking) = self.looking.take() else { return (None, String::new()) };
        let (engine, id, timeout) = (self.engine.clone(), self.id.clone(), self.check.timeout);
        let looked = tokio::task::spawn_blocking(move || (looking.look(&engine, &id, timeout), looking)).await;
        match looked {
            Ok((found, looking)) => {
                self.looking = Some(looking);
                found.map_or_else(|error| (None, error_text(&error)), |()| (Some(0), String::new()))
            }
            Err(error) => (None, error.to_string()),
        }
    }

    /// Runs a command in the container; it is ended when its time is over.
    async fn execute(&self, command: Vec<String>) -> (Option<i32>, String) {
        let request = ExecRequest { command, ..ExecRequest::default() };
        let (engine, id) = (self.engine.clone(), self.id.clone());
        let stream = Stream::default();
        let register = stream.clone();
        let probe =
            tokio::task::spawn_blocking(move || engine.exec_captured(&id, &request, OUTPUT, |stream| register.set(stream)));
        tokio::pin!(probe);
        match tokio::time::timeout(self.check.timeout, &mut probe).await {
            Ok(Ok(Ok((code, output)))) => (Some(code), String::from_utf8_lossy(&output).into_owned()),
            Ok(Ok(Err(error))) => (None, error_text(&error)),
            Ok(Err(error)) => (None, error.to_string()),
            Err(_) => {
                stream.close();
                // The next probe waits for the end of this one.
                let _ = probe.await;
                (None, format!("it took longer than {:?}", self.check.timeout))
            }
        }
    }
}

fn error_text(error: &dyn std::error::Error) -> String {
    let failure = crate::messages::Failure::of(error);
    std::iter::once(failure.message).chain(failure.causes).collect::<Vec<_>>().join(": ")
}

/// The stream of a probe that may have begun: the process ends with it.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<Option<UnixStream>>>);

impl Stream {
    fn set(&self, stream: UnixStream) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }

    fn close(&self) {
        if let Some(stream) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // One that is closed already is what is wanted.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}
