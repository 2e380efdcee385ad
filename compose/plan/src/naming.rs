//! Names of containers and images.

use rcompose_model::project::{Project, Service};

/// Names the replica `number` of `service`.
pub fn container_name(project: &Project, service: &Service, number: u32) -> String {
    match &service.container_name {
        Some(name) => name.clone(),
        None => [&project.name, &service.name, &number.to_string()].map(String::as_str).join(separator(project)),
    }
}

/// Names a one-off container; `slug` is at least 12 hex digits.
pub fn one_off_name(project: &Project, service: &str, slug: &str) -> String {
    [&project.name, service, "run", &slug[..slug.len().min(12)]].join(separator(project))
}

fn separator(project: &Project) -> &'static str {
    if project.compatibility { "_" } else { "-" }
}

/// Names the container of a command that runs before a service; `index` counts from 0.
pub fn hook_name(project: &Project, service: &str, index: usize) -> String {
    [&project.name, service, "pre_start", &index.to_string()].join(separator(project))
}

/// Names a container while the one that it replaces still has the name.
pub fn replacement_name(old_id: &str, name: &str) -> String {
    format!("{}_{name}", &old_id[..old_id.len().min(12)])
}

/// Names the image of a service: as the files do, or after the service whose build makes it. `None` for a service with neither.
pub fn image_name(project: &Project, service: &Service) -> Option<String> {
    let built = || service.build.as_ref().map(|_| format!("{}{}{}", project.name, separator(project), service.name));
    service.image.clone().or_else(built)
}
