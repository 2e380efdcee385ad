//! Hostile files: an error that says where, or a load, in bounded time; `tests/e2e/hostile.rs` bounds the memory too.

use std::time::{Duration, Instant};

use rcompose_model::{Code, Diagnostic, load_model};

use crate::memory::{Memory, load_checked, request};

/// The longest that any of these may take, in a program that is not optimised.
const PATIENCE: Duration = Duration::from_secs(20);

/// The problems of a load that ends in time.
#[track_caller]
fn problems(files: &Memory) -> Vec<Diagnostic> {
    let begin = Instant::now();
    let (_, problems) = load_model(&request(), files);
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    let told: usize = problems.iter().map(|problem| problem.to_string().len()).sum();
    assert!(told < 1 << 20, "{told} bytes of problems");
    problems
}

#[track_caller]
fn refused(files: &Memory, code: Code, told: &str) {
    let problems = problems(files);
    let found = problems.iter().find(|problem| problem.code == code && problem.message.contains(told));
    let found = found.unwrap_or_else(|| panic!("{:?}", problems.iter().map(ToString::to_string).take(5).collect::<Vec<_>>()));
    assert!(found.place.is_some(), "{found}");
}

#[test]
fn aliases_that_multiply() {
    let rows = |one: &str, row: &dyn Fn(usize) -> String| {
        format!("{one}{}services: {{a: {{image: x, labels: *a19}}}}\n", (1..20).map(row).collect::<String>())
    };
    let tens = |level: usize| vec![format!("*a{}", level - 1); 10].join(",");
    let lists = rows("x-0: &a0 [x]\n", &|level| format!("x-{level}: &a{level} [{}]\n", tens(level)));
    refused(&Memory::of(&lists), Code::Limit, "copies by `*alias` included");
    let maps = rows("x-0: &a0 {k: 1}\n", &|level| format!("x-{level}: &a{level} {{<<: [{}], k{level}: 1}}\n", tens(level)));
    refused(&Memory::of(&maps), Code::Limit, "copies by `*alias` included");
    // Many small copies of one large thing.
    let large = format!("x-a: &a [{}]\nx-b: [{}]\nservices: {{a: {{image: x}}}}\n", "x,".repeat(5000), "*a,".repeat(5000));
    refused(&Memory::of(&large), Code::Limit, "copies by `*alias` included");
    refused(&Memory::of("services: &s {a: *s}\n"), Code::Syntax, "an anchor cannot contain itself");
}

#[test]
fn towers() {
    let flow = |depth: usize| format!("x-a: {}{}\nservices: {{a: {{image: x}}}}\n", "[".repeat(depth), "]".repeat(depth));
    refused(&Memory::of(&flow(220)), Code::Limit, "nested deeper than 200 levels");
    load_checked(&request(), &Memory::of(&flow(150)));
    assert!(problems(&Memory::of(&flow(100_000))).iter().all(|problem| problem.place.is_some()));
    let block: String = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(
        &Memory::of(&format!("x-b:\n{}", block.replace("\n", "\n ").replacen("a:", " a:", 1))),
        Code::Limit,
        "nested deeper than",
    );
    let keys = "? ".repeat(5000);
    assert!(!problems(&Memory::of(&keys)).is_empty());
    // What is copied into a tower makes it higher than what was written.
    let grown: String = (1..150).map(|level| format!("x-{level}: &a{level} [[*a{}]]\n", level - 1)).collect();
    let files = Memory::of(&format!("x-0: &a0 [x]\n{grown}services: {{a: {{image: x}}}}\n"));
    refused(&files, Code::Limit, "nested deeper than");
}

