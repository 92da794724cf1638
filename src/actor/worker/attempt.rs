//! One attempt: prepares its directories, has a shim started or finds the one of an earlier daemon, and says how
//! it ended. The shim holds the processes; this actor may die and be made again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::connector::process::frame;
use crate::connector::process::link::ShimLink;
use crate::connector::process::spool::SpoolFiles;
use crate::connector::process::sweep;
use crate::connector::process::wire::{Fault, FromShim, Spec, Status, ToShim};
use crate::connector::process::zygote::write_private;
use crate::model::assignment::{Assignment, Outcome, OutcomeClass};
use crate::model::id::AttemptId;
use crate::model::message::Message;
use crate::model::policy::OnIsolation;
use crate::model::time::Timestamp;
use crate::node;
use crate::node::process::{Plan, PlannedFile, TaskFiles, environment, outcome, params_json, unstarted};
use crate::node::task::{SETTINGS_FILE, VERDICT_FILE, read_verdict};
use crate::say;

use super::files::Unplaced;
use super::ledger::{Live, Report};
use super::supervisor::SupervisorMessage;
use super::tools::Tools;
use super::tree::{self, Proof, Remains};
use crate::actor::clock;

/// A shim that says nothing so long after the grace of a kill is stopped or broken.
const SHIM_SILENCE: Duration = Duration::from_secs(15);

#[derive(RactorMessage)]
pub enum AttemptMessage {
    Begin,
    Kill {
        grace_ms: u64,
    },
    /// The files that it wants are in its directory, or cannot be brought there.
    Placed(Result<(), Unplaced>),
    /// The shim may go on until then.
    Lease {
        deadline_ms: u64,
    },
    /// `None`: its socket is closed.
    Shim(Option<FromShim>),
    /// The kill should have worked by now.
    Overdue,
}

pub enum Work {
    New(Box<Assignment>),
    /// Left by an earlier daemon.
    Resume,
}

pub struct AttemptArguments {
    pub attempt: AttemptId,
    pub live: Live,
    pub work: Work,
    /// For a shim that is started now, on CLOCK_BOOTTIME.
    pub lease_deadline_ms: Option<u64>,
    pub tools: Arc<Tools>,
    pub supervisor: ActorRef<SupervisorMessage>,
}

pub struct Attempt;

pub struct AttemptState {
    given: AttemptArguments,
    spool: SpoolFiles,
    /// To be started once its files are there.
    placing: Option<Placing>,
    link: Option<Arc<ShimLink>>,
    shim: Option<i32>,
    /// The main process and its start.
    main: Option<(i32, u64)>,
    is_killed: bool,
    /// Reported; what is left is the work directory.
    leaving: Option<Leaving>,
}

#[derive(Clone, Copy)]
struct Leaving {
    /// No process of the attempt is left that could still use it.
    is_left_alone: bool,
}

struct Placing {
    spec: Box<Spec>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Placing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Actor for Attempt {
    type Msg = AttemptMessage;
    type State = AttemptState;
    type Arguments = AttemptArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<AttemptMessage>,
        given: AttemptArguments,
    ) -> Result<AttemptState, ActorProcessingErr> {
        // The work begins as a message, so that the supervisor need not wait for it.
        myself.cast(AttemptMessage::Begin)?;
        let spool = given.tools.spool(&given.live.name);
        Ok(AttemptState {
            given,
            spool,
            placing: None,
            link: None,
            shim: None,
            main: None,
            is_killed: false,
            leaving: None,
        })
    }

