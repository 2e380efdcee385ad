//! When a container is started again.

use std::time::Duration;

use rcompose_model::project::RestartPolicy;
use serde::{Deserialize, Serialize};

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A run of this length makes the next delay the first again.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// How often a container was started again, and what that means for the next time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Since it was started by hand.
    pub restarts: u32,
    delay: Option<Duration>,
}

/// What follows from an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Stay,
    /// It is started again after a while.
    Retry(Duration),
}

impl Backoff {
    /// Decides after an end. `stopped` is an end that somebody asked for.
    #[must_use]
    pub fn after(self, policy: RestartPolicy, code: i32, ran_for: Duration, stopped: bool) -> (Self, Verdict) {
        let again = match policy {
            _ if stopped => false,
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure { max_retries } => {
                code != 0 && max_retries.filter(|max| *max > 0).is_none_or(|max| self.restarts < max)
            }
        };
        if !again {
            return (self, Verdict::Stay);
        }
        let delay = match self.delay {
            Some(delay) if ran_for < GOOD_RUN => (delay * 2).min(LONGEST_DELAY),
            _ => FIRST_DELAY,
        };
        (Self { restarts: self.restarts.saturating_add(1), delay: Some(delay) }, Verdict::Retry(delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(policy: RestartPolicy, ends: &[(i32, u64)]) -> Vec<Option<u128>> {
        let mut backoff = Backoff::default();
        let mut delays = Vec::new();
        for (code, seconds) in ends {
            let (next, verdict) = backoff.after(policy, *code, Duration::from_secs(*seconds), false);
            backoff = next;
            delays.push(match verdict {
                Verdict::Retry(delay) => Some(delay.as_millis()),
                Verdict::Stay => None,
            });
        }
        delays
    }

    #[test]
    fn waits_twice_as_long_each_time_up_to_a_minute() {
        let ends = vec![(0, 0); 12];
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000].map(Some);
        assert_eq!(delays(RestartPolicy::Always, &ends), expected);
    }

    #[test]
    fn a_good_run_begins_anew() {
        assert_eq!(delays(RestartPolicy::Always, &[(1, 0), (1, 0), (1, 11), (1, 0)]), [100, 200, 100, 200].map(Some));
    }

    #[test]
    fn restarts_only_failures_and_only_so_often() {
        let policy = RestartPolicy::OnFailure { max_retries: Some(3) };
        assert_eq!(delays(policy, &[(1, 0); 4]), [Some(100), Some(200), Some(400), None]);
        assert_eq!(delays(policy, &[(0, 0)]), [None]);
        assert_eq!(delays(RestartPolicy::No, &[(1, 0)]), [None]);
    }

    #[test]
    fn what_was_stopped_stays_stopped() {
        let after = Backoff::default().after(RestartPolicy::Always, 137, Duration::ZERO, true);
        assert_eq!(after.1, Verdict::Stay);
    }
}
