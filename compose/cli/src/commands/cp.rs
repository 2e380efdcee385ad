//! `cp`: archives between the host and containers. No process runs in the container, and neither side holds a whole file in memory.

mod host;
mod rules;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use rcompose_supervisor::client::Client;
use rcompose_supervisor::files::Ownership;
use rcompose_supervisor::messages::{ContainerSummary, Event, FileKind, FileRequest, FileSummary, ProgressStatus};

use super::archive::{Archive, Blocking, escaped, save};
use super::{or_interrupted, replica};
use crate::arguments::Cp;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Progress;
use crate::settings::World;
use host::Packing;
use rules::{End, Placement, Source, There, in_container, place};

pub(super) async fn cp(world: &World, arguments: &Cp) -> Result<Exit, CommandError> {
    let usage = |text: &str| Err(CommandError::Usage(text.to_owned()));
    match (End::parse(&arguments.source), End::parse(&arguments.destination)) {
        (End::Service { .. }, End::Service { .. }) => {
            usage("copying between services is not supported: copy to the host, then from it")
        }
        (End::Service { service, path }, to) => {
            let copy = Copy::begin(world, arguments, &service).await?;
            or_interrupted(copy.take_out(&in_container(&path), to)).await
        }
        (from, End::Service { service, path }) => {
            let copy = Copy::begin(world, arguments, &service).await?;
            or_interrupted(copy.put_in(from, &in_container(&path))).await
        }
        _ => usage("neither of the two is in a container: write SERVICE:PATH for the one that is"),
    }
}

struct Copy<'a> {
    world: &'a World,
    arguments: &'a Cp,
    client: Client,
    /// Those that `--index` leaves.
    containers: Vec<ContainerSummary>,
    progress: Progress,
}

impl<'a> Copy<'a> {
    async fn begin(world: &'a World, arguments: &'a Cp, service: &str) -> Result<Self, CommandError> {
        let (name, _) = world.name()?;
        let mut client = Client::connect(&world.supervisor).await?;
        let containers = match arguments.index {
            0 => replica::of_service(&mut client, &name, service, arguments.all).await?,
            index => vec![replica::one(&mut client, &name, service, index).await?],
        };
        Ok(Self { world, arguments, client, containers, progress: Progress::new(&world.global, "cp") })
    }

    fn tell(&mut self, container: &str, text: &str, status: ProgressStatus) {
        self.progress.show(&Event::Progress { id: format!("Container {container}"), text: text.to_owned(), status });
    }

    async fn look(
        &mut self,
        container: &ContainerSummary,
        path: &str,
        follow: bool,
    ) -> Result<Option<FileSummary>, CommandError> {
        let request = FileRequest { path: path.to_owned(), follow, name: String::new() };
        Ok(self.client.post(&format!("/v1/containers/{}/files/look", container.id), &request).await?)
    }

