//! The words between worker, zygote and shim, and the form of the exit status on disk.
//!
//! One packet is a version, a kind and tagged fields, so that a shim started by one release is understood by the
//! worker of the next: unknown tags are skipped, missing ones have a meaning. Shared by the shim's binary: uses
//! nothing but std.

pub const VERSION: u8 = 1;

/// Longest packet sent over a socket; a longer spec goes by way of a file.
pub const PACKET_MAX: usize = 96 * 1024;

/// Longest name of a shim's socket: what an address holds, less the byte that makes it abstract.
pub const SOCKET_NAME_MAX: usize = 107;

/// What the shim keeps of the end of stderr, for retry rules and messages.
pub const STDERR_TAIL_MAX: usize = 64 * 1024;

/// What the shim leaves its task at the end of a lease, at most; masters count on it (`model::lease`).
pub const LEASE_GRACE_MS: u64 = 2_000;

const SPEC: u8 = 1;
const SPEC_FILE: u8 = 2;
const STARTED: u8 = 3;
const EXITED: u8 = 4;
const FAILED: u8 = 5;
const KILL: u8 = 6;
const LEASE: u8 = 7;
const UNSUPPORTED: u8 = 8;

/// Tag of the last field of a status.
const END: u8 = 255;

/// Bytes that are not a packet of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the packet of worker and shim is malformed or of another version")
    }
}

impl std::error::Error for Malformed {}

/// Worker → zygote: fork a shim for this. The socket that the shim reports on travels beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZygoteRequest {
    Spec(Box<Spec>),
    /// Path of a file that holds the packet of a spec.
    SpecFile(String),
}

/// Everything a shim needs to know of its attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spec {
    /// Names the attempt in `ps`-like places.
    pub attempt: String,
    pub program: Vec<u8>,
    /// With `argv[0]`.
    pub args: Vec<Vec<u8>>,
    /// `NAME=value`, complete: nothing is inherited.
    pub env: Vec<Vec<u8>>,
    pub work_dir: String,
    /// What the names of the spool's files begin with; their directory exists.
    pub spool: String,
    /// An empty file beside the spool that may become its status; one is made where it is gone.
    pub spare: Option<String>,
    /// Abstract name of the socket for re-attachment, at most `SOCKET_NAME_MAX` bytes.
    pub socket_name: String,
    /// Value of `RF_ATTEMPT_TOKEN` in `env`; finds the tree again in /proc.
    pub token: String,
    /// Directory of the attempt's own cgroup, made by the shim below an existing one.
    pub cgroup: Option<String>,
    pub attempt_timeout_ms: Option<u64>,
    /// On CLOCK_BOOTTIME.
    pub lease_deadline_ms: Option<u64>,
    /// The lease's end is ignored (`on-isolation="continue"`).
    pub outlives_lease: bool,
    /// From SIGTERM to SIGKILL at the attempt's timeout.
    pub grace_ms: u64,
    /// How long a left-over process may keep the output open after the main process ended.
    pub drain_ms: u64,
    pub log_bytes_max: u64,
    pub umask: u32,
    pub no_new_privs: bool,
    /// Lines of the worker that the log begins with.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromShim {
    /// `pid` is the task's main process, `shim` its keeper.
    Started {
        pid: u32,
        shim: u32,
        started_ms: i64,
    },
    Exited(Box<Status>),
    /// Nothing was started.
    Failed {
        message: String,
        fault: Fault,
    },
    /// The shim does not know the order.
    Unsupported,
}

/// Whose fault it is that nothing was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The machine's: another try may go well.
    World,
    /// The task's: no such program, not executable.
    Task,
    /// Another shim, or the worker itself, took this attempt first.
    Claimed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToShim {
    Kill {
        grace_ms: u64,
    },
    /// Renewed lease: absolute, on CLOCK_BOOTTIME.
    Lease {
        deadline_ms: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// By itself.
    #[default]
    Exited,
    Killed,
    TimedOut,
    LeaseEnded,
    /// Someone sent the shim a signal to end.
    ShimSignalled,
}

/// How an attempt's main process ended and what is in its spool. On disk in the status file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub ending: Ending,
    pub started_ms: i64,
    pub finished_ms: i64,
    /// Processes that outlived SIGKILL; 0 means proven gone.
    pub n_survivors: u64,
    /// Left-over processes that were killed after the main process ended by itself.
    pub n_left_over: u64,
    pub is_out_of_memory: bool,
    /// Bytes of the spool's `log` file.
    pub head_bytes: u64,
    pub cut: Option<Cut>,
    /// Frames that were written, dropped ones too.
    pub n_lines: u64,
    /// Output bytes lost to a full disk.
    pub lost_bytes: u64,
    /// End of stderr; empty after exit code 0.
    pub stderr_tail: Vec<u8>,
}

