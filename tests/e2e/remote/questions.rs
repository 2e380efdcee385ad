//! What is asked before something from elsewhere is used, and of whom.

use super::{Repository, SLEEPER, place};

/// Wide enough that nothing is cut.
const COLUMNS: u16 = 400;

#[test]
fn a_stack_from_elsewhere_shows_itself_and_asks() {
    let place = place();
    let compose = SLEEPER.replace("}}}", "}, ports: ['8099:80'], volumes: ['./data:/data'], privileged: true}}");
    let repository = Repository::new(&place, "shop", &[("compose.yaml", &compose), ("data/x", "x")]);
    let url = repository.url();
    let up = ["-f", &url, "up", "-d"];
    let no = place.run_on_terminal(COLUMNS, &up, "n\n");
    assert_eq!(no.code, 1, "{}", no.stdout);
    for words in [
        "is stored in ",
        "VARIABLE   VALUE     SOURCE         REQUIRED   DEFAULT",
        "SAYS       nothing   compose file   no         nothing",
        "web: privileged, writes ",
        "listens on every address port 8099",
        "Do you want to proceed with these variables? [Y/n] ",
        "nothing was done: the answer was no",
    ] {
        assert!(no.stdout.contains(words), "{words}: {}", no.stdout);
    }
    assert_eq!(place.run(&["-f", &url, "ps", "-q"]).success(), "");
    let yes = place.run_on_terminal(COLUMNS, &["-f", &url, "create"], "\n");
    assert_eq!(yes.code, 0, "{}", yes.stdout);
    assert_eq!(place.run(&["-f", &url, "ps", "-aq"]).success().lines().count(), 1);
    place.run(&["-f", &url, "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn variables_that_are_taken_without_a_dollar_are_shown_too() {
    let place = place();
    let compose = "services:\n  web: {image: 'rootfs:/', environment: [LISTED, OWN=1], secrets: [s]}\n  \
                   db: {image: 'rootfs:/', environment: {MAPPED: , OTHER: 1}}\nsecrets: {s: {environment: HIDDEN_TOKEN}}\n";
    let repository = Repository::new(&place, "shop", &[("compose.yaml", compose)]);
    let variables = [("LISTED", "of-mine"), ("MAPPED", "mine-too"), ("HIDDEN_TOKEN", "very-secret")];
    let answer = place.run_with(&variables, &["-f", &repository.url(), "up", "-d"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    let rows: Vec<Vec<&str>> = answer.stderr.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in [["LISTED", "of-mine", "environment", "no"], ["MAPPED", "mine-too", "environment", "no"]] {
        assert!(rows.contains(&row.to_vec()), "{row:?}: {}", answer.stderr);
    }
    assert!(rows.contains(&vec!["HIDDEN_TOKEN", "****", "environment", "no"]), "{}", answer.stderr);
    assert!(!answer.stderr.contains("OWN") && !answer.stderr.contains("OTHER"), "{}", answer.stderr);
}

#[test]
fn without_a_terminal_the_answer_has_to_be_given() {
    let place = place();
    let repository = Repository::new(&place, "shop", &[("compose.yaml", SLEEPER)]);
    let url = repository.url();
    for command in [&["up", "-d"][..], &["create"], &["run", "-T", "--rm", "web", "true"]] {
        let refused = place.run(&[&["-f", &url], command].concat());
        assert!(refused.code == 1 && refused.stderr.contains("standard input is no terminal"), "{}", refused.stderr);
        assert!(refused.stderr.contains("`-y` answers yes"), "{}", refused.stderr);
    }
    // What starts nothing is how one looks before.
    place.run(&["-f", &url, "config"]).success();
    place.run(&["-f", &url, "--dry-run", "up"]).success();
    place.run(&["-f", &url, "run", "-T", "-y", "--rm", "web", "true"]).success();
    place.run(&["-f", &url, "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn what_a_file_includes_from_elsewhere_is_fetched_after_a_yes() {
    let place = place();
    let repository = Repository::new(&place, "shop", &[("compose.yaml", SLEEPER)]);
    place.write("compose.yaml", &format!("name: mine\ninclude:\n  - {}\n", repository.url()));
    let cached = || std::fs::read_dir(place.project().join("cache/rcompose/remote/git")).into_iter().flatten().count();
    // Enter is no here.
    let no = place.run_on_terminal(COLUMNS, &["up", "-d"], "\n");
    assert!(no.code == 1 && no.stdout.contains("[y/N] "), "{}", no.stdout);
    assert!(no.stdout.contains("compose.yaml:3:5 names files that are elsewhere"), "{}", no.stdout);
    assert!(no.stdout.contains("the answer was no"), "{}", no.stdout);
    let refused = place.run(&["up", "-d"]);
    assert!(refused.code == 1 && refused.stderr.contains("`-y` answers yes"), "{}", refused.stderr);
    assert_eq!(cached(), 0, "nothing was fetched");
    let yes = place.run_on_terminal(COLUMNS, &["run", "-T", "--rm", "web", "sh", "-c", "echo $SAYS"], "y\n");
    assert!(yes.code == 0 && yes.stdout.matches("[y/N]").count() == 1, "it is asked once: {}", yes.stdout);
    place.run(&["up", "-d", "-y"]).success();
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}
