//! Names of containers and images.

use rcompose_model::project::{Project, Service};

/// Names the replica `number` of `service`.
pub fn container_name(project: &Project, service: &Service, number: u32) -> String {
    match &service.container_name {
        Some(name) => name.clone(),
        None => format!("{}-{}-{number}", project.name, service.name),
    }
}

/// Names a one-off container; `slug` is at least 12 hex digits.
pub fn one_off_name(project: &str, service: &str, slug: &str) -> String {
    format!("{project}-{service}-run-{}", &slug[..slug.len().min(12)])
}

/// Names a container while the one that it replaces still has the name.
pub fn replacement_name(old_id: &str, name: &str) -> String {
    format!("{}_{name}", &old_id[..old_id.len().min(12)])
}

/// Names the image of a service: as the files do, or after the service whose build makes it. `None` for a service with neither.
pub fn image_name(project: &Project, service: &Service) -> Option<String> {
    let built = || service.build.as_ref().map(|_| format!("{}-{}", project.name, service.name));
    service.image.clone().or_else(built)
}
