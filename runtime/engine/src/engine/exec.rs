//! Another process in a running container.

use std::os::unix::net::UnixStream;

use rcompose_container::launch::{Exec, ExecLaunch};
use rcompose_container::spec::Spec;

use super::Engine;
use crate::EngineError;
use crate::error::Doing;

/// What is to run.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// `None` takes a variable away.
    pub environment: Vec<(String, Option<String>)>,
    /// Instead of the container's.
    pub user: Option<String>,
    /// Instead of the container's.
    pub working_dir: Option<String>,
    /// On a terminal.
    pub tty: bool,
    /// Standard input takes what the client sends.
    pub stdin_open: bool,
    /// With all capabilities and no filter.
    pub privileged: bool,
    /// Goes on without a client.
    pub detached: bool,
}

impl Engine {
    /// Starts another process, confined as the container is.
    pub fn exec(&self, id: &str, request: &ExecRequest) -> Result<Exec, EngineError> {
        let entry = self.entry(id)?;
        let record = entry.record();
        self.running(id)?;
        let doing = || format!("read the bundle of {}", record.spec.name);
        let json = std::fs::read(entry.paths.directory.join("config.json")).doing(doing)?;
        let spec: Spec = serde_json::from_slice(&json).doing(doing)?;
        let mut process = spec.process.unwrap_or_default();
        let mut linux = spec.linux.unwrap_or_default();
        process.args.clone_from(&request.command);
        process.terminal = request.tty;
        if let Some(user) = &request.user {
            process.user.name = Some(user.clone());
        }
        if let Some(folder) = &request.working_dir {
            process.cwd.clone_from(folder);
        }
        for (name, value) in &request.environment {
            process.env.retain(|entry| entry.split('=').next() != Some(name));
            process.env.extend(value.as_ref().map(|value| format!("{name}={value}")));
        }
        if request.tty && !process.env.iter().any(|entry| entry.starts_with("TERM=")) {
            process.env.push("TERM=xterm".to_owned());
        }
        if request.privileged {
            let all = rcompose_container::init::capabilities::names(rcompose_container::init::capabilities::ALL);
            let sets = process.capabilities.get_or_insert_default();
            (sets.bounding, sets.effective, sets.permitted) = (all.clone(), all.clone(), all);
            (linux.seccomp, linux.seccomp_default) = (None, false);
        }
        let launch = ExecLaunch {
            state_dir: entry.paths.state.clone(),
            process,
            linux,
            stdin_open: request.stdin_open,
            detached: request.detached,
        };
        let exec = self.launcher.exec(launch);
        exec.map_err(|source| EngineError::Launch { container: record.spec.name, source })
    }

    /// Runs a process to its end and gives its status and the beginning of its output.
    ///
    /// `register` gets the stream before anything is read: shutting it down ends the process.
    pub fn exec_captured(
        &self,
        id: &str,
        request: &ExecRequest,
        limit: usize,
        register: impl FnOnce(UnixStream),
    ) -> Result<(i32, Vec<u8>), EngineError> {
        use std::io::Read;

        use rcompose_container::frame::Frame;
        let (mut stream, helper) = self.exec(id, request)?.into_parts();
        if let Ok(clone) = stream.try_clone() {
            register(clone);
        }
        let (mut buffer, mut output, mut code) = (Vec::new(), Vec::new(), -1);
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut chunk) {
            buffer.extend_from_slice(&chunk[..count]);
            while let Ok(Some(frame)) = Frame::take(&mut buffer) {
                match frame {
                    Frame::Stdout(bytes) | Frame::Stderr(bytes) => {
                        let room = limit.saturating_sub(output.len());
                        output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    }
                    Frame::Exit(status) => code = status,
                    _ => {}
                }
            }
        }
        drop(stream);
        helper.reap();
        Ok((code, output))
    }
}
