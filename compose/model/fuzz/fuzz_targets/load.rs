//! YAML and the loader as a whole: files, each behind a line `#=== NAME`, are loaded. Whatever they say, nothing panics, every
//! problem is at a place of its file, and what loads is printed as something that loads to the same.
#![no_main]

#[path = "../../tests/model/memory.rs"]
mod memory;

use memory::{Memory, load_checked, request};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    load_checked(&request(), &Memory::of_sections(text));
});
