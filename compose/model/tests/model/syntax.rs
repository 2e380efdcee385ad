//! YAML as people write it: documents, anchors, styles of text, and the traps, each in words of its own.

use crate::memory::Memory;
use crate::{check, loaded};

/// What a hostname that is written so becomes.
fn hostname(written: &str) -> String {
    loaded(&Memory::of(&format!("services:\n  a:\n    image: x\n    hostname: {written}\n")), "services.a.hostname")
}

#[test]
fn styles_of_text() {
    check(
        &[
            ("plain text", r#""plain text""#),
            ("'it''s'", r#""it's""#),
            (r#""a\tb\x41\u00e9\n""#, r#""a\tbAé\n""#),
            ("|\n      one\n      two\n", r#""one\ntwo\n""#),
            ("|-\n      one\n\n      two\n", r#""one\n\ntwo""#),
            (">\n      one\n      two\n\n      three\n", r#""one two\nthree\n""#),
            (">+\n      one\n\n", r#""one\n\n\n""#),
            ("one\n      two", r#""one two""#),
            ("yes", r#""yes""#),
            ("22:22", r#""22:22""#),
            ("!!str 5", r#""5""#),
            ("5", "4:15 services.a.hostname must be a string, not a number `5`"),
            ("0x1F", "4:15 services.a.hostname must be a string, not a number `0x1F`"),
            ("true", "4:15 services.a.hostname must be a string, not a boolean `true`"),
            ("2001-01-01", "4:15 services.a.hostname must be a string, not a date `2001-01-01`"),
            ("[a]", "4:5 services.a.hostname must be a string, not a list"),
            ("{a: b}", "4:5 services.a.hostname must be a string, not a mapping"),
            ("!weird x", "4:22 unknown tag `!weird`"),
        ],
        hostname,
    );
}

#[test]
fn traps_are_named() {
    check(
        &[
            ("services:\n\ta: {image: x}\n", "2:1 invalid YAML: a tab where spaces belong"),
            (
                "services:\n  a:\n    image: x\n   command: y\n",
                "4:4 invalid YAML: `command` is indented by 3 spaces, which fits no line above",
            ),
            ("services:\n  a:\n    image: \"x\n    command: y\n", "3:12 invalid YAML: a quote that is not closed"),
            ("services:\n  a:\n    image: x: y\n", "3:13 invalid YAML: a colon and a space inside a value that has no quotes"),
            ("services:\n  a: {image: x}\n  a: {image: y}\n", "3:3 mapping key `a` is already defined at line 2"),
            ("services:\n  a: *base\n", "2:6 no anchor `&base` for this alias"),
            ("services: [a]\n", "1:1 services must be a mapping, not a list"),
            ("services: {a: x}\n", "1:15 services.a must be a mapping, not `x`"),
            ("- services\n", "1:1 top-level object must be a mapping, not a list"),
            ("services: {1: {image: x}}\n", "1:12 a key has to be a string: `1` is a number"),
            (
                "services: {a: {image: x, environment: [{A: 1}]}}\n",
                "1:41 services.a.environment[0] must be a string, not a mapping",
            ),
            ("services: {a: {image: x, ports: 80}}\n", "1:33 services.a.ports must be a list, not `80`"),
            ("services: {a: {image: x, restart: no, init: on}}\n", r#""x""#),
            (
                "services: {a: {image: x, stop_grace_period: 10}}\n",
                "1:45 services.a.stop_grace_period must be a duration such as `30s`, not a number `10`",
            ),
            ("services: {a: {image: x, labels: {a: {b: 1}}}}\n", "1:35 services.a.labels.a must be a string, not a mapping"),
            ("web: {image: x}\n", "1:1 additional properties 'web' not allowed: Compose has no top-level `web`"),
            ("services: {a: {image: x, healthcheck: null}}\n", "1:39 services.a.healthcheck must be a mapping, not nothing"),
            ("", "empty compose file"),
            ("# nothing\n", "empty compose file"),
        ],
        |text| loaded(&Memory::of(text), "services.a.image"),
    );
}

#[test]
fn ends_of_lines_and_marks_at_the_start() {
    let problem = "1:12 services.a additional properties 'imagee' not allowed";
    for (end, line) in [("\n", 3), ("\r\n", 3), ("\r", 3)] {
        for mark in ["", "\u{feff}"] {
            let text = ["services:", "  a:", "    imagee: x", "    image: x", ""].join(end);
            let got = loaded(&Memory::of(&format!("{mark}{text}")), "services.a.image");
            assert_eq!(got, problem.replace("1:12", &format!("{line}:5")), "{end:?} {mark:?}");
        }
    }
    assert_eq!(
        loaded(&Memory::of("\u{feff}services: {a: {imagee: x, image: y}}"), "services"),
        "1:16 services.a additional properties 'imagee' not allowed"
    );
}

#[test]
fn anchors_reach_over_keys_lists_and_documents() {
    let files = Memory::of(
        "x: &a [1, &b two]\nservices:\n  s: &s\n    image: *b\n    labels: &l {a: *b}\n  t:\n    <<: *s\n    labels:\n      <<: [*l, {b: x, a: y}]\n",
    );
    assert_eq!(loaded(&files, "services.t.labels"), "1:1 additional properties 'x' not allowed: Compose has no top-level `x`");
    let files = Memory::of(
        "x-a: &a [1, &b two]\nservices:\n  s: &s\n    image: *b\n    labels: &l {a: *b}\n  t:\n    <<: *s\n    labels:\n      <<: [*l, {b: x, a: y}]\n",
    );
    assert_eq!(loaded(&files, "services.t.labels"), r#"{"a":"two","b":"x"}"#);
    assert_eq!(loaded(&files, "services.t.image"), r#""two""#);
    let files = Memory::of("x-a: &a {image: x}\n---\nservices: {s: *a}\n");
    assert_eq!(loaded(&files, "services.s.image"), "3:15 no anchor `&a` for this alias");
}
