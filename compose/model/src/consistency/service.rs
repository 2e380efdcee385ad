//! Whether a service fits into its project.

use std::collections::HashMap;

use super::{Parts, entries, items, undefined};
use crate::Diagnostic;
use crate::diagnostic::{Code, Severity};
use crate::node::{Key, Node};
use crate::problems::Problems;

pub(super) fn check(parts: &Parts<'_>, key: &Key, service: &Node, problems: &mut Problems) {
    let name = &key.name;
    let empty = |attribute: &str| service.get(attribute).and_then(Node::text).is_none_or(str::is_empty);
    if service.get("build").is_none() && empty("image") && service.get("provider").is_none() {
        let message = format!("service \"{name}\" has neither an image nor a build context specified");
        let problem = Diagnostic::error(Code::MissingKey, message).at(&key.spot).on(name);
        problems.push(problem.with_help("say what it runs: `image: NAME`, or `build: DIRECTORY`"));
    }
    if let Some(build) = service.get("build") {
        check_build(parts, name, service, build, problems);
    }
    networks(parts, name, service, problems);
    dependencies(parts, name, service, problems);
    references(parts, name, service, problems);
    doubled(name, service, problems);
    scale(name, service, problems);
    restart(name, service, problems);
    mounts(name, service, problems);
    if let Some(test) = service.get("healthcheck").and_then(|check| check.get("test"))
        && let Some(first) = test.items().and_then(<[Node]>::first)
        && !matches!(first.text(), Some("CMD" | "CMD-SHELL" | "NONE"))
    {
        let message = format!("services.{name}: healthcheck.test must start either by \"CMD\", \"CMD-SHELL\" or \"NONE\"");
        let problem = Diagnostic::error(Code::InvalidValue, message).at(&first.spot).on(first.text().unwrap_or_default());
        problems.push(problem.with_help("begin the list with \"CMD\""));
    }
    unused_interval(name, service, problems);
    super::extension::check(name, service, problems);
    for rule in service.get("develop").map(|develop| items(develop, "watch")).unwrap_or_default() {
        let action = rule.get("action").and_then(Node::text).unwrap_or_default();
        if rule.get("target").is_none() && !matches!(action, "rebuild" | "restart") {
            let message = format!("services.{name}.develop.watch: target is required for non-rebuild actions");
            let problem = Diagnostic::error(Code::MissingKey, message).at(&rule.spot);
            problems.push(problem.with_help("say where in the container the files go: `target: /app`"));
        }
    }
}

fn check_build(parts: &Parts<'_>, name: &str, service: &Node, build: &Node, problems: &mut Problems) {
    if let (Some(_), Some(inline)) = (build.get("dockerfile"), build.get("dockerfile_inline")) {
        let message = format!("service \"{name}\" declares mutually exclusive `dockerfile` and `dockerfile_inline`");
        problems.push(Diagnostic::error(Code::Conflict, message).at(&inline.spot).with_help("remove one of the two"));
    }
    for (context, node) in build.get("additional_contexts").and_then(Node::mapping).into_iter().flatten() {
        let Some(target) = node.text().and_then(|text| text.strip_prefix("service:")) else { continue };
        let known = parts.tree.get("services").and_then(|services| services.get(target));
        match known {
            None => {
                let message =
                    format!("service \"{name}\" declares unknown service \"{target}\" as additional contexts {}", context.name);
                let services = entries(parts.tree, "services").map(|(key, _)| key.name.as_str());
                problems.push(undefined(message, target, &node.spot, services, "name a service of this project"));
            }
            Some(other) if other.get("build").is_none() => {
                let message = format!(
                    "service \"{name}\" declares non-buildable service \"{target}\" as additional contexts {}",
                    context.name
                );
                problems.push(Diagnostic::error(Code::Undefined, message).at(&node.spot).on(target));
            }
            Some(_) => {}
        }
    }
    let platforms = items(build, "platforms");
    if let Some(platform) = service.get("platform").and_then(Node::text)
        && !platforms.is_empty()
        && !platforms.iter().any(|item| item.text() == Some(platform))
    {
        let message = format!("services.{name}.build.platforms must include the service's platform \"{platform}\"");
        let spot = build.get("platforms").map_or(&build.spot, |node| &node.spot);
        problems.push(Diagnostic::error(Code::Conflict, message).at(spot).with_help(format!("add `{platform}` to the list")));
    }
    for secret in items(build, "secrets") {
        reference(parts, name, secret.get("source"), "secrets", "build secret", problems);
    }
}

