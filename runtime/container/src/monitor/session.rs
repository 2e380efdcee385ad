//! The loop of a monitor.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::termios::Winsize;
use rustix::time::{ClockId, clock_gettime};

use super::clients::{Client, Kind};
use super::read_available;
use crate::container::{ATTACH, START};
use crate::frame::Frame;
use crate::init::Channel;
use crate::launch::write_message;
use crate::logs;

/// How long output is read after the end: something that left the container may hold it open for ever.
const DRAIN: Duration = Duration::from_secs(2);

/// Input that waits for a process that does not read it; beyond this its sender has to wait.
const INPUT_FULL: usize = 1 << 20;

/// How the process ended.
pub(super) struct Ended {
    pub(super) code: i32,
    /// Nanoseconds since 1970.
    pub(super) finished_at: i64,
    /// Nanoseconds.
    pub(super) ran_for: u64,
}

/// A process, its output, and those who watch it.
pub(super) struct Session {
    pid: Pid,
    pidfd: OwnedFd,
    signals: OwnedFd,
    /// Gone when the process has been started.
    channel: Option<Channel>,
    pub(super) listener: Option<UnixListener>,
    pub(super) log: Option<logs::Writer>,
    outputs: Vec<(logs::Stream, File)>,
    input: Option<File>,
    input_waiting: Vec<u8>,
    terminal: Option<OwnedFd>,
    clients: Vec<Client>,
    /// The process ends with its only client.
    dies_with_client: bool,
    started_at: u64,
    code: Option<i32>,
    drained_by: Option<u64>,
    /// Standard input closes when what waits for it has been read.
    closing_input: bool,
    /// Outputs and clients that leave their lists after a turn, so that indices stay what they are during it.
    closed: Vec<usize>,
    gone: Vec<usize>,
}

/// What a descriptor of the loop belongs to.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Listener,
    Output(usize),
    Input,
    Client(usize),
}

fn wall_clock() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec * 1_000_000_000 + now.tv_nsec).cast_unsigned()
}

