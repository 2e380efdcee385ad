//! Events of a service to what its user would ask about: when and why it was created, started, and ended. Pure.

use std::collections::BTreeMap;

use rcompose_supervisor::messages::{ContainerEvent, Happening, Why};

/// One thing that became of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chapter {
    pub(super) number: u32,
    pub(super) container: String,
    pub(super) name: String,
    pub(super) action: Action,
    /// `exited with code 3`.
    pub(super) detail: String,
    /// Nanoseconds since 1970.
    pub(super) time: i64,
    pub(super) event: u64,
    pub(super) why: Option<Why>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Created,
    Recreated,
    Started,
    Restarted,
    Stopped,
    Killed,
    Ended,
    Unhealthy,
    Removed,
}

impl Action {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Recreated => "recreated",
            Self::Started => "started",
            Self::Restarted => "restarted",
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::Ended => "ended",
            Self::Unhealthy => "unhealthy",
            Self::Removed => "removed",
        }
    }

    /// Of those that answer the same question the last one counts.
    fn question(self) -> u8 {
        match self {
            Self::Created | Self::Recreated => 0,
            Self::Started | Self::Restarted => 1,
            Self::Stopped | Self::Killed | Self::Ended => 2,
            Self::Unhealthy => 3,
            Self::Removed => 4,
        }
    }
}

/// A container that was killed so soon after its stop signal was not waited for, nanoseconds.
const AT_ONCE: i64 = 500_000_000;

/// What is known of a replica while its events go by.
#[derive(Default)]
struct Replica {
    /// Container that was made last and is not gone.
    alive: Option<String>,
    /// It has run.
    started: bool,
    /// What led to the end that comes next.
    stopping: bool,
    /// When the stop began, nanoseconds since 1970.
    stopping_since: Option<i64>,
    signal: Option<i32>,
    out_of_memory: bool,
}

/// Tells what became of each replica, oldest first; of each question the last answer, or `all` of them.
pub(super) fn tell(events: &[ContainerEvent], all: bool) -> Vec<Chapter> {
    let mut replicas: BTreeMap<u32, Replica> = BTreeMap::new();
    let mut chapters: Vec<Chapter> = Vec::new();
    for event in events {
        let replica = replicas.entry(event.number).or_default();
        if event.what == Happening::Restart {
            // The start just before was one.
            let start = chapters.iter_mut().rev().find(|it| it.number == event.number && it.action == Action::Started);
            start.into_iter().for_each(|it| it.action = Action::Restarted);
            continue;
        }
        if let Some((action, detail)) = step(replica, event) {
            chapters.push(Chapter {
                number: event.number,
                container: event.container.clone(),
                name: event.name.clone(),
                action,
                detail,
                time: event.time,
                event: event.id,
                why: event.why.clone(),
            });
        }
    }
    if !all {
        chapters = last_answers(chapters, &replicas);
    }
    chapters
}

fn step(replica: &mut Replica, event: &ContainerEvent) -> Option<(Action, String)> {
    let plain = |action| Some((action, String::new()));
    match &event.what {
        Happening::Create => {
            let before = replica.alive.replace(event.container.clone());
            replica.started = false;
            plain(if before.is_some() { Action::Recreated } else { Action::Created })
        }
        Happening::Start => {
            replica.alive.get_or_insert_with(|| event.container.clone());
            (replica.stopping, replica.signal, replica.out_of_memory) = (false, None, false);
            replica.stopping_since = None;
            let again = event.why.as_ref().is_some_and(|why| why.by == Why::POLICY);
            plain(if again { Action::Restarted } else { Action::Started })
        }
        Happening::Kill { signal } => {
            replica.stopping_since.get_or_insert(event.time);
            replica.signal = Some(*signal);
            None
        }
        Happening::Stop => {
            replica.stopping = true;
            None
        }
        Happening::Oom => {
            replica.out_of_memory = true;
            None
        }
        Happening::Die { code, .. } => {
            let killed = replica.signal == Some(9) && *code == 137;
            let action = match (replica.stopping, killed) {
                (true, _) => Action::Stopped,
                (false, true) => Action::Killed,
                (false, false) => Action::Ended,
            };
            let waited = replica.stopping_since.map_or(0, |since| event.time.saturating_sub(since));
            let patience = match replica.stopping && killed {
                true if waited > AT_ONCE => ", its grace period was over",
                true => ", killed at once: nobody handles its stop signal, or no grace period was wanted",
                false => "",
            };
            let memory = if replica.out_of_memory { ", out of memory" } else { "" };
            Some((action, format!("exit code {code}{memory}{patience}")))
        }
        Happening::HealthStatus { health } if health == "unhealthy" => plain(Action::Unhealthy),
        Happening::Destroy => {
            // The one that is replaced goes after its successor was made.
            let last = replica.alive.as_ref() == Some(&event.container);
            replica.alive = replica.alive.take().filter(|_| !last);
            if last { plain(Action::Removed) } else { None }
        }
        _ => None,
    }
}

