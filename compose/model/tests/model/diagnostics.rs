//! Problems as a terminal without colour shows them: the line, the marks below it, where it came from, and the way out.

use rcompose_model::{LoadRequest, load_model};

use crate::memory::{Memory, request};

fn told(files: &Memory) -> String {
    let request = LoadRequest::clone(&request());
    let (model, problems) = load_model(&request, files);
    assert!(!problems.is_empty(), "nothing is told of {model:?}");
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn everything_at_once_in_the_order_of_the_files() {
    let text = "services:
  web:
    imagee: nginx
    ports: 8080:80
    environment:
      - A: 1
    restart: alway
    depends_on: [dbb]
    networks: [frnt]
    healthcheck:
      interval: 10
    mem_limit: 1 gigabyte
  db:
    image: postgres:${TAG:?which one}
    volumes: [data:/data]
networks:
  front:
";
    insta::assert_snapshot!(told(&Memory::of(text)), @"");
}

#[test]
fn what_was_extended_included_or_copied_says_by_whom() {
    let files = Memory::of(
        "include:\n  - sub/inner.yaml\nx-log: &log\n  logging: {driver: 5}\nservices:\n  a:\n    <<: *log\n    extends:\n      file: base.yaml\n      service: base\n",
    )
    .with("base.yaml", "services:\n  base:\n    image: x\n    extends: root\n  root:\n    scale: many\n")
    .with("sub/inner.yaml", "services:\n  inner:\n    imag: x\n");
    insta::assert_snapshot!(told(&files), @"");
}

#[test]
fn a_circle_shows_each_of_its_steps() {
    let files = Memory::of("services:\n  a:\n    extends: b\n  b:\n    extends: c\n  c:\n    extends: a\n");
    insta::assert_snapshot!(told(&files), @"");
    let files = Memory::of("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [c]}\n  c: {image: x, depends_on: [a]}\n");
    insta::assert_snapshot!(told(&files), @"");
}

#[test]
fn marks_stand_below_wide_letters_tabs_and_long_lines() {
    let files = Memory::of("services:\n  a:\n    image: x\n    labels: {名前: \"値\", \"é\tb\": c} # 説明\n    x-y: 1\n    hostname: [\"日本\"]\n");
    insta::assert_snapshot!(told(&files), @"");
    let long = format!("services: {{a: {{image: x, labels: [{}], restrt: no, command: [{}]}}}}\n", "'aaaaaaaa', ".repeat(40), "b, ".repeat(90));
    insta::assert_snapshot!(told(&Memory::of(&long)), @"");
}

#[test]
fn control_characters_give_no_orders_to_a_terminal() {
    let files = Memory::of("services:\n  a:\n    image: x\n    restart: \"\\e[2Jalways\"\n    \"\\e[31mx\": 1\n");
    let told = told(&files);
    assert!(!told.contains('\x1b'), "{told:?}");
    insta::assert_snapshot!(told, @"");
}

#[test]
fn files_of_variables_are_shown_too() {
    let files = Memory::of("services:\n  a:\n    image: x\n    env_file: a.env\n  b:\n    image: x\n    env_file:\n      - none.env\n")
        .with("a.env", "A=1\nnot a line\n");
    insta::assert_snapshot!(told(&files), @"");
    let files = Memory::of("services: {a: {image: x}}").with(".env", "A='\n");
    insta::assert_snapshot!(told(&files), @"");
}
