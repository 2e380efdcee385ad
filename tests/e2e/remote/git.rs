//! Repositories: what is fetched of them, and what does not happen on the way.

use super::{Repository, SLEEPER, place};

#[test]
fn a_stack_of_a_repository_comes_up_and_goes() {
    let place = place();
    let repository = Repository::new(&place, "shop.git", &[("compose.yaml", SLEEPER), ("deploy/compose.yml", SLEEPER)]);
    let url = repository.url();
    let up = place.run(&["-f", &url, "up", "-d", "-y"]);
    assert!(up.stderr.contains(&format!("Your compose stack \"{url}\" is stored in ")), "{}", up.stderr);
    up.success();
    assert!(place.run(&["-f", &url, "ps"]).success().contains("shop-web-1"), "a repository names its project");
    place.run(&["-f", &url, "down"]).success();
    let deploy = format!("{url}#main:deploy");
    assert!(place.run(&["-f", &deploy, "config"]).success().starts_with("name: deploy\n"));
    let missing = place.run(&["-f", &format!("{url}#:none"), "config"]);
    assert!(missing.code == 1 && missing.stderr.contains("it has no `none`"), "{}", missing.stderr);
    place.check_nothing_is_left();
}

#[test]
fn branches_tags_and_hashes_are_what_the_repository_says() {
    let place = place();
    let says = |text: &str| format!("services: {{web: {{image: {text}}}}}\n");
    let repository = Repository::new(&place, "shop", &[("compose.yaml", &says("first"))]);
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["-c", "tag.gpgSign=false", "tag", "--annotate", "--message=one", "v1"]);
    repository.commit(&[("compose.yaml", &says("second"))]);
    repository.git(&["branch", "evil/main"]);
    repository.commit(&[("compose.yaml", &says("third"))]);
    let image = |reference: &str| {
        let text = place.run(&["-f", &format!("{}{reference}", repository.url()), "config", "--images"]).success();
        text.trim().to_owned()
    };
    for (reference, expected) in [("", "third"), ("#main", "third"), ("#evil/main", "second"), ("#v1", "first")] {
        assert_eq!(image(reference), expected, "{reference}");
    }
    assert_eq!(image(&format!("#{first}")), "first");
    let none = place.run(&["-f", &format!("{}#none", repository.url()), "config"]);
    assert!(none.code == 1 && none.stderr.contains("the repository has no `none`"), "{}", none.stderr);
    // What was named by its hash is asked for once.
    std::fs::rename(&repository.folder, place.project().join("gone")).unwrap();
    assert_eq!(image(&format!("#{first}")), "first");
    assert_eq!(place.run(&["-f", &repository.url(), "config"]).code, 1);
}

#[test]
fn nothing_of_a_repository_is_executed() {
    let place = place();
    let marker = place.project().join("marker");
    let touch = format!("touch {}", marker.display());
    let inner = Repository::new(&place, "inner", &[("file", "x")]);
    let repository = Repository::new(
        &place,
        "shop",
        &[("compose.yaml", SLEEPER), (".gitattributes", "* filter=trap\n"), ("hooks/post-checkout", "x")],
    );
    let (url, commit) = (inner.url(), inner.git(&["rev-parse", "HEAD"]));
    repository.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},inner")]);
    std::fs::write(repository.folder.join(".gitmodules"), format!("[submodule \"inner\"]\n path = inner\n url = {url}\n"))
        .unwrap();
    repository.git(&["add", ".gitmodules"]);
    repository.git(&["commit", "--quiet", "--message=module"]);
    // Even where the user's own configuration has something to run.
    let hooks = place.project().join("user-hooks");
    std::fs::create_dir(&hooks).unwrap();
    for name in ["post-checkout", "reference-transaction", "post-index-change"] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(hooks.join(name), format!("#!/bin/sh\n{touch}\n")).unwrap();
        std::fs::set_permissions(hooks.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let settings = format!(
        "[filter \"trap\"]\n smudge = {touch}\n clean = {touch}\n[core]\n hooksPath = {}\n[submodule]\n recurse = true\n",
        hooks.display()
    );
    place.write("home/.gitconfig", &settings);
    place.run(&["-f", &repository.url(), "config", "-q"]).success();
    assert!(!marker.exists(), "something was executed");
    let entry = std::fs::read_dir(place.project().join("cache/rcompose/remote/git")).unwrap().next().unwrap().unwrap();
    let tree = entry.path().join("shop");
    assert_eq!(std::fs::read_dir(tree.join("inner")).unwrap().count(), 0, "a submodule is not followed");
    assert!(!tree.join(".git").exists() && tree.join("compose.yaml").exists());
}

#[test]
fn what_was_changed_since_is_not_read() {
    let place = place();
    let files = [("compose.yaml", "include: [more/compose.yaml]\n"), ("more/compose.yaml", SLEEPER)];
    let repository = Repository::new(&place, "shop", &files);
    let config = || place.run(&["-f", &repository.url(), "config"]);
    config().success();
    let entry = std::fs::read_dir(place.project().join("cache/rcompose/remote/git")).unwrap().next().unwrap().unwrap().path();
    let (tree, more) = (entry.join("shop"), entry.join("shop/more/compose.yaml"));
    std::fs::write(tree.join("more/.env"), "SAYS=trap\n").unwrap();
    let added = config();
    assert!(added.code == 1 && added.stderr.contains("it is no part of what was fetched"), "{}", added.stderr);
    let env = tree.join("more/.env").display().to_string();
    let allowed = place.run(&["-f", &repository.url(), "--allow-path", &env, "config"]).success();
    assert!(allowed.contains("SAYS: trap"), "{allowed}");
    std::fs::remove_file(env).unwrap();
    std::fs::write(&more, SLEEPER.replace("sleep", "trap")).unwrap();
    let changed = config();
    assert!(changed.code == 1 && changed.stderr.contains("it was changed after it was fetched"), "{}", changed.stderr);
    assert!(changed.stderr.contains(&format!("rm -r {}", entry.display())), "{}", changed.stderr);
    std::fs::remove_dir_all(entry).unwrap();
    config().success();
}

#[test]
fn a_cache_that_others_can_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let repository = Repository::new(&place, "shop", &[("compose.yaml", SLEEPER)]);
    let cache = place.project().join("cache/rcompose/remote");
    std::fs::create_dir_all(&cache).unwrap();
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    let refused = place.run(&["-f", &repository.url(), "config"]);
    assert!(refused.code == 1 && refused.stderr.contains("is not only ours to write to"), "{}", refused.stderr);
}

#[test]
fn a_fetch_that_was_cut_off_is_cleared_away() {
    let place = place();
    let repository = Repository::new(&place, "shop", &[("compose.yaml", SLEEPER)]);
    let cache = place.project().join("cache/rcompose/remote");
    std::fs::create_dir_all(cache.join("new/entry/shop")).unwrap();
    let commit = repository.git(&["rev-parse", "HEAD"]);
    std::fs::create_dir_all(cache.join(format!("git/shop-{commit}/shop"))).unwrap();
    place.run(&["-f", &repository.url(), "config", "-q"]).success();
    assert!(!cache.join("new").exists());
}
