//! `config`: problems as records for programs, where values come from, and what variables do.

use rcompose_harness::{Answer, Scratch};

use crate::scratch;

const BROKEN: &str = "include: [sub/base.yaml]
services:
  web:
    imagee: nginx
    image: x
    restart: alwys
";

fn broken() -> Scratch {
    let place = scratch(BROKEN);
    std::fs::create_dir(place.project().join("sub")).unwrap();
    place.write("sub/base.yaml", "services:\n  base:\n    image: x\n    ports: 80\n");
    place
}

/// What was said, with the folder of the project as `DIR`.
fn said(place: &Scratch, answer: &Answer) -> String {
    format!("{}{}", answer.stdout, answer.stderr).replace(&place.project().display().to_string(), "DIR")
}

#[test]
fn problems_as_text() {
    let place = broken();
    let answer = place.run(&["config"]);
    assert_eq!(answer.code, 1);
    insta::assert_snapshot!(said(&place, &answer), @"");
}

#[test]
fn problems_as_records() {
    let place = broken();
    let answer = place.run(&["--diagnostics", "json", "config"]);
    assert_eq!(answer.code, 1);
    insta::assert_snapshot!(said(&place, &answer), @"");
    place.write("compose.yaml", "services: {web: {image: '$NONE', restart: alwys}}\n");
    let answer = place.run(&["--diagnostics", "json", "config", "-q"]);
    assert_eq!(answer.code, 0);
    insta::assert_snapshot!(said(&place, &answer), @"");
}

#[test]
fn problems_as_sarif() {
    let place = broken();
    let answer = place.run(&["--diagnostics", "sarif", "config"]);
    assert_eq!(answer.code, 1);
    let text = said(&place, &answer).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    insta::assert_snapshot!(format!("{record:#}"), @"");
}

#[test]
fn where_values_come_from() {
    let place = scratch(
        "name: shop\ninclude: [sub/base.yaml]\nx-log: &log {driver: local}\nservices:\n  web:\n    extends: base\n    \
         logging: *log\n    command: |\n      one\n      two\n    environment: [\"TAG=${TAG:-1}\"]\n",
    );
    std::fs::create_dir(place.project().join("sub")).unwrap();
    place.write("sub/base.yaml", "services:\n  base:\n    image: x\n    env_file: v.env\n");
    place.write("sub/v.env", "# mine\nV=1\n");
    let answer = place.run(&["config", "--origin"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    insta::assert_snapshot!(said(&place, &answer), @"");
}

#[test]
fn what_variables_do() {
    let mut place =
        scratch("services: {web: {image: 'x:${TAG:-1}', labels: ['a=$DB_PASSWORD', 'b=${NONE:?say it}', 'c=${TAG:+t}']}}\n");
    place.set("TAG", "mine");
    place.write(".env", "TAG=theirs\nDB_PASSWORD=hunter2\n");
    let answer = place.run(&["config", "--variables"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(!answer.stdout.contains("hunter2"), "{}", answer.stdout);
    insta::assert_snapshot!(said(&place, &answer), @"");
}
