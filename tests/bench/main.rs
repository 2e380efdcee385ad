//! How long stacks take to come and go, beside bare system calls and, where it is there, docker compose: one run, one table.
//!
//! `cargo bench --bench stack` measures 1, 10, 50 and 100 services; `cargo bench --bench stack -- 50 3` so many services, so many
//! rounds. Subjects take turns within a round. Everything happens in a scratch place with a network namespace of its own.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

mod bare;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcompose_harness::{Scratch, wait_for};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [role, folder, image, count] = arguments.as_slice()
        && role == "bare"
    {
        let (up, down) = bare::run(Path::new(folder), Path::new(image), count.parse().unwrap());
        return println!("{} {}", up.as_nanos(), down.as_nanos());
    }
    let numbers: Vec<u32> = arguments.iter().map(|text| text.parse().expect("a number")).collect();
    let (sizes, rounds) = match numbers.as_slice() {
        [] => (vec![1, 10, 50, 100], 5),
        [size] => (vec![*size], 5),
        [size, rounds, ..] => (vec![*size], *rounds),
    };
    let bench = Bench::new();
    println!("| services | | bare | rcompose | ratio | docker compose | ratio |\n|---|---|---|---|---|---|---|");
    sizes.iter().for_each(|size| bench.come_and_go(*size, rounds));
    println!("\n| figure | median | from | to |\n|---|---|---|---|");
    bench.questions(*sizes.iter().find(|size| **size == 50).unwrap_or(&sizes[0]));
    bench.restart();
    bench.published_port();
}

struct Bench {
    place: Scratch,
    image: PathBuf,
    docker: Option<&'static [&'static str]>,
}

