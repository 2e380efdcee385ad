//! What a stack from elsewhere may not do: name files of this machine.

use super::{Repository, SLEEPER, place};

/// Words of a service, or of the whole file, and where they lead.
const OUTSIDE: [(&str, &str); 22] = [
    ("volumes: ['/etc:/x']", "/etc"),
    ("volumes: ['../../../../../x:/x']", "x"),
    ("volumes: ['~/.ssh:/x']", "/.ssh"),
    ("volumes: ['${HOME}/.ssh:/x']", "/.ssh"),
    ("volumes: ['./out/hostname:/x']", "/etc/hostname"),
    ("volumes: [{type: bind, source: ./deep/out, target: /x}]", "/etc/none"),
    ("env_file: /etc/hostname", "/etc/hostname"),
    ("env_file: [{path: ./out/hostname, required: false}]", "/etc/hostname"),
    ("label_file: ./out/hostname", "/etc/hostname"),
    ("build: {context: ..}", ""),
    ("build: {context: ., dockerfile: ../../../x}", "x"),
    ("build: {context: ., additional_contexts: {a: ./out}}", "/etc"),
    ("build: {context: ., cache_to: ['type=local,dest=/etc/x']}", "/etc/x"),
    ("security_opt: ['seccomp=./out/x.json']", "/etc/x.json"),
    ("develop: {watch: [{path: ./out, action: sync, target: /x}]}", "/etc"),
    ("extends: {service: a, file: ./out/x.yaml}", "/etc/x.yaml"),
    ("image: 'rootfs:/home'", "/home"),
    ("}}\nconfigs: {c: {file: /etc/hostname}}\nx-rest: {a: {", "/etc/hostname"),
    ("}}\nsecrets: {c: {file: ./out/hostname}}\nx-rest: {a: {", "/etc/hostname"),
    ("}}\nvolumes: {v: {driver_opts: {type: none, o: 'bind,ro', device: /etc}}}\nx-rest: {a: {", "/etc"),
    ("}}\ninclude: [./out/hostname]\nx-rest: {a: {", "/etc/hostname"),
    ("}}\ninclude: [{path: ok.yaml, env_file: /etc/hostname}]\nx-rest: {a: {", "/etc/hostname"),
];

#[test]
fn no_path_leaves_the_tree() {
    let place = place();
    let repository = Repository::new(&place, "shop", &[("out", "->/etc"), ("deep/out", "->/etc/none"), ("ok.yaml", SLEEPER)]);
    for (words, leads_to) in OUTSIDE {
        let image = if words.starts_with("image") { "" } else { "image: x, " };
        let compose = format!("services: {{web: {{{image}{words}}}}}\n");
        let compose = if words.starts_with("}}") { format!("services: {{web: {{image: x{words}}}}}\n") } else { compose };
        repository.commit(&[("compose.yaml", &compose)]);
        let url = repository.url();
        for arguments in [&["config"][..], &["config", "--no-path-resolution"], &["up", "-y", "-d"]] {
            let answer = place.run(&[&["-f", &url], arguments].concat());
            assert_eq!(answer.code, 1, "{words}: {answer:?}");
            assert!(answer.stderr.contains(" is outside of file://"), "{words}: {}", answer.stderr);
            assert!(answer.stderr.contains("compose.yaml:"), "{words}: no place: {}", answer.stderr);
            let hint = answer.stderr.lines().find(|line| line.contains("--allow-path")).unwrap_or_default();
            assert!(hint.contains(leads_to), "{words}: {hint}");
        }
    }
}

