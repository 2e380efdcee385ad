//! What holds for every file: what is printed loads to the same, files can be merged in pairs, and broken ones are told about.

use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use rcompose_model::emit::{self, Dollars};
use rcompose_model::{HostFiles, LoadRequest, load_model};

use crate::memory::{Memory, load_checked, request};

/// Attributes of a service, in ways in which they may be written, without any that names something to be declared.
const ATTRIBUTES: [&str; 46] = [
    "command: [sh, -c, 'echo $$HOME \"x\"']",
    "command: sh -c \"a 'b c'\"",
    "entrypoint: []",
    "environment: {A: 1, B: , SET: , 'C D': \"x\\ny\"}",
    "environment: [A=1, B, SET=$SET]",
    "labels: {a: true, b: 1.50, c: 0440, d: '', e: \"${NONE:-$$}\"}",
    "labels: [a, b=c=d]",
    "annotations: [x=y]",
    "ports: ['80', '8080:80/udp', '127.0.0.1:1-3:11-13']",
    "ports: [{target: 80, published: '1-5', host_ip: '::1', name: n, mode: host}]",
    "volumes: ['/a', './b:/b:ro,z', '~/c:/c', {type: tmpfs, target: /t, tmpfs: {size: 1k, mode: 0o700}}]",
    "volumes: [{type: bind, source: ., target: /x, bind: {create_host_path: false, propagation: slave}}]",
    "tmpfs: [/q:size=1m, /r]",
    "tmpfs: /s",
    "extra_hosts: {h: [1.1.1.1, '::1'], g: host-gateway}",
    "extra_hosts: ['h:::1', 'g=2.2.2.2']",
    "ulimits: {nofile: {soft: 1, hard: 2}, nproc: 7}",
    "healthcheck: {test: curl x, interval: 1m30s, retries: 3, timeout: 0s}",
    "healthcheck: {test: [NONE]}",
    "healthcheck: {disable: true}",
    "deploy: {replicas: 3, resources: {limits: {cpus: '.5', pids: 2}, reservations: {memory: 1k}}}",
    "deploy: {restart_policy: {condition: any, delay: 1s}, update_config: {max_failure_ratio: .25, order: start-first}}",
    "build: ./ctx",
    "build: {args: [A=1, SET], ssh: default=./k, no_cache: 'true', tags: [a, b], extra_hosts: [a=1.1.1.1]}",
    "build: {dockerfile_inline: \"FROM x\\nRUN y\\n\", additional_contexts: [n=./n], cache_to: [c]}",
    "develop: {watch: [{path: ., action: sync, target: /a, ignore: [b], include: c}]}",
    "blkio_config: {weight: 10, device_read_bps: [{path: /dev/a, rate: 1mb}]}",
    "cap_add: [ALL]",
    "cpus: 0.30000001",
    "mem_limit: 1.5g",
    "init: false",
    "scale: 0",
    "stop_grace_period: 90s",
    "logging: {driver: local, options: {a: 1, b: null}}",
    "devices: ['/dev/a', '/dev/b:/dev/c:r']",
    "gpus: [{driver: d, count: all, options: {a: 1}}]",
    "sysctls: {net.a: 1}",
    "dns: [1.1.1.1]",
    "dns_search: x.y",
    "expose: [80, '1-2/udp']",
    "post_start: [{command: a 'b c', user: u, environment: [A=1]}]",
    "pre_start: [{command: [x]}]",
    "provider: {type: t, options: {a: [1, x], b: true}}",
    "networks: {n: {aliases: [a, b], priority: 3}, m: }",
    "secrets: [s, {source: s, target: t, mode: 0400}]",
    "hostname: \"a\\tb: #c 'd' \\u00e9\\u2028 \"",
];

const DECLARED: &str = "networks: {n: {ipam: {config: [{subnet: 10.0.0.0/8}]}}, m: {external: true}}\n\
                        secrets: {s: {environment: SET}}\nx-more: {a: [1, {b: null}], c: \"x\\n\\ny\\n\"}\n";

fn name_of(attribute: &str) -> &str {
    attribute.split(':').next().unwrap_or_default()
}

/// Some attributes, each only once.
fn attributes() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(ATTRIBUTES.to_vec(), 0..12).prop_map(|mut chosen| {
        chosen.dedup_by_key(|attribute| name_of(attribute));
        chosen
    })
}

/// Some services, the later of which may need, or extend, an earlier one.
fn file() -> impl Strategy<Value = String> {
    let link = select(vec![
        "",
        "",
        "depends_on: [BEFORE]",
        "depends_on: {BEFORE: {condition: service_healthy, required: false}}",
        "extends: BEFORE",
    ]);
    proptest::collection::vec((attributes(), link), 1..4).prop_map(|services| {
        let mut text = String::from("services:\n");
        for (number, (attributes, link)) in services.into_iter().enumerate() {
            text.push_str(&format!("  s{number}:\n    image: x\n"));
            let link = link.replace("BEFORE", &format!("s{}", number.saturating_sub(1)));
            for line in attributes.into_iter().chain((number > 0 && !link.is_empty()).then_some(link.as_str())) {
                text.push_str(&format!("    {line}\n"));
            }
        }
        text + DECLARED
    })
}

/// An override of one service. A build that does not say its context is given one before it is printed, which an override
/// would then say: what is printed of layers alone would not be those layers.
fn layer() -> impl Strategy<Value = String> {
    attributes().prop_map(|mut attributes| {
        attributes.retain(|attribute| !attribute.starts_with("build: {"));
        let lines: String = attributes.iter().map(|line| format!("    {line}\n")).collect();
        format!("services:\n  s0:\n    user: u\n{lines}")
    })
}

