//! Files of variables and of labels, profiles, the project's name, and which files are looked for.

use rcompose_model::{LoadRequest, load_model, read_variables};

use crate::memory::{Memory, request};
use crate::{at, check, loaded};

/// The environment of a service that names a file `f`.
fn read(text: &str) -> String {
    loaded(&Memory::of("services: {a: {image: x, env_file: f}}").with("f", text), "services.a.environment")
}

#[test]
fn every_way_to_write_a_line() {
    check(
        &[
            ("A=1\nB: 2\nexport C=3\n", r#"{"A":"1","B":"2","C":"3"}"#),
            ("\u{feff}A=1\r\n# no\r\n\r\nB=2\r\n", r#"{"A":"1","B":"2"}"#),
            ("A= x y # no\nB=x#y\nC=#\n", r##"{"A":"x y","B":"x#y","C":"#"}"##),
            ("A='$SET # \\n'\nB=\"$SET # \\n\"\n", r##"{"A":"$SET # \\n","B":"set # \n"}"##),
            ("A='two\nlines'\nB=\"it's\"\nC='say \"it\"'\n", r#"{"A":"two\nlines","B":"it's","C":"say \"it\""}"#),
            ("A=\"\\t\\r\\\\\\\"\\$SET\\a\\0101\"\n", r#"{"A":"\t\r\\\"$SET\u0007A"}"#),
            ("A=\\n$\n", r#"{"A":"\\n$"}"#),
            ("SET\nNONE\n", r#"{"SET":"set"}"#),
            ("A=1\nB=$A${C:-d}\nA=2\n", r#"{"A":"2","B":"1d"}"#),
            ("A=\nB=''\n", r#"{"A":"","B":""}"#),
            ("a.b-c[0]=1\n", r#"{"a.b-c[0]":"1"}"#),
            ("é=1\n", r#"{"é":"1"}"#),
            ("", "(none)"),
            ("A B=1\n", "1:1 a key cannot contain a space: `A B`"),
            ("A=1\n\n  B!=1\n", "3:3 unexpected character `!` in the key `B!`"),
            ("A=1\nB='x\ny\n", "2:3 the value of `B` has no closing '"),
            ("A=${B:?say it}\n", "1:5 required variable B is missing a value: say it"),
            ("A=${\n", "1:3 the value of `A` has an invalid `${`"),
        ],
        read,
    );
}

#[test]
fn raw_files_are_taken_at_their_word() {
    let raw = |text: &str| {
        let compose = "services: {a: {image: x, env_file: [{path: f, format: raw}]}}";
        loaded(&Memory::of(compose).with("f", text), "services.a.environment")
    };
    check(
        &[
            ("A='$SET' # x\n# no\nSET\nNONE\nB=\n", r#"{"A":"'$SET' # x","B":"","SET":"set"}"#),
            ("  A=1 \n", r#"{"A":"1 "}"#),
            ("A B=1\n", "1:1 `A B` is no variable name"),
            ("=1\n", "1:1 `` is no variable name"),
        ],
        raw,
    );
}

#[test]
fn later_files_win_and_the_service_over_all() {
    let files = Memory::of(
        "services: {a: {image: x, env_file: [one, {path: two, required: false}, {path: none, required: false}], \
         environment: {OWN: own, SET: , BARE: }, label_file: [one, two], labels: {OWN: own}}}",
    )
    .with("one", "A=1\nB=1\nOWN=1\nSET=1\nBARE=1\n")
    .with("two", "A=2\nC=${B}$OWN$SET\n");
    assert_eq!(
        loaded(&files, "services.a.environment"),
        r#"{"A":"2","B":"1","BARE":null,"C":"1ownset","OWN":"own","SET":"set"}"#
    );
    assert_eq!(loaded(&files, "services.a.labels"), r#"{"A":"2","B":"1","BARE":"1","C":"111","OWN":"own","SET":"1"}"#);
}

#[test]
fn files_that_are_not_there() {
    let of = |service: &str| loaded(&Memory::of(&format!("services: {{a: {{image: x, {service}}}}}")), "services.a.environment");
    check(
        &[
            ("env_file: none", "1:36 env file /p/none not found"),
            ("env_file: [{path: none}]", "1:44 env file /p/none not found"),
            ("env_file: [{path: none, required: false}]", "(none)"),
            ("label_file: none", "1:38 label file /p/none not found"),
            ("env_file: [{path: none, format: toml}]", "1:44 env file /p/none not found"),
            ("profiles: [off], env_file: none", "(none)"),
        ],
        of,
    );
    let files = Memory::of("services: {a: {image: x, env_file: [{path: f, format: toml}]}}").with("f", "");
    assert_eq!(loaded(&files, "services.a"), "1:55 unsupported env_file format \"toml\"");
}

#[test]
fn variables_of_the_command_line_are_read_in_order() {
    let files = Memory::default().with("f", "B=1\nA=$B\nSET=2\n");
    let set = request().environment;
    let read = read_variables("/p/f".as_ref(), &files, &set).unwrap();
    assert_eq!(read, [("B", "1"), ("A", "1"), ("SET", "2")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(read_variables("/p/none".as_ref(), &files, &set).is_err());
}

const PROFILES: &str = "
services:
  always: {image: x}
  one: {image: x, profiles: [one]}
  two: {image: x, profiles: [two, one]}
  needs: {image: x, profiles: [three], depends_on: [third]}
  third: {image: x, profiles: [three]}
";

#[test]
fn profiles_switch_services_on() {
    let services = |profiles: &[&str], named: &[&str], listed: &str| {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut request = LoadRequest { profiles: owned(profiles), services: owned(named), ..request() };
        request.environment.insert("COMPOSE_PROFILES".to_owned(), listed.to_owned());
        let (model, problems) = load_model(&request, &Memory::of(PROFILES));
        let model = model.unwrap_or_else(|| panic!("{problems:?}"));
        let services = model.tree.get("services").unwrap().mapping().unwrap();
        services.keys().map(|key| key.name.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(services(&[], &[], ""), "always");
    assert_eq!(services(&["one"], &[], ""), "always one two");
    assert_eq!(services(&["two"], &[], "one"), "always two");
    assert_eq!(services(&[], &[], "one, three"), "always needs one third two");
    assert_eq!(services(&["*"], &[], ""), "always needs one third two");
    assert_eq!(services(&[], &["needs"], ""), "always needs third");
}

#[test]
fn only_what_is_named_and_what_it_needs() {
    let request = LoadRequest { services: vec!["a".to_owned()], only_named: true, all_resources: false, ..request() };
    let files = Memory::of(
        "services: {a: {image: x, depends_on: [b], volumes: ['v:/v']}, b: {image: x}, c: {image: x, volumes: ['w:/w'], env_file: none}}\nvolumes: {v: , w: }\n",
    );
    let (model, problems) = load_model(&request, &files);
    let tree = model.unwrap_or_else(|| panic!("{problems:?}")).tree;
    assert_eq!(at(&tree, "volumes").unwrap().to_string(), r#"{"v":{"name":"p_v"}}"#);
    assert!(at(&tree, "services.b").is_some() && at(&tree, "services.c").is_none());
    let none = LoadRequest { services: vec!["d".to_owned()], ..request.clone() };
    assert_eq!(load_model(&none, &files).1[0].message, "no such service: d");
}

#[test]
fn the_name_of_a_project() {
    let named = |given: Option<&str>, variable: Option<&str>, text: &str| {
        let mut request = LoadRequest { project_name: given.map(str::to_owned), ..request() };
        request.environment.extend(variable.map(|name| ("COMPOSE_PROJECT_NAME".to_owned(), name.to_owned())));
        let (model, problems) = load_model(&request, &Memory::of(text));
        model.map_or_else(|| problems[0].message.clone(), |model| model.name)
    };
    let text = "name: In ${SET} File\nservices: {a: {image: x}}";
    assert_eq!(named(Some("flag"), Some("variable"), text), "flag");
    assert_eq!(named(None, Some("variable"), text), "variable");
    assert_eq!(named(None, None, text), "insetfile");
    assert_eq!(named(None, None, "services: {a: {image: x}}"), "p");
    assert_eq!(named(None, None, "name: one\nservices: {a: {image: '$COMPOSE_PROJECT_NAME'}}\n---\nname: two\n"), "two");
    assert!(named(Some("Bad!"), None, text).starts_with("invalid project name \"Bad!\""));
    assert!(named(None, Some("_x"), text).starts_with("invalid project name \"_x\""));
    assert_eq!(named(None, None, "name: ___\nservices: {a: {image: x}}"), "project name must not be empty");
}

#[test]
fn files_are_looked_for_upwards() {
    let request = LoadRequest { working_dir: "/p/deep/down".into(), ..request() };
    let image = |files: &Memory| {
        let (model, problems) = load_model(&request, files);
        let problems: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
        (model.and_then(|model| Some(at(&model.tree, "services.a.image")?.as_str()?.to_owned())).unwrap_or_default(), problems)
    };
    let service = |image: &str| format!("services: {{a: {{image: {image}}}}}");
    let files = Memory::default();
    assert_eq!(image(&files).1, ["no configuration file provided: not found"]);
    let files = files.with("docker-compose.yaml", &service("yaml")).with("docker-compose.yml", &service("yml"));
    assert_eq!(
        image(&files),
        (
            "yml".to_owned(),
            vec!["Found multiple config files with supported names: /p/docker-compose.yml, /p/docker-compose.yaml".to_owned()]
        )
    );
    let files = Memory::of(&service("main")).with("docker-compose.override.yaml", &service("over"));
    assert_eq!(image(&files), ("over".to_owned(), vec![]));
    let files = files.with("deep/compose.yml", &service("nearer"));
    assert_eq!(image(&files), ("nearer".to_owned(), vec![]));
}
