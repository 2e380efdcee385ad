//! A container that runs, as it is reached from outside: its network, and since when there is one to reach.

use std::path::Path;
use std::time::Duration;

use rcompose_sys::{netns, process};
use rustix::time::{ClockId, clock_gettime};

use super::{Engine, now};
use crate::EngineError;
use crate::error::Doing;

impl Engine {
    /// Runs `work` on a thread in the network of a container that runs. Nothing of it is in the container.
    pub fn in_network<T: Send>(&self, id: &str, work: impl FnOnce() -> T + Send) -> Result<T, EngineError> {
        let running = self.running(id)?;
        let doing = || format!("enter the network of container {id}");
        let namespace = netns::open(Path::new(&format!("/proc/{}/ns/net", running.pid()))).doing(doing)?;
        // Looked at after it was opened: the number was its own until then.
        if process::pidfd_wait(running.first_process(), Some(Duration::ZERO)).doing(doing)? {
            return Err(EngineError::NotRunning(id.to_owned()));
        }
        netns::run_in(namespace, work).doing(doing)
    }

    /// When the first process of a container that runs was made: nanoseconds since 1970, before anything was said, and after
    /// everything that was said by the run before.
    pub fn began(&self, id: &str) -> Result<i64, EngineError> {
        let doing = || format!("find out how long container {id} has run");
        let first =
            rustix::process::Pid::from_raw(self.running(id)?.pid()).ok_or_else(|| EngineError::NotRunning(id.to_owned()))?;
        let ticks = process::start_time(first).doing(doing)?;
        let started = u128::from(ticks) * 1_000_000_000 / u128::from(rustix::param::clock_ticks_per_second());
        let time = clock_gettime(ClockId::Boottime);
        let up = Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0)).as_nanos();
        Ok(now() - i64::try_from(up.saturating_sub(started)).unwrap_or(0))
    }
}
