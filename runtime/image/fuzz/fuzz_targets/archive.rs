//! Archives: what is read is unpacked below its folder or refused, and a store that was given anything is whole afterwards.
#![no_main]

use rcompose_image::{Store, decompressed, unpack_files};
use rcompose_sys::atomic::TempDir;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, archive)) = data.split_first() else { return };
    // In memory: what is tried is the reader, not the disk.
    let folder = TempDir::below(std::path::Path::new("/dev/shm")).expect("there is room");
    let (guard, target) = (folder.path().join("guard"), folder.path().join("target"));
    std::fs::write(&guard, "untouched").expect("there is room");
    std::fs::create_dir(&target).expect("there is room");
    match kind % 3 {
        0 => drop(unpack_files(archive, &target)),
        1 => {
            if let Ok(mut plain) = decompressed(archive) {
                let _ = std::io::copy(&mut plain, &mut std::io::sink());
            }
        }
        _ => {
            let store = Store::open(&target).expect("there is room");
            let loaded = store.load(archive);
            assert_eq!(loaded.map_or(0, |images| images.len()) == 0, store.list().is_empty());
            assert!(store.check(|_| {}).iter().all(|image| image.problems.is_empty()));
            assert_eq!(std::fs::read_dir(target.join("tmp")).expect("it is there").count(), 0);
        }
    }
    assert_eq!(std::fs::read(&guard).expect("it is still there"), b"untouched");
    let beside = std::fs::read_dir(folder.path()).expect("it is still there").count();
    assert_eq!(beside, 2, "something was written beside its folder");
});
