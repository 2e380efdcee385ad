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
    insta::assert_snapshot!(told(&Memory::of(text)), @r#"
    /p/compose.yaml:3:5: error: services.web additional properties 'imagee' not allowed
      |
    3 |     imagee: nginx
      |     ^^^^^^
    hint: did you mean `image`?
    /p/compose.yaml:4:12: error: services.web.ports must be a list, not `8080:80`
      |
    4 |     ports: 8080:80
      |            ^^^^^^^
    hint: make it a list: `- "8080:80"` on a line of its own
    /p/compose.yaml:6:9: error: services.web.environment[0] must be a string, not a mapping
      |
    6 |       - A: 1
      |         ^
    hint: write `- A=1`, or leave the dashes out
    /p/compose.yaml:7:14: warning: services.web.restart: unknown policy `alway`
      |
    7 |     restart: alway
      |              ^^^^^
    hint: did you mean `always`?
    /p/compose.yaml:8:18: error: service "web" depends on undefined service "dbb"
      |
    8 |     depends_on: [dbb]
      |                  ^^^
    hint: did you mean `db`?
    /p/compose.yaml:9:16: error: service "web" refers to undefined network frnt
      |
    9 |     networks: [frnt]
      |                ^^^^
    hint: did you mean `front`?
    /p/compose.yaml:11:17: error: services.web.healthcheck.interval must be a duration such as `30s`, not a number `10`
       |
    11 |       interval: 10
       |                 ^^
    hint: add a unit: `10s`
    /p/compose.yaml:12:16: error: services.web.mem_limit must be a size such as `512m`, not `1 gigabyte`
       |
    12 |     mem_limit: 1 gigabyte
       |                ^^^^^^^^^^
    hint: write `1g`; units are b, k, m, g, t
    /p/compose.yaml:14:21: error: required variable TAG is missing a value: which one
       |
    14 |     image: postgres:${TAG:?which one}
       |                     ^^^^^
    hint: set `TAG` in the environment or in `.env`
    /p/compose.yaml:15:15: error: service "db" refers to undefined volume data
       |
    15 |     volumes: [data:/data]
       |               ^^^^
    hint: declare it: `volumes:` at the top level, `data:` below
    "#);
}