/// The middle of the output is missing: the end is in two files, older first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cut {
    pub dropped_bytes: u64,
    pub dropped_lines: u64,
    /// `tail0` or `tail1` holds the older part.
    pub older_is_first: bool,
    pub older_bytes: u64,
    pub newer_bytes: u64,
}

impl ZygoteRequest {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ZygoteRequest::Spec(spec) => spec.encode(),
            ZygoteRequest::SpecFile(path) => Writer::new(SPEC_FILE).bytes(1, path.as_bytes()).done(),
        }
    }

    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let (kind, fields) = open(packet)?;
        match kind {
            SPEC => Ok(ZygoteRequest::Spec(Box::new(Spec::decode(packet)?))),
            SPEC_FILE => {
                let mut path = String::new();
                for field in fields {
                    let (tag, value) = field?;
                    if tag == 1 {
                        path = text(value)?;
                    }
                }
                Ok(ZygoteRequest::SpecFile(path))
            }
            _ => Err(Malformed),
        }
    }
}

impl Spec {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(SPEC)
            .bytes(1, self.attempt.as_bytes())
            .bytes(2, &self.program)
            .bytes(5, self.work_dir.as_bytes())
            .bytes(6, self.spool.as_bytes())
            .bytes(8, self.socket_name.as_bytes())
            .bytes(9, self.token.as_bytes())
            .flag(13, self.outlives_lease)
            .number(14, self.grace_ms)
            .number(15, self.drain_ms)
            .number(16, self.log_bytes_max)
            .number(17, u64::from(self.umask))
            .flag(18, self.no_new_privs)
            .optional(11, self.attempt_timeout_ms)
            .optional(12, self.lease_deadline_ms);
        if let Some(cgroup) = &self.cgroup {
            w = w.bytes(10, cgroup.as_bytes());
        }
        if let Some(spare) = &self.spare {
            w = w.bytes(20, spare.as_bytes());
        }
        for arg in &self.args {
            w = w.bytes(3, arg);
        }
        for entry in &self.env {
            w = w.bytes(4, entry);
        }
        for note in &self.notes {
            w = w.bytes(19, note.as_bytes());
        }
        w.done()
    }

    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let (kind, fields) = open(packet)?;
        if kind != SPEC {
            return Err(Malformed);
        }
        let mut spec = Spec::default();
        for field in fields {
            let (tag, value) = field?;
            match tag {
                1 => spec.attempt = text(value)?,
                2 => spec.program = value.to_vec(),
                3 => spec.args.push(value.to_vec()),
                4 => spec.env.push(value.to_vec()),
                5 => spec.work_dir = text(value)?,
                6 => spec.spool = text(value)?,
                8 => spec.socket_name = text(value)?,
                9 => spec.token = text(value)?,
                10 => spec.cgroup = Some(text(value)?),
                11 => spec.attempt_timeout_ms = Some(number(value)?),
                12 => spec.lease_deadline_ms = Some(number(value)?),
                13 => spec.outlives_lease = number(value)? != 0,
                14 => spec.grace_ms = number(value)?,
                15 => spec.drain_ms = number(value)?,
                16 => spec.log_bytes_max = number(value)?,
                17 => spec.umask = number(value)? as u32,
                18 => spec.no_new_privs = number(value)? != 0,
                19 => spec.notes.push(text(value)?),
                20 => spec.spare = Some(text(value)?),
                _ => {}
            }
        }
        Ok(spec)
    }
}

impl FromShim {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            FromShim::Started { pid, shim, started_ms } => Writer::new(STARTED)
                .number(1, u64::from(*pid))
                .signed(2, *started_ms)
                .number(3, u64::from(*shim))
                .done(),
            FromShim::Exited(status) => status.encode(),
            FromShim::Failed { message, fault } => {
                Writer::new(FAILED).bytes(1, message.as_bytes()).number(2, fault.code()).done()
            }
            FromShim::Unsupported => Writer::new(UNSUPPORTED).done(),
        }
    }

    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let (kind, fields) = open(packet)?;
        match kind {
            STARTED => {
                let (mut pid, mut shim, mut started_ms) = (0, 0, 0);
                for field in fields {
                    match field? {
                        (1, value) => pid = u32::try_from(number(value)?).map_err(|_| Malformed)?,
                        (2, value) => started_ms = number(value)? as i64,
                        (3, value) => shim = u32::try_from(number(value)?).map_err(|_| Malformed)?,
                        _ => {}
                    }
                }
                Ok(FromShim::Started { pid, shim, started_ms })
            }
            EXITED => Ok(FromShim::Exited(Box::new(Status::decode(packet)?))),
            FAILED => {
                let (mut message, mut fault) = (String::new(), Fault::World);
                for field in fields {
                    match field? {
                        (1, value) => message = String::from_utf8_lossy(value).into_owned(),
                        (2, value) => fault = Fault::from_code(number(value)?)?,
                        _ => {}
                    }
                }
                Ok(FromShim::Failed { message, fault })
            }
            UNSUPPORTED => Ok(FromShim::Unsupported),
            _ => Err(Malformed),
        }
    }
}

