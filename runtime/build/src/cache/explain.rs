//! Why a step runs again: what is different from the last time.

use std::collections::BTreeMap;

use rcompose_image::Digest;

use super::{Cache, Inputs};

impl Cache {
    /// Says why a step that is not known has to run, by what went into it last time at the same position.
    pub(crate) fn explain(&self, position: &str, inputs: &Inputs) -> Option<String> {
        let last: Inputs = serde_json::from_slice(&std::fs::read(self.last(position)).ok()?).ok()?;
        let different = |(name, value): &&(String, String)| {
            last.parts.iter().find(|(other, _)| other == name).is_none_or(|(_, before)| before != value)
        };
        let gone = || last.parts.iter().find(|(name, _)| inputs.parts.iter().all(|(other, _)| other != name));
        let Some((name, _)) = inputs.parts.iter().find(different).or_else(gone) else {
            return Some("what it came to is gone from the cache".to_owned());
        };
        Some(match self.changed_file(name, inputs, &last) {
            Some(text) => text,
            None => format!("{name} changed"),
        })
    }

    /// Notes what goes into a step that runs.
    pub(crate) fn note_inputs(&self, position: &str, inputs: &Inputs) {
        let json = serde_json::to_vec(inputs).expect("texts have a JSON form");
        self.write(&format!("last/{}", Digest::of(position.as_bytes()).hex()), &json);
    }

    fn last(&self, position: &str) -> std::path::PathBuf {
        self.root.join("last").join(Digest::of(position.as_bytes()).hex())
    }

    /// The first file that is not what it was, and how many more.
    fn changed_file(&self, name: &str, now: &Inputs, last: &Inputs) -> Option<String> {
        let list = |inputs: &Inputs| {
            let (_, digest) = inputs.lists.iter().find(|(other, _)| other == name)?;
            std::fs::read_to_string(self.root.join("lists").join(digest)).ok()
        };
        let (now, last) = (list(now)?, list(last)?);
        let (now, last) = (files(&now), files(&last));
        let mut changes = now.iter().filter_map(|(path, is)| match last.get(path) {
            None => Some(format!("`{path}` is new")),
            Some(was) if was != is => Some(format!("`{path}` changed")),
            Some(_) => None,
        });
        let mut gone = last.keys().filter(|path| !now.contains_key(*path)).map(|path| format!("`{path}` is gone"));
        let first = changes.next().or_else(|| gone.next())?;
        Some(match changes.count() + gone.count() {
            0 => first,
            more => format!("{first}, and {more} more"),
        })
    }
}

/// The lines of a list, by path.
fn files(list: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (about, path) = line.split_once('"')?;
        Some((path.trim_end_matches('"').to_owned(), about.to_owned()))
    };
    list.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use rcompose_sys::atomic::TempDir;

    use super::*;

    #[test]
    fn the_first_thing_that_is_different_is_named() {
        let folder = TempDir::new().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let inputs = |instruction: &str, argument: &str, files: &str| {
            let mut inputs = Inputs::new(&[], instruction);
            inputs.add("argument `V`", argument);
            let list = Digest::of(files.as_bytes());
            cache.keep_list(&list, files);
            inputs.files("a file", &list);
            inputs
        };
        let first = inputs("COPY . .", "1", "644 aa \"src/a.rs\"\n644 bb \"src/b.rs\"\n");
        assert_eq!(cache.explain("web/0/1", &first), None);
        cache.note_inputs("web/0/1", &first);
        let told = |inputs: &Inputs| cache.explain("web/0/1", inputs).unwrap();
        assert_eq!(told(&inputs("COPY . x", "1", "644 aa \"src/a.rs\"\n644 bb \"src/b.rs\"\n")), "the instruction changed");
        assert_eq!(told(&inputs("COPY . .", "2", "")), "argument `V` changed");
        assert_eq!(told(&inputs("COPY . .", "1", "644 xx \"src/a.rs\"\n644 bb \"src/b.rs\"\n")), "`src/a.rs` changed");
        assert_eq!(told(&inputs("COPY . .", "1", "644 aa \"src/a.rs\"\n")), "`src/b.rs` is gone");
        assert_eq!(told(&inputs("COPY . .", "1", "1 a \"n\"\n1 b \"m\"\n")), "`m` is new, and 3 more");
        assert_eq!(told(&first), "what it came to is gone from the cache");
    }
}
