//! Images by hand: names, history, trees in and out, and what a docker beside us has.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use crate::archive::{archive, members};
use crate::{SHOP, scratch};

#[test]
fn a_tree_becomes_an_image_and_a_tree_again() {
    let place = scratch(SHOP);
    let made = archive(&place, &["small:1"], "some content");
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    let at = |name: &str| place.project().join(name).display().to_string();
    place.run(&["image", "export", "-o", &at("tree.tar"), "small:1"]).success();
    assert_eq!(members(&place.project().join("tree.tar")), ["content"]);
    let id = place.run(&["image", "import", &at("tree.tar"), "tree:1", "-m", "by & hand"]).success();
    let described: serde_json::Value = serde_json::from_str(&place.run(&["image", "inspect", "tree:1"]).success()).unwrap();
    assert_eq!((described[0]["Id"].as_str(), described[0]["Comment"].as_str()), (Some(id.trim()), Some("by & hand")));
    let history = place.run(&["image", "history", "tree:1", "--format", "{{.Size}}|{{.Comment}}"]).success();
    assert_eq!(history, "12B|by & hand\n");
    place.run(&["image", "tag", "tree:1", "other/tree:2"]).success();
    assert_eq!(
        place.run(&["image", "ls", "-q", "other/tree:2"]).success(),
        place.run(&["image", "ls", "-q", "tree:1"]).success()
    );
    assert!(place.run(&["image", "tag", "tree:1", "UPPER"]).stderr.contains("invalid reference format"));
    let platform = place.run(&["image", "import", "--platform", "linux/arm64", &at("tree.tar"), "tree:arm"]);
    platform.success();
    assert_eq!(place.run(&["image", "inspect", "-f", "{{.Architecture}}", "tree:arm"]).success(), "arm64\n");
    place.check_nothing_is_left();
}

#[test]
fn takes_over_what_docker_has() {
    let place = scratch(SHOP);
    let made = archive(&place, &["small:1"], "some content");
    let socket = place.project().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    // What docker answers to `GET /images/get`, and to a name that it does not know.
    let engine = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let line = String::from_utf8_lossy(&head).lines().next().unwrap().to_owned();
            let (status, body) = match line.contains("small") {
                true => ("200 OK", std::fs::read(&made).unwrap()),
                false => ("404 Not Found", br#"{"message":"No such image: none:1"}"#.to_vec()),
            };
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n").unwrap();
            stream.write_all(&body).unwrap();
            asked.push(line);
        }
        asked
    });
    let host = format!("unix://{}", socket.display());
    let taken = place.run_with(&[("DOCKER_HOST", &host)], &["image", "import-docker", "small:1"]);
    assert_eq!(taken.success(), "Loaded image: small:1\n");
    let missing = place.run_with(&[("DOCKER_HOST", &host)], &["image", "import-docker", "none:1"]);
    assert!(missing.stderr.contains("error: docker does not give none:1: No such image: none:1"), "{}", missing.stderr);
    assert_eq!(engine.join().unwrap()[0], "GET /images/get?names=small:1 HTTP/1.1");
    let nobody = place.run(&["image", "import-docker", "--socket", "/none.sock", "small:1"]);
    assert!(nobody.stderr.contains("failed to ask docker at /none.sock"), "{}", nobody.stderr);
    let remote = place.run_with(&[("DOCKER_HOST", "tcp://10.0.0.1:2375")], &["image", "import-docker", "small:1"]);
    assert!(remote.stderr.contains("is not on this machine"), "{}", remote.stderr);
    place.check_nothing_is_left();
}
