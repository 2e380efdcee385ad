//! How long builds take: all steps known, one file changed, and everything from the beginning.
//!
//! `cargo bench --bench build` measures; `cargo bench --bench build -- 9` so many rounds. Everything happens in a scratch place with
//! a network namespace of its own; the base is a busybox, so that no registry is asked.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

use std::time::{Duration, Instant};

use rcompose_harness::Scratch;

const BASE: &str =
    "FROM scratch AS base\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nFROM base\n";
/// Files of the context beside the one that changes.
const FILES: u32 = 1000;

fn main() {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(7);
    let place = Scratch::new(env!("CARGO_BIN_EXE_rcompose"));
    std::fs::copy("/bin/busybox", place.project().join("busybox")).expect("busybox-static is installed");
    std::fs::create_dir(place.project().join("src")).unwrap();
    for number in 0..FILES {
        place.write(&format!("src/{number}"), &number.to_string());
    }
    place.write("compose.yaml", "name: bench\nservices:\n  web:\n    build: .\n");
    let runs: String = (0..8).map(|number| format!("RUN echo {number} > /{number}\n")).collect();
    place.write("Dockerfile", &format!("{BASE}{runs}COPY src /src\nCOPY last /last\n"));
    let build = |flags: &[&str]| {
        let begun = Instant::now();
        place.run(&[&["build", "-q"], flags].concat()).success();
        begun.elapsed()
    };
    place.write("last", "0");
    build(&[]);
    println!("| build of 10 steps, a context of {FILES} files | median | from | to |\n|---|---|---|---|");
    row("all steps known", (0..rounds).map(|_| build(&[])).collect());
    let changed = |round: u32| {
        place.write("last", &format!("changed {round}"));
        build(&[])
    };
    row("the last COPY has another file", (1..=rounds).map(changed).collect());
    row("nothing is taken from the cache", (0..rounds).map(|_| build(&["--no-cache"])).collect());
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let milliseconds = |time: &Duration| time.as_secs_f64() * 1000.0;
    let (first, middle, last) = (&times[0], &times[times.len() / 2], &times[times.len() - 1]);
    println!("| {what} | {:.1} ms | {:.1} | {:.1} |", milliseconds(middle), milliseconds(first), milliseconds(last));
}