impl Session {
    pub(super) fn new(pid: Pid, pidfd: OwnedFd, signals: OwnedFd, channel: Channel) -> Self {
        Self {
            pid,
            pidfd,
            signals,
            channel: Some(channel),
            listener: None,
            log: None,
            outputs: Vec::new(),
            input: None,
            input_waiting: Vec::new(),
            terminal: None,
            clients: Vec::new(),
            dies_with_client: false,
            started_at: monotonic(),
            code: None,
            drained_by: None,
            closing_input: false,
            closed: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Takes the ends of the pipes, or the terminal, which is both.
    pub(super) fn connect(&mut self, terminal: Option<OwnedFd>, stdin: Option<OwnedFd>, outputs: Vec<(logs::Stream, OwnedFd)>) {
        let nonblocking = |end: &OwnedFd| {
            // A descriptor that stays blocking would only make the loop wait for it.
            let _ = rustix::io::ioctl_fionbio(end, true);
        };
        outputs.iter().for_each(|(_, end)| nonblocking(end));
        self.outputs = outputs.into_iter().map(|(stream, end)| (stream, File::from(end))).collect();
        self.input = stdin.inspect(nonblocking).map(File::from);
        if let Some(master) = terminal {
            nonblocking(&master);
            let clone = || rustix::io::fcntl_dupfd_cloexec(&master, 3).ok().map(File::from);
            self.outputs.extend(clone().map(|end| (logs::Stream::Stdout, end)));
            self.input = clone();
            self.terminal = Some(master);
        }
    }

    /// The process runs already.
    pub(super) fn started(&mut self) {
        self.channel = None;
        self.started_at = monotonic();
    }

    /// Serves one client, with which the process ends.
    pub(super) fn serve_only(&mut self, client: UnixStream) {
        self.clients.extend(Client::new(client, Kind::Attached).ok());
        self.dies_with_client = true;
    }

    pub(super) fn kill(&self) {
        // One that has ended is what is wanted.
        let _ = rcompose_sys::process::pidfd_signal(&self.pidfd, Signal::KILL);
    }

    /// Runs until the process has ended and its output is read.
    pub(super) fn run(&mut self) -> Ended {
        let mut finished_at = None;
        while !self.is_done() {
            self.turn();
            if self.code.is_some() && finished_at.is_none() {
                finished_at = Some((wall_clock(), monotonic()));
                self.drained_by = Some(monotonic() + u64::try_from(DRAIN.as_nanos()).unwrap_or(u64::MAX));
            }
        }
        let (wall, mono) = finished_at.unwrap_or_else(|| (wall_clock(), monotonic()));
        if let Some(log) = &mut self.log {
            log.finish(wall, mono);
        }
        Ended { code: self.code.unwrap_or(255), finished_at: wall, ran_for: mono.saturating_sub(self.started_at) }
    }

    fn is_done(&self) -> bool {
        self.code.is_some() && (self.outputs.is_empty() || self.drained_by.is_some_and(|by| monotonic() >= by))
    }

    /// Tells every client how it ended.
    pub(super) fn announce_end(&mut self, code: i32) {
        let frame = Frame::Exit(code).encode();
        for client in self.clients.iter_mut().filter(|client| client.kind == Kind::Attached) {
            client.send(&frame);
            client.finish();
        }
    }

    fn turn(&mut self) {
        let ready = self.wait();
        for (source, events) in ready {
            match source {
                Source::Signals => self.collect(),
                Source::Listener => self.accept(),
                Source::Output(index) => self.read_output(index),
                Source::Input => self.feed(),
                Source::Client(index) => self.serve(index, events),
            }
        }
        remove_all(&mut self.outputs, &mut self.closed);
        remove_all(&mut self.clients, &mut self.gone);
        if self.closing_input && self.input_waiting.is_empty() {
            self.input = None;
        }
        if self.dies_with_client && self.clients.is_empty() && self.code.is_none() {
            self.kill();
        }
    }

    fn wait(&self) -> Vec<(Source, PollFlags)> {
        let held_back = self.clients.iter().any(Client::is_full);
        let mut sources = vec![Source::Signals];
        let mut polled = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if let Some(listener) = &self.listener {
            sources.push(Source::Listener);
            polled.push(PollFd::new(listener, PollFlags::IN));
        }
        for (index, (_, file)) in self.outputs.iter().enumerate().filter(|_| !held_back) {
            sources.push(Source::Output(index));
            polled.push(PollFd::new(file, PollFlags::IN));
        }
        if let Some(input) = self.input.as_ref().filter(|_| !self.input_waiting.is_empty()) {
            sources.push(Source::Input);
            polled.push(PollFd::new(input, PollFlags::OUT));
        }
        for (index, client) in self.clients.iter().enumerate() {
            let mut wanted = PollFlags::empty();
            if self.input_waiting.len() < INPUT_FULL {
                wanted |= PollFlags::IN;
            }
            if client.has_waiting() {
                wanted |= PollFlags::OUT;
            }
            sources.push(Source::Client(index));
            polled.push(PollFd::new(&client.stream, wanted));
        }
        let timeout = self.drained_by.map(|by| {
            let left = by.saturating_sub(monotonic()) + 1_000_000;
            Timespec { tv_sec: (left / 1_000_000_000).cast_signed(), tv_nsec: (left % 1_000_000_000).cast_signed() }
        });
        // Interrupted or out of memory: the next turn looks again.
        let _ = rustix::event::poll(&mut polled, timeout.as_ref());
        let events = polled.iter().map(PollFd::revents);
        sources.into_iter().zip(events).filter(|(_, events)| !events.is_empty()).collect()
    }

    /// Collects every child that has ended; the container's first process is the one that counts.
    fn collect(&mut self) {
        let mut details = [0; 128 * 8];
        // Only empties the descriptor; who has ended is asked below.
        let _ = rustix::io::read(&self.signals, &mut details);
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == self.pid {
                let code = status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0));
                self.code = Some(code);
            }
        }
    }

    fn accept(&mut self) {
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(UnixListener::accept) {
            self.clients.extend(Client::new(stream, Kind::New).ok());
        }
    }

    fn read_output(&mut self, index: usize) {
        let mut buffer = [0; 32 * 1024];
        let Some((stream, file)) = self.outputs.get_mut(index) else { return };
        let stream = *stream;
        match read_available(file, &mut buffer) {
            Ok(None) => {}
            Ok(Some(count)) if count > 0 => {
                if let Some(log) = &mut self.log {
                    log.write(stream, &buffer[..count], wall_clock(), monotonic());
                }
                self.pass_on(stream, &buffer[..count]);
            }
            // The end; a terminal says EIO when nobody holds its other side.
            Ok(_) | Err(_) => self.closed.push(index),
        }
    }

    fn pass_on(&mut self, stream: logs::Stream, bytes: &[u8]) {
        if !self.clients.iter().any(|client| client.kind == Kind::Attached) {
            return;
        }
        let frame = match stream {
            logs::Stream::Stdout => Frame::Stdout(bytes.to_vec()),
            logs::Stream::Stderr => Frame::Stderr(bytes.to_vec()),
        };
        let encoded = frame.encode();
        for client in self.clients.iter_mut().filter(|client| client.kind == Kind::Attached) {
            client.send(&encoded);
        }
    }

    fn feed(&mut self) {
        let Some(input) = &mut self.input else { return };
        match input.write(&self.input_waiting) {
            Ok(count) => drop(self.input_waiting.drain(..count)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // Nobody reads any more.
            Err(_) => {
                self.input = None;
                self.input_waiting.clear();
            }
        }
    }

    fn serve(&mut self, index: usize, events: PollFlags) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let mut present = !events.contains(PollFlags::OUT) || client.flush();
        if events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            present = client.receive() && present;
        }
        self.handle_requests(index);
        if !present {
            self.gone.push(index);
        }
    }

    fn handle_requests(&mut self, index: usize) {
        if self.clients[index].kind == Kind::New {
            match self.clients[index].take_request() {
                Some(START) => self.start(index),
                Some(ATTACH) => self.clients[index].kind = Kind::Attached,
                Some(_) => self.gone.push(index),
                None => {}
            }
        }
        while self.clients[index].kind == Kind::Attached {
            match self.clients[index].take_frame() {
                Ok(Some(frame)) => self.obey(frame),
                Ok(None) => break,
                Err(_) => return self.gone.push(index),
            }
        }
    }

    fn obey(&mut self, frame: Frame) {
        match frame {
            Frame::Stdin(bytes) if self.input.is_some() => {
                self.input_waiting.extend(bytes);
                self.feed();
            }
            Frame::StdinClosed if self.terminal.is_none() => self.closing_input = true,
            Frame::Resize { rows, columns } => {
                if let Some(terminal) = &self.terminal {
                    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
                    // A terminal that is gone has no size.
                    let _ = rustix::termios::tcsetwinsize(terminal, size);
                }
            }
            Frame::Signal(number) => {
                if let Some(signal) = rcompose_sys::process::parse_signal(&number.to_string()) {
                    let _ = rcompose_sys::process::pidfd_signal(&self.pidfd, signal);
                }
            }
            _ => {}
        }
    }

    /// Lets the process become its program, and answers whether it did.
    fn start(&mut self, index: usize) {
        let answer = match self.channel.take().map(|channel| channel.start()) {
            Some(Ok(())) => {
                self.started_at = monotonic();
                vec![0]
            }
            Some(Err(error)) => [&[u8::try_from(error.code).unwrap_or(128)], error.text.as_bytes()].concat(),
            None => [&[128], b"it has been started already".as_slice()].concat(),
        };
        let stream = &mut self.clients[index].stream;
        // The one who asked may be gone; the process runs all the same.
        let _ = stream.set_nonblocking(false).and_then(|()| write_message(stream, &answer));
        self.gone.push(index);
    }
}

fn remove_all<T>(items: &mut Vec<T>, indices: &mut Vec<usize>) {
    indices.sort_unstable();
    indices.dedup();
    for index in indices.drain(..).rev() {
        items.remove(index);
    }
}