#[test]
fn long_lines_and_many_lines() {
    let long = format!("services: {{a: {{image: x, labels: {{l: \"{}\"}}}}}}\n", "y".repeat(10_000_000));
    assert!(problems(&Memory::of(&long)).is_empty());
    let broken = format!("services: {{a: {{image: x, imagee: \"{}\"}}}}\n", "y".repeat(10_000_000));
    refused(&Memory::of(&broken), Code::UnknownKey, "imagee");
    assert!(problems(&Memory::of(&broken)).iter().all(|problem| problem.to_string().len() < 2000), "only a part is shown");
    let quote = format!("services: {{a: {{image: \"{}\n", "y: [".repeat(2_500_000));
    assert!(!problems(&Memory::of(&quote)).is_empty());
    let comments = format!("{}services: {{a: {{image: x}}}}\n", "# nothing\n".repeat(1_000_000));
    assert!(problems(&Memory::of(&comments)).is_empty());
    let larger = Memory::of(&format!("services: {{a: {{image: x}}}}\n{}", " ".repeat(11 << 20)));
    assert!(problems(&larger)[0].message.contains("larger than"));
    let variables = Memory::of("services: {a: {image: x}}").with(".env", &format!("A={}", "x".repeat(2 << 20)));
    assert!(problems(&variables)[0].message.contains("larger than"));
}

#[test]
fn twenty_thousand_services() {
    let services: String = (0..20_000).map(|number| format!("  s{number}: {{image: x}}\n")).collect();
    let problems = problems(&Memory::of(&format!("services:\n{services}")));
    assert!(problems.is_empty(), "{:?}", problems.first());
}

#[test]
fn as_many_mistakes_as_there_are_lines() {
    let keys: String = (0..20_000).map(|number| format!("    unknown{number}: x\n")).collect();
    let begin = Instant::now();
    let (_, problems) = load_model(&request(), &Memory::of(&format!("services:\n  a:\n    image: x\n{keys}")));
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    assert!(!problems.is_empty());
    let names: String =
        (0..5000).map(|number| format!("  s{number}: {{image: x, depends_on: [t{number}], networks: [n{number}]}}\n")).collect();
    let begin = Instant::now();
    load_model(&request(), &Memory::of(&format!("services:\n{names}")));
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
}

#[test]
fn mistakes_on_one_line() {
    let keys: String = (0..100_000).map(|number| format!("unknown{number}: x, ")).collect();
    let found = problems(&Memory::of(&format!("services: {{a: {{image: x, {keys}}}}}\n")));
    assert_eq!(found.len(), 1001);
    assert_eq!(found[1000].message, "only the first 1000 problems are told");
    for bad in ["volumes: ['::', ", "ports: ['a:b', ", "secrets: [none, ", "networks: [none, "] {
        let items: String = (0..50_000).map(|number| format!("'x{number}::', ")).collect();
        let found = problems(&Memory::of(&format!("services: {{a: {{image: x, {bad}{items}]}}}}\n")));
        assert!(found.len() <= 1001 && !found.is_empty(), "{bad}: {}", found.len());
    }
}

#[test]
fn long_lists_that_are_laid_on_long_lists() {
    let file = |from: u32| {
        let hosts: String = (from..from + 20_000).map(|number| format!("h{number}=1.1.1.1, ")).collect();
        let pools: String = (from..from + 20_000).map(|number| format!("{{subnet: s{number}}}, ")).collect();
        format!("services: {{a: {{image: x, extra_hosts: [{hosts}]}}}}\nnetworks: {{n: {{ipam: {{config: [{pools}]}}}}}}\n")
    };
    let files = Memory::of(&file(0)).with("compose.override.yaml", &file(10_000));
    assert!(problems(&files).is_empty());
}

#[test]
fn includes_that_multiply() {
    // Each file includes the next one twice: 2^30 loads, if nobody counts.
    let files = (0..30).fold(Memory::of("include: [f0.yaml]\nservices: {a: {image: x}}\n"), |files, number| {
        let next = number + 1;
        files.with(&format!("f{number}.yaml"), &format!("include: [f{next}.yaml, {{path: ./f{next}.yaml}}]\n"))
    });
    let files = files.with("f30.yaml", "services: {b: {image: x}}\n");
    refused(&files, Code::Limit, "files are read");
    let chain = (0..60).fold(Memory::of("include: [f0.yaml]\n"), |files, number| {
        files.with(&format!("f{number}.yaml"), &format!("include: [f{}.yaml]\n", number + 1))
    });
    refused(&chain, Code::Limit, "files include each other more than 50 deep");
}

