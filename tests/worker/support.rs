//! What the tests share: temp directories, specs, waiting on conditions, looking for processes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ractorflow::connector::process::cgroup::Cgroups;
use ractorflow::connector::process::frame::{Frame, Stream};
use ractorflow::connector::process::link::ShimLink;
use ractorflow::connector::process::spool::SpoolFiles;
use ractorflow::connector::process::sweep::{self, Marks, TOKEN_VARIABLE};
use ractorflow::connector::process::wire::{FromShim, Spec, Status};
use ractorflow::connector::process::zygote::Zygote;

/// Longest wait for anything; only a broken build gets there.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn shim_program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ractorflow-shim"))
}

/// Waits until `condition` gives something.
pub async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One shim's surroundings.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub zygote: Zygote,
    pub cgroups: Option<Cgroups>,
}

impl Bench {
    pub fn new(with_cgroups: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        let name = format!("test-{}", dir.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.'));
        let cgroups = if with_cgroups { Cgroups::open(&name).ok() } else { None };
        let zygote = Zygote::new(shim_program(), cgroups.as_ref().map(Cgroups::shims));
        Bench { dir, zygote, cgroups }
    }

    pub fn spool(&self, name: &str) -> SpoolFiles {
        SpoolFiles::new(self.dir.path().join(name))
    }

    /// Abstract names are of the whole machine.
    pub fn socket_name(&self, name: &str) -> String {
        format!("rf-test{}/{name}", self.dir.path().display())
    }

    pub fn spec(&self, name: &str, argv: &[&str]) -> Spec {
        let spool = self.spool(name);
        let token = format!("{name}-{}", self.dir.path().display());
        let mut env: Vec<Vec<u8>> = vec![format!("{TOKEN_VARIABLE}={token}").into_bytes()];
        env.push(b"PATH=/usr/local/bin:/usr/bin:/bin".to_vec());
        Spec {
            attempt: name.to_owned(),
            program: argv[0].as_bytes().to_vec(),
            args: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
            env,
            work_dir: self.dir.path().join("work").to_str().unwrap().to_owned(),
            spool: spool.base().to_str().unwrap().to_owned(),
            socket_name: self.socket_name(name),
            token,
            cgroup: self.cgroups.as_ref().map(|c| c.leaf(name).to_str().unwrap().to_owned()),
            grace_ms: 300,
            drain_ms: 5_000,
            log_bytes_max: 1 << 20,
            umask: 0o027,
            no_new_privs: true,
            ..Spec::default()
        }
    }

    pub fn sh(&self, name: &str, script: &str) -> Spec {
        self.spec(name, &["/bin/bash", "-c", script])
    }

    pub async fn run(&self, spec: &Spec) -> Status {
        let link = self.zygote.launch(spec).await.unwrap();
        finish(&link).await
    }

    /// The log as `stream letter + text` per frame.
    pub fn log(&self, name: &str) -> Vec<(Stream, String)> {
        let spool = self.spool(name);
        let status = spool.status().unwrap();
        let bytes = spool.read(status.as_ref(), 0, usize::MAX).unwrap();
        frames(&bytes)
    }

    pub fn members(&self, spec: &Spec) -> Vec<i32> {
        sweep::members(&Marks { token: &spec.token, shim: None, session: None }).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(cgroups) = &self.cgroups {
            let _ = std::fs::write(cgroups.shims().join("cgroup.kill"), "1");
            let deadline = Instant::now() + Duration::from_secs(2);
            while cgroups.shims().exists() && Instant::now() < deadline {
                cgroups.remove();
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

pub fn frames(mut bytes: &[u8]) -> Vec<(Stream, String)> {
    let mut found = Vec::new();
    while let Some((frame, length)) = Frame::read(bytes).unwrap() {
        found.push((frame.stream, String::from_utf8_lossy(frame.text).into_owned()));
        bytes = &bytes[length..];
    }
    assert!(bytes.is_empty());
    found
}

pub async fn next(link: &ShimLink) -> Option<FromShim> {
    tokio::time::timeout(PATIENCE, link.receive()).await.expect("the shim says nothing").unwrap()
}

pub async fn started(link: &ShimLink) -> i32 {
    match next(link).await {
        Some(FromShim::Started { pid, .. }) => pid as i32,
        other => panic!("expected Started, got {other:?}"),
    }
}

pub async fn finish(link: &ShimLink) -> Status {
    loop {
        match next(link).await {
            Some(FromShim::Exited(status)) => return *status,
            Some(FromShim::Started { .. }) => {}
            other => panic!("expected Exited, got {other:?}"),
        }
    }
}

pub fn is_alive(pid: i32) -> bool {
    sweep::read(pid).is_some_and(|process| !process.is_zombie)
}

pub fn read_pid(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
