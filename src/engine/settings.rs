//! What the leader's configuration says to the engine. Only `handle` decides by it, on the leader; events carry what
//! was decided, so replicas need not have the same settings.

use crate::model::action::ActionSpec;
use crate::model::definition::Compat;
use crate::model::duration::Millis;
use crate::model::id::TriggerId;
use crate::model::policy::{DstFold, DstGap, OnDelete};
use crate::model::schedule::Cron;
use crate::model::trigger::{Coordinator, Trigger, TriggerSource, Window};

use super::mail::MailRules;

#[derive(Debug, Clone)]
pub struct Settings {
    /// A worker not heard of for this long is silent.
    pub lost_after: Millis,
    /// Unanswered dispatches and kills are sent again after this.
    pub resend_after: Millis,
    /// Between TERM and KILL of what is stopped, unless a person says otherwise.
    pub kill_grace: Millis,
    /// `None` with a single voter.
    pub lease: Option<Millis>,
    /// `on-delete` of definitions that do not say.
    pub on_delete: OnDelete,
    /// `compat` switches of all definitions.
    pub compat: Vec<Compat>,
    /// The action types, for what their texts are read by.
    pub actions: Vec<ActionSpec>,
    /// Names and values of the outputs of one node.
    pub output_bytes_max: usize,
    /// A file that is gone counts as deleted after this.
    pub delete_after: Millis,
    /// Masters that see other files than the reporter of the same source for this long are told.
    pub source_differs: Millis,
    /// Answers to requests are remembered this long, and so many of each principal; older ones are trimmed first.
    pub requests_kept: Millis,
    pub requests_max: usize,
    /// Ended instances that stay in memory, for a minute at most; of more, the oldest are left to the store alone.
    pub ended_max: usize,
    /// A jump of the clock larger than this is told.
    pub clock_jump: Millis,
    /// So is a worker whose clock differs more.
    pub clock_skew_max: Millis,
    pub mail: MailRules,
    /// When the readiness of all workflows begins anew by itself.
    pub daily_reset: Option<ResetRule>,
    pub limits: Limits,
    pub retention: Retention,
}

/// The times of the daily reset, in the zone of the cluster.
#[derive(Debug, Clone)]
pub struct ResetRule {
    /// As it is written: another text is another rule.
    pub cron: String,
    pub(super) trigger: Trigger,
}

impl ResetRule {
    /// `None`: it is no cron expression.
    pub fn parse(text: &str) -> Option<Self> {
        let (cron, _) = Cron::parse(text, false).ok()?;
        let trigger = Trigger {
            id: TriggerId::from("reset"),
            source: TriggerSource::Cron { cron, seconds: vec![0] },
            window: Window::default(),
            zone: None,
            dst_gap: DstGap::RunAfter,
            dst_fold: DstFold::First,
            jitter: Millis(0),
            params: Vec::new(),
        };
        Some(Self { cron: text.to_owned(), trigger })
    }
}

/// What is kept of the past. Whatever is beyond either bound goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Finished instances, since their end, and settled fires, since their nominal time.
    pub instances_for: Millis,
    /// Finished instances of one workflow, the newest.
    pub instances_per_workflow: u32,
    /// Versions of one workflow, the newest; those that a kept instance is of are kept beside.
    pub versions_per_workflow: u32,
}

/// What users may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Instances waiting and running in the whole cluster.
    pub instances_live_max: usize,
    /// Pending fires and queued instances of a workflow that does not say.
    pub queue_limit: u32,
    pub workflows_max: usize,
    /// Parameters that a caller may give to one run, and the bytes of their names and values.
    pub run_params_max: usize,
    pub run_params_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lost_after: Millis::seconds(30),
            resend_after: Millis::seconds(5),
            kill_grace: Millis::seconds(10),
            lease: None,
            on_delete: OnDelete::Disable,
            compat: Vec::new(),
            actions: Vec::new(),
            output_bytes_max: 64 * 1024,
            delete_after: Millis::seconds(10),
            source_differs: Millis::seconds(30),
            requests_kept: Millis::seconds(24 * 3600),
            requests_max: 100_000,
            ended_max: 1_000,
            clock_jump: Millis::seconds(5),
            clock_skew_max: Millis::seconds(5),
            mail: MailRules::default(),
            daily_reset: None,
            limits: Limits::default(),
            retention: Retention::default(),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { instances_for: Millis::seconds(90 * 86_400), instances_per_workflow: 1_000, versions_per_workflow: 200 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            instances_live_max: 100_000,
            queue_limit: 1_000,
            workflows_max: 20_000,
            run_params_max: 256,
            run_params_bytes_max: 256 * 1024,
        }
    }
}

impl Limits {
    /// How many fires and instances of a workflow may wait.
    pub fn queue_of(&self, coordinator: Option<&Coordinator>) -> u32 {
        coordinator.and_then(|coordinator| coordinator.queue_limit).unwrap_or(self.queue_limit)
    }
}
