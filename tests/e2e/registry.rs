//! Images that go to a real registry and come from it: login, push, pull, policies, offline, and what was damaged here.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use rcompose_harness::{Scratch, wait_for};

use crate::archive::archive;
use crate::scratch;

/// `me` and `secret`, as the registry wants to have them written.
const PASSWORDS: &str = "me:$2y$04$ADY60S5k1s7yP9kTR36sJeozVGQtdBBuRkYJX.DP.b5GC/QyyZbW2\n";
const NAME: &str = "127.0.0.1:5000/team/app:1";

/// A registry in the network of a place; it goes with its value.
pub(crate) struct Registry(Child);

impl Registry {
    pub(crate) fn start(place: &Scratch, guarded: bool) -> Self {
        let at = place.project();
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}/registry\nhttp:\n  addr: 127.0.0.1:5000\nlog:\n  level: error\n",
            at.display()
        );
        if guarded {
            place.write("passwords", PASSWORDS);
            config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {}/passwords\n", at.display());
        }
        place.write("registry.yml", &config);
        let mut words = place.command_in_network("docker-registry");
        words.arg("serve").arg(at.join("registry.yml"));
        let child = words.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let registry = Self(child.expect("docker-registry is installed"));
        wait_for("the registry", || {
            let ask = "import socket; socket.create_connection((\"127.0.0.1\", 5000))";
            let mut words = place.command_in_network("python3");
            words.args(["-c", ask]).stderr(Stdio::null()).status().is_ok_and(|it| it.success()).then_some(())
        });
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is ours, by its handle.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A stack of one service, with an image that is in the store under the registry's name.
fn loaded(policy: &str) -> Scratch {
    let mut place = scratch(&format!("name: shop\nservices: {{a: {{image: '{NAME}', command: [none]{policy}}}}}"));
    place.set("DOCKER_CONFIG", &place.project().join("docker").to_string_lossy());
    let made = archive(&place, &["small:1"], "some content");
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    place.run(&["image", "tag", "small:1", NAME]).success();
    place
}

