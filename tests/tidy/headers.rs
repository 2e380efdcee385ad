//! Every module opens with what it owns.

#[test]
fn every_module_opens_with_a_header() {
    let mut bare = Vec::new();
    for folder in ["runtime", "compose", "tests"] {
        for file in crate::files(&crate::root().join(folder), ".rs") {
            let text = std::fs::read_to_string(&file).expect("a source file can be read");
            if !text.starts_with("//!") {
                bare.push(file);
            }
        }
    }
    assert!(bare.is_empty(), "no header: {bare:#?}");
}

#[test]
fn no_room_is_without_a_noun() {
    let vague = ["util", "utils", "helper", "helpers", "common", "misc", "types"];
    for folder in ["runtime", "compose", "tests"] {
        for file in crate::files(&crate::root().join(folder), ".rs") {
            let parts = file.iter().map(|part| part.to_string_lossy().into_owned());
            for part in parts {
                let stem = part.strip_suffix(".rs").unwrap_or(&part);
                assert!(!vague.contains(&stem), "{}: `{stem}` is no noun", file.display());
            }
        }
    }
}
