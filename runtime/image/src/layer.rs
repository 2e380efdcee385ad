//! Unpacking a layer: a stranger's archive into a directory of ours.
//!
//! Everything goes through the descriptor of the target; symbolic links are made as they are and followed inside only. An entry
//! replaces what is there unless both are directories. The digest is taken over the whole uncompressed stream and compared before
//! anything becomes visible.

mod compare;
mod decompress;
mod entry;
mod fuse;
#[cfg(test)]
mod hostile;
mod pack;
mod recipe;
mod unpacking;

use std::io::Read;
use std::path::{Path, PathBuf};

use rcompose_sys::beneath::Root;
use sha2::{Digest as _, Sha256};

use crate::Digest;
pub(crate) use compare::compare;
pub(crate) use decompress::{decompress, is_compressed};
use entry::clean;
pub(crate) use fuse::Fuse;
pub(crate) use pack::{PackError, PackOptions, pack};
use recipe::Recorder;
pub(crate) use recipe::{Packed, archive_size, replaced};
use unpacking::{CHUNK, Unpacking};

/// The most that one layer may unpack to.
const MAX_BYTES: u64 = 64 << 30;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A layer that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The archive itself.
    #[error("failed to read the layer")]
    Read(#[source] std::io::Error),
    /// An entry that would lead elsewhere, or cannot be.
    #[error("layer entry `{entry}`: {why}")]
    Entry {
        /// Its path.
        entry: String,
        /// What is wrong.
        why: String,
    },
    /// The file system refused.
    #[error("failed to unpack `{entry}`")]
    Write {
        /// Its path.
        entry: String,
        /// Why not.
        #[source]
        source: rcompose_sys::Error,
    },
    /// The content is not what it should be.
    #[error("the layer's content is {found}, expected {expected}")]
    WrongDigest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// What is kept for putting it together again.
    #[error("failed to write the recipe of the layer")]
    Recipe(#[source] std::io::Error),
    /// More than allowed.
    #[error("the layer is too large: more than {0}")]
    TooLarge(&'static str),
}

/// Hashes and counts what passes.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.count += count as u64;
        if self.count > MAX_BYTES {
            return Err(std::io::Error::other("the layer is too large: more than 64 GiB"));
        }
        Ok(count)
    }
}

/// Unpacks a layer into an empty directory, and writes how it was put together to `recipe`; gives the digest of the whole
/// uncompressed stream, and the bytes of its files.
///
/// # Errors
/// Anything wrong with the archive.
pub(crate) fn unpack(archive: impl Read, target: &Path, recipe: &Path) -> Result<(Digest, u64), LayerError> {
    let recorder = Recorder::create(recipe).map_err(LayerError::Recipe)?;
    let stream = std::io::BufReader::with_capacity(CHUNK, decompress(archive).map_err(LayerError::Read)?);
    let mut hashing = Hashing { inner: recorder.reading(stream), hash: Sha256::new(), count: 0 };
    let root = Root::open(target).map_err(|source| LayerError::Write { entry: "/".to_owned(), source })?;
    let mut unpacking = Unpacking::new(root, Some(recorder.clone()), recipe::replaced(recipe));
    unpacking.entries(&mut hashing)?;
    unpacking.finish()?;
    // What lies behind the end of the archive belongs to its digest all the same.
    std::io::copy(&mut hashing, &mut std::io::sink()).map_err(LayerError::Read)?;
    recorder.finish().map_err(LayerError::Recipe)?;
    Ok((Digest::from_hash(&hashing.hash.finalize()), unpacking.bytes))
}

/// Unpacks an archive of files, which hides nothing and is not put together again, into an empty directory.
///
/// # Errors
/// Anything wrong with the archive.
pub fn unpack_files(archive: impl Read, target: &Path) -> Result<(), LayerError> {
    let mut hashing = Hashing { inner: decompress(archive).map_err(LayerError::Read)?, hash: Sha256::new(), count: 0 };
    let root = Root::open(target).map_err(|source| LayerError::Write { entry: "/".to_owned(), source })?;
    // What is not put together again need not be put aside.
    let mut unpacking = Unpacking::new(root, None, PathBuf::new());
    unpacking.entries(&mut hashing)?;
    unpacking.finish()
}

