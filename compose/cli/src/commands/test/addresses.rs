//! Where the services of a copy answer, as variables.

use std::collections::BTreeMap;

use rcompose_model::Project;
use rcompose_supervisor::messages::ContainerSummary;

use crate::settings::World;

/// Of each service that has published ports, those of its first replica.
pub(super) fn of(containers: &[ContainerSummary]) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for container in containers.iter().filter(|it| it.number == 1) {
        let name = variable(&container.service);
        for port in &container.ports {
            let kind = if port.protocol == "udp" { "_UDP" } else { "" };
            variables.insert(format!("{name}_HOST"), port.url.clone());
            variables.insert(format!("{name}_PORT_{}{kind}", port.target_port), port.published_port.to_string());
        }
    }
    variables
}

/// By which the program itself, when the command calls it, means the copy.
pub(super) fn of_project(world: &World, project: &Project) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut say = |name: &str, value: String| drop(variables.insert(name.to_owned(), value));
    say("COMPOSE_PROJECT_NAME", project.name.clone());
    say("RCOMPOSE_ROOT", world.supervisor.data_root.display().to_string());
    say("RCOMPOSE_RUN_ROOT", world.supervisor.run_root.display().to_string());
    let files: Vec<String> = project.files.iter().map(|path| path.display().to_string()).collect();
    if files.iter().all(|file| file != "-" && !file.contains(':')) {
        say("COMPOSE_FILE", files.join(":"));
    }
    variables
}

/// `web-api` is `WEB_API`.
fn variable(service: &str) -> String {
    service.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_shells() {
        assert_eq!(variable("web-api.v2"), "WEB_API_V2");
    }
}
