//! Platforms: `linux/amd64`, `linux/arm/v7`; which image of a list fits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an image is made for.
///
/// Spec: image-spec `image-index.md`, "platform".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, in the words of Go.
    pub architecture: String,
    /// `v8`, where the architecture has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform `{0}`: expected os[/architecture[/variant]], as in linux/arm64")]
pub struct InvalidPlatform(pub String);

impl Platform {
    /// Of this machine.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }.normal()
    }

    /// One spelling of each: what a variant is by default is not said.
    fn normal(mut self) -> Self {
        let (architecture, variant) = match (self.architecture.as_str(), self.variant.as_deref()) {
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64", variant) => ("arm64", variant),
            ("i386" | "i486" | "i586" | "i686", _) => ("386", None),
            ("armhf", _) => ("arm", Some("v7")),
            ("armel", _) => ("arm", Some("v6")),
            (architecture, variant) => (architecture, variant),
        };
        let variant = match (architecture, variant) {
            ("amd64", Some("v1")) | ("arm64", Some("v8" | "8")) | (_, Some("")) => None,
            ("arm", None | Some("7")) => Some("v7"),
            ("arm", Some("6")) => Some("v6"),
            ("arm", Some("5")) => Some("v5"),
            (_, variant) => variant,
        };
        (self.architecture, self.variant) = (architecture.to_owned(), variant.map(str::to_owned));
        self
    }

    /// How well an image of another platform runs where this one is wanted: 0 is best, `None` is not at all.
    ///
    /// A machine of a later variant runs what is made for an earlier one.
    fn distance(&self, image: &Self) -> Option<u32> {
        let (wanted, image) = (self.clone().normal(), image.clone().normal());
        if (&wanted.os, &wanted.architecture) != (&image.os, &image.architecture) {
            return None;
        }
        let level = |platform: &Self| match platform.variant.as_deref() {
            None if platform.architecture == "arm64" => Some(80),
            None => Some(10),
            // `v8`, `v9.2`.
            Some(variant) => {
                let (major, minor) = variant.strip_prefix('v')?.split_once('.').unwrap_or((&variant[1..], "0"));
                Some(major.parse::<u32>().ok()?.checked_mul(10)?.saturating_add(minor.parse().ok()?))
            }
        };
        match (level(&wanted), level(&image)) {
            (Some(wanted), Some(image)) => wanted.checked_sub(image),
            _ => (wanted == image).then_some(0),
        }
    }

    /// Whether an image of another platform runs where this one is wanted.
    pub fn runs(&self, image: &Self) -> bool {
        self.distance(image).is_some()
    }

    /// The best of several.
    pub(crate) fn choose<'a, T>(&self, from: &'a [T], of: impl Fn(&T) -> Option<&Self>) -> Option<&'a T> {
        let rated = from.iter().filter_map(|it| Some((self.distance(of(it)?)?, it)));
        rated.min_by_key(|(distance, _)| *distance).map(|(_, it)| it)
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let fine = |part: &&str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(fine) {
            return Err(InvalidPlatform(text.to_owned()));
        }
        let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
        let platform = match lower.as_slice() {
            // Alone it may be either.
            [os] if matches!(os.as_str(), "linux" | "windows" | "darwin" | "freebsd") => Self { os: os.clone(), ..Self::host() },
            [architecture] => Self { architecture: architecture.clone(), ..Self::host() },
            [os, architecture] => Self { os: os.clone(), architecture: architecture.clone(), variant: None },
            [os, architecture, variant] => {
                Self { os: os.clone(), architecture: architecture.clone(), variant: Some(variant.clone()) }
            }
            _ => return Err(InvalidPlatform(text.to_owned())),
        };
        Ok(platform.normal())
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(out, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_platforms_in_one_spelling() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64/v1", "linux/amd64"),
            ("Linux/aarch64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), expected);
        }
        assert_eq!("arm64".parse::<Platform>().unwrap().to_string(), "linux/arm64");
        for text in ["", "/", "linux/", "a/b/c/d", "linux/am d64", "../x"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_latest_variant_that_still_runs_is_chosen() {
        let platforms =
            ["linux/arm/v5", "linux/arm/v7", "linux/arm/v6", "linux/arm64", "linux/amd64", "linux/amd64/v3", "windows/amd64"];
        let all: Vec<Platform> = platforms.iter().map(|text| text.parse().unwrap()).collect();
        for (wanted, expected) in [
            ("linux/arm/v6", Some("linux/arm/v6")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux/arm64", Some("linux/arm64")),
            ("linux/amd64", Some("linux/amd64")),
            ("linux/amd64/v4", Some("linux/amd64/v3")),
            ("linux/riscv64", None),
        ] {
            let chosen = wanted.parse::<Platform>().unwrap().choose(&all, |it| Some(it)).map(ToString::to_string);
            assert_eq!(chosen.as_deref(), expected, "{wanted}");
        }
    }
}
