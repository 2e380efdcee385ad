//! `build`: images from Dockerfiles, by running or describing what comes out.

mod caches;
mod contexts;

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use rcompose_harness::{Scratch, wait_for};
use rustix::process::Signal;

use crate::scratch;

/// A base of one program, made without any registry.
const BASE: &str = "FROM scratch AS base\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";

const ONE: &str = "name: shop\nservices:\n  web:\n    build: .\n    init: true\n";

/// A stack of one service, built from `base` and these lines.
fn place(lines: &str) -> Scratch {
    let place = scratch(ONE);
    std::fs::copy("/bin/busybox", place.project().join("busybox")).expect("busybox-static is installed");
    dockerfile(&place, lines);
    place
}

fn dockerfile(place: &Scratch, lines: &str) {
    place.write("Dockerfile", &format!("{BASE}{lines}"));
}

/// Builds, and gives what was said.
#[track_caller]
fn built(place: &Scratch) -> String {
    let answer = place.run(&["build"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    answer.stderr
}

/// What a shell says in a container of the image.
#[track_caller]
fn said(place: &Scratch, script: &str) -> String {
    place.run(&["run", "--rm", "-T", "--no-deps", "-q", "--entrypoint", "/bin/sh", "web", "-c", script]).success()
}

fn image(place: &Scratch) -> serde_json::Value {
    let text = place.run(&["image", "inspect", "shop-web"]).success();
    let mut images: serde_json::Value = serde_json::from_str(&text).expect("a description is JSON");
    images[0].take()
}

/// Steps that ran, and steps that were taken from the cache.
fn steps(told: &str) -> (usize, usize) {
    let count = |word: &str| told.lines().filter(|line| line.starts_with('#') && line.contains(word)).count();
    (count(" DONE "), count(" CACHED"))
}

#[test]
fn a_stack_that_is_built_comes_up_and_stays_what_it_is() {
    let place = place(
        "FROM base\nWORKDIR /app\nCOPY greeting .\nENV WHO=you\nRUN echo \"$(cat greeting), $WHO\" > out\nCMD [\"sh\", \"-c\", \"cat out; exec sleep 1000\"]\n",
    );
    place.write("greeting", "hello");
    place.run(&["up", "-d"]).success();
    let logs = || place.run(&["logs", "--no-log-prefix"]).success();
    wait_for("output", || logs().contains("hello, you").then_some(()));
    let description = image(&place);
    assert_eq!(description["Config"]["Labels"]["com.docker.compose.service"], "web");
    assert_eq!(description["Config"]["WorkingDir"], "/app");
    // Nothing has changed: the same image, and the container goes on.
    let before = place.run(&["ps", "-q"]).success();
    place.run(&["up", "-d", "--build"]).success();
    assert_eq!((image(&place)["Id"].clone(), place.run(&["ps", "-q"]).success()), (description["Id"].clone(), before.clone()));
    place.write("greeting", "good bye");
    place.run(&["up", "-d"]).success();
    assert_eq!(place.run(&["ps", "-q"]).success(), before, "without --build what is there is used");
    place.run(&["up", "-d", "--build"]).success();
    wait_for("output", || logs().contains("good bye, you").then_some(()));
    place.run(&["down", "-t", "0"]).success();
    place.check_nothing_is_left();
}

#[test]
fn only_what_depends_on_a_change_runs_again_and_it_is_said_why() {
    let place = place("FROM base\nCOPY a /a\nRUN cat /a > /one\nCOPY b /b\nRUN cat /b > /two\n");
    place.write("a", "1");
    place.write("b", "1");
    assert_eq!(steps(&built(&place)), (6, 1));
    assert_eq!(steps(&built(&place)), (0, 7));
    // Neither a time nor a file that nobody reads matters.
    place.write("b", "1");
    place.write("c", "1");
    assert_eq!(steps(&built(&place)), (0, 7));
    place.write("b", "2");
    let told = built(&place);
    assert_eq!(steps(&told), (2, 5));
    assert!(told.contains("runs again: `b` changed"), "{told}");
    assert_eq!(said(&place, "cat /one /two"), "12");
    std::fs::set_permissions(place.project().join("b"), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(steps(&built(&place)).0, 2, "the mode is part of a file");
    place.run(&["build", "--no-cache"]).success();
    let answer = place.run(&["build", "--no-cache"]);
    assert_eq!(steps(&answer.stderr).1, 1, "only the base of a stage is not built: {}", answer.stderr);
}

#[test]
fn stages_that_nobody_needs_are_not_built() {
    let place =
        place("FROM base AS unused\nRUN false\nFROM base AS used\nRUN echo yes > /file\nFROM base\nCOPY --from=used /file /\n");
    assert!(!built(&place).contains("unused"));
    assert_eq!(said(&place, "cat /file"), "yes\n");
    place.write("compose.yaml", "name: shop\nservices:\n  web:\n    build: {context: ., target: unused}\n");
    assert_eq!(place.run(&["build"]).code, 1);
}

#[test]
fn copies_arrive_as_they_are_asked_to() {
    let place = place(concat!(
        "COPY <<passwd <<group /etc/\nroot:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\npasswd\nroot:x:0:\nstaff:x:50:\ngroup\n",
        "FROM base AS made\nRUN mkdir -p /d/sub && echo f > /d/sub/f && ln -s sub/f /d/l && chmod 600 /d/sub/f && chown 7:8 /d/sub/f\n",
        "FROM base\n",
        "COPY --from=made /d /kept/\n",
        "COPY --from=made --chown=web:staff --chmod=u=rwX,go=rX /d /owned/\n",
        "COPY --parents tree/./x/*.txt /parents/\n",
        "COPY --exclude=**/*.txt --exclude=*.gz tree *ed.tar* /excluded/\n",
        "COPY tree/x/a.* tree/y /several/\n",
        "COPY tree/x/a.txt /file\n",
        "COPY [\"with blank\", \"/blank/\"]\n",
        "COPY --link tree/x/a.txt /linked/\n",
        "ADD packed.tar.gz /packed/\n",
        "ADD --unpack=false packed.tar.gz /whole/\n",
    ));
    for folder in ["tree/x", "tree/y", "packed"] {
        std::fs::create_dir_all(place.project().join(folder)).unwrap();
    }
    for (name, text) in [
        ("tree/x/a.txt", "a"),
        ("tree/x/b.md", "b"),
        ("tree/y/c", "c"),
        ("with blank", "blank"),
        ("packed/in", "in"),
        ("packed/.wh.no", ""),
    ] {
        place.write(name, text);
    }
    let mut tar = std::process::Command::new("tar");
    tar.args(["-C", "packed", "--owner=9", "--group=9", "-czf", "packed.tar.gz", "."]).current_dir(place.project());
    assert!(tar.status().unwrap().success());
    built(&place);
    let found = said(
        &place,
        "cd /; find kept owned parents excluded several file linked packed whole | sort | xargs stat -c '%n %a %u:%g'",
    );
    let expected = [
        "excluded 755 0:0",
        "excluded/x 755 0:0",
        "excluded/x/b.md 644 0:0",
        "excluded/y 755 0:0",
        "excluded/y/c 644 0:0",
        "file 644 0:0",
        "kept 755 0:0",
        "kept/l 777 0:0",
        "kept/sub 755 0:0",
        "kept/sub/f 600 7:8",
        "linked 755 0:0",
        "linked/a.txt 644 0:0",
        "owned 755 33:50",
        "owned/l 777 33:50",
        "owned/sub 755 33:50",
        "owned/sub/f 644 33:50",
        "packed 755 0:0",
        "packed/.wh.no 644 9:9",
        "packed/in 644 9:9",
        "parents 755 0:0",
        "parents/x 755 0:0",
        "parents/x/a.txt 644 0:0",
        "several 755 0:0",
        "several/a.txt 644 0:0",
        "several/c 644 0:0",
        "whole 755 0:0",
        "whole/packed.tar.gz 644 0:0",
    ];
    let found: Vec<&str> = found.lines().collect();
    assert_eq!(found, expected);
    assert_eq!(said(&place, "cat '/blank/with blank' /owned/l"), "blankf\n");
}

#[test]
fn what_a_step_removes_or_replaces_is_gone_from_the_image_and_loads_elsewhere() {
    let place = place(concat!(
        "FROM base\nRUN mkdir -p /d/deep && echo 1 > /d/deep/f && echo 2 > /d/g && echo 3 > /h && ln /h /hard\n",
        "RUN rm -r /d/deep /h && mkdir /d/deep && echo new > /d/deep/n && rm /d/g && ln -s /bin /d/g && chmod 1777 /\n",
    ));
    built(&place);
    let check = "ls -A /d/deep; readlink /d/g; test -e /h || echo gone; cat /hard; stat -c %a /";
    assert_eq!(said(&place, check), "n\n/bin\ngone\n3\n1777\n");
    // The archive that a build never wrote has the digests that its layers have.
    let other = place_of_another(&place);
    assert_eq!(
        other.run(&["image", "inspect", "-f", "{{.Id}}", "shop-web"]).success(),
        format!("{}\n", image(&place)["Id"].as_str().unwrap())
    );
    assert_eq!(said(&other, check), "n\n/bin\ngone\n3\n1777\n");
    // Nothing of the places of mounts is left in the image.
    assert_eq!(said(&other, "cd /; ls -dA etc/resolv.conf run 2>&1 | wc -l").trim(), "2");
    let layers = std::process::Command::new("sh")
        .arg("-c")
        .arg("mkdir -p x && tar -xf image.tar -C x && for l in x/blobs/sha256/*; do tar -tf $l 2>/dev/null; done")
        .current_dir(place.project())
        .output()
        .unwrap();
    let names = String::from_utf8_lossy(&layers.stdout).into_owned();
    assert!(names.contains("d/deep/.wh..wh..opq") && names.contains("d/deep/n") && names.contains(".wh.h"), "{names}");
    assert!(!names.contains("resolv.conf") && !names.contains("proc/"), "{names}");
}

/// Another data root with the image, by way of an archive.
fn place_of_another(place: &Scratch) -> Scratch {
    let archive = place.project().join("image.tar").display().to_string();
    place.run(&["image", "save", "-o", &archive, "shop-web"]).success();
    let other = scratch("name: shop\nservices:\n  web:\n    image: shop-web\n");
    other.run(&["image", "load", "-i", &archive]).success();
    other
}

#[test]
fn mounts_show_what_they_should_and_leave_nothing() {
    let place = place(concat!(
        "FROM base AS other\nRUN mkdir -p /o/in && echo o > /o/in/f\n",
        "FROM base\n",
        "RUN --mount=target=/ctx,rw ls -A /ctx > /listed && echo x > /ctx/new\n",
        "RUN --mount=target=/ctx ! touch /ctx/new\n",
        "RUN --mount=target=/one,source=seen cat /one > /seen\n",
        "RUN --mount=from=other,source=/o,target=/o cat /o/in/f > /other && ! touch /o/x\n",
        "RUN --mount=type=tmpfs,target=/t,size=1m echo x > /t/x\n",
        "RUN --mount=type=cache,target=/c,mode=0700,uid=5 stat -c '%a %u' /c > /cache && echo x >> /c/count && cat /c/count >> /cache\n",
        "RUN --mount=type=cache,target=/c ls /c > /cached\n",
        "RUN --network=none ip -o link | wc -l > /links\n",
    ));
    place.write(".dockerignore", "hidden\n*.tmp\n");
    std::fs::create_dir_all(place.project().join("hidden/deep")).unwrap();
    for name in ["seen", "a.tmp", "hidden/deep/f"] {
        place.write(name, name);
    }
    built(&place);
    assert_eq!(said(&place, "cat /listed"), ".dockerignore\nDockerfile\nbusybox\ncompose.yaml\nseen\n");
    assert_eq!(said(&place, "cat /seen /other /cache /cached /links"), "seeno\n700 5\nx\ncount\n1\n");
    assert_eq!(said(&place, "ls -d /ctx /o /t /c /one 2>/dev/null; true"), "");
    assert!(!place.project().join("new").exists());
    // The cache outlives its image; a bind mount counts by its content.
    place.write("seen", "again");
    let told = built(&place);
    assert!(
        told.contains("runs again: `seen` changed") || told.contains("runs again: `compose.yaml`") || told.contains("`seen`"),
        "{told}"
    );
}

#[test]
fn secrets_and_agents_reach_the_step_and_nothing_else() {
    const SECRET: &str = "correct-horse-battery-staple-417";
    let place = place(concat!(
        "FROM base\n",
        "RUN --mount=type=secret,id=token --mount=type=secret,id=token,env=TOKEN ",
        "test \"$(cat /run/secrets/token)\" = \"$TOKEN\" && echo ${#TOKEN} > /length && stat -c %a /run/secrets/token >> /length\n",
        "RUN env | grep -c TOKEN > /later || true\n",
        "RUN --mount=type=secret,id=missing ls /run/secrets > /none 2>&1 || true\n",
        "RUN --mount=type=ssh test -S $SSH_AUTH_SOCK && stat -c %a $SSH_AUTH_SOCK > /agent\n",
    ));
    let socket = place.project().join("a.sock");
    let agent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    place.write("token", SECRET);
    place.write(".dockerignore", "token\n*.sock\n");
    place.write("compose.yaml", &format!(
        "name: shop\nservices:\n  web:\n    build:\n      context: .\n      secrets: [token]\n      ssh: [\"default={}\"]\nsecrets:\n  token:\n    file: ./token\n",
        socket.display()
    ));
    let told = built(&place);
    drop(agent);
    assert_eq!(
        said(&place, "cat /length /later /agent; ls -d /run/secrets /run/buildkit 2>/dev/null; true"),
        format!("{}\n400\n0\n600\n", SECRET.len())
    );
    let data = place.project().join("../data").display().to_string();
    let found = std::process::Command::new("grep").args(["-rlF", SECRET, &data]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "a secret is on the disk");
    assert!(!told.contains(SECRET) && !place.run(&["image", "inspect", "shop-web"]).success().contains(SECRET));
}

#[test]
fn a_step_that_fails_shows_its_output_its_status_and_its_line() {
    let place = place("FROM base\nRUN echo before && \\\n    sh -c 'echo the end of it; exit 7'\n");
    let answer = place.run(&["build"]);
    assert_eq!(answer.code, 1);
    for text in [
        "#4 ERROR: the command ended with exit code 7",
        "------\n > [web stage-1 2/2] RUN echo before &&",
        "the end of it\n------\n",
        "   5 | >>> RUN echo before && \\\n   6 | >>>     sh -c 'echo the end of it; exit 7'\n",
        "error: failed to build service `web`",
        "caused by: [stage-1 2/2] RUN echo before",
    ] {
        assert!(answer.stderr.contains(text), "{text}\n in\n{}", answer.stderr);
    }
    // All that is wrong with the file at once.
    dockerfile(&place, "FRON base\nCOPY x\n");
    let answer = place.run(&["build"]);
    assert!(
        answer.stderr.contains(":4:1: unknown instruction `FRON`") && answer.stderr.contains("line 5:6: COPY requires"),
        "{}",
        answer.stderr
    );
    dockerfile(&place, "FROM base\nCOPY nothing /\n");
    let answer = place.run(&["build"]);
    assert!(answer.stderr.contains("`nothing` is not in the build context"), "{}", answer.stderr);
    place.check_nothing_is_left();
}

#[test]
fn a_build_that_is_interrupted_kills_its_steps_and_keeps_what_was_finished() {
    let place = place("FROM base\nRUN echo kept > /kept\nRUN sleep 1000\n");
    let mut child = place.spawn(&["build"]);
    wait_for("the step", || (!place.monitors().is_empty() && errors(&place).contains("RUN sleep")).then_some(()));
    wait_for("the sleep", || running(&place, "sleep 1000").then_some(()));
    place.kill(i32::try_from(child.id()).unwrap(), Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    wait_for("its end", || place.monitors().is_empty().then_some(()));
    wait_for("nothing left", || (place.cgroups().is_empty() && mounts(&place).is_empty()).then_some(()));
    dockerfile(&place, "FROM base\nRUN echo kept > /kept\n");
    assert_eq!(steps(&built(&place)), (0, 4));
    place.check_nothing_is_left();
}

#[test]
fn a_supervisor_that_is_killed_takes_its_steps_along_and_leaves_a_cache_that_is_whole() {
    let place = place("FROM base\nRUN echo kept > /kept\nRUN --mount=type=cache,target=/c sleep 1000\n");
    let mut child = place.spawn(&["build"]);
    wait_for("the sleep", || running(&place, "sleep 1000").then_some(()));
    place.kill(place.supervisor().expect("it builds"), Signal::KILL);
    child.wait().unwrap();
    wait_for("the end of the step", || (!running(&place, "sleep 1000") && place.monitors().is_empty()).then_some(()));
    dockerfile(&place, "FROM base\nRUN echo kept > /kept\n");
    assert_eq!(steps(&built(&place)), (0, 4));
    assert_eq!(said(&place, "cat /kept"), "kept\n");
    let temporary = std::fs::read_dir(place.project().join("../data/images/tmp")).unwrap().count();
    assert_eq!(temporary, 0, "what was being made is gone");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn services_that_share_steps_share_the_work_and_one_can_be_the_base_of_another() {
    let place = place("FROM base\nRUN sleep 0.2; cat /proc/sys/kernel/random/uuid > /id\n");
    std::fs::create_dir(place.project().join("child")).unwrap();
    place.write("child/Dockerfile", "FROM parent\nCOPY --from=extra f /\n");
    place.write("child/f", "f");
    place.write("compose.yaml", concat!(
        "name: shop\nservices:\n  web: {build: .}\n  twin: {build: .}\n",
        "  child:\n    image: kid:1\n    build:\n      context: child\n      additional_contexts:\n        parent: service:web\n        extra: ./child\n",
    ));
    place.run(&["build"]).success();
    let ids = |name: &str| place.run(&["image", "inspect", "-f", "{{.RootFS.Layers}}", name]).success();
    assert_eq!(ids("shop-web"), ids("shop-twin"), "the step ran once");
    let run = |service: &str| place.run(&["run", "--rm", "-T", "-q", service, "cat", "/id"]).success();
    assert_eq!(run("child"), run("web"));
    assert_eq!(place.run(&["run", "--rm", "-T", "-q", "child", "cat", "/f"]).success(), "f");
}

#[test]
fn instructions_for_children_and_arguments_in_their_scope() {
    let place = place(concat!(
        "FROM base AS parent\nONBUILD COPY seed /seed\nONBUILD RUN echo grown >> /seed\nENV KEPT=1\n",
        "FROM parent AS child\nARG A=default\nARG TARGETARCH\nRUN echo \"$A $TARGETARCH $KEPT\" > /args\nENTRYPOINT [\"cat\"]\nCMD [\"/args\"]\n",
    ));
    place.write("seed", "seed ");
    built(&place);
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    assert_eq!(said(&place, "cat /seed /args"), format!("seed grown\ndefault {architecture} 1\n"));
    let answer = place.run(&["build", "--build-arg", "A=given", "--build-arg", "NONE=x"]);
    assert!(answer.stderr.contains("runs again: argument `A` changed"), "{}", answer.stderr);
    assert!(answer.stderr.contains("build argument `NONE` is not declared"), "{}", answer.stderr);
    assert_eq!(place.run(&["run", "--rm", "-T", "-q", "web"]).success(), format!("given {architecture} 1\n"));
}

#[test]
fn the_same_files_make_the_same_image_at_any_time_when_the_time_is_given() {
    let build = |place: &Scratch| {
        place.run(&["build", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000"]).success();
        image(place)
    };
    let lines = "FROM base\nWORKDIR /w\nCOPY f .\nRUN echo x > /made\n";
    let (one, other) = (place(lines), place(lines));
    one.write("f", "f");
    let first = build(&one);
    other.write("f", "f");
    assert_eq!(first["Id"], build(&other)["Id"]);
    assert_eq!(first["Created"], "2023-11-14T22:13:20Z");
}

#[test]
fn a_check_tells_and_builds_nothing() {
    let place = place("FROM base\nRUN false\nCMD echo\n");
    let answer = place.run(&["build", "--check"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("Dockerfile:6:1: JSONArgsRecommended"), "{}", answer.stderr);
    dockerfile(&place, "FROM base\nRUN false\n");
    let answer = place.run(&["build", "--check"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("no warnings found"), "{}", answer.stderr);
}

#[test]
fn links_of_a_context_lead_nowhere_else() {
    let place = place("FROM base\nCOPY link /\n");
    std::os::unix::fs::symlink("/etc/passwd", place.project().join("link")).unwrap();
    let answer = place.run(&["build"]);
    assert!(answer.code == 1 && answer.stderr.contains("`link` is not in the build context"), "{}", answer.stderr);
    dockerfile(&place, "FROM base\nCOPY ../../../etc/passwd /\n");
    assert_eq!(place.run(&["build"]).code, 1);
}

#[test]
fn a_build_of_ten_steps_that_are_all_known_takes_no_time() {
    let steps_of_it: String = (0..9).map(|number| format!("RUN echo {number} > /f{number}\n")).collect();
    let place = place(&format!("FROM base\n{steps_of_it}"));
    built(&place);
    let times = (0..5).map(|_| {
        let begun = Instant::now();
        assert_eq!(steps(&built(&place)).0, 0);
        begun.elapsed()
    });
    let best = times.min().expect("there were some");
    // The bench measures it; this only notices when it is far off, in a debug build on a busy machine.
    assert!(best.as_millis() < 500, "{best:?}");
}

fn errors(place: &Scratch) -> String {
    std::fs::read_to_string(place.project().join("../stderr")).unwrap_or_default()
}

fn mounts(place: &Scratch) -> Vec<String> {
    let folder = place.project().parent().expect("it is in a folder").display().to_string();
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the mount table can be read");
    table.lines().filter(|line| line.contains(&format!("{folder}/"))).map(str::to_owned).collect()
}

/// Tells whether a process of this place's steps runs these words.
fn running(place: &Scratch, words: &str) -> bool {
    let of_step = |cgroup: &std::path::Path| {
        let below = std::fs::read_dir(cgroup).into_iter().flatten().flatten().map(|entry| entry.path().join("cgroup.procs"));
        below
            .flat_map(|path| std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    place.cgroups().iter().flat_map(|cgroup| of_step(cgroup)).any(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").trim() == words
    })
}

#[test]
fn files_come_from_urls_and_repositories() {
    let place = place(concat!(
        "FROM base\n",
        "ADD http://127.0.0.1:8099/f http://127.0.0.1:8099/packed.tar.gz /got/\n",
        "ADD --checksum=sha256:5d7f49449ab22deac22d767b89549c55d9c58cb29e2f95eac0cce68c5b1f1b8a http://127.0.0.1:8099/g /g\n",
    ));
    std::fs::create_dir(place.project().join("served")).expect("the project can be written");
    for name in ["f", "g", "packed.tar.gz"] {
        place.write(&format!("served/{name}"), name);
    }
    let served = place.project().join("served").display().to_string();
    let mut server = place.command_in_network("/bin/busybox");
    let mut server = server.args(["httpd", "-f", "-p", "127.0.0.1:8099", "-h", &served]).spawn().expect("busybox serves files");
    wait_for("the server", || place.inside(&["ss", "-ltn"]).contains(":8099").then_some(()));
    let answer = place.run(&["build"]);
    assert!(answer.code == 1 && answer.stderr.contains("expected sha256:5d7f4944"), "{}", answer.stderr);
    let sum = std::process::Command::new("sha256sum").arg(place.project().join("served/g")).output().expect("it is installed");
    let sum = String::from_utf8_lossy(&sum.stdout)[..64].to_owned();
    let lines = std::fs::read_to_string(place.project().join("Dockerfile")).expect("it was written");
    place.write("Dockerfile", &lines.replace("5d7f49449ab22deac22d767b89549c55d9c58cb29e2f95eac0cce68c5b1f1b8a", &sum));
    built(&place);
    assert_eq!(said(&place, "cat /got/f /g; stat -c %a /got/f; ls /got"), "fg600\nf\npacked.tar.gz\n");
    assert_eq!(steps(&built(&place)).0, 0, "the same files make the same layers");
    place.write("served/f", "changed");
    assert!(built(&place).contains("runs again: `f` changed"));
    server.kill().expect("it runs");
    server.wait().expect("it runs");
    // A repository as a context: a commit, a directory of it, and nothing outside.
    let repository = place.project().join("made.git");
    std::fs::create_dir_all(repository.join("sub")).expect("the project can be written");
    place.write("made.git/sub/Dockerfile", "FROM scratch\nCOPY . /\nCMD [\"/busybox\", \"cat\", \"/file\"]\n");
    place.write("made.git/sub/file", "from git\n");
    std::fs::copy("/bin/busybox", repository.join("sub/busybox")).expect("busybox-static is installed");
    std::os::unix::fs::symlink("/etc", repository.join("out")).expect("links can be made");
    let script = "git init -q -b main . && git add . && git -c user.name=a -c user.email=a@b commit -q -m one";
    let made = std::process::Command::new("sh").args(["-c", script]).current_dir(&repository).status().expect("git is installed");
    assert!(made.success());
    let context = |what: &str| format!("name: shop\nservices:\n  web:\n    build: \"file://{}#{what}\"\n", repository.display());
    place.write("compose.yaml", &context("main:sub"));
    built(&place);
    assert_eq!(place.run(&["run", "--rm", "-T", "-q", "web"]).success(), "from git\n");
    assert_eq!(steps(&built(&place)).0, 0);
    place.write("compose.yaml", &context("main:out"));
    assert!(place.run(&["build"]).stderr.contains("`out` is not in"));
    place.write("compose.yaml", &context("nothing"));
    assert_eq!(place.run(&["build"]).code, 1);
}

#[test]
fn the_cache_outlives_the_image_and_the_supervisor() {
    let place = place("FROM base\nRUN head -c 2000000 /dev/zero > /large\n");
    built(&place);
    place.run(&["down", "--rmi", "all"]).success();
    let usage = place.run(&["builder", "df"]).success();
    assert!(usage.contains("no image has   ") && !usage.contains("no image has   0B"), "{usage}");
    assert_eq!(steps(&built(&place)).0, 0, "nothing ran again");
    place.run(&["down", "--rmi", "all"]).success();
    if let Some(supervisor) = place.supervisor() {
        place.kill(supervisor, Signal::KILL);
    }
    place.run(&["image", "prune", "-af"]).success();
    assert_eq!(steps(&built(&place)).0, 0, "nothing ran again");
}

#[test]
fn the_cache_is_shown_and_goes_when_asked_but_for_what_images_have() {
    let place = place(
        "FROM base AS spare\nRUN head -c 2000000 /dev/zero > /large\nFROM base\nCOPY --from=spare /large /other\nRUN --mount=type=cache,target=/c head -c 3000000 /dev/zero > /c/f\n",
    );
    built(&place);
    let usage = || place.run(&["builder", "df"]).success();
    assert!(usage().contains("Layers of 5 steps that no image has   2MB") && usage().contains("Caches of mounts"), "{}", usage());
    assert_eq!(place.run(&["builder", "prune"]).code, 1, "nobody is there to answer");
    assert_eq!(place.run(&["builder", "prune", "-f"]).success(), "Total reclaimed space: 2MB\n");
    assert_eq!(said(&place, "stat -c %s /other"), "2000000\n");
    // What is known of the image's own steps is still known.
    assert_eq!(steps(&built(&place)), (1, 6));
    assert_eq!(place.run(&["builder", "prune", "-a", "-f"]).success(), "Total reclaimed space: 5MB\n");
    assert_eq!(said(&place, "stat -c %s /other"), "2000000\n");
    place.run(&["down", "--rmi", "all"]).success();
    let left = std::fs::read_dir(place.project().join("../data/images/layers")).expect("it is there").count();
    assert_eq!(left, 0, "the last image takes its layers along");
}
