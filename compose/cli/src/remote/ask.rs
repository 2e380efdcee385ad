//! What is shown, and asked, before something that is elsewhere is used.

use rcompose_model::node::Node;
use rcompose_model::project::{MountKind, NetworkMode, SecurityOption, Service};
use rcompose_model::variables::declared;
use rcompose_model::{Model, Place, Project};
use rcompose_supervisor::messages::Failure;

use super::Questions;
use crate::error::{CommandError, plain};
use crate::output::words::masked;
use crate::output::{self, Table};

/// Whether what a file names may be fetched.
pub(super) fn may_fetch(reference: &str, by: &Place, questions: Questions) -> Result<(), String> {
    if questions != Questions::Asked {
        return Ok(());
    }
    let place = plain(&by.to_string());
    if !output::is_answerable() {
        return Err(format!("{place} names it, which needs an answer, and standard input is no terminal; `-y` answers yes"));
    }
    output::tell(&format!("{place} names files that are elsewhere:\n  {}\n", plain(reference)));
    output::tell("They can do to this machine whatever a stack can: make sure that you trust where they come from.\n");
    match output::agreed("Do you want to continue?", false) {
        Ok(true) => Ok(()),
        Ok(false) => Err("the answer was no".to_owned()),
        Err(error) => Err(error.in_one_line()),
    }
}

/// Shows what a stack from elsewhere is, and asks whether to go on.
///
/// # Errors
/// The answer is no, or nobody is there to give one.
pub(crate) fn agree(reference: &str, uninterpolated: &Model, project: &Project) -> Result<(), CommandError> {
    let variables = variables(uninterpolated);
    if !variables.is_empty() {
        output::tell(&format!("\nFound the following variables in configuration:\n{}", plain(&variables)));
    }
    let reach: Vec<String> = project.services.values().filter_map(reach).collect();
    if !reach.is_empty() {
        output::tell(&format!("\nIt reaches out of its containers:\n{}\n", plain(&reach.join("\n"))));
    }
    if !output::is_answerable() {
        let mut failure = Failure::text(format!("{} needs an answer, and standard input is no terminal", plain(reference)));
        failure.hint = Some("`-y` answers yes; `config` shows the stack and starts nothing".to_owned());
        return Err(CommandError::Failed(failure));
    }
    match output::agreed("\nDo you want to proceed with these variables?", true)? {
        true => Ok(()),
        false => Err(CommandError::Failed(Failure::text("nothing was done: the answer was no"))),
    }
}

/// What the files ask for, and what it stands for now.
fn variables(model: &Model) -> String {
    let mut declared = declared(&model.tree);
    for name in handed_over(&model.tree) {
        declared.entry(name).or_default();
    }
    if declared.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["VARIABLE", "VALUE", "SOURCE", "REQUIRED", "DEFAULT"]);
    for (name, it) in declared {
        let (value, source) = match model.variables.variable(&name) {
            Some(set) => (masked(&name, &set.value), set.source.to_string()),
            None if !it.default.is_empty() => (it.default.clone(), "compose file".to_owned()),
            None => ("<unset>".to_owned(), "none".to_owned()),
        };
        let required = if it.required { "yes" } else { "no" };
        table.row(vec![name, value, source, required.to_owned(), it.default]);
    }
    table.render()
}

/// Variables that containers, builds, configs and secrets get without a `$`: their names alone ask for them.
fn handed_over(tree: &Node) -> Vec<String> {
    let section = |name: &str| tree.get(name).and_then(Node::mapping).into_iter().flat_map(|entries| entries.values());
    let mut names = Vec::new();
    for service in section("services") {
        let lists = [service.get("environment"), service.get("build").and_then(|build| build.get("args"))];
        for list in lists.into_iter().flatten() {
            let items = list.items().into_iter().flatten().filter_map(Node::text).filter(|text| !text.contains('='));
            names.extend(items.map(str::to_owned));
            let entries = list.mapping().into_iter().flatten().filter(|(_, value)| value.is_null());
            names.extend(entries.map(|(key, _)| key.name.clone()));
        }
    }
    let objects = section("configs").chain(section("secrets"));
    names.extend(objects.filter_map(|object| Some(object.get("environment")?.text()?.to_owned())));
    names
}

/// What a service does to the machine around its containers, in one line; `None` if it keeps to itself.
fn reach(service: &Service) -> Option<String> {
    let mut words = Vec::new();
    if service.privileged {
        words.push("privileged".to_owned());
    }
    let before = service.pre_start.iter().map(|start| &start.hook);
    if service.post_start.iter().chain(&service.pre_stop).chain(before).any(|hook| hook.privileged) {
        words.push("privileged hooks".to_owned());
    }
    words.extend(service.cap_add.iter().map(|capability| format!("capability {capability}")));
    words.extend(service.devices.iter().map(|device| format!("device {}", device.source)));
    let lifted = |option: &SecurityOption| match option {
        SecurityOption::SeccompUnconfined => Some("seccomp=unconfined".to_owned()),
        SecurityOption::SystemPathsUnconfined => Some("systempaths=unconfined".to_owned()),
        SecurityOption::Apparmor(profile) if profile == "unconfined" => Some("apparmor=unconfined".to_owned()),
        _ => None,
    };
    words.extend(service.security_opt.iter().filter_map(lifted));
    let namespaces = [("pid", &service.pid), ("ipc", &service.ipc), ("uts", &service.uts), ("userns", &service.userns_mode)];
    let hosts = namespaces.into_iter().filter(|(_, mode)| mode.as_deref() == Some("host"));
    words.extend(hosts.map(|(name, _)| format!("{name} of the host")));
    match &service.network_mode {
        Some(NetworkMode::Host) => words.push("network of the host".to_owned()),
        Some(NetworkMode::Container(name)) => words.push(format!("network of container {name}")),
        _ => {}
    }
    for mount in &service.mounts {
        if let MountKind::Bind { source, .. } = &mount.kind {
            let mode = if mount.read_only { "reads" } else { "writes" };
            words.push(format!("{mode} {}", source.display()));
        }
    }
    for port in &service.ports {
        let address = port.host_ip.map_or_else(|| "every address".to_owned(), |address| address.to_string());
        let published = match port.published {
            Some((first, last)) if first == last => format!(" port {first}"),
            Some((first, last)) => format!(" a port of {first}-{last}"),
            None => String::new(),
        };
        words.push(format!("listens on {address}{published}"));
    }
    (!words.is_empty()).then(|| format!("  {}: {}", service.name, words.join(", ")))
}
