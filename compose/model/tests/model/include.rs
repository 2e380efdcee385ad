//! `include`: models of other folders, with their own paths, variables and includes.

use rcompose_model::load_model;

use crate::memory::{Memory, request};
use crate::{check, loaded};

#[test]
fn paths_are_those_of_the_folder_that_is_included() {
    let files = Memory::of("include: [sub/deep/inner.yaml]\nservices: {own: {image: x, env_file: own.env}}\n")
        .with("own.env", "WHO=own\n")
        .with(
            "sub/deep/inner.yaml",
            "include: [../side/side.yaml]\n\
             services: {inner: {build: ./b, env_file: inner.env, volumes: ['./v:/v', 'n:/n'], \
             develop: {watch: [{path: w, action: rebuild}]}, secrets: [s]}}\n\
             secrets: {s: {file: ./s.txt}}\nvolumes: {n: {driver: local, driver_opts: {o: bind, device: ./d}}}\n",
        )
        .with("sub/deep/inner.env", "WHO=inner\n")
        .with("sub/side/side.yaml", "services: {side: {build: {context: ., additional_contexts: {c: ./c}}, label_file: l}}\n")
        .with("sub/side/l", "who=side\n");
    check(
        &[
            ("services.own.environment", r#"{"WHO":"own"}"#),
            ("services.inner.environment", r#"{"WHO":"inner"}"#),
            ("services.inner.build.context", r#""/p/sub/deep/b""#),
            ("services.inner.volumes[0].source", r#""/p/sub/deep/v""#),
            ("services.inner.develop.watch[0].path", r#""/p/sub/deep/w""#),
            ("secrets.s.file", r#""/p/sub/deep/s.txt""#),
            ("volumes.n.driver_opts.device", r#""/p/sub/deep/d""#),
            ("services.side.build.context", r#""/p/sub/side""#),
            ("services.side.build.additional_contexts", r#"{"c":"/p/sub/side/c"}"#),
            ("services.side.labels", r#"{"who":"side"}"#),
        ],
        |path| loaded(&files, path),
    );
}

#[test]
fn a_project_directory_of_its_own() {
    let files = Memory::of("include: [{path: sub/inner.yaml, project_directory: other}]\n")
        .with("sub/inner.yaml", "services: {inner: {build: ., image: '$FROM'}}\n")
        .with("other/.env", "FROM=other\n")
        .with("sub/.env", "FROM=sub\n");
    assert_eq!(loaded(&files, "services.inner.build.context"), r#""/p/other""#);
    assert_eq!(loaded(&files, "services.inner.image"), r#""other""#);
}

#[test]
fn variables_of_the_included_are_the_weakest() {
    let with = |include: &str| {
        Memory::of(&format!("include: [{include}]\nservices: {{own: {{image: 'x$INNER'}}}}\n"))
            .with(
                "sub/inner.yaml",
                "include: [deeper/d.yaml]\nservices: {inner: {image: '$SET-$OUTER-$INNER', environment: [INNER]}}\n",
            )
            .with("sub/deeper/d.yaml", "services: {deep: {image: '$INNER-$DEEP'}}\n")
            .with("sub/deeper/.env", "DEEP=deep\nINNER=deep\n")
            .with("sub/.env", "SET=weak\nOUTER=weak\nINNER=inner\n")
            .with("sub/b.env", "INNER=b\n")
            .with(".env", "OUTER=outer\n")
    };
    let files = with("sub/inner.yaml");
    assert_eq!(loaded(&files, "services.inner.image"), r#""set-outer-inner""#);
    assert_eq!(loaded(&files, "services.inner.environment"), r#"{"INNER":"inner"}"#);
    assert_eq!(loaded(&files, "services.deep.image"), r#""inner-deep""#);
    assert_eq!(loaded(&files, "services.own.image"), r#""x""#);
    let image = |include: &str| loaded(&with(include), "services.inner.image");
    assert_eq!(image("{path: sub/inner.yaml, env_file: sub/b.env}"), r#""set-outer-b""#);
    assert_eq!(image("{path: sub/inner.yaml, env_file: [sub/.env, sub/b.env]}"), r#""set-outer-b""#);
    assert_eq!(image("{path: sub/inner.yaml, env_file: /dev/null}"), r#""set-outer-""#);
    assert_eq!(image("{path: sub/inner.yaml, env_file: none.env}"), "1:44 couldn't find env file: /p/none.env");
}

#[test]
fn several_paths_are_merged_and_what_is_there_already_lies_on_top() {
    let files = Memory::of(
        "include: [{path: [one.yaml, two.yaml]}, three.yaml]\nservices: {s: {labels: {own: 1}}}\nvolumes: {v: {name: own}}\n",
    )
    .with("one.yaml", "services: {s: {image: one, hostname: one, labels: {one: 1}}}\nvolumes: {v: {name: one, labels: [a=1]}}\n")
    .with("two.yaml", "services: {s: {image: two, labels: {two: 1}, ports: ['1:1']}}\n")
    .with("three.yaml", "services: {s: {image: three, labels: {three: 1}, ports: !reset []}}\n");
    check(
        &[
            // What was included first lies on what is included later.
            ("services.s.image", r#""two""#),
            ("services.s.hostname", r#""one""#),
            ("services.s.labels", r#"{"one":"1","own":"1","three":"1","two":"1"}"#),
            ("volumes.v", r#"{"name":"own","labels":{"a":"1"}}"#),
            // What a file says of taking away is said to its own load.
            ("services.s.ports[0].target", "1"),
        ],
        |path| loaded(&files, path),
    );
}

#[test]
fn what_does_not_go_together_names_both_files() {
    let files = Memory::of("include: [one.yaml]\nservices: {s: {image: x, ports: {a: 1}}}\n")
        .with("one.yaml", "services: {s: {image: y, ports: ['1:1']}}\n");
    let (_, problems) = load_model(&request(), &files);
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    /p/compose.yaml:2:33: error: cannot override services.s.ports: it is a list, and this is a mapping
      |
    2 | services: {s: {image: x, ports: {a: 1}}}
      |                                 ^
    note: /p/one.yaml:1:33: what it would override
    hint: write a list here too, or replace it whole: `ports: !override ...`
    ");
}

#[test]
fn circles_and_files_that_are_not_there() {
    let of = |files: &Memory| loaded(files, "services");
    let ring = Memory::of("include: [a.yaml]").with("a.yaml", "include:\n  - b.yaml\n").with("b.yaml", "include:\n  - a.yaml\n");
    assert_eq!(of(&ring), "2:5 include cycle detected: /p/a.yaml -> /p/b.yaml -> /p/a.yaml");
    assert_eq!(of(&Memory::of("include: [compose.yaml]")), "1:11 include cycle detected: /p/compose.yaml -> /p/compose.yaml");
    assert_eq!(of(&Memory::of("include:\n  - none.yaml\n")), "2:5 open /p/none.yaml: no such file or directory");
    assert_eq!(of(&Memory::of("include: [{paths: x}]")), "1:12 include additional properties 'paths' not allowed");
    assert_eq!(of(&Memory::of("include: x")), "1:10 `include` must be a list, not a single value");
    assert_eq!(
        of(&Memory::of("include: [oci://host/x]")),
        "1:11 failed to fetch oci://host/x: it is not on this machine, and fetching is not possible here"
    );
}
