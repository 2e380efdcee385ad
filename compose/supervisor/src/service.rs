//! The machine that keeps one container as its service asks. Pure: what happened and the time come in, what is to be done comes out.
//!
//! ```text
//!                     end, policy says so
//!             ┌──────────────────────────────► backoff ─┐ delay over: launch
//!  launch ─► running ◄────────────────────────────┼─────┘
//!             │  stop                             │ stop, or a launch that fails
//!             ▼            grace over             ▼
//!           stopping ─────────────► killed ───► ended
//!             └──────────── end ──────┴───────────┘
//! ```
//! One that is unhealthy and may be started again is stopped like any other, and goes to backoff instead of its end.
//! It is written down before anything is done about it: a supervisor that is killed in the middle of a grace period leaves the
//! deadline to the next one.

use std::time::Duration;

use rcompose_model::project::RestartPolicy;
use serde::{Deserialize, Serialize};

use crate::restart::{Backoff, Verdict};

/// How long the kernel may take over a kill until somebody is told.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How long before the end of a delay the next launch begins: everything but the program itself is ready then, and waits. Less
/// than the shortest delay.
const LEAD: Duration = Duration::from_millis(40);

/// A point in time: since the machine was booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment(pub(crate) Duration);

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

/// What a container does, as far as keeping it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Its processes run.
    Running,
    /// They stand still.
    Paused,
    /// It was told to end.
    Stopping { kill_at: Moment },
    /// It was killed.
    Killed { expected_by: Moment },
    /// It was killed, and is still there.
    Stuck,
    /// It ended and is launched again.
    Backoff { launch_at: Moment, code: i32 },
    /// It ended.
    Ended { code: i32 },
}

impl State {
    /// Tells whether there are processes that can end.
    pub(crate) fn is_up(self) -> bool {
        !matches!(self, Self::Backoff { .. } | Self::Ended { .. })
    }
}

/// What can happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is to end, by itself within the time given.
    Stop { grace: Duration },
    /// It gets a signal after which no policy starts it again.
    Condemn,
    /// It is unhealthy, and is to be started again; to end by itself it has the time given.
    Ailing { grace: Duration },
    /// Its processes were frozen or thawed.
    Frozen(bool),
    /// It ended.
    Ended { code: i32, ran_for: Duration },
    /// What [`Action::Launch`] asked for was done.
    Launched,
    /// It could not be done.
    LaunchFailed { code: i32 },
    /// Time went by.
    Tick,
}

/// What is to be done, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the stop signal; what stands still has to run to get it.
    Signal { thaw: bool },
    /// Kill every process.
    Kill,
    /// Start it again, its program not before a moment.
    Launch { at: Moment },
    /// Tell whoever listens that it ended.
    Report { code: i32, restarting: bool },
    /// Take it off its networks.
    Disconnect,
    /// Take it away.
    Remove,
}

/// A container that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) policy: RestartPolicy,
    pub(crate) backoff: Backoff,
    /// Somebody asked for its end: no policy starts it again.
    pub(crate) stopped: bool,
    /// It goes when it has ended.
    #[serde(default)]
    pub(crate) removed_at_end: bool,
    /// It was told to end because it is unhealthy, and starts again whatever its policy says.
    #[serde(default)]
    pub(crate) ailing: bool,
    pub(crate) state: State,
}

impl Machine {
    /// A container that has just been launched.
    pub(crate) fn new(policy: RestartPolicy, removed_at_end: bool) -> Self {
        Self { policy, backoff: Backoff::default(), stopped: false, removed_at_end, ailing: false, state: State::Running }
    }

