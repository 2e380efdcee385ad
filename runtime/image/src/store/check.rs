//! Whether the store is what it says: every description against its id, every layer put together again and hashed, and its tree
//! compared with the archive that it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use super::{Record, Store, read_index};
use crate::config::ImageConfig;
use crate::layer::{self, Packed};
use crate::{Digest, Reference};

/// What is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Its record cannot be read, or is of another image.
    Description(String),
    /// A layer is not there.
    MissingLayer(Digest),
    /// A layer is not what it was.
    Layer {
        /// Which.
        layer: Digest,
        /// In which way.
        why: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Description(why) => write!(out, "its description {why}"),
            Self::MissingLayer(layer) => write!(out, "layer {layer} is missing"),
            Self::Layer { layer, why } => write!(out, "layer {layer}: {why}"),
        }
    }
}

/// An image that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its id.
    pub id: Digest,
    /// References that stand for it.
    pub tags: Vec<Reference>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl Store {
    /// Looks at everything, which takes as long as reading it does. `looked` is told of each image as it is done.
    pub fn check(&self, mut looked: impl FnMut(&Checked)) -> Vec<Checked> {
        let mut layers: BTreeMap<Digest, Option<Problem>> = BTreeMap::new();
        let ids = std::fs::read_dir(self.root.join("images")).into_iter().flatten().flatten();
        let mut ids: Vec<Digest> = ids.filter_map(|it| it.file_name().to_str()?.strip_suffix(".json")?.parse().ok()).collect();
        ids.extend(self.index().tags.0.values().map(|tag| tag.id.clone()));
        ids.sort();
        ids.dedup();
        let mut all = Vec::new();
        for id in ids {
            let checked = self.check_image(&id, &mut layers);
            looked(&checked);
            all.push(checked);
        }
        all
    }

    fn check_image(&self, id: &Digest, layers: &mut BTreeMap<Digest, Option<Problem>>) -> Checked {
        let tags =
            self.index().tags.0.iter().filter(|(_, tag)| tag.id == *id).filter_map(|(text, _)| text.parse().ok()).collect();
        let problems = match self.checked_record(id) {
            Err(why) => vec![Problem::Description(why)],
            Ok(config) => {
                let _lease = self.lease(config.rootfs.diff_ids.iter().cloned());
                let check = |layer: &Digest| layers.entry(layer.clone()).or_insert_with(|| self.check_layer(layer)).clone();
                config.rootfs.diff_ids.iter().filter_map(check).collect()
            }
        };
        Checked { id: id.clone(), tags, problems }
    }

    fn checked_record(&self, id: &Digest) -> Result<ImageConfig, String> {
        let record: Record = self.record(id).map_err(|error| format!("cannot be read: {error}"))?;
        if Digest::of(record.config.as_bytes()) != *id {
            return Err("has another digest".to_owned());
        }
        serde_json::from_str(&record.config).map_err(|error| format!("cannot be read: {error}"))
    }

    pub(crate) fn check_layer(&self, layer: &Digest) -> Option<Problem> {
        let path = self.layers.path(layer);
        if !path.is_dir() {
            return Some(Problem::MissingLayer(layer.clone()));
        }
        let problem = |why: String| Some(Problem::Layer { layer: layer.clone(), why });
        let mut packed = match Packed::open(&path, &self.layers.recipe(layer), layer) {
            Ok(packed) => std::io::BufReader::with_capacity(1 << 18, packed),
            Err(error) => return problem(error.to_string()),
        };
        // The end of the archive is where its digest is looked at.
        let compared = layer::compare(&mut packed, &path);
        match compared.and_then(|differences| packed.read(&mut [0]).map(|_| differences)) {
            Ok(differences) if differences.is_empty() => None,
            Ok(differences) => problem(differences.join(", ")),
            Err(error) => problem(error.to_string()),
        }
    }

    /// Reads again what is on the disk: what was mended is there.
    pub(crate) fn reread(&self) {
        // Held meanwhile: nobody adds an image that would be lost here.
        let mut index = self.index();
        index.images = read_index(&self.root).images;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use rcompose_sys::atomic::TempDir;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut layer = tar::Builder::new(Vec::new());
        let mut add = |kind: tar::EntryType, path: &str, link: &str, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o640);
            header.set_uid(3);
            header.set_gid(4);
            header.set_mtime(0);
            if !link.is_empty() {
                header.set_link_name(link).unwrap();
            }
            layer.append_data(&mut header, path, content).unwrap();
        };
        add(tar::EntryType::Directory, "dir/", "", b"");
        add(tar::EntryType::Regular, "dir/file", "", b"content");
        add(tar::EntryType::Link, "dir/again", "dir/file", b"");
        add(tar::EntryType::Symlink, "link", "dir", b"");
        add(tar::EntryType::Regular, "link/through", "", b"x");
        add(tar::EntryType::Regular, "deep/below/.wh.gone", "", b"");
        add(tar::EntryType::Regular, "deep/below/.wh..wh..opq", "", b"");
        layer.into_inner().unwrap()
    }

    fn problems(spoil: impl Fn(&Path, &Path)) -> Vec<String> {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layer = archive();
        let diff_id = Digest::of(&layer);
        let config = serde_json::json!({ "os": "linux", "rootfs": { "type": "layers", "diff_ids": [diff_id.to_string()] } });
        let unpacked = store.layers.unpack(layer.as_slice()).unwrap().expect(&diff_id).unwrap();
        store.layers.publish(unpacked).unwrap();
        let text = config.to_string();
        let id = store.add(&text, serde_json::from_str(&text).unwrap(), 1).unwrap();
        store.tag(&id, &"a:1".parse().unwrap()).unwrap();
        spoil(&store.layers.path(&diff_id), &store.image_path(&id));
        let checked = store.check(|_| {});
        assert_eq!((checked.len(), checked[0].tags.len()), (1, 1));
        checked[0].problems.iter().map(|it| it.to_string().replace(&diff_id.to_string(), "ID")).collect()
    }

    #[test]
    fn finds_whatever_was_done_to_a_layer() {
        assert_eq!(problems(|_, _| {}), Vec::<String>::new());
        type Spoil = fn(&Path, &Path);
        let cases: [(Spoil, &str); 8] = [
            (
                |layer, _| std::fs::write(layer.join("dir/file"), "CONTENT").unwrap(),
                "layer ID: layer ID is not what it was when it was unpacked",
            ),
            (
                |layer, _| std::fs::set_permissions(layer.join("dir"), PermissionsExt::from_mode(0o777)).unwrap(),
                "layer ID: /dir has mode 777 instead of 640",
            ),
            (
                |layer, _| std::os::unix::fs::lchown(layer.join("link"), Some(0), Some(0)).unwrap(),
                "layer ID: /link belongs to 0:0 instead of 3:4",
            ),
            (|layer, _| std::fs::remove_file(layer.join("deep/below/gone")).unwrap(), "layer ID: /deep/below/gone is missing"),
            (|layer, _| std::fs::write(layer.join("deep/new"), "").unwrap(), "layer ID: /deep/new is not part of it"),
            (|layer, _| std::fs::remove_dir_all(layer).unwrap(), "layer ID is missing"),
            (|layer, _| std::fs::write(layer.with_extension("recipe"), "").unwrap(), "layer ID: "),
            (|_, image| std::fs::write(image, "{}").unwrap(), "its description cannot be read"),
        ];
        for (spoil, expected) in cases {
            let found = problems(spoil);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:?}");
        }
    }
}
