//! A shell with tools beside a container.

use crate::scratch;

/// An image without a shell: one program, and what it needs.
const BARE: &str = r#"
name: bare
services:
  app:
    image: rootfs:./image
    command: [/app, "1000"]
    hostname: appliance
    volumes: ["data:/data"]
volumes: {data: {}}
"#;

fn bare() -> rcompose_harness::Scratch {
    let place = scratch(BARE);
    let image = place.project().join("image");
    // Statically linked programs are rare: its libraries come along.
    let libraries = std::process::Command::new("ldd").arg("/bin/sleep").output().expect("ldd is installed");
    let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
    for path in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let target = image.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(target.parent().expect("a file lies in a folder")).expect("a folder can be made");
        std::fs::copy(path, target).expect("a library can be copied");
    }
    std::fs::create_dir_all(image.join("data")).expect("a folder can be made");
    std::fs::copy("/bin/sleep", image.join("app")).expect("a program can be copied");
    place
}

#[test]
fn tools_of_the_host_see_a_container_that_has_none() {
    let place = bare();
    place.run(&["up", "-d"]).success();
    assert_ne!(place.run(&["exec", "-T", "app", "sh", "-c", "true"]).code, 0, "it has no shell");
    let script = "hostname; tr '\\0' ' ' </proc/1/cmdline; echo; ls /container/app; echo noted >/container/data/note; \
                  readlink /container; exit 5";
    let answer = place.run(&["debug", "-T", "app", "sh", "-c", script]);
    assert_eq!(answer.stdout, "appliance\n/app 1000 \n/container/app\n/proc/1/root\n", "{}", answer.stderr);
    assert_eq!(answer.code, 5);
    let addresses = |command: &[&str]| place.run(command).success();
    let ours = addresses(&["debug", "-T", "app", "cat", "/proc/net/fib_trie"]);
    assert!(ours.contains("/32 host LOCAL"), "{ours}");
    assert_eq!(place.run(&["ps", "-a", "-q"]).success().lines().count(), 1, "nothing is left of the shells");
    place.run(&["stop"]).success();
    let still = "cat /container/data/note; ls /container/app; touch /container/x 2>/dev/null || echo refused";
    let answer = place.run(&["debug", "-T", "app", "sh", "-c", still]);
    assert_eq!(answer.stdout, "noted\n/container/app\nrefused\n", "{}", answer.stderr);
    place.run(&["start"]).success();
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_shell_has_a_terminal_and_says_where_the_files_are() {
    let place = bare();
    place.run(&["up", "-d"]).success();
    let answer = place.run_on_terminal(80, &["debug", "app"], "test -t 0 && echo on $((1+1)) terminals; exit 3\n");
    assert!(answer.stdout.contains("The files of bare-app-1 are in /container"), "{}", answer.stdout);
    assert!(answer.stdout.contains("on 2 terminals"), "{}", answer.stdout);
    assert_eq!(answer.code, 3);
    let missing = place.run(&["debug", "nobody"]);
    assert!(missing.stderr.contains("no container found for service \"nobody\""), "{}", missing.stderr);
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}
