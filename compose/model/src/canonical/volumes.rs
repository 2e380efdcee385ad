//! `[source:]target[:options]`, of a volume or a path of the host.

use super::{Code, Diagnostic, Key, Mapping, Node, Trail, is_single};
use crate::node::Spot;

const PROPAGATIONS: [&str; 6] = ["rprivate", "private", "rshared", "shared", "rslave", "slave"];

/// Makes a mapping of a text.
pub(crate) fn volume(node: &mut Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    if !is_single(node) {
        return;
    }
    let Some(text) = node.text().map(str::to_owned) else { return };
    match parse(&text) {
        Ok(short) => *node = short.node(&node.spot.clone()),
        Err(_) if text.contains('$') => {}
        Err((why, help)) => {
            let message = format!("{trail}: invalid volume `{}`: {why}", text.escape_debug());
            problems.push(Diagnostic::error(Code::InvalidValue, message).at(&node.spot).on(&text).with_help(help));
        }
    }
}

/// Where a short form is in the container, if it can be read.
pub(crate) fn target(text: &str) -> Option<String> {
    parse(text).ok().map(|short| short.target)
}

#[derive(Debug, Default, PartialEq)]
struct Short {
    source: String,
    target: String,
    read_only: bool,
    nocopy: bool,
    propagation: Option<&'static str>,
    selinux: Option<&'static str>,
}

/// What is wrong, and the way out.
type Fault = (&'static str, &'static str);

fn parse(text: &str) -> Result<Short, Fault> {
    const FORM: &str = "write `source:target`, such as `data:/var/lib/data`, or the target alone for a volume without a name";
    let mut short = Short::default();
    if text.is_empty() {
        return Err(("it is empty", FORM));
    }
    let parts = parts(text);
    match parts.as_slice() {
        ["", ..] if parts.len() > 1 => return Err(("the source before the colon is empty", FORM)),
        parts if parts.iter().any(|part| part.is_empty()) => return Err(("a part after a colon is empty", FORM)),
        [target] => (*target).clone_into(&mut short.target),
        [source, target] => {
            (*source).clone_into(&mut short.source);
            (*target).clone_into(&mut short.target);
        }
        [source, target, options] => {
            (*source).clone_into(&mut short.source);
            (*target).clone_into(&mut short.target);
            options.split(',').for_each(|option| short.option(option));
        }
        _ => return Err(("it has too many colons", "use the long form: `type`, `source`, `target`")),
    }
    Ok(short)
}

/// The parts between colons. Those of `${X:-y}` and of a drive letter are none.
fn parts(text: &str) -> Vec<&str> {
    // A single letter before the only colon is a name. COMPAT: docker compose takes `n:/n` for a path of Windows.
    let drives = text.matches(':').count() > 1 || text.contains(":\\");
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, letter) in text.char_indices() {
        match letter {
            '$' if text[at + 1..].starts_with('{') => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && !(drives && is_drive(&text[start..at])) => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn is_drive(part: &str) -> bool {
    let mut letters = part.chars();
    letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
}

impl Short {
    fn option(&mut self, option: &str) {
        match option {
            "ro" => self.read_only = true,
            "rw" => self.read_only = false,
            "nocopy" => self.nocopy = true,
            "z" => self.selinux = Some("z"),
            "Z" => self.selinux = Some("Z"),
            // COMPAT: as docker compose does, other options are passed over.
            other => {
                if let Some(propagation) = PROPAGATIONS.iter().find(|known| **known == other) {
                    self.propagation = Some(propagation);
                }
            }
        }
    }

    fn is_path(&self) -> bool {
        let mut letters = self.source.chars();
        let is_drive = letters.next().is_some_and(char::is_alphabetic) && letters.next() == Some(':');
        self.source.starts_with(['.', '/', '~']) || self.source.starts_with("\\\\") || is_drive
    }

    fn node(&self, spot: &Spot) -> Node {
        let key = |name: &str| Key { name: name.to_owned(), spot: spot.clone() };
        let yes = || Node::plain_at("true", spot);
        let mut entries = Mapping::new();
        entries.insert(key("type"), Node::text_at(if self.is_path() { "bind" } else { "volume" }, spot));
        if !self.source.is_empty() {
            entries.insert(key("source"), Node::text_at(&self.source, spot));
        }
        entries.insert(key("target"), Node::text_at(clean(&self.target), spot));
        if self.read_only {
            entries.insert(key("read_only"), yes());
        }
        let mut bind = Mapping::new();
        for (name, value) in [("selinux", self.selinux), ("propagation", self.propagation)] {
            if let Some(value) = value {
                bind.insert(key(name), Node::text_at(value, spot));
            }
        }
        if self.is_path() {
            bind.insert(key("create_host_path"), yes());
        }
        if !bind.is_empty() {
            entries.insert(key("bind"), Node::mapping_at(bind, spot));
        }
        // COMPAT: docker compose leaves the options out where the whole text is of one or two letters.
        let is_tiny = self.source.is_empty() && self.target.len() <= 2;
        if !self.is_path() && !is_tiny || self.nocopy {
            let nocopy = self.nocopy.then(|| (key("nocopy"), yes()));
            entries.insert(key("volume"), Node::mapping_at(nocopy.into_iter().collect(), spot));
        }
        Node::mapping_at(entries, spot)
    }
}

/// A path without `.`, `..` and doubled slashes, by its text alone.
pub(crate) fn clean(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            other => parts.push(other),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, expected) in [
            ("/data", "volume  /data"),
            ("data:/data:ro", "volume data /data ro"),
            ("./a:/b", "bind ./a /b"),
            ("~/a:/b:rslave,ro", "bind ~/a /b ro rslave"),
            ("n:/n", "volume n /n"),
            ("c:\\a:/b", "bind c:\\a /b"),
            ("${A:-./x}:/b", "volume ${A:-./x} /b"),
            ("data:/a/../b:nocopy,odd", "volume data /a/../b nocopy"),
        ] {
            let short = parse(text).unwrap();
            let mut shown = format!("{} {} {}", if short.is_path() { "bind" } else { "volume" }, short.source, short.target);
            for (on, word) in [(short.read_only, "ro"), (short.nocopy, "nocopy")] {
                if on {
                    shown.push_str(&format!(" {word}"));
                }
            }
            shown.extend(short.propagation.map(|word| format!(" {word}")));
            assert_eq!(shown, expected, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for text in ["", ":/a", "ab::/b", "a:/b:ro:x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cleans_paths() {
        for (path, expected) in
            [("/a/../b", "/b"), ("/..", "/"), ("a/./b//c", "a/b/c"), ("../x", "../x"), ("a/..", "."), ("", "")]
        {
            assert_eq!(clean(path), expected);
        }
    }
}
