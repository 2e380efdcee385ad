//! What runs: image, command, environment, replicas.

use std::collections::BTreeMap;

use crate::decode::Context;
use crate::decode::reader::Section;
use crate::load::clean;
use crate::node::{Kind, Node};
use crate::project::{Build, EnvFile, PullPolicy, Service};
use crate::{envfile, units};

pub(super) fn decode(context: &Context<'_>, section: &mut Section<'_, '_>, service: &mut Service) {
    service.image = section.string("image").map(|image| match image.strip_prefix("rootfs:") {
        Some(path) => format!("rootfs:{}", clean(&context.directory.join(path)).display()),
        None => image,
    });
    service.build = section.get("build").map(|node| match &node.kind {
        Kind::Scalar { text, .. } => Build { context: text.clone(), attributes: serde_json::Value::Null },
        _ => Build { context: node.get("context").and_then(Node::text).unwrap_or(".").to_owned(), attributes: node.to_json() },
    });
    service.pull_policy = pull_policy(section);
    service.platform = section.string("platform");
    service.command = section.command("command");
    service.entrypoint = section.command("entrypoint");
    service.container_name = section.string("container_name");
    service.hostname = section.string("hostname");
    service.domainname = section.string("domainname");
    service.user = section.string("user");
    service.group_add = section.strings("group_add");
    service.working_dir = section.string("working_dir");
    service.tty = section.flag("tty");
    service.stdin_open = section.flag("stdin_open");
    service.init = section.flag("init");
    service.attach = section.boolean("attach").unwrap_or(true);
    service.profiles = section.strings("profiles");
    service.annotations = section.labels("annotations");
    service.scale = scale(section);
}

fn scale(section: &mut Section<'_, '_>) -> u32 {
    let own = section.integer("scale");
    let deployed = section.get("deploy").and_then(|deploy| deploy.get("replicas")).filter(|node| !node.is_null());
    let replicas = deployed.and_then(|node| {
        let value = node.text().and_then(units::integer).and_then(|number| u32::try_from(number).ok());
        if value.is_none() {
            let text = format!("{}.deploy.replicas must be a whole number, at least 0", section.path);
            section.fault(node, text);
        }
        value
    });
    match (own, replicas, deployed) {
        (Some(one), Some(other), Some(node)) if one != other => {
            let text = format!("{}: `scale` and `deploy.replicas` differ", section.path);
            section.fault(node, text);
            one
        }
        (own, replicas, _) => own.or(replicas).unwrap_or(1),
    }
}

fn pull_policy(section: &mut Section<'_, '_>) -> Option<PullPolicy> {
    let text = section.string("pull_policy")?;
    let days = |days: u64| PullPolicy::Every(std::time::Duration::from_secs(days * 86_400));
    Some(match text.as_str() {
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "missing" | "if_not_present" => PullPolicy::Missing,
        "build" => PullPolicy::Build,
        "daily" => days(1),
        "weekly" => days(7),
        other => match other.strip_prefix("every_").and_then(units::duration) {
            Some(duration) => PullPolicy::Every(duration),
            None => {
                let text = format!("{}.pull_policy: unknown policy `{}`", section.path, other.escape_default());
                let node = section.node.get("pull_policy").unwrap_or(section.node);
                section.fault(node, text);
                return None;
            }
        },
    })
}

pub(super) fn environment(context: &Context<'_>, section: &mut Section<'_, '_>, service: &mut Service) {
    service.env_files = env_files(context, section);
    let mut variables: BTreeMap<String, Option<String>> = BTreeMap::new();
    for file in service.env_files.clone() {
        match context.files.read(&file.path, 1 << 20) {
            Ok(Some(text)) => {
                let entries = if file.format.as_deref() == Some("raw") {
                    Ok(envfile::parse_raw(&text, context.variables))
                } else {
                    envfile::parse(&text, &file.path, context.variables)
                };
                match entries {
                    Ok(entries) => variables.extend(entries.into_iter().map(|(key, value)| (key, Some(value)))),
                    Err(problem) => section.problems.push(problem),
                }
            }
            Ok(None) if !file.required => {}
            unreadable => {
                let why = unreadable.err().unwrap_or_else(|| "no such file".to_owned());
                let text = format!("env file {} not found or unreadable: {why}", file.path.display());
                let node = section.node.get("env_file").unwrap_or(section.node);
                section.fault(node, text);
            }
        }
    }
    for (key, value) in section.pairs("environment") {
        // A name alone takes the value that the variable has here; unset here, it is unset there.
        let value = value.or_else(|| context.variables.get(&key).cloned());
        variables.insert(key, value);
    }
    service.environment = variables;
    service.labels = section.labels("labels");
    if let Some(key) = service.labels.keys().find(|key| key.starts_with("com.docker.compose.")).cloned() {
        let node = section.node.get("labels").unwrap_or(section.node);
        let text = format!("{}.labels: `{key}` is reserved: labels of that prefix are ours", section.path);
        section.fault(node, text);
    }
}

fn env_files(context: &Context<'_>, section: &mut Section<'_, '_>) -> Vec<EnvFile> {
    let Some(node) = section.get("env_file") else { return Vec::new() };
    let plain = |text: &str| EnvFile { path: clean(&context.directory.join(text)), required: true, format: None };
    let items = match &node.kind {
        Kind::Scalar { text, .. } => return vec![plain(text)],
        Kind::Sequence(items) => items,
        Kind::Mapping(_) => {
            let text = format!("{}.env_file must be a path or a list", section.path);
            section.fault(node, text);
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for item in items {
        match item.text() {
            Some(text) => files.push(plain(text)),
            None => {
                let mut entry = Section::new(item, format!("{}.env_file", section.path), section.problems);
                entry.known(&["path", "required", "format"]);
                let path = entry.string("path").unwrap_or_default();
                let (required, format) = (entry.boolean("required").unwrap_or(true), entry.string("format"));
                files.push(EnvFile { required, format, ..plain(&path) });
            }
        }
    }
    files
}
