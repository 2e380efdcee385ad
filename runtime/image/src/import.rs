//! A tree that becomes an image of one layer.

use std::io::Read;

use serde_json::json;

use crate::archive::LoadError;
use crate::config::ImageConfig;
use crate::layer::LayerError;
use crate::{Loaded, Platform, Reference, Store, StoreError};

/// What an imported image is told to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// Stands for it.
    pub reference: Option<Reference>,
    /// This machine's if not given.
    pub platform: Option<Platform>,
    /// What is said about it.
    pub message: String,
    /// RFC 3339.
    pub created: String,
}

impl Store {
    /// Makes an image of the archive of a tree, compressed or not.
    pub fn import(&self, archive: impl Read, how: &Import) -> Result<Loaded, LoadError> {
        // What it is called is not known before it is read.
        let failed = |source: LayerError| LoadError::Tree(source);
        let unpacked = self.layers.unpack(archive).map_err(failed)?;
        let (diff_id, size) = (unpacked.diff_id.clone(), unpacked.size);
        let _lease = self.lease([diff_id.clone()]);
        self.layers.sync().and_then(|()| self.layers.publish(unpacked)).map_err(LoadError::Store)?;
        let platform = how.platform.clone().unwrap_or_else(Platform::host);
        let mut config = json!({
            "created": how.created, "os": platform.os, "architecture": platform.architecture, "config": {},
            "rootfs": { "type": "layers", "diff_ids": [diff_id.to_string()] },
            "history": [{ "created": how.created, "comment": how.message }],
        });
        if let Some(variant) = platform.variant {
            config["variant"] = variant.into();
        }
        let text = config.to_string();
        let config: ImageConfig = crate::archive::parse_description(&text)?;
        let id = self.add(&text, config, size)?;
        let tags: Vec<Reference> = how.reference.iter().cloned().collect();
        tags.iter().try_for_each(|tag| self.tag(&id, tag)).map_err(|error: StoreError| LoadError::Store(error))?;
        Ok(Loaded { id, tags })
    }
}
