//! Blobs as files, on their way to a registry: layers are packed there, since a registry wants to know the digest first.

use std::path::Path;
use std::sync::Arc;

use rcompose_sys::atomic::TempDir;
use sha2::Digest as _;

use super::manifest::Descriptor;
use crate::Digest;
use crate::layer::Packed;
use crate::store::Layers;

/// How layers that were made here are compressed: half as large as fast, and not for its last few percent.
pub(crate) const COMPRESSION: flate2::Compression = flate2::Compression::new(4);
const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A blob as a file that goes with its value.
pub(super) struct Spooled {
    pub(super) file: Arc<std::fs::File>,
    _folder: TempDir,
}

impl Spooled {
    pub(super) fn new(file: std::fs::File, folder: TempDir) -> Self {
        Self { file: Arc::new(file), _folder: folder }
    }
}

/// Writes the archive of a layer into a file, compressed or as it is.
pub(crate) fn pack(
    layers: &Layers,
    diff_id: &Digest,
    path: &Path,
    compression: Option<flate2::Compression>,
) -> std::io::Result<(Descriptor, std::fs::File)> {
    let mut packed = Packed::open(&layers.path(diff_id), &layers.recipe(diff_id), diff_id)?;
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(path)?;
    let mut counted = Counted { file, hash: sha2::Sha256::new(), count: 0 };
    let media_type = match compression {
        None => {
            std::io::copy(&mut packed, &mut counted)?;
            "application/vnd.oci.image.layer.v1.tar"
        }
        Some(compression) => {
            let mut encoder = flate2::write::GzEncoder::new(&mut counted, compression);
            std::io::copy(&mut packed, &mut encoder)?;
            encoder.finish()?;
            GZIP_LAYER
        }
    };
    let digest = Digest::from_hash(&counted.hash.finalize());
    let descriptor =
        Descriptor { media_type: media_type.to_owned(), digest, size: counted.count, urls: Vec::new(), platform: None };
    Ok((descriptor, counted.file))
}

struct Counted {
    file: std::fs::File,
    hash: sha2::Sha256,
    count: u64,
}

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
