//! References and platforms: what is taken is written and read as the same, and leads to no other place.
#![no_main]

use rcompose_image::{Digest, Pins, Platform, Reference};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse::<Platform>().as_ref(), Ok(&platform));
    }
    let Ok(reference) = text.parse::<Reference>() else { return };
    assert_eq!(reference.to_string().parse::<Reference>().as_ref(), Ok(&reference));
    assert_eq!(reference.familiar().parse::<Reference>().as_ref(), Ok(&reference));
    let (registry, repository) = (reference.registry(), reference.repository());
    assert!(!registry.contains('/') && !repository.starts_with('/') && !repository.split('/').any(|it| it.is_empty() || it == ".."));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    // Pinned it is the same image by its digest.
    let digest = Digest::of(b"x");
    let pins = Pins { digests: [(reference.to_string(), digest.clone())].into(), strict: true, ..Pins::default() };
    if let Ok(pinned) = pins.pin(text) {
        let pinned: Reference = pinned.parse().expect("what is pinned is a reference");
        assert_eq!((pinned.registry(), pinned.repository(), pinned.tag()), (registry, repository, reference.tag()));
        assert_eq!(pinned.digest(), reference.digest().or(Some(&digest)));
    }
});