/// Runs the program with something on its standard input.
fn with_input(place: &Scratch, arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = place.command_of(arguments);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be run");
    std::io::Write::write_all(&mut child.stdin.take().expect("it is piped"), input.as_bytes()).expect("it is read");
    let output = child.wait_with_output().expect("the program can be waited for");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn whoever_has_logged_in_may_push() {
    let place = loaded("");
    let registry = Registry::start(&place, true);
    let refused = place.run(&["image", "push", NAME]);
    assert_eq!(refused.code, 1);
    let expected =
        format!("error: failed to push image `{NAME}`\n  caused by: registry 127.0.0.1:5000 wants a name and a password");
    assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: log in with `rcompose login 127.0.0.1:5000`"), "{}", refused.stderr);
    let login = ["login", "-u", "me", "--password-stdin", "http://127.0.0.1:5000/"];
    let (fine, text) = with_input(&place, &login, "guess\n");
    assert!(!fine && text.contains("failed to log in to 127.0.0.1:5000"), "{text}");
    let (fine, text) = with_input(&place, &login, "secret\n");
    assert!(fine && text.starts_with("Login Succeeded\n") && !text.contains("secret"), "{text}");
    let path = place.project().join("docker/config.json");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let pushed = place.run(&["image", "push", "-q", NAME]).success();
    assert!(pushed.starts_with(&format!("{NAME} digest: sha256:")), "{pushed}");
    let digest = pushed.trim().rsplit(' ').next().unwrap().to_owned();
    let listed = place.run(&["image", "ls", "127.0.0.1:5000/team/app", "--format", "{{.Digest}}"]).success();
    assert_eq!(listed.trim(), digest);
    assert_eq!(place.run(&["logout", "127.0.0.1:5000"]).success(), "Removed credentials of 127.0.0.1:5000\n");
    assert_eq!(place.run(&["logout", "127.0.0.1:5000"]).success(), "Not logged in to 127.0.0.1:5000\n");
    assert!(!place.run(&["image", "push", NAME]).stderr.is_empty());
    // A terminal does not show what is typed.
    let typed = place.run_on_terminal(80, &["login", "127.0.0.1:5000"], "me\nsecret\n");
    assert!(typed.stdout.contains("Login Succeeded"), "{}", typed.stdout);
    drop(registry);
    place.check_nothing_is_left();
}

#[test]
fn a_stack_is_pushed_pulled_and_lives_offline() {
    let place = loaded(", build: .");
    let registry = Registry::start(&place, false);
    let plan = place.run(&["--dry-run", "push"]).stderr;
    assert!(plan.contains(&format!("push image `{NAME}`: asked for")), "{plan}");
    let pushed = place.run(&["--progress", "plain", "push"]).stderr;
    assert!(
        pushed.contains(&format!(" Image {NAME} Pushing\n")) && pushed.contains(&format!(" Image {NAME} Pushed\n")),
        "{pushed}"
    );
    assert!(pushed.contains(" Pushed\n"), "{pushed}");
    place.run(&["image", "rm", NAME, "small:1"]).success();
    let offline = place.run(&["--offline", "image", "pull", NAME]);
    assert_eq!(offline.code, 1);
    assert!(
        offline.stderr.contains(&format!("error: image `{NAME}` is not in the store, and `--offline` asks no registry")),
        "{}",
        offline.stderr
    );
    let pulled = place.run(&["--progress", "plain", "image", "pull", NAME]);
    assert_eq!(pulled.stdout, format!("{NAME}\n"));
    assert!(pulled.stderr.contains(" Pull complete\n"), "{}", pulled.stderr);
    place.run(&["image", "rm", NAME]).success();
    let json = place.run(&["--progress", "json", "image", "pull", NAME]).stderr;
    let lines: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let layer = lines.iter().find(|line| line["text"] == "Pull complete").unwrap();
    assert_eq!((&layer["parent_id"], &layer["percent"]), (&format!("Image {NAME}").into(), &100.into()));
    assert!(layer["id"].as_str().is_some_and(|id| id.len() == 12));
    // What is here needs nobody.
    place.write(
        "compose.yaml",
        &format!("name: shop\nservices: {{a: {{image: '{NAME}', command: [none], pull_policy: always}}}}"),
    );
    place.run(&["--offline", "create"]).success();
    let refused = place.run_with(&[("RCOMPOSE_OFFLINE", "1")], &["image", "push", NAME]);
    assert!(refused.stderr.contains("`--offline` asks no registry"), "{}", refused.stderr);
    drop(registry);
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn what_is_built_is_pushed_on_the_way_and_pulled_if_it_can_be() {
    let other = "127.0.0.1:5000/team/app:2";
    let build = format!("build: {{dockerfile_inline: \"FROM scratch\\nCOPY x /x\", tags: ['{other}']}}");
    let place = scratch(&format!("name: shop\nservices:\n  a: {{image: '{NAME}', {build}}}\n  b: {{{build}}}\n"));
    place.write("x", "content");
    let registry = Registry::start(&place, false);
    let told = place.run(&["--progress", "plain", "build", "--push", "a"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    for name in [NAME, other] {
        assert!(told.stderr.contains(&format!(" Image {name} Pushed\n")), "{}", told.stderr);
    }
    let print = place.run(&["build", "--push", "--print", "a"]).success();
    assert!(print.contains("type=registry"), "{print}");
    place.run(&["image", "rm", NAME, other]).success();
    place.run(&["pull", "--ignore-buildable"]).success();
    assert_eq!(place.run(&["image", "ls", "-q"]).success(), "");
    place.run(&["pull"]).success();
    assert_ne!(place.run(&["image", "ls", "-q", NAME]).success(), "");
    drop(registry);
    let told = place.run(&["pull"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stderr.contains(&format!("image `{NAME}` cannot be pulled and has to be built: ")), "{}", told.stderr);
    place.check_nothing_is_left();
}

#[test]
fn images_are_refreshed_as_often_as_their_policy_says() {
    let place = loaded(", pull_policy: weekly");
    let registry = Registry::start(&place, false);
    place.run(&["image", "push", "-q", NAME]).success();
    let create = |place: &Scratch| place.run(&["--progress", "plain", "create", "--force-recreate"]).stderr;
    assert!(!create(&place).contains("Pull"), "it was set a moment ago");
    let file = |policy: &str| format!("name: shop\nservices: {{a: {{image: '{NAME}', command: [none], pull_policy: {policy}}}}}");
    place.write("compose.yaml", &file("every_0s"));
    let refreshed = create(&place);
    assert!(refreshed.contains(&format!(" Image {NAME} Pulling\n")) && refreshed.contains(" Already exists\n"), "{refreshed}");
    drop(registry);
    let kept = create(&place);
    assert!(kept.contains("could not be refreshed, and the one that is there is used"), "{kept}");
    place.write("compose.yaml", &file("always"));
    assert!(create(&place).contains("error: failed to pull image"));
    // An image of another platform is as good as none.
    place.write("compose.yaml", &file("never, platform: linux/riscv64"));
    assert!(create(&place).contains("is not in the store, and its pull policy is `never`"));
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn what_is_damaged_is_found_and_fetched_again() {
    let place = loaded("");
    let registry = Registry::start(&place, false);
    place.run(&["image", "push", "-q", NAME]).success();
    place.run(&["image", "rm", "small:1"]).success();
    assert_eq!(place.run(&["system", "check"]).success(), format!("{NAME}: fine\n"));
    let damage = || {
        let layers = place.project().join("../data/images/layers");
        let layer = std::fs::read_dir(layers).unwrap().map(|it| it.unwrap().path()).find(|it| it.is_dir()).unwrap();
        std::fs::write(layer.join("content"), "SOME content").unwrap();
    };
    damage();
    let found = place.run(&["system", "check"]);
    assert_eq!(found.code, 1);
    assert!(found.stdout.starts_with(&format!("{NAME}: damaged\n  layer sha256:")), "{}", found.stdout);
    assert!(found.stderr.contains("1 of 1 images are damaged\nhint: `--repair` fetches it again"), "{}", found.stderr);
    let offline = place.run(&["--offline", "system", "check", "--repair"]);
    assert!(offline.code == 1 && offline.stdout.contains("not mended: `--offline`"), "{}", offline.stdout);
    let mended = place.run(&["system", "check", "--repair"]);
    assert!(mended.success().starts_with(&format!("{NAME}: mended\n")));
    assert_eq!(place.run(&["system", "check"]).success(), format!("{NAME}: fine\n"));
    place.run(&["image", "save", "-o", &place.project().join("saved").display().to_string(), NAME]).success();
    drop(registry);
    damage();
    let lost = place.run(&["system", "check", "--repair"]);
    assert!(lost.code == 1 && lost.stdout.contains("not mended: layer sha256:"), "{}", lost.stdout);
    place.run(&["image", "load", "-i", &place.project().join("saved").display().to_string()]).success();
    assert_eq!(place.run(&["system", "check"]).success(), format!("{NAME}: fine\n"));
    place.check_nothing_is_left();
}
