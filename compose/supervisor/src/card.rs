//! Failure cards: what the end of a container, its last words and its last probe say together.

mod exit;
mod hints;

use std::collections::VecDeque;

use rcompose_engine::logs::{Reader, Selection};
use rcompose_engine::{Container, State};
use rcompose_plan::labels;

use crate::health::{Check, Health};
use crate::messages::{ExitReport, FailureCard, ProbeReport};
use crate::supervisor::Supervisor;
pub(crate) use exit::signal_name;

/// Lines of the log that are shown.
const LINES: usize = 20;
/// From the first line to when the start was noted, nanoseconds at most.
const SLACK: i64 = 500_000_000;
/// Bytes of a line that are shown.
const LONGEST: usize = 2000;

/// The card of a container; `None` if it is gone.
pub(crate) fn of(supervisor: &Supervisor, id: &str) -> Option<FailureCard> {
    let container = supervisor.engine.get(id).ok()?;
    let service = container.record.spec.labels.get(labels::SERVICE).cloned().unwrap_or_default();
    let exit = match &container.state {
        State::Exited(record) => Some(exit::report(record.code, record.oom_killed)),
        _ => start_failure(&container),
    };
    let mut card = FailureCard {
        container: container.record.spec.name.clone(),
        service,
        exit,
        probe: probe(supervisor, &container),
        log: last_lines(supervisor, &container),
        hints: Vec::new(),
        next: Vec::new(),
    };
    card.hints = hints::of(&card, &container.record.spec, container.record.failure.as_ref().map(|(_, text)| text.as_str()));
    card.next = hints::next(&card);
    Some(card)
}

/// A program that could not be started has a status too.
fn start_failure(container: &Container) -> Option<ExitReport> {
    let (code, _) = container.record.failure.as_ref()?;
    Some(exit::report(*code, false))
}

fn probe(supervisor: &Supervisor, container: &Container) -> Option<ProbeReport> {
    let id = container.record.id.as_str();
    let probed = supervisor.keeper.probed(id).filter(|probed| probed.streak > 0 || probed.health == Health::Unhealthy)?;
    let (_, image, _) = supervisor.engine.images().open_image(&container.record.image_id).ok()?;
    let check = Check::resolve(container.record.spec.healthcheck.as_ref(), &image)?;
    Some(ProbeReport {
        command: check.probe.to_string(),
        code: probed.code,
        output: probed.output.trim_end().to_owned(),
        failures: probed.streak,
        retries: check.retries,
    })
}

fn last_lines(supervisor: &Supervisor, container: &Container) -> Vec<String> {
    let path = supervisor.engine.log_path(&container.record);
    // Of this run only: what an earlier one said explains nothing. The first lines may be older than the note of the start.
    let since = container.record.started_at.map(|started| started - SLACK);
    let selection = Selection { since, until: None, tail: Some(LINES) };
    let Ok((_, entries)) = Reader::open(&path, selection) else { return Vec::new() };
    let mut lines: VecDeque<String> = VecDeque::new();
    let mut open = false;
    for entry in entries {
        let piece: String = entry.text.trim_end_matches(['\n', '\r']).chars().take(LONGEST).collect();
        match lines.back_mut().filter(|line| open && line.len() < LONGEST) {
            Some(line) => line.push_str(&piece),
            None => lines.push_back(piece),
        }
        open = !entry.text.ends_with('\n');
    }
    lines.into()
}
