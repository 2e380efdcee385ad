//! `config` beside docker compose: a corpus of people's files, and one of their mistakes, each run by the corpus' own comparer.
//!
//! The corpus is other projects' work and not a part of this one. `RCOMPOSE_CORPUS` says where it is; without it nothing is
//! compared, and that is said aloud. `.ci/run` sets it always.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cases in which we differ, each with its reason. One that agrees again has to go from the list.
const KNOWN: [(&str, &str); 1] = [(
    "go-loader-TestXService",
    // COMPAT: a network may be named `x-...`, as services and volumes may.
    "docker compose loses a network named `x-...` and prints `#extensions` in its place, which does not load again",
)];

/// The corpus; `None`, said aloud, if the environment names none.
fn corpus(part: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("RCOMPOSE_CORPUS").filter(|folder| !folder.is_empty()) else {
        // Past the harness, which keeps what tests that pass print.
        let text = format!("NOT COMPARED with docker compose ({part}): RCOMPOSE_CORPUS does not say where the corpus is\n");
        std::io::stderr().write_all(text.as_bytes()).expect("standard error is open");
        return None;
    };
    let folder = Path::new(&folder).join(part);
    assert!(folder.is_dir(), "RCOMPOSE_CORPUS has no {}", folder.display());
    Some(folder)
}

/// What a comparer prints, and whether it is content.
fn compare(script: &Path, arguments: &[&str]) -> (String, bool) {
    let mut command = Command::new("python3");
    command.arg(script).arg(env!("CARGO_BIN_EXE_rcompose")).args(arguments);
    let output = command.output().expect("python3 is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(" passed, "), "{text}{}", String::from_utf8_lossy(&output.stderr));
    (text, output.status.success())
}

#[test]
fn config_agrees_with_docker_compose() {
    let Some(folder) = corpus("config") else { return };
    let cases = folder.join("cases");
    let cases = cases.to_str().expect("the corpus has a plain path");
    let (text, _) = compare(&folder.join("compare.py"), &["--cases", cases]);
    let differing: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("FAIL ")?.split(' ').next()).collect();
    let new: Vec<_> =
        text.lines().filter(|line| line.starts_with("FAIL ") && !KNOWN.iter().any(|known| line.contains(known.0))).collect();
    assert!(new.is_empty(), "{}\n{}", new.join("\n"), text.lines().last().unwrap_or_default());
    for (id, reason) in KNOWN {
        assert!(differing.contains(id), "{id} agrees now; it is listed as different because {reason}");
    }
}

#[test]
fn mistakes_are_explained_with_their_place_and_a_way_out() {
    let Some(folder) = corpus("mistakes") else { return };
    let (text, content) = compare(&folder.join("check.py"), &["--require", "exit,file,line,column,text,hint"]);
    assert!(content, "{text}");
}