fn networks(parts: &Parts<'_>, name: &str, service: &Node, problems: &mut Problems) {
    let attached = service.get("networks").and_then(Node::mapping).filter(|networks| !networks.is_empty());
    let mode = service.mapping().and_then(|entries| entries.get_key_value("network_mode"));
    if let (Some((key, mode)), Some(networks)) = (mode, attached)
        && mode.text().is_some_and(|text| !text.is_empty())
    {
        let message = format!("service {name} declares mutually exclusive `network_mode` and `networks`");
        let mut problem = Diagnostic::error(Code::Conflict, message).at(&key.spot).on("network_mode");
        if let Some((first, _)) = networks.first() {
            problem = problem.with_note("and `networks` here", &first.spot);
        }
        problems.push(problem.with_help("remove one of the two: with `network_mode`, a service has no networks of the project"));
    }
    for (key, _) in attached.into_iter().flatten() {
        if problems.are_enough() {
            return;
        }
        if parts.tree.get("networks").is_none_or(|networks| networks.get(&key.name).is_none()) {
            let message = format!("service \"{name}\" refers to undefined network {}", key.name);
            let known = entries(parts.tree, "networks").map(|(key, _)| key.name.as_str());
            problems.push(undefined(
                message,
                &key.name,
                &key.spot,
                known,
                "declare it: `networks:` at the top level, the name below",
            ));
        }
    }
}

fn dependencies(parts: &Parts<'_>, name: &str, service: &Node, problems: &mut Problems) {
    let known = |name: &str| parts.tree.get("services").is_some_and(|services| services.get(name).is_some());
    for (key, how) in service.get("depends_on").and_then(Node::mapping).into_iter().flatten() {
        if known(&key.name) || problems.are_enough() {
            continue;
        }
        let required = how.get("required").and_then(Node::text) != Some("false");
        match parts.disabled.get(key.name.as_str()) {
            Some(_) if !required => {}
            Some(disabled) => {
                let profiles: Vec<&str> = items(disabled, "profiles").iter().filter_map(Node::text).collect();
                let message = format!("service \"{name}\" depends on undefined service \"{}\"", key.name);
                let problem = Diagnostic::error(Code::Undefined, message).at(&key.spot).on(&key.name);
                problems.push(problem.with_help(format!(
                    "a profile keeps it out: enable one with `--profile {}`, or write `required: false`",
                    profiles.join("` or `--profile ")
                )));
            }
            // COMPAT: docker compose refuses also what is not required, and so what its own `config` prints of a project in which
            // a profile keeps it out.
            None => {
                let message = format!("service \"{name}\" depends on undefined service \"{}\"", key.name);
                let services = entries(parts.tree, "services").map(|(key, _)| key.name.as_str());
                let problem = undefined(message, &key.name, &key.spot, services, "declare it below `services:`");
                let severity = if required { Severity::Error } else { Severity::Warning };
                problems.push(Diagnostic { severity, ..problem });
            }
        }
    }
    if let Some(mode) = service.get("network_mode")
        && let Some(target) = mode.text().and_then(|text| text.strip_prefix("service:"))
        && !known(target)
        && service.get("depends_on").is_none_or(|depends| depends.get(target).is_none())
    {
        let message = format!("service \"{target}\" not found for network_mode 'service:{target}'");
        let services = entries(parts.tree, "services").map(|(key, _)| key.name.as_str());
        problems.push(undefined(message, target, &mode.spot, services, "name a service of this project"));
    }
}

fn references(parts: &Parts<'_>, name: &str, service: &Node, problems: &mut Problems) {
    for volume in items(service, "volumes") {
        if volume.get("type").and_then(Node::text) == Some("volume") {
            reference(parts, name, volume.get("source"), "volumes", "volume", problems);
        }
    }
    for (attribute, kind) in [("configs", "config"), ("secrets", "secret")] {
        for item in items(service, attribute) {
            reference(parts, name, item.get("source"), attribute, kind, problems);
        }
    }
    for (key, _) in service.get("models").and_then(Node::mapping).into_iter().flatten() {
        let at = Node::text_at(&key.name, &key.spot);
        reference(parts, name, Some(&at), "models", "model", problems);
    }
}

/// A name that a section of the file has to have.
fn reference(parts: &Parts<'_>, name: &str, node: Option<&Node>, section: &str, kind: &str, problems: &mut Problems) {
    let Some(node) = node else { return };
    let Some(target) = node.text().filter(|target| !target.is_empty() && !problems.are_enough()) else { return };
    if parts.tree.get(section).is_none_or(|known| known.get(target).is_none()) {
        let message = format!("service \"{name}\" refers to undefined {kind} {target}");
        let known = entries(parts.tree, section).map(|(key, _)| key.name.as_str());
        let declare = format!("declare it: `{section}:` at the top level, `{target}:` below");
        problems.push(undefined(message, target, &node.spot, known, &declare));
    }
}

