//! Images that a plan wants to have here, or to have in their registries.

use std::time::Duration;

use rcompose_engine::image::{LayerState, Platform, PullProgress, Reference};
use rcompose_model::project::PullPolicy;

use super::{Events, Run, progress, tell};
use crate::build;
use crate::messages::{Event, Failure, ProgressStatus};

impl Run {
    /// Has an image at hand, as its policy says.
    pub(super) async fn ensure_image(
        &self,
        reference: &str,
        policy: &PullPolicy,
        platform: Option<&str>,
        optional: bool,
    ) -> Result<(), Failure> {
        match self.ensure_required(reference, policy, platform).await {
            // It can be built all the same.
            Err(failure) if optional => {
                let why = failure.causes.last().unwrap_or(&failure.message);
                let text = format!("image `{reference}` cannot be pulled and has to be built: {why}");
                tell(&self.events, Event::Warning { text }).await;
                progress(&self.events, &format!("Image {reference}"), "Has to be built", ProgressStatus::Warning).await;
                Ok(())
            }
            other => other,
        }
    }

    async fn ensure_required(&self, reference: &str, policy: &PullPolicy, platform: Option<&str>) -> Result<(), Failure> {
        let platform = platform.map(str::parse::<Platform>).transpose().map_err(|error| Failure::of(&error))?;
        let present = self.is_present(reference, platform.as_ref());
        if present && !self.is_due(reference, policy) {
            return Ok(());
        }
        if let Some(path) = reference.strip_prefix("rootfs:") {
            if present {
                return Ok(());
            }
            let mut failure = Failure::text(format!("image `{reference}` is not there"));
            failure.hint = Some(format!("make the directory {path}"));
            return Err(failure);
        }
        if *policy == PullPolicy::Never {
            let mut failure = Failure::text(format!("image `{reference}` is not in the store, and its pull policy is `never`"));
            failure.hint = Some("load it with `rcompose image load -i FILE`".to_owned());
            return Err(failure);
        }
        if self.offline && present {
            return Ok(());
        }
        let id = format!("Image {reference}");
        progress(&self.events, &id, "Pulling", ProgressStatus::Working).await;
        let pulled = self.supervisor.pull(reference, platform.as_ref(), self.offline, show(&self.events, &id)).await;
        match pulled {
            Ok(_) => progress(&self.events, &id, "Pulled", ProgressStatus::Done).await,
            // COMPAT: docker compose ends here. What was good enough an hour ago is better than no service.
            Err(failure) if present && matches!(policy, PullPolicy::Every(_)) => {
                let why = failure.causes.last().unwrap_or(&failure.message);
                let text = format!("image `{reference}` could not be refreshed, and the one that is there is used: {why}");
                tell(&self.events, Event::Warning { text }).await;
                progress(&self.events, &id, "Kept", ProgressStatus::Warning).await;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Builds the image of a service, if it has to be.
    pub(super) async fn build_image(&self, name: &str, reference: &str, missing: bool, pull: bool) -> Result<(), Failure> {
        let present = || self.supervisor.engine.images().id_of(reference).is_some();
        if missing && present() {
            return Ok(());
        }
        let id = format!("Image {reference}");
        // What a lock does not name is not pulled; what is built here it never names.
        if missing && pull && !self.build.pins.strict {
            // What cannot be pulled is built.
            match self.ensure_image(reference, &PullPolicy::Missing, None, false).await {
                Ok(()) => return Ok(()),
                Err(failure) => progress(&self.events, &id, &failure.message, ProgressStatus::Warning).await,
            }
        }
        let project = self.project()?;
        let service = project.services.get(name).ok_or_else(|| Failure::text(format!("no service `{name}`")))?;
        progress(&self.events, &id, "Building", ProgressStatus::Working).await;
        build::build(&self.supervisor, project, service, &self.build, self.offline, &self.events).await.map_err(
            |mut failure| {
                let place = project.origins.find(&format!("services.{name}.build"));
                failure.place = failure.place.or_else(|| place.map(ToString::to_string));
                failure
            },
        )?;
        progress(&self.events, &id, "Built", ProgressStatus::Done).await;
        Ok(())
    }

    /// An image of another platform counts as missing.
    fn is_present(&self, reference: &str, platform: Option<&Platform>) -> bool {
        let images = self.supervisor.engine.images();
        match (images.resolve(reference), platform) {
            (Ok(image), Some(platform)) => platform.runs(&image.config.platform()),
            _ => images.id_of(reference).is_some(),
        }
    }

    /// Whether one that is here is to be asked for all the same. Ids and directories have no age.
    fn is_due(&self, reference: &str, policy: &PullPolicy) -> bool {
        let parsed = reference.parse::<Reference>().ok();
        // COMPAT: docker compose asks all the same. What is here is what a digest names, whatever a registry says.
        if parsed.as_ref().is_some_and(|reference| reference.digest().is_some()) {
            return false;
        }
        let interval = match policy {
            PullPolicy::Always => return true,
            PullPolicy::Every(interval) => *interval,
            _ => return false,
        };
        let set = parsed.and_then(|reference| self.supervisor.engine.images().set_at(&reference));
        let age = set.map(|set| jiff::Timestamp::now().as_second().saturating_sub(set));
        // A clock that was set back makes nothing due.
        age.is_some_and(|age| Duration::from_secs(u64::try_from(age).unwrap_or(0)) >= interval)
    }

    /// Sends an image to its registry.
    pub(super) async fn push_image(&self, reference: &str) -> Result<(), Failure> {
        let id = format!("Image {reference}");
        let pushed = self.supervisor.push(reference, self.offline, show(&self.events, &id)).await?;
        if !pushed.renewed.is_empty() {
            tell(&self.events, Event::Warning { text: renewed(reference, pushed.renewed.len()) }).await;
        }
        Ok(())
    }
}

/// What has to be said when something does not go out as it came.
pub(crate) fn renewed(reference: &str, layers: usize) -> String {
    format!(
        "image `{reference}`: {layers} of its layers had to be compressed anew, so that its digest is another than where it came from"
    )
}

/// Shows how far an image is. A client that does not read misses how far it was, not how it ended.
pub(crate) fn show(events: &Events, id: &str) -> impl Fn(PullProgress) + Send + Sync + use<> {
    let (events, id) = (events.clone(), id.to_owned());
    move |at| {
        let id = id.clone();
        let event = match at {
            PullProgress::Waiting => {
                Event::Progress { id, text: "Waiting for another pull".to_owned(), status: ProgressStatus::Working }
            }
            PullProgress::Total { done, total } => Event::Transfer { id, done, total },
            PullProgress::Layer { layer, state, done, total } => {
                let (text, status) = words(state);
                Event::Layer { id, layer: layer.hex()[..12].to_owned(), text: text.to_owned(), status, done, total }
            }
        };
        let _ = events.try_send(event);
    }
}

fn words(state: LayerState) -> (&'static str, ProgressStatus) {
    match state {
        LayerState::Pending => ("Pending", ProgressStatus::Working),
        LayerState::Waiting => ("Waiting", ProgressStatus::Working),
        LayerState::Downloading => ("Downloading", ProgressStatus::Working),
        LayerState::Extracting => ("Extracting", ProgressStatus::Working),
        LayerState::Exists => ("Already exists", ProgressStatus::Done),
        LayerState::Complete => ("Pull complete", ProgressStatus::Done),
        LayerState::Preparing => ("Preparing", ProgressStatus::Working),
        LayerState::Uploading => ("Pushing", ProgressStatus::Working),
        LayerState::Mounted => ("Mounted from another repository", ProgressStatus::Done),
        LayerState::Pushed => ("Pushed", ProgressStatus::Done),
    }
}
