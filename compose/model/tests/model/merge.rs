//! What comes of two files that say something of one attribute (the rules MOD-M-1 to MOD-M-17).

use rcompose_model::LoadRequest;

use crate::memory::{Memory, load_checked, request};
use crate::{check, shown};

/// A service's attribute in two files, one after the other, and what comes of it.
fn merged((base, over): &(&str, &str)) -> String {
    let name = base.split(':').next().unwrap_or_default();
    let file = |text: &str| {
        let lines: String = text.lines().map(|line| format!("    {line}\n")).collect();
        format!("services:\n  b: {{image: x}}\n  a:\n    image: x\n{lines}")
    };
    let rest = "networks: {m: , n: }\nvolumes: {v: , w: }\nconfigs: {c: {content: x}, d: {content: x}}\n\
                secrets: {s: {environment: SET}, t: {environment: SET}}\nmodels: {m: {model: m}, n: {model: n}}\n";
    let files = Memory::default().with("one.yaml", &format!("{}{rest}", file(base))).with("two.yaml", &file(over));
    let request = LoadRequest { files: vec!["one.yaml".into(), "two.yaml".into()], ..request() };
    shown(load_checked(&request, &files), &format!("services.a.{name}"))
}

#[test]
fn mappings_lists_and_single_values() {
    check(
        &[
            // MOD-M-1
            (
                &("deploy: {resources: {limits: {cpus: 1, pids: 2}}}", "deploy: {resources: {limits: {pids: 3}}}"),
                r#"{"resources":{"limits":{"cpus":1,"pids":3}}}"#,
            ),
            // MOD-M-2
            (&("security_opt: [a]", "security_opt: [b]"), r#"["a","b"]"#),
            (&("security_opt: [a]", "security_opt: [a]"), "5:20 services.a.security_opt has `a` twice"),
            // MOD-M-3
            (&("hostname: one", "hostname: two"), r#""two""#),
            (&("hostname: one", "hostname: null"), r#""one""#),
            (&("deploy: {replicas: 3}", "deploy: {replicas: }"), r#"{"replicas":3}"#),
            (
                &("hostname: ", "hostname: "),
                "5:13 services.a.hostname must be a string, not nothing; 5:13 services.a.hostname must be a string, not nothing",
            ),
            (&("environment: {SET: own}", "environment: {SET: }"), r#"{"SET":"set"}"#),
            (&("stop_signal: A", "user: u"), r#""A""#),
            // MOD-M-4
            (&("command: [a, b]", "command: c"), r#"["c"]"#),
            (&("command: [a, b]", "command: null"), "(none)"),
            (&("entrypoint: [a, b]", "entrypoint: [c]"), r#"["c"]"#),
            (
                &("healthcheck: {test: [CMD, a], retries: 2}", "healthcheck: {test: b}"),
                r#"{"test":["CMD-SHELL","b"],"retries":2}"#,
            ),
            // MOD-M-17
            (
                &("ports: ['80']", "ports: {a: 1}"),
                "5:5 services.a.ports must be a list, not a mapping; 5:12 cannot override services.a.ports: it is a list, and this is a mapping",
            ),
            (
                &("deploy: {replicas: 1}", "deploy: [a]"),
                "5:5 services.a.deploy must be a mapping, not a list; 5:13 cannot override services.a.deploy: it is a mapping, and this is a list",
            ),
        ],
        merged,
    );
}

#[test]
fn sets_of_pairs_are_by_name() {
    // MOD-M-5
    for name in ["environment", "labels", "annotations", "sysctls"] {
        let (base, over) = (format!("{name}: [A=1, B=2]"), format!("{name}: {{B: 3, C: 4}}"));
        assert_eq!(merged(&(&base, &over)), r#"{"A":"1","B":"3","C":"4"}"#, "{name}");
        let (base, over) = (format!("{name}: {{A: 1, B: 2}}"), format!("{name}: [B=3]"));
        assert_eq!(merged(&(&base, &over)), r#"{"A":"1","B":"3"}"#, "{name}");
    }
    for name in ["args", "labels"] {
        let (base, over) = (format!("build: {{{name}: [A=1]}}"), format!("build: {{{name}: {{A: 2, B: 3}}}}"));
        let expected = format!(r#"{{"context":"/p","dockerfile":"Dockerfile","{name}":{{"A":"2","B":"3"}}}}"#);
        check(&[(&(base.as_str(), over.as_str()), expected.as_str())], merged);
    }
    check(
        &[
            (
                &("build: {additional_contexts: [a=./x]}", "build: {additional_contexts: {a: ./y, b: ./z}}"),
                r#"{"context":"/p","dockerfile":"Dockerfile","additional_contexts":{"a":"/p/y","b":"/p/z"}}"#,
            ),
            (&("deploy: {labels: [a=1]}", "deploy: {labels: [a=2, b=3]}"), r#"{"labels":{"a":"2","b":"3"}}"#),
        ],
        merged,
    );
}

#[test]
fn what_is_there_once() {
    // MOD-M-6
    for name in ["cap_add", "cap_drop", "dns", "dns_opt", "dns_search", "links", "profiles", "tmpfs"] {
        let (first, second) = if name == "links" { ("b", "b:c") } else { ("b", "d") };
        if name == "profiles" {
            continue;
        }
        let (base, over) = (format!("{name}: ['{first}']"), format!("{name}: ['{first}', '{second}']"));
        assert_eq!(merged(&(&base, &over)), format!(r#"["{first}","{second}"]"#), "{name}");
    }
    check(
        &[
            (&("dns: 1.1.1.1", "dns: [1.1.1.1, 2.2.2.2]"), r#"["1.1.1.1","2.2.2.2"]"#),
            (&("expose: [80]", "expose: ['80', 90]"), r#"["80","90"]"#),
            (&("build: {tags: [a]}", "build: {tags: [a, b]}"), r#"{"context":"/p","dockerfile":"Dockerfile","tags":["a","b"]}"#),
            (
                &(
                    "networks: {n: {aliases: [a], link_local_ips: [1.1.1.1]}}",
                    "networks: {n: {aliases: [a, b], link_local_ips: [1.1.1.1]}}",
                ),
                r#"{"n":{"aliases":["a","b"],"link_local_ips":["1.1.1.1"]}}"#,
            ),
            // MOD-M-7
            (
                &("volumes: ['v:/t', '/u']", "volumes: ['w:/t:ro']"),
                r#"[{"type":"volume","source":"w","target":"/t","read_only":true,"volume":{}},{"type":"volume","target":"/u"}]"#,
            ),
            (&("volumes: ['v:/t']", "volumes: [{type: tmpfs, target: /t}]"), r#"[{"type":"tmpfs","target":"/t"}]"#),
            (
                &("devices: ['/dev/a:/dev/x']", "devices: ['/dev/b:/dev/x:r']"),
                r#"[{"source":"/dev/b","target":"/dev/x","permissions":"r"}]"#,
            ),
            (&("configs: [c]", "configs: [{source: d, target: /c}]"), r#"[{"source":"d","target":"/c"}]"#),
            (
                &("secrets: [s]", "secrets: [{source: t, target: /run/secrets/s}]"),
                r#"[{"source":"t","target":"/run/secrets/s"}]"#,
            ),
            (
                &("secrets: [s]", "secrets: [s, t]"),
                r#"[{"source":"s","target":"/run/secrets/s"},{"source":"t","target":"/run/secrets/t"}]"#,
            ),
            // MOD-M-8
            (
                &("ports: ['80:80']", "ports: ['81:80', '80:80']"),
                r#"[{"mode":"ingress","target":80,"published":"80","protocol":"tcp"},{"mode":"ingress","target":80,"published":"81","protocol":"tcp"}]"#,
            ),
            (
                &("ports: ['80:80']", "ports: ['80:80/udp']"),
                r#"[{"mode":"ingress","target":80,"published":"80","protocol":"tcp"},{"mode":"ingress","target":80,"published":"80","protocol":"udp"}]"#,
            ),
            (
                &("ports: ['0.0.0.0:80:80']", "ports: [{target: 80, published: 80, name: web}]"),
                r#"[{"name":"web","mode":"ingress","target":80,"published":"80","protocol":"tcp"}]"#,
            ),
        ],
        merged,
    );
}

#[test]
fn attributes_with_rules_of_their_own() {
    check(
        &[
            // MOD-M-9
            (&("build: ./a", "build: {target: t}"), r#"{"context":"/p/a","dockerfile":"Dockerfile","target":"t"}"#),
            (&("build: {context: ./a, target: t}", "build: ./b"), r#"{"context":"/p/b","dockerfile":"Dockerfile","target":"t"}"#),
            // MOD-M-10
            (
                &("depends_on: [b]", "depends_on: {b: {condition: service_healthy}}"),
                r#"{"b":{"condition":"service_healthy","required":true}}"#,
            ),
            (&("networks: [m]", "networks: {n: {aliases: [q]}}"), r#"{"m":null,"n":{"aliases":["q"]}}"#),
            (&("networks: {m: {priority: 1}}", "networks: [m]"), r#"{"m":{"priority":1}}"#),
            (&("models: [m]", "models: {n: {model_var: X}}"), r#"{"m":null,"n":{"model_var":"X"}}"#),
            // MOD-M-11
            (
                &("logging: {driver: local, options: {a: 1}}", "logging: {options: {b: 2}}"),
                r#"{"driver":"local","options":{"a":"1","b":"2"}}"#,
            ),
            (
                &("logging: {driver: local, options: {a: 1}}", "logging: {driver: local, options: {b: 2}}"),
                r#"{"driver":"local","options":{"a":"1","b":"2"}}"#,
            ),
            (&("logging: {driver: local, options: {a: 1}}", "logging: {driver: none}"), r#"{"driver":"none"}"#),
            // MOD-M-12
            (&("extra_hosts: [a=1.1.1.1]", "extra_hosts: {a: 1.1.1.1, b: 2.2.2.2}"), r#"["a=1.1.1.1","b=2.2.2.2"]"#),
            (&("extra_hosts: [a=1.1.1.1]", "extra_hosts: [a=2.2.2.2]"), r#"["a=1.1.1.1","a=2.2.2.2"]"#),
            // MOD-M-13
            (&("ulimits: {nofile: {soft: 1, hard: 2}, nproc: 1}", "ulimits: {nofile: 5}"), r#"{"nofile":5,"nproc":1}"#),
            (&("env_file: []", "env_file: [{path: none, required: false}]"), "(none)"),
        ],
        merged,
    );
    // MOD-M-14
    let network = |pools: &str| format!("services: {{a: {{image: x}}}}\nnetworks: {{n: {{ipam: {{config: {pools}}}}}}}\n");
    let files = Memory::default()
        .with("one.yaml", &network("[{subnet: 10.0.0.0/8, gateway: 10.0.0.1}]"))
        .with("two.yaml", &network("[{subnet: 10.0.0.0/8, ip_range: 10.1.0.0/16}, {subnet: 11.0.0.0/8}]"));
    let request = LoadRequest { files: vec!["one.yaml".into(), "two.yaml".into()], ..request() };
    assert_eq!(
        shown(load_checked(&request, &files), "networks.n.ipam.config"),
        r#"[{"gateway":"10.0.0.1","ip_range":"10.1.0.0/16","subnet":"10.0.0.0/8"},{"subnet":"11.0.0.0/8"}]"#
    );
}

#[test]
fn tags_take_away_and_replace() {
    check(
        &[
            // MOD-M-15
            (&("ports: ['80:80']", "ports: !reset []"), "(none)"),
            (&("ports: ['80:80']", "ports: !reset null"), "(none)"),
            (&("hostname: h", "hostname: !reset null"), "(none)"),
            (&("environment: {A: 1, B: 2}", "environment: {A: !reset null}"), r#"{"B":"2"}"#),
            (&("environment: [A=1, B=2]", "environment: !reset [x]"), "(none)"),
            (&("deploy: {replicas: 2, mode: global}", "deploy: {replicas: !reset 0}"), r#"{"mode":"global"}"#),
            // MOD-M-16
            (
                &("ports: ['80:80']", "ports: !override ['90:90']"),
                r#"[{"mode":"ingress","target":90,"published":"90","protocol":"tcp"}]"#,
            ),
            (&("environment: {A: 1}", "environment: !override {B: 2}"), r#"{"B":"2"}"#),
            (
                &("deploy: {replicas: 2, labels: [a=1]}", "deploy: {labels: !override [b=2]}"),
                r#"{"replicas":2,"labels":{"b":"2"}}"#,
            ),
            (&("ports: ['80:80']", "ports: !override []"), "(none)"),
            // They mean the same in the first file, where there is nothing to take away.
            (&("hostname: !reset h", "user: u"), "(none)"),
            (&("labels: !override {a: 1}", "user: u"), r#"{"a":"1"}"#),
        ],
        merged,
    );
}

#[test]
fn merge_keys_with_tags() {
    let base = "x-base: &base\n  labels: {a: 1}\n  ports: ['80:80']\n  hostname: h\n";
    let service = |own: &str| format!("{base}services:\n  a:\n    <<: *base\n    image: x\n{own}");
    let of = |own: &str, over: &str, path: &str| {
        let files = Memory::of(&service(own)).with("compose.override.yaml", over);
        shown(load_checked(&request(), &files), path)
    };
    // A key that is written wins over one that is merged in, whatever its tag.
    assert_eq!(of("    ports: !reset []\n", "", "services.a.ports"), "(none)");
    assert_eq!(of("    labels: !override {b: 2}\n", "", "services.a.labels"), r#"{"b":"2"}"#);
    assert_eq!(of("", "services: {a: {ports: !override ['1:1'], hostname: !reset null}}", "services.a.hostname"), "(none)");
    // A tag comes along with the anchor, and is of the file where it is used.
    let tagged = "x-none: &none !reset null\nservices: {a: {hostname: *none, labels: {a: *none}}}\n";
    assert_eq!(of("", tagged, "services.a.hostname"), "(none)");
    assert_eq!(of("", tagged, "services.a.labels"), "(none)");
}

#[test]
fn three_files_and_several_documents() {
    let files = Memory::default()
        .with("1.yaml", "services: {a: {image: one, labels: [a=1], ports: ['1:1']}}\n---\nservices: {a: {image: two}}\n")
        .with("2.yaml", "services: {a: {labels: [b=2], ports: !override ['2:2']}}\n")
        .with("3.yaml", "---\n---\nservices: {a: {labels: [a=3], ports: ['3:3']}}\n...\n");
    let request = LoadRequest { files: ["1.yaml", "2.yaml", "3.yaml"].map(Into::into).to_vec(), ..request() };
    let of = |path: &str| shown(load_checked(&request, &files), path);
    assert_eq!(of("services.a.image"), r#""two""#);
    assert_eq!(of("services.a.labels"), r#"{"a":"3","b":"2"}"#);
    assert_eq!(of("services.a.ports[0].target"), "2");
    assert_eq!(of("services.a.ports[1].target"), "3");
}
