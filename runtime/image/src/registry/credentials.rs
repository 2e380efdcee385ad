//! Names and passwords by registry, as Docker's `config.json` keeps them: in the file itself, or with a program that it names.
//!
//! They are looked up by host and go to that host only; nothing here shows a secret.

mod file;
mod keychain;

use std::fmt;
use std::path::{Path, PathBuf};

use super::endpoint::host_of;
use file::ConfigFile;

/// Docker keeps what is for its hub under an address of another age.
const HUB: &str = "https://index.docker.io/v1/";

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    /// A name and a password.
    Password { user: String, password: String },
    /// What tokens are had for, without a password.
    Identity(String),
    /// Sent as it is.
    Token(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

/// Credentials that cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file.
    #[error("failed to {doing} {}", path.display())]
    File {
        /// `read`, `write`.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is there and is not what it should be.
    #[error("{} is no configuration of docker: {why}", path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The program that keeps them.
    #[error("credential helper `{program}` failed to {doing}: {why}")]
    Keychain {
        /// Which.
        program: String,
        /// `get`, `store`, `erase`.
        doing: &'static str,
        /// In its own words, or what happened to it.
        why: String,
    },
    /// Nobody knows where to.
    #[error("no file for credentials is known: set `credentials` in the configuration, or HOME")]
    NoFile,
}

/// Where credentials are kept.
pub(super) struct Credentials {
    path: Option<PathBuf>,
    file: ConfigFile,
}

impl Credentials {
    /// Reads the file; one that is not there holds none, one that is broken is an error.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, CredentialsError> {
        let file = path.map(ConfigFile::read).transpose()?.unwrap_or_default();
        Ok(Self { path: path.map(Path::to_owned), file })
    }

    /// Those for a repository of a registry (its host), if there are any.
    pub(super) async fn of(&self, registry: &str, repository: &str) -> Result<Option<Secret>, CredentialsError> {
        let key = key_of(registry);
        if let Some(program) = self.file.keychain_of(&key)
            && let Some(secret) = keychain::get(program, server_of(&key)).await?
        {
            return Ok(Some(secret));
        }
        self.file.secret(&key, repository)
    }

    /// Keeps them for a registry. Gives the program that has them now, if it is one.
    pub(super) async fn store(mut self, registry: &str, secret: &Secret) -> Result<Option<String>, CredentialsError> {
        let key = key_of(registry);
        let path = self.path.clone().ok_or(CredentialsError::NoFile)?;
        let program = self.file.keychain_of(&key).map(str::to_owned);
        if let Some(program) = &program {
            keychain::store(program, server_of(&key), secret).await?;
            self.file.set(server_of(&key), None);
        } else {
            self.file.set(server_of(&key), Some(secret));
        }
        self.file.write(&path)?;
        Ok(program)
    }

    /// Forgets them; tells whether there were any.
    pub(super) async fn erase(mut self, registry: &str) -> Result<bool, CredentialsError> {
        let key = key_of(registry);
        let mut known = self.file.remove(&key);
        if let Some(program) = self.file.keychain_of(&key) {
            known |= keychain::get(program, server_of(&key)).await?.is_some();
            keychain::erase(program, server_of(&key)).await?;
        }
        if let Some(path) = self.path.as_ref().filter(|_| known) {
            self.file.write(path)?;
        }
        Ok(known)
    }
}

/// By what a registry is known in the file: its host.
fn key_of(registry: &str) -> String {
    match host_of(registry) {
        "registry-1.docker.io" | "index.docker.io" => "index.docker.io".to_owned(),
        host => host.to_owned(),
    }
}

