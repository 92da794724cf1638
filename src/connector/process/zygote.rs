//! The worker's handle of its zygote: starts it, starts it again when it is gone, and asks it for shims.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::socket::{self, ControlMessage, MsgFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

use super::link::{ShimLink, on_runtime, packet_pair};
use super::sweep;
use super::wire::{PACKET_MAX, Spec, ZygoteRequest};

/// How often and how long it is looked whether a zygote that was let go has ended.
const END_LOOKS: u32 = 50;
const END_LOOK: Duration = Duration::from_millis(10);

#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("cannot start {}: {source}", program.display())]
    Zygote { program: PathBuf, source: io::Error },
    #[error("cannot hand the attempt to the zygote: {0}")]
    Request(#[source] io::Error),
    #[error("cannot write the attempt's description: {0}")]
    Spec(#[source] io::Error),
}

/// One per worker process.
#[derive(Debug)]
pub struct Zygote {
    program: PathBuf,
    /// The cgroup that zygote and shims stay in.
    home: Option<PathBuf>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    socket: AsyncFd<OwnedFd>,
    pid: u32,
}

impl Zygote {
    pub fn new(program: PathBuf, home: Option<PathBuf>) -> Self {
        Zygote { program, home, running: Mutex::new(None) }
    }

    /// Starts the zygote if none runs, so that the first attempt need not wait for it.
    pub async fn warm_up(&self) -> Result<(), LaunchError> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            *running = Some(self.start()?);
        }
        Ok(())
    }

    /// Process id of the zygote while one was started and not yet found dead.
    pub async fn pid(&self) -> Option<u32> {
        self.running.lock().await.as_ref().map(|running| running.pid)
    }

    /// Lets the zygote end. Shims go on.
    pub async fn stop(&self) {
        let Some(zygote) = self.running.lock().await.take() else { return };
        let pid = zygote.pid as i32;
        drop(zygote);
        for _ in 0..END_LOOKS {
            if sweep::read(pid).is_none() {
                return;
            }
            tokio::time::sleep(END_LOOK).await;
        }
    }

    /// Has a shim forked for `spec`. What becomes of it, also that it could not start, comes over the link.
    pub async fn launch(&self, spec: &Spec) -> Result<ShimLink, LaunchError> {
        let mut packet = spec.encode();
        if packet.len() > PACKET_MAX {
            let path = format!("{}.spec", spec.spool);
            write_private(Path::new(&path), &packet).map_err(LaunchError::Spec)?;
            packet = ZygoteRequest::SpecFile(path).encode();
        }
        let mut running = self.running.lock().await;
        let mut was_restarted = false;
        loop {
            if running.is_none() {
                *running = Some(self.start()?);
                was_restarted = true;
            }
            let Some(zygote) = running.as_ref() else { continue };
            let (ours, theirs) = packet_pair().map_err(LaunchError::Request)?;
            match zygote.request(&packet, &theirs).await {
                Ok(()) => {
                    drop(theirs);
                    return ShimLink::new(ours).map_err(LaunchError::Request);
                }
                // It died: nothing was taken, as a packet is sent whole or not at all.
                Err(error) if is_gone(&error) && !was_restarted => *running = None,
                Err(error) => return Err(LaunchError::Request(error)),
            }
        }
    }

    fn start(&self) -> Result<Running, LaunchError> {
        let failed = |source| LaunchError::Zygote { program: self.program.clone(), source };
        let (ours, theirs) = packet_pair().map_err(failed)?;
        // The zygote blocks on its end.
        set_blocking(&theirs).map_err(failed)?;
        // A room for several packets with large environments.
        let _ = socket::setsockopt(&ours, socket::sockopt::SndBuf, &(8 * PACKET_MAX));
        let mut child = tokio::process::Command::new(&self.program)
            .arg("--zygote")
            .args(&self.home)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .env_clear()
            .spawn()
            .map_err(failed)?;
        let pid = child.id().unwrap_or(0);
        // Reaped when it ends; that it ended is seen at the next request.
        tokio::spawn(async move {
            if let Ok(status) = child.wait().await {
                tracing::debug!(pid, %status, "zygote ended");
            }
        });
        let socket = on_runtime(ours).map_err(failed)?;
        Ok(Running { socket, pid })
    }
}

impl Running {
    async fn request(&self, packet: &[u8], reply: &OwnedFd) -> io::Result<()> {
        let fds = [reply.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&fds)];
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let send = |socket: &OwnedFd| {
            Ok(socket::sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(packet)], &control, flags, None)?)
        };
        self.socket.async_io(Interest::WRITABLE, send).await?;
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected)
}

fn set_blocking(fd: &OwnedFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(())
}

/// A file that only this user can read.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}
