//! What monitors measured.

use crate::api::{Page, PageRequest, Time};
use crate::model::id::{AttemptId, NodeName, Seq, WorkflowName};
use crate::model::measurement::Measured;

use super::super::StoreError;
use super::super::state_db::measurement::Body;
use super::{Queries, QueryError, check_limit};

/// A node that has measured something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    pub workflow: WorkflowName,
    pub node: NodeName,
    pub n_measurements: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMeasurement {
    pub seq: Seq,
    pub attempt: AttemptId,
    pub measured: Measured,
    /// Its instance is still there.
    pub is_instance_kept: bool,
}

pub(super) const MONITORS: &str = "SELECT workflow, node, measurements FROM monitor \
     WHERE (workflow, node) > (?1, ?2) ORDER BY workflow, node LIMIT ?3";
pub(super) const MONITORS_OF: &str = "SELECT workflow, node, measurements FROM monitor \
     WHERE workflow = ?1 AND node > ?2 ORDER BY node LIMIT ?3";
pub(super) const MEASUREMENTS: &str = "SELECT seq, body, EXISTS (SELECT 1 FROM instance WHERE number = instance) \
     FROM measurement WHERE workflow = ?1 AND node = ?2 AND seq < ?3 AND at >= ?4 AND at < ?5 \
     ORDER BY seq DESC LIMIT ?6";

impl Queries<'_> {
    /// By workflow and node; `workflow`: of this one alone.
    pub fn monitors(&self, workflow: Option<&WorkflowName>, page: &PageRequest) -> Result<Page<Monitor>, QueryError> {
        let limit = check_limit(page.limit)?;
        let after: (String, String) = match &page.cursor {
            Some(cursor) => serde_json::from_str(cursor).map_err(|_| QueryError::BadCursor)?,
            None => Default::default(),
        };
        let read = |row: &rusqlite::Row| {
            let (workflow, node): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(Monitor { workflow: workflow.into(), node: node.into(), n_measurements: row.get(2)? })
        };
        let n = limit as i64 + 1;
        let mut items = match workflow {
            Some(workflow) => self.rows(MONITORS_OF, (workflow.as_str(), after.1, n), read)?,
            None => self.rows(MONITORS, (after.0, after.1, n), read)?,
        };
        let has_more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| has_more);
        let next = last.map(|last| serde_json::json!([last.workflow.as_str(), last.node.as_str()]).to_string());
        Ok(Page { items, next })
    }

    /// Of one node, newest first.
    pub fn measurements(
        &self,
        workflow: &WorkflowName,
        node: &NodeName,
        since: Option<Time>,
        until: Option<Time>,
        page: &PageRequest,
    ) -> Result<Page<StoredMeasurement>, QueryError> {
        let limit = check_limit(page.limit)?;
        let below: i64 = match &page.cursor {
            Some(cursor) => cursor.parse().map_err(|_| QueryError::BadCursor)?,
            None => i64::MAX,
        };
        let (since, until) = (since.map_or(i64::MIN, |at| at.0.0), until.map_or(i64::MAX, |at| at.0.0));
        let params = (workflow.as_str(), node.as_str(), below, since, until, limit as i64 + 1);
        let read = |row: &rusqlite::Row| Ok((Seq(row.get(0)?), row.get::<_, Vec<u8>>(1)?, row.get::<_, bool>(2)?));
        let found = self.rows(MEASUREMENTS, params, read)?;
        let has_more = found.len() > limit;
        let mut items = Vec::with_capacity(limit);
        for (seq, bytes, is_instance_kept) in found.into_iter().take(limit) {
            let Body { attempt, measured } = rmp_serde::from_slice(&bytes)
                .map_err(|error| StoreError::damaged(self.file, format!("measurement {seq}"), error))?;
            items.push(StoredMeasurement { seq, attempt, measured, is_instance_kept });
        }
        let next = items.last().filter(|_| has_more).map(|last| last.seq.to_string());
        Ok(Page { items, next })
    }
}
