//! The sections of the file. One row per key: comment, name, type, default. The comments are the ones of the
//! annotated default file, so they are written for operators.

use serde::{Deserialize, Serialize};

use crate::model::policy::OnDelete;

use super::value::{MasterAddress, Undefined};

/// One key of the file, for checks, help and the default file.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub section: &'static str,
    pub name: &'static str,
    /// Lines of the comment.
    pub doc: &'static [&'static str],
}

macro_rules! sections {
    ($(
        $(#[doc = $section_doc:literal])*
        $section:ident: $type:ident {
            $( $(#[doc = $doc:literal])* $key:ident: $value:ty = $default:expr; )*
        }
    )*) => {
        /// The whole file.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config { $( $(#[doc = $section_doc])* pub $section: $type, )* }

        $(
            $(#[doc = $section_doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(default, deny_unknown_fields)]
            pub struct $type { $( $(#[doc = $doc])* pub $key: $value, )* }

            impl Default for $type {
                fn default() -> Self {
                    Self { $( $key: $default, )* }
                }
            }
        )*

        /// The sections in the order of the file, with their comments.
        pub(super) const SECTIONS: &[(&str, &[&str])] = &[ $( (stringify!($section), &[$($section_doc),*]), )* ];

        /// Every key in the order of the file.
        pub const KEYS: &[Key] = &[ $( $( Key {
            section: stringify!($section),
            name: stringify!($key),
            doc: &[$($doc),*],
        }, )* )* ];
    };
}

sections! {
    /// Which processes make up the cluster, and the link between them.
    cluster: Cluster {
        /// Shown on pages and in messages.
        name: String = "ractorflow".to_owned();
        /// Voters as id@host:port. Counts for a new cluster only; later the membership in the log rules.
        masters: Vec<MasterAddress> = (1..=3).map(|n| MasterAddress::local(n, 2750 + n as u16)).collect();
        /// Masters that lead only while no other can.
        low_priority: Vec<String> = vec!["m3".to_owned()];
        /// Connections between processes that are encrypted: auto (all but those on loopback addresses) or always.
        tls: String = "auto".to_owned();
        /// A peer is pinged this often.
        heartbeat_ms: u64 = 1_000;
        /// A peer that was not heard for this long is down.
        peer_down_ms: u64 = 3_000;
        /// How long a connection may take to say who it is.
        handshake_timeout_ms: u64 = 5_000;
        /// Connections that have not said who they are.
        handshakes_max: usize = 64;
        /// Peers connected at once.
        peers_max: usize = 256;
        /// Wait between two attempts to reach a peer, at first and at most; random up to half more.
        reconnect_min_ms: u64 = 200;
        reconnect_max_ms: u64 = 2_000;
        /// A question to a peer that is not answered in this time has an unknown outcome.
        call_timeout_ms: u64 = 5_000;
        /// Longest message between peers; longer content goes in pieces over the bulk connection.
        message_bytes_max: usize = 8 * 1024 * 1024;
        /// Longest piece of a message on the control connection.
        frame_bytes_max: usize = 256 * 1024;
        /// Bytes waiting for one peer before it is cut off and starts afresh.
        peer_queue_bytes_max: usize = 64 * 1024 * 1024;
        /// Bytes under way on a bulk connection before the receiver must say it has them.
        bulk_window_bytes: usize = 1024 * 1024;
    }
    /// Election and replication timing. The defaults belong together.
    raft: Raft {
        /// The leader shows that it lives this often.
        heartbeat_every_ms: u64 = 300;
        /// Time limit of one replication request.
        append_timeout_ms: u64 = 900;
        /// Vote lease, lower and upper bound.
        election_timeout_min_ms: u64 = 950;
        election_timeout_max_ms: u64 = 1_000;
        /// A voter campaigns after this silence, plus a random part.
        campaign_after_ms: u64 = 1_000;
        campaign_random_ms: u64 = 200;
        /// After a campaign that failed.
        campaign_again_ms: u64 = 500;
        campaign_again_random_ms: u64 = 900;
        /// Log kept for followers that were away.
        log_keep_bytes: u64 = 256 * 1024 * 1024;
        /// Largest replication request, unless one entry is larger.
        append_bytes_max: usize = 1024 * 1024;
    }
    /// The scheduler and its store.
    master: Master {
        /// Commands wait for the next log entry once its events have this size.
        entry_target_bytes: usize = 128 * 1024;
        /// An entry of this size is refused before it is proposed.
        entry_bytes_max: usize = 2 * 1024 * 1024;
        /// Commands waiting for the leader's loop; more are answered "busy".
        commands_waiting_max: usize = 4_096;
        /// How often changed state is written to state.db, at most; every 200 ms when nobody asks for it.
        projector_interval_ms: u64 = 20;
        /// Events kept for pages and --follow.
        view_events_max: usize = 100_000;
        /// Answers kept for repeated requests of one principal.
        request_keys_max: usize = 100_000;
        /// ... for at least this long.
        request_keys_keep_hours: u64 = 24;
        /// Ended instances kept in memory, for a minute at most; the others are read from state.db.
        ended_instances_max: usize = 1_000;
        /// Space set aside for the day the disk is full.
        ballast_bytes: u64 = 64 * 1024 * 1024;
        /// Changes are refused when less than this is free; results of running tasks are still taken.
        disk_free_min_bytes: u64 = 256 * 1024 * 1024;
        /// A `dispatched` attempt that nobody confirmed is sent again after this time.
        dispatch_resend_ms: u64 = 3_000;
        /// A worker that was silent for this long counts as lost; its attempts are looked for when it is back.
        worker_lost_ms: u64 = 10_000;
        /// A read waits this long for the state it asks for before the leader is asked.
        read_wait_ms: u64 = 50;
    }
    /// Task execution. A worker keeps its own log spool until the masters have copies.
    worker: Worker {
        /// Weight of the attempts that run at once; 0 = four times the number of processors, at least 16.
        slots: u32 = 0;
        /// Words or key=value that `workers="…"` of an action selects by.
        labels: Vec<String> = Vec::new();
        /// Between TERM and KILL.
        kill_grace_ms: u64 = 10_000;
        /// Results waiting for a master.
        outbox_max: usize = 100_000;
        /// Ids of finished attempts are remembered at least this long.
        finished_keep_ms: u64 = 600_000;
        /// How old the last sign of the leader may be when an attempt is started; at most 5000.
        dispatch_age_max_ms: u64 = 5_000;
        /// With several masters: a task of this worker that hears of no leader for this long is ended by its shim,
        /// and its node is started elsewhere only after that. `lease="…"` of an action overrides it. At least 10000.
        lease_ms: u64 = 600_000;
        /// Output kept of one attempt: the first and the last half of this.
        attempt_log_bytes_max: u64 = 1024 * 1024 * 1024;
        /// Output kept of one workflow on this worker, oldest first to go; an instance that runs keeps its own.
        workflow_log_bytes_max: u64 = 4 * 1024 * 1024 * 1024;
        /// Output kept on this worker.
        log_bytes_max: u64 = 16 * 1024 * 1024 * 1024;
        /// No output is kept while the disk is fuller than this.
        log_disk_percent_max: u8 = 90;
        /// Files of definitions that are kept here for the next attempt; those not used for longest go first.
        files_bytes_max: u64 = 4 * 1024 * 1024 * 1024;
        /// Output reaches the disk at least this often.
        log_flush_ms: u64 = 200;
        /// Tasks cannot gain privileges that the worker does not have: sudo and other setuid programs fail.
        no_new_privs: bool = true;
        /// Values that a node may write to RF_OUTPUT.
        output_bytes_max: usize = 64 * 1024;
        /// Entries of a directory that a file-monitor looks at; in a larger one it fails.
        monitor_entries_max: usize = 100_000;
    }
    /// Web pages and API.
    http: Http {
        /// Address to listen on. Anything but loopback needs TLS in front.
        bind: String = "127.0.0.1".to_owned();
        port: u16 = 8090;
        /// Where people reach the pages, for links in mails: https://flow.example.com. Empty = http://bind:port.
        public_url: String = String::new();
        request_body_bytes_max: usize = 8 * 1024 * 1024;
        request_timeout_ms: u64 = 30_000;
        /// Requests handled at once, but for those that wait or follow; more are answered 503.
        requests_max: usize = 256;
        /// Pages and commands that wait for something or follow events at once; more are answered 503.
        streams_max: usize = 1_024;
        /// Longest wait of a request that asks to wait; clients ask again.
        wait_max_ms: u64 = 60_000;
        /// Rows of a list, by default and at most.
        page_rows: usize = 50;
        page_rows_max: usize = 500;
        /// The login link that start-cluster prints works for this long, once.
        login_link_minutes: u64 = 15;
        /// A browser stays signed in for this long at most; one that is not used ends after 8 hours.
        session_hours: u64 = 168;
    }
    /// Workflow files below xmlconfig/.
    definitions: Definitions {
        /// The directory is read again this often, beside the notifications of the system.
        scan_interval_ms: u64 = 1_000;
        /// A file counts when two looks this far apart find it unchanged.
        settle_ms: u64 = 300;
        /// A file that is gone counts as deleted after this time.
        delete_after_ms: u64 = 10_000;
        /// What a deleted file does to its workflow: disable, keep or remove.
        on_delete: OnDelete = OnDelete::Disable;
        /// Longest file.
        file_bytes_max: usize = 4 * 1024 * 1024;
        /// The files that a definition names, together. They travel with it to every master and to its workers.
        attached_bytes_max: u64 = 1024 * 1024 * 1024;
        /// Files looked at.
        files_max: usize = 20_000;
        /// Directories below xmlconfig/.
        depth_max: usize = 32;
        /// Masters that share a directory and see different files are told of after this time.
        source_differs_ms: u64 = 30_000;
    }
    /// Logs of the daemons, in logs/. Output of tasks is under [worker] and [retention].
    logs: Logs {
        /// error, warn, info, debug or trace; target=level,… for parts.
        level: String = "info".to_owned();
        /// human, json, or auto (human on a terminal).
        format: String = "auto".to_owned();
        /// A file is set aside at this size.
        file_bytes_max: u64 = 32 * 1024 * 1024;
        /// Files set aside that are kept for each daemon.
        files_max: usize = 8;
    }
    /// The server that mail is handed to. Without host and from none is sent.
    mail: Mail {
        host: String = String::new();
        /// 0 = 587 with starttls, 465 with tls, 25 with none.
        port: u16 = 0;
        /// starttls, tls, or none (in clear: for a server on this machine or in a network of its own).
        security: String = "starttls".to_owned();
        /// Empty: it asks for no login.
        user: String = String::new();
        /// The password lies in this file of conf/, which only the user of the cluster may read.
        password_file: String = "mail.password".to_owned();
        /// An address, or Name <address>.
        from: String = String::new();
        /// For each step of the conversation.
        timeout_ms: u64 = 30_000;
        /// Language of the mails that the masters write: en, zh, or auto (as LANG of the master says).
        language: String = "auto".to_owned();
        /// What happens within this time goes to the same receivers in one mail.
        group_seconds: u32 = 10;
        /// A node that is tried again after so many failures is mailed of once, and once more when it succeeds; 0 = never.
        retry_failures: u32 = 1;
        /// Last lines of a failed node's log that are mailed.
        log_lines: u32 = 30;
        /// A mail that the server has not taken after this is given up.
        give_up_hours: u32 = 24;
    }
    /// What users may ask for.
    limits: Limits {
        /// Instances waiting and running in the whole cluster.
        instances_live_max: usize = 100_000;
        /// Instances of one workflow that wait for their turn, unless its file says otherwise.
        queue_limit: u32 = 1_000;
        workflows_max: usize = 20_000;
        /// Names and values of the parameters of one run.
        run_params_max: usize = 256;
        run_params_bytes_max: usize = 256 * 1024;
    }
    /// What is kept of the past. Whatever is beyond either bound goes.
    retention: Retention {
        /// Finished instances with all that is known of them, and settled fires.
        instances_days: u32 = 90;
        /// Of each workflow the newest finished ones.
        instances_per_workflow: u32 = 1_000;
        /// Output of tasks on the masters; [worker] log_bytes_max bounds its size there too.
        task_logs_days: u32 = 30;
        /// Definitions; those of kept instances are kept beside.
        versions_per_workflow: u32 = 200;
        /// What data-monitor nodes measured, also when the instances are gone.
        measurements_days: u32 = 800;
        /// Of each node the newest ones.
        measurements_per_node: u32 = 2_000;
    }
    /// Time zone of what does not name one.
    time: Time {
        /// A name such as Asia/Shanghai, or local. Fixed when the cluster is made.
        zone: String = "local".to_owned();
        /// A jump of the clock larger than this is shown as needing attention.
        clock_jump_ms: u64 = 5_000;
        /// Workers whose clock differs more are shown.
        clock_skew_max_ms: u64 = 5_000;
    }
    /// What happens by itself to workflows that wait for others.
    schedule: Schedule {
        /// At the times of this cron expression (in the zone of the cluster) readiness begins anew: prerequisites that
        /// have come about and were not used yet count no more. Empty = never; akkaflow's is "59 23 * * *".
        reset_cron: String = String::new();
    }
    /// akkaflow's behaviour where ours differs; a file can choose for itself with compat="…".
    compat: Compat {
        /// Trim every line of a script.
        script_trim: bool = false;
        /// An undefined parameter: error, or keep (the text stays as it is).
        undefined_param: Undefined = Undefined::Error;
        /// Values from outside go into text as they are.
        splice: bool = false;
        /// ${time.…} counts from the moment of creation instead of the nominal time.
        wall_clock: bool = false;
        /// "week" in a time expression means a day.
        week_is_day: bool = false;
        /// Serve akkaflow's own HTTP routes (/akkaflow/…, which change things by GET too) to programs that send the token.
        akkaflow_http: bool = false;
        /// ... and to programs of this machine without one: every user of this machine can then run anything here.
        akkaflow_http_without_token: bool = false;
    }
    /// What sbin/start-cluster starts on this host beside the masters.
    start: Start {
        workers: Vec<String> = vec!["w1".to_owned()];
        http: Vec<String> = vec!["h1".to_owned()];
        /// How long it waits until everything is ready.
        ready_timeout_ms: u64 = 60_000;
        /// How long stop-cluster waits for a daemon before it kills it.
        stop_timeout_ms: u64 = 20_000;
    }
    /// Restarts of daemons that end.
    supervise: Supervise {
        /// Wait before a restart, at first and at most.
        backoff_min_ms: u64 = 200;
        backoff_max_ms: u64 = 30_000;
        /// A daemon that ran this long starts again with the shortest wait.
        settled_after_ms: u64 = 60_000;
        /// Restarts in a row before it is reported as needing attention.
        attention_after: u32 = 10;
    }
}
