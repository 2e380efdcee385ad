//! `compose.lock`: the digests that a stack's images are pinned to, in a file beside the stack's own.
//!
//! ```toml
//! version = 1
//!
//! [images]
//! "docker.io/library/redis:7" = "sha256:..."
//! ```
//! An image a line, by its reference in full, sorted: two people who lock the same write the same bytes. A digest is what the
//! registry has under the tag, mostly an index of several platforms, so that the file is the same on all of them.

use std::collections::{BTreeMap, BTreeSet};

use rcompose_engine::image::{Digest, PinError, Reference};
use rcompose_model::Project;
use rcompose_model::project::MountKind;
use serde::{Deserialize, Serialize};

use crate::messages::Failure;

pub use rcompose_engine::image::Pins;

/// Its name.
pub const NAME: &str = "compose.lock";
/// What to do about an image that is not in it, or is another.
pub const HINT: &str = "lock the stack's images again with `rcompose lock`, or leave `--locked` out";
/// Of the format.
const VERSION: u32 = 1;

/// The digests of a stack's images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// By reference, in full and without a digest.
    #[serde(default)]
    pub images: Digests,
}

/// Digests by reference.
pub type Digests = BTreeMap<String, Digest>;

/// A file that is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Its text.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// Its version.
    #[error("it is of version {0}, and this program reads version {VERSION}")]
    Version(u32),
}

impl Lock {
    /// Of these digests.
    pub fn of(images: Digests) -> Self {
        Self { version: VERSION, images }
    }

    /// Reads what [`Lock::text`] writes.
    ///
    /// # Errors
    /// It is none, or of a later version.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        #[derive(Deserialize)]
        struct Begin {
            version: u32,
        }
        let syntax = |error: toml::de::Error| LockError::Syntax(error.to_string().trim_end().replace('\n', " "));
        // What a later version says besides is not known here.
        let Begin { version } = toml::from_str(text).map_err(syntax)?;
        if version != VERSION {
            return Err(LockError::Version(version));
        }
        toml::from_str(text).map_err(syntax)
    }

    /// The whole file.
    pub fn text(&self) -> String {
        let mut text = "# Written by `rcompose lock`: what the tags of this stack stood for.\n".to_owned();
        text.push_str(&format!("version = {VERSION}\n\n[images]\n"));
        // A reference holds nothing that TOML would want to be escaped.
        text.extend(self.images.iter().map(|(name, digest)| format!("\"{name}\" = \"{digest}\"\n")));
        text
    }
}

/// The reference in full that has a digest to be found out; `None` of what has one, or is no registry's.
pub fn to_lock(text: &str) -> Option<String> {
    let reference = text.parse::<Reference>().ok().filter(|reference| reference.digest().is_none())?;
    (!text.starts_with("rootfs:") && !text.starts_with("sha256:")).then(|| reference.to_string())
}

/// The images that the services of a project run and show, without those that are built; each with its services.
pub fn images(project: &Project) -> BTreeMap<String, BTreeSet<String>> {
    let mut images: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, service) in &project.services {
        let own = service.image.as_deref().filter(|_| service.build.is_none());
        let shown = service.mounts.iter().filter_map(|mount| shown(project, &mount.kind));
        for image in own.into_iter().chain(shown).filter_map(to_lock) {
            images.entry(image).or_default().insert(name.clone());
        }
    }
    images
}

/// The image that a mount shows, unless it is that of a service.
fn shown<'a>(project: &Project, kind: &'a MountKind) -> Option<&'a str> {
    match kind {
        MountKind::Image { source, .. } if !project.services.contains_key(source) => Some(source),
        _ => None,
    }
}

/// Pins the images of a project. Its fingerprints stay: what makes a container another is the image, not how it is named.
///
/// # Errors
/// All images that are not pinned, or not to what they name.
pub fn pin(project: &mut Project, pins: &Pins) -> Result<(), Failure> {
    let mut failures = Vec::new();
    let services: BTreeSet<String> = project.services.keys().cloned().collect();
    let origins = &project.origins;
    let mut take = |image: &mut String, attribute: String| match pins.pin(image) {
        Ok(pinned) => *image = pinned,
        // What is no reference at all is told by whoever wants the image.
        Err(PinError::Reference(_)) => {}
        Err(error) => {
            let place = origins.find(&attribute).map(|place| format!("{place}: ")).unwrap_or_default();
            failures.push(format!("{place}{error}"));
        }
    };
    for (name, service) in &mut project.services {
        if let Some(image) = service.image.as_mut().filter(|_| service.build.is_none()) {
            take(image, format!("services.{name}.image"));
        }
        for mount in &mut service.mounts {
            if let MountKind::Image { source, .. } = &mut mount.kind
                && !services.contains(source)
            {
                take(source, format!("services.{name}.volumes"));
            }
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::text(format!("`{NAME}` is not what the stack asks for"));
    (failure.causes, failure.hint) = (failures, Some(HINT.to_owned()));
    Err(failure)
}

#[cfg(test)]
mod tests {
    use rcompose_model::project::Service;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_same_for_everybody() {
        let digest = Digest::of(b"x");
        let images = ["docker.io/library/redis:7", "docker.io/library/alpine:3"].map(|name| (name.to_owned(), digest.clone()));
        let text = Lock::of(images.clone().into()).text();
        assert_eq!(Lock::parse(&text).unwrap(), Lock::of(images.into()));
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines[..3], ["version = 1", "", "[images]"]);
        assert_eq!(lines[3], format!("\"docker.io/library/alpine:3\" = \"{digest}\""));
    }

    #[test]
    fn what_is_no_lock_is_refused() {
        let refused = |text: &str| Lock::parse(text).unwrap_err().to_string();
        assert_eq!(refused("version = 2\nmore = 1\n"), "it is of version 2, and this program reads version 1");
        for text in ["", "version = 1\nmore = 1\n", "version = 1\n[images]\na = \"sha256:1\"\n", "<<<<<<<"] {
            assert!(refused(text).starts_with("it cannot be read: "), "{text}");
        }
    }

    #[test]
    fn a_project_gets_the_digests_and_keeps_what_it_builds() {
        let (digest, mut project) = (Digest::of(b"x"), Project { name: "shop".to_owned(), ..Project::default() });
        let mut add = |name: &str, image: &str, build: bool| {
            let build =
                build.then(|| rcompose_model::project::Build { context: ".".to_owned(), attributes: serde_json::json!({}) });
            let service = Service { name: name.to_owned(), image: Some(image.to_owned()), build, ..Service::default() };
            project.services.insert(name.to_owned(), service);
        };
        add("cache", "redis:7", false);
        add("host", "rootfs:/", false);
        add("web", "team/web:1", true);
        assert_eq!(images(&project).keys().collect::<Vec<_>>(), ["docker.io/library/redis:7"]);
        let mut pins = Pins { strict: true, ..Pins::default() };
        let failure = pin(&mut project.clone(), &pins).unwrap_err();
        assert_eq!(failure.causes, ["image `redis:7` has no digest in the lock"]);
        pins.digests.insert("docker.io/library/redis:7".to_owned(), digest.clone());
        pin(&mut project, &pins).unwrap();
        let image = |name: &str| project.services[name].image.clone().unwrap();
        assert_eq!((image("cache"), image("web")), (format!("redis:7@{digest}"), "team/web:1".to_owned()));
    }
}
