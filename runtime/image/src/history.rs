//! How an image came to be: what its description tells of each step, and what each of them takes.

use crate::{Image, Store};

/// One step of an image's making.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// RFC 3339.
    pub created: Option<String>,
    /// What was run.
    pub created_by: String,
    /// Bytes of the layer that it made; 0 if it made none.
    pub size: u64,
    /// What was said about it.
    pub comment: String,
}

impl Store {
    /// The steps of an image's making, latest first. An image that does not tell has a step for each layer.
    pub fn history(&self, image: &Image) -> Vec<Step> {
        let mut layers = image.config.rootfs.diff_ids.iter();
        let mut steps: Vec<Step> = Vec::new();
        for told in &image.config.history {
            let text = |name: &str| told[name].as_str().map(str::to_owned);
            let layer = if told["empty_layer"].as_bool() == Some(true) { None } else { layers.next() };
            steps.push(Step {
                created: text("created"),
                created_by: text("created_by").unwrap_or_default(),
                size: layer.map_or(0, |layer| self.layers.size(layer)),
                comment: text("comment").unwrap_or_default(),
            });
        }
        steps.extend(layers.map(|layer| Step { size: self.layers.size(layer), ..Step::default() }));
        steps.reverse();
        steps
    }
}
