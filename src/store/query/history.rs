//! What was: runs of a workflow, counts by the hour, events of an instance, fires.

use crate::api::{Page, PageRequest};
use crate::engine::event::Event;
use crate::engine::state::{AggregateKey, Fire};
use crate::model::id::{InstanceNumber, Seq, VersionNumber, WorkflowName};
use crate::model::state::InstanceWord;
use crate::model::time::Timestamp;
use crate::model::trigger::FireKey;

use super::super::StoreError;
use super::super::state_db::body;
use super::super::types::Happening;
use super::{Queries, QueryError, check_limit};

/// A bar of a sparkline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentRun {
    pub number: InstanceNumber,
    pub state: InstanceWord,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
}

/// Instances that ended in one hour in one state. Hours make days in any zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedCount {
    pub hour: Timestamp,
    pub state: InstanceWord,
    pub instances: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub seq: Seq,
    pub event: Event,
}

const HOUR_MS: i64 = 3_600_000;
/// Successes whose median is the usual duration.
const USUAL_OF: usize = 11;

pub(super) const RECENT: &str = "SELECT number, state, created, started, finished FROM instance \
     WHERE workflow = ?1 ORDER BY number DESC LIMIT ?2";
pub(super) const LAST_STATE: &str = "SELECT state FROM instance WHERE workflow = ?1 ORDER BY number DESC LIMIT 1";
pub(super) const SUCCESSES: &str = "SELECT started, finished FROM instance \
     WHERE workflow = ?1 AND state = 'succeeded' ORDER BY number DESC LIMIT ?2";
pub(super) const NEWEST_FINISHED: &str =
    "SELECT number FROM instance WHERE finished IS NOT NULL ORDER BY finished DESC, number DESC LIMIT ?1";
pub(super) const FINISHED_BEFORE: &str =
    "SELECT number FROM instance WHERE finished IS NOT NULL AND finished < ?1 ORDER BY finished, number LIMIT ?2";
pub(super) const FINISHED_BEYOND: &str = "SELECT number FROM instance \
     WHERE workflow = ?1 AND finished IS NOT NULL ORDER BY number DESC LIMIT ?2 OFFSET ?3";
pub(super) const FIRES_BEFORE: &str =
    "SELECT key FROM fire WHERE is_resting = 1 AND nominal < ?1 ORDER BY nominal LIMIT ?2";
pub(super) const RUNS_VERSION: &str = "SELECT number FROM instance WHERE workflow = ?1 AND version = ?2 LIMIT 1";
pub(super) const HOURS: &str =
    "SELECT hour, state, instances FROM hour_count WHERE hour >= ?1 AND instances > 0 ORDER BY hour, state";
pub(super) const EVENTS: &str = "SELECT seq, body FROM event WHERE instance = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
pub(super) const HAPPENED: &str = "SELECT n, body FROM cluster_event WHERE n < ?1 ORDER BY n DESC LIMIT ?2";
pub(super) const FIRES: &str = "SELECT key, crc, body, nominal FROM fire \
     WHERE workflow = ?1 AND (nominal, key) < (?2, ?3) ORDER BY nominal DESC, key DESC LIMIT ?4";

