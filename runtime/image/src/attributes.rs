//! Extended attributes of files.

use std::os::fd::AsFd;

use rcompose_sys::beneath::proc_path;

/// Tells whether a layer may have an attribute.
pub(crate) fn belongs_to_layer(name: &str) -> bool {
    name == "security.capability" || (name.starts_with("user.") && !name.starts_with("user.overlay."))
}

/// The attributes that are wanted, sorted.
pub(crate) fn read(file: impl AsFd, is_wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let file = proc_path(&file);
    let mut names = vec![0_u8; 64 * 1024];
    let Ok(length) = rustix::fs::listxattr(&file, &mut names[..]) else { return Vec::new() };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok()) {
        if is_wanted(name) {
            let mut value = vec![0_u8; 64 * 1024];
            if let Ok(length) = rustix::fs::getxattr(&file, name, &mut value[..]) {
                value.truncate(length);
                found.push((name.to_owned(), value));
            }
        }
    }
    found.sort();
    found
}
