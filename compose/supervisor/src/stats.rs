//! What containers use: looked at once a second, for as long as somebody listens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcompose_engine::{EngineError, Figures, Host};
use tokio::sync::mpsc;
use tokio::time::{Instant as Moment, MissedTickBehavior, interval_at};

use crate::keep::blocking;
use crate::messages::{ContainerStats, ContainerSummary, StatsRequest};
use crate::supervisor::Supervisor;

/// From one answer to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the first answer is measured over: long enough for a figure that means something, short enough to wait for.
const FIRST: Duration = Duration::from_millis(500);

/// Processor time of containers at a moment.
struct Sample {
    at: Instant,
    cpu: BTreeMap<String, u64>,
}

/// Sends what is used until the other side is gone, or once.
pub(crate) async fn send(supervisor: Arc<Supervisor>, request: StatsRequest, to: mpsc::Sender<Vec<ContainerStats>>) {
    let memory = Host::look().memory;
    let mut before = Sample { at: Instant::now(), cpu: BTreeMap::new() };
    let mut first = true;
    let mut ticks = interval_at(Moment::now() + FIRST, INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (shared, asked) = (supervisor.clone(), request.clone());
        let looked = blocking(move || Ok(look(&shared, &asked))).await;
        let Ok::<_, EngineError>(looked) = looked else { return };
        let at = Instant::now();
        let answer = looked.iter().map(|(container, used)| stats(container, used.as_ref(), &before, at, memory)).collect();
        let cpu = looked.iter().filter_map(|(container, used)| Some((container.id.clone(), used.as_ref()?.cgroup.cpu)));
        before = Sample { at, cpu: cpu.collect() };
        // Of the first look nothing can be said of what is used in a time.
        if !std::mem::take(&mut first) && (to.send(answer).await.is_err() || request.once) {
            return;
        }
        tokio::select! {
            // A clock, and the end of the other side: nothing is lost.
            _ = ticks.tick() => {}
            () = to.closed() => return,
        }
    }
}

/// Containers, and what those that run use.
fn look(supervisor: &Supervisor, request: &StatsRequest) -> Vec<(ContainerSummary, Option<Figures>)> {
    let all = supervisor.summaries(Some(&request.project)).into_iter();
    let named = all.filter(|it| request.services.is_empty() || request.services.contains(&it.service));
    let figures = named.map(|it| {
        // One that ended a moment ago uses nothing.
        let used = supervisor.engine.figures(&it.id).ok();
        (it, used)
    });
    figures.filter(|(_, used)| request.all || used.is_some()).collect()
}

fn stats(container: &ContainerSummary, used: Option<&Figures>, before: &Sample, at: Instant, memory: u64) -> ContainerStats {
    let (id, name) = (container.id.clone(), container.name.clone());
    let (service, state) = (container.service.clone(), container.state.clone());
    let Some(used) = used else { return ContainerStats { id, name, service, state, ..ContainerStats::default() } };
    // One that was started anew counts from nothing.
    let earlier = before.cpu.get(&id).filter(|earlier| **earlier <= used.cgroup.cpu).copied().unwrap_or(used.cgroup.cpu);
    ContainerStats {
        cpu_percent: percent(used.cgroup.cpu - earlier, at.duration_since(before.at)),
        cpu: used.cgroup.cpu,
        memory: used.cgroup.memory,
        memory_limit: used.cgroup.memory_limit.filter(|limit| *limit < memory).unwrap_or(memory),
        received: used.received,
        sent: used.sent,
        block_read: used.cgroup.block_read,
        block_written: used.cgroup.block_written,
        pids: used.cgroup.pids,
        id,
        name,
        service,
        state,
    }
}

/// Docker divides by the time of all processors and multiplies by their number, which comes to the same.
#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn percent(nanoseconds: u64, over: Duration) -> f64 {
    if over.is_zero() { 0.0 } else { nanoseconds as f64 / over.as_nanos() as f64 * 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_processor_is_a_hundred_percent_and_one_that_was_just_started_counts_from_nothing() {
        assert!((percent(500_000_000, Duration::from_secs(1)) - 50.0).abs() < 1e-9);
        assert!((percent(3_000_000_000, Duration::from_secs(2)) - 150.0).abs() < 1e-9);
        assert!(percent(1, Duration::ZERO).abs() < 1e-9);
    }
}
