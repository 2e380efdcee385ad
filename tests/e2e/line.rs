//! The edges of the command line: how the program is called, older words, what is not known, completion, pictures.

use std::os::unix::fs::symlink;

use rcompose_harness::Scratch;

use crate::{SHOP, scratch};

/// Called through a link with docker compose's name.
struct Link(std::path::PathBuf);

impl Link {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("rct-link-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        symlink(env!("CARGO_BIN_EXE_rcompose"), folder.join("docker-compose")).expect("a link can be made");
        Self(folder)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The last resort of a test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_link_with_docker_composes_name_behaves_as_that() {
    let link = Link::new();
    let place = Scratch::new(link.0.join("docker-compose"));
    place.write("compose.yaml", SHOP);
    let metadata = place.run(&["docker-cli-plugin-metadata"]).success();
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["SchemaVersion"], "0.1.0");
    assert!(place.run(&["version"]).success().starts_with("Docker Compose version 5."));
    assert!(place.run(&["compose", "--version"]).success().starts_with("Docker Compose version 5."));
    assert!(place.run(&["compose", "--help"]).success().contains("Usage: docker-compose [OPTIONS] [COMMAND]"));
    assert_eq!(place.run(&["compose", "config", "--services"]).success(), "db\nweb\n");
}

#[test]
fn what_is_not_known_is_said_as_scripts_expect_it() {
    let place = scratch(SHOP);
    let said = |arguments: &[&str]| {
        let answer = place.run(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
        answer.stderr
    };
    assert_eq!(said(&["pss"]), "error: unknown docker command: \"compose pss\"\nhint: did you mean `ps`?\n");
    assert_eq!(said(&["ps", "--alll"]), "error: unknown flag: --alll\nhint: did you mean `--all`?\n");
    assert!(place.run(&[]).success().contains("Usage: rcompose"));
    let older = place.run(&["--no-ansi", "--workdir", ".", "config", "--services"]);
    let warnings: Vec<&str> = older.stderr.lines().filter_map(|line| line.split(" level=warning ").nth(1)).collect();
    assert_eq!(
        warnings,
        [
            "msg=\"--no-ansi is deprecated, please use --ansi never\"",
            "msg=\"--workdir is deprecated, please use --project-directory\""
        ]
    );
    assert_eq!(older.stdout, "db\nweb\n");
    assert_eq!(place.run(&["--no-ansi", "--ansi", "always", "ps"]).code, 1);
    let answer = place.run_with(&[("DOCKER_HOST", "tcp://other")], &["ps", "-q"]);
    assert!(answer.stderr.contains("DOCKER_HOST is set and has no effect"), "{}", answer.stderr);
    assert!(place.run(&["alpha", "dry-run", "--", "up", "-d"]).success().is_empty());
    assert_eq!(place.run(&["ps", "-aq"]).success(), "");
}

#[test]
fn compatible_names_have_underscores() {
    let place = scratch(SHOP);
    place.run_with(&[("COMPOSE_COMPATIBILITY", "1")], &["up", "-d"]).success();
    assert_eq!(place.run(&["ps", "--format", "{{.Name}}"]).success(), "shop_db_1\nshop_web_1\n");
    let again = place.run(&["--compatibility", "up", "-d"]);
    assert!(again.stderr.contains("Container shop_web_1 Running"), "{}", again.stderr);
    let down = place.run(&["down", "--volume"]);
    assert_eq!(down.code, 0);
    assert!(down.stderr.contains("--volume is deprecated, please use --volumes"), "{}", down.stderr);
    place.check_nothing_is_left();
}

#[test]
fn shells_are_told_what_a_word_can_be() {
    let place = scratch(SHOP);
    let script = place.run(&["completion", "bash"]).success();
    assert!(script.starts_with("# Words of rcompose.") && script.contains("RCOMPOSE_COMPLETE"), "{script}");
    let words = |words: &[&str]| {
        let index = (words.len() - 1).to_string();
        let asked = [("RCOMPOSE_COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", &index), ("_CLAP_IFS", " ")];
        place.run_with(&asked, &[&["--"], words].concat()).success()
    };
    assert_eq!(words(&["rcompose", "up", "w"]), "web");
    assert_eq!(
        words(&["rcompose", "exec", ""]).split(' ').filter(|word| !word.starts_with('-')).collect::<Vec<_>>(),
        ["db", "web"]
    );
    place.write("other.yaml", "services: {other: {image: x, profiles: [some]}}");
    assert_eq!(words(&["rcompose", "-f", "other.yaml", "logs", "o"]), "other");
    assert_eq!(words(&["rcompose", "-f", "other.yaml", "--profile", ""]), "some");
    place.run(&["create"]).success();
    assert_eq!(words(&["rcompose", "-p", "s"]), "shop");
    place.run(&["down", "-v"]).success();
    let folder = place.project().join("man");
    std::fs::create_dir(&folder).unwrap();
    place.run(&["man", "man"]).success();
    assert!(std::fs::read_to_string(folder.join("rcompose-up.1")).unwrap().contains("Create and start the stack"));
}

#[test]
fn a_file_that_is_generated_makes_the_same_containers() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    let text = place.run(&["alpha", "generate", "--name", "again", "shop-web-1", "shop-db-1"]).success();
    place.write("again.yaml", &text);
    let config = place.run(&["-f", "again.yaml", "config"]).success();
    for words in ["name: again", "echo web is up; exec sleep infinity", "name: shop_data", "external: true", "init: true"] {
        assert!(config.contains(words), "{words}: {config}");
    }
    place.run(&["-f", "again.yaml", "up", "-d"]).success();
    assert_eq!(place.run(&["-p", "again", "ps", "--services"]).success(), "db\nweb\n");
    assert_eq!(place.run(&["generate", "nothing"]).stderr, "error: no such container: nothing\n");
    place.run(&["-f", "again.yaml", "down"]).success();
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn start_waits_for_what_it_started() {
    let probe = "{test: [CMD, test, -e, /tmp/ready], interval: 50ms, start_period: 10s, start_interval: 50ms}";
    let place = scratch(&format!(
        "name: shop\nservices:\n  web: {{image: 'rootfs:/', init: true, command: [sh, -c, 'touch /tmp/ready; exec sleep infinity'], \
         healthcheck: {probe}}}\n"
    ));
    place.run(&["create", "--pull", "never", "--quiet-pull"]).success();
    place.run(&["start", "--wait", "--wait-timeout", "20"]).success();
    assert_eq!(place.run(&["ps", "--format", "{{.Health}}"]).success(), "healthy\n");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_graph_shows_who_waits_for_whom() {
    let place = scratch(SHOP);
    assert_eq!(place.run(&["graph"]).success(), "web     not created\n└─ db   not created\n");
    place.run(&["up", "-d"]).success();
    assert_eq!(place.run(&["graph"]).success(), "web     running\n└─ db   running\n");
    let svg = place.run(&["graph", "--format", "svg"]).success();
    assert!(svg.starts_with("<svg ") && svg.contains(">running</text>"), "{svg}");
    assert!(place.run(&["graph", "--format", "mermaid"]).success().contains("s1 --> s0"));
    assert!(place.run(&["graph", "--format", "dot"]).success().contains("\"web\" -> \"db\""));
    let viz = place.run(&["alpha", "viz", "--image", "--spaces", "--indentation-size", "2"]).success();
    insta::assert_snapshot!(viz, @r#"
    digraph "shop" {
      layout=dot;
      "db" [style="filled" label=<<font point-size="15">db</font><font point-size="10"><br/><br/><b>Image:</b><br/>rootfs:/</font>>];
      "web" [style="filled" label=<<font point-size="15">web</font><font point-size="10"><br/><br/><b>Image:</b><br/>rootfs:/</font>>];

      "web" -> "db";
    }
    "#);
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}
