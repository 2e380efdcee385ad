//! Who the process is: users and groups by name, as the container's own files say, and the environment that follows.
//!
//! These files are the image author's: only regular ones of bounded size are read, a name that is all digits is a number and
//! never looked up, and a number beyond what the kernel takes is an error, not another user.

use std::ffi::CString;
use std::path::Path;

use rcompose_sys::beneath::Root;

use super::channel::StartError;
use super::steps::StepResult;
use crate::spec::{Process, User};

/// A resolved user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Supplementary groups, the primary one included.
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// A file of users or groups is at most this large, and a line of it.
const FILE_LIMIT: u64 = 10 << 20;
const LINE_LIMIT: usize = 1 << 20;

/// Resolves the user inside the root that this process is in.
pub(super) fn resolve(user: &User) -> StepResult<Identity> {
    let root = Root::open(Path::new("/")).map_err(|error| failure(&error.to_string()))?;
    resolve_in(&root, user)
}

/// User and group by number, of a user of a container whose files are at hand.
///
/// # Errors
/// When its files do not know the user.
pub fn owner_in(root: &Root, user: &User) -> StepResult<(u32, u32)> {
    resolve_in(root, user).map(|identity| (identity.uid, identity.gid))
}

fn resolve_in(root: &Root, user: &User) -> StepResult<Identity> {
    let passwd = Table::read(root, "/etc/passwd")?;
    let Some(name) = &user.name else {
        let groups = [&[user.gid], user.additional_gids.as_slice()].concat();
        let home = passwd.row_by_id(user.uid).map(|row| row.home());
        return Ok(Identity { uid: user.uid, gid: user.gid, groups: distinct(groups), home: home_or_root(home) });
    };
    let group_file = Table::read(root, "/etc/group")?;
    let (user_name, group_name) = match name.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (name.as_str(), None),
    };
    let row = match id(user_name)? {
        Some(number) => passwd.row_by_id(number),
        None if user_name.is_empty() => passwd.row_by_id(0),
        None => {
            let row = passwd.row(user_name);
            Some(row.ok_or_else(|| failure(&format!("unable to find user {user_name}: no matching entries in passwd file")))?)
        }
    };
    let uid = match id(user_name)? {
        Some(number) => number,
        None => row.as_ref().map_or(Ok(0), |row| row.number(2))?,
    };
    let gid = match group_name {
        Some(group) => group_id(&group_file, group)?,
        None => row.as_ref().map_or(Ok(0), |row| row.number(3))?,
    };
    let mut groups = vec![gid];
    if group_name.is_none()
        && let Some(row) = &row
    {
        groups.extend(group_file.groups_of(row.name()));
    }
    groups.extend(&user.additional_gids);
    for group in &user.group_names {
        groups.push(group_id(&group_file, group)?);
    }
    Ok(Identity { uid, gid, groups: distinct(groups), home: home_or_root(row.map(|row| row.home())) })
}

fn home_or_root(home: Option<String>) -> String {
    home.filter(|home| !home.is_empty()).unwrap_or_else(|| "/".to_owned())
}

fn distinct(mut groups: Vec<u32>) -> Vec<u32> {
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(*group));
    groups
}

fn failure(text: &str) -> StartError {
    StartError { code: 126, text: text.to_owned() }
}

/// A number, if the text is nothing but digits.
fn id(text: &str) -> StepResult<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(number) if number <= i32::MAX.unsigned_abs() => Ok(Some(number)),
        _ => Err(failure(&format!("user or group id {text} is out of range: expected 0 to 2147483647"))),
    }
}

fn group_id(groups: &Table, group: &str) -> StepResult<u32> {
    match id(group)? {
        Some(number) => Ok(number),
        None => {
            let row = groups.row(group);
            row.ok_or_else(|| failure(&format!("unable to find group {group}: no matching entries in group file")))?.number(2)
        }
    }
}

/// `passwd` or `group`.
struct Table {
    text: String,
}

struct Row<'a> {
    fields: Vec<&'a str>,
}