impl ToShim {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ToShim::Kill { grace_ms } => Writer::new(KILL).number(1, *grace_ms).done(),
            ToShim::Lease { deadline_ms } => Writer::new(LEASE).number(1, *deadline_ms).done(),
        }
    }

    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let (kind, fields) = open(packet)?;
        let mut value = 0;
        for field in fields {
            if let (1, bytes) = field? {
                value = number(bytes)?;
            }
        }
        match kind {
            KILL => Ok(ToShim::Kill { grace_ms: value }),
            LEASE => Ok(ToShim::Lease { deadline_ms: value }),
            _ => Err(Malformed),
        }
    }
}

impl Fault {
    fn code(self) -> u64 {
        match self {
            Fault::World => 0,
            Fault::Task => 1,
            Fault::Claimed => 2,
        }
    }

    fn from_code(code: u64) -> Result<Self, Malformed> {
        Ok(match code {
            0 => Fault::World,
            1 => Fault::Task,
            2 => Fault::Claimed,
            _ => return Err(Malformed),
        })
    }
}

impl Ending {
    fn code(self) -> u64 {
        match self {
            Ending::Exited => 0,
            Ending::Killed => 1,
            Ending::TimedOut => 2,
            Ending::LeaseEnded => 3,
            Ending::ShimSignalled => 4,
        }
    }

    fn from_code(code: u64) -> Result<Self, Malformed> {
        Ok(match code {
            0 => Ending::Exited,
            1 => Ending::Killed,
            2 => Ending::TimedOut,
            3 => Ending::LeaseEnded,
            4 => Ending::ShimSignalled,
            _ => return Err(Malformed),
        })
    }
}

impl Status {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(EXITED)
            .number(3, self.ending.code())
            .signed(4, self.started_ms)
            .signed(5, self.finished_ms)
            .number(6, self.n_survivors)
            .number(7, self.n_left_over)
            .flag(8, self.is_out_of_memory)
            .number(9, self.head_bytes)
            .number(10, self.n_lines)
            .number(11, self.lost_bytes)
            .bytes(12, &self.stderr_tail);
        if let Some(code) = self.exit_code {
            w = w.signed(1, i64::from(code));
        }
        if let Some(signal) = self.signal {
            w = w.signed(2, i64::from(signal));
        }
        if let Some(cut) = self.cut {
            w = w
                .number(20, cut.dropped_bytes)
                .number(21, cut.dropped_lines)
                .flag(22, cut.older_is_first)
                .number(23, cut.older_bytes)
                .number(24, cut.newer_bytes);
        }
        w.bytes(END, &[]).done()
    }

    /// A status without its last field was cut short while it was written.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let (kind, fields) = open(packet)?;
        if kind != EXITED {
            return Err(Malformed);
        }
        let mut status = Status::default();
        let mut cut = Cut::default();
        let mut is_cut = false;
        let mut is_whole = false;
        for field in fields {
            let (tag, value) = field?;
            match tag {
                1 => status.exit_code = Some(number(value)? as i32),
                2 => status.signal = Some(number(value)? as i32),
                3 => status.ending = Ending::from_code(number(value)?)?,
                4 => status.started_ms = number(value)? as i64,
                5 => status.finished_ms = number(value)? as i64,
                6 => status.n_survivors = number(value)?,
                7 => status.n_left_over = number(value)?,
                8 => status.is_out_of_memory = number(value)? != 0,
                9 => status.head_bytes = number(value)?,
                10 => status.n_lines = number(value)?,
                11 => status.lost_bytes = number(value)?,
                12 => status.stderr_tail = value.to_vec(),
                20 => (cut.dropped_bytes, is_cut) = (number(value)?, true),
                21 => cut.dropped_lines = number(value)?,
                22 => cut.older_is_first = number(value)? != 0,
                23 => cut.older_bytes = number(value)?,
                24 => cut.newer_bytes = number(value)?,
                END => is_whole = true,
                _ => {}
            }
        }
        status.cut = is_cut.then_some(cut);
        if is_whole { Ok(status) } else { Err(Malformed) }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u8) -> Self {
        let mut packet = Vec::with_capacity(512);
        packet.extend_from_slice(&[VERSION, kind]);
        Writer(packet)
    }

    fn bytes(mut self, tag: u8, value: &[u8]) -> Self {
        self.0.push(tag);
        self.0.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.0.extend_from_slice(value);
        self
    }

    fn number(self, tag: u8, value: u64) -> Self {
        self.bytes(tag, &value.to_le_bytes())
    }

    fn signed(self, tag: u8, value: i64) -> Self {
        self.bytes(tag, &value.to_le_bytes())
    }

    fn flag(self, tag: u8, value: bool) -> Self {
        self.number(tag, u64::from(value))
    }

    fn optional(self, tag: u8, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.number(tag, value),
            None => self,
        }
    }

    fn done(self) -> Vec<u8> {
        self.0
    }
}

