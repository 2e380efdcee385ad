//! When it starts, stops, is well, and starts again.

use std::time::Duration;

use crate::decode::reader::Section;
use crate::diagnostic::Code;
use crate::problems::Problems;
use crate::project::{
    Condition, Dependency, Healthcheck, HealthcheckTest, Hook, HttpProbe, Logging, RestartPolicy, Service, StartHook,
};

pub(super) fn decode(section: &Section<'_>, service: &mut Service, problems: &mut Problems) {
    for (key, node) in section.entries("depends_on") {
        let entry = Section::new(node, "depends_on");
        let condition = match entry.string("condition").as_deref() {
            Some("service_healthy") => Condition::ServiceHealthy,
            Some("service_completed_successfully") => Condition::ServiceCompletedSuccessfully,
            _ => Condition::ServiceStarted,
        };
        let required = entry.boolean("required").unwrap_or(true);
        service.depends_on.insert(key.name.clone(), Dependency { condition, restart: entry.flag("restart"), required });
    }
    service.healthcheck = section.below("healthcheck").map(|entry| healthcheck(&entry));
    if let Some(entry) = section.below("x-rcompose") {
        extension(&entry, service);
    }
    service.restart = restart(section, problems);
    service.stop_signal = section.string("stop_signal");
    service.stop_grace_period = section.duration("stop_grace_period");
    service.pre_start = start_hooks(section, problems);
    service.post_start = hooks(section, "post_start");
    service.pre_stop = hooks(section, "pre_stop");
    if let Some(entry) = section.below("logging") {
        let driver = entry.string("driver").unwrap_or_else(|| "json-file".to_owned());
        if !["json-file", "local", "none"].contains(&driver.as_str()) {
            let text = format!("`{}` is not supported: expected json-file, local or none", driver.escape_debug());
            problems.push(entry.fault("driver", Code::Unsupported, &text).on(&driver));
        }
        service.logging = Logging { driver, options: entry.labels("options") };
    }
}

fn hooks(section: &Section<'_>, attribute: &str) -> Vec<Hook> {
    section.items(attribute).iter().map(|node| hook(&Section::new(node, attribute))).collect()
}

fn start_hooks(section: &Section<'_>, problems: &mut Problems) -> Vec<StartHook> {
    let start_hook = |node| {
        let entry = Section::new(node, "pre_start");
        if entry.flag("per_replica") {
            let text = "is not supported: it runs once, before the first container of the service";
            problems.push(entry.fault("per_replica", Code::Unsupported, text));
        }
        StartHook { hook: hook(&entry), image: entry.string("image") }
    };
    section.items("pre_start").iter().map(start_hook).collect()
}

pub(super) fn hook(entry: &Section<'_>) -> Hook {
    Hook {
        command: entry.strings("command"),
        user: entry.string("user"),
        privileged: entry.flag("privileged"),
        working_dir: entry.string("working_dir"),
        environment: entry.pairs("environment"),
    }
}

fn healthcheck(entry: &Section<'_>) -> Healthcheck {
    let words = entry.strings("test");
    let test = match words.split_first() {
        _ if entry.flag("disable") => Some(HealthcheckTest::None),
        Some((first, _)) if first == "NONE" => Some(HealthcheckTest::None),
        Some((first, rest)) if first == "CMD" => Some(HealthcheckTest::Command(rest.to_vec())),
        Some((_, rest)) => Some(HealthcheckTest::Shell(rest.join(" "))),
        None => None,
    };
    Healthcheck { test, ..times(entry) }
}

fn times(entry: &Section<'_>) -> Healthcheck {
    Healthcheck {
        test: None,
        interval: entry.duration("interval"),
        timeout: entry.duration("timeout"),
        retries: entry.integer("retries"),
        start_period: entry.duration("start_period"),
        start_interval: entry.duration("start_interval"),
        restart: false,
    }
}

/// A probe that looks for itself costs little: it looks often until the service is there, and failures do not count so long.
const START_PERIOD: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_millis(200);

fn extension(entry: &Section<'_>, service: &mut Service) {
    if let Some(probe) = entry.below("probe") {
        let http = probe.string("http").and_then(|url| HttpProbe::parse(&url).ok()).map(HealthcheckTest::Http);
        let tcp = || probe.integer("tcp").map(HealthcheckTest::Tcp);
        let log = || probe.string("log").map(HealthcheckTest::Log);
        let asked = times(&probe);
        service.healthcheck = Some(Healthcheck {
            test: http.or_else(tcp).or_else(log),
            start_period: asked.start_period.or(Some(START_PERIOD)),
            start_interval: asked.start_interval.or(Some(START_INTERVAL)),
            ..asked
        });
    }
    if entry.flag("restart_on_unhealthy") {
        service.healthcheck.get_or_insert_default().restart = true;
    }
}

fn restart(section: &Section<'_>, problems: &mut Problems) -> RestartPolicy {
    if let Some(entry) = section.below("deploy").and_then(|deploy| deploy.below("restart_policy")) {
        let max_retries = entry.integer("max_attempts");
        return match entry.string("condition").as_deref() {
            Some("none") => RestartPolicy::No,
            Some("on-failure") => RestartPolicy::OnFailure { max_retries },
            None | Some("" | "any") => RestartPolicy::Always,
            Some(other) => {
                let fault =
                    entry.fault("condition", Code::InvalidValue, &format!("unknown condition `{}`", other.escape_debug()));
                problems.push(fault.on(other).with_nearest(other, ["none", "on-failure", "any"]));
                RestartPolicy::No
            }
        };
    }
    let Some(text) = section.string("restart") else { return RestartPolicy::No };
    match policy(&text) {
        Some(policy) => policy,
        None => {
            let fault = section.fault("restart", Code::InvalidValue, &format!("unknown policy `{}`", text.escape_debug()));
            problems.push(fault.on(&text).with_nearest(&text, ["no", "always", "on-failure", "unless-stopped"]));
            RestartPolicy::No
        }
    }
}

/// What `restart` says.
pub(crate) fn policy(text: &str) -> Option<RestartPolicy> {
    Some(match text {
        "" | "no" | "false" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => RestartPolicy::OnFailure { max_retries: None },
        other => RestartPolicy::OnFailure { max_retries: Some(other.strip_prefix("on-failure:")?.parse().ok()?) },
    })
}