    async fn post_stop(&self, _: ActorRef<AttemptMessage>, state: &mut AttemptState) -> Result<(), ActorProcessingErr> {
        if let Some(leaving) = state.leaving {
            // The report goes first: the node behind this one waits for it.
            tokio::task::yield_now().await;
            state.remove_work_dir(leaving);
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<AttemptMessage>,
        message: AttemptMessage,
        state: &mut AttemptState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AttemptMessage::Begin => match std::mem::replace(&mut state.given.work, Work::Resume) {
                Work::New(assignment) => state.begin(&myself, &assignment).await,
                Work::Resume => state.resume(&myself).await,
            },
            AttemptMessage::Placed(placed) => state.placed(&myself, placed).await,
            AttemptMessage::Kill { .. } if state.placing.take().is_some() => {
                state.never_ran(&myself, OutcomeClass::Killed, say!("killed"))
            }
            AttemptMessage::Kill { grace_ms } => {
                state.is_killed = true;
                if let Some(link) = &state.link
                    && let Err(error) = link.send(ToShim::Kill { grace_ms })
                {
                    tracing::warn!(attempt = %state.given.attempt, %error, "the shim does not take the kill");
                }
                myself.send_after(Duration::from_millis(grace_ms) + SHIM_SILENCE, || AttemptMessage::Overdue);
                Ok(())
            }
            AttemptMessage::Lease { deadline_ms } => {
                if let Some(placing) = &mut state.placing {
                    placing.spec.lease_deadline_ms = Some(deadline_ms);
                }
                // Without a link nothing was started yet.
                if let Some(link) = &state.link
                    && let Err(error) = link.send(ToShim::Lease { deadline_ms })
                {
                    tracing::warn!(attempt = %state.given.attempt, %error, "the shim does not take the lease");
                }
                Ok(())
            }
            AttemptMessage::Shim(said) => state.heard(&myself, said).await,
            AttemptMessage::Overdue => {
                state.force();
                Ok(())
            }
        }
    }
}

impl AttemptState {
    async fn begin(
        &mut self,
        myself: &ActorRef<AttemptMessage>,
        assignment: &Assignment,
    ) -> Result<(), ActorProcessingErr> {
        let plan = match node::plan(assignment) {
            Ok(plan) if plan.is_own => self.own(plan),
            Ok(plan) => plan,
            Err(refusal) => return self.never_ran(myself, OutcomeClass::Refused, refusal.said()),
        };
        let tools = self.given.tools.clone();
        let base = tools.environment.variables().await;
        let has_params = !assignment.params.is_empty();
        let params = if has_params { self.spool.params() } else { tools.no_params() };
        let files = TaskFiles { output: self.spool.output(), params };
        let environment = environment(assignment, base, &plan, &files, &self.given.live.token);
        if let Err(error) = self.prepare(assignment, &plan) {
            let message = say!("cannot prepare the work directory: {}", error.to_string());
            return self.never_ran(myself, OutcomeClass::Infrastructure, message);
        }
        let mut plan = plan;
        let attached = std::mem::take(&mut plan.attached);
        let spec = self.spec(assignment, plan, environment.entries, environment.warnings);
        if attached.is_empty() {
            return self.launch(myself, &spec).await;
        }
        // As a task of its own: a large file takes a while, and a kill must not wait for it.
        let (directory, me) = (tools.work_dir(&self.given.live.name), myself.clone());
        let task = tokio::spawn(async move {
            let placed = tools.files.place(&attached, &directory).await;
            // An attempt that was killed meanwhile needs no files.
            let _ = me.cast(AttemptMessage::Placed(placed));
        });
        self.placing = Some(Placing { spec: Box::new(spec), task });
        Ok(())
    }

    async fn placed(
        &mut self,
        myself: &ActorRef<AttemptMessage>,
        placed: Result<(), Unplaced>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(placing) = self.placing.take() else { return Ok(()) };
        match placed {
            Ok(()) => self.launch(myself, &placing.spec).await,
            Err(Unplaced::Refused(message)) => self.never_ran(myself, OutcomeClass::Refused, message),
            Err(Unplaced::World(message)) => self.never_ran(myself, OutcomeClass::Infrastructure, message),
        }
    }

