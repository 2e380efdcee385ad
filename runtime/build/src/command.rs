//! RUN: a container of our own runtime on top of the layers so far; what it writes becomes a layer.

use std::collections::VecDeque;

use rcompose_engine::StepRequest;
use rcompose_engine::container::{ContainerSpec, Endpoint, Limits, Mount, MountSource, Namespace, Namespaces, Security};
use rcompose_image::NewLayer;

use crate::cache::{Inputs, Made};
use crate::dockerfile::{self, Run};
use crate::error::{Doing, StepError};
use crate::event::BuildEvent;
use crate::mounts::Mounted;
use crate::request::{Entitlement, Network};
use crate::stage::{StageRun, Step};
use crate::state::State;

/// Lines of output that are told again when a step fails.
const TAIL: usize = 20;
/// Bytes of a line that are kept for that.
const LINE: usize = 4096;

impl StageRun<'_> {
    pub(crate) fn run(&self, state: &State, run: &Run, step: &Step) -> Result<(Made, bool), StepError> {
        let network = self.network(run)?;
        let privileged = self.privileged(run)?;
        let words = state.words(&run.command);
        let mut inputs = Inputs::new(&state.layers, &format!("RUN {words:?} script {}", run.script.is_some()));
        let config = &state.image.config;
        for entry in &config.env {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            inputs.add(&format!("variable `{name}`"), value);
        }
        for (name, value) in &state.args {
            inputs.add(&format!("argument `{name}`"), value);
        }
        inputs.add("the user", &config.user);
        inputs.add("the working directory", &config.working_dir);
        inputs.add("the network", &format!("{network:?}"));
        inputs.add("the security mode", &privileged.to_string());
        inputs.add("the platform", &self.build.platform.to_string());
        if !self.build.request.extra_hosts.is_empty() {
            inputs.add("the extra hosts", &format!("{:?}", self.build.request.extra_hosts));
        }
        if let Some(epoch) = self.build.epoch() {
            inputs.add("SOURCE_DATE_EPOCH", &epoch.to_string());
        }
        let mounts = self.mounts(state, &run.mounts, &mut inputs)?;
        let view = self.build.held.view(&state.layers);
        self.cached(step, &inputs, &|| {
            let store = self.build.builder.engine.images();
            let new = store.new_layer(&view)?;
            let mounted = self.mounted(state, &mounts, &new)?;
            let mut spec = self.spec(state, words.clone(), &network, privileged, mounted_parts(&mounted));
            if let Some(script) = &run.script {
                self.script(&mut spec, script, &new)?;
            }
            let request = StepRequest { spec, image: &state.image, view: view.clone(), folder: new.folder() };
            self.execute(request, step)?;
            drop(mounted);
            let layer = store.commit(new, self.build.epoch(), &self.build.held)?;
            Ok(Made::here(Some(layer), self.build.now()))
        })
    }

    /// What the step is connected to.
    fn network(&self, run: &Run) -> Result<Network, StepError> {
        let request = self.build.request;
        match run.network.as_deref() {
            Some("none") => Ok(Network::None),
            Some("host") if request.network != Network::Host && !request.entitlements.contains(&Entitlement::NetworkHost) => {
                let text = "RUN --network=host needs the entitlement `network.host`: add it to `build.entitlements`";
                Err(StepError::Invalid(text.to_owned()))
            }
            Some("host") => Ok(Network::Host),
            _ => Ok(request.network.clone()),
        }
    }

    fn privileged(&self, run: &Run) -> Result<bool, StepError> {
        if !run.devices.is_empty() {
            let text = "RUN --device names devices of CDI, which are not known here";
            return Err(StepError::Invalid(text.to_owned()));
        }
        let insecure = run.security.as_deref() == Some("insecure");
        if insecure && !self.build.request.entitlements.contains(&Entitlement::SecurityInsecure) {
            let text = "RUN --security=insecure needs the entitlement `security.insecure`: add it to `build.entitlements`";
            return Err(StepError::Invalid(text.to_owned()));
        }
        Ok(insecure)
    }

    fn spec(&self, state: &State, words: Vec<String>, network: &Network, privileged: bool, mounted: Parts) -> ContainerSpec {
        let request = self.build.request;
        let hostname = request.args.get("BUILDKIT_SANDBOX_HOSTNAME").cloned();
        let endpoint = |name: &str| vec![Endpoint { network: name.to_owned(), ..Endpoint::default() }];
        let arguments = state.args.iter().filter(|(name, _)| state.env(name).is_none());
        let environment = self.scope.proxies().chain(arguments).map(|(name, value)| (name.clone(), Some(value.clone())));
        ContainerSpec {
            name: "the step".to_owned(),
            entrypoint: Some(words),
            environment: environment.chain(mounted.environment.into_iter().map(|(name, value)| (name, Some(value)))).collect(),
            working_dir: Some(state.image.config.working_dir.clone()),
            user: Some(state.image.config.user.clone()),
            hostname: Some(hostname.unwrap_or_else(|| "buildkitsandbox".to_owned())),
            security: Security { privileged, ..Security::default() },
            ulimits: request.ulimits.clone(),
            shm_size: request.shm_size,
            // Half of what a container gets when the machine is busy: a build is not to freeze what runs.
            limits: Limits { memory: request.memory, cpu_shares: Some(512), ..Limits::default() },
            namespaces: Namespaces {
                network: if *network == Network::Host { Namespace::Host } else { Namespace::Private },
                ..Namespaces::default()
            },
            networks: match network {
                Network::Default => endpoint(""),
                Network::Named(name) => endpoint(name),
                Network::None | Network::Host => Vec::new(),
            },
            extra_hosts: request.extra_hosts.clone(),
            mounts: mounted.mounts,
            files: mounted.files,
            ..ContainerSpec::default()
        }
    }

    /// Has a script run by the program that its first line names.
    fn script(&self, spec: &mut ContainerSpec, script: &dockerfile::Heredoc, new: &NewLayer) -> Result<(), StepError> {
        let doing = || "write the script".to_owned();
        let path = new.folder().join("script");
        std::fs::write(&path, script.content()).doing(doing)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).doing(doing)?;
        let target = format!("/dev/pipes/{}", crate::files::relative(&script.head.name).display());
        spec.entrypoint = Some(vec![target.clone()]);
        let source = MountSource::Bind { path, create: false, propagation: String::new(), recursive: false };
        spec.mounts.push(Mount { target, read_only: true, source });
        Ok(())
    }

    fn execute(&self, request: StepRequest<'_>, step: &Step) -> Result<(), StepError> {
        let build = self.build;
        let engine = &build.builder.engine;
        let mut running = engine.start_step(request)?;
        let watched = build.around.cancel.watch(running.handle());
        let mut tail = Tail::default();
        let mut decoder = Decoder::default();
        while let Some(bytes) = running.output() {
            let text = decoder.text(&bytes);
            tail.take(&text);
            build.tell(BuildEvent::Output { step: step.id, text, at: step.elapsed() });
        }
        let ended = engine.end_step(running);
        drop(watched);
        build.around.cancel.check()?;
        let record = ended?;
        if record.code == 0 {
            return Ok(());
        }
        Err(StepError::Exit { code: record.code, out_of_memory: record.oom_killed, tail: tail.lines() })
    }
}

