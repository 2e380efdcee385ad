//! What the engine could not do.

use std::path::PathBuf;

use rcompose_container::cgroup::CgroupError;
use rcompose_container::launch::LaunchError;
use rcompose_image::{LoadError, SaveError, StoreError};
use rcompose_network::NetworkError;
use rcompose_volume::VolumeError;

/// What the engine could not do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No such container.
    #[error("no such container: {0}")]
    NotFound(String),
    /// The container whose mounts another one takes over is not there.
    #[error("container {container} takes its volumes from `{source_container}`, which does not exist")]
    NoVolumesFrom {
        /// The container that is to be made.
        container: String,
        /// The one that it names.
        source_container: String,
    },
    /// The name is taken.
    #[error("the container name `{0}` is already in use")]
    NameTaken(String),
    /// A container that runs cannot be removed.
    #[error("container `{0}` is running: stop it before removing it")]
    StillRunning(String),
    /// A container that does not run has nothing to send a signal to.
    #[error("container `{0}` is not running")]
    NotRunning(String),
    /// Neither the image nor the service says what to run.
    #[error("container `{container}`: no command specified, and image `{image}` has none")]
    NoCommand {
        /// Which.
        container: String,
        /// Its image.
        image: String,
    },
    /// A capability of another name.
    #[error("container `{container}`: unknown capability `{name}`")]
    UnknownCapability {
        /// Which.
        container: String,
        /// As given.
        name: String,
    },
    /// Something to mount that is not there.
    #[error("container `{container}`: bind source path does not exist: {}", path.display())]
    MissingSource {
        /// Which.
        container: String,
        /// What.
        path: PathBuf,
    },
    /// A value that cannot be used.
    #[error("container `{container}`: {text}")]
    Invalid {
        /// Which.
        container: String,
        /// Why.
        text: String,
    },
    /// The program could not be started.
    #[error("failed to start container `{container}`")]
    Launch {
        /// Which.
        container: String,
        /// Why.
        #[source]
        source: LaunchError,
    },
    /// Images.
    #[error(transparent)]
    Image(#[from] StoreError),
    /// Archives of images.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Archives of images, written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// Networks.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Volumes.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A volume that is there, and was made of something else.
    #[error("volume {0} exists already, with other options")]
    VolumeDiffers(String),
    /// A volume that containers use.
    #[error("volume {name} is in use by {}", users.join(", "))]
    VolumeInUse {
        /// Which.
        name: String,
        /// Names of the containers.
        users: Vec<String>,
    },
    /// An image that containers use.
    #[error("image {name} is in use by container {}", users.join(", "))]
    ImageInUse {
        /// Which.
        name: String,
        /// Names of the containers.
        users: Vec<String>,
    },
    /// An id that several references stand for.
    #[error("image {name} has several names: {}", tags.join(", "))]
    ImageTags {
        /// As given.
        name: String,
        /// The references.
        tags: Vec<String>,
    },
    /// Control groups.
    #[error("container `{container}`")]
    Cgroup {
        /// Which.
        container: String,
        /// Why.
        #[source]
        source: CgroupError,
    },
    /// The file system or another part of the kernel refused.
    #[error("failed to {doing}")]
    System {
        /// What was being done.
        doing: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl EngineError {
    /// The status by which shells know why a program did not start.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Launch { source: LaunchError::Start(error), .. } => error.code,
            _ => 128,
        }
    }

    /// The error and its causes, in one line.
    pub(crate) fn with_causes(&self) -> String {
        let first: &dyn std::error::Error = self;
        let causes = std::iter::successors(Some(first), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    /// Tells whether something that was looked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::NotFound(_)
                | Self::Image(StoreError::NotFound(_))
                | Self::Save(SaveError::Store(StoreError::NotFound(_)))
                | Self::Network(NetworkError::NotFound(_))
                | Self::Volume(VolumeError::NotFound(_))
        )
    }

    /// Tells whether something is still used by others.
    pub fn is_in_use(&self) -> bool {
        matches!(
            self,
            Self::Network(NetworkError::InUse { .. })
                | Self::VolumeInUse { .. }
                | Self::ImageInUse { .. }
                | Self::ImageTags { .. }
                | Self::Image(StoreError::InUse(_))
        )
    }
}

/// Says what was being done when a system call failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, EngineError>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, EngineError> {
        self.map_err(|error| EngineError::System { doing: what(), source: error.into() })
    }
}