    /// When it wants to see a [`Event::Tick`].
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Stopping { kill_at: at } | State::Killed { expected_by: at } => Some(at),
            State::Backoff { launch_at: Moment(at), .. } => Some(Moment(at.saturating_sub(LEAD))),
            State::Running | State::Paused | State::Stuck | State::Ended { .. } => None,
        }
    }

    /// The only place where a container changes state; whoever drives it does what comes out.
    pub(crate) fn step(&mut self, event: Event, now: Moment) -> Vec<Action> {
        let due = self.deadline().is_some_and(|deadline| now >= deadline);
        match (self.state, event) {
            (State::Running | State::Paused, Event::Stop { grace }) => {
                let thaw = self.state == State::Paused;
                (self.stopped, self.state) = (true, State::Stopping { kill_at: now + grace });
                vec![Action::Signal { thaw }]
            }
            (State::Running, Event::Ailing { grace }) => {
                (self.ailing, self.state) = (true, State::Stopping { kill_at: now + grace });
                vec![Action::Signal { thaw: false }]
            }
            // Whoever is in more of a hurry counts.
            (State::Stopping { kill_at }, Event::Stop { grace }) => {
                self.stopped = true;
                self.state = State::Stopping { kill_at: kill_at.min(now + grace) };
                vec![]
            }
            (State::Stuck, Event::Stop { .. }) => {
                self.stopped = true;
                self.kill(now)
            }
            (State::Stopping { .. }, Event::Tick) if due => self.kill(now),
            (State::Killed { .. }, Event::Tick) if due => {
                self.state = State::Stuck;
                vec![]
            }
            (State::Backoff { code, .. }, Event::Stop { .. } | Event::Condemn) => self.end(code),
            (State::Backoff { launch_at, .. }, Event::Tick) if due => vec![Action::Launch { at: launch_at }],
            (State::Backoff { .. }, Event::Launched) => {
                (self.ailing, self.state) = (false, State::Running);
                vec![]
            }
            // A policy is for containers that end, not for those that cannot begin.
            (State::Backoff { .. }, Event::LaunchFailed { code }) => self.end(code),
            (State::Running, Event::Frozen(true)) => {
                self.state = State::Paused;
                vec![]
            }
            (State::Paused, Event::Frozen(false)) => {
                self.state = State::Running;
                vec![]
            }
            (State::Backoff { .. } | State::Ended { .. }, Event::Ended { .. }) => vec![],
            (_, Event::Ended { code, ran_for }) => self.decide(code, ran_for, now),
            (_, Event::Condemn | Event::Stop { .. }) => {
                self.stopped = true;
                vec![]
            }
            (_, Event::Ailing { .. } | Event::Frozen(_) | Event::Launched | Event::LaunchFailed { .. } | Event::Tick) => vec![],
        }
    }

    fn kill(&mut self, now: Moment) -> Vec<Action> {
        self.state = State::Killed { expected_by: now + KILL_PATIENCE };
        vec![Action::Kill]
    }

    fn end(&mut self, code: i32) -> Vec<Action> {
        (self.stopped, self.state) = (true, State::Ended { code });
        vec![Action::Report { code, restarting: false }, self.last_action()]
    }

    fn decide(&mut self, code: i32, ran_for: Duration, now: Moment) -> Vec<Action> {
        let policy = if self.ailing { RestartPolicy::Always } else { self.policy };
        let (backoff, verdict) = self.backoff.after(policy, code, ran_for, self.stopped);
        self.backoff = backoff;
        match verdict {
            Verdict::Stay => {
                self.state = State::Ended { code };
                vec![Action::Report { code, restarting: false }, self.last_action()]
            }
            Verdict::Retry(delay) => {
                self.state = State::Backoff { launch_at: now + delay, code };
                vec![Action::Report { code, restarting: true }]
            }
        }
    }

    fn last_action(&self) -> Action {
        if self.removed_at_end { Action::Remove } else { Action::Disconnect }
    }

    /// What a restart of the whole system means: what was going to be done is not due at any known time any more.
    pub(crate) fn after_boot(&mut self) {
        match (self.policy, self.state) {
            (_, State::Backoff { code, .. }) => self.state = State::Backoff { launch_at: Moment(Duration::ZERO), code },
            (RestartPolicy::Always, State::Ended { code }) if !self.removed_at_end => {
                self.stopped = false;
                self.state = State::Backoff { launch_at: Moment(Duration::ZERO), code };
            }
            // Stopped by the shutdown, not by anybody who did not want it to run.
            (RestartPolicy::Always, _) => self.stopped = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn in_state(state: State) -> Machine {
        Machine { state, ..Machine::new(RestartPolicy::Always, false) }
    }

    fn ended(code: i32) -> Event {
        Event::Ended { code, ran_for: SECOND }
    }

    #[test]
    fn each_transition_is_the_one_that_is_drawn() {
        let stopping = State::Stopping { kill_at: at(15) };
        let killed = State::Killed { expected_by: at(25) };
        let backoff = State::Backoff { launch_at: Moment(Duration::from_millis(5100)), code: 3 };
        let grace = Event::Stop { grace: SECOND * 10 };
        let end = [Action::Report { code: 3, restarting: false }, Action::Disconnect];
        let table: &[(State, Event, u64, State, &[Action])] = &[
            (State::Running, ended(3), 5, backoff, &[Action::Report { code: 3, restarting: true }]),
            (State::Running, grace, 5, stopping, &[Action::Signal { thaw: false }]),
            (State::Paused, grace, 5, stopping, &[Action::Signal { thaw: true }]),
            (State::Running, Event::Frozen(true), 5, State::Paused, &[]),
            (State::Paused, Event::Frozen(false), 5, State::Running, &[]),
            (State::Running, Event::Tick, 5, State::Running, &[]),
            (State::Running, Event::Ailing { grace: SECOND * 10 }, 5, stopping, &[Action::Signal { thaw: false }]),
            (State::Paused, Event::Ailing { grace: SECOND }, 5, State::Paused, &[]),
            (stopping, Event::Ailing { grace: SECOND }, 5, stopping, &[]),
            (backoff, Event::Ailing { grace: SECOND }, 5, backoff, &[]),
            (stopping, Event::Tick, 14, stopping, &[]),
            (stopping, Event::Tick, 15, killed, &[Action::Kill]),
            (stopping, Event::Stop { grace: Duration::ZERO }, 7, State::Stopping { kill_at: at(7) }, &[]),
            (stopping, Event::Stop { grace: SECOND * 60 }, 7, stopping, &[]),
            (killed, Event::Tick, 25, State::Stuck, &[]),
            (State::Stuck, grace, 15, killed, &[Action::Kill]),
            (State::Stuck, ended(3), 5, backoff, &[Action::Report { code: 3, restarting: true }]),
            (backoff, Event::Tick, 5, backoff, &[]),
            (backoff, Event::Tick, 6, backoff, &[Action::Launch { at: Moment(Duration::from_millis(5100)) }]),
            (backoff, Event::Launched, 6, State::Running, &[]),
            (
                backoff,
                Event::LaunchFailed { code: 127 },
                6,
                State::Ended { code: 127 },
                &[Action::Report { code: 127, restarting: false }, Action::Disconnect],
            ),
            (backoff, grace, 5, State::Ended { code: 3 }, &end),
            (State::Ended { code: 3 }, ended(4), 5, State::Ended { code: 3 }, &[]),
            (State::Ended { code: 3 }, grace, 5, State::Ended { code: 3 }, &[]),
        ];
        for (from, event, now, to, actions) in table {
            let mut machine = in_state(*from);
            let done = machine.step(*event, at(*now));
            assert_eq!((machine.state, done.as_slice()), (*to, *actions), "{from:?} {event:?}");
        }
    }

    #[test]
    fn what_was_stopped_stays_so_and_what_was_made_for_one_command_goes() {
        let mut machine = Machine::new(RestartPolicy::Always, true);
        machine.step(Event::Stop { grace: SECOND }, at(1));
        let done = machine.step(ended(143), at(2));
        assert_eq!(done, [Action::Report { code: 143, restarting: false }, Action::Remove]);
    }

    #[test]
    fn what_is_unhealthy_starts_again_once_whatever_its_policy_unless_it_is_stopped_meanwhile() {
        let mut machine = Machine::new(RestartPolicy::No, false);
        machine.step(Event::Ailing { grace: SECOND }, at(1));
        let mut stopped = machine.clone();
        assert_eq!(machine.step(ended(143), at(1)), [Action::Report { code: 143, restarting: true }]);
        machine.step(Event::Launched, at(2));
        assert_eq!(machine.step(ended(0), at(3))[0], Action::Report { code: 0, restarting: false });
        stopped.step(Event::Stop { grace: SECOND }, at(1));
        assert_eq!(stopped.step(ended(143), at(1))[0], Action::Report { code: 143, restarting: false });
    }

    #[test]
    fn a_boot_brings_back_what_should_always_run() {
        let check = |policy: RestartPolicy, stopped: bool, expected: bool| {
            let mut machine = Machine { stopped, state: State::Ended { code: 0 }, ..Machine::new(policy, false) };
            machine.after_boot();
            assert_eq!(machine.step(Event::Tick, at(0)) == [Action::Launch { at: at(0) }], expected, "{policy:?}");
        };
        check(RestartPolicy::Always, true, true);
        check(RestartPolicy::UnlessStopped, true, false);
        check(RestartPolicy::No, false, false);
        let mut machine = Machine::new(RestartPolicy::UnlessStopped, false);
        machine.after_boot();
        machine.step(Event::Ended { code: 255, ran_for: Duration::ZERO }, at(0));
        assert!(matches!(machine.state, State::Backoff { .. }), "it ran when the power went");
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0..20_u64).prop_map(|seconds| Event::Stop { grace: Duration::from_secs(seconds) }),
            Just(Event::Condemn),
            (0..20_u64).prop_map(|seconds| Event::Ailing { grace: Duration::from_secs(seconds) }),
            any::<bool>().prop_map(Event::Frozen),
            (0..256, 0..20_u64).prop_map(|(code, seconds)| Event::Ended { code, ran_for: Duration::from_secs(seconds) }),
            Just(Event::Launched),
            (125..129).prop_map(|code| Event::LaunchFailed { code }),
            Just(Event::Tick),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_a_stop_is_the_last_word(
            before in proptest::collection::vec((any_event(), 0..100_u64), 0..20),
            after in proptest::collection::vec((any_event(), 0..100_u64), 0..20),
        ) {
            let mut machine = Machine::new(RestartPolicy::Always, false);
            let mut now = at(0);
            for (event, later) in before {
                now = now + Duration::from_secs(later);
                machine.step(event, now);
            }
            machine.step(Event::Stop { grace: SECOND }, now);
            for (event, later) in after {
                now = now + Duration::from_secs(later);
                let done = machine.step(event, now);
                let again = done.iter().any(|action| matches!(action, Action::Launch { .. })) || matches!(machine.state, State::Backoff { .. });
                prop_assert!(!again, "{:?}", machine.state);
            }
            machine.step(ended(0), now);
            prop_assert!(matches!(machine.state, State::Ended { .. }), "{:?}", machine.state);
        }
    }
}
