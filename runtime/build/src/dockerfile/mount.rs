//! `RUN --mount=...`.

use super::expand::{ExpandError, Quotes, Variables, expand};

/// A mount, its values as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What kind.
    pub kind: MountKind,
    /// Where; not needed for secrets and ssh.
    pub target: Option<String>,
    /// Inside what it comes from.
    pub source: Option<String>,
    /// Stage, image or named context.
    pub from: Option<String>,
    /// `rw`, `ro`.
    pub writable: Option<bool>,
    /// Of caches, secrets and ssh.
    pub id: Option<String>,
    /// The variable that gets a secret.
    pub env: Option<String>,
    /// Without it the step fails.
    pub required: bool,
    /// Octal.
    pub mode: Option<String>,
    /// Number.
    pub uid: Option<String>,
    /// Number.
    pub gid: Option<String>,
    /// Bytes of a tmpfs.
    pub size: Option<String>,
    /// Of a cache.
    pub sharing: Sharing,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types of the Dockerfile reference")]
pub enum MountKind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

/// Who may use a cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// Everybody has one.
    Private,
    /// One after the other.
    Locked,
}

/// Reads the value of the flag.
pub(super) fn parse(text: &str) -> Result<Mount, String> {
    let mut kind = MountKind::Bind;
    let mut fields: Vec<(String, Option<String>)> = Vec::new();
    for field in fields_of(text) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.trim().to_ascii_lowercase(), Some(value.to_owned())),
            None => (field.trim().to_ascii_lowercase(), None),
        };
        if key == "type" {
            kind = match value.as_deref() {
                Some("bind") => MountKind::Bind,
                Some("cache") => MountKind::Cache,
                Some("tmpfs") => MountKind::Tmpfs,
                Some("secret") => MountKind::Secret,
                Some("ssh") => MountKind::Ssh,
                other => {
                    return Err(format!("unknown mount type `{}`: bind, cache, tmpfs, secret and ssh are", other.unwrap_or("")));
                }
            };
        } else {
            fields.push((key, value));
        }
    }
    let mut mount = Mount {
        kind,
        target: None,
        source: None,
        from: None,
        writable: None,
        id: None,
        env: None,
        required: false,
        mode: None,
        uid: None,
        gid: None,
        size: None,
        sharing: Sharing::Shared,
    };
    for (key, value) in fields {
        set(&mut mount, &key, value)?;
    }
    match kind {
        MountKind::Bind | MountKind::Cache | MountKind::Tmpfs if mount.target.is_none() => {
            Err("a mount needs a `target`".to_owned())
        }
        MountKind::Secret if mount.id.is_none() && mount.target.is_none() && mount.source.is_none() => {
            Err("a secret needs an `id`".to_owned())
        }
        _ => Ok(mount),
    }
}

/// Comma-separated, as CSV has it: what stands in double quotes is one.
fn fields_of(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            letter => fields.last_mut().expect("there is always one").push(letter),
        }
    }
    fields.retain(|field| !field.trim().is_empty());
    fields
}

fn set(mount: &mut Mount, key: &str, value: Option<String>) -> Result<(), String> {
    use MountKind::{Bind, Cache, Secret, Ssh, Tmpfs};
    let kind = mount.kind;
    let flag = |value: Option<String>| match value.as_deref() {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(format!("`{key}={other}`: expected true or false")),
    };
    let given = |value: Option<String>| value.ok_or_else(|| format!("`{key}` needs a value"));
    match (key, kind) {
        ("target" | "dst" | "destination", _) => mount.target = Some(given(value)?),
        ("source" | "src", Bind | Cache) => mount.source = Some(given(value)?),
        ("source" | "src", Secret) => mount.source = Some(given(value)?),
        ("from", Bind | Cache) => mount.from = Some(given(value)?),
        ("rw" | "readwrite", Bind | Cache) => mount.writable = Some(flag(value)?),
        ("ro" | "readonly", Bind | Cache) => mount.writable = Some(!flag(value)?),
        ("id", Cache | Secret | Ssh) => mount.id = Some(given(value)?),
        ("env", Secret) => mount.env = Some(given(value)?),
        ("required", Secret | Ssh) => mount.required = flag(value)?,
        ("mode", Cache | Secret | Ssh) => mount.mode = Some(given(value)?),
        ("uid", Cache | Secret | Ssh) => mount.uid = Some(given(value)?),
        ("gid", Cache | Secret | Ssh) => mount.gid = Some(given(value)?),
        ("size", Tmpfs) => mount.size = Some(given(value)?),
        ("sharing", Cache) => {
            mount.sharing = match given(value)?.as_str() {
                "shared" => Sharing::Shared,
                "private" => Sharing::Private,
                "locked" => Sharing::Locked,
                other => return Err(format!("`sharing={other}`: expected shared, private or locked")),
            }
        }
        _ => return Err(format!("`{key}` is no option of a {} mount", format!("{kind:?}").to_ascii_lowercase())),
    }
    Ok(())
}

impl Mount {
    /// With variables expanded, in everything but `from`.
    pub fn expanded(&self, escape: char, variables: &dyn Variables) -> Result<Self, ExpandError> {
        let one = |text: &Option<String>| {
            let expanded = text.as_deref().map(|text| expand(text, escape, Quotes::Removed, variables));
            expanded.transpose()
        };
        Ok(Self {
            target: one(&self.target)?,
            source: one(&self.source)?,
            id: one(&self.id)?,
            env: one(&self.env)?,
            mode: one(&self.mode)?,
            uid: one(&self.uid)?,
            gid: one(&self.gid)?,
            size: one(&self.size)?,
            from: self.from.clone(),
            ..*self
        })
    }
}
