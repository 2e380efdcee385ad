//! Why an operation is part of a plan.

use std::fmt;

use rcompose_model::Place;
use serde::{Deserialize, Serialize};

/// Why an operation is part of a plan, and which line of the files is behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Why.
    pub reason: Reason,
    /// The line behind it, if there is one.
    pub place: Option<Place>,
}

/// Why an operation is part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The files ask for it and it is not there.
    Missing,
    /// The files ask for more replicas.
    ScaledUp {
        /// How many there should be.
        to: u32,
    },
    /// The files ask for fewer replicas.
    ScaledDown {
        /// How many there should be.
        to: u32,
    },
    /// The configuration differs from the one it was made with.
    ConfigChanged {
        /// Which attributes differ, when the old configuration is still known.
        attributes: Vec<String>,
    },
    /// The reference stands for another image now.
    ImageChanged,
    /// The user asked for recreation.
    Forced,
    /// Something that it shares a namespace or volumes with is recreated.
    ParentRecreated {
        /// Service.
        service: String,
    },
    /// A dependency that was declared with `restart: true` is restarted.
    DependencyRestarted {
        /// Service.
        service: String,
    },
    /// It should run and does not.
    NotRunning,
    /// It takes the place of another.
    Replacement {
        /// Name of the other.
        of: String,
    },
    /// Something newer takes its place.
    Replaced,
    /// A replacement was begun earlier and not finished.
    Interrupted,
    /// Its service is no longer in the files.
    Orphan,
    /// A service needs it to go on.
    NeededBy {
        /// Services.
        services: Vec<String>,
    },
    /// The command asks for it.
    Requested,
    /// Nothing uses it after this.
    Unused,
}

impl Cause {
    /// A cause without a line behind it.
    pub fn new(reason: Reason) -> Self {
        Self { reason, place: None }
    }

    /// A cause with the line behind it, if it is known.
    pub fn at(reason: Reason, place: Option<&Place>) -> Self {
        Self { reason, place: place.cloned() }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.reason)?;
        match &self.place {
            Some(place) => write!(out, " ({place})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(out, "not there yet"),
            Self::ScaledUp { to } => write!(out, "scaled up to {to}"),
            Self::ScaledDown { to } => write!(out, "scaled down to {to}"),
            Self::ConfigChanged { attributes } if attributes.is_empty() => write!(out, "configuration changed"),
            Self::ConfigChanged { attributes } => write!(out, "`{}` changed", attributes.join("`, `")),
            Self::ImageChanged => write!(out, "image changed"),
            Self::Forced => write!(out, "recreation asked for"),
            Self::ParentRecreated { service } => write!(out, "`{service}`, which it shares with, is recreated"),
            Self::DependencyRestarted { service } => write!(out, "its dependency `{service}` restarts"),
            Self::NotRunning => write!(out, "not running"),
            Self::Replacement { of } => write!(out, "takes the place of `{of}`"),
            Self::Replaced => write!(out, "replaced"),
            Self::Interrupted => write!(out, "an earlier replacement was interrupted"),
            Self::Orphan => write!(out, "its service is no longer in the files"),
            Self::NeededBy { services } => write!(out, "needed by `{}`", services.join("`, `")),
            Self::Requested => write!(out, "asked for"),
            Self::Unused => write!(out, "no longer used"),
        }
    }
}
