//! Variables that stand for flags, from the environment and from `.env`.

use crate::scratch;

const STACK: &str = "services: {a: {image: 'rootfs:/', init: true, command: [sleep, infinity]}, \
                     p: {image: 'rootfs:/', init: true, command: [sleep, infinity], profiles: [more]}}";

#[test]
fn files_and_projects_are_named_by_variables() {
    let place = scratch("services: {}");
    place.write("one.yaml", STACK);
    place.write("two.yaml", "services: {b: {image: 'rootfs:/', command: ['true']}}");
    let services = |variables: &[(&str, &str)]| place.run_with(variables, &["config", "--services"]).success();
    assert_eq!(services(&[("COMPOSE_FILE", "one.yaml:two.yaml")]), "a\nb\n");
    assert_eq!(services(&[("COMPOSE_FILE", "one.yaml,two.yaml"), ("COMPOSE_PATH_SEPARATOR", ",")]), "a\nb\n");
    assert_eq!(services(&[("COMPOSE_FILE", "one.yaml"), ("COMPOSE_PROFILES", "none,more")]), "a\np\n");
    let name = |variables: &[(&str, &str)], arguments: &[&str]| {
        let config =
            place.run_with(variables, &[arguments, &["-f", "one.yaml", "config", "--format", "json"]].concat()).success();
        serde_json::from_str::<serde_json::Value>(&config).unwrap()["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name(&[("COMPOSE_PROJECT_NAME", "shop")], &[]), "shop");
    assert_eq!(name(&[("COMPOSE_PROJECT_NAME", "shop")], &["-p", "other"]), "other");
    let missing = place.run_with(&[("COMPOSE_FILE", "none.yaml")], &["config"]);
    assert!(missing.code == 1 && missing.stderr.contains("none.yaml: no such file"), "{}", missing.stderr);
    let bad = place.run_in(&std::env::temp_dir(), &["-p", "Bad!", "ps"]);
    assert!(bad.code == 1 && bad.stderr.contains("invalid project name \"Bad!\""), "{}", bad.stderr);
}

#[test]
fn a_file_of_variables_sets_them_too_and_the_environment_wins() {
    let place = scratch("services: {}");
    place.write("one.yaml", STACK);
    place.write("two.yaml", "services: {b: {image: 'rootfs:/', command: ['true']}}");
    place.write(".env", "COMPOSE_FILE=one.yaml\nCOMPOSE_PROFILES=more\n");
    place.write("other.env", "COMPOSE_FILE=two.yaml\n");
    let services = |variables: &[(&str, &str)]| place.run_with(variables, &["config", "--services"]).success();
    assert_eq!(services(&[]), "a\np\n");
    assert_eq!(services(&[("COMPOSE_FILE", "two.yaml")]), "b\n");
    assert_eq!(services(&[("COMPOSE_ENV_FILES", "other.env")]), "b\n");
    assert_eq!(services(&[("COMPOSE_ENV_FILES", ".env,other.env")]), "b\n", "the later file counts more");
    assert_eq!(services(&[("COMPOSE_DISABLE_ENV_FILE", "1")]), "");
    let missing = place.run_with(&[("COMPOSE_ENV_FILES", "none.env"), ("COMPOSE_FILE", "two.yaml")], &["config"]);
    assert!(missing.code == 1 && missing.stderr.contains("couldn't read env file"), "{}", missing.stderr);
}

#[test]
fn progress_goes_where_and_how_variables_say() {
    let place = scratch(STACK);
    let up = |variables: &[(&str, &str)]| place.run_with(variables, &["-p", "x", "up", "-d", "--force-recreate"]);
    let json = up(&[("COMPOSE_PROGRESS", "json")]).stderr;
    assert!(json.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{json}");
    assert_eq!(up(&[("COMPOSE_PROGRESS", "quiet")]).stderr, "");
    let moved = up(&[("COMPOSE_STATUS_STDOUT", "1")]);
    assert!(moved.stdout.contains(" Container x-a-1 Started\n") && moved.stderr.is_empty(), "{moved:?}");
    let wrong = place.run_with(&[("COMPOSE_PROGRESS", "loud")], &["-p", "x", "ps"]);
    assert_eq!(wrong.stderr, "error: invalid COMPOSE_PROGRESS `loud`: expected auto, tty, plain, json, quiet\n");
    assert_eq!(place.run_with(&[("COMPOSE_PROGRESS", "loud")], &["version", "--short"]).code, 0);
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn no_more_is_done_at_a_time_than_a_variable_says() {
    let service = |name: &str| format!("{name}: {{image: 'rootfs:/', init: true, command: [sleep, infinity]}}");
    let place = scratch(&format!("services: {{{}}}", ["a", "b", "c", "d"].map(service).join(", ")));
    let alone = |lines: &str| {
        let lines: Vec<&str> = lines.lines().collect();
        lines.chunks(2).all(|pair| pair.len() == 2 && pair[0].rsplit_once(' ').unwrap().0 == pair[1].rsplit_once(' ').unwrap().0)
    };
    let limited = [("COMPOSE_PARALLEL_LIMIT", "1")];
    let answer = place.run_with(&limited, &["-p", "x", "up", "-d"]);
    assert!(answer.code == 0 && alone(&answer.stderr), "{}", answer.stderr);
    let answer = place.run(&["-p", "x", "--parallel", "1", "down"]);
    assert!(answer.code == 0 && alone(&answer.stderr), "{}", answer.stderr);
    let answer = place.run_with(&limited, &["-p", "x", "--parallel", "-1", "up", "-d"]);
    assert!(answer.code == 0 && !alone(&answer.stderr), "{}", answer.stderr);
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn orphans_are_removed_or_passed_over_as_variables_say() {
    let place = scratch(&STACK.replace("a:", "gone:"));
    place.run(&["-p", "x", "up", "-d"]).success();
    place.write("compose.yaml", STACK);
    let up = |variables: &[(&str, &str)]| place.run_with(variables, &["-p", "x", "up", "-d"]);
    assert!(up(&[]).stderr.contains("Found orphan containers ([x-gone-1])"));
    assert!(!up(&[("COMPOSE_IGNORE_ORPHANS", "true")]).stderr.contains("orphan"));
    let both = place.run_with(&[("COMPOSE_IGNORE_ORPHANS", "1")], &["-p", "x", "up", "-d", "--remove-orphans"]);
    assert_eq!(both.stderr, "error: COMPOSE_IGNORE_ORPHANS and `--remove-orphans` do not go together\n");
    assert_eq!(place.run(&["-p", "x", "ps", "--services"]).success(), "a\ngone\n");
    assert_eq!(up(&[("COMPOSE_REMOVE_ORPHANS", "1")]).code, 0);
    assert_eq!(place.run(&["-p", "x", "ps", "--services"]).success(), "a\n");
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}