impl Table {
    fn read(root: &Root, path: &str) -> StepResult<Self> {
        match root.read_regular(path, FILE_LIMIT) {
            Ok(bytes) if bytes.split(|&byte| byte == b'\n').any(|line| line.len() > LINE_LIMIT) => {
                Err(failure(&format!("cannot use {path} of the image: a line is longer than {LINE_LIMIT} bytes")))
            }
            Ok(bytes) => Ok(Self { text: String::from_utf8_lossy(&bytes).into_owned() }),
            Err(error) if error.is_not_found() => Ok(Self { text: String::new() }),
            Err(error) => Err(failure(&format!("cannot use {path} of the image: {error}"))),
        }
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.text.lines().map(|line| Row { fields: line.split(':').collect() }).filter(|row| row.fields.len() >= 3)
    }

    fn row(&self, name: &str) -> Option<Row<'_>> {
        self.rows().find(|row| row.fields[0] == name)
    }

    fn row_by_id(&self, number: u32) -> Option<Row<'_>> {
        let text = number.to_string();
        self.rows().find(|row| row.fields[2] == text)
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        let member = |row: &Row<'_>| row.fields.get(3).is_some_and(|members| members.split(',').any(|name| name == user));
        self.rows().filter(member).filter_map(|row| row.fields[2].parse().ok()).collect()
    }
}

impl Row<'_> {
    fn name(&self) -> &str {
        self.fields[0]
    }

    fn home(&self) -> String {
        self.fields.get(5).copied().unwrap_or_default().to_owned()
    }

    fn number(&self, field: usize) -> StepResult<u32> {
        let text = self.fields.get(field).copied().unwrap_or_default();
        id(text)?.ok_or_else(|| failure(&format!("entry `{}` has no number", self.name())))
    }
}

/// The environment of a process: what the spec says, and HOME from the user's entry unless given.
pub(super) fn environment(process: &Process, user: &Identity) -> Vec<CString> {
    let has_home = process.env.iter().any(|entry| entry.starts_with("HOME="));
    let home = (!has_home).then(|| format!("HOME={}", user.home));
    let entries = process.env.iter().cloned().chain(home);
    entries.filter_map(|entry| CString::new(entry).ok()).collect()
}

#[cfg(test)]
mod tests {
    use rcompose_sys::atomic::TempDir;

    use super::*;

    fn resolve_user(name: &str, groups: &[&str]) -> StepResult<Identity> {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/var/www:/bin/sh\n1000:x:0:0::/:/bin/sh\n";
        std::fs::write(folder.path().join("etc/passwd"), passwd).unwrap();
        std::fs::write(folder.path().join("etc/group"), "root:x:0:\nwww:x:34:\naudio:x:29:web\n").unwrap();
        let user = User {
            name: Some(name.to_owned()),
            group_names: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..User::default()
        };
        resolve_in(&Root::open(folder.path()).unwrap(), &user)
    }

    fn check(name: &str, uid: u32, gid: u32, groups: &[u32], home: &str) {
        let identity = Identity { uid, gid, groups: groups.to_vec(), home: home.to_owned() };
        assert_eq!(resolve_user(name, &[]), Ok(identity), "{name}");
    }

    #[test]
    fn resolves_names_and_numbers() {
        check("web", 33, 34, &[34, 29], "/var/www");
        check("web:root", 33, 0, &[0], "/var/www");
        check("33", 33, 34, &[34, 29], "/var/www");
        check("77", 77, 0, &[0], "/");
        check("77:29", 77, 29, &[29], "/");
        check("", 0, 0, &[0], "/root");
    }

    #[test]
    fn files_of_users_are_regular_and_bounded() {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let passwd = folder.path().join("etc/passwd");
        let read = || Table::read(&Root::open(folder.path()).unwrap(), "/etc/passwd").map(|_| ()).map_err(|error| error.text);
        std::fs::write(&passwd, vec![b'x'; LINE_LIMIT + 1]).unwrap();
        assert!(read().unwrap_err().contains("a line is longer"));
        std::fs::remove_file(&passwd).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &passwd, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(read().unwrap_err().contains("EINVAL"));
    }

    #[test]
    fn a_number_is_never_looked_up_as_a_name() {
        check("1000", 1000, 0, &[0], "/");
    }

    #[test]
    fn refuses_what_would_become_another_user() {
        for name in ["4294967296", "4294967295", "2147483648", "nobody-here", "web:nogroup"] {
            assert!(resolve_user(name, &[]).is_err(), "{name}");
        }
        assert_eq!(resolve_user("web", &["audio", "7"]).unwrap().groups, [34, 29, 7]);
        assert!(resolve_user("web", &["nogroup"]).is_err());
    }
}
