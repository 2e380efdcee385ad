//! Failure cards as text: how it ended, its last lines, its last probe, what is probably wrong, what to try.

use rcompose_supervisor::messages::{FailureCard, ProbeReport};

use super::plain_line;

/// Everything, below an error that has told what failed.
pub(crate) fn whole(card: &FailureCard) -> String {
    let mut text = String::new();
    if let Some(exit) = &card.exit {
        text.push_str(&format!("  {}: status {}, {}\n", card.container, exit.code, exit.meaning));
    }
    if let Some(probe) = &card.probe {
        text.push_str(&probe_text(probe));
    }
    if !card.log.is_empty() {
        text.push_str(&format!("  last lines of {}:\n", card.container));
        text.push_str(&quoted(card.log.iter().map(String::as_str)));
    }
    text + &advice(card)
}

/// What its lines, which have just been shown, do not say; empty if there is nothing.
pub(crate) fn brief(card: &FailureCard, name: &str) -> String {
    let exit = card.exit.as_ref().filter(|exit| exit.signal.is_some() || exit.oom_killed || matches!(exit.code, 125..=128));
    let probe = card.probe.as_ref().filter(|_| card.exit.is_none());
    if exit.is_none() && probe.is_none() && card.hints.is_empty() {
        return String::new();
    }
    let mut text = match (exit, probe) {
        (Some(exit), _) => format!("✘ {name}: {}\n", exit.meaning),
        (None, Some(probe)) => format!("✘ {name} is unhealthy\n{}", probe_text(probe)),
        (None, None) => format!("✘ {name} failed\n"),
    };
    text.push_str(&advice(card));
    text
}

fn probe_text(probe: &ProbeReport) -> String {
    let status = match probe.code {
        Some(code) => format!("status {code}"),
        None => "no status".to_owned(),
    };
    let command = plain_line(&probe.command.replace('\n', " "));
    let head = format!("  probe failed {} of {} times, {status}: {command}\n", probe.failures, probe.retries.max(probe.failures));
    head + &quoted(probe.output.lines().filter(|line| !line.trim().is_empty()).take(LINES_OF_PROBE))
}

const LINES_OF_PROBE: usize = 8;

fn quoted<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(|line| format!("  | {}\n", plain_line(line))).collect()
}

fn advice(card: &FailureCard) -> String {
    let mut text: String = card.hints.iter().map(|hint| format!("  hint: {hint}\n")).collect();
    if !card.next.is_empty() {
        text.push_str(&format!("  try: {}\n", card.next.join("  or  ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use rcompose_supervisor::messages::ExitReport;

    use super::*;

    fn card() -> FailureCard {
        FailureCard {
            container: "shop-db-1".to_owned(),
            service: "db".to_owned(),
            exit: Some(ExitReport {
                code: 137,
                signal: Some("SIGKILL".to_owned()),
                oom_killed: true,
                meaning: "killed by the kernel: out of memory".to_owned(),
            }),
            probe: None,
            log: vec!["loading".to_owned(), "more \u{1b}[2Jloading".to_owned()],
            hints: vec!["raise `mem_limit`".to_owned()],
            next: vec!["rcompose logs db".to_owned()],
        }
    }

    #[test]
    fn a_card_tells_everything_in_few_lines() {
        assert_eq!(
            whole(&card()),
            "  shop-db-1: status 137, killed by the kernel: out of memory\n  last lines of shop-db-1:\n  | loading\n  | more loading\n  \
             hint: raise `mem_limit`\n  try: rcompose logs db\n"
        );
    }

    #[test]
    fn what_was_just_shown_is_not_told_again() {
        let text = "✘ db-1: killed by the kernel: out of memory\n  hint: raise `mem_limit`\n  try: rcompose logs db\n";
        assert_eq!(brief(&card(), "db-1"), text);
        let exit = Some(ExitReport { code: 3, ..ExitReport::default() });
        assert_eq!(brief(&FailureCard { exit, hints: Vec::new(), ..card() }, "db-1"), "", "its own status was told with its end");
        let probe =
            ProbeReport { command: "curl x".to_owned(), code: Some(7), output: "refused\n".to_owned(), failures: 3, retries: 3 };
        let unhealthy = FailureCard { exit: None, probe: Some(probe), hints: Vec::new(), next: Vec::new(), ..card() };
        assert_eq!(
            brief(&unhealthy, "db-1"),
            "✘ db-1 is unhealthy\n  probe failed 3 of 3 times, status 7: curl x\n  | refused\n"
        );
    }
}
