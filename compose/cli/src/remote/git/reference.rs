//! `https://host/shop.git#main:deploy`: a repository, what of it, and the folder.

use std::net::IpAddr;
use std::path::{Component, PathBuf};

/// What is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GitReference {
    /// As `git` takes it.
    pub(super) remote: String,
    /// `https`, `ssh`, `file`, ...
    pub(super) scheme: &'static str,
    /// A branch, a tag, or a commit's whole hash; empty: what the repository itself calls `HEAD`.
    reference: String,
    /// Below the top; also a file.
    pub(super) folder: PathBuf,
}

impl GitReference {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (remote, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        let schemes = ["https", "http", "ssh", "git", "file"];
        let named = schemes.into_iter().find(|scheme| remote.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")));
        let (remote, scheme) = match named {
            Some(scheme) => (remote.to_owned(), scheme),
            None if remote.starts_with("github.com/") => (format!("https://{remote}"), "https"),
            // `git@host:path`, which ssh carries.
            None => (remote.to_owned(), "ssh"),
        };
        let parsed = Self { remote, scheme, reference: reference.to_owned(), folder: PathBuf::from(folder) };
        parsed.check()?;
        Ok(parsed)
    }

    fn check(&self) -> Result<(), String> {
        let odd = |text: &str| text.chars().any(|letter| letter.is_control() || letter.is_whitespace());
        let short = self.remote.starts_with("https://github.com/");
        if self.scheme.starts_with("http") && !self.remote.ends_with(".git") && !short {
            return Err("it is no Git repository: its address does not end with `.git`".to_owned());
        }
        // What begins with a dash would be an option of `git`, or of the `ssh` that it starts.
        if odd(&self.remote) || self.host().is_empty() && self.scheme != "file" || self.host().starts_with('-') {
            return Err("its address cannot be read".to_owned());
        }
        let name = &self.reference;
        let special = name.contains(['~', '^', ':', '?', '*', '[', '\\']) || name.contains("..") || name.contains("@{");
        if odd(name) || special || name.starts_with(['-', '/']) || name.len() > 255 {
            return Err(format!("`{}` is no name of a branch, a tag, or a commit", name.escape_debug()));
        }
        if self.folder.components().any(|component| !matches!(component, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("`{}` is no folder of the repository", self.folder.display().to_string().escape_debug()));
        }
        Ok(())
    }

    /// Without the name and the port.
    fn host(&self) -> &str {
        let after = match self.remote.split_once("://") {
            Some((_, rest)) => rest.split(['/', '?']).next().unwrap_or_default(),
            None => self.remote.split(':').next().unwrap_or_default(),
        };
        let host = after.rsplit_once('@').map_or(after, |(_, host)| host);
        match host.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        }
    }

    /// Whether it leads no further than to this machine.
    pub(super) fn is_on_this_machine(&self) -> bool {
        let host = self.host();
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.scheme == "file" || loopback
    }

    /// Whether what comes is what the repository holds: by the way that it takes, or by its hash.
    pub(super) fn is_trustworthy(&self) -> bool {
        !["http", "git"].contains(&self.scheme) || self.is_on_this_machine() || self.commit().is_some()
    }

    /// The commit, if it was named by its hash.
    pub(super) fn commit(&self) -> Option<&str> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (self.reference.len() == 40 && self.reference.bytes().all(hex)).then_some(self.reference.as_str())
    }

    /// What is looked up.
    pub(super) fn wanted(&self) -> &str {
        if self.reference.is_empty() { "HEAD" } else { &self.reference }
    }

    /// The last word of the address.
    pub(super) fn name(&self) -> String {
        let address = self.remote.trim_end_matches('/');
        let last = address.rsplit(['/', ':']).next().unwrap_or_default();
        super::super::cache::folder_name(last.strip_suffix(".git").unwrap_or(last))
    }
}

