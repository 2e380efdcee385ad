//! Crates know only those below them.

use std::collections::BTreeMap;

/// Each room and the rooms that it may know.
const ARROWS: [(&str, &[&str]); 14] = [
    ("runtime/sys", &[]),
    ("runtime/container", &["sys"]),
    ("runtime/image", &["sys"]),
    ("runtime/network", &["sys"]),
    ("runtime/volume", &["sys"]),
    ("runtime/engine", &["sys", "container", "image", "network", "volume"]),
    ("runtime/pattern", &[]),
    ("runtime/build", &["sys", "image", "engine", "pattern"]),
    ("compose/model", &[]),
    ("compose/plan", &["model"]),
    ("compose/watch", &["model", "pattern"]),
    ("compose/supervisor", &["model", "plan", "engine", "build"]),
    ("compose/cli", &["model", "plan", "watch", "supervisor", "container"]),
    ("tests/harness", &[]),
];

#[test]
fn arrows_between_rooms_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    for (room, known) in &allowed {
        let manifest = std::fs::read_to_string(crate::root().join(room).join("Cargo.toml")).expect("each room has a manifest");
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for line in dependencies.lines().filter_map(|line| line.strip_prefix("rcompose-")) {
            let other: String = line.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
            assert!(known.contains(&other.as_str()), "{room} must not know {other}");
        }
    }
}

#[test]
fn every_member_of_the_workspace_has_its_arrows_written_down() {
    let manifest = std::fs::read_to_string(crate::root().join("Cargo.toml")).expect("the workspace has a manifest");
    let members = manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).expect("there are members");
    for member in members.split(',').map(|line| line.trim().trim_matches('"')).filter(|line| !line.is_empty()) {
        assert!(ARROWS.iter().any(|(room, _)| *room == member), "{member} is missing in the table of arrows");
    }
}

#[test]
fn planning_neither_waits_nor_looks() {
    let folder = crate::root().join("compose/plan/src");
    for file in crate::files(&folder, ".rs") {
        let text = std::fs::read_to_string(&file).expect("a source file can be read");
        for word in ["std::fs", "std::net", "std::env", "std::process", "Instant::now", "SystemTime", "tracing::", "tokio"] {
            assert!(!text.contains(word), "{} uses {word}; `plan` is pure", file.display());
        }
    }
}

#[test]
fn unsafe_code_lives_in_sys_alone() {
    for folder in ["runtime", "compose", "tests"] {
        for file in crate::files(&crate::root().join(folder), ".rs") {
            let in_sys = file.starts_with(crate::root().join("runtime/sys"));
            let text = std::fs::read_to_string(&file).expect("a source file can be read");
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let has_unsafe = lines
                .into_iter()
                .any(|line| line.contains(concat!("unsafe", " {")) || line.contains(concat!("allow(", "unsafe_code")));
            assert!(in_sys || !has_unsafe, "{} has unsafe code", file.display());
        }
    }
}
