//! What of other platforms this machine runs, and what a build is told of them.

use std::collections::BTreeMap;

use rcompose_image::Platform;

/// Tells whether programs of it run on this machine.
pub(crate) fn runs_here(platform: &Platform) -> bool {
    let host = Platform::host();
    if platform.os != "linux" {
        return false;
    }
    platform.architecture == host.architecture
        || (host.architecture == "amd64" && platform.architecture == "386")
        || interpreter(&platform.architecture)
            .is_some_and(|name| std::path::Path::new("/proc/sys/fs/binfmt_misc").join(format!("qemu-{name}")).exists())
}

/// What qemu calls an architecture.
fn interpreter(architecture: &str) -> Option<&str> {
    Some(match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i386",
        "arm" | "riscv64" | "s390x" | "ppc64le" | "loong64" => architecture,
        _ => return None,
    })
}

/// The arguments that say what is built, and where.
pub(crate) fn arguments(target: &Platform, stage: &str) -> BTreeMap<String, String> {
    let build = Platform::host();
    let mut arguments = BTreeMap::from([("TARGETSTAGE".to_owned(), stage.to_owned())]);
    for (prefix, platform) in [("TARGET", target), ("BUILD", &build)] {
        arguments.insert(format!("{prefix}PLATFORM"), platform.to_string());
        arguments.insert(format!("{prefix}OS"), platform.os.clone());
        arguments.insert(format!("{prefix}OSVERSION"), String::new());
        arguments.insert(format!("{prefix}ARCH"), platform.architecture.clone());
        arguments.insert(format!("{prefix}VARIANT"), platform.variant.clone().unwrap_or_default());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_runs_what_is_made_for_it() {
        assert!(runs_here(&Platform::host()));
        assert!(!runs_here(&"windows/amd64".parse().unwrap()));
    }
}
