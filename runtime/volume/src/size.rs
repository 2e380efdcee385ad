//! How much a tree takes.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes on disk of everything below a directory, hard links counted once; what cannot be read counts nothing.
pub fn tree_size(path: &Path) -> u64 {
    let (mut total, mut links) = (0, BTreeSet::new());
    let mut folders: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            // Of the entry itself: a link is not followed.
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                folders.push(entry.path());
            }
            if about.is_dir() || about.nlink() == 1 || links.insert((about.dev(), about.ino())) {
                total += about.blocks() * 512;
            }
        }
    }
    total
}
