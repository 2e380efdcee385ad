//! ADD of a local archive: it is unpacked where it would be copied to.

use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::copy::Copier;
use crate::error::{Doing, StepError};
use crate::tree::{Hashing, Tree, dot};
use rcompose_pattern::Ignore;

/// How far into an archive its kind shows.
const HEAD: usize = 512;

/// What files are by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Plain, gzip or zstd.
    Known,
    /// Compressed in a way that is not known here.
    Other(&'static str),
}

/// Tells whether a file is an archive, by its content alone.
pub(crate) fn is_archive(tree: &Tree, path: &Path) -> bool {
    form(tree, path).is_some()
}

fn form(tree: &Tree, path: &Path) -> Option<Form> {
    let file = tree.root.open_file(dot(path), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).ok()?;
    let mut file = std::fs::File::from(file);
    let mut head = Vec::new();
    (&mut file).take(HEAD as u64).read_to_end(&mut head).ok()?;
    if head.starts_with(b"\xfd7zXZ\0") {
        return Some(Form::Other("xz"));
    }
    if head.starts_with(b"BZh") {
        return Some(Form::Other("bzip2"));
    }
    let compressed = head.starts_with(b"\x1f\x8b") || head.starts_with(b"\x28\xb5\x2f\xfd");
    if compressed {
        // A compressed file that is no archive is copied as it is.
        std::io::Seek::rewind(&mut file).ok()?;
        head.clear();
        rcompose_image::decompressed(file).ok()?.take(HEAD as u64).read_to_end(&mut head).ok()?;
    }
    is_header(&head).then_some(Form::Known)
}

/// The first header of an archive: its sum is right.
fn is_header(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<HEAD>() else { return false };
    let field: String = block[148..156].iter().map(|byte| char::from(*byte)).collect();
    let Ok(told) = u32::from_str_radix(field.trim_matches(['\0', ' ']), 8) else { return false };
    let sum: u32 = block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    told == sum
}

/// Unpacks a file of a tree to a directory of another.
pub(crate) fn unpack(tree: &Tree, path: &Path, copier: &mut Copier<'_>, to: &Path, scratch: &Path) -> Result<(), StepError> {
    if let Some(Form::Other(name)) = form(tree, path) {
        let text = format!("it is compressed with {name}, which is not unpacked here: use gzip or zstd, or unpack it in a RUN");
        return Err(StepError::Invalid(format!("{}: {text}", path.display())));
    }
    let doing = || format!("unpack {}", path.display());
    let folder = rcompose_sys::atomic::TempDir::below(scratch).doing(doing)?;
    let file = tree.root.open_file(dot(path), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).doing(doing)?;
    rcompose_image::unpack_files(std::fs::File::from(file), folder.path())
        .map_err(|error| StepError::Invalid(format!("{}: {error}", path.display())))?;
    let root = rcompose_sys::beneath::Root::open(folder.path()).doing(doing)?;
    let unpacked = Tree { root, path: std::path::PathBuf::new(), ignore: Ignore::default(), index: None };
    copier.ensure_dir(to, true).doing(doing)?;
    for entry in unpacked.walk(Path::new(""), &Ignore::default(), Hashing::No).doing(doing)?.iter().skip(1) {
        copier.entry(&unpacked, entry, &to.join(&entry.path)).doing(doing)?;
    }
    Ok(())
}