/// Several measurements of one thing.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn sorted(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self.0.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn median(&self) -> f64 {
        let all = self.sorted();
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn spread(&self) -> String {
        let all = self.sorted();
        match (all.first(), all.last()) {
            (Some(first), Some(last)) => format!("{:.1} ms ({first:.1} to {last:.1})", self.median()),
            _ => "-".to_owned(),
        }
    }

    fn row(&self, what: &str) {
        let all = self.sorted();
        println!("| {what} | {:.2} ms | {:.2} | {:.2} |", self.median(), all[0], all[all.len() - 1]);
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

impl Bench {
    fn new() -> Self {
        let place = Scratch::new(env!("CARGO_BIN_EXE_rcompose"));
        let image = place.project().join("image");
        for name in ["bin", "proc", "dev", "sys", "etc", "tmp"] {
            std::fs::create_dir_all(image.join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", image.join("bin/busybox")).expect("busybox-static is installed");
        for applet in ["sh", "sleep", "true", "date", "cat"] {
            std::os::unix::fs::symlink("busybox", image.join("bin").join(applet)).unwrap();
        }
        // The first command starts the supervisor, which is not what is measured.
        place.write("compose.yaml", &services(1, "rootfs:./image"));
        place.run(&["up", "-d"]).success();
        place.run(&["down"]).success();
        let docker = docker(&image);
        Self { place, image, docker }
    }

    fn come_and_go(&self, size: u32, rounds: u32) {
        let [mut bare_up, mut bare_down, mut up, mut down, mut docker_up, mut docker_down] =
            std::array::from_fn(|_| Times::default());
        self.place.write("compose.yaml", &services(size, "rootfs:./image"));
        self.place.write("docker.yaml", &services(size, "bench:latest"));
        for _ in 0..rounds {
            let (came, went) = self.bare(size);
            bare_up.0.push(came);
            bare_down.0.push(went);
            up.0.push(timed(|| drop(self.place.run(&["up", "-d"]).success())));
            down.0.push(timed(|| drop(self.place.run(&["down", "-t", "0"]).success())));
            if let Some(docker) = self.docker {
                let folder = self.place.project();
                let file = [docker, &["-f", "docker.yaml", "-p", "bench"]].concat();
                docker_up.0.push(timed(|| assert!(quietly(&[&file[..], &["up", "-d"]].concat(), &folder))));
                let down = [&file[..], &["down", "-t", "0"]].concat();
                // Version 1 is at times too early for its own network; a second call takes it away, and no time.
                docker_down.0.push(timed(|| _ = quietly(&down, &folder)));
                quietly(&down, &folder);
            }
        }
        for (what, bare, ours, docker) in [("up -d", bare_up, up, docker_up), ("down", bare_down, down, docker_down)] {
            let ratio = ours.median() / bare.median();
            let other = match docker.0.is_empty() {
                true => "-".to_owned(),
                false => format!("{:.1}", docker.median() / ours.median()),
            };
            println!("| {size} | {what} | {} | {} | {ratio:.2} | {} | {other} |", bare.spread(), ours.spread(), docker.spread());
        }
    }

    fn bare(&self, size: u32) -> (Duration, Duration) {
        let folder = self.place.project().join("bare");
        std::fs::create_dir_all(&folder).unwrap();
        let own = std::env::current_exe().unwrap();
        let count = size.to_string();
        let words = [own.to_str().unwrap(), "bare", folder.to_str().unwrap(), self.image.to_str().unwrap(), &count];
        let text = self.place.inside(&words);
        let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
        (Duration::from_nanos(numbers[0]), Duration::from_nanos(numbers[1]))
    }

    /// What is asked of a stack that runs, and what it costs to keep it.
    fn questions(&self, size: u32) {
        let idle = memory(self.supervisor());
        self.place.write("compose.yaml", &services(size, "rootfs:./image"));
        self.place.run(&["up", "-d"]).success();
        let repeat = |command: &[&str]| Times((0..15).map(|_| timed(|| drop(self.place.run(command).success()))).collect());
        repeat(&["up", "-d"]).row(&format!("`up -d` of {size} that run already"));
        repeat(&["ps"]).row(&format!("`ps` of {size}"));
        repeat(&["exec", "-T", "s0", "true"]).row("`exec` of `true`");
        let monitors: Vec<u64> = self.place.monitors().into_iter().map(memory).collect();
        let sum: u64 = monitors.iter().sum();
        println!(
            "| monitor, proportional set size | {} KiB | {} | {} |",
            sum / u64::from(size),
            monitors.iter().min().unwrap(),
            monitors.iter().max().unwrap()
        );
        println!("| supervisor, idle | {idle} KiB | | |");
        println!("| supervisor, {size} containers | {} KiB | | |", memory(self.supervisor()));
        self.place.run(&["down", "-t", "0"]).success();
    }

    fn supervisor(&self) -> i32 {
        self.place.supervisor().expect("the supervisor runs")
    }

    /// From a crash to the next line of the program, without the policy's delay.
    fn restart(&self) {
        let service = "services: {s: {image: 'rootfs:./image', restart: 'on-failure:5', network_mode: none, command: [date]}}";
        self.place.write("compose.yaml", &service.replace("[date]", "[sh, -c, 'echo run; exit 1']"));
        self.place.run(&["up", "-d"]).success();
        let lines = wait_for("six runs", || {
            let text = self.place.run(&["logs", "-t", "--no-log-prefix"]).success();
            (text.lines().count() == 6).then_some(text)
        });
        let moments: Vec<jiff::Timestamp> =
            lines.lines().map(|line| line.split(' ').next().unwrap().parse().expect("a time")).collect();
        let delays = [100, 200, 400, 800, 1600].map(Duration::from_millis);
        let gaps = moments.windows(2).zip(delays).map(|(pair, delay)| {
            let gap = Duration::try_from(pair[1].duration_since(pair[0])).unwrap();
            gap.saturating_sub(delay)
        });
        Times(gaps.collect()).row("from a crash to the next run, beyond the policy's delay");
        self.place.run(&["down", "-t", "0"]).success();
    }

    /// The same bytes by the published port and straight from the container's address.
    fn published_port(&self) {
        let serve = "import socket; s = socket.create_server((\"\", 80)); b = bytes(1 << 20)\nwhile True:\n  c = s.accept()[0]\n  [c.sendall(b) for _ in range(2048)]\n  c.close()";
        let text = format!(
            "services: {{s: {{image: 'rootfs:/', init: true, ports: ['8080:80'], command: [python3, -c, {}]}}}}",
            serde_json::Value::from(serve)
        );
        self.place.write("compose.yaml", &text);
        self.place.run(&["up", "-d"]).success();
        let address = self.place.run(&["exec", "-T", "s", "hostname", "-I"]).success();
        let fetch = "import socket, sys, time\nfor _ in range(500):\n  try: c = socket.create_connection((sys.argv[1], int(sys.argv[2]))); break\n  except OSError: time.sleep(0.01)\nt = time.monotonic()\nb = bytearray(1 << 20)\nn = 0\nwhile True:\n  k = c.recv_into(b)\n  if not k: break\n  n += k\nprint(n / (time.monotonic() - t) / 1e6)";
        let rate =
            |host: &str, port: &str| -> f64 { self.place.inside(&["python3", "-c", fetch, host, port]).trim().parse().unwrap() };
        let (mut published, mut straight) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            published.push(rate("127.0.0.1", "8080"));
            straight.push(rate(address.trim(), "80"));
        }
        published.sort_by(f64::total_cmp);
        straight.sort_by(f64::total_cmp);
        println!("| published port, 127.0.0.1 | {:.0} MB/s | {:.0} | {:.0} |", published[2], published[0], published[4]);
        println!("| the container's own address | {:.0} MB/s | {:.0} | {:.0} |", straight[2], straight[0], straight[4]);
        self.place.run(&["down", "-t", "0"]).success();
    }
}

fn services(count: u32, image: &str) -> String {
    let service = |number| format!("  s{number}: {{image: '{image}', command: [sleep, '1000']}}\n");
    format!("version: '3'\nservices:\n{}", (0..count).map(service).collect::<String>())
}

/// Runs a command that says nothing.
fn quietly(words: &[&str], folder: &Path) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// How Docker's own tool is called here, if there is one with a daemon that answers; it has the image then.
fn docker(image: &Path) -> Option<&'static [&'static str]> {
    let import = "tar --create --directory \"$0\" . | docker import - bench:latest";
    if !quietly(&["sh", "-c", import, image.to_str()?], image) {
        return None;
    }
    let known: [&'static [&'static str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    known.into_iter().find(|words| quietly(&[words, &["version"][..]].concat(), image))
}

/// Proportional set size in KiB.
fn memory(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
