//! What is probably wrong, from what a service said and how it ended. Pure.

use rcompose_engine::container::ContainerSpec;

use crate::messages::FailureCard;

/// Words by which programs say what they lack, and what to do about it.
const WORDS: [(&[&str], &str); 10] = [
    (
        &["exec format error"],
        "the program is for another kind of processor, or is no program: check `platform:`, and the first line of scripts",
    ),
    (
        &["address already in use", "eaddrinuse"],
        "the port is taken already inside its network: two processes listen on it, or a service shares the network of another one",
    ),
    (
        &["connection refused", "econnrefused", "could not connect", "connection reset"],
        "something that it connects to does not listen yet: `depends_on` with `condition: service_healthy` waits for it",
    ),
    (
        &["name or service not known", "enotfound", "could not resolve", "temporary failure in name resolution", "no such host"],
        "a name is not known: services are reached by their names, on a network that both are on",
    ),
    (&["unable to find user", "unable to find group"], "the image has no such user: check `user:`, or give a number"),
    (&["no space left on device", "enospc"], "a disk or tmpfs is full: `rcompose system df` shows what takes how much"),
    (&["read-only file system", "erofs"], "it writes to what is read-only: give it a volume or `tmpfs:` there"),
    (
        &["permission denied", "eacces", "operation not permitted", "eperm"],
        "it may not do that as the user that it is: check `user:`, the owner of mounted files, and `cap_add:`",
    ),
    (
        &["no such file or directory", "enoent", "cannot find module", "can't open file", "file not found"],
        "a file is missing: check `volumes:`, `working_dir:` and what the image contains",
    ),
    (
        &["password authentication failed", "access denied for user", "authentication failed"],
        "credentials do not fit: a volume keeps those of its first start",
    ),
];

/// The likeliest first.
pub(super) fn of(card: &FailureCard, spec: &ContainerSpec, failure: Option<&str>) -> Vec<String> {
    let mut hints = Vec::new();
    if card.exit.as_ref().is_some_and(|exit| exit.oom_killed) {
        hints.push(match spec.limits.memory {
            Some(limit) => format!("its memory is limited to {} MiB: raise `mem_limit`", limit / (1 << 20)),
            None => "the machine has no memory left: `rcompose stats` shows who takes it".to_owned(),
        });
    }
    let said = card.log.iter().rev().map(String::as_str);
    let probe = card.probe.iter().map(|probe| probe.output.as_str());
    let texts: Vec<String> = failure.into_iter().chain(probe).chain(said).map(str::to_lowercase).collect();
    let newest = |words: &[&str]| texts.iter().position(|text| words.iter().any(|word| text.contains(word)));
    let mut found: Vec<(usize, &str)> = WORDS.iter().filter_map(|(words, hint)| Some((newest(words)?, *hint))).collect();
    found.sort_by_key(|(at, _)| *at);
    hints.extend(found.into_iter().take(2).map(|(_, hint)| hint.to_owned()));
    match card.exit.as_ref().map(|exit| exit.code) {
        // It never ran: whatever else is missing, this is.
        Some(127) if failure.is_some() => {
            hints = vec!["check `command:` and `entrypoint:`, and what the image contains".to_owned()]
        }
        Some(126) if hints.is_empty() => hints.push("make it executable, or name its interpreter in `command:`".to_owned()),
        Some(127) if hints.is_empty() => hints.push("check `command:` and `entrypoint:`, and what the image contains".to_owned()),
        _ => {}
    }
    if let Some(probe) = card.probe.as_ref().filter(|probe| probe.code == Some(127) || probe.code.is_none()) {
        let program = probe.command.split(' ').next().unwrap_or_default();
        let missing = probe.code == Some(127) || probe.output.contains("not found") || probe.output.contains("No such file");
        hints.push(match missing {
            true => {
                format!("the image may lack what the probe runs (`{program}`): `x-rcompose: {{probe: ...}}` needs nothing in it")
            }
            false => "give probes more time by `timeout:`, or a slow start by `start_period:`".to_owned(),
        });
    }
    hints
}

/// What tells more.
pub(super) fn next(card: &FailureCard) -> Vec<String> {
    let service = &card.service;
    match (&card.exit, &card.probe) {
        (None, Some(_)) => vec![format!("rcompose logs {service}"), format!("rcompose exec {service} sh")],
        (Some(exit), _) if matches!(exit.code, 126 | 127) => vec![format!("rcompose run --rm --entrypoint sh {service}")],
        _ => vec![format!("rcompose logs {service}"), format!("rcompose run --rm --entrypoint sh {service}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{ExitReport, ProbeReport};

    fn hints(code: i32, log: &[&str], probe: Option<ProbeReport>) -> String {
        let exit = Some(ExitReport { code, oom_killed: code == 137, ..ExitReport::default() });
        let log = log.iter().map(|line| (*line).to_owned()).collect();
        of(&FailureCard { exit, log, probe, ..FailureCard::default() }, &ContainerSpec::default(), None).join("\n")
    }

    #[test]
    fn what_was_said_last_counts_most() {
        let found = hints(1, &["open /etc/x: No such file or directory", "connect: Connection refused"], None);
        assert!(found.starts_with("something that it connects to"), "{found}");
        assert!(found.contains("a file is missing"), "{found}");
        assert_eq!(hints(3, &["bye"], None), "");
    }

    #[test]
    fn statuses_and_probes_have_hints_of_their_own() {
        assert!(hints(127, &[], None).contains("`command:`"));
        assert!(hints(137, &[], None).contains("memory"));
        let probe = ProbeReport { command: "curl -f http://localhost".to_owned(), code: Some(127), ..ProbeReport::default() };
        assert!(hints(1, &[], Some(probe)).contains("(`curl`)"));
    }
}
