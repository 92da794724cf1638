//! The life of one shim: a loop over the task's pipes, its end, the worker's orders and deadlines.
//!
//! ```text
//!            ┌────────── main process ended, nothing left ────────────────────────────┐
//! Running ───┴─ main process ended, others live ─► Draining ── drain time ─┐          ▼
//!    │                                                                     │    Done → status
//!    └─ kill order, deadline, signal ─► Terminating ── grace ──────────────┴─► Killing ┘
//! ```

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use super::super::frame::Stream;
use super::super::wire::{Ending, Fault, FromShim, LEASE_GRACE_MS, Spec, Status, ToShim};
use super::birth::Stack;
use super::spool::Spool;
use super::tree::{Reaped, Tree};
use super::{child, sys};

/// Pause between two rounds of SIGKILL.
const KILL_ROUND_MS: u64 = 10;
/// When to stop trying and report survivors.
const KILL_GIVE_UP_MS: u64 = 10_000;
/// Empty rounds that prove a tree gone where no cgroup does.
const EMPTY_ROUNDS: u8 = 2;
/// A process closes its output a moment before it is gone: that moment is no reason to kill it.
const CLOSED_DRAIN_MS: u64 = 100;
const CONNECTIONS_MAX: usize = 4;
/// That it has started is told when it has run so long: of one that ended meanwhile the result says it, and worker and
/// master have half as much to do.
const STARTED_AFTER_MS: u64 = 20;
/// A result that could not be written waits so long for a worker to fetch it.
const LINGER_MS: u64 = 3_600_000;
const LINGER_ROUND_MS: i32 = 1_000;
/// Read from one pipe before the other things get their turn.
const READ_MAX: usize = 64 * 1024;
const READS_PER_TURN: usize = 8;
/// What may still be read after every process is gone.
const READS_AT_END: usize = 64;

/// Holds the attempt until it is over, then ends the process. `buffer`: memory that it may read into.
pub fn run(spec: &Spec, worker: OwnedFd, ready: io::Result<Ready>, buffer: Vec<u8>) -> ! {
    let code = match Shim::start(spec, worker, ready, buffer) {
        Ok(mut shim) => {
            shim.live();
            0
        }
        Err(()) => 1,
    };
    // SAFETY: ends this fork only. Destructors and exit handlers belong to the zygote.
    unsafe { libc::_exit(code) }
}

/// What a shim has before it knows its attempt: made while nobody waits for it.
pub struct Ready {
    /// Ours and the task's end, for stdout and stderr.
    pipes: [(OwnedFd, OwnedFd); 2],
    /// The task's, and never given back: this process ends before that would be worth it.
    stack: &'static mut Stack,
}

impl Ready {
    /// From the zygote's fork to a process of its own. Every descriptor but the standard ones and `kept` is closed.
    pub fn new(kept: &OwnedFd) -> io::Result<Self> {
        // SAFETY: calls on this process.
        unsafe {
            libc::setsid();
            sys::check(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))?;
            libc::prctl(libc::PR_SET_NAME, c"rf-shim".as_ptr());
            let kept = kept.as_raw_fd() as u32;
            if kept > 3 {
                libc::syscall(libc::SYS_close_range, 3u32, kept - 1, 0u32);
            }
            libc::syscall(libc::SYS_close_range, kept + 1, u32::MAX, 0u32);
        }
        let pipes = [child::output_pipe()?, child::output_pipe()?];
        Ok(Ready { pipes, stack: Box::leak(Box::new(Stack::new())) })
    }
}

struct Shim<'a> {
    spec: &'a Spec,
    spool: Spool,
    /// stdout and stderr while they are open.
    outputs: Vec<(Stream, OwnedFd)>,
    /// For reading; only as much memory is touched as a task writes at once.
    buffer: Vec<u8>,
    signals: OwnedFd,
    listener: Option<OwnedFd>,
    timer: Option<OwnedFd>,
    connections: Vec<OwnedFd>,
    tree: Tree,
    phase: Phase,
    ending: Ending,
    child_status: Option<i32>,
    is_childless: bool,
    n_left_over: u64,
    n_survivors: u64,
    started_ms: i64,
    /// When it is told that it has started; `None`: it was.
    tell_started_at: Option<u64>,
    timeout_at: Option<u64>,
    lease_until: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// SIGTERM was sent.
    Terminating {
        kill_at: u64,
    },
    /// The main process ended by itself; something keeps its output open.
    Draining {
        until: u64,
    },
    Killing {
        next_at: u64,
        give_up_at: u64,
        n_empty: u8,
    },
    Done,
}