#[test]
fn what_is_inside_or_allowed_is_fine() {
    let place = place();
    let inside = "services: {web: {image: 'rootfs:/', init: true, command: [sleep, infinity], env_file: link/a.env,\n  \
                  volumes: ['./data:/data', './link:/link', 'named:/n'], configs: [c]}}\n\
                  configs: {c: {file: data/a.env}}\nvolumes: {named: {}}\n";
    let repository =
        Repository::new(&place, "shop", &[("compose.yaml", inside), ("data/a.env", "SAYS=this\n"), ("link", "->data")]);
    let config = place.run(&["-f", &repository.url(), "config"]).success();
    assert!(config.contains("SAYS: this"), "{config}");
    repository.commit(&[("compose.yaml", "services: {web: {image: x, volumes: ['/etc/hostname:/x']}}\n")]);
    let refused = place.run(&["-f", &repository.url(), "config"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    place.run(&["-f", &repository.url(), "--allow-path", "/etc/hostname", "config"]).success();
    place.run_with(&[("RCOMPOSE_ALLOW_PATHS", "/srv:/etc")], &["-f", &repository.url(), "config"]).success();
    // What the user's own file says of the stack is not confined.
    place.write("over.yaml", "services: {web: {volumes: !override ['/etc/hosts:/y']}}\n");
    let merged = place.run(&["-f", &repository.url(), "-f", "over.yaml", "config"]).success();
    assert!(merged.contains("source: /etc/hosts"), "{merged}");
}

#[test]
fn links_to_the_outside_are_not_read() {
    let place = place();
    place.write("secret.yaml", SLEEPER);
    place.write("secret.env", "SAYS=secret\n");
    let file = |name: &str| format!("->{}", place.project().join(name).display());
    let linked = Repository::new(&place, "linked", &[("compose.yaml", &file("secret.yaml"))]);
    let answer = place.run(&["-f", &linked.url(), "config"]);
    assert!(answer.code == 1 && answer.stderr.contains("a link leads out of what was fetched"), "{}", answer.stderr);
    let shop = Repository::new(&place, "shop", &[("compose.yaml", SLEEPER), (".env", &file("secret.env"))]);
    place.write("compose.yaml", &format!("include: ['{}']\n", shop.url()));
    let answer = place.run(&["config"]);
    assert!(answer.code == 1 && answer.stderr.contains("secret.env, is outside of file://"), "{}", answer.stderr);
    assert!(answer.stderr.contains("compose.yaml:1:"), "{}", answer.stderr);
}

#[test]
fn a_stranger_names_no_repository_of_this_machine() {
    let place = place();
    let inner = Repository::new(&place, "inner", &[("compose.yaml", SLEEPER)]);
    let shop = Repository::new(&place, "shop", &[("compose.yaml", &format!("include: ['{}']\n", inner.url()))]);
    let answer = place.run(&["-f", &shop.url(), "config"]);
    assert!(answer.code == 1 && answer.stderr.contains("may not name a repository of this machine"), "{}", answer.stderr);
}

#[test]
fn addresses_that_cannot_be_trusted_are_refused() {
    let place = place();
    for (reference, why) in [
        ("http://host.example/shop.git", "nobody vouches for what comes over plain http://"),
        ("https://host.example/compose.yaml", "its address does not end with `.git`"),
        ("ssh://-oProxyCommand=touch/x", "its address cannot be read"),
        ("https://me:secret@127.0.0.1:1/shop.git", "https://127.0.0.1:1/shop.git"),
    ] {
        let answer = place.run(&["-f", reference, "config"]);
        assert!(answer.code == 1 && answer.stderr.contains(why), "{reference}: {}", answer.stderr);
        assert!(!answer.stderr.contains("secret"), "{}", answer.stderr);
    }
    for (variable, reference) in
        [("COMPOSE_EXPERIMENTAL_GIT_REMOTE", "file:///nowhere"), ("COMPOSE_EXPERIMENTAL_OCI_REMOTE", "oci://127.0.0.1:1/x")]
    {
        let answer = place.run_with(&[(variable, "false")], &["-f", reference, "config"]);
        let expected = format!("{variable} switches that off");
        assert!(answer.code == 1 && answer.stderr.contains(&expected), "{}", answer.stderr);
    }
}
