//! The language: whatever a file holds, it is a Dockerfile or has errors, each at a place of it, and what triggers hold is read, too.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the room uses the rest of the module")]

/// The module alone: the whole room would bring the runtime along.
#[path = "../../src"]
mod room {
    pub mod dockerfile;
}

use room::dockerfile::{Dockerfile, Kind, Quotes, expand, expand_words, trigger};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (file, problems) = Dockerfile::parse(data);
    let lines = u32::try_from(String::from_utf8_lossy(data).lines().count()).unwrap_or(u32::MAX).max(1);
    for problem in &problems {
        assert!((1..=lines).contains(&problem.place.line), "{problem:?} is on no line of {lines}");
        assert!(!problem.text.is_empty());
    }
    assert!(file.is_some() || problems.iter().any(|problem| problem.is_error()), "it is neither right nor wrong");
    let Some(file) = file else { return };
    assert!(!file.stages.is_empty());
    let value = |name: &str| name.len().is_multiple_of(2).then(|| name.to_owned());
    for (index, stage) in file.stages.iter().enumerate() {
        if let Some(before) = file.stage_before(&stage.from.image, index) {
            assert!(before < index);
        }
        for instruction in &stage.instructions {
            // Errors are answers, too.
            let _ = expand(&instruction.text, file.directives.escape, Quotes::Removed, &value);
            let _ = expand_words(&instruction.text, file.directives.escape, &value);
            if let Kind::Onbuild(text) = &instruction.kind {
                let _ = trigger(text, instruction.place);
            }
        }
    }
});
