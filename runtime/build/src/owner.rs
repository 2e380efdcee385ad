//! `--chown` and `--chmod`.

use rcompose_sys::beneath::Root;

use crate::error::StepError;

/// Lists of users larger than this are none.
const MAX_LIST: u64 = 4 << 20;

/// Reads `user[:group]`; names are those of the tree that is copied into.
pub(crate) fn parse_owner(text: &str, names: &dyn Fn() -> Result<Option<Root>, StepError>) -> Result<(u32, u32), StepError> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let uid = match number(user)? {
        Some(uid) => (uid, None),
        None => {
            let (uid, gid) = look_up(user, "/etc/passwd", names)?;
            (uid, gid)
        }
    };
    let gid = match group {
        None => uid.1.unwrap_or(uid.0),
        Some(group) => match number(group)? {
            Some(gid) => gid,
            None => look_up(group, "/etc/group", names)?.0,
        },
    };
    Ok((uid.0, gid))
}

/// What is all digits is a number, and has to be one.
fn number(text: &str) -> Result<Option<u32>, StepError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| *number <= i32::MAX.unsigned_abs());
    number.map(Some).ok_or_else(|| StepError::Invalid(format!("`{text}` is no user or group: the largest number is 2147483647")))
}

/// The number of a name, and of a user the group.
fn look_up(name: &str, list: &str, names: &dyn Fn() -> Result<Option<Root>, StepError>) -> Result<(u32, Option<u32>), StepError> {
    let unknown = || StepError::Invalid(format!("`{name}` is not in {list} of the image: use a number, or add it before"));
    let root = names()?.ok_or_else(unknown)?;
    let bytes = root.read_regular(list, MAX_LIST).map_err(|_| unknown())?;
    let text = String::from_utf8_lossy(&bytes);
    let fields =
        text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name && fields.len() > 2);
    let fields = fields.ok_or_else(unknown)?;
    let uid = fields[2].parse().map_err(|_| unknown())?;
    Ok((uid, fields.get(3).and_then(|gid| gid.parse().ok())))
}

/// A change of modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chmod {
    /// Whatever it was.
    Octal(u32),
    /// Who, how, what; in order.
    Symbolic(Vec<Clause>),
}

/// `u=rwX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    /// Bits of user, group and others that are meant.
    who: u32,
    operator: char,
    letters: String,
}

impl Chmod {
    pub(crate) fn parse(text: &str) -> Result<Self, StepError> {
        let invalid = || StepError::Invalid(format!("`--chmod={text}`: write it as 755 or as u=rwX,go=rX"));
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777);
            return bits.map(Self::Octal).ok_or_else(invalid);
        }
        text.split(',').map(|part| clause(part).ok_or_else(invalid)).collect::<Result<_, _>>().map(Self::Symbolic)
    }

    pub(crate) fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match self {
            Self::Octal(bits) => *bits,
            Self::Symbolic(clauses) => clauses.iter().fold(mode & 0o7777, |mode, clause| clause.apply(mode, is_dir)),
        }
    }
}

fn clause(text: &str) -> Option<Clause> {
    let at = text.find(['+', '-', '='])?;
    let mut who = 0;
    for letter in text[..at].chars() {
        who |= match letter {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            'a' => 0o7777,
            _ => return None,
        };
    }
    let (operator, letters) = (text[at..].chars().next()?, &text[at + 1..]);
    let known = letters.chars().all(|letter| "rwxXstugo".contains(letter));
    known.then(|| Clause { who: if who == 0 { 0o7777 } else { who }, operator, letters: letters.to_owned() })
}

impl Clause {
    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let mut bits = 0;
        for letter in self.letters.chars() {
            bits |= match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if is_dir || mode & 0o111 != 0 => 0o111,
                's' => 0o6000,
                't' => 0o1000,
                'u' => spread(mode >> 6),
                'g' => spread(mode >> 3),
                'o' => spread(mode),
                _ => 0,
            };
        }
        bits &= self.who;
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            // What a directory passes on to its files is only changed when it is named.
            _ => (mode & !(self.who & 0o777)) | bits,
        }
    }
}

fn spread(bits: u32) -> u32 {
    let bits = bits & 7;
    bits << 6 | bits << 3 | bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_in_both_forms() {
        for (text, mode, is_dir, expected) in [
            ("755", 0o600, false, 0o755),
            ("0644", 0o755, true, 0o644),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("go-w", 0o666, false, 0o644),
            ("a=r", 0o777, false, 0o444),
            ("g=u", 0o640, false, 0o660),
            ("u+s", 0o755, false, 0o4755),
            ("+t", 0o777, true, 0o1777),
        ] {
            assert_eq!(Chmod::parse(text).unwrap().apply(mode, is_dir), expected, "{text}");
        }
        for invalid in ["", "9", "77777", "u", "x=y", "u=q"] {
            assert!(Chmod::parse(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn owners_are_numbers_or_names_of_the_image() {
        let folder = rcompose_sys::atomic::TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\n1000:x:5:5::/:/x\n")
            .unwrap();
        std::fs::write(folder.path().join("etc/group"), "root:x:0:\nstaff:x:50:\n").unwrap();
        let names = || Ok(Some(Root::open(folder.path()).unwrap()));
        for (text, expected) in [
            ("1:2", (1, 2)),
            ("7", (7, 7)),
            ("web", (33, 34)),
            ("web:staff", (33, 50)),
            ("0:staff", (0, 50)),
            ("1000", (1000, 1000)),
        ] {
            assert_eq!(parse_owner(text, &names).unwrap(), expected, "{text}");
        }
        for invalid in ["nobody", "web:nothing", "4294967295", "-1"] {
            assert!(parse_owner(invalid, &names).is_err(), "{invalid}");
        }
    }
}
