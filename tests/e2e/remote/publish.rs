//! `publish`: what is sent comes back by `-f oci://`.

use super::place;
use super::registry::{ADDRESS, Registry};

#[test]
fn what_is_published_is_the_same_stack_elsewhere() {
    let place = place();
    let registry = Registry::start(&place);
    place.write(
        "compose.yaml",
        "name: shop\nservices:\n  web: {image: 'web:${TAG:-1}', extends: {file: base.yaml, service: base}, env_file: conf.env}\n",
    );
    place.write("base.yaml", "services: {base: {image: base, hostname: based, volumes: ['./data:/data']}}\n");
    place.write("conf.env", "MORE=here\nDB_PASSWORD=hunter2\n");
    let reference = format!("{ADDRESS}/team/shop:1");
    let refused = |arguments: &[&str]| {
        let answer = place.run(&[&["publish"], arguments, &[reference.as_str()]].concat());
        assert_eq!(answer.code, 1, "{}", answer.stderr);
        answer.stderr
    };
    assert!(refused(&[]).contains("a service has an `env_file`, which is not published"));
    let asked = refused(&["--with-env"]);
    assert!(asked.contains("service web: data") && asked.contains("--yes"), "{asked}");
    let asked = place.run_on_terminal(80, &["publish", "--with-env", &reference], "y\nn\n");
    assert!(asked.code == 1 && asked.stdout.contains("001.env: DB_PASSWORD"), "{}", asked.stdout);
    for version in ["1.0", "1.1"] {
        let sent = place.run(&["publish", "--with-env", "-y", "--oci-version", version, &reference]);
        assert!(sent.code == 0 && sent.stderr.contains("published as sha256:"), "{}", sent.stderr);
        let elsewhere = place.project().join(format!("elsewhere-{version}"));
        std::fs::create_dir(&elsewhere).unwrap();
        let config = place.run_in(&elsewhere, &["-f", &format!("oci://{reference}"), "config"]).success();
        for words in ["name: shop\n", "MORE: here", "hostname: based", "image: web:1", "target: /data"] {
            assert!(config.contains(words), "{words}: {config}");
        }
    }
    place.write("compose.yaml", "name: shop\ninclude: [base.yaml]\n");
    assert!(refused(&[]).contains("a stack that includes local files cannot be published"));
    place.write("compose.yaml", "name: shop\nservices: {web: {build: .}}\n");
    assert!(refused(&[]).contains("services have a build section and no image: web"));
    drop(registry);
}
