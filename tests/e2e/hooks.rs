//! Commands of services at points of their containers' lives.

use crate::scratch;

const HOOKED: &str = "
name: hooked
services:
  web:
    image: rootfs:/
    init: true
    user: '7'
    command: [sh, -c, 'cat /shared/ready >/tmp/seen; exec sleep infinity']
    environment: {COLOUR: red}
    volumes: ['shared:/shared', '/own']
    pre_start:
      - command: [sh, -c, 'echo preparing $$COLOUR; echo $$COLOUR >/shared/ready; echo mine >/own/file']
        user: root
        environment: {COLOUR: blue}
      - command: [sh, -c, 'cat /own/file; getent hosts db >/dev/null && echo found db']
        user: root
    post_start:
      - command: [sh, -c, 'until [ -s /tmp/seen ]; do sleep 0.01; done; echo $$(id -u) saw $$(cat /tmp/seen) with $$COLOUR']
      - {command: [sh, -c, 'pwd; id -u >/shared/who'], user: root, working_dir: /shared}
    pre_stop:
      - {command: [sh, -c, 'echo bye; echo stopped >>/shared/who'], user: root}
    depends_on: [db]
  db: {image: 'rootfs:/', init: true, command: [sleep, infinity]}
  reader: {image: 'rootfs:/', profiles: [never], volumes: ['shared:/shared']}
volumes: {shared: {}}
";

#[test]
fn commands_run_before_the_first_start_after_it_and_before_a_stop() {
    let place = scratch(HOOKED);
    let up = place.run(&["up", "-d"]);
    assert_eq!(up.code, 0, "{}", up.stderr);
    assert!(!up.stderr.contains("no effect"), "{}", up.stderr);
    let said: Vec<&str> = up.stderr.lines().filter(|line| line.contains("->")).collect();
    assert_eq!(
        said,
        [
            "web pre_start[0] -> | preparing blue",
            "web pre_start[1] -> | mine",
            "web pre_start[1] -> | found db",
            "web-1 -> | 7 saw blue with red",
            "web-1 -> | /shared",
        ]
    );
    let all = place.run(&["ps", "-a", "--format", "{{.Name}}"]).success();
    assert_eq!(all, "hooked-db-1\nhooked-web-1\n", "nothing is left of what ran before");
    let again = place.run(&["up", "-d"]);
    assert!(!again.stderr.contains("->"), "nothing started: {}", again.stderr);
    let restarted = place.run(&["restart", "web"]);
    assert!(
        restarted.stderr.contains("web-1 -> | bye\n") && restarted.stderr.contains("web-1 -> | /shared"),
        "{}",
        restarted.stderr
    );
    assert!(!restarted.stderr.contains("pre_start"), "{}", restarted.stderr);
    let down = place.run(&["down"]);
    assert!(down.stderr.contains("web-1 -> | bye\n"), "{}", down.stderr);
    let who = place.run(&["run", "--rm", "--no-deps", "-T", "reader", "cat", "/shared/who"]).success();
    assert_eq!(who, "0\nstopped\n", "each start writes anew, the last word is that of the stop");
    place.run(&["down", "-v"]).success();
    place.run(&["volume", "prune", "-f"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_command_that_fails_fails_the_start_and_says_what_it_said() {
    let failing = "
name: failing
services:
  before: {image: 'rootfs:/', init: true, command: [sleep, infinity], pre_start: [{command: [sh, -c, 'echo first; echo no schema >&2; exit 4']}]}
  after:
    image: rootfs:/
    init: true
    command: [sleep, infinity]
    post_start: [{command: [sh, -c, 'echo half; exit 3']}, {command: [sh, -c, 'echo never']}]
    pre_stop: [{command: [sh, -c, 'echo unwilling; exit 9']}]
";
    let place = scratch(failing);
    let up = place.run(&["up", "-d", "before"]);
    assert_eq!(up.code, 1);
    for told in ["pre_start[0] of service before exited with status 4", "no schema", "retained for inspection", "compose.yaml:4:"]
    {
        assert!(up.stderr.contains(told), "{told}: {}", up.stderr);
    }
    assert_eq!(
        place.run(&["ps", "-a", "--format", "{{.Name}} {{.State}}"]).success(),
        "failing-before-1 created\nfailing-before-pre_start-0 exited\n"
    );
    // The next one begins anew.
    let again = place.run(&["up", "-d", "before"]);
    assert!(again.code == 1 && again.stderr.contains("exited with status 4"), "{}", again.stderr);
    let up = place.run(&["up", "-d", "after"]);
    assert_eq!(up.code, 1);
    assert!(
        up.stderr.contains("post_start[0] of service after exited with status 3") && up.stderr.contains("half"),
        "{}",
        up.stderr
    );
    assert!(!up.stderr.contains("never"), "{}", up.stderr);
    let down = place.run(&["down"]);
    assert_eq!(down.code, 0, "{}", down.stderr);
    assert!(down.stderr.contains("pre_stop[0] of service after exited with status 9: unwilling"), "{}", down.stderr);
    place.check_nothing_is_left();
}
