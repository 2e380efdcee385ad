//! Platforms: what this machine is, and what a build may be for.

use std::collections::BTreeMap;

/// `os/arch[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) os: String,
    pub(crate) architecture: String,
    pub(crate) variant: Option<String>,
}

impl Platform {
    /// The machine's own.
    pub(crate) fn native() -> Self {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// Reads `linux/amd64`, `amd64`, `linux/arm/v7`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts.as_slice() {
            [one] if matches!(*one, "linux" | "windows") => (*one, "native", None),
            [architecture] => ("linux", *architecture, None),
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some(*variant)),
            _ => return Err(format!("`{text}` is no platform: write linux/amd64")),
        };
        let architecture = match architecture {
            "native" => Self::native().architecture,
            "x86_64" | "x86-64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            other => other.to_owned(),
        };
        let valid =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !valid(os) || !valid(&architecture) || variant.is_some_and(|variant| !valid(variant)) {
            return Err(format!("`{text}` is no platform: write linux/amd64"));
        }
        let variant = variant.filter(|variant| (architecture.as_str(), *variant) != ("arm64", "v8")).map(str::to_owned);
        Ok(Self { os: os.to_owned(), architecture, variant })
    }

    /// Tells whether programs of it run on this machine.
    pub(crate) fn runs_here(&self) -> bool {
        let native = Self::native();
        if self.os != "linux" {
            return false;
        }
        self.architecture == native.architecture
            || (native.architecture == "amd64" && self.architecture == "386")
            || interpreter(&self.architecture)
                .is_some_and(|name| std::path::Path::new("/proc/sys/fs/binfmt_misc").join(format!("qemu-{name}")).exists())
    }
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

impl std::fmt::Display for Platform {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(out, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// The arguments that say what is built, and where.
pub(crate) fn arguments(target: &Platform, stage: &str) -> BTreeMap<String, String> {
    let build = Platform::native();
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
    fn platforms_as_people_write_them() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("x86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm/v7", "linux/arm/v7"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), expected);
        }
        for invalid in ["", "a/b/c/d", "linux/", "../x"] {
            assert!(Platform::parse(invalid).is_err(), "{invalid}");
        }
        assert!(Platform::native().runs_here() && !Platform::parse("windows/amd64").unwrap().runs_here());
    }
}
