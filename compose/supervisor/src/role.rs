//! The role `supervisor`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::Settings;
use crate::api::{Peer, router};
use crate::supervisor::Supervisor;

/// With nothing to keep and nobody asking, it ends after so long.
const IDLE: Duration = Duration::from_secs(10);

/// Parts with whoever started this process, before anything is opened: the signals of their terminal are not for it, and a lock or
/// a pipe that they have open must not be held for as long as containers run.
pub fn leave_starter() {
    // It leads a session already.
    let _ = rustix::process::setsid();
    // A kernel that cannot tell what is open leaves it open.
    let _ = rcompose_engine::close_descriptors_from(3);
}

/// Runs until nothing is left to do, or a signal says so. Containers go on.
pub fn main(settings: &Settings) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .thread_stack_size(512 * 1024)
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build();
    match runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(run(settings))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the supervisor cannot work");
            tell_starter(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: &Settings) -> Result<(), String> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let folder = |path: &std::path::Path| {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(path)
            .map_err(|error| format!("{}: {error}", path.display()))
    };
    folder(&settings.run_root)?;
    folder(&settings.data_root)?;
    let open = |path: std::path::PathBuf| {
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        file.map_err(|error| format!("{}: {error}", path.display()))
    };
    // Held until it answers: of two that start at once the second waits for the first.
    let starting = open(settings.starting())?;
    starting.lock().map_err(|error| format!("{}: {error}", settings.starting().display()))?;
    // Exactly one supervisor of a data root; whoever comes second has nothing to do.
    let lock = open(settings.lock())?;
    if lock.try_lock().is_err() {
        if connect(settings).is_ok() {
            return Ok(());
        }
        // It is about to end.
        lock.lock().map_err(|error| format!("{}: {error}", settings.lock().display()))?;
    }
    let supervisor = Supervisor::open(settings)
        .map_err(|error| crate::messages::Failure::of(&error))
        .map_err(|failure| std::iter::once(failure.message).chain(failure.causes).collect::<Vec<_>>().join(": "))?;
    // One left by a supervisor that was killed: the lock says that nobody answers there.
    let _ = std::fs::remove_file(settings.socket());
    let listener = bind(settings).map_err(|error| format!("{}: {error}", settings.socket().display()))?;
    let mode = PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(settings.socket(), mode).map_err(|error| error.to_string())?;
    supervisor.tidy_build_cache();
    drop(starting);
    tell_starter("");
    let app = router(supervisor.clone()).layer(axum::middleware::from_fn_with_state(supervisor.clone(), note_request));
    let service = app.into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(listener, service);
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    tokio::select! {
        // Each arm is an end of its own.
        result = serving => result.map_err(|error| error.to_string())?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = idle(&supervisor) => {}
    }
    // Nobody new finds it while it ends.
    let _ = std::fs::remove_file(settings.socket());
    supervisor.builds.cancel();
    supervisor.keeper.close().await;
    supervisor.engine.close().await;
    drop(lock);
    Ok(())
}

/// Standard output leads to whoever started this process: it closes when the supervisor answers, or with what went wrong.
fn tell_starter(error: &str) {
    // Nobody may be there to read it.
    let _ = rustix::io::write(rustix::stdio::stdout(), error.as_bytes());
    if let Ok(null) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

fn bind(settings: &Settings) -> std::io::Result<UnixListener> {
    at_socket(settings, UnixListener::bind)
}

fn connect(settings: &Settings) -> std::io::Result<std::os::unix::net::UnixStream> {
    at_socket(settings, std::os::unix::net::UnixStream::connect)
}

/// Through the directory's descriptor: the path of a socket has to be short.
fn at_socket<T>(settings: &Settings, work: impl FnOnce(String) -> std::io::Result<T>) -> std::io::Result<T> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let directory = rustix::fs::open(&settings.run_root, flags, rustix::fs::Mode::empty())?;
    work(format!("/proc/self/fd/{}/supervisor.sock", std::os::fd::AsRawFd::as_raw_fd(&directory)))
}

/// Requests so far.
static REQUESTS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Nothing ends while a request is answered; what goes on after its answer says so itself.
async fn note_request(
    axum::extract::State(supervisor): axum::extract::State<Arc<Supervisor>>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    REQUESTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let _working = supervisor.work.token();
    next.run(request).await
}

/// Ends when nothing has been kept and nobody has asked for a while.
async fn idle(supervisor: &Supervisor) {
    let asked = || REQUESTS.load(std::sync::atomic::Ordering::Relaxed);
    let mut before = asked();
    loop {
        tokio::time::sleep(IDLE).await;
        let now = asked();
        if now == before && supervisor.work.is_empty() && supervisor.keeper.is_idle() {
            return;
        }
        before = now;
    }
}
