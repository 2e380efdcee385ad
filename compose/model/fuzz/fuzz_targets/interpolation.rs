//! Variables in a value: what cannot be read is told where it is, what is put in is printed so that it stays as it is, and the
//! variables that a text asks for are found.
#![no_main]
#![allow(dead_code, reason = "the other target uses the rest of the module")]

#[path = "../../tests/model/memory.rs"]
mod memory;

use memory::{Memory, load_checked, request};
use rcompose_model::variables::declared;
use rcompose_model::{LoadRequest, Without, load_model};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // JSON in a flow mapping is YAML, whatever the text is.
    let quoted = serde_json::json!({"services": {"a": {"image": "x", "labels": {"text": text}}}}).to_string();
    let files = Memory::of(&quoted);
    load_checked(&request(), &files);
    let raw = LoadRequest { without: Without { interpolation: true, ..Without::default() }, ..request() };
    if let (Some(model), _) = load_model(&raw, &files) {
        declared(&model.tree);
    }
});
