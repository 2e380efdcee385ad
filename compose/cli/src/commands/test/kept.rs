//! What is kept of a test that failed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ContainerSummary, LogEvent, LogsRequest};

use crate::error::CommandError;
use crate::settings::World;

fn failed(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> CommandError {
    let doing = format!("{doing} {}", path.display());
    |source| CommandError::System { doing, source }
}

/// Makes the folder: the one asked for, or a new one among the temporary files.
pub(super) fn folder(world: &World, asked: Option<&Path>, project: &str) -> Result<PathBuf, CommandError> {
    use std::os::unix::fs::DirBuilderExt;
    let temporary = || world.environment.get("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let (folder, is_new) = match asked {
        Some(folder) => (world.working_dir.join(folder), false),
        // Others may write there: what is there already is not ours.
        None => (temporary().join(format!("rcompose-{project}")), true),
    };
    let made = std::fs::DirBuilder::new().recursive(!is_new).mode(0o700).create(&folder);
    made.map_err(failed("make", &folder))?;
    Ok(folder)
}

/// Writes `web-1.log` of each container, and `containers.json`: what `ps -a` knows of them.
pub(super) async fn write(
    world: &World,
    project: &str,
    containers: &[ContainerSummary],
    folder: &Path,
) -> Result<(), CommandError> {
    let path = folder.join("containers.json");
    let text = serde_json::to_vec_pretty(containers).expect("messages have a JSON form");
    std::fs::write(&path, text).map_err(failed("write", &path))?;
    let mut client = Client::connect(&world.supervisor).await?;
    let request = LogsRequest { project: project.to_owned(), ..LogsRequest::default() };
    let mut lines = client.stream("/v1/logs", &request).await?;
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    while let Some(event) = lines.next::<LogEvent>().await? {
        let LogEvent::Line { container, time, text, .. } = event else { continue };
        let short = container.strip_prefix(&format!("{project}-")).unwrap_or(&container);
        let path = folder.join(format!("{short}.log"));
        if !files.contains_key(&container) {
            files.insert(container.clone(), File::create(&path).map_err(failed("write", &path))?);
        }
        let file = files.get_mut(&container).expect("it was put there");
        let time = jiff::Timestamp::from_nanosecond(i128::from(time)).unwrap_or_default();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        file.write_all(format!("{time} {text}{end}").as_bytes()).map_err(failed("write", &path))?;
    }
    Ok(())
}