/// What mounts give to a container.
struct Parts {
    mounts: Vec<Mount>,
    files: Vec<rcompose_engine::container::InjectedFile>,
    environment: Vec<(String, String)>,
}

fn mounted_parts(mounted: &Mounted<'_>) -> Parts {
    Parts { mounts: mounted.mounts.clone(), files: mounted.files.clone(), environment: mounted.environment.clone() }
}

/// Bytes to text, a character that is cut in two put together again.
#[derive(Default)]
struct Decoder {
    begun: Vec<u8>,
}

impl Decoder {
    fn text(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&all) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => all.len(),
        };
        self.begun = all.split_off(whole);
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// The last lines of an output.
#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    open: bool,
}

impl Tail {
    fn take(&mut self, text: &str) {
        for piece in text.split_inclusive('\n') {
            let line = piece.trim_end_matches(['\n', '\r']);
            match self.lines.back_mut().filter(|_| self.open) {
                Some(last) if last.len() < LINE => last.push_str(line),
                Some(_) => {}
                None => self.lines.push_back(line.chars().take(LINE).collect()),
            }
            self.open = !piece.ends_with('\n');
            if self.lines.len() > TAIL {
                self.lines.pop_front();
            }
        }
    }

    fn lines(self) -> Vec<String> {
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_characters_stay_whole() {
        let mut tail = Tail::default();
        (0..50).for_each(|number| tail.take(&format!("{number}\n")));
        tail.take("be");
        tail.take("gun\nend");
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[18].as_str(), lines[19].as_str()), (20, "begun", "end"));
        let mut decoder = Decoder::default();
        let bytes = "grö".as_bytes();
        assert_eq!(decoder.text(&bytes[..3]) + &decoder.text(&bytes[3..]), "grö");
        assert_eq!(decoder.text(&[0xff, b'a']), "\u{fffd}a");
    }
}
