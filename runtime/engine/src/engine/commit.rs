//! An image of a container: its image's layers, and a copy of its own.

use std::collections::BTreeMap;

use rcompose_image::{Config, Digest, Healthcheck as ImageHealthcheck, Held, ImageConfig, Reference};
use rcompose_sys::beneath::Root;
use rcompose_volume::copy_tree;
use rustix::fs::{AtFlags, Mode, OFlags};
use serde_json::json;

use super::Engine;
use crate::EngineError;
use crate::container::{ContainerSpec, Healthcheck};
use crate::error::Doing;
use crate::record::Record;

/// How an image is made of a container.
#[derive(Debug, Clone)]
pub struct Commit {
    /// What is to be said of the image, layers and history as the container's image has them.
    pub image: ImageConfig,
    /// Who made it; empty is nobody.
    pub author: String,
    /// What was done; empty is nothing.
    pub message: String,
    /// When, RFC 3339.
    pub created: String,
    /// The container stands still meanwhile.
    pub pause: bool,
}

/// What a start makes in a container for its mounts, and what tells that it is one: no work of the container's.
const MADE_BY_US: [&str; 4] = [".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf"];

impl Engine {
    /// What an image of a container would say of itself: what its image says, and what the container was told besides.
    pub fn described(&self, id: &str) -> Result<ImageConfig, EngineError> {
        let record = self.entry(id)?.record();
        let (_, mut image, view) = self.images.open_image(&record.image_id)?;
        if !view.binds.is_empty() || image.rootfs.diff_ids.is_empty() && !view.lower.is_empty() {
            let text = format!("its image `{}` is a directory of the host, which has no layers to build on", record.spec.image);
            return Err(EngineError::Invalid { container: record.spec.name, text });
        }
        image.config = config(&record.spec, image.config);
        Ok(image)
    }

    /// Makes an image of a container, and gives it a name.
    pub fn commit(&self, id: &str, commit: Commit, reference: Option<&Reference>) -> Result<Digest, EngineError> {
        let record = self.entry(id)?.record();
        let running = self.running(id).ok().filter(|_| commit.pause);
        if running.is_some() {
            self.set_paused(id, true)?;
        }
        let made = self.layer_of(&record);
        if running.is_some() {
            // Also of what could not be copied.
            self.set_paused(id, false)?;
        }
        let (held, layer) = made?;
        self.images.sync()?;
        let mut image = commit.image.clone();
        image.rootfs.diff_ids.push(layer);
        image.created = Some(commit.created.clone());
        if !commit.author.is_empty() {
            image.author = Some(commit.author.clone());
        }
        image.history.push(history(&image, &commit));
        let id = self.images.add_image(&image)?;
        if let Some(reference) = reference {
            self.images.tag(&id, reference)?;
        }
        drop(held);
        Ok(id)
    }

    fn layer_of(&self, record: &Record) -> Result<(Held, Digest), EngineError> {
        let doing = || format!("copy the files of container {}", record.spec.name);
        let held = Held::new(self.images.clone());
        let (_, _, view) = self.images.open_image(&record.image_id)?;
        let layer = self.images.new_layer(&view)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let upper = self.paths(record.id.as_str()).directory.join("upper");
        let upper = rustix::fs::open(&upper, flags, Mode::empty()).doing(doing)?;
        let copy = Root::open(&layer.upper()).doing(doing)?;
        copy_tree(&upper, &copy, belongs_to_layer).doing(doing)?;
        for name in MADE_BY_US {
            remove_if_empty(&copy, name);
        }
        let digest = self.images.commit(layer, None, &held).map_err(std::io::Error::other).doing(doing)?;
        Ok((held, digest))
    }
}

/// What an overlay has to say of a directory is part of the layer.
fn belongs_to_layer(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name == b"security.capability" || name.starts_with(b"trusted.overlay.")
}

