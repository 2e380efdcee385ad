//! Stacks from elsewhere: repositories, artifacts, what is asked, and what they may not name.

mod artifact;
mod git;
mod hostile;
mod publish;
mod questions;
mod registry;

use std::path::PathBuf;
use std::process::Command;

use rcompose_harness::Scratch;

use crate::scratch;

/// A stack that runs anywhere.
const SLEEPER: &str = "services: {web: {image: 'rootfs:/', init: true, command: [sleep, infinity], \
                       environment: {SAYS: \"${SAYS:-nothing}\"}}}\n";

/// A place with a home and a cache of its own.
fn place() -> Scratch {
    let mut place = scratch(SLEEPER);
    let (home, cache) = (place.project().join("home"), place.project().join("cache"));
    std::fs::create_dir(&home).expect("a folder can be made");
    place.set("HOME", &home.to_string_lossy());
    place.set("XDG_CACHE_HOME", &cache.to_string_lossy());
    place
}

/// A repository in a folder of the place.
struct Repository {
    folder: PathBuf,
}

impl Repository {
    fn new(place: &Scratch, name: &str, files: &[(&str, &str)]) -> Self {
        let repository = Self { folder: place.project().join(name) };
        std::fs::create_dir_all(&repository.folder).expect("a folder can be made");
        repository.git(&["init", "--quiet", "--initial-branch=main", "."]);
        repository.commit(files);
        repository
    }

    fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// Writes files, or links where the text begins with `->`, and gives the commit.
    fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.folder.join(name);
            std::fs::create_dir_all(path.parent().expect("it is below the top")).expect("a folder can be made");
            // A link is replaced, not written through.
            let _ = std::fs::remove_file(&path);
            let written = match text.strip_prefix("->") {
                Some(target) => std::os::unix::fs::symlink(target, path),
                None => std::fs::write(path, text),
            };
            written.expect("a file can be written");
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, words: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false"]).args(words);
        let output = command.current_dir(&self.folder).env("GIT_CONFIG_GLOBAL", "/dev/null").output().expect("git is installed");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
