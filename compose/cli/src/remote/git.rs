//! Git repositories, by the `git` program: one commit, without history, hooks, filters and submodules.
//!
//! Nothing that a repository holds decides what `git` does: there is no checkout that would run hooks, and filters are known to the
//! user's own configuration alone, which has a say only in how the repository is reached.

mod reference;
mod run;

use std::path::PathBuf;

use super::cache::{Cache, Id, Scratch};
use super::tree::Tree;
use crate::environment::Environment;
use crate::output;
use reference::GitReference;
use run::{Git, Reach};

/// The most that a repository may hold: files, and bytes when they are unpacked.
const MAX_FILES: usize = 50_000;
const MAX_BYTES: u64 = 1 << 30;

/// Fetches a commit; `of_a_stranger` if what was fetched itself names the repository.
pub(super) fn fetch(
    text: &str,
    of_a_stranger: bool,
    cache: &Cache,
    environment: &Environment,
) -> Result<(Tree, PathBuf), String> {
    let reference = GitReference::parse(text)?;
    if of_a_stranger && reference.is_on_this_machine() {
        return Err("what was fetched from elsewhere may not name a repository of this machine".to_owned());
    }
    if !reference.is_trustworthy() {
        return Err("nobody vouches for what comes over plain http:// and git://: use https:// or ssh://, or name a commit \
                    by its whole hash"
            .to_owned());
    }
    let (commit, name) = match reference.commit() {
        Some(commit) => (commit.to_owned(), None),
        None => look_up(&reference, cache, environment)?,
    };
    let id = Id { kind: "git", name: reference.name(), hash: commit.clone() };
    let tree = match cache.find(&id)? {
        Some(tree) => tree,
        None => {
            let scratch = cache.scratch(&id)?;
            // Another command may have fetched it while this one waited for the lock.
            match cache.find(&id)? {
                Some(tree) => tree,
                None => {
                    output::tell(&format!("Fetching {}\n", rcompose_model::without_credentials(&reference.remote)));
                    fetch_commit(&reference, &commit, name.as_deref(), &id, &scratch, environment)?;
                    scratch.publish(&id)?
                }
            }
        }
    };
    let file = tree.compose_file(&reference.folder)?;
    Ok((tree, file))
}

/// The commit that a branch or tag stands for, with the full name under which the repository has it.
fn look_up(reference: &GitReference, cache: &Cache, environment: &Environment) -> Result<(String, Option<String>), String> {
    let scratch = cache.scratch(&Id { kind: "git", name: reference.name(), hash: String::new() })?;
    let git = Git { reference, environment, folder: scratch.folder() };
    // A tag that is an object of its own is followed by what it stands for.
    let peeled = format!("{}^{{}}", reference.wanted());
    let listed = git.run(Reach::Repository, &["ls-remote", "--", &reference.remote, reference.wanted(), &peeled])?;
    let missing = || format!("the repository has no `{}`", reference.wanted());
    let (commit, name) = reference::choose(&String::from_utf8_lossy(&listed), reference.wanted()).ok_or_else(missing)?;
    Ok((commit, Some(name)))
}

fn fetch_commit(
    reference: &GitReference,
    commit: &str,
    name: Option<&str>,
    id: &Id,
    scratch: &Scratch<'_>,
    environment: &Environment,
) -> Result<(), String> {
    let git = Git { reference, environment, folder: scratch.folder() };
    git.run(Reach::Here, &["init", "--quiet", "--bare", "--template=", "git"])?;
    let fetch = |what: &str| {
        let words = ["--git-dir=git", "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules"];
        let rest = ["--no-write-fetch-head", "--", &reference.remote, what];
        git.run(Reach::Repository, &[&words[..], &rest[..]].concat())
    };
    // Some servers give only what has a name.
    match (fetch(commit), name) {
        (Ok(_), _) => {}
        (Err(_), Some(name)) => drop(fetch(name)?),
        (Err(why), None) => return Err(why),
    }
    let object = format!("{commit}^{{commit}}");
    let found = git.run(Reach::Here, &["--git-dir=git", "rev-parse", "--verify", "--quiet", "--end-of-options", &object])?;
    if String::from_utf8_lossy(&found).trim() != commit {
        return Err(format!("`{commit}` is no commit"));
    }
    check_size(&git.run(Reach::Here, &["--git-dir=git", "ls-tree", "-r", "-l", "-z", commit])?)?;
    let tree = format!("--work-tree={}", scratch.tree(id).display());
    git.run(Reach::Here, &["--git-dir=git", "read-tree", commit])?;
    git.run(Reach::Here, &["--git-dir=git", &tree, "checkout-index", "--all", "--quiet"])?;
    Ok(())
}

/// Before anything is unpacked: a few bytes can stand for more than a disk holds.
fn check_size(listed: &[u8]) -> Result<(), String> {
    let (mut files, mut bytes) = (0_usize, 0_u64);
    for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let about = entry.split(|byte| *byte == b'\t').next().unwrap_or_default();
        let size = about.rsplit(|byte| *byte == b' ').next().and_then(|size| std::str::from_utf8(size).ok()?.parse().ok());
        files += 1;
        // A submodule has none; it is an empty folder.
        bytes = bytes.saturating_add(size.unwrap_or(0));
    }
    if files > MAX_FILES || bytes > MAX_BYTES {
        return Err(format!("it has {files} files of {bytes} bytes: at most {MAX_FILES} and {MAX_BYTES} are fetched"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_refused_before_it_is_unpacked() {
        let entry = |size: &str, name: &str| format!("100644 blob {} {size}\t{name}\0", "a".repeat(40));
        assert!(check_size(format!("{}{}", entry("    12", "a b"), entry("      -", "module")).as_bytes()).is_ok());
        assert!(check_size(entry("1073741825", "large").as_bytes()).is_err());
        assert!(check_size(entry("1", "x").repeat(MAX_FILES + 1).as_bytes()).is_err());
        assert!(check_size(entry("18446744073709551615", "x").repeat(2).as_bytes()).is_err());
    }
}
