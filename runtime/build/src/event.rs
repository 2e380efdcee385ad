//! What happens in a build, for those who watch.

use serde::{Deserialize, Serialize};

use crate::dockerfile::Problem;

/// Something that happens in a build.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "build", rename_all = "snake_case")]
pub enum BuildEvent {
    /// A step begins.
    Started {
        /// Of the step, in this build.
        step: u32,
        /// `[web 2/5] RUN make`.
        name: String,
    },
    /// Why it is not taken from the cache.
    Reason {
        /// Of the step.
        step: u32,
        /// `src/a.rs changed`.
        text: String,
    },
    /// Output of the step.
    Output {
        /// Of the step.
        step: u32,
        /// As it came, what is no text replaced.
        text: String,
        /// Milliseconds since the step began.
        at: u64,
    },
    /// It is done.
    Done {
        /// Of the step.
        step: u32,
        /// It was taken from the cache.
        cached: bool,
        /// Milliseconds.
        took: u64,
    },
    /// It is not.
    Failed {
        /// Of the step.
        step: u32,
        /// Why.
        text: String,
        /// The end of its output.
        tail: Vec<String>,
        /// The lines of the Dockerfile around it.
        excerpt: Option<Excerpt>,
    },
    /// Worth a look.
    Problem {
        /// The Dockerfile.
        file: String,
        /// What.
        problem: Problem,
    },
    /// Worth a look, of no line.
    Warning {
        /// What.
        text: String,
    },
}

/// Lines of a Dockerfile, some of them marked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Excerpt {
    /// The Dockerfile.
    pub file: String,
    /// Number, text, and whether it is at fault.
    pub lines: Vec<(u32, String, bool)>,
}

impl Excerpt {
    /// The lines from `first` to `last`, from 1, and two around them.
    pub(crate) fn of(file: &str, text: &str, first: u32, last: u32) -> Self {
        let around = first.saturating_sub(2).max(1)..=last.saturating_add(2);
        let lines = (1..).zip(text.lines()).filter(|(number, _)| around.contains(number));
        let lines = lines.map(|(number, line)| (number, line.to_owned(), (first..=last).contains(&number))).collect();
        Self { file: file.to_owned(), lines }
    }
}