fn open(packet: &[u8]) -> Result<(u8, Fields<'_>), Malformed> {
    match packet {
        [VERSION, kind, rest @ ..] => Ok((*kind, Fields(rest))),
        _ => Err(Malformed),
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u8, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = (|| {
            let (&tag, rest) = self.0.split_first()?;
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            self.0 = rest;
            Some((tag, value))
        })();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

fn number(value: &[u8]) -> Result<u64, Malformed> {
    Ok(u64::from_le_bytes(value.try_into().map_err(|_| Malformed)?))
}

fn text(value: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(value.to_vec()).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec {
            attempt: "1.1.2.0.1".into(),
            program: b"/bin/sh".to_vec(),
            args: vec![b"sh".to_vec(), Vec::new(), b"\xff".to_vec()],
            env: vec![b"A=b".to_vec()],
            work_dir: "/w".into(),
            spool: "/s/x".into(),
            spare: Some("/q/7".into()),
            socket_name: "x".into(),
            token: "t".into(),
            cgroup: Some("/sys/fs/cgroup/x".into()),
            attempt_timeout_ms: Some(5),
            lease_deadline_ms: None,
            outlives_lease: true,
            grace_ms: 1,
            drain_ms: 2,
            log_bytes_max: 3,
            umask: 0o27,
            no_new_privs: true,
            notes: vec!["n".into()],
        }
    }

    #[test]
    fn every_packet_reads_back_as_it_was_written() {
        assert_eq!(Spec::decode(&spec().encode()), Ok(spec()));
        for message in [
            FromShim::Started { pid: 7, shim: 6, started_ms: -1 },
            FromShim::Failed { message: "no".into(), fault: Fault::Claimed },
            FromShim::Unsupported,
            FromShim::Exited(Box::new(Status {
                exit_code: Some(-1),
                signal: None,
                ending: Ending::TimedOut,
                cut: Some(Cut { dropped_bytes: 0, older_bytes: 9, ..Cut::default() }),
                stderr_tail: vec![0, 1, 255],
                ..Status::default()
            })),
        ] {
            assert_eq!(FromShim::decode(&message.encode()), Ok(message));
        }
        let kill = ToShim::Kill { grace_ms: 9 };
        assert_eq!(ToShim::decode(&kill.encode()), Ok(kill));
        let file = ZygoteRequest::SpecFile("/x".into());
        assert_eq!(ZygoteRequest::decode(&file.encode()), Ok(file));
    }

    #[test]
    fn fields_of_a_later_release_are_skipped() {
        let mut packet = ToShim::Lease { deadline_ms: 4 }.encode();
        packet.extend_from_slice(&[200, 1, 0, 0, 0, 42]);
        assert_eq!(ToShim::decode(&packet), Ok(ToShim::Lease { deadline_ms: 4 }));
    }

    #[test]
    fn a_status_that_was_cut_short_is_no_status() {
        let whole = Status { exit_code: Some(0), ..Status::default() }.encode();
        assert!(Status::decode(&whole).is_ok());
        assert!((0..whole.len()).all(|end| Status::decode(&whole[..end]).is_err()));
    }

    #[test]
    fn a_cut_packet_is_an_error() {
        let whole = spec().encode();
        for end in [0, 1, 4, 9] {
            assert!(Spec::decode(&whole[..end]).is_err(), "{end}");
        }
    }
}