#[test]
fn extends_that_multiply() {
    let service = |number: usize| format!("  s{number}: {{extends: s{}, labels: [l{number}=1]}}\n", number + 1);
    let chain = |length: usize| format!("services:\n{}  s{length}: {{image: x}}\n", (0..length).map(service).collect::<String>());
    assert!(problems(&Memory::of(&chain(90))).is_empty());
    refused(&Memory::of(&chain(3000)), Code::Limit, "extends more than 100 others");
    // Many services on one large one.
    let labels: String = (0..2000).map(|number| format!("l{number}: x, ")).collect();
    let many: String = (0..2000).map(|number| format!("  s{number}: {{extends: base}}\n")).collect();
    let files = Memory::of(&format!("services:\n  base: {{image: x, labels: {{{labels}}}}}\n{many}"));
    refused(&files, Code::Limit, "values");
}

#[test]
fn variables_that_multiply() {
    let lines: String = (1..60).map(|number| format!("A{number}=$A{0}$A{0}\n", number - 1)).collect();
    let files = Memory::of("services: {a: {image: '$A59'}}").with(".env", &format!("A0=xxxxxxxxxx\n{lines}"));
    let found = problems(&files);
    assert!(found.iter().any(|problem| problem.message.contains("when variables are put in")), "{found:?}");
    let nested = format!("services: {{a: {{image: '{}x{}'}}}}\n", "${A:-".repeat(3000), "}".repeat(3000));
    refused(&Memory::of(&nested), Code::Interpolation, "invalid interpolation format");
    // One long value, asked for again and again.
    let asked: String = (0..2000).map(|number| format!("  x{number}: $LONG\n")).collect();
    let files = Memory::of(&format!("services: {{a: {{image: x}}}}\nx-y:\n{asked}"))
        .with(".env", &format!("LONG={}\n", "y".repeat(1_000_000)));
    refused(&files, Code::Limit, "when variables are put in");
    // Many lines that ask for one long value, and many services that read one long file.
    let lines: String = (0..2000).map(|number| format!("B{number}=$A\n")).collect();
    let files = Memory::of("services: {a: {image: x}}").with(".env", &format!("A={}\n{lines}", "y".repeat(1_000_000)));
    refused(&files, Code::Limit, "when variables are put in");
    let services: String = (0..200).map(|number| format!("  s{number}: {{image: x, env_file: f}}\n")).collect();
    let files = Memory::of(&format!("services:\n{services}")).with("f", &format!("A={}\n", "y".repeat(1_000_000)));
    refused(&files, Code::Limit, "files of variables come to more than");
    // Names that nothing sets, looked for among all lines.
    let lines: String = (0..50_000).map(|number| format!("B{number}=$C{number}\n")).collect();
    assert!(problems(&Memory::of("services: {a: {image: x, env_file: f}}").with("f", &lines)).is_empty());
}

#[test]
fn numbers_that_are_short_to_write() {
    let ports = (1..50).map(|host| format!("'127.0.0.{host}:1-65535:1-65535'")).collect::<Vec<_>>().join(",");
    refused(&Memory::of(&format!("services: {{a: {{image: x, ports: [{ports}]}}}}")), Code::Limit, "more than 65536 ports");
    for number in ["9223372036854775807", "-9223372036854775808", "1e400", "-1e400", ".nan", ".inf", "99999999999999999999999"] {
        for attribute in
            ["scale", "cpus", "mem_limit", "shm_size", "cpu_period", "oom_score_adj", "pids_limit", "stop_grace_period"]
        {
            problems(&Memory::of(&format!("services: {{a: {{image: x, {attribute}: {number}}}}}")));
            problems(&Memory::of(&format!("services: {{a: {{image: x, {attribute}: '{number}'}}}}")));
        }
    }
}
