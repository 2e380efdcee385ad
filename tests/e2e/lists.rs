//! What is asked of a stack: `ps`, `ls`, `images`, `port`, `top`, `logs`.

use rcompose_harness::{Scratch, wait_for};

use crate::archive::archive;
use crate::scratch;

const STACK: &str = "
name: shop
services:
  web:
    image: rootfs:/
    init: true
    command: [sh, -c, 'echo web is up; exec sleep infinity']
    ports: ['127.0.0.1:8000-8002:80-82', '9090:90/udp']
    expose: ['443']
    labels: {tier: front}
    scale: 1
  job:
    image: rootfs:/
    command: [sh, -c, 'exit 3']
";

fn up() -> Scratch {
    let place = scratch(STACK);
    place.run(&["up", "-d"]).success();
    wait_for("the end of `job`", || place.run(&["ps", "-a"]).success().contains("Exited (3)").then_some(()));
    place
}

fn down(place: &Scratch) {
    place.run(&["down", "-v", "--remove-orphans"]).success();
    place.check_nothing_is_left();
}

#[test]
fn ps_chooses_and_shows_as_it_is_told() {
    let place = up();
    let rows = |arguments: &[&str]| place.run(&[&["ps", "--format", "{{.Name}} {{.State}}"], arguments].concat()).success();
    assert_eq!(rows(&[]), "shop-web-1 running\n");
    assert_eq!(rows(&["-a"]), "shop-job-1 exited\nshop-web-1 running\n");
    assert_eq!(rows(&["--status", "exited"]), "shop-job-1 exited\n");
    assert_eq!(rows(&["--filter", "status=exited", "--status", "running"]), "shop-job-1 exited\nshop-web-1 running\n");
    assert_eq!(rows(&["-a", "job"]), "shop-job-1 exited\n");
    let table = place.run(&["ps"]).success();
    assert!(table.starts_with("NAME         IMAGE      COMMAND                  SERVICE   CREATED"), "{table}");
    let ports = "127.0.0.1:8000-8002->80-82/tcp, 0.0.0.0:9090->90/udp, [::]:9090->90/udp, 443/tcp\n";
    assert!(table.contains(" \"sh -c echo web is u…\" ") && table.ends_with(ports), "{table}");
    assert!(place.run(&["ps", "--no-trunc"]).success().contains("\"sh -c echo web is up; exec sleep infinity\""));
    let fields = place.run(&["ps", "--format", r#"table {{.Service}}\t{{.Label "tier"}}"#]).success();
    assert_eq!(fields, "SERVICE   LABEL\nweb       front\n");
    let object: serde_json::Value = serde_json::from_str(&place.run(&["ps", "--format", "json"]).success()).unwrap();
    let keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys.join(" "),
        "Command CreatedAt ExitCode Health ID Image Labels LocalVolumes Mounts Name Names Networks Ports Project Publishers \
         RunningFor Service Size State Status"
    );
    assert_eq!(
        object["Publishers"][0],
        serde_json::json!({ "URL": "127.0.0.1", "TargetPort": 80, "PublishedPort": 8000, "Protocol": "tcp" })
    );
    let refused = |arguments: &[&str]| place.run(arguments).stderr;
    assert_eq!(refused(&["ps", "nobody"]), "error: no such service: nobody\n");
    assert!(refused(&["ps", "--status", "gone"]).starts_with("error: unknown status `gone`: expected created,"));
    assert!(refused(&["ps", "--filter", "source=x"]).starts_with("error: invalid filter `source=x`: expected status=VALUE"));
    place.write("compose.yaml", &STACK.replace("  job:", "  renamed:"));
    assert_eq!(rows(&["-a", "--orphans=false"]), "shop-web-1 running\n");
    assert_eq!(rows(&["-a"]), "shop-job-1 exited\nshop-web-1 running\n");
    down(&place);
}

#[test]
fn ls_shows_projects() {
    let place = up();
    let file = place.project().join("compose.yaml").display().to_string();
    let table = place.run(&["ls"]).success().replace(&file, "FILE");
    assert_eq!(table, "NAME   STATUS                  CONFIG FILES\nshop   exited(1), running(1)   FILE\n");
    let json = place.run(&["ls", "--format", "json"]).success();
    let expected = serde_json::json!([{ "Name": "shop", "Status": "exited(1), running(1)", "ConfigFiles": file }]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), expected);
    assert_eq!(place.run(&["ls", "-q", "--filter", "name=^sh"]).success(), "shop\n");
    assert_eq!(place.run(&["ls", "-q", "--filter", "name=^op"]).success(), "");
    assert!(place.run(&["ls", "--filter", "name=["]).stderr.starts_with("error: invalid filter `name=[`: "));
    place.run(&["stop"]).success();
    assert_eq!(place.run(&["ls", "-q"]).success(), "");
    assert_eq!(place.run(&["ls", "-qa"]).success(), "shop\n");
    down(&place);
}

#[test]
fn images_shows_what_containers_were_made_from() {
    let place =
        scratch("{name: shop, services: {a: {image: 'small:1', command: [x]}, b: {image: 'rootfs:/', command: ['true']}}}");
    let made = archive(&place, &["small:1"], "some content");
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    place.run(&["create"]).success();
    let ids = place.run(&["images", "-q"]).success();
    let id = ids.lines().find(|line| line.len() == 64).unwrap().to_owned();
    let table = place.run(&["images"]).success().replace(&id[..12], "ID__________");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("CONTAINER   REPOSITORY   TAG      PLATFORM      IMAGE ID       SIZE   CREATED"));
    assert!(
        lines.next().unwrap().starts_with("shop-a-1    small        1        linux/amd64   ID__________   12B    "),
        "{table}"
    );
    assert_eq!(lines.next(), Some("shop-b-1    rootfs:/     <none>   N/A           rootfs:/       N/A    N/A"));
    let json: serde_json::Value = serde_json::from_str(&place.run(&["images", "--format", "json", "a"]).success()).unwrap();
    let keys: Vec<&str> = json[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["ContainerName", "Created", "ID", "LastTagTime", "Platform", "Repository", "Size", "Tag"]);
    assert_eq!(json[0]["ID"], format!("sha256:{id}"));
    assert_eq!(place.run(&["images", "nobody"]).stderr, "error: no such service: nobody\n");
    down(&place);
}

