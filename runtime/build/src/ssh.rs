//! An ssh agent for a step: a socket of our own that leads to the user's, as long as the step runs.

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A socket that leads to an agent; gone when this is dropped.
pub(crate) struct Agent {
    path: PathBuf,
    ended: Arc<AtomicBool>,
}

impl Agent {
    /// Makes a socket in `folder` for its owner alone, or as the mode says.
    pub(crate) fn offer(agent: &Path, folder: &Path, owner: (u32, u32), mode: u32) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let directory = std::fs::File::open(folder)?;
        let path = folder.join("agent");
        // Through the directory's descriptor: the path of a socket has to be short.
        let listener = UnixListener::bind(format!("{}/agent", rcompose_sys::beneath::proc_path(&directory)))?;
        std::os::unix::fs::chown(&path, Some(owner.0), Some(owner.1))?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        // Asked for now, so that what is wrong with it is told at once.
        drop(UnixStream::connect(agent)?);
        let ended = Arc::new(AtomicBool::new(false));
        let (agent, told) = (agent.to_owned(), ended.clone());
        std::thread::Builder::new().name("ssh-agent".to_owned()).spawn(move || serve(&listener, &agent, &told))?;
        Ok(Self { path, ended })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the one who waits for connections; without it he has gone already.
        let _ = std::fs::File::open(self.path.parent().unwrap_or(Path::new("/")))
            .and_then(|folder| UnixStream::connect(format!("{}/agent", rcompose_sys::beneath::proc_path(&folder))));
    }
}

fn serve(listener: &UnixListener, agent: &Path, ended: &AtomicBool) {
    for client in listener.incoming() {
        if ended.load(Ordering::SeqCst) {
            return;
        }
        if let (Ok(client), Ok(agent)) = (client, UnixStream::connect(agent)) {
            carry(client, agent);
        }
    }
}

/// Carries bytes both ways until either side has had enough.
fn carry(client: UnixStream, agent: UnixStream) {
    let (Ok(client_again), Ok(agent_again)) = (client.try_clone(), agent.try_clone()) else { return };
    for (mut from, mut to) in [(client, agent), (agent_again, client_again)] {
        let carried = std::thread::Builder::new().name("ssh-agent".to_owned()).spawn(move || {
            // An end, whichever it is, is passed on.
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        drop(carried);
    }
}