impl<'a> Shim<'a> {
    fn start(spec: &'a Spec, worker: OwnedFd, ready: io::Result<Ready>, buffer: Vec<u8>) -> Result<Self, ()> {
        Self::try_start(spec, ready, buffer)
            .map_err(|(message, fault)| {
                let _ = sys::send(worker.as_raw_fd(), &FromShim::Failed { message, fault }.encode());
            })
            .map(|mut shim| {
                let _ = sys::set_nonblocking(worker.as_raw_fd());
                shim.connections.push(worker);
                shim
            })
    }

    fn try_start(spec: &'a Spec, ready: io::Result<Ready>, buffer: Vec<u8>) -> Result<Self, (String, Fault)> {
        let world = |what: &'static str| move |error: io::Error| (format!("{what}: {error}"), Fault::World);
        let Ready { pipes: [(out, task_out), (err, task_err)], stack } =
            ready.map_err(world("cannot prepare the shim"))?;
        // Only now: a signal that came while it waited was not meant for this attempt.
        let signals = sys::signals().map_err(world("cannot receive signals"))?;
        // First the socket, then the claim: a worker that finds no socket may claim the attempt for itself, and
        // then nothing starts here. Without a socket it could not be found again.
        let listener = sys::listen(&spec.socket_name).map_err(|error| match error.raw_os_error() {
            Some(libc::EADDRINUSE) => ("another shim has this attempt".to_owned(), Fault::Claimed),
            _ => (format!("cannot open the shim's socket: {error}"), Fault::World),
        })?;
        let mut spool = Spool::claim(&spec.spool, spec.spare.as_deref(), spec.log_bytes_max).map_err(|error| {
            let fault = if error.kind() == io::ErrorKind::AlreadyExists { Fault::Claimed } else { Fault::World };
            (format!("cannot claim {}: {error}", spec.spool), fault)
        })?;
        for note in &spec.notes {
            spool.say(sys::wall_ms(), note);
        }
        let cgroup = make_cgroup(spec);
        let now = sys::boot_ms();
        if !spec.outlives_lease && spec.lease_deadline_ms.is_some_and(|at| at <= now) {
            // The worker was held up on the way here: by now the node may run elsewhere.
            let _ = cgroup.as_ref().map(std::fs::remove_dir);
            return Err(("its lease ended before it was started".to_owned(), Fault::World));
        }
        let spawned = child::spawn(spec, cgroup.as_deref(), [task_out, task_err], stack);
        let child = spawned.inspect_err(|_| {
            let _ = cgroup.as_ref().map(std::fs::remove_dir);
        })?;
        let mut shim = Shim {
            spec,
            spool,
            outputs: vec![(Stream::Stdout, out), (Stream::Stderr, err)],
            buffer,
            signals,
            listener: Some(listener),
            timer: None,
            connections: Vec::new(),
            tree: Tree::new(child, now, &spec.token, cgroup),
            phase: Phase::Running,
            ending: Ending::Exited,
            child_status: None,
            is_childless: false,
            n_left_over: 0,
            n_survivors: 0,
            started_ms: sys::wall_ms(),
            tell_started_at: Some(sys::boot_ms() + STARTED_AFTER_MS),
            timeout_at: spec.attempt_timeout_ms.map(|ms| now.saturating_add(ms)),
            lease_until: spec.lease_deadline_ms,
        };
        shim.arm();
        Ok(shim)
    }

    fn started(&self) -> FromShim {
        FromShim::Started { pid: self.tree.child as u32, shim: std::process::id(), started_ms: self.started_ms }
    }

    fn live(&mut self) {
        loop {
            let reaped = self.tree.reap();
            self.note(reaped);
            self.advance(sys::boot_ms());
            self.spool.flush();
            if self.phase == Phase::Done {
                break;
            }
            self.tell_started();
            self.wait();
        }
        self.conclude();
    }