/// Two attributes that say one thing have to say the same.
fn doubled(name: &str, service: &Node, problems: &mut Problems) {
    let resources = service.get("deploy").and_then(|deploy| deploy.get("resources"));
    for (attribute, group, other) in [
        ("cpus", "limits", "cpus"),
        ("mem_limit", "limits", "memory"),
        ("mem_reservation", "reservations", "memory"),
        ("pids_limit", "limits", "pids"),
    ] {
        let (Some(old), Some(new)) = (service.get(attribute), resources.and_then(|resources| resources.get(group))) else {
            continue;
        };
        let said = new.get(other);
        if said.and_then(Node::text).unwrap_or("0") != old.text().unwrap_or("0") {
            let path = format!("deploy.resources.{group}.{other}");
            let message = format!("services.{name}: can't set distinct values on '{attribute}' and '{path}'");
            let at = said.unwrap_or(new);
            problems.push(
                Diagnostic::error(Code::Conflict, message)
                    .at(&old.spot)
                    .with_note(format!("`{path}`"), &at.spot)
                    .with_help(format!("say it once, in `{path}`")),
            );
        }
    }
}

fn scale(name: &str, service: &Node, problems: &mut Problems) {
    let scale = service.get("scale");
    let replicas = service.get("deploy").and_then(|deploy| deploy.get("replicas"));
    let number = |node: Option<&Node>| node.and_then(Node::text).and_then(|text| text.parse::<i64>().ok());
    if let (Some(one), Some(other)) = (number(scale), number(replicas))
        && one != other
        && let Some(scale) = scale
    {
        let message = format!("services.{name}: can't set distinct values on 'scale' and 'deploy.replicas'");
        problems.push(Diagnostic::error(Code::Conflict, message).at(&scale.spot).with_help("remove one of the two"));
    }
    for (path, node) in [("scale", scale), ("deploy.replicas", replicas)] {
        if let Some(node) = node.filter(|node| number(Some(node)).is_some_and(|number| number < 0)) {
            let message = format!("services.{name}.{path}: must be greater than or equal to 0");
            problems.push(Diagnostic::error(Code::InvalidValue, message).at(&node.spot).on(node.text().unwrap_or_default()));
        }
    }
    let wanted = number(scale).or(number(replicas)).unwrap_or(1);
    let fixed = service.mapping().and_then(|entries| entries.get_key_value("container_name"));
    if let Some((key, fixed)) = fixed.filter(|_| wanted > 1) {
        let path = if scale.is_some() { "scale" } else { "deploy.replicas" };
        let message = format!(
            "services.{name}: can't set container_name and {path}: {wanted} replicas cannot share the name \"{}\"",
            fixed.text().unwrap_or_default()
        );
        let problem = Diagnostic::error(Code::Conflict, message).at(&key.spot).on("container_name");
        problems.push(problem.with_help("remove `container_name`, or have one replica"));
    }
}

/// Tells a policy that there is not. COMPAT: a warning, since docker compose leaves it to the engine to refuse.
fn restart(name: &str, service: &Node, problems: &mut Problems) {
    let Some(node) = service.get("restart") else { return };
    let Some(text) = node.text().filter(|text| crate::decode::restart_policy(text).is_none()) else { return };
    let message = format!("services.{name}.restart: unknown policy `{}`", text.escape_debug());
    let problem = Diagnostic::warning(Code::InvalidValue, message).at(&node.spot).on(text);
    problems.push(problem.with_nearest(text, ["no", "always", "on-failure", "unless-stopped"]));
}

/// Tells an interval of a period that there is not. COMPAT: a warning, since docker compose only refuses to create the container.
fn unused_interval(name: &str, service: &Node, problems: &mut Problems) {
    let Some(check) = service.get("healthcheck") else { return };
    if let (Some(interval), None) = (check.get("start_interval"), check.get("start_period")) {
        let message = format!("services.{name}.healthcheck.start_interval has no effect without `start_period`");
        let problem = Diagnostic::warning(Code::NoEffect, message).at(&interval.spot);
        problems.push(problem.with_help("say how long the service may take to start: `start_period: 30s`"));
    }
}

/// Two things cannot be at one place of the container.
fn mounts(name: &str, service: &Node, problems: &mut Problems) {
    let tmpfs = items(service, "tmpfs").iter().enumerate().filter_map(|(index, item)| {
        let path = item.text()?.split(':').next().unwrap_or_default();
        Some((path, format!("services.{name}.tmpfs[{index}]"), item))
    });
    let volumes = items(service, "volumes")
        .iter()
        .enumerate()
        .filter_map(|(index, item)| Some((item.get("target")?.text()?, format!("services.{name}.volumes[{index}]"), item)));
    let mut known: HashMap<&str, (String, &Node)> = HashMap::new();
    for (path, at, node) in tmpfs.chain(volumes) {
        if let Some((other, first)) = known.get(path) {
            let message = format!("{at}: target {path} already mounted as {other}");
            let problem = Diagnostic::error(Code::Conflict, message).at(&node.spot).on(path);
            problems.push(problem.with_note("mounted first here", &first.spot).with_help("give one of them another target"));
        } else {
            known.insert(path, (at, node));
        }
    }
}