/// A model that files come to, printed; or that they come to none.
fn printed(names: &[&str], files: &Memory) -> Option<String> {
    let request = LoadRequest { files: names.iter().map(PathBuf::from).collect(), ..request() };
    load_checked(&request, files).0.map(|model| emit::yaml(&model.tree, Dollars::Escaped))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_loads_to_the_same(text in file()) {
        load_checked(&request(), &Memory::of(&text));
    }

    /// Laying two files on a third is laying on it what they come to together, when nothing but the merging is done to them.
    #[test]
    fn merging_is_associative(base in file(), one in layer(), two in layer()) {
        let files = Memory::default().with("a", &base).with("b", &one).with("c", &two);
        let documents = Memory::default().with("a", &base).with("bc", &format!("{one}---\n{two}"));
        let all_at_once = printed(&["a", "b", "c"], &files);
        prop_assert_eq!(&all_at_once, &printed(&["a", "bc"], &documents));
        let without = rcompose_model::Without {
            interpolation: true, normalization: true, path_resolution: true, consistency: true, validation: true, ..Default::default()
        };
        let request = LoadRequest { files: vec!["b".into(), "c".into()], without, ..request() };
        let (together, problems) = load_model(&request, &files);
        let together = together.unwrap_or_else(|| panic!("{problems:?}"));
        let together = emit::yaml(&together.tree, Dollars::AsIs);
        let files = files.with("bc", &together);
        prop_assert_eq!(all_at_once, printed(&["a", "bc"], &files), "{}", together);
    }

    /// A file that somebody's hand slipped in: whatever comes of it, it is told at a place of the file.
    #[test]
    fn slips_are_told_where_they_are(
        text in file(),
        slips in proptest::collection::vec((any::<Index>(), any::<Index>(), select(vec![
            "", "\n", "\t", " ", ":", "- ", "\"", "'", "{", "}", "[", "]", "&a ", "*a", "!reset ", "$", "${", "#", "\r", "|", "<<: ", "\u{feff}", "é", "0",
        ])), 1..4),
    ) {
        let mut letters: Vec<char> = text.chars().collect();
        for (at, length, word) in slips {
            let start = at.index(letters.len() + 1);
            let end = (start + length.index(4)).min(letters.len());
            letters.splice(start..end, word.chars());
        }
        load_checked(&request(), &Memory::of(&letters.into_iter().collect::<String>()));
    }
}

/// Cases of the corpus in which a variable that is not set leaves an empty name. COMPAT: as docker compose, nothing is printed
/// then, and when it is read again the name is the usual one.
const EMPTY: [&str; 5] = [
    "spec-06-networks-16",
    "spec-07-volumes-08",
    "spec-08-configs-04",
    "spec-09-secrets-04",
    "e2e-testdata-TestConfigInterpolate-compose",
];

/// Every case of the corpus that loads is printed as something that loads to the same.
#[test]
fn what_is_printed_of_peoples_files_loads_to_the_same() {
    let Some(corpus) = std::env::var_os("RCOMPOSE_CORPUS").filter(|folder| !folder.is_empty()) else {
        // Past the harness, which keeps what tests that pass print.
        let text = b"NOT TRIED on people's files: RCOMPOSE_CORPUS does not say where they are\n";
        std::io::stderr().write_all(text).expect("standard error is open");
        return;
    };
    let folder = Path::new(&corpus).join("config/cases");
    let (mut tried, mut wrong) = (0, Vec::new());
    for case in std::fs::read_dir(&folder).expect("the corpus has cases").flatten().map(|entry| entry.path()) {
        let about: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(case.join("case.json")).unwrap()).unwrap();
        let texts = |name: &str| {
            let items = about[name].as_array().cloned().unwrap_or_default();
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let set = about["env"].as_object().cloned().unwrap_or_default().into_iter();
        let first = LoadRequest {
            files: texts("files").iter().map(PathBuf::from).collect(),
            env_files: texts("env_files").iter().map(PathBuf::from).collect(),
            profiles: texts("profiles"),
            project_directory: about["project_directory"].as_str().map(PathBuf::from),
            project_name: about["project_name"].as_str().map(str::to_owned),
            environment: set.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect(),
            working_dir: case.join(about["cwd"].as_str().unwrap_or(".")),
            all_resources: true,
            ..LoadRequest::default()
        };
        let (Some(model), _) = load_model(&first, &HostFiles) else { continue };
        tried += 1;
        if EMPTY.iter().any(|id| case.ends_with(id)) {
            continue;
        }
        let yaml = emit::yaml(&model.tree, Dollars::Escaped);
        let listed = model.variables.get("COMPOSE_PROFILES").unwrap_or_default();
        let profiles = first.profiles.into_iter().chain(listed.split(',').map(str::to_owned)).collect();
        let again = LoadRequest { profiles, working_dir: "/p".into(), all_resources: true, ..LoadRequest::default() };
        match load_model(&again, &Memory::of(&yaml)) {
            (Some(loaded), _) if emit::yaml(&loaded.tree, Dollars::Escaped) == yaml => {}
            (Some(loaded), _) => {
                wrong.push(format!("{}:\n{yaml}\n---\n{}", case.display(), emit::yaml(&loaded.tree, Dollars::Escaped)))
            }
            (None, problems) => {
                wrong.push(format!("{}: {}", case.display(), problems.iter().map(ToString::to_string).collect::<String>()))
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 100, "only {tried} cases");
}
