//! Variables in values, through a whole load.

use rcompose_model::variables::{Source, declared};
use rcompose_model::{LoadRequest, Without, load_model};

use crate::memory::{Memory, request};
use crate::{check, loaded};

/// What a value becomes in which `SET` is `set` and `EMPTY` is nothing.
fn value(text: &str) -> String {
    let files = Memory::of(&format!("services: {{a: {{image: x, hostname: {}}}}}\n", serde_json::json!(text)));
    loaded(&files, "services.a.hostname")
}

#[test]
fn every_form() {
    check(
        &[
            ("$SET-${SET}", r#""set-set""#),
            ("${NONE:-d}${NONE-d}${EMPTY:-d}${EMPTY-d}", r#""ddd""#),
            ("${SET:+r}${EMPTY:+r}${EMPTY+r}${NONE+r}", r#""rr""#),
            ("a$$SET $$$SET $${SET}", r#""a$SET $set ${SET}""#),
            ("$1 $ $- a$", r#""$1 $ $- a$""#),
            ("${NONE:-${EMPTY:-${SET}}}", r#""set""#),
            ("${NONE:-a${SET}b${NONE:-c}d}", r#""asetbcd""#),
            ("${SET:+${NONE:-x}$SET}", r#""xset""#),
            ("${NONE:-{\"a\": \"$SET\"}}", r#""{\"a\": \"set\"}""#),
            ("${NONE:-$$}", r#""$""#),
            ("${NONE:-a:b:-c}", r#""a:b:-c""#),
            ("${SET:?say it}", r#""set""#),
            ("${NONE:?say ${SET}}", "1:36 required variable NONE is missing a value: say set"),
            ("${EMPTY?}", "(none)"),
            ("${EMPTY:?}", "1:36 required variable EMPTY is missing a value"),
            ("${1}", "1:36 invalid interpolation format for services.a.hostname"),
            ("${A!}", "1:36 invalid interpolation format for services.a.hostname"),
            ("${A", "1:36 invalid interpolation format for services.a.hostname"),
        ],
        value,
    );
}

#[test]
fn numbers_and_switches_are_of_their_type_afterwards() {
    let files = |text: &str| Memory::of(&format!("services: {{a: {{image: x, {text}}}}}\n"));
    check(
        &[
            ("scale: '${NONE:-2}'", r#"{"image":"x","networks":{"default":null},"scale":2}"#),
            ("init: '${NONE:-true}'", r#"{"image":"x","init":true,"networks":{"default":null}}"#),
            ("init: '${NONE:-no}'", r#"{"image":"x","init":false,"networks":{"default":null}}"#),
            ("init: '${NONE:-perhaps}'", "1:41 services.a.init must be true or false, not `perhaps`"),
            ("cpus: '${NONE:-.5}'", r#"{"cpus":0.5,"image":"x","networks":{"default":null}}"#),
            (
                "ports: ['${NONE:-80}:80']",
                r#"{"image":"x","networks":{"default":null},"ports":[{"mode":"ingress","protocol":"tcp","published":"80","target":80}]}"#,
            ),
            ("mem_limit: '${NONE:-1k}'", r#"{"image":"x","mem_limit":"1024","networks":{"default":null}}"#),
        ],
        |text| {
            let shown = loaded(&files(text), "services.a");
            match serde_json::from_str::<std::collections::BTreeMap<String, serde_json::Value>>(&shown) {
                Ok(sorted) => serde_json::to_string(&sorted).unwrap(),
                Err(_) => shown,
            }
        },
    );
}

#[test]
fn keys_stay_as_they_are() {
    let files = Memory::of("services: {a: {image: x, labels: {\"$SET\": $SET}, environment: [\"$SET=$SET\"]}}\n");
    assert_eq!(loaded(&files, "services.a.labels"), r#"{"$SET":"set"}"#);
    assert_eq!(loaded(&files, "services.a.environment"), r#"{"set":"set"}"#);
}

#[test]
fn without_interpolation_dollars_stay() {
    let request = LoadRequest { without: Without { interpolation: true, ..Without::default() }, ..request() };
    let (model, problems) = load_model(&request, &Memory::of("services: {a: {image: '$X ${Y:?z} $$', scale: '${N}'}}\n"));
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(
        model.unwrap().tree.get("services").unwrap().get("a").unwrap().get("image").unwrap().text(),
        Some("$X ${Y:?z} $$")
    );
}

#[test]
fn a_name_that_is_near_is_shown() {
    let files = Memory::of("services: {a: {image: '$IMAGE_TGA', hostname: '${SECRET_KEY:?}'}}\n")
        .with(".env", "IMAGE_TAG=1\nSECRET_KEYS=2\n");
    let (_, problems) = load_model(&request(), &files);
    let shown: Vec<_> = problems.iter().map(|problem| (problem.message.as_str(), problem.help.as_deref())).collect();
    assert_eq!(
        shown,
        [
            (
                "The \"IMAGE_TGA\" variable is not set. Defaulting to a blank string.",
                Some("did you mean `IMAGE_TAG`, which is set?")
            ),
            (
                "required variable SECRET_KEY is missing a value",
                Some("`SECRET_KEYS` is set; did you mean that? or set `SECRET_KEY` in the environment or in `.env`")
            ),
        ]
    );
}

#[test]
fn who_sets_a_variable_and_whom_it_shadows() {
    let request = LoadRequest { env_files: vec!["one.env".into(), "two.env".into()], ..request() };
    let files = Memory::of("services: {a: {image: '$A$SET${B:-c}'}}\n")
        .with("one.env", "A=1\nSET=one\nB=${A}\n")
        .with("two.env", "# A\n\nA=2\nC=${A}${SET}\n");
    let (model, problems) = load_model(&request, &files);
    let model = model.unwrap_or_else(|| panic!("{problems:?}"));
    let shown = |name: &str| {
        let variable = model.variables.variable(name).unwrap();
        let shadowed: Vec<String> = variable.shadowed.iter().map(|(source, value)| format!("{source} {value}")).collect();
        format!("{} {} [{}]", variable.value, variable.source, shadowed.join(", "))
    };
    assert_eq!(shown("A"), "2 /p/two.env:3 [/p/one.env:1 1]");
    assert_eq!(shown("SET"), "set environment [/p/one.env:2 one]");
    assert_eq!(shown("B"), "1 /p/one.env:3 []");
    assert_eq!(shown("C"), "2set /p/two.env:4 []");
    assert!(matches!(model.variables.variable("COMPOSE_PROJECT_NAME").unwrap().source, Source::Project));
}

#[test]
fn what_files_ask_for_is_found_before_it_is_put_in() {
    let request = LoadRequest { without: Without { interpolation: true, validation: true, ..Without::default() }, ..request() };
    let text = "services:\n  a:\n    image: ${A:-${B:-c}}\n    labels: {l: '${A:?m}', m: '$$N ${O:+p}'}\n";
    let (model, problems) = load_model(&request, &Memory::of(text));
    let all = declared(&model.unwrap_or_else(|| panic!("{problems:?}")).tree);
    let shown: Vec<String> = all
        .iter()
        .map(|(name, it)| {
            let places: Vec<String> = it.uses.iter().map(|place| format!("{}:{}", place.line, place.column)).collect();
            format!("{name} {} {:?} {:?} {}", it.required, it.default, it.alternate, places.join(" "))
        })
        .collect();
    assert_eq!(shown, ["A true \"${B:-c}\" \"\" 3:12 4:17", "B false \"c\" \"\" 3:12", "O false \"\" \"p\" 4:31"]);
}