    async fn take_out(mut self, path: &str, to: End) -> Result<Exit, CommandError> {
        let container = self.containers.remove(0);
        let follow = self.arguments.follow_link || rules::names_directory(path);
        let missing = || CommandError::Usage(format!("could not find the file {path} in container {}", container.name));
        let found = self.look(&container, path, follow).await?.ok_or_else(missing)?;
        let clean = rules::clean(path);
        let source = Source { path, clean: &clean, is_directory: found.kind == FileKind::Directory };
        let url = format!("/v1/containers/{}/files/read", container.id);
        let request = |name: &Path| FileRequest { path: path.to_owned(), follow, name: name.to_string_lossy().into_owned() };
        let End::Host(target) = to else {
            let request = request(clean.file_name().map_or(Path::new("."), Path::new));
            let what = Archive { of: &format!("{path} of container {}", container.name), hint: None };
            return save(&mut self.client, &url, &request, what, None).await;
        };
        let at = self.world.working_dir.join(&target);
        let Placement { into, name } = place(source, &target, host::there(&at)).map_err(CommandError::Usage)?;
        let into = self.world.working_dir.join(into);
        self.tell(&container.name, "Copying", ProgressStatus::Working);
        if !self.world.global.dry_run {
            let own = || Ownership::Given { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
            let ownership = if self.arguments.archive { Ownership::Kept } else { own() };
            let archive = self.client.download(&url, &request(&name)).await?;
            host::unpack(archive, &into, ownership).await?;
        }
        self.tell(&container.name, "Copied", ProgressStatus::Done);
        Ok(Exit::Success)
    }

    /// COMPAT: docker's manual says that files become root's without `--archive`; in fact they keep the numbers of their owners, and so
    /// they do here.
    async fn put_in(mut self, from: End, path: &str) -> Result<Exit, CommandError> {
        let containers = std::mem::take(&mut self.containers);
        if matches!(from, End::Stream) {
            if let [container] = containers.as_slice() {
                return self.send_stream(container, path).await;
            }
            let text =
                format!("standard input can be copied to one container, not to {}: choose with `--index`", containers.len());
            return Err(CommandError::Usage(text));
        }
        let End::Host(source) = from else { return Ok(Exit::Success) };
        let follow = self.arguments.follow_link || rules::names_directory(&source);
        let (clean, is_directory) = host::look(&self.world.working_dir, &source, follow)?;
        for container in &containers {
            let placement = self.placement(container, Source { path: &source, clean: &clean, is_directory }, path).await?;
            self.tell(&container.name, "Copying", ProgressStatus::Working);
            if !self.world.global.dry_run {
                let (archive, end) = Packing::begin(&clean, placement.name, follow)?.into_parts();
                let sent = self.send(container, &placement.into, archive).await;
                // A reader that is gone is told by the other side, with its reason.
                let packed = end();
                sent?;
                packed?;
            }
            self.tell(&container.name, "Copied", ProgressStatus::Done);
        }
        Ok(Exit::Success)
    }

    /// Where something goes in a container.
    async fn placement(
        &mut self,
        container: &ContainerSummary,
        source: Source<'_>,
        target: &str,
    ) -> Result<Placement, CommandError> {
        let found = self.look(container, target, true).await?;
        let there = match &found {
            Some(found) if found.kind == FileKind::Directory => There::Directory,
            Some(_) => There::File,
            None => There::Nothing,
        };
        let mut placement = place(source, target, there).map_err(CommandError::Usage)?;
        if let (There::File, Some(found)) = (there, &found) {
            // What a link leads to is replaced, not the link.
            let real = PathBuf::from(&found.path);
            placement = Placement {
                into: real.parent().map(Path::to_owned).unwrap_or_default(),
                name: real.file_name().map(PathBuf::from).unwrap_or_default(),
            };
        }
        self.check_directory(container, &placement.into.to_string_lossy()).await?;
        Ok(placement)
    }

    async fn check_directory(&mut self, container: &ContainerSummary, path: &str) -> Result<(), CommandError> {
        let why = match self.look(container, path, true).await? {
            Some(found) if found.kind == FileKind::Directory => return Ok(()),
            Some(_) => "is not a directory",
            None => "does not exist",
        };
        Err(CommandError::Usage(format!("`{path}` {why} in container {}", container.name)))
    }

    async fn send_stream(mut self, container: &ContainerSummary, path: &str) -> Result<Exit, CommandError> {
        if std::io::stdin().is_terminal() {
            return Err(CommandError::Usage("an archive is not read from a terminal: redirect standard input".to_owned()));
        }
        self.check_directory(container, path).await?;
        let input = std::fs::File::open("/dev/stdin");
        let input = input.map_err(|source| CommandError::System { doing: "open standard input".to_owned(), source })?;
        if !self.world.global.dry_run {
            self.send(container, Path::new(path), input).await?;
        }
        self.tell(&container.name, "Copied", ProgressStatus::Done);
        Ok(Exit::Success)
    }

    async fn send(&mut self, container: &ContainerSummary, into: &Path, archive: std::fs::File) -> Result<(), CommandError> {
        let url = format!("/v1/containers/{}/files/write?path={}", container.id, escaped(&into.to_string_lossy()));
        Ok(self.client.upload(&url, Blocking(archive)).await?)
    }
}
