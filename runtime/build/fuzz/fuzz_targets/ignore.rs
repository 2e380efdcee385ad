//! Patterns of ignore files: a text is read or refused with its line, and matching ends in time, however a pattern and a path are made.
#![no_main]

use rcompose_pattern::{Ignore, Pattern};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The first line is the path.
    let (path, text) = text.split_once('\n').unwrap_or((text, ""));
    match Ignore::parse(text) {
        Ok(ignore) => {
            let ignores = ignore.ignores(path);
            assert!(!ignores || !ignore.is_empty(), "nothing is ignored by nothing");
        }
        Err((line, _)) => assert!((1..=text.lines().count()).contains(&(line as usize)), "line {line} is not there"),
    }
    // The root itself is never asked about.
    for line in text.lines().filter(|_| !path.is_empty()) {
        if let Ok(pattern) = Pattern::parse(line) {
            assert!(!pattern.matches(path) || pattern.matches_or_above(path), "`{line}` matches `{path}` and does not");
        }
    }
});