    fn tell_started(&mut self) {
        if self.tell_started_at.is_some_and(|at| at <= sys::boot_ms()) {
            self.tell_started_at = None;
            self.tell(&self.started().encode());
        }
    }

    fn note(&mut self, reaped: Reaped) {
        if reaped.child.is_some() {
            self.child_status = reaped.child;
        }
        self.is_childless = reaped.is_childless;
    }

    /// Waits for the next thing to happen and takes it in.
    fn wait(&mut self) {
        let now = sys::boot_ms();
        let phase_ends = match self.phase {
            // Deadlines of a running task are the timer's: poll does not count the time a machine sleeps.
            Phase::Running => None,
            Phase::Terminating { kill_at: at } | Phase::Draining { until: at } | Phase::Killing { next_at: at, .. } => {
                Some(at)
            }
            Phase::Done => Some(now),
        };
        let next = [phase_ends, self.tell_started_at].into_iter().flatten().min();
        let timeout = next.map_or(-1, |at| i32::try_from(at.saturating_sub(now)).unwrap_or(i32::MAX));
        let mut fds: Vec<libc::pollfd> = Vec::with_capacity(10);
        let watched = [Some(&self.signals), self.listener.as_ref(), self.timer.as_ref()];
        for fd in watched.into_iter().flatten().chain(&self.connections).chain(self.outputs.iter().map(|(_, fd)| fd)) {
            fds.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        }
        if sys::poll(&mut fds, timeout).is_err() {
            return;
        }
        let is_ready = |fd: &OwnedFd| fds.iter().any(|p| p.fd == fd.as_raw_fd() && p.revents != 0);
        let signalled = is_ready(&self.signals);
        let called = self.listener.as_ref().is_some_and(&is_ready);
        let timed = self.timer.as_ref().is_some_and(&is_ready);
        let speaking: Vec<usize> = (0..self.connections.len()).filter(|&at| is_ready(&self.connections[at])).collect();
        let writing: Vec<usize> = (0..self.outputs.len()).filter(|&at| is_ready(&self.outputs[at].1)).collect();
        self.read_outputs(&writing);
        if signalled {
            self.take_signals();
        }
        if timed {
            self.take_deadlines();
        }
        for at in speaking.into_iter().rev() {
            self.take_orders(at);
        }
        if called {
            self.take_caller();
        }
    }

