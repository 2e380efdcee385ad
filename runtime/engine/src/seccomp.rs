//! Policy files in Docker's format, whose rules may depend on capabilities, architecture and kernel, to the OCI's words.

use rcompose_container::init::capabilities;
use rcompose_container::spec::{Seccomp as SpecSeccomp, SeccompRule};
use serde::Deserialize;

use crate::EngineError;
use crate::container::{ContainerSpec, Seccomp};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    #[serde(flatten)]
    policy: SpecSeccomp,
    #[serde(rename = "syscalls", default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(flatten)]
    rule: SeccompRule,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

/// What a rule depends on; all that is given has to hold to include, any of it to exclude.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// Where a policy is going to hold.
struct Place {
    capabilities: Vec<String>,
    architecture: &'static str,
    kernel: (u32, u32),
}

/// The policy of a file, if a container has one.
pub(crate) fn of(spec: &ContainerSpec) -> Result<Option<SpecSeccomp>, EngineError> {
    let Seccomp::File(path) = &spec.security.seccomp else { return Ok(None) };
    let invalid = |text: String| EngineError::Invalid { container: spec.name.clone(), text };
    let unreadable = |error: &dyn std::fmt::Display| invalid(format!("seccomp policy {}: {error}", path.display()));
    let security = &spec.security;
    let mask = capabilities::adjusted(&security.cap_add, &security.cap_drop)
        .map_err(|name| EngineError::UnknownCapability { container: spec.name.clone(), name })?;
    let text = std::fs::read(path).map_err(|error| unreadable(&error))?;
    let place = Place {
        capabilities: capabilities::names(mask),
        architecture: if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        kernel: version(&rustix::system::uname().release().to_string_lossy()),
    };
    translate(&text, &place).map(Some).map_err(|error| unreadable(&error))
}

fn translate(text: &[u8], place: &Place) -> Result<SpecSeccomp, serde_json::Error> {
    let Profile { policy, rules } = serde_json::from_slice(text)?;
    let applies = |rule: &Rule| rule.includes.holds(place) && !rule.excludes.touches(place);
    let syscalls = rules.into_iter().filter(applies).map(|rule| rule.rule).collect();
    Ok(SpecSeccomp { syscalls, ..policy })
}

impl Condition {
    fn holds(&self, place: &Place) -> bool {
        self.caps.iter().all(|name| place.capabilities.contains(name))
            && (self.arches.is_empty() || self.arches.iter().any(|name| name == place.architecture))
            && self.min_kernel.as_deref().is_none_or(|kernel| place.kernel >= version(kernel))
    }

    fn touches(&self, place: &Place) -> bool {
        self.caps.iter().any(|name| place.capabilities.contains(name))
            || self.arches.iter().any(|name| name == place.architecture)
            || self.min_kernel.as_deref().is_some_and(|kernel| place.kernel >= version(kernel))
    }
}

/// The first two numbers of a kernel's version.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_for_a_capability_holds_only_with_it() {
        let text = br#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["breakpoint"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}}]}"#;
        let names = |capabilities: &[&str], kernel| {
            let capabilities = capabilities.iter().map(|name| (*name).to_owned()).collect();
            let place = Place { capabilities, architecture: "amd64", kernel };
            let policy = translate(text, &place).unwrap();
            assert_eq!((policy.default_action.as_str(), policy.default_errno_ret), ("SCMP_ACT_ERRNO", Some(1)));
            policy.syscalls.into_iter().flat_map(|rule| rule.names).collect::<Vec<_>>()
        };
        assert_eq!(names(&[], (6, 1)), ["read", "clone", "ptrace"]);
        assert_eq!(names(&["CAP_SYS_ADMIN"], (4, 4)), ["read", "mount"]);
        assert!(translate(b"{", &Place { capabilities: Vec::new(), architecture: "amd64", kernel: (6, 1) }).is_err());
    }
}
