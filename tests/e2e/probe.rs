//! Probes of `x-rcompose`, which run nothing in the container, and restarts of what is unhealthy.

use rcompose_harness::wait_for;

use crate::scratch;

const SERVER: &str = r#"
name: shop
services:
  web:
    image: rootfs:/
    init: true
    command: [perl, "-MIO::Socket::INET", -e, "$$|=1; $$s=IO::Socket::INET->new(LocalPort=>80,Listen=>5,ReuseAddr=>1) or die; print qq(ready now\n);
      while($$c=$$s->accept){$$l=<$$c>; print $$l; $$r=(-e '/broken') ? '500 no' : '204 fine'; print $$c qq(HTTP/1.1 $$r\r\n\r\n); close $$c}"]
    x-rcompose: EXTENSION
"#;

fn server(extension: &str) -> rcompose_harness::Scratch {
    scratch(&SERVER.replace("EXTENSION", extension))
}

#[test]
fn a_container_is_healthy_when_it_answers_and_nothing_is_run_in_it() {
    for probe in ["http: 'http://shop.example/up'", "tcp: 80", "log: ready now"] {
        let place = server(&format!("{{probe: {{{probe}}}}}"));
        place.run(&["up", "-d", "--wait"]).success();
        assert!(place.run(&["ps"]).success().contains("(healthy)"), "{probe}");
        let processes = place.run(&["top"]).success();
        assert_eq!(processes.matches("perl").count(), 1, "{processes}");
        if probe.starts_with("http") {
            assert!(place.run(&["logs", "--no-log-prefix"]).success().contains("GET /up HTTP/1.1"));
        }
        place.run(&["down"]).success();
        place.check_nothing_is_left();
    }
}

#[test]
fn a_probe_that_finds_nothing_makes_unhealthy() {
    for (probe, why) in [
        ("http: 'http://localhost:81'", "no connection to port 81"),
        ("tcp: 81", "Connection refused"),
        ("log: never said", "no line holds the text"),
    ] {
        let place = server(&format!("{{probe: {{{probe}, start_period: 0s, interval: 50ms, retries: 2}}}}"));
        let up = place.run(&["up", "-d", "--wait"]);
        assert_eq!(up.code, 1, "{probe}");
        assert!(up.stderr.contains("shop-web-1 is unhealthy") && up.stderr.contains(why), "{}", up.stderr);
        place.run(&["down"]).success();
    }
}

#[test]
fn what_a_run_before_said_does_not_make_this_one_healthy() {
    let place = server("{probe: {log: ready now, start_interval: 10ms}}");
    place.run(&["up", "-d", "--wait"]).success();
    place.run(&["stop"]).success();
    let silent = SERVER.replace("EXTENSION", "{probe: {log: ready now, start_period: 0s, interval: 50ms, retries: 2}}");
    place.write("compose.yaml", &silent.replace("print qq(ready now\\n)", "print qq(other\\n)"));
    assert!(place.run(&["up", "-d", "--wait"]).stderr.contains("is unhealthy"));
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn an_unhealthy_container_is_started_again_and_stays_stopped_when_it_is_stopped() {
    let place =
        server("{probe: {http: 'http://localhost', start_period: 0s, interval: 50ms, retries: 2}, restart_on_unhealthy: true}");
    place.run(&["up", "-d", "--wait"]).success();
    let before = place.run(&["ps", "--format", "{{.ID}}"]).success();
    place.run(&["exec", "-T", "web", "touch", "/broken"]).success();
    let events = wait_for("two restarts", || {
        let events = place.run(&["events", "--since", "1m", "--until", "0s", "--json"]).success();
        (events.matches("\"start\"").count() >= 3).then_some(events)
    });
    assert!(events.contains("it is unhealthy, and `restart_on_unhealthy` starts it again"), "{events}");
    wait_for("a moment in which it runs", || (place.run(&["exec", "-T", "web", "rm", "/broken"]).code == 0).then_some(()));
    wait_for("its health", || place.run(&["ps"]).success().contains("(healthy)").then_some(()));
    assert_eq!(place.run(&["ps", "--format", "{{.ID}}"]).success(), before, "it is the same container");
    place.run(&["exec", "-T", "web", "touch", "/broken"]).success();
    place.run(&["stop"]).success();
    assert_eq!(place.run(&["ps", "-q"]).success(), "");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (extension, told) in [
        ("{probe: {http: localhost}}", "a URL such as http://localhost:8080/healthz"),
        ("{probe: {tcp: 70000}}", "65535"),
        ("{probe: {tpc: 80}}", "did you mean `tcp`?"),
        ("{probe: {interval: 1s}}", "say what is looked at: one of `http`, `tcp` and `log`"),
        ("{probe: {tcp: 80, log: x}}", "mutually exclusive `tcp` and `log`"),
        ("{prob: {tcp: 80}}", "did you mean `probe`?"),
        ("{restart_on_unhealthy: sometimes}", "restart_on_unhealthy"),
    ] {
        let answer = server(extension).run(&["config"]);
        assert_eq!(answer.code, 1, "{extension}");
        assert!(answer.stderr.contains(told) && answer.stderr.contains("compose.yaml:9:"), "{extension}: {}", answer.stderr);
    }
    let place = server("{probe: {tcp: 80}}\n    healthcheck: {test: [NONE]}");
    let both = place.run(&["config"]);
    assert!(both.stderr.contains("mutually exclusive `healthcheck` and `x-rcompose.probe`"), "{}", both.stderr);
}
