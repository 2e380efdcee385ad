//! What runs: image, command, environment, replicas.

use std::path::PathBuf;
use std::time::Duration;

use crate::Diagnostic;
use crate::decode::reader::Section;
use crate::diagnostic::Code;
use crate::node::Node;
use crate::project::{Build, EnvFile, PullPolicy, Service};
use crate::units;

pub(super) fn decode(section: &Section<'_>, service: &mut Service, problems: &mut Vec<Diagnostic>) {
    service.image = section.string("image").filter(|image| !image.is_empty());
    service.build = section.get("build").map(|node| Build {
        context: node.get("context").and_then(Node::text).unwrap_or(".").to_owned(),
        attributes: node.to_json(),
    });
    service.pull_policy = pull_policy(section, problems);
    service.platform = section.string("platform");
    service.command = section.optional_strings("command");
    service.entrypoint = section.optional_strings("entrypoint");
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
    let deployed = section.below("deploy").and_then(|deploy| deploy.integer("replicas"));
    service.scale = section.integer("scale").or(deployed).unwrap_or(1);
    service.environment = section.pairs("environment");
    service.env_files = section.items("env_file").iter().map(env_file).collect();
    service.labels = section.labels("labels");
    if let Some(key) = service.labels.keys().find(|key| key.starts_with("com.docker.compose.")) {
        let fault = section.fault("labels", Code::InvalidValue, &format!("`{key}` is reserved: labels of that prefix are ours"));
        problems.push(fault.on(key).with_help("give the label another name"));
    }
}

fn pull_policy(section: &Section<'_>, problems: &mut Vec<Diagnostic>) -> Option<PullPolicy> {
    let text = section.string("pull_policy")?;
    let days = |days: u64| PullPolicy::Every(Duration::from_secs(days * 86_400));
    Some(match text.as_str() {
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "missing" | "if_not_present" => PullPolicy::Missing,
        "build" => PullPolicy::Build,
        "daily" => days(1),
        "weekly" => days(7),
        // As with `pull_refresh_after`, without which it means nothing more than this.
        "refresh" => match section.duration("pull_refresh_after") {
            Some(period) => PullPolicy::Every(period),
            None => PullPolicy::Missing,
        },
        other => match other.strip_prefix("every_").and_then(units::duration) {
            Some(period) => PullPolicy::Every(period),
            None => {
                let fault =
                    section.fault("pull_policy", Code::InvalidValue, &format!("unknown policy `{}`", other.escape_debug()));
                let known = ["always", "never", "missing", "if_not_present", "build", "daily", "weekly"];
                problems.push(fault.on(other).with_nearest(other, known));
                return None;
            }
        },
    })
}

fn env_file(node: &Node) -> EnvFile {
    let section = Section::new(node, "env_file");
    EnvFile {
        path: PathBuf::from(section.string("path").unwrap_or_default()),
        required: section.boolean("required").unwrap_or(true),
        format: section.string("format"),
    }
}
