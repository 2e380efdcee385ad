//! Caches elsewhere: what steps came to, taken from others and left for others.
//!
//! A document says what each step came to, by its key; the layers lie beside it, and come when a step needs one. Whoever names a
//! cache trusts it: what came from one counts in builds that name it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Instant;

use rcompose_image::{ArtifactKind, Digest, LayerSet, SetKind};
use serde::{Deserialize, Serialize};

use super::{Key, Made};
use crate::build::Build;
use crate::event::BuildEvent;
use crate::request::{CacheTarget, ExchangeFailure};

/// COMPAT: BuildKit's caches are of another type, and hold other keys: neither side can read the other's.
pub const CACHE_KIND: SetKind<'static> = SetKind {
    artifact: ArtifactKind {
        artifact_type: "application/vnd.rcompose.buildcache.v1",
        config_type: "application/vnd.rcompose.buildcache.config.v1+json",
    },
    field: rcompose_image::BUILD_CACHE_FIELD,
};

/// What steps came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Steps {
    steps: BTreeMap<Key, Made>,
}

impl Steps {
    /// Without where each came from: to whoever reads it, it came from here.
    fn of(made: impl Iterator<Item = (Key, Made)>) -> Self {
        Self { steps: made.map(|(key, made)| (key, Made { from: None, ..made })).collect() }
    }

    fn layers(&self) -> Vec<Digest> {
        let layers: BTreeSet<&Digest> = self.steps.values().filter_map(|made| made.layer.as_ref()).collect();
        layers.into_iter().cloned().collect()
    }
}

/// A cache that was asked.
struct Known {
    name: String,
    set: LayerSet,
    steps: Steps,
}

/// The caches that a build takes from, each asked when the first step is not known here; and what its steps came to.
#[derive(Default)]
pub(crate) struct Exchange {
    known: OnceLock<Vec<Known>>,
    made: std::sync::Mutex<BTreeMap<Key, Made>>,
}

impl Build<'_> {
    /// Tells whether what a step came to counts in this build.
    pub(crate) fn trusts(&self, made: &Made) -> bool {
        made.from.as_ref().is_none_or(|from| self.request.cache_from.iter().any(|place| place.to_string() == *from))
    }

    /// Remembers what a step came to, for whoever is to have it.
    pub(crate) fn came_to(&self, key: &Key, made: &Made) {
        let mut all = self.exchange.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.insert(key.clone(), made.clone());
    }

    /// What a step came to elsewhere, with its layer had and held.
    pub(crate) fn elsewhere(&self, key: &Key) -> Option<Made> {
        let known = self.exchange.known.get_or_init(|| self.ask_all());
        known.iter().find_map(|cache| self.take(cache, key))
    }

    fn take(&self, cache: &Known, key: &Key) -> Option<Made> {
        let made = cache.steps.steps.get(key)?;
        if let Some(layer) = &made.layer {
            let held = || self.held.add(std::slice::from_ref(layer));
            if !held() {
                if let Err(failure) = self.around.outside.cached_layer(&cache.set, layer) {
                    self.warn(format!("the build cache {}: {failure}", cache.name));
                    return None;
                }
                // What nobody holds may be collected a moment later.
                if !held() {
                    return None;
                }
            }
        }
        let made = Made { from: Some(cache.name.clone()), ..made.clone() };
        self.builder.cache.note(key, &made);
        self.builder.keep(&made);
        Some(made)
    }

    fn ask_all(&self) -> Vec<Known> {
        self.request.cache_from.iter().filter_map(|place| self.ask(place)).collect()
    }

    fn ask(&self, place: &rcompose_image::SetPlace) -> Option<Known> {
        let name = place.to_string();
        let answer = self.timed(format!("reading the build cache {name}"), || self.around.outside.cache(place));
        let found = answer.and_then(|set| match serde_json::from_str(&set.document) {
            Ok(steps) => Ok(Known { name: name.clone(), set, steps }),
            Err(error) => Err(ExchangeFailure(format!("it cannot be read: {error}"))),
        });
        // A build without a cache is slow, and no worse.
        found.map_err(|failure| self.warn(format!("the build cache {name} is not used: {failure}"))).ok()
    }

    /// What an image's description says of the steps that made it.
    pub(crate) fn inline_cache(&self, layers: &[Digest]) -> serde_json::Value {
        serde_json::to_value(self.chosen(layers, false)).expect("texts have a JSON form")
    }

    /// Leaves what the steps came to where the request says.
    pub(crate) fn leave(&self, layers: &[Digest]) {
        for CacheTarget { place, all } in &self.request.cache_to {
            let steps = self.chosen(layers, *all);
            let document = serde_json::to_string(&steps).expect("texts have a JSON form");
            let name = format!("writing the build cache {place}");
            let left = self.timed(name, || self.around.outside.leave_cache(place, &document, &steps.layers()));
            if let Err(failure) = left {
                self.warn(format!("the build cache {place} is not written: {failure}"));
            }
        }
    }

    /// The steps that the image has layers of; or all of them.
    fn chosen(&self, layers: &[Digest], all: bool) -> Steps {
        let made = self.exchange.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let wanted = |made: &Made| all || made.layer.as_ref().is_none_or(|layer| layers.contains(layer));
        Steps::of(made.iter().filter(|(_, made)| wanted(made)).map(|(key, made)| (key.clone(), made.clone())))
    }

    /// Something that takes its time, shown as a step.
    fn timed<T>(&self, name: String, work: impl FnOnce() -> T) -> T {
        let (step, began) = (self.next_step(), Instant::now());
        self.tell(BuildEvent::Started { step, name });
        let given = work();
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tell(BuildEvent::Done { step, cached: false, took });
        given
    }

    fn warn(&self, text: String) {
        self.tell(BuildEvent::Warning { text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_for_others_says_nothing_of_where_it_came_from() {
        let layer = Digest::of(b"x");
        let made =
            |from: Option<&str>| Made { layer: Some(layer.clone()), created: "then".to_owned(), from: from.map(str::to_owned) };
        let steps = Steps::of([(Key("1".to_owned()), made(Some("there"))), (Key("2".to_owned()), made(None))].into_iter());
        let text = serde_json::to_string(&steps).unwrap();
        assert!(!text.contains("there"), "{text}");
        let read: Steps = serde_json::from_str(&text).unwrap();
        assert_eq!((read.layers(), read.steps.len()), (vec![layer], 2));
        assert!(serde_json::from_str::<Steps>("{\"steps\": []}").is_err());
    }
}
