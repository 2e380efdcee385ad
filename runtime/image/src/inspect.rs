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
            "RepoDigests": self.digests,
            "Parent": "",
            "Comment": self.comment(),
            "Created": self.config.created.clone().unwrap_or_default(),
            "DockerVersion": "",
            "Author": self.config.author.clone().unwrap_or_default(),
            "Config": self.config.config,
            "Architecture": self.config.architecture,
            "Variant": self.config.variant.clone().unwrap_or_default(),
            "Os": self.config.os,
            "Size": self.size,
            "GraphDriver": { "Name": "overlay", "Data": null },
            "Metadata": { "LastTagTime": "0001-01-01T00:00:00Z" },
            "RootFS": { "Type": "layers", "Layers": layers },
        })
    }
    /// Of the last step of its making.
    fn comment(&self) -> &str {
        self.config.history.last().and_then(|step| step["comment"].as_str()).unwrap_or_default()
    }
}
