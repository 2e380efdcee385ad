//! How long a saved file takes until a container sees it, and how long a checkout of thousands takes.
//!
//! `cargo bench --bench watch` measures; `cargo bench --bench watch -- 500` so many saves. What is measured begins before the first
//! system call of the save and ends when the file of the container, looked at from outside, is the new one.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rcompose_harness::{Scratch, wait_for};
use rustix::process::Signal;

const COMPOSE: &str = "name: bench
services:
  web:
    image: rootfs:/
    init: true
    command: [sh, -c, 'mkdir -p /app; exec sleep infinity']
    develop: { watch: [{ path: src, action: sync, target: /app }] }
";
const FILES: usize = 10_000;

fn main() {
    let saves = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(300);
    let place = Scratch::new(env!("CARGO_BIN_EXE_rcompose"));
    place.write("compose.yaml", COMPOSE);
    let source = place.project().join("src");
    (0..100).for_each(|number| std::fs::create_dir_all(source.join(format!("d{number}"))).unwrap());
    (0..FILES).for_each(|number| std::fs::write(name(&source, number), "old").unwrap());
    std::fs::write(source.join("one"), "old").unwrap();
    let mut watch = place.spawn(&["watch"]);
    wait_for("the watch", || place.output().contains("Watch enabled").then_some(()));
    let container = root_of(&place).join("app");

    println!("| save to visible in the container | median | 99 of 100 | slowest |\n|---|---|---|---|");
    row("written in place", (0..saves).map(|round| save(&source, &container, round, in_place)).collect());
    row("written beside, renamed", (0..saves).map(|round| save(&source, &container, round, renamed)).collect());
    println!("\n| {FILES} files | until the last is visible | of which writing them here |\n|---|---|---|");
    for round in 0..3 {
        let (all, writing) = checkout(&source, &container, round);
        println!("| removed and written anew | {:.0} ms | {:.0} ms |", milliseconds(all), milliseconds(writing));
    }
    end(&place, &mut watch);
}

fn name(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("d{}/f{number}", number % 100))
}

/// The files of the container, as its first process sees them.
fn root_of(place: &Scratch) -> PathBuf {
    let list = place.run(&["top", "web"]).success();
    let row = list.lines().find(|line| line.contains("sleep infinity")).expect("the program runs");
    let columns: Vec<&str> = list.lines().next().unwrap_or_default().split_whitespace().collect();
    let at = columns.iter().position(|column| *column == "PID");
    let pid: u32 = at.and_then(|at| row.split_whitespace().nth(at)?.parse().ok()).expect("it has a number");
    PathBuf::from(format!("/proc/{pid}/root"))
}

fn in_place(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

fn renamed(path: &Path, text: &str) {
    let beside = path.with_extension("tmp~");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

fn save(source: &Path, container: &Path, round: usize, write: fn(&Path, &str)) -> Duration {
    // Apart from the one before, as people save.
    std::thread::sleep(Duration::from_millis(20 + round as u64 % 17));
    let text = format!("round {round} of {}", write as usize);
    let begun = Instant::now();
    write(&source.join("one"), &text);
    until(|| std::fs::read_to_string(container.join("one")).is_ok_and(|found| found == text));
    begun.elapsed()
}

fn checkout(source: &Path, container: &Path, round: usize) -> (Duration, Duration) {
    std::thread::sleep(Duration::from_secs(1));
    let text = format!("checkout {round}");
    let begun = Instant::now();
    for number in 0..FILES {
        let path = name(source, number);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(path, &text).unwrap();
    }
    let writing = begun.elapsed();
    for number in 0..FILES {
        until(|| std::fs::read_to_string(name(container, number)).is_ok_and(|found| found == text));
    }
    (begun.elapsed(), writing)
}

fn until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came");
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| milliseconds(times[((times.len() - 1) as f64 * share) as usize]);
    println!("| {what} | {:.1} ms | {:.1} ms | {:.1} ms |", at(0.5), at(0.99), at(1.0));
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn end(place: &Scratch, watch: &mut Child) {
    place.kill(i32::try_from(watch.id()).unwrap(), Signal::INT);
    watch.wait().unwrap();
    place.run(&["down", "-t", "0"]).success();
}
