//! Archives as nobody sane would make them: random entries, random damage. Whatever comes, nothing happens outside, and a layer that
//! was taken is what its archive says.

use std::io::Read;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use rcompose_sys::atomic::TempDir;

use super::{Packed, compare, unpack};

#[derive(Debug, Clone)]
struct Written {
    kind: u8,
    path: String,
    link: String,
    content: Vec<u8>,
    mode: u32,
}

/// Few names, so that entries meet each other.
fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![8 => "[abc]", 1 => Just("..".to_owned()), 1 => Just(".".to_owned()), 1 => Just(".wh.a".to_owned()),
        1 => Just(".wh..wh..opq".to_owned()), 1 => Just(".wh.".to_owned())];
    (vec(part, 1..4), any::<bool>())
        .prop_map(|(parts, absolute)| format!("{}{}", if absolute { "/" } else { "" }, parts.join("/")))
}

fn written() -> impl Strategy<Value = Written> {
    let kind = prop_oneof![6 => Just(b'0'), 3 => Just(b'5'), 3 => Just(b'2'), 2 => Just(b'1'), 1 => Just(b'3'), 1 => Just(b'6'), 1 => any::<u8>()];
    let link = prop_oneof![path(), Just("../../outside".to_owned()), Just("/".to_owned())];
    let mode = prop_oneof![Just(0o755_u32), Just(0o644), Just(0o7777), Just(0)];
    (kind, path(), link, vec(any::<u8>(), 0..700), mode).prop_map(|(kind, path, link, content, mode)| Written {
        kind,
        path,
        link,
        content,
        mode,
    })
}

fn archive(entries: &[Written]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        let content = if entry.kind == b'0' { entry.content.as_slice() } else { &[] };
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(entry.kind));
        header.set_size(content.len() as u64);
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.as_old_mut().name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        header.as_old_mut().linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_cksum();
        archive.append(&header, content).expect("memory takes everything");
    }
    archive.into_inner().expect("memory takes everything")
}

/// Unpacks beside something that must stay as it is.
fn check(bytes: &[u8]) {
    let folder = TempDir::new().expect("a folder can be made");
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder can be made");
    std::fs::write(outside.join("a"), "untouched").expect("a file can be made");
    let (target, recipe) = (folder.path().join("layer"), folder.path().join("recipe"));
    std::fs::create_dir(&target).expect("a folder can be made");
    let unpacked = unpack(bytes, &target, &recipe);
    let mut around = names(folder.path());
    around.retain(|name| name != "recipe.replaced");
    assert_eq!(around, ["layer", "outside", "recipe"]);
    assert_eq!(names(&outside), ["a"]);
    assert_eq!(std::fs::read_to_string(outside.join("a")).expect("it is there"), "untouched");
    let Ok((digest, _)) = unpacked else { return };
    let mut again = Vec::new();
    let packed = || Packed::open(&target, &recipe, &digest).expect("a layer that was taken can be read");
    if packed().read_to_end(&mut again).is_ok() {
        assert!(again == bytes, "put together again it is the same");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it is there").map(|it| it.expect("it is there").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn entries_of_any_kind_stay_inside(entries in vec(written(), 0..12)) {
        check(&archive(&entries));
    }

    #[test]
    fn damage_of_any_kind_stays_inside(entries in vec(written(), 1..6), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..40), cut in any::<prop::sample::Index>()) {
        let mut bytes = archive(&entries);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes);
        check(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn no_bytes_are_a_surprise(bytes in vec(any::<u8>(), 0..2000), magic in 0..3_usize) {
        let magic: &[u8] = [&[][..], &[0x1f, 0x8b, 8, 0], &[0x28, 0xb5, 0x2f, 0xfd]][magic];
        check(&[magic, &bytes].concat());
    }

    /// Also where it has something twice.
    #[test]
    fn a_layer_that_was_taken_is_what_its_archive_says(files in vec(("[abc]/[abc]", vec(any::<u8>(), 0..300), any::<bool>()), 0..8)) {
        let entries: Vec<Written> = files.into_iter().map(|(path, content, is_link)| Written {
            kind: if is_link { b'2' } else { b'0' }, path, link: "../elsewhere".to_owned(), content, mode: 0o640,
        }).collect();
        let bytes = archive(&entries);
        let folder = TempDir::new().expect("a folder can be made");
        let (target, recipe) = (folder.path().join("layer"), folder.path().join("recipe"));
        std::fs::create_dir(&target).expect("a folder can be made");
        let (digest, _) = unpack(bytes.as_slice(), &target, &recipe).expect("it is an ordinary layer");
        let mut packed = Packed::open(&target, &recipe, &digest).expect("it can be read");
        prop_assert_eq!(compare(&mut packed, &target).expect("it is what it was"), Vec::<String>::new());
    }
}
