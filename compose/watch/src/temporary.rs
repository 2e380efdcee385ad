//! Names of files that editors and tools make on their way, and that nobody wants in a container.

/// Tells whether a path has such a name, or is in a directory of version control.
pub(crate) fn is_temporary(path: &str) -> bool {
    path.split('/').any(|part| part == ".git") || path.rsplit('/').next().is_some_and(is_name)
}

fn is_name(name: &str) -> bool {
    let hidden = name.starts_with('.');
    // vim: a number that is no file yet, to learn whether it may write here; swap files; backups.
    name == "4913"
        || name.ends_with('~')
        || hidden && [".swp", ".swo", ".swx", ".swn"].iter().any(|end| name.ends_with(end))
        // emacs: what was saved by itself; locks.
        || name.starts_with('#') && name.ends_with('#')
        || name.starts_with(".#")
        || name.ends_with("___jb_tmp___")
        || name.ends_with("___jb_old___")
        || hidden && name.ends_with(".kate-swp")
        || name.ends_with("-go-tmp-umask")
        || name.starts_with(".goutputstream-")
        // Ours, where a container's folder is the one that is watched.
        || hidden && name.ends_with(".rcompose")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_are_known_by_their_files() {
        for name in [
            "4913",
            "a.c~",
            ".a.c.swp",
            "#a.c#",
            ".#a.c",
            "a.py___jb_tmp___",
            ".a.kate-swp",
            "x-go-tmp-umask",
            ".git",
            ".0a1b.rcompose",
        ] {
            assert!(is_temporary(name) && is_temporary(&format!("src/{name}")), "{name}");
        }
        assert!(is_temporary(".git/index") && is_temporary("sub/.git/HEAD"));
        for name in ["a.c", ".env", "4914", "a.swp", "#a", ".gitignore", ".github/x", "src/main.rs"] {
            assert!(!is_temporary(name), "{name}");
        }
    }
}