#[test]
fn port_finds_the_address_or_says_what_there_is() {
    let place = up();
    assert_eq!(place.run(&["port", "web", "81"]).success(), "127.0.0.1:8001\n");
    assert_eq!(place.run(&["port", "--protocol", "udp", "web", "90"]).success(), "0.0.0.0:9090\n");
    let refused = |arguments: &[&str]| {
        let answer = place.run(&[&["port"], arguments].concat());
        assert_eq!(answer.code, 1);
        answer.stderr
    };
    let published = "error: no port 90/tcp for container shop-web-1: 80/tcp, 81/tcp, 82/tcp, 90/udp\n";
    assert_eq!(refused(&["web", "90"]), published);
    assert_eq!(refused(&["job", "80"]), "error: no port 80/tcp for container shop-job-1: it is exited\n");
    assert_eq!(refused(&["--index", "2", "web", "80"]), "error: no container #2 found for service \"web\"\n");
    assert_eq!(refused(&["nobody", "80"]), "error: no container found for service \"nobody\"\n");
    down(&place);
}

#[test]
fn top_shows_processes_of_the_host() {
    let place = up();
    let table = place.run(&["top"]).success();
    let heading: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading.join(" "), "SERVICE # UID PID PPID C STIME TTY TIME CMD");
    let sleep = table.lines().find(|line| line.ends_with("sleep infinity")).unwrap();
    let fields: Vec<&str> = sleep.split_whitespace().collect();
    assert_eq!((fields[0], fields[1], fields[2]), ("web", "1", "root"));
    assert!(std::fs::read_to_string(format!("/proc/{}/cmdline", fields[3])).unwrap().starts_with("sleep"));
    assert_eq!(place.run(&["top", "job"]).success(), "", "it does not run");
    assert_eq!(place.run(&["top", "nobody"]).stderr, "error: no such service: nobody\n");
    down(&place);
}

#[test]
fn logs_chooses_replicas_lines_and_times() {
    let place =
        scratch("{name: shop, services: {a: {image: 'rootfs:/', scale: 2, command: [sh, -c, 'echo 1; echo 2; echo 3']}}}");
    place.run(&["up", "-d"]).success();
    wait_for("both", || (place.run(&["logs", "--no-log-prefix"]).success().lines().count() == 6).then_some(()));
    assert_eq!(place.run(&["logs", "--index", "2", "a"]).success(), "a-2  | 1\na-2  | 2\na-2  | 3\n");
    assert_eq!(place.run(&["logs", "--index", "1", "-n", "1", "--no-log-prefix", "a"]).success(), "3\n");
    assert_eq!(place.run(&["logs", "--since", "1h30m", "--until", "1h"]).success(), "");
    assert_eq!(place.run(&["logs", "--since", "1.5h", "-n1"]).success().lines().count(), 2);
    let line = place.run(&["logs", "-t", "-n1", "--index", "1", "--no-log-prefix", "a"]).success();
    assert!(line.starts_with("20") && line.ends_with("Z 3\n"), "{line}");
    assert_eq!(place.run(&["logs", "--index", "1"]).stderr, "error: `--index` needs the name of one service\n");
    assert!(place.run(&["logs", "--since", "yesterday"]).stderr.starts_with("error: invalid time `yesterday`: expected"));
    assert!(place.run(&["logs", "-n", "x"]).stderr.contains("invalid --tail `x`"));
    down(&place);
}

#[test]
fn kill_and_rm_say_when_there_is_nothing_to_do() {
    let place = up();
    assert_eq!(place.run(&["kill", "job"]).stderr, "No container to kill\n");
    assert_eq!(place.run(&["rm", "-f", "web"]).stderr, "No stopped containers\n");
    assert_eq!(place.run(&["rm", "nobody"]).stderr, "error: no such service: nobody\n");
    assert_eq!(place.run(&["rm"]).stderr, "? Going to remove shop-job-1 [yN] \n");
    let answer = place.run_on_terminal(80, &["rm"], "y\n");
    assert!(answer.stdout.contains("Container shop-job-1  Removed"), "{}", answer.stdout);
    let answer = place.run(&["kill", "-s", "NOTHING", "web"]);
    assert!(answer.code == 1 && answer.stderr.contains("container `shop-web-1`: invalid signal: NOTHING"), "{}", answer.stderr);
    place.run(&["kill", "-s", "TERM", "web"]).success();
    wait_for("the end of `web`", || place.run(&["ps", "-a"]).success().contains("Exited (143)").then_some(()));
    place.run(&["rm", "-fv"]).success();
    assert_eq!(place.run(&["ps", "-aq"]).success(), "");
    down(&place);
}

#[test]
fn version_needs_neither_files_nor_supervisor() {
    let place = scratch("this is: [no compose file");
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(place.run(&["version"]).success(), format!("rcompose version {number}\n"));
    assert_eq!(place.run(&["version", "--short"]).success(), format!("{number}\n"));
    assert_eq!(place.run(&["version", "-f", "json"]).success(), format!("{{\"version\":\"{number}\"}}\n"));
    assert_eq!(place.run(&["-v"]).success(), format!("rcompose version {number}\n"));
    assert_eq!(place.supervisor(), None);
}
