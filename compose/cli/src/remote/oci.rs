//! Stacks that are kept in registries. The supervisor asks the registry, with the names, certificates and credentials that it has
//! for images; here the files of the artifact become a folder.

use std::path::{Path, PathBuf};

use rcompose_supervisor::Settings;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ArtifactFile, ArtifactRole, StackArtifact, StackRequest};
use serde::de::DeserializeOwned;

use super::cache::{Cache, Id, folder_name};
use super::tree::Tree;
use crate::error::CommandError;

const COMPOSE_FILE: &str = "compose.yaml";

pub(super) fn fetch(reference: &str, insecure: &[String], cache: &Cache, settings: &Settings) -> Result<(Tree, PathBuf), String> {
    let digested: String = ask(settings, "/v1/artifacts/digest", reference, insecure)?;
    let (name, digest) = digested.split_once('@').ok_or("the supervisor gave no digest")?;
    let repository = name.rsplit('/').next().unwrap_or(name);
    let hash = digest.rsplit(':').next().unwrap_or(digest).to_owned();
    let id = Id { kind: "oci", name: folder_name(repository.split(':').next().unwrap_or(repository)), hash };
    let tree = match cache.find(&id)? {
        Some(tree) => tree,
        None => {
            let artifact: StackArtifact = ask(settings, "/v1/artifacts/fetch", &digested, insecure)?;
            let scratch = cache.scratch(&id)?;
            write(&scratch.tree(&id), &artifact.files)?;
            scratch.publish(&id)?
        }
    };
    let file = tree.compose_file(Path::new(COMPOSE_FILE))?;
    Ok((tree, file))
}

/// On a thread of its own: files are loaded in the middle of what waits for other things.
fn ask<T: DeserializeOwned + Send>(settings: &Settings, path: &str, name: &str, insecure: &[String]) -> Result<T, String> {
    let ask = async || -> Result<T, CommandError> {
        let mut client = Client::connect(settings).await?;
        Ok(client.post(path, &StackRequest { name: name.to_owned(), insecure: insecure.to_vec() }).await?)
    };
    let answer = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let system = |source| CommandError::System { doing: "start".to_owned(), source };
            let answer = runtime.map_err(system).and_then(|runtime| runtime.block_on(ask()));
            answer.map_err(|error| error.in_one_line())
        });
        thread.join()
    });
    answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Documents of the stack come one after another into one file; every other file has a name of one word, and only once.
fn write(folder: &Path, files: &[ArtifactFile]) -> Result<(), String> {
    let failed = |path: &Path, error: std::io::Error| format!("failed to write {}: {error}", path.display());
    let documents = files.iter().filter(|file| file.role == ArtifactRole::Compose).map(|file| file.text.as_str());
    let compose = documents.collect::<Vec<_>>().join("\n---\n");
    if compose.is_empty() {
        return Err("the artifact has no Compose file".to_owned());
    }
    let path = folder.join(COMPOSE_FILE);
    std::fs::write(&path, compose).map_err(|error| failed(&path, error))?;
    for file in files.iter().filter(|file| file.role != ArtifactRole::Compose) {
        let name = file.name.as_deref().unwrap_or_default();
        if !is_file_name(name) {
            return Err(format!("the artifact names a file `{}`: it has to be a single word", name.escape_debug()));
        }
        let path = folder.join(name);
        let written =
            std::fs::File::create_new(&path).and_then(|mut it| std::io::Write::write_all(&mut it, file.text.as_bytes()));
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(format!("the artifact has more than one file `{name}`"));
            }
            written => written.map_err(|error| failed(&path, error))?,
        }
    }
    Ok(())
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && ![".", ".."].contains(&name)
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(role: ArtifactRole, name: &str, text: &str) -> ArtifactFile {
        ArtifactFile { role, name: Some(name.to_owned()), text: text.to_owned() }
    }

    fn written(files: &[ArtifactFile]) -> Result<String, String> {
        let folder = std::env::temp_dir().join(format!("rcompose-oci-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&folder).unwrap();
        let result = write(&folder, files).map(|()| std::fs::read_to_string(folder.join(COMPOSE_FILE)).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
        result
    }

    #[test]
    fn documents_of_a_stack_become_one_file() {
        let one = [file(ArtifactRole::Compose, "a.yaml", "a: 1"), file(ArtifactRole::Compose, "b.yaml", "b: 2")];
        assert_eq!(written(&one).unwrap(), "a: 1\n---\nb: 2");
        assert_eq!(written(&[file(ArtifactRole::Extended, "x.yaml", "")]).unwrap_err(), "the artifact has no Compose file");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\nb", COMPOSE_FILE] {
            let files = [file(ArtifactRole::Compose, "", "a: 1"), file(ArtifactRole::Variables, name, "A=1")];
            assert!(written(&files).is_err(), "{name:?}");
        }
    }
}