    async fn launch(&mut self, myself: &ActorRef<AttemptMessage>, spec: &Spec) -> Result<(), ActorProcessingErr> {
        match self.given.tools.zygote.launch(spec).await {
            Ok(link) => self.listen(myself, link),
            Err(error) => self.never_ran(myself, OutcomeClass::Infrastructure, Message::verbatim(error.to_string())),
        }
    }

    /// With where our program is and what it is told by arguments: paths alone, for they are seen by everybody.
    fn own(&self, plan: Plan) -> Plan {
        let config = &self.given.tools.config;
        let path = |path: &Path| path.display().to_string();
        let program = path(&config.own_program);
        let args = ["ractorflow", "task", "--conf", &path(&config.conf_dir)];
        let mut files = plan.files;
        // Without it the task has the defaults.
        if let Ok(bytes) = rmp_serde::to_vec_named(&config.task_settings) {
            files.push(PlannedFile { name: SETTINGS_FILE.to_owned(), bytes, is_program: false });
        }
        Plan { program, args: args.map(str::to_owned).to_vec(), files, ..plan }
    }

    fn prepare(&self, assignment: &Assignment, plan: &Plan) -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let work = self.given.tools.work_dir(&self.given.live.name);
        self.given.tools.spares.make_directory(&work)?;
        for file in &plan.files {
            let path = work.join(&file.name);
            write_private(&path, &file.bytes)?;
            if file.is_program {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
            }
        }
        if assignment.params.is_empty() {
            Ok(())
        } else {
            write_private(&self.spool.params(), &params_json(assignment))
        }
    }

    fn spec(&self, assignment: &Assignment, plan: Plan, env: Vec<Vec<u8>>, notes: Vec<String>) -> Spec {
        let (tools, live) = (&self.given.tools, &self.given.live);
        let config = &tools.config;
        let path = |path: &Path| path.display().to_string();
        let ms = |ms: crate::model::duration::Millis| u64::try_from(ms.0).unwrap_or(0);
        Spec {
            attempt: self.given.attempt.to_string(),
            program: plan.program.into_bytes(),
            args: plan.args.into_iter().map(String::into_bytes).collect(),
            env,
            work_dir: path(&tools.work_dir(&live.name)),
            spool: path(self.spool.base()),
            spare: tools.spares.take_file().map(|spare| path(&spare)),
            socket_name: self.socket_name(),
            token: live.token.clone(),
            cgroup: live.cgroup.clone(),
            attempt_timeout_ms: assignment.attempt_timeout.map(ms),
            lease_deadline_ms: self.given.lease_deadline_ms,
            outlives_lease: assignment.on_isolation == OnIsolation::Continue,
            grace_ms: config.kill_grace_ms,
            drain_ms: config.drain_ms,
            log_bytes_max: tools.log_bytes_max(),
            umask: config.umask,
            no_new_privs: config.no_new_privs,
            notes,
        }
    }

    /// An earlier daemon's attempt: ended, still running, never started, or without its shim.
    async fn resume(&mut self, myself: &ActorRef<AttemptMessage>) -> Result<(), ActorProcessingErr> {
        if let Some(status) = self.spool.status()? {
            return self.finish(myself, &status);
        }
        if let Ok(link) = ShimLink::attach(&self.socket_name()) {
            return self.listen(myself, link);
        }
        // No shim listens. It listens before it claims the spool, so whoever claims now keeps it from starting.
        match self.spool.claim() {
            Ok(false) => self.shim_is_gone(myself).await,
            Ok(true) => self.never_started(myself),
            Err(error) => Err(error.into()),
        }
    }

    fn never_started(&mut self, myself: &ActorRef<AttemptMessage>) -> Result<(), ActorProcessingErr> {
        // The claim stays: it is what keeps a late shim of the old zygote out. The next start clears it away.
        self.given.supervisor.cast(SupervisorMessage::NeverStarted { attempt: self.given.attempt })?;
        self.leaving = Some(Leaving { is_left_alone: true });
        myself.stop(None);
        Ok(())
    }

    fn listen(&mut self, myself: &ActorRef<AttemptMessage>, link: ShimLink) -> Result<(), ActorProcessingErr> {
        let link = Arc::new(link);
        self.link = Some(link.clone());
        let myself = myself.clone();
        let attempt = self.given.attempt;
        tokio::spawn(async move {
            loop {
                let said = link.receive().await.unwrap_or_else(|error| {
                    tracing::warn!(%attempt, %error, "the shim cannot be understood");
                    None
                });
                let is_last = !matches!(said, Some(FromShim::Started { .. } | FromShim::Unsupported));
                if myself.cast(AttemptMessage::Shim(said)).is_err() || is_last {
                    return;
                }
            }
        });
        Ok(())
    }

    async fn heard(
        &mut self,
        myself: &ActorRef<AttemptMessage>,
        said: Option<FromShim>,
    ) -> Result<(), ActorProcessingErr> {
        match said {
            Some(FromShim::Started { pid, shim, started_ms }) => {
                self.shim = Some(shim as i32);
                self.main = sweep::read(pid as i32).map(|process| (process.pid, process.start_ticks));
                let (attempt, started) = (self.given.attempt, Timestamp(started_ms));
                Ok(self.given.supervisor.cast(SupervisorMessage::Started { attempt, started })?)
            }
            Some(FromShim::Exited(status)) => self.finish(myself, &status),
            Some(FromShim::Failed { message, fault: Fault::Task }) => {
                self.never_ran(myself, OutcomeClass::Refused, Message::verbatim(message))
            }
            Some(FromShim::Failed { message, fault: Fault::World }) => {
                self.never_ran(myself, OutcomeClass::Infrastructure, Message::verbatim(message))
            }
            Some(FromShim::Failed { fault: Fault::Claimed, .. }) => self.resume_claimed(myself).await,
            Some(FromShim::Unsupported) => {
                tracing::warn!(attempt = %self.given.attempt, "the shim does not know an order");
                Ok(())
            }
            None => self.shim_is_gone(myself).await,
        }
    }

    async fn resume_claimed(&mut self, myself: &ActorRef<AttemptMessage>) -> Result<(), ActorProcessingErr> {
        match ShimLink::attach(&self.socket_name()) {
            Ok(link) => self.listen(myself, link),
            Err(_) => self.shim_is_gone(myself).await,
        }
    }

    /// The shim closed its socket: it has written the status, or it died.
    async fn shim_is_gone(&mut self, myself: &ActorRef<AttemptMessage>) -> Result<(), ActorProcessingErr> {
        if let Some(status) = self.spool.status()? {
            return self.finish(myself, &status);
        }
        let remains = self.remains();
        let proof = tokio::task::spawn_blocking(move || tree::end(&remains)).await?;
        // A shim that lost only its socket writes its status now.
        let status = self.spool.status()?;
        let outcome = match (proof, status) {
            (Proof::Unproven { n_left }, _) => {
                let message = format!("its shim is gone and {n_left} of its processes cannot be killed");
                return self.report(myself, Report::Unproven { message });
            }
            (Proof::Gone { n_killed: 0 }, Some(status)) => return self.finish(myself, &status),
            (Proof::Gone { .. }, _) if self.is_killed => {
                unstarted(OutcomeClass::Killed, say!("killed; its shim was gone"), clock::wall())
            }
            (Proof::Gone { n_killed }, _) => {
                let message = say!("its shim was gone; {} process(es) were left and were killed", n_killed);
                unstarted(OutcomeClass::Infrastructure, message, clock::wall())
            }
        };
        self.finished(myself, outcome, 0)
    }

    fn finish(&mut self, myself: &ActorRef<AttemptMessage>, status: &Status) -> Result<(), ActorProcessingErr> {
        if status.n_survivors > 0 {
            let message = format!("{} of its processes survive SIGKILL", status.n_survivors);
            return self.report(myself, Report::Unproven { message });
        }
        let has_log = Some(self.spool.len(None) > 0);
        let bytes_max = self.given.tools.config.output_bytes_max;
        let verdict = self.given.tools.work_dir(&self.given.live.name).join(VERDICT_FILE);
        let said = || read_verdict(&verdict);
        let outcome = outcome(&self.given.live.retry_rules, status, said, &self.spool.output(), bytes_max);
        let outcome = Outcome { has_log, ..outcome };
        let n_shown = match status.cut {
            Some(cut) => status.n_lines.saturating_sub(cut.dropped_lines) + u64::from(cut.dropped_bytes > 0),
            None => status.n_lines,
        };
        self.finished(myself, outcome, n_shown)
    }

    /// Nothing was started and nothing will be: said in the log too, which a shim has not begun or left empty.
    fn never_ran(
        &mut self,
        myself: &ActorRef<AttemptMessage>,
        class: OutcomeClass,
        message: Message,
    ) -> Result<(), ActorProcessingErr> {
        let now = clock::wall();
        let mut line = Vec::new();
        frame::system_line(now.0, &message.english(), &mut line);
        let n_log_lines = u64::from(write_private(&self.spool.log(), &line).is_ok());
        let outcome = Outcome { has_log: Some(n_log_lines > 0), ..unstarted(class, message, now) };
        self.finished(myself, outcome, n_log_lines)
    }

    fn finished(
        &mut self,
        myself: &ActorRef<AttemptMessage>,
        outcome: Outcome,
        n_log_lines: u64,
    ) -> Result<(), ActorProcessingErr> {
        self.report(myself, Report::Finished { outcome, n_log_lines })
    }

    fn report(&mut self, myself: &ActorRef<AttemptMessage>, report: Report) -> Result<(), ActorProcessingErr> {
        let is_left_alone = matches!(report, Report::Finished { .. });
        let (attempt, report) = (self.given.attempt, Box::new(report));
        self.given.supervisor.cast(SupervisorMessage::Ended { attempt, report })?;
        self.leaving = Some(Leaving { is_left_alone });
        myself.stop(None);
        Ok(())
    }

    fn remove_work_dir(&self, Leaving { is_left_alone }: Leaving) {
        let dir = self.given.tools.work_dir(&self.given.live.name);
        // Mostly it is empty, and that is quick.
        if is_left_alone && self.given.tools.spares.give_directory(&dir) || std::fs::remove_dir(&dir).is_ok() {
            return;
        }
        tokio::task::spawn_blocking(move || {
            if let Err(error) = std::fs::remove_dir_all(&dir)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(dir = %dir.display(), %error, "a work directory stays");
            }
        });
    }

    fn socket_name(&self) -> String {
        Tools::socket_name(self.given.attempt, &self.given.live.token)
    }

    fn remains(&self) -> Remains {
        let live = &self.given.live;
        Remains { token: live.token.clone(), cgroup: live.cgroup.clone(), main: self.main }
    }

    /// The shim was told to kill and says nothing: it is killed itself, and its socket's end brings the rest.
    fn force(&self) {
        let attempt = self.given.attempt;
        if let Some(shim) = self.shim {
            tracing::warn!(%attempt, shim, "the shim does not answer and is killed");
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim), nix::sys::signal::Signal::SIGKILL);
            return;
        }
        // It hangs while it starts its task, on storage that does not answer: the task goes, and it wakes.
        let leaf = self.given.live.cgroup.as_ref().map(Path::new);
        tracing::warn!(%attempt, ?leaf, "the shim does not answer and has not said who it is");
        if let Some(leaf) = leaf {
            let _ = std::fs::write(leaf.join("cgroup.kill"), "1");
        }
    }
}
