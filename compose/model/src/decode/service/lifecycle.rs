//! When it starts, stops, is well, and starts again.

use std::collections::BTreeMap;

use crate::decode::reader::Section;
use crate::node::{Kind, Node};
use crate::project::{Condition, Dependency, Healthcheck, HealthcheckTest, Logging, NetworkMode, RestartPolicy, Service};

pub(super) fn decode(section: &mut Section<'_, '_>, service: &mut Service) {
    service.depends_on = dependencies(section);
    for link in service.links.clone() {
        let name = link.split(':').next().unwrap_or_default().to_owned();
        imply(service, name, true);
    }
    let mut shared: Vec<String> = [&service.ipc, &service.pid]
        .into_iter()
        .filter_map(|mode| mode.as_deref()?.strip_prefix("service:").map(str::to_owned))
        .collect();
    if let Some(NetworkMode::Service(name)) = &service.network_mode {
        shared.push(name.clone());
    }
    shared.into_iter().for_each(|name| imply(service, name, true));
    service.healthcheck = section.get("healthcheck").map(|node| healthcheck(section, node));
    service.restart = restart(section);
    service.stop_signal = section.string("stop_signal");
    service.stop_grace_period = section.duration("stop_grace_period");
    if let Some(node) = section.get("logging") {
        let mut entry = Section::new(node, format!("{}.logging", section.path), section.problems);
        entry.known(&["driver", "options"]);
        let driver = entry.string("driver").unwrap_or_else(|| "json-file".to_owned());
        if !["json-file", "local", "none"].contains(&driver.as_str()) {
            let text = format!(
                "{}.driver: `{}` is not supported: expected json-file, local or none",
                entry.path,
                driver.escape_default()
            );
            entry.fault(node, text);
        }
        service.logging = Logging { driver, options: entry.labels("options") };
    }
}

fn imply(service: &mut Service, name: String, restart: bool) {
    let implied = Dependency { condition: Condition::ServiceStarted, restart, required: true };
    service.depends_on.entry(name).or_insert(implied);
}

fn dependencies(section: &mut Section<'_, '_>) -> BTreeMap<String, Dependency> {
    let Some(node) = section.get("depends_on") else { return BTreeMap::new() };
    if !matches!(node.kind, Kind::Mapping(_)) {
        let plain = Dependency { condition: Condition::ServiceStarted, restart: false, required: true };
        return section.strings("depends_on").into_iter().map(|name| (name, plain.clone())).collect();
    }
    let mut dependencies = BTreeMap::new();
    for (key, node) in section.entries("depends_on") {
        let mut entry = Section::new(node, format!("{}.depends_on.{}", section.path, key.name), section.problems);
        entry.known(&["condition", "restart", "required"]);
        let choices = ["service_started", "service_healthy", "service_completed_successfully"];
        let condition = match entry.choice("condition", &choices).as_deref() {
            Some("service_healthy") => Condition::ServiceHealthy,
            Some("service_completed_successfully") => Condition::ServiceCompletedSuccessfully,
            _ => Condition::ServiceStarted,
        };
        let dependency =
            Dependency { condition, restart: entry.flag("restart"), required: entry.boolean("required").unwrap_or(true) };
        dependencies.insert(key.name.clone(), dependency);
    }
    dependencies
}

fn healthcheck(section: &mut Section<'_, '_>, node: &Node) -> Healthcheck {
    let mut entry = Section::new(node, format!("{}.healthcheck", section.path), section.problems);
    entry.known(&["test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"]);
    let test = entry.get("test").and_then(|test| match &test.kind {
        Kind::Scalar { text, .. } => Some(HealthcheckTest::Shell(text.clone())),
        _ => {
            let words = entry.strings("test");
            match words.split_first() {
                Some((first, _)) if first == "NONE" => Some(HealthcheckTest::None),
                Some((first, rest)) if first == "CMD" => Some(HealthcheckTest::Command(rest.to_vec())),
                Some((first, rest)) if first == "CMD-SHELL" => Some(HealthcheckTest::Shell(rest.join(" "))),
                _ => {
                    let text = format!("{}.test: a list begins with NONE, CMD or CMD-SHELL", entry.path);
                    entry.fault(test, text);
                    None
                }
            }
        }
    });
    let test = if entry.flag("disable") { Some(HealthcheckTest::None) } else { test };
    Healthcheck {
        test,
        interval: entry.duration("interval"),
        timeout: entry.duration("timeout"),
        retries: entry.integer("retries"),
        start_period: entry.duration("start_period"),
        start_interval: entry.duration("start_interval"),
    }
}

fn restart(section: &mut Section<'_, '_>) -> RestartPolicy {
    let deployed = section.get("deploy").and_then(|deploy| deploy.get("restart_policy"));
    if let Some(node) = deployed {
        let mut entry = Section::new(node, format!("{}.deploy.restart_policy", section.path), section.problems);
        entry.known(&["condition", "delay", "max_attempts", "window"]);
        let max_retries = entry.integer("max_attempts");
        return match entry.choice("condition", &["none", "on-failure", "any"]).as_deref() {
            Some("none") => RestartPolicy::No,
            Some("on-failure") => RestartPolicy::OnFailure { max_retries },
            _ => RestartPolicy::Always,
        };
    }
    let Some(text) = section.string("restart") else { return RestartPolicy::No };
    match text.as_str() {
        "no" | "false" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => RestartPolicy::OnFailure { max_retries: None },
        other => {
            if let Some(max) = other.strip_prefix("on-failure:").and_then(|max| max.parse().ok()) {
                return RestartPolicy::OnFailure { max_retries: Some(max) };
            }
            let text = format!("{}.restart: unknown policy `{}`", section.path, other.escape_default());
            let node = section.node.get("restart").unwrap_or(section.node);
            section.fault(node, text);
            RestartPolicy::No
        }
    }
}