impl Queries<'_> {
    /// The newest instances of a workflow, newest first.
    pub fn recent_runs(&self, workflow: &WorkflowName, limit: u32) -> Result<Vec<RecentRun>, QueryError> {
        let limit = check_limit(limit)?;
        self.rows(RECENT, (workflow.as_str(), limit as i64), |row| {
            Ok(RecentRun {
                number: InstanceNumber(row.get(0)?),
                state: state_word(row, 1)?,
                created: Timestamp(row.get(2)?),
                started: row.get::<_, Option<i64>>(3)?.map(Timestamp),
                finished: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            })
        })
    }

    /// State of the newest instance of a workflow.
    pub fn last_state(&self, workflow: &WorkflowName) -> Result<Option<InstanceWord>, QueryError> {
        self.first(LAST_STATE, [workflow.as_str()], |row| state_word(row, 0))
    }

    /// Median duration of the newest successes.
    pub fn usual_ms(&self, workflow: &WorkflowName) -> Result<Option<i64>, QueryError> {
        let mut took: Vec<i64> = self
            .rows(SUCCESSES, (workflow.as_str(), USUAL_OF as i64), |row| {
                let (started, finished): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
                Ok(finished.zip(started).map(|(finished, started)| finished - started))
            })?
            .into_iter()
            .flatten()
            .collect();
        took.sort_unstable();
        Ok(took.get(took.len() / 2).copied())
    }

    /// The instances that ended last, newest end first.
    pub fn newest_finished(&self, limit: u32) -> Result<Vec<InstanceNumber>, QueryError> {
        let limit = check_limit(limit)?;
        self.rows(NEWEST_FINISHED, [limit as i64], |row| Ok(InstanceNumber(row.get(0)?)))
    }

    /// The oldest ends before `at`: candidates of retention.
    pub fn finished_before(&self, at: Timestamp, limit: u32) -> Result<Vec<InstanceNumber>, QueryError> {
        let limit = check_limit(limit)?;
        self.rows(FINISHED_BEFORE, (at.0, limit as i64), |row| Ok(InstanceNumber(row.get(0)?)))
    }

    /// The finished instances of a workflow beside the newest `keep`, newest first: candidates of retention.
    pub fn finished_beyond(
        &self,
        workflow: &WorkflowName,
        keep: u32,
        limit: u32,
    ) -> Result<Vec<InstanceNumber>, QueryError> {
        let params = (workflow.as_str(), check_limit(limit)? as i64, keep);
        self.rows(FINISHED_BEYOND, params, |row| Ok(InstanceNumber(row.get(0)?)))
    }

    /// The oldest fires at rest with a nominal time before `at`: candidates of retention.
    pub fn fires_before(&self, at: Timestamp, limit: u32) -> Result<Vec<FireKey>, QueryError> {
        let limit = check_limit(limit)?;
        let keys = self.rows(FIRES_BEFORE, (at.0, limit as i64), |row| row.get::<_, String>(0))?;
        let read = |key: String| match serde_json::from_str(&key) {
            Ok(AggregateKey::Fire(key)) => Ok(key),
            Ok(_) => Err(StoreError::damaged(self.file, format!("key {key}"), "it is of no fire").into()),
            Err(error) => Err(StoreError::damaged(self.file, format!("key {key}"), error).into()),
        };
        keys.into_iter().map(read).collect()
    }

    /// Is a kept instance of this version, in its last generation?
    pub fn is_version_run(&self, workflow: &WorkflowName, version: VersionNumber) -> Result<bool, QueryError> {
        Ok(self.first(RUNS_VERSION, (workflow.as_str(), version.0), |row| row.get::<_, u64>(0))?.is_some())
    }

    /// Ends from the hour of `since` on, by hour and state.
    pub fn finished_counts(&self, since: Timestamp) -> Result<Vec<FinishedCount>, QueryError> {
        self.rows(HOURS, [since.0.div_euclid(HOUR_MS)], |row| {
            let hour = Timestamp(row.get::<_, i64>(0)? * HOUR_MS);
            Ok(FinishedCount { hour, state: state_word(row, 1)?, instances: row.get(2)? })
        })
    }

    /// What happened to an instance, oldest first. Kept for the newest 20,000 instances.
    pub fn events(&self, instance: InstanceNumber, page: &PageRequest) -> Result<Page<StoredEvent>, QueryError> {
        let limit = check_limit(page.limit)?;
        let after: u64 = match &page.cursor {
            Some(cursor) => cursor.parse().map_err(|_| QueryError::BadCursor)?,
            None => 0,
        };
        let params = (instance.0, after.min(i64::MAX as u64), limit as i64 + 1);
        let found = self.rows(EVENTS, params, |row| Ok((Seq(row.get(0)?), row.get::<_, Vec<u8>>(1)?)))?;
        let has_more = found.len() > limit;
        let mut items = Vec::with_capacity(limit);
        for (seq, bytes) in found.into_iter().take(limit) {
            let event = rmp_serde::from_slice(&bytes)
                .map_err(|error| StoreError::damaged(self.file, format!("event {seq}"), error))?;
            items.push(StoredEvent { seq, event });
        }
        let next = items.last().filter(|_| has_more).map(|last| last.seq.to_string());
        Ok(Page { items, next })
    }

    /// What happened to the cluster as a whole, newest first. The newest 20,000 are kept.
    pub fn happened(&self, page: &PageRequest) -> Result<Page<Happening>, QueryError> {
        let limit = check_limit(page.limit)?;
        let before: u64 = match &page.cursor {
            Some(cursor) => cursor.parse().map_err(|_| QueryError::BadCursor)?,
            None => i64::MAX as u64,
        };
        let params = (before.min(i64::MAX as u64), limit as i64 + 1);
        let found = self.rows(HAPPENED, params, |row| Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let next = (found.len() > limit).then(|| found[limit - 1].0.to_string());
        let read = |(n, bytes): (u64, Vec<u8>)| {
            let damaged = |error| StoreError::damaged(self.file, format!("cluster event {n}"), error);
            Ok(rmp_serde::from_slice(&bytes).map_err(damaged)?)
        };
        let items: Result<Vec<Happening>, QueryError> = found.into_iter().take(limit).map(read).collect();
        Ok(Page { items: items?, next })
    }

    /// The fires of a workflow, newest nominal time first.
    pub fn fires(&self, workflow: &WorkflowName, page: &PageRequest) -> Result<Page<Fire>, QueryError> {
        let limit = check_limit(page.limit)?;
        let (nominal, key) = match &page.cursor {
            Some(cursor) => {
                let (nominal, key) = cursor.split_once(' ').ok_or(QueryError::BadCursor)?;
                (nominal.parse().map_err(|_| QueryError::BadCursor)?, key.to_owned())
            }
            None => (i64::MAX, String::new()),
        };
        let params = (workflow.as_str(), nominal, key, limit as i64 + 1);
        let found =
            self.rows(FIRES, params, |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)))?;
        let has_more = found.len() > limit;
        let mut items: Vec<Fire> = Vec::with_capacity(limit);
        let mut next = None;
        for (key, crc, bytes) in found.into_iter().take(limit) {
            let fire: Fire = body::decode(self.file, &key, crc, &bytes)?;
            next = has_more.then(|| format!("{} {key}", fire.nominal.0));
            items.push(fire);
        }
        Ok(Page { items, next })
    }

    /// One fire, also long after it was settled.
    pub fn fire(&self, key: &crate::model::trigger::FireKey) -> Result<Option<Fire>, QueryError> {
        let key = AggregateKey::Fire(key.clone());
        Ok(super::super::state_db::load_fire(self.connection, self.file, &key)?)
    }
}

fn state_word(row: &rusqlite::Row, column: usize) -> rusqlite::Result<InstanceWord> {
    let word: String = row.get(column)?;
    InstanceWord::from_word(&word).ok_or_else(|| {
        let reason = format!("unknown state {word}");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason.into())
    })
}