/// What was asked of a container that is there now is not answered by what became of an earlier one, except how that ended.
fn last_answers(chapters: Vec<Chapter>, replicas: &BTreeMap<u32, Replica>) -> Vec<Chapter> {
    let mut last: BTreeMap<(u32, u8), Chapter> = BTreeMap::new();
    for chapter in chapters {
        last.insert((chapter.number, chapter.action.question()), chapter);
    }
    let is_told = |chapter: &Chapter| {
        let alive = replicas.get(&chapter.number).and_then(|replica| replica.alive.as_ref());
        match chapter.action {
            Action::Removed => alive.is_none(),
            Action::Unhealthy => alive == Some(&chapter.container),
            _ => true,
        }
    };
    let mut told: Vec<Chapter> = last.into_values().filter(is_told).collect();
    told.sort_by_key(|chapter| (chapter.number, chapter.event));
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u64, container: &str, what: Happening, by: &str) -> ContainerEvent {
        ContainerEvent {
            id,
            time: 0,
            what,
            container: container.to_owned(),
            name: "shop-web-1".to_owned(),
            image: "x".to_owned(),
            project: "shop".to_owned(),
            service: "web".to_owned(),
            number: 1,
            one_off: false,
            labels: BTreeMap::new(),
            why: (!by.is_empty()).then(|| Why::asked(by)),
        }
    }

    fn told(events: &[(&str, Happening, &str)], all: bool) -> Vec<String> {
        let numbered = (1..).zip(events).map(|(id, (container, what, by))| event(id, container, what.clone(), by));
        let events: Vec<ContainerEvent> = numbered.collect();
        let line = |it: Chapter| format!("{} {} {}", it.container, it.action.word(), it.detail).trim().to_owned();
        tell(&events, all).into_iter().map(line).collect()
    }

    fn die(code: i32) -> Happening {
        Happening::Die { code, ran_for: 0 }
    }

    #[test]
    fn a_replacement_is_told_once_and_with_how_the_old_one_ended() {
        let events = [
            ("a", Happening::Create, "up"),
            ("a", Happening::Start, "up"),
            ("b", Happening::Create, "up"),
            ("a", Happening::Kill { signal: 15 }, "up"),
            ("a", Happening::Stop, "up"),
            ("a", die(143), "up"),
            ("a", Happening::Destroy, "up"),
            ("b", Happening::Start, "up"),
        ];
        assert_eq!(told(&events, false), ["b recreated", "a stopped exit code 143", "b started"]);
        assert_eq!(told(&events, true), ["a created", "a started", "b recreated", "a stopped exit code 143", "b started"]);
    }

    #[test]
    fn crashes_restarts_and_kills_are_told_apart() {
        let crash = [
            ("a", Happening::Create, "up"),
            ("a", Happening::Start, "up"),
            ("a", Happening::Oom, ""),
            ("a", die(137), ""),
            ("a", Happening::Start, Why::POLICY),
            ("a", Happening::Kill { signal: 9 }, "kill"),
            ("a", die(137), "kill"),
        ];
        assert_eq!(told(&crash, false), ["a created", "a restarted", "a killed exit code 137"]);
        assert!(told(&crash, true).contains(&"a ended exit code 137, out of memory".to_owned()));
        let stopped = [
            ("a", Happening::Start, "up"),
            ("a", Happening::Kill { signal: 15 }, "stop"),
            ("a", Happening::Kill { signal: 9 }, "stop"),
            ("a", Happening::Stop, "stop"),
            ("a", die(137), "stop"),
        ];
        assert!(told(&stopped, false).concat().contains("killed at once"), "{:?}", told(&stopped, false));
        let by_hand = [("a", die(0), "restart"), ("a", Happening::Start, "restart"), ("a", Happening::Restart, "restart")];
        assert_eq!(told(&by_hand, false), ["a ended exit code 0", "a restarted"]);
        let gone = [("a", Happening::Create, "up"), ("a", Happening::Destroy, "down")];
        assert_eq!(told(&gone, false), ["a created", "a removed"]);
    }
}
