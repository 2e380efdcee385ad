//! How long `config` takes for files of many services, beside docker compose where it is there: one run, one table.
//!
//! `cargo bench --bench config` measures 10, 100, 1000 and 5000 services; `cargo bench --bench config -- 1000 9` so many services, so
//! many rounds. Subjects take turns within a round. Memory is what `time` of Debian's package of that name says.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (sizes, rounds) = match numbers.as_slice() {
        [] => (vec![10, 100, 1000, 5000], 5),
        [size] => (vec![*size], 5),
        [size, rounds, ..] => (vec![*size], *rounds),
    };
    let folder = std::env::temp_dir().join(format!("rcompose-config-{}", std::process::id()));
    let docker = docker();
    println!(
        "| services | rcompose config | peak memory | {} | ratio |\n|---|---|---|---|---|",
        docker.as_ref().map_or("docker compose", |it| &it.0)
    );
    for size in sizes {
        let place = folder.join(size.to_string());
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("compose.yaml"), stack(size)).unwrap();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(timed(&place, &[env!("CARGO_BIN_EXE_rcompose")]));
            if let Some((_, words)) = &docker {
                theirs.push(timed(&place, words));
            }
        }
        let ratio = if theirs.is_empty() { "-".to_owned() } else { format!("{:.1}", median(&theirs) / median(&ours)) };
        println!("| {size} | {} | {} | {} | {ratio} |", spread(&ours), memory(&place), spread(&theirs));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A stack as people have them: most attributes in their short form, a few variables, an anchor.
fn stack(size: usize) -> String {
    let mut text = String::from(
        "x-common: &common\n  restart: unless-stopped\n  logging: {driver: json-file, options: {max-size: 10m}}\nservices:\n",
    );
    for number in 0..size {
        let port = 10_000 + number % 50_000;
        let volume = number % 50;
        write!(
            text,
            "  svc{number}:\n    <<: *common\n    image: registry.example/app/svc{number}:${{TAG:-1.0}}\n    environment:\n      NAME: svc{number}\n      \
             LEVEL: ${{LEVEL:-info}}\n      PORT: \"{port}\"\n    ports:\n      - \"127.0.0.1:{port}:80\"\n    volumes:\n      - data{volume}:/data\n      \
             - ./conf:/etc/app:ro\n    networks: [front, back]\n    healthcheck:\n      test: [\"CMD\", \"true\"]\n      interval: 10s\n    labels:\n      \
             app.name: svc{number}\n    deploy: {{resources: {{limits: {{memory: 128m}}}}}}\n"
        )
        .unwrap();
        if number > 0 {
            writeln!(text, "    depends_on:\n      svc{}: {{condition: service_healthy}}", number - 1).unwrap();
        }
    }
    text.push_str("networks: {front: {}, back: {}}\nvolumes:\n");
    (0..size.min(50)).for_each(|number| writeln!(text, "  data{number}: {{}}").unwrap());
    text
}

/// Docker compose, as a plugin or a program of its own.
fn docker() -> Option<(String, Vec<&'static str>)> {
    [vec!["docker", "compose"], vec!["docker-compose"]].into_iter().find_map(|words| {
        let answer =
            Command::new(words[0]).args(&words[1..]).arg("version").arg("--short").stderr(Stdio::null()).output().ok()?;
        let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        answer.status.success().then(|| (format!("{} {version}", words.join(" ")), words))
    })
}

fn timed(place: &Path, words: &[&str]) -> Duration {
    let begin = Instant::now();
    let done = Command::new(words[0]).args(&words[1..]).arg("config").current_dir(place).stdout(Stdio::null()).status().unwrap();
    assert!(done.success(), "{words:?}");
    begin.elapsed()
}

fn memory(place: &Path) -> String {
    let time = PathBuf::from("/usr/bin/time");
    if !time.exists() {
        return "-".to_owned();
    }
    let program = env!("CARGO_BIN_EXE_rcompose");
    let answer =
        Command::new(time).args(["-f", "%M", program, "config"]).current_dir(place).stdout(Stdio::null()).output().unwrap();
    let kilobytes: f64 = String::from_utf8_lossy(&answer.stderr).trim().parse().unwrap_or(f64::NAN);
    format!("{:.1} MiB", kilobytes / 1024.0)
}

fn milliseconds(times: &[Duration]) -> Vec<f64> {
    let mut all: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn median(times: &[Duration]) -> f64 {
    let all = milliseconds(times);
    all[all.len() / 2]
}

fn spread(times: &[Duration]) -> String {
    let all = milliseconds(times);
    match (all.first(), all.last()) {
        (Some(first), Some(last)) => format!("{:.1} ms ({first:.1} to {last:.1})", median(times)),
        _ => "-".to_owned(),
    }
}
