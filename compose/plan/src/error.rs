//! Why no plan can be made.

use rcompose_model::Place;

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing to bring up.
    #[error("no service selected")]
    NothingSelected,
    /// A name on the command line that no service has.
    #[error("no such service: {name}")]
    NoSuchService {
        /// As given.
        name: String,
        /// The nearest name, if one is near.
        suggestion: Option<String>,
    },
    /// Services that wait for each other.
    #[error("dependency cycle detected: {}", arrows(path))]
    Cycle {
        /// Services; the first is repeated at the end.
        path: Vec<String>,
        /// Where the first edge was written.
        place: Option<Place>,
    },
    /// A dependency that is not there.
    #[error("service `{service}` depends on `{dependency}`, which {why}")]
    MissingDependency {
        /// Who depends.
        service: String,
        /// On whom.
        dependency: String,
        /// Why it is not there.
        why: MissingDependency,
        /// Where it was written.
        place: Option<Place>,
    },
    /// A name that cannot be used by several replicas.
    #[error("service `{service}` has the container name `{name}` and cannot have {replicas} replicas")]
    NamedReplicas {
        /// Service.
        service: String,
        /// Container name.
        name: String,
        /// Asked for.
        replicas: u32,
        /// Where the name was written.
        place: Option<Place>,
    },
    /// More replicas than any machine can run.
    #[error("service `{service}` is to have {replicas} replicas, and cannot have more than {most}")]
    TooManyReplicas {
        /// Service.
        service: String,
        /// Asked for.
        replicas: u32,
        /// The most.
        most: u32,
        /// Where the service was written.
        place: Option<Place>,
    },
    /// An external network or volume that does not exist.
    #[error("{kind} {name} declared as external, but could not be found")]
    ExternalMissing {
        /// `network` or `volume`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it was declared.
        place: Option<Place>,
    },
    /// `start` of a service that was never created.
    #[error("service `{service}` has no container to {verb}")]
    NoContainer {
        /// Service.
        service: String,
        /// What was asked.
        verb: &'static str,
    },
}

/// The way around; the middle of a very long one is left out.
fn arrows(path: &[String]) -> String {
    const SHOWN: usize = 10;
    if path.len() <= 2 * SHOWN {
        return path.join(" -> ");
    }
    let (first, last) = (&path[..SHOWN], &path[path.len() - SHOWN..]);
    format!("{} -> ... {} more ... -> {}", first.join(" -> "), path.len() - 2 * SHOWN, last.join(" -> "))
}

/// Why a dependency is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingDependency {
    /// No service has that name.
    Undefined,
    /// No active profile enables it.
    Disabled,
}

impl std::fmt::Display for MissingDependency {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Undefined => "is not defined",
            Self::Disabled => "no active profile enables",
        })
    }
}

impl PlanError {
    /// Where the files are at fault, if they are.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Cycle { place, .. }
            | Self::MissingDependency { place, .. }
            | Self::NamedReplicas { place, .. }
            | Self::TooManyReplicas { place, .. }
            | Self::ExternalMissing { place, .. } => place.as_ref(),
            Self::NothingSelected | Self::NoSuchService { .. } | Self::NoContainer { .. } => None,
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchService { suggestion: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::MissingDependency { why: MissingDependency::Disabled, dependency, .. } => {
                Some(format!("enable a profile of `{dependency}` with `--profile`, or mark the dependency `required: false`"))
            }
            Self::NamedReplicas { .. } => Some("remove `container_name`, or keep one replica".to_owned()),
            Self::ExternalMissing { kind, name, .. } => {
                Some(format!("create it first: `rcompose {kind} create {name}`, or remove `external: true`"))
            }
            Self::NoContainer { service, .. } => Some(format!("`rcompose up {service}` creates it")),
            _ => None,
        }
    }
}
