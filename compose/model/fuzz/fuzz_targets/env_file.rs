//! Files of variables, in every place where one may stand: `.env`, `env_file` in both formats, `label_file`.
#![no_main]
#![allow(dead_code, reason = "the other target uses the rest of the module")]

#[path = "../../tests/model/memory.rs"]
mod memory;

use memory::{Memory, load_checked, request};

const ENVIRONMENT: &str = "services: {a: {image: 'x$A', env_file: f}}";
const RAW: &str = "services: {a: {image: x, env_file: [{path: f, format: raw}]}}";
const LABELS: &str = "services: {a: {image: x, label_file: f}}";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for compose in [ENVIRONMENT, RAW, LABELS] {
        load_checked(&request(), &Memory::of(compose).with("f", text));
    }
    load_checked(&request(), &Memory::of("services: {a: {image: 'x$A', command: '${B:-y}'}}").with(".env", text));
});