/// The commit of what is wanted among the lines of `ls-remote`, in the order in which `git` itself looks; with its full name.
pub(super) fn choose(listed: &str, wanted: &str) -> Option<(String, String)> {
    let lines: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once('\t')).collect();
    let names = [wanted.to_owned(), format!("refs/{wanted}"), format!("refs/tags/{wanted}"), format!("refs/heads/{wanted}")];
    names.into_iter().find_map(|name| {
        let of = |name: &str| lines.iter().find(|(_, known)| *known == name).map(|(hash, _)| (*hash).to_owned());
        let hash = of(&format!("{name}^{{}}")).or_else(|| of(&name))?;
        (hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some((hash, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_references_as_docker_compose_does() {
        let hash = "0123456789abcdef0123456789abcdef01234567";
        for (text, remote, scheme, reference, folder, name) in [
            ("https://host/a/shop.git", "https://host/a/shop.git", "https", "HEAD", "", "shop"),
            ("https://host/shop.git#main:deploy/x", "https://host/shop.git", "https", "main", "deploy/x", "shop"),
            ("https://host/shop.git#:deploy", "https://host/shop.git", "https", "HEAD", "deploy", "shop"),
            ("git@host:team/Shop.git#v1", "git@host:team/Shop.git", "ssh", "v1", "", "shop"),
            ("ssh://git@host:22/shop", "ssh://git@host:22/shop", "ssh", "HEAD", "", "shop"),
            ("github.com/docker/compose", "https://github.com/docker/compose", "https", "HEAD", "", "compose"),
            (&format!("file:///srv/shop#{hash}"), "file:///srv/shop", "file", hash, "", "shop"),
        ] {
            let parsed = GitReference::parse(text).unwrap();
            assert_eq!((parsed.remote.as_str(), parsed.scheme, parsed.wanted()), (remote, scheme, reference), "{text}");
            assert_eq!((parsed.folder.to_str().unwrap(), parsed.name().as_str()), (folder, name), "{text}");
        }
    }

    #[test]
    fn refuses_what_could_be_an_option_or_leave_the_repository() {
        for text in [
            "https://host/compose.yaml",
            "ssh://-oProxyCommand=x/a",
            "git@-oProxyCommand=x:a",
            "https:///a.git",
            "https://host/a b.git",
            "https://host/a.git#--upload-pack=x",
            "https://host/a.git#a..b",
            "https://host/a.git#*",
            "https://host/a.git#main:../x",
            "https://host/a.git#main:/etc",
            "https://host/a.git#main:a/../../b",
            "https://host/a.git#ma\nin",
        ] {
            assert!(GitReference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn plain_ways_need_a_hash() {
        let trusted = |text: &str| GitReference::parse(text).unwrap().is_trustworthy();
        assert!(trusted("https://host/a.git") && trusted("http://127.0.0.1:80/a.git") && trusted("git://localhost/a.git"));
        assert!(!trusted("http://host/a.git") && !trusted("git://host/a"));
        assert!(trusted(&format!("http://host/a.git#{}", "a".repeat(40))));
        assert!(!trusted("http://127.0.0.1@host/a.git") && !trusted("http://localhost.host/a.git"));
    }

    #[test]
    fn a_branch_that_ends_like_another_is_not_taken_for_it() {
        let hash = |digit: &str| digit.repeat(40);
        let lines: String = [
            ("1", "refs/heads/evil/main"),
            ("2", "refs/heads/main"),
            ("3", "refs/tags/v1"),
            ("4", "refs/tags/v1^{}"),
            ("5", "refs/heads/v1"),
        ]
        .iter()
        .map(|(digit, name)| format!("{}\t{name}\n", hash(digit)))
        .collect();
        assert_eq!(choose(&lines, "main"), Some((hash("2"), "refs/heads/main".to_owned())));
        assert_eq!(choose(&lines, "v1"), Some((hash("4"), "refs/tags/v1".to_owned())));
        assert_eq!(choose(&lines, "other"), None);
    }
}