    fn read_outputs(&mut self, which: &[usize]) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for &at in which.iter().rev() {
            for _ in 0..READS_PER_TURN {
                let (stream, fd) = &self.outputs[at];
                match sys::read_into(fd.as_raw_fd(), &mut buffer, READ_MAX) {
                    Ok(None) => break,
                    Ok(Some(0)) | Err(_) => {
                        self.outputs.remove(at);
                        break;
                    }
                    Ok(Some(_)) => self.spool.take(*stream, sys::wall_ms(), &buffer),
                }
            }
        }
        self.buffer = buffer;
    }

    fn take_signals(&mut self) {
        // SAFETY: a zeroed signalfd_siginfo is valid, and is filled as bytes.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = std::mem::size_of_val(&info);
        loop {
            // SAFETY: reads at most the size of `info` into it.
            let n = unsafe { libc::read(self.signals.as_raw_fd(), (&raw mut info).cast(), size) };
            if n != size as isize {
                return;
            }
            if info.ssi_signo != libc::SIGCHLD as u32 {
                self.stop(Ending::ShimSignalled, self.spec.grace_ms);
            }
        }
    }

    fn take_deadlines(&mut self) {
        let now = sys::boot_ms();
        if let Some(at) = self.lease_until.filter(|at| *at <= now) {
            self.lease_until = None;
            if !self.spec.outlives_lease {
                // Counted from the deadline: a shim that slept with its machine has no grace to give any more.
                let grace = self.spec.grace_ms.min(LEASE_GRACE_MS).saturating_sub(now - at);
                self.stop(Ending::LeaseEnded, grace);
            }
        }
        if self.timeout_at.is_some_and(|at| at <= now) {
            self.timeout_at = None;
            self.stop(Ending::TimedOut, self.spec.grace_ms);
        }
        self.arm();
    }

    fn take_orders(&mut self, at: usize) {
        let mut buffer = [0; 512];
        loop {
            let fd = self.connections[at].as_raw_fd();
            match sys::read(fd, &mut buffer) {
                Ok(None) => return,
                Ok(Some(0)) | Err(_) => {
                    self.connections.remove(at);
                    return;
                }
                Ok(Some(n)) => match ToShim::decode(&buffer[..n]) {
                    Ok(ToShim::Kill { grace_ms }) => self.stop(Ending::Killed, grace_ms),
                    Ok(ToShim::Lease { deadline_ms }) => {
                        self.lease_until = Some(deadline_ms);
                        self.arm();
                    }
                    Err(_) => {
                        let _ = sys::send(fd, &FromShim::Unsupported.encode());
                    }
                },
            }
        }
    }

    /// A worker came back: it is told how things stand.
    fn take_caller(&mut self) {
        while let Some(caller) = self.listener.as_ref().and_then(|listener| sys::accept(listener.as_raw_fd())) {
            if sys::send(caller.as_raw_fd(), &self.started().encode()).is_ok() {
                if self.connections.len() >= CONNECTIONS_MAX {
                    self.connections.remove(0);
                }
                self.connections.push(caller);
            }
        }
    }

    /// Begins to end the task, or hastens it: the first reason stays, the shortest grace counts.
    fn stop(&mut self, ending: Ending, grace_ms: u64) {
        let now = sys::boot_ms();
        let kill_at = now.saturating_add(grace_ms);
        match &mut self.phase {
            Phase::Running => {
                self.ending = ending;
                self.tree.terminate();
                self.phase = Phase::Terminating { kill_at };
            }
            Phase::Terminating { kill_at: at } => *at = (*at).min(kill_at),
            // The main process has ended by itself: its status stands, only what it left behind is killed.
            Phase::Draining { until } => *until = now,
            Phase::Killing { .. } | Phase::Done => {}
        }
    }

    fn advance(&mut self, now: u64) {
        let is_closed = self.outputs.is_empty();
        match self.phase {
            Phase::Running if self.child_status.is_some() => {
                if self.is_childless {
                    self.settle(now);
                } else {
                    let drain = if is_closed { self.spec.drain_ms.min(CLOSED_DRAIN_MS) } else { self.spec.drain_ms };
                    self.phase = Phase::Draining { until: now.saturating_add(drain) };
                }
            }
            Phase::Running | Phase::Done => {}
            Phase::Draining { until } => {
                if self.is_childless || now >= until {
                    self.settle(now);
                } else if is_closed && until > now + CLOSED_DRAIN_MS {
                    self.phase = Phase::Draining { until: now + CLOSED_DRAIN_MS };
                }
            }
            Phase::Terminating { kill_at } => {
                let is_gone = self.child_status.is_some() && self.is_childless && self.tree.is_cgroup_empty();
                if is_gone || now >= kill_at {
                    self.kill_round(now, now.saturating_add(KILL_GIVE_UP_MS), 0);
                }
            }
            Phase::Killing { next_at, give_up_at, n_empty } => {
                if now >= next_at {
                    self.kill_round(now, give_up_at, n_empty);
                }
            }
        }
    }

    /// The main process ended by itself: done, or its left-overs go first, so that the next attempt meets none.
    fn settle(&mut self, now: u64) {
        if self.is_childless && self.tree.remove_cgroup() {
            self.phase = Phase::Done;
        } else {
            self.n_left_over = self.tree.members().map_or(0, |members| members.len() as u64);
            self.kill_round(now, now.saturating_add(KILL_GIVE_UP_MS), 0);
        }
    }

    fn kill_round(&mut self, now: u64, give_up_at: u64, n_empty: u8) {
        let seen = self.tree.kill();
        let reaped = self.tree.reap();
        self.note(reaped);
        let is_empty = matches!(seen, Ok(0)) && self.is_childless && self.tree.is_cgroup_empty();
        let n_empty = if is_empty { n_empty + 1 } else { 0 };
        if n_empty >= EMPTY_ROUNDS {
            self.tree.remove_cgroup();
            self.phase = Phase::Done;
        } else if now >= give_up_at {
            self.n_survivors = seen.map_or(1, |n| n.max(1) as u64);
            self.phase = Phase::Done;
        } else {
            let next_at = if is_empty { now } else { now + KILL_ROUND_MS };
            self.phase = Phase::Killing { next_at, give_up_at, n_empty };
        }
    }

    fn arm(&mut self) {
        let Some(at) = [self.timeout_at, self.lease_until].into_iter().flatten().min() else { return };
        if self.timer.is_none() {
            self.timer = sys::boot_timer().ok();
        }
        if let Some(timer) = &self.timer {
            let _ = sys::arm(timer.as_raw_fd(), at);
        }
    }

    /// Writes the status, tells whoever listens, and leaves nothing behind but the spool.
    fn conclude(&mut self) {
        self.read_rest();
        let now = sys::wall_ms();
        if self.n_left_over > 0 {
            self.spool.say(now, &format!("{} processes that the task left behind were killed", self.n_left_over));
        }
        if self.n_survivors > 0 {
            self.spool.say(now, &format!("{} processes survive SIGKILL", self.n_survivors));
        }
        self.spool.finish(now);
        let packet = FromShim::Exited(Box::new(self.status(now))).encode();
        if self.spool.write_status(&packet).is_ok() {
            // From here on the status answers, not the socket.
            self.listener = None;
            self.tell(&packet);
        } else {
            if !self.tell(&packet) {
                self.linger(&packet);
            }
            self.listener = None;
        }
    }

    fn read_rest(&mut self) {
        for _ in 0..READS_AT_END {
            if self.outputs.is_empty() {
                return;
            }
            let before = self.outputs.len();
            let which: Vec<usize> = (0..before).collect();
            let mut fds: Vec<libc::pollfd> = self
                .outputs
                .iter()
                .map(|(_, fd)| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
                .collect();
            if sys::poll(&mut fds, 0).is_err() || fds.iter().all(|p| p.revents == 0) {
                return;
            }
            self.read_outputs(&which);
        }
    }

    fn status(&self, finished_ms: i64) -> Status {
        let status = self.child_status.unwrap_or(0);
        let is_known = self.child_status.is_some();
        let exit_code = (is_known && libc::WIFEXITED(status)).then(|| libc::WEXITSTATUS(status));
        let signal = (is_known && libc::WIFSIGNALED(status)).then(|| libc::WTERMSIG(status));
        let was_killed_by_kernel = signal == Some(libc::SIGKILL) && self.ending == Ending::Exited;
        Status {
            exit_code,
            signal,
            ending: self.ending,
            started_ms: self.started_ms,
            finished_ms,
            n_survivors: self.n_survivors,
            n_left_over: self.n_left_over,
            is_out_of_memory: was_killed_by_kernel && self.tree.was_out_of_memory(),
            head_bytes: self.spool.head_bytes(),
            cut: self.spool.cut(),
            n_lines: self.spool.n_lines(),
            lost_bytes: self.spool.lost_bytes(),
            stderr_tail: if exit_code == Some(0) { Vec::new() } else { self.spool.stderr_tail().to_vec() },
        }
    }

    fn tell(&self, packet: &[u8]) -> bool {
        let mut is_told = false;
        for connection in &self.connections {
            is_told |= sys::send(connection.as_raw_fd(), packet).is_ok();
        }
        is_told
    }

    /// The disk is full and no worker is there: the result must not be lost with this process.
    fn linger(&mut self, packet: &[u8]) {
        let until = sys::boot_ms().saturating_add(LINGER_MS);
        while sys::boot_ms() < until {
            let Some(listener) = &self.listener else { return };
            let mut fds = [libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
            let _ = sys::poll(&mut fds, LINGER_ROUND_MS);
            self.take_caller();
            if self.tell(packet) || self.spool.write_status(packet).is_ok() {
                return;
            }
        }
    }
}

/// A missing cgroup is no reason not to run: the sweep holds the tree together then.
fn make_cgroup(spec: &Spec) -> Option<PathBuf> {
    let dir = PathBuf::from(spec.cgroup.as_ref()?);
    match std::fs::create_dir(&dir) {
        Ok(()) => Some(dir),
        Err(_) => None,
    }
}
