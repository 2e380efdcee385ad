//! Contexts that are no directories: archives by URL, images in folders.

use std::process::Command;

use rcompose_harness::wait_for;

use super::{place, said, steps};

/// Runs a program of the host in a folder.
#[track_caller]
fn host(folder: &std::path::Path, words: &[&str]) {
    let done = Command::new(words[0]).args(&words[1..]).current_dir(folder).status().expect("it is installed");
    assert!(done.success(), "{words:?}");
}

#[test]
fn an_archive_by_url_is_a_context() {
    let place = place("FROM scratch\n");
    let at = place.project();
    std::fs::create_dir_all(at.join("files/sub")).unwrap();
    std::fs::copy("/bin/busybox", at.join("files/busybox")).expect("busybox-static is installed");
    place.write("files/Dockerfile", "FROM scratch\nCOPY busybox /bin/sh\nCOPY . /all\n");
    place.write("files/.dockerignore", "busybox\n!busybox\n*.md\n");
    place.write("files/sub/f", "content");
    place.write("files/a.md", "ignored");
    std::os::unix::fs::symlink("/etc/hostname", at.join("files/link")).unwrap();
    std::fs::create_dir(at.join("served")).unwrap();
    host(&at, &["tar", "-czf", "served/context.tar.gz", "-C", "files", "."]);
    host(&at, &["tar", "-cf", "served/escape.tar", "-P", "--transform", "s,files/sub,../../escaped,", "files/sub/f"]);
    place.write("served/page", "<html>no archive</html>");
    let served = at.join("served").display().to_string();
    let mut server = place.command_in_network("/bin/busybox");
    let mut server = server.args(["httpd", "-f", "-p", "127.0.0.1:8099", "-h", &served]).spawn().expect("busybox serves files");
    wait_for("the server", || place.inside(&["ss", "-ltn"]).contains(":8099").then_some(()));
    let stack = |name: &str| {
        place.write(
            "compose.yaml",
            &format!("name: shop\nservices: {{web: {{build: 'http://127.0.0.1:8099/{name}', init: true}}}}"),
        )
    };
    stack("context.tar.gz");
    let built = place.run(&["build"]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    let seen = said(&place, "for f in /all/*; do echo $f; done; read x < /all/sub/f; echo $x");
    assert_eq!(seen, "/all/Dockerfile\n/all/busybox\n/all/link\n/all/sub\ncontent\n");
    assert_eq!(steps(&place.run(&["build"]).stderr).0, 0, "the same archive is the same context");
    place.run(&["build", "--check"]).success();
    for (name, why) in [
        ("page", "page: it is no archive that could be a context: "),
        ("escape.tar", "escape.tar: it is no archive that could be a context: "),
        ("none.tar", "none.tar: the server answered 404"),
    ] {
        stack(name);
        let refused = place.run(&["build"]);
        assert!(refused.code == 1 && refused.stderr.contains(why), "{}", refused.stderr);
    }
    stack("context.tar.gz");
    let offline = place.run(&["--offline", "build"]);
    assert!(offline.code == 1 && offline.stderr.contains("`--offline` fetches nothing"), "{}", offline.stderr);
    server.kill().expect("it runs");
    server.wait().expect("it runs");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn an_image_in_a_folder_is_a_context() {
    let place = place("FROM base\nRUN echo hello > /hello\n");
    place.run(&["build"]).success();
    place.run(&["image", "tag", "shop-web", "kept:one"]).success();
    place
        .run(&[
            "image",
            "save",
            "--format",
            "oci-archive",
            "-o",
            &place.project().join("saved.tar").display().to_string(),
            "kept:one",
        ])
        .success();
    let layout = place.project().join("layout");
    std::fs::create_dir(&layout).unwrap();
    host(&layout, &["tar", "-xf", "../saved.tar"]);
    place.run(&["image", "prune", "-af"]).success();
    place.run(&["builder", "prune", "-af"]).success();
    assert_eq!(place.run(&["image", "ls", "-q"]).success(), "");
    let stack = |context: &str| {
        let file = format!(
            "name: shop\nservices:\n  web:\n    init: true\n    build:\n      dockerfile_inline: |\n        FROM kept AS base\n        RUN cat /hello /hello > /twice\n        FROM base\n        COPY --from=kept /hello /again\n      additional_contexts: {{ kept: '{context}' }}\n"
        );
        place.write("compose.yaml", &file);
    };
    stack("oci-layout://./layout:one");
    let built = place.run(&["--offline", "build"]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    assert_eq!(said(&place, "cat /twice /again"), "hello\nhello\nhello\n");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    stack(&format!("oci-layout://{}@{digest}", layout.display()));
    assert_eq!(steps(&place.run(&["build"]).stderr).0, 0);
    for (context, why) in [
        ("oci-layout://./layout:two", "nothing in it is called `two`: there is one"),
        ("oci-layout://./none", "No such file or directory"),
    ] {
        stack(context);
        let refused = place.run(&["build"]);
        assert!(refused.code == 1 && refused.stderr.contains(why), "{}", refused.stderr);
    }
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}