#[test]
fn what_was_extended_included_or_copied_says_by_whom() {
    let files = Memory::of(
        "include:\n  - sub/inner.yaml\nx-log: &log\n  logging: {driver: 5}\nservices:\n  a:\n    <<: *log\n    extends:\n      file: base.yaml\n      service: base\n",
    )
    .with("base.yaml", "services:\n  base:\n    image: x\n    extends: root\n  root:\n    scale: many\n")
    .with("sub/inner.yaml", "services:\n  inner:\n    imag: x\n");
    insta::assert_snapshot!(told(&files), @r#"
    /p/sub/inner.yaml:3:5: error: services.inner additional properties 'imag' not allowed
      |
    3 |     imag: x
      |     ^^^^
    hint: did you mean `image`?
    /p/base.yaml:6:12: error: services.a.scale must be an integer, not `many`
      |
    6 |     scale: many
      |            ^^^^
    note: /p/compose.yaml:10:16: brought in by this `extends`
    note: /p/base.yaml:4:14: brought in by this `extends`
    hint: write an integer, in digits
    /p/compose.yaml:4:21: error: services.a.logging.driver must be a string, not a number `5`
      |
    4 |   logging: {driver: 5}
      |                     ^
    note: /p/compose.yaml:7:9: used here by an alias
    hint: put it in quotes: `"5"`
    "#);
}

#[test]
fn a_circle_shows_each_of_its_steps() {
    let files = Memory::of("services:\n  a:\n    extends: b\n  b:\n    extends: c\n  c:\n    extends: a\n");
    insta::assert_snapshot!(told(&files), @r"
    /p/compose.yaml:3:14: error: services extend each other in a circle: a -> b -> c -> a
      |
    3 |     extends: b
      |              ^
    note: /p/compose.yaml:5:14: `b` extends the next
    note: /p/compose.yaml:7:14: `c` extends the next
    hint: remove one of these `extends`
    ");
    let files = Memory::of(
        "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [c]}\n  c: {image: x, depends_on: [a]}\n",
    );
    insta::assert_snapshot!(told(&files), @r"
    /p/compose.yaml:2:30: error: dependency cycle detected: a -> b -> c -> a
      |
    2 |   a: {image: x, depends_on: [b]}
      |                              ^
    note: /p/compose.yaml:4:30: and back by this one
    hint: remove one of these dependencies
    ");
}

#[test]
fn marks_stand_below_wide_letters_tabs_and_long_lines() {
    let files = Memory::of("services:\n  a: {image: x, labels: {名前: \"値\\t\"}, restrt: x}\n  b: {image: x, y\tz: 1}\n");
    insta::assert_snapshot!(told(&files), @r#"
    /p/compose.yaml:2:38: error: services.a additional properties 'restrt' not allowed
      |
    2 |   a: {image: x, labels: {名前: "値\t"}, restrt: x}
      |                                         ^^^^^^
    hint: did you mean `restart`?
    /p/compose.yaml:3:17: error: services.b additional properties 'y\tz' not allowed
      |
    3 |   b: {image: x, y z: 1}
      |                 ^^^
    hint: known here: annotations, attach, blkio_config, build, cap_add, cap_drop, cgroup, cgroup_parent, command, configs, container_name, cpu_count, ...
    "#);
    let long = format!(
        "services: {{a: {{image: x, labels: [{}], restrt: no, command: [{}]}}}}\n",
        "'aaaaaaaa', ".repeat(40),
        "b, ".repeat(90)
    );
    insta::assert_snapshot!(told(&Memory::of(&long)), @r"
    /p/compose.yaml:1:518: error: services.a additional properties 'restrt' not allowed
      |
    1 | ...aa', 'aaaaaaaa', 'aaaaaaaa', 'aaaaaaaa', 'aaaaaaaa', 'aaaaaaaa', 'aaaaaaaa', ], restrt: no, command: [b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b...
      |                                                                                    ^^^^^^
    hint: did you mean `restart`?
    ");
}

#[test]
fn control_characters_give_no_orders_to_a_terminal() {
    let files = Memory::of("services:\n  a:\n    image: x\n    restart: \"\\e[2Jalways\"\n    \"\\e[31mx\": 1\n");
    let told = told(&files);
    assert!(!told.contains('\x1b'), "{told:?}");
    insta::assert_snapshot!(told, @r#"
    /p/compose.yaml:4:14: warning: services.a.restart: unknown policy `\u{1b}[2Jalways`
      |
    4 |     restart: "\e[2Jalways"
      |              ^
    /p/compose.yaml:5:5: error: services.a additional properties '\u{1b}[31mx' not allowed
      |
    5 |     "\e[31mx": 1
      |     ^
    hint: known here: annotations, attach, blkio_config, build, cap_add, cap_drop, cgroup, cgroup_parent, command, configs, container_name, cpu_count, ...
    "#);
}

#[test]
fn files_of_variables_are_shown_too() {
    let files =
        Memory::of("services:\n  a:\n    image: x\n    env_file: a.env\n  b:\n    image: x\n    env_file:\n      - none.env\n")
            .with("a.env", "A=1\nnot a line\n");
    insta::assert_snapshot!(told(&files), @r"
    /p/a.env:2:1: error: a key cannot contain a space: `not a line`
      |
    2 | not a line
      | ^^^^^^^^^^
    hint: write one `KEY=value` a line; a comment begins with `#`
    /p/compose.yaml:8:9: error: env file /p/none.env not found
      |
    8 |       - none.env
      |         ^
    hint: make the file, or say that it may be missing: `- path: FILE` with `required: false`
    ");
    let files = Memory::of("services: {a: {image: x}}").with(".env", "A='\n");
    insta::assert_snapshot!(told(&files), @r"
    /p/.env:1:3: error: the value of `A` has no closing '
      |
    1 | A='
      |   ^
    hint: close the quote, or escape quotes inside with a backslash
    ");
}

#[test]
fn what_means_something_else_than_it_looks_like_is_told() {
    let text = "services:
  web:
    image: nginx
    read_only: yes
    environment:
      MASK: 022
      PORT: \"0777\"
    init: true
";
    insta::assert_snapshot!(told(&Memory::of(text)), @r#"
    /p/compose.yaml:4:16: warning: services.web.read_only: `yes` is a boolean of YAML 1.1 only
      |
    4 |     read_only: yes
      |                ^^^
    hint: write `true`
    /p/compose.yaml:6:13: warning: services.web.environment.MASK: `022` is octal, and becomes `18`
      |
    6 |       MASK: 022
      |             ^^^
    hint: put it in quotes: `"022"`
    "#);
}

#[test]
fn standard_input_is_shown_too() {
    let files = Memory::default().with_standard_input("services:\n  web:\n    imagee: x\n    rootfs: ./tree\n");
    let request = LoadRequest { files: vec!["-".into()], ..request() };
    let problems = load_model(&request, &files).1;
    let text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    insta::assert_snapshot!(text, @r#"
    -:3:5: error: services.web additional properties 'imagee' not allowed
      |
    3 |     imagee: x
      |     ^^^^^^
    hint: did you mean `image`?
    -:4:5: error: services.web additional properties 'rootfs' not allowed
      |
    4 |     rootfs: ./tree
      |     ^^^^^^
    hint: a folder is an image too: write `image: rootfs:./tree`
    "#);
}