/// As a registry is written in the file and told to programs.
fn server_of(key: &str) -> &str {
    if key == "index.docker.io" { HUB } else { key }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rcompose_sys::atomic::TempDir;

    use super::*;

    fn password(user: &str, password: &str) -> Secret {
        Secret::Password { user: user.to_owned(), password: password.to_owned() }
    }

    #[tokio::test]
    async fn what_is_stored_is_found_again_and_the_rest_of_the_file_stays() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("docker/config.json");
        std::fs::create_dir(folder.path().join("docker")).unwrap();
        std::fs::write(&path, r#"{"detachKeys": "ctrl-x", "auths": {"other": {"auth": "YTpi", "email": "x"}}}"#).unwrap();
        let read = || Credentials::read(Some(&path)).unwrap();
        assert_eq!(read().store("reg.example:5000", &password("me", "p:w")).await.unwrap(), None);
        read().store("docker.io", &password("hub", "x")).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read().of("reg.example:5000", "a").await.unwrap(), Some(password("me", "p:w")));
        assert_eq!(read().of("registry-1.docker.io", "a").await.unwrap(), Some(password("hub", "x")));
        assert_eq!(read().of("other", "a").await.unwrap(), Some(password("a", "b")));
        assert_eq!(read().of("reg.example", "a").await.unwrap(), None, "another port is another registry");
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!((&json["detachKeys"], &json["auths"]["other"]["email"]), (&"ctrl-x".into(), &"x".into()));
        assert!(json["auths"][HUB]["auth"].is_string(), "{json}");
        assert!(read().erase("docker.io").await.unwrap());
        assert!(!read().erase("docker.io").await.unwrap());
        assert_eq!(read().of("docker.io", "a").await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_most_exact_entry_counts() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("auth.json");
        let entry = |user: &str| {
            format!(r#"{{"auth": "{}"}}"#, base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{user}:x")))
        };
        let json = format!(r#"{{"auths": {{"reg/team": {}, "https://reg/v2/": {}}}}}"#, entry("team"), entry("all"));
        std::fs::write(&path, json).unwrap();
        let credentials = Credentials::read(Some(&path)).unwrap();
        assert_eq!(credentials.of("reg", "team/app").await.unwrap(), Some(password("team", "x")));
        assert_eq!(credentials.of("reg", "teams/app").await.unwrap(), Some(password("all", "x")));
    }

    #[tokio::test]
    async fn a_broken_file_is_no_file_without_credentials() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("config.json");
        for text in ["{", r#"{"auths": []}"#, r#"{"credsStore": "../../bin/sh"}"#] {
            std::fs::write(&path, text).unwrap();
            assert!(Credentials::read(Some(&path)).is_err(), "{text}");
        }
        std::fs::write(&path, r#"{"auths": {"reg": {"auth": "???"}}}"#).unwrap();
        assert!(Credentials::read(Some(&path)).unwrap().of("reg", "a").await.is_err());
        assert!(Credentials::read(Some(&folder.path().join("none"))).unwrap().of("reg", "a").await.unwrap().is_none());
    }

    /// A program that keeps everything in files beside it.
    fn program(folder: &Path, name: &str, script: &str) {
        let path = folder.join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn programs_are_asked_and_told_and_waited_for_no_longer_than_needed() {
        let folder = TempDir::new().unwrap();
        let at = folder.path().display();
        program(
            folder.path(),
            "kept",
            &format!(
                "case $1 in get) cat > {at}/asked; [ -s {at}/stored ] || {{ echo credentials not found in native keychain; exit 1; }}; \
                 cat {at}/stored;; store) cat > {at}/stored;; erase) cat > {at}/erased;; esac"
            ),
        );
        program(folder.path(), "token", r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"identity"}'"#);
        program(folder.path(), "broken", "echo the keychain is locked; exit 1");
        program(folder.path(), "endless", "yes");
        let path = folder.path().join("config.json");
        let helpers = ["kept", "token", "broken", "endless", "none"].map(|name| format!(r#""{name}.example": "{at}/{name}""#));
        let file = |text: &str| ConfigFile::parse(text, &path).unwrap();
        let text = format!(r#"{{"credHelpers": {{{}}}}}"#, helpers.join(",")).replace(&format!("{at}/"), "");
        let read = || Credentials { path: Some(path.clone()), file: file(&text) };
        keychain::SEARCH
            .scope(folder.path().to_owned(), async {
                assert_eq!(read().of("kept.example", "a").await.unwrap(), None);
                assert_eq!(read().store("kept.example", &password("me", "secret")).await.unwrap(), Some("kept".to_owned()));
                assert_eq!(read().of("kept.example", "a").await.unwrap(), Some(password("me", "secret")));
                assert_eq!(std::fs::read_to_string(folder.path().join("asked")).unwrap(), "kept.example");
                assert!(!std::fs::read_to_string(&path).unwrap().contains("secret"));
                assert!(read().erase("kept.example").await.unwrap());
                assert_eq!(std::fs::read_to_string(folder.path().join("erased")).unwrap(), "kept.example");
                assert_eq!(read().of("token.example", "a").await.unwrap(), Some(Secret::Identity("identity".to_owned())));
                let broken = read().of("broken.example", "a").await.unwrap_err().to_string();
                assert_eq!(broken, "credential helper `docker-credential-broken` failed to get: the keychain is locked");
                assert!(read().of("endless.example", "a").await.unwrap_err().to_string().contains("more than 65536 bytes"));
                assert!(read().of("none.example", "a").await.unwrap_err().to_string().contains("No such file"));
            })
            .await;
    }
}
