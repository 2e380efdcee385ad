//! Why an image could not be built.

use std::sync::Arc;

use rcompose_engine::EngineError;
use rcompose_image::{CommitError, PinError, StoreError};

use crate::dockerfile::{Place, Problem};

/// Why an image could not be built.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BuildError {
    /// It was told to stop.
    #[error("the build was cancelled")]
    Cancelled,
    /// The context.
    #[error("failed to open the build context {context}")]
    Context {
        /// Which.
        context: String,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The Dockerfile or its ignore file cannot be read.
    #[error("failed to read {file}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The Dockerfile has errors.
    #[error("{file}:{}:{}: {}", problems[0].place.line, problems[0].place.column, problems[0].text)]
    Dockerfile {
        /// Which.
        file: String,
        /// All of them, the first one first.
        problems: Vec<Problem>,
    },
    /// The ignore file has a line that is no pattern.
    #[error("{file}:{line}: {text}")]
    IgnoreFile {
        /// Which.
        file: String,
        /// From 1.
        line: u32,
        /// What is wrong.
        text: String,
    },
    /// No such stage.
    #[error("the target stage `{0}` is not in the Dockerfile")]
    NoTarget(String),
    /// Something that is asked for and cannot be had here.
    #[error("{0}")]
    Unsupported(String),
    /// A step.
    #[error("{step}: {failure}")]
    Step {
        /// `[2/3] RUN make`.
        step: String,
        /// Where its instruction stands.
        place: Place,
        /// What failed.
        #[source]
        failure: Box<StepError>,
    },
    /// The store.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl From<StoreError> for BuildError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// Why a step failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StepError {
    /// It was told to stop.
    #[error("it was cancelled")]
    Cancelled,
    /// The command.
    #[error("the command ended with exit code {code}{}", if *out_of_memory { ": it ran out of memory" } else { "" })]
    Exit {
        /// Its status.
        code: i32,
        /// The kernel killed a process of it for want of memory.
        out_of_memory: bool,
        /// The end of its output.
        tail: Vec<String>,
    },
    /// What the instruction says means nothing.
    #[error("{0}")]
    Invalid(String),
    /// A file to copy is not there.
    #[error("`{path}` is not in {place}{}", hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    NoFile {
        /// As written.
        path: String,
        /// The build context, stage `x`.
        place: String,
        /// Why that may be.
        hint: Option<String>,
    },
    /// The base image.
    #[error("failed to get image `{image}`")]
    Image {
        /// Its reference.
        image: String,
        /// Why.
        #[source]
        source: Arc<PullFailure>,
    },
    /// The digest that the base image is to have.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The network.
    #[error("failed to fetch {url}: {why}")]
    Fetch {
        /// What.
        url: String,
        /// Why not.
        why: String,
    },
    /// A stage that this one needs.
    #[error("{0}")]
    Stage(Box<BuildError>),
    /// The container.
    #[error("failed to run the command")]
    Engine(#[source] Arc<EngineError>),
    /// The files.
    #[error("failed to {doing}")]
    System {
        /// What was being done.
        doing: String,
        /// Why not.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The layer.
    #[error("failed to make the layer")]
    Commit(#[source] Arc<CommitError>),
    /// The store.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

/// Why an image could not be pulled, told by who pulls.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct PullFailure(pub String);

impl From<CommitError> for StepError {
    fn from(error: CommitError) -> Self {
        Self::Commit(Arc::new(error))
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<EngineError> for StepError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Arc::new(error))
    }
}

/// Says what was being done when a call failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StepError>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StepError> {
        self.map_err(|error| StepError::System { doing: what(), source: Arc::new(error.into()) })
    }
}