fn remove_if_empty(layer: &Root, name: &str) {
    let about = layer.open_parent(name).and_then(|(directory, name)| {
        let about = rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW);
        about.map_err(|errno| rcompose_sys::Error::new("fstatat", format!("{name:?}"), errno))
    });
    if about.is_ok_and(|about| about.st_size == 0 && about.st_rdev == 0) {
        // It would be an empty file in the image, no more.
        let _ = layer.remove_all(name);
    }
}

fn history(image: &ImageConfig, commit: &Commit) -> serde_json::Value {
    let command = [&image.config.entrypoint, &image.config.cmd].into_iter().flatten().flatten();
    let mut entry = json!({
        "created": commit.created,
        "created_by": command.map(String::as_str).collect::<Vec<_>>().join(" "),
    });
    for (name, text) in [("author", &commit.author), ("comment", &commit.message)] {
        if !text.is_empty() {
            entry[name] = json!(text);
        }
    }
    entry
}

/// What the container was told wins.
///
/// COMPAT: docker keeps the labels by which compose finds its containers; on an image they would make it look like the project's.
fn config(spec: &ContainerSpec, of_image: Config) -> Config {
    let mut config = of_image;
    let mut environment: BTreeMap<String, Option<String>> = spec.environment.clone();
    config.env.retain_mut(|entry| match entry.split_once('=').and_then(|(name, _)| environment.remove_entry(name)) {
        Some((name, Some(value))) => {
            *entry = format!("{name}={value}");
            true
        }
        Some((_, None)) => false,
        None => true,
    });
    config.env.extend(environment.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))));
    if spec.entrypoint.is_some() {
        config.entrypoint.clone_from(&spec.entrypoint);
        config.cmd.clone_from(&spec.command);
    } else if spec.command.is_some() {
        config.cmd.clone_from(&spec.command);
    }
    config.working_dir = spec.working_dir.clone().unwrap_or(config.working_dir);
    config.user = spec.user.clone().unwrap_or(config.user);
    config.stop_signal = spec.stop_signal.clone().or(config.stop_signal);
    let labels = spec.labels.iter().filter(|(name, _)| !name.starts_with("com.docker.compose."));
    config.labels.extend(labels.map(|(name, value)| (name.clone(), value.clone())));
    config.exposed_ports.extend(spec.expose.iter().map(|port| (port.clone(), json!({}))));
    if let Some(check) = &spec.healthcheck {
        config.healthcheck = Some(healthcheck(check, config.healthcheck.unwrap_or_default()));
    }
    config
}

fn healthcheck(asked: &Healthcheck, of_image: ImageHealthcheck) -> ImageHealthcheck {
    let nanoseconds =
        |asked: Option<std::time::Duration>, or: i64| asked.map_or(or, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    ImageHealthcheck {
        test: asked.test.clone().unwrap_or(of_image.test),
        interval: nanoseconds(asked.interval, of_image.interval),
        timeout: nanoseconds(asked.timeout, of_image.timeout),
        start_period: nanoseconds(asked.start_period, of_image.start_period),
        start_interval: nanoseconds(asked.start_interval, of_image.start_interval),
        retries: asked.retries.unwrap_or(of_image.retries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_was_told_wins_over_its_image() {
        let words = |text: &str| Some(text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let image = Config {
            env: vec!["A=1".to_owned(), "B=2".to_owned(), "C=3".to_owned()],
            cmd: words("of image"),
            user: "web".to_owned(),
            ..Config::default()
        };
        let environment = [("A", Some("new")), ("B", None), ("D", Some("4"))];
        let spec = ContainerSpec {
            environment: environment.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).into(),
            entrypoint: words("/entry point"),
            labels: [("com.docker.compose.project", "shop"), ("own", "label")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..ContainerSpec::default()
        };
        let config = config(&spec, image);
        assert_eq!(config.env, ["A=new", "C=3", "D=4"]);
        assert_eq!((config.entrypoint, config.cmd, config.user.as_str()), (words("/entry point"), None, "web"));
        assert_eq!(config.labels.keys().collect::<Vec<_>>(), ["own"]);
    }
}
