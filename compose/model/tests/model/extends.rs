//! `extends`: services on others, of the same file, of another, of another's other.

use rcompose_model::load_model;

use crate::memory::{Memory, request};
use crate::{check, loaded};

#[test]
fn a_chain_over_three_files() {
    let files = Memory::of(
        "services:\n  web:\n    extends: {file: sub/base.yaml, service: base}\n    labels: {l: web}\n    ports: !override ['3:3']\n",
    )
    .with(
        "sub/base.yaml",
        "services:\n  base:\n    extends: {file: ../other/root.yaml, service: root}\n    build: ./b\n    labels: [l=base, m=base]\n    \
         command: [base]\n    volumes: ['./v:/v', './w:/w']\n    ports: ['2:2']\n    env_file: e\n",
    )
    .with("sub/e", "WHO=sub\n")
    .with(
        "other/root.yaml",
        "services:\n  root: {extends: rooted, image: root, labels: [n=root], command: [root], volumes: ['./v:/v', './r:/r']}\n  \
         rooted: {init: true, hostname: h, ports: ['1:1']}\n",
    );
    check(
        &[
            ("services.web.image", r#""root""#),
            ("services.web.build.context", r#""/p/sub/b""#),
            ("services.web.labels", r#"{"l":"web","m":"base","n":"root"}"#),
            ("services.web.command", r#"["base"]"#),
            ("services.web.init", "true"),
            ("services.web.environment", r#"{"WHO":"sub"}"#),
            ("services.web.volumes[0].source", r#""/p/sub/v""#),
            ("services.web.volumes[1].source", r#""/p/other/r""#),
            ("services.web.volumes[2].source", r#""/p/sub/w""#),
            ("services.web.ports[0].target", "3"),
            ("services.web.ports[1].target", "(none)"),
            ("services.web.extends", "(none)"),
            ("services.base", "(none)"),
        ],
        |path| loaded(&files, path),
    );
}

#[test]
fn tags_say_what_is_not_inherited() {
    let files = Memory::of(
        "services:\n  a: {image: x, hostname: h, ports: ['1:1'], environment: {A: 1, B: 2}, labels: !reset {q: 1}}\n  \
         b: {extends: {service: a}, hostname: !reset null, ports: !reset [], environment: !override {C: 3}}\n  \
         c: {extends: a, environment: {A: !reset null}}\n",
    );
    check(
        &[
            ("services.b.hostname", "(none)"),
            ("services.b.ports", "(none)"),
            ("services.b.environment", r#"{"C":"3"}"#),
            ("services.c.environment", r#"{"B":"2"}"#),
            ("services.c.hostname", r#""h""#),
            ("services.c.labels", "(none)"),
            ("services.a.environment", r#"{"A":"1","B":"2"}"#),
        ],
        |path| loaded(&files, path),
    );
}

#[test]
fn what_is_inherited_needs_its_declarations() {
    let files = Memory::of("services: {a: {extends: {file: b.yaml, service: b}}}")
        .with("b.yaml", "services: {b: {image: x, depends_on: [c], networks: [n]}, c: {image: x}}\nnetworks: {n: }\n");
    assert_eq!(
        loaded(&files, "services"),
        "1:39 service \"a\" depends on undefined service \"c\"; 1:54 service \"a\" refers to undefined network n"
    );
}

#[test]
fn an_override_file_does_not_change_what_was_extended() {
    let files = Memory::of("services: {a: {image: one}, b: {extends: a, labels: [l=b]}}")
        .with("compose.override.yaml", "services: {a: {image: two}, b: {labels: [m=o]}}");
    assert_eq!(loaded(&files, "services.b.image"), r#""one""#);
    assert_eq!(loaded(&files, "services.b.labels"), r#"{"l":"b","m":"o"}"#);
}

#[test]
fn anchors_and_extends_go_together() {
    let files = Memory::of(
        "x-labels: &labels {a: 1, b: 1}\nx-log: &log\n  logging: &options {driver: local}\nservices:\n  \
         base: {image: x, labels: {<<: *labels, b: 2}, <<: [*log, {hostname: h, logging: {driver: none}}]}\n  \
         top: {extends: base, labels: {<<: *labels, c: 3}, logging: *options}\n",
    );
    check(
        &[
            ("services.base.labels", r#"{"a":"1","b":"2"}"#),
            ("services.base.logging", r#"{"driver":"local"}"#),
            ("services.base.hostname", r#""h""#),
            ("services.top.labels", r#"{"a":"1","b":"1","c":"3"}"#),
            ("services.top.logging", r#"{"driver":"local"}"#),
        ],
        |path| loaded(&files, path),
    );
}

#[test]
fn circles_and_what_is_not_there() {
    let of = |files: &Memory| loaded(files, "services.a.image");
    assert_eq!(
        of(&Memory::of("services:\n  a: {extends: b}\n  b: {extends: c}\n  c: {extends: a}\n")),
        "2:16 services extend each other in a circle: a -> b -> c -> a"
    );
    assert_eq!(of(&Memory::of("services: {a: {extends: a}}")), "1:25 services extend each other in a circle: a -> a");
    let across = Memory::of("services: {a: {image: x, extends: {file: b.yaml, service: b}}}")
        .with("b.yaml", "services: {b: {extends: {file: compose.yaml, service: a}}}");
    assert_eq!(of(&across), "1:59 services extend each other in a circle: a -> b -> a");
    assert_eq!(
        of(&Memory::of("services: {a: {extends: {service: none}}, nine: {image: x}}")),
        "1:35 cannot extend service \"a\": service \"none\" not found in /p/compose.yaml"
    );
    assert_eq!(
        of(&Memory::of("services: {a: {extends: {file: none.yaml, service: s}}}")),
        "1:32 open /p/none.yaml: no such file or directory"
    );
    assert_eq!(
        of(&Memory::of("services: {a: {extends: {file: b.yaml, service: s}}}").with("b.yaml", "volumes: {v: }")),
        "1:32 cannot extend a service of /p/b.yaml: it has no services"
    );
    let chain: String = (0..150).map(|number| format!("  s{number}: {{extends: s{}}}\n", number + 1)).collect();
    let files = Memory::of(&format!("services:\n{chain}  s150: {{image: x}}\n"));
    let (_, problems) = load_model(&request(), &files);
    assert!(problems.iter().any(|problem| problem.message.ends_with("extends more than 100 others, one after another")));
}
