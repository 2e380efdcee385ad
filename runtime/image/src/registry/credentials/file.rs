//! `config.json`: what we know of it is read and changed, everything else stays as it was.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use rcompose_sys::atomic;
use serde_json::{Map, Value, json};

use super::{CredentialsError, Secret};

/// Padding may be missing: some tools leave it out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The file, whole.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    path: PathBuf,
    values: Map<String, Value>,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, CredentialsError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(CredentialsError::File { doing: "read", path: path.to_owned(), source }),
        }
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, CredentialsError> {
        let invalid = |why: String| CredentialsError::Invalid { path: path.to_owned(), why };
        if text.trim().is_empty() {
            return Ok(Self { path: path.to_owned(), ..Self::default() });
        }
        let values = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let file = Self { path: path.to_owned(), values };
        for name in ["auths", "credHelpers"] {
            if file.values.get(name).is_some_and(|value| !value.is_object() && !value.is_null()) {
                return Err(invalid(format!("`{name}` is no object")));
            }
        }
        let helpers = file.object("credHelpers").into_iter().flat_map(|helpers| helpers.values());
        for program in helpers.chain(file.values.get("credsStore")) {
            // It becomes part of a program's name; nothing else may come of it.
            let fine = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if !program.as_str().is_some_and(fine) {
                return Err(invalid(format!("`{program}` is no name of a credential helper")));
            }
        }
        Ok(file)
    }

    fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.values.get(name)?.as_object()
    }

    /// The program that keeps what is for a registry.
    pub(super) fn keychain_of(&self, key: &str) -> Option<&str> {
        let own = self.object("credHelpers").into_iter().flatten().find(|(name, _)| host_and_path(name) == key);
        let name = own.map_or_else(|| self.values.get("credsStore"), |(_, program)| Some(program))?.as_str()?;
        Some(name).filter(|name| !name.is_empty())
    }

    /// What the file itself has for a repository: that of the repository, of what it is below, of the host.
    pub(super) fn secret(&self, key: &str, repository: &str) -> Result<Option<Secret>, CredentialsError> {
        let whole = format!("{key}/{repository}");
        let is_above = |name: &str| whole.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let entries = self.object("auths").into_iter().flatten().map(|(name, entry)| (host_and_path(name), name, entry));
        let fitting = entries.filter(|(place, _, _)| is_above(place)).max_by_key(|(place, _, _)| place.len());
        match fitting {
            Some((_, name, entry)) => {
                secret(name, entry).map_err(|why| CredentialsError::Invalid { path: self.path.clone(), why })
            }
            None => Ok(None),
        }
    }

    /// Writes down what is for a registry; without a secret, that a program has it.
    pub(super) fn set(&mut self, server: &str, secret: Option<&Secret>) {
        let entry = match secret {
            None => json!({}),
            Some(Secret::Password { user, password }) => json!({ "auth": STANDARD.encode(format!("{user}:{password}")) }),
            Some(Secret::Identity(token)) => json!({ "auth": STANDARD.encode("<token>:"), "identitytoken": token }),
            Some(Secret::Token(token)) => json!({ "registrytoken": token }),
        };
        let auths = self.values.entry("auths").or_insert_with(|| json!({}));
        if auths.is_null() {
            *auths = json!({});
        }
        if let Some(auths) = auths.as_object_mut() {
            let key = host_and_path(server).to_owned();
            auths.retain(|name, _| host_and_path(name) != key);
            auths.insert(server.to_owned(), entry);
        }
    }

    /// Forgets what is for a registry; tells whether there was something.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let Some(auths) = self.values.get_mut("auths").and_then(Value::as_object_mut) else { return false };
        let before = auths.len();
        auths.retain(|name, _| host_and_path(name) != key);
        auths.len() < before
    }

    /// Replaces the file as a whole, readable by its owner alone. A link to it stays one.
    pub(super) fn write(&self, path: &Path) -> Result<(), CredentialsError> {
        let failed = |source| CredentialsError::File { doing: "write", path: path.to_owned(), source };
        let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Some(folder) = target.parent().filter(|folder| !folder.exists()) {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let mut json = serde_json::to_vec_pretty(&self.values).expect("JSON has a JSON form");
        json.push(b'\n');
        atomic::write_file(&target, &json, 0o600).map_err(|error| failed(error.into()))
    }
}

/// `reg.example:5000/team` of an address as it may be written: with a scheme, and with the version of an interface.
fn host_and_path(name: &str) -> &str {
    let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name).trim_end_matches('/');
    name.strip_suffix("/v1").or_else(|| name.strip_suffix("/v2")).unwrap_or(name)
}

fn secret(name: &str, entry: &Value) -> Result<Option<Secret>, String> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Secret::Identity(token.to_owned())));
    }
    if let Some(token) = text("registrytoken") {
        return Ok(Some(Secret::Token(token.to_owned())));
    }
    let Some(auth) = text("auth") else {
        let both = text("username").zip(text("password"));
        return Ok(both.map(|(user, password)| Secret::Password { user: user.to_owned(), password: password.to_owned() }));
    };
    let decoded = LENIENT.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = decoded.as_ref().and_then(|text| text.split_once(':'));
    let why = || format!("`auth` of `{name}` is not the Base64 form of a name and a password");
    let (user, password) = parts.ok_or_else(why)?;
    Ok(Some(Secret::Password { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() }))
}
