//! `cache_from` and `cache_to`: entries of text to places.

use std::collections::BTreeMap;
use std::path::Path;

use rcompose_build::CacheTarget;
use rcompose_engine::image::{Reference, SetPlace};

/// What the entries of a build section say of caches.
#[derive(Debug, Default)]
pub(super) struct Caches {
    pub(super) from: Vec<SetPlace>,
    pub(super) to: Vec<CacheTarget>,
    pub(super) inline: bool,
    /// Entries that have no effect.
    pub(super) ignored: Vec<String>,
}

impl Caches {
    /// Reads both lists; paths start in `working_dir`.
    ///
    /// # Errors
    /// An entry that says too little.
    pub(super) fn read(working_dir: &Path, from: &[String], to: &[String]) -> Result<Self, String> {
        let mut caches = Self::default();
        for text in from {
            let entry = Entry::of(text)?;
            match entry.kind {
                "registry" | "local" => caches.from.push(entry.place(working_dir, "src")?),
                _ => caches.ignored.push(text.clone()),
            }
        }
        for text in to {
            let entry = Entry::of(text)?;
            match entry.kind {
                "registry" | "local" => {
                    let place = entry.place(working_dir, "dest")?;
                    caches.to.push(CacheTarget { place, all: entry.is_max()? });
                }
                "inline" => caches.inline = true,
                _ => caches.ignored.push(text.clone()),
            }
        }
        Ok(caches)
    }
}

/// `type=registry,ref=host/name:tag,mode=max`; a name alone is one of a registry.
struct Entry<'a> {
    text: &'a str,
    kind: &'a str,
    fields: BTreeMap<&'a str, &'a str>,
}

impl<'a> Entry<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        if !text.contains('=') {
            return Ok(Self { text, kind: "registry", fields: BTreeMap::from([("ref", text)]) });
        }
        let field = |field: &'a str| field.split_once('=').ok_or_else(|| format!("`{text}`: `{field}` has no value"));
        let fields = text.split(',').map(|text| field(text.trim())).collect::<Result<BTreeMap<_, _>, _>>()?;
        let kind = fields.get("type").copied().ok_or_else(|| format!("`{text}` does not say its `type`"))?;
        Ok(Self { text, kind, fields })
    }

    fn needed(&self, name: &str) -> Result<&'a str, String> {
        let value = self.fields.get(name).copied().filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("`{}` needs `{name}=`", self.text))
    }

    fn place(&self, working_dir: &Path, path: &str) -> Result<SetPlace, String> {
        if self.kind == "local" {
            let folder = working_dir.join(self.needed(path)?).components().collect();
            return Ok(SetPlace::Layout { folder, tag: self.fields.get("tag").copied().unwrap_or("latest").to_owned() });
        }
        let reference: Result<Reference, _> = self.needed("ref")?.parse();
        reference.map(SetPlace::Registry).map_err(|error| error.to_string())
    }

    fn is_max(&self) -> Result<bool, String> {
        match self.fields.get("mode").copied() {
            None | Some("min") => Ok(false),
            Some("max") => Ok(true),
            Some(other) => Err(format!("`{}`: mode `{other}` is none: min and max are", self.text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(from: &[&str], to: &[&str]) -> Result<Caches, String> {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Caches::read(Path::new("/stack"), &owned(from), &owned(to))
    }

    #[test]
    fn entries_are_places_and_modes() {
        let from = ["team/app:1", "type=registry,ref=host:5000/c", "type=local,src=./cache,tag=main", "type=gha"];
        let to = ["type=registry,ref=host:5000/c,mode=max", "type=local,dest=/x", "type=inline", "type=s3,bucket=b"];
        let caches = read(&from, &to).unwrap();
        let shown: Vec<String> = caches.from.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["team/app:1", "host:5000/c:latest", "/stack/cache:main"]);
        let shown: Vec<(String, bool)> = caches.to.iter().map(|it| (it.place.to_string(), it.all)).collect();
        assert_eq!(shown, [("host:5000/c:latest".to_owned(), true), ("/x".to_owned(), false)]);
        assert_eq!((caches.inline, caches.ignored), (true, vec!["type=gha".to_owned(), "type=s3,bucket=b".to_owned()]));
    }

    #[test]
    fn what_says_too_little_is_refused() {
        for (entry, why) in [
            ("type=local", "`type=local` needs `dest=`"),
            ("ref=x", "`ref=x` does not say its `type`"),
            ("type=registry,ref", "`type=registry,ref`: `ref` has no value"),
            ("type=registry,ref=UP", "invalid reference format: `UP`"),
            ("type=local,dest=x,mode=most", "`type=local,dest=x,mode=most`: mode `most` is none"),
        ] {
            let refused = read(&[], &[entry]).unwrap_err();
            assert!(refused.starts_with(why), "{refused}");
        }
    }
}