/// Decompresses what may be gzip, zstd or neither, by its first bytes.
///
/// # Errors
/// What grows beyond all measure is not read to its end.
pub fn decompressed<'a>(source: impl Read + 'a) -> std::io::Result<Box<dyn Read + 'a>> {
    decompress(source)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rcompose_sys::atomic::TempDir;

    use super::*;

    struct Layer(tar::Builder<Vec<u8>>);

    impl Layer {
        fn new() -> Self {
            Self(tar::Builder::new(Vec::new()))
        }

        /// Adds an entry whose path and link are taken as they are, however wrong.
        fn entry(mut self, kind: tar::EntryType, path: &str, link: &str, content: &[u8]) -> Self {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_cksum();
            self.0.append(&header, content).unwrap();
            self
        }

        fn file(self, path: &str, content: &str) -> Self {
            self.entry(tar::EntryType::Regular, path, "", content.as_bytes())
        }

        fn unpack(self) -> (TempDir, Result<u64, LayerError>) {
            let bytes = self.0.into_inner().unwrap();
            let folder = TempDir::new().unwrap();
            let target = folder.path().join("layer");
            std::fs::create_dir(&target).unwrap();
            let result = unpack(bytes.as_slice(), &target, &folder.path().join("recipe"));
            let result = result.map(|(digest, size)| {
                assert_eq!(digest, Digest::of(&bytes));
                size
            });
            (folder, result)
        }
    }

    #[test]
    fn unpacks_files_links_and_whiteouts() {
        let layer = Layer::new()
            .entry(tar::EntryType::Directory, "etc/", "", b"")
            .file("etc/hosts", "x")
            .entry(tar::EntryType::Link, "etc/again", "/etc/hosts", b"")
            .entry(tar::EntryType::Symlink, "etc/link", "/etc/hosts", b"")
            .file("etc/.wh.gone", "")
            .file("opt/.wh..wh..opq", "");
        let (folder, result) = layer.unpack();
        assert_eq!(result.unwrap(), 1);
        let etc = folder.path().join("layer/etc");
        assert_eq!(std::fs::metadata(etc.join("again")).unwrap().nlink(), 2);
        assert_eq!(std::fs::read_link(etc.join("link")).unwrap(), Path::new("/etc/hosts"));
        assert_eq!(std::fs::symlink_metadata(etc.join("gone")).unwrap().rdev(), 0);
        let mut value = [0; 8];
        let opaque = rustix::fs::getxattr(folder.path().join("layer/opt"), "trusted.overlay.opaque", &mut value[..]);
        assert_eq!(&value[..opaque.unwrap()], b"y");
    }

    #[test]
    fn is_put_together_again_byte_for_byte() {
        let long = format!("{}/file", "d".repeat(98));
        let large = "content ".repeat(50_000);
        let layer = Layer::new()
            .entry(tar::EntryType::Directory, "etc/", "", b"")
            .file("etc/empty", "")
            .file("etc/.wh.gone", "of a whiteout")
            .file("./etc/large", &large)
            .entry(tar::EntryType::Symlink, "conf", "etc", b"")
            .file("conf/through", "a link")
            .entry(tar::EntryType::Link, "etc/again", "etc/large", b"")
            .file(&long[3..], "x");
        let mut bytes = layer.0.into_inner().unwrap();
        bytes.extend_from_slice(b"behind the end");
        let folder = TempDir::new().unwrap();
        let (target, recipe) = (folder.path().join("layer"), folder.path().join("recipe"));
        std::fs::create_dir(&target).unwrap();
        let digest = Digest::of(&bytes);
        assert_eq!(unpack(bytes.as_slice(), &target, &recipe).unwrap().0, digest);
        assert_eq!(archive_size(&recipe).unwrap(), bytes.len() as u64);
        assert!(std::fs::metadata(&recipe).unwrap().len() < 1000, "the content of files is not in it");
        let mut again = Vec::new();
        Packed::open(&target, &recipe, &digest).unwrap().read_to_end(&mut again).unwrap();
        assert!(again == bytes);
        std::fs::write(target.join("conf/through"), "b link").unwrap();
        let changed = Packed::open(&target, &recipe, &digest).unwrap().read_to_end(&mut again);
        assert!(changed.unwrap_err().to_string().contains("is not what it was"));
    }

    #[test]
    fn nothing_is_written_outside() {
        let victim = TempDir::new().unwrap();
        let out = victim.path().join("written").to_string_lossy().into_owned();
        let layers = [
            Layer::new().file("../../escape", "x"),
            Layer::new().entry(tar::EntryType::Link, "passwd", "../../../etc/passwd", b""),
            Layer::new().entry(tar::EntryType::Char, "null", "", b""),
            Layer::new().file("dir/.wh..", "x"),
        ];
        for layer in layers {
            let (_folder, result) = layer.unpack();
            assert!(result.is_err(), "{result:?}");
        }
        // Through a link the entry lands inside, where the link leads as seen from the layer's root.
        let through =
            Layer::new().entry(tar::EntryType::Symlink, "out", victim.path().to_str().unwrap(), b"").file("out/written", "x");
        let (_folder, result) = through.unpack();
        assert!(result.is_err() || !Path::new(&out).exists());
        assert!(!Path::new(&out).exists());
        // A file that replaces a link does not write through it.
        let replaced = Layer::new().entry(tar::EntryType::Symlink, "file", &out, b"").file("file", "x");
        let (folder, result) = replaced.unpack();
        result.unwrap();
        assert!(!Path::new(&out).exists());
        assert_eq!(std::fs::read_to_string(folder.path().join("layer/file")).unwrap(), "x");
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let bytes = Layer::new().file("a", "x").0.into_inner().unwrap();
        let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        assert!(unpack(&bytes[..700], folder.path(), &elsewhere.path().join("recipe")).is_err());
    }
}
