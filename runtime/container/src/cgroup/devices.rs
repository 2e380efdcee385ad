//! Which devices a container may use: an allow list, whose first rule is always "nothing".

use std::path::Path;

use super::{CgroupError, change, write};
use crate::spec::DeviceRule;

/// Applies the rules to the directory that has the controller.
pub(super) fn apply(directory: &Path, controllers: &[String], rules: &[DeviceRule]) -> Result<(), CgroupError> {
    if controllers.is_empty() {
        let open = std::fs::File::open(directory).map_err(|source| change("open", directory, source))?;
        return rcompose_sys::bpf::restrict_devices(open, &rules.iter().map(compiled).collect::<Vec<_>>())
            .map_err(|error| change("restrict the devices of", directory, error.into()));
    }
    if !controllers.iter().any(|name| name == "devices") {
        return Ok(());
    }
    write(&directory.join("devices.deny"), "a")?;
    rules.iter().try_for_each(|rule| {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        write(&directory.join(file), &line(rule))
    })
}

fn line(rule: &DeviceRule) -> String {
    let kind = rule.kind.as_deref().unwrap_or("a");
    if kind == "a" && rule.major.is_none() && rule.minor.is_none() {
        return "a".to_owned();
    }
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    format!("{kind} {}:{} {}", number(rule.major), number(rule.minor), rule.access.as_deref().unwrap_or("rwm"))
}

fn compiled(rule: &DeviceRule) -> rcompose_sys::bpf::DeviceRule {
    use rcompose_sys::bpf::{DeviceKind, DeviceRule};
    let access = rule.access.as_deref().unwrap_or("rwm");
    DeviceRule {
        allow: rule.allow,
        kind: match rule.kind.as_deref() {
            Some("b") => Some(DeviceKind::Block),
            Some("c" | "u") => Some(DeviceKind::Character),
            _ => None,
        },
        major: rule.major,
        minor: rule.minor,
        read: access.contains('r'),
        write: access.contains('w'),
        make: access.contains('m'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_rules_as_v1_reads_them() {
        let rule =
            DeviceRule { allow: true, kind: Some("c".to_owned()), major: Some(136), minor: None, access: Some("rw".to_owned()) };
        assert_eq!(line(&rule), "c 136:* rw");
        assert_eq!(line(&DeviceRule { allow: true, ..DeviceRule::default() }), "a");
    }
}
