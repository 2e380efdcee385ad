//! `image inspect` in the shape that scripts know from Docker.

use serde_json::{Value, json};

use crate::store::Image;

impl Image {
    /// Describes the image as `docker image inspect` does.
    pub fn inspect(&self) -> Value {
        let layers: Vec<String> = self.config.rootfs.diff_ids.iter().map(ToString::to_string).collect();
        json!({
            "Id": self.id.to_string(),
            "RepoTags": self.tags.iter().map(crate::Reference::familiar).collect::<Vec<_>>(),
            "RepoDigests": [],
            "Created": self.config.created.clone().unwrap_or_default(),
            "Author": self.config.author.clone().unwrap_or_default(),
            "Config": self.config.config,
            "Architecture": self.config.architecture,
            "Variant": self.config.variant.clone().unwrap_or_default(),
            "Os": self.config.os,
            "Size": self.size,
            "RootFS": { "Type": "layers", "Layers": layers },
        })
    }
}
