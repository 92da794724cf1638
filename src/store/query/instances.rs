//! Lists of instances, newest first, and single ones.

use crate::api::query::InstanceFilter;
use crate::api::{Page, PageRequest};
use crate::engine::event::NodeRef;
use crate::engine::state::{Instance, Node};
use crate::model::id::{Generation, InstanceNumber, NodeIndex, WorkflowName};
use crate::model::state::NodeWord;

use super::super::state_db::{load_generation, load_instance, load_node};
use super::{Queries, QueryError, check_limit};

/// What the nodes of one generation add up to, without reading each of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeTally {
    /// Recorded nodes by the word of their state.
    pub counts: Vec<(NodeWord, u32)>,
    /// The first one that failed or timed out.
    pub failed: Option<Node>,
}

/// Rows that one page looks at for filters that no index answers. A page can be short and still have a next one.
const EXAMINED_MAX: usize = 5_000;

pub(super) const BY_NUMBER: &str = "SELECT number, workflow, kind FROM instance \
     WHERE number < ?1 AND number >= ?2 ORDER BY number DESC";
pub(super) const BY_WORKFLOW: &str = "SELECT number, workflow, kind FROM instance \
     WHERE workflow = ?3 AND number < ?1 AND number >= ?2 ORDER BY number DESC";
pub(super) const BY_STATE: &str = "SELECT number, workflow, kind FROM instance \
     WHERE state = ?3 AND number < ?1 AND number >= ?2 ORDER BY number DESC";
pub(super) const BY_WORKFLOW_STATE: &str = "SELECT number, workflow, kind FROM instance \
     WHERE workflow = ?3 AND state = ?4 AND number < ?1 AND number >= ?2 ORDER BY number DESC";
pub(super) const CREATED_FROM: &str =
    "SELECT number FROM instance WHERE created >= ?1 ORDER BY created, number LIMIT 1";
pub(super) const LAST: &str = "SELECT number FROM instance ORDER BY number DESC LIMIT 1";
pub(super) const LAST_OF: &str = "SELECT number FROM instance WHERE workflow = ?1 ORDER BY number DESC LIMIT 1";
pub(super) const PREVIOUS: &str =
    "SELECT number FROM instance WHERE workflow = ?1 AND number < ?2 ORDER BY number DESC LIMIT 1";
pub(super) const TALLY: &str =
    "SELECT state, COUNT(*) FROM node WHERE instance = ?1 AND generation = ?2 GROUP BY state";
pub(super) const FIRST_FAILED: &str = "SELECT node FROM node WHERE instance = ?1 AND generation = ?2 \
     AND state IN ('failed', 'timed_out') ORDER BY node LIMIT 1";
pub(super) const NEXT: &str = "SELECT number FROM instance WHERE workflow = ?1 AND number > ?2 ORDER BY number LIMIT 1";

/// The part of one index that a list walks.
struct Found {
    numbers: Vec<u64>,
    /// Where it stopped looking, when that was before the end.
    floor: Option<u64>,
}

impl Queries<'_> {
    /// Without their nodes.
    pub fn instances(&self, filter: &InstanceFilter, page: &PageRequest) -> Result<Page<Instance>, QueryError> {
        let (numbers, next) = self.instance_numbers(filter, page)?;
        let mut items = Vec::with_capacity(numbers.len());
        for number in numbers {
            // Deleted since its number was read: the list is of one moment after another.
            items.extend(load_instance(self.connection, self.file, number)?);
        }
        Ok(Page { items, next: next.map(|number| number.to_string()) })
    }

    /// Without its nodes.
    pub fn instance(&self, number: InstanceNumber) -> Result<Option<Instance>, QueryError> {
        Ok(load_instance(self.connection, self.file, number)?)
    }

    pub fn tally(&self, number: InstanceNumber, generation: Generation) -> Result<NodeTally, QueryError> {
        let counts = self.rows(TALLY, (number.0, generation.0), |row| {
            let word: String = row.get(0)?;
            Ok((NodeWord::from_word(&word), row.get(1)?))
        })?;
        let failed = self.first(FIRST_FAILED, (number.0, generation.0), |row| row.get(0))?;
        let node = |node| NodeRef { instance: number, generation, node: NodeIndex(node) };
        Ok(NodeTally {
            // A word that this build does not know is one that it cannot show.
            counts: counts.into_iter().filter_map(|(word, count)| Some((word?, count))).collect(),
            failed: failed.map(|at| self.node(node(at))).transpose()?.flatten(),
        })
    }

    /// The nodes of one generation of an instance, in order.
    pub fn generation(&self, number: InstanceNumber, generation: Generation) -> Result<Vec<Node>, QueryError> {
        Ok(load_generation(self.connection, self.file, number, generation)?)
    }

    /// One node of one generation.
    pub fn node(&self, id: NodeRef) -> Result<Option<Node>, QueryError> {
        Ok(load_node(self.connection, self.file, id)?)
    }

    /// The newest instance, of one workflow or of all.
    pub fn last_instance(&self, workflow: Option<&WorkflowName>) -> Result<Option<InstanceNumber>, QueryError> {
        let read = |row: &rusqlite::Row| Ok(InstanceNumber(row.get(0)?));
        match workflow {
            Some(workflow) => self.first(LAST_OF, [workflow.as_str()], read),
            None => self.first(LAST, [], read),
        }
    }

    /// The instances of the same workflow before and after this one.
    pub fn neighbours(
        &self,
        workflow: &WorkflowName,
        number: InstanceNumber,
    ) -> Result<(Option<InstanceNumber>, Option<InstanceNumber>), QueryError> {
        let read = |row: &rusqlite::Row| Ok(InstanceNumber(row.get(0)?));
        let params = (workflow.as_str(), number.0);
        Ok((self.first(PREVIOUS, params, read)?, self.first(NEXT, params, read)?))
    }

    /// The numbers of one page, newest first, and where the next page begins.
    fn instance_numbers(
        &self,
        filter: &InstanceFilter,
        page: &PageRequest,
    ) -> Result<(Vec<InstanceNumber>, Option<u64>), QueryError> {
        let limit = check_limit(page.limit)?;
        let mut below = i64::MAX as u64;
        if let Some(cursor) = &page.cursor {
            below = cursor.parse().ok().filter(|below| *below <= i64::MAX as u64).ok_or(QueryError::BadCursor)?;
        }
        // Numbers and creation times rise together, so a span of time is a span of numbers.
        let created_from = |at: i64| self.first(CREATED_FROM, [at], |row| row.get::<_, u64>(0));
        if let Some(until) = filter.until
            && let Some(first) = created_from(until.0.0)?
        {
            below = below.min(first);
        }
        let from = match filter.since {
            Some(since) => created_from(since.0.0)?.unwrap_or(i64::MAX as u64),
            None => 0,
        };
        let mut streams = Vec::new();
        if filter.states.is_empty() {
            streams.push(self.walk(filter, None, below, from, limit)?);
        }
        for state in &filter.states {
            streams.push(self.walk(filter, Some(state.word()), below, from, limit)?);
        }
        // Below the highest floor some stream has not looked: what another one found there waits for the next page.
        let floor = streams.iter().filter_map(|found| found.floor).max();
        let mut numbers: Vec<u64> = streams.into_iter().flat_map(|found| found.numbers).collect();
        numbers.retain(|number| floor.is_none_or(|floor| *number >= floor));
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.dedup();
        let next = if numbers.len() > limit { numbers.get(limit - 1).copied() } else { floor };
        numbers.truncate(limit);
        Ok((numbers.into_iter().map(InstanceNumber).collect(), next))
    }

    /// Walks one index downwards until one more than a page is found, or enough has been looked at.
    fn walk(
        &self,
        filter: &InstanceFilter,
        state: Option<&str>,
        below: u64,
        from: u64,
        limit: usize,
    ) -> Result<Found, QueryError> {
        let wrap = |error| super::StoreError::sqlite(self.file, error);
        let workflow = filter.workflow.as_deref();
        let statement = match (workflow, state) {
            (None, None) => BY_NUMBER,
            (Some(_), None) => BY_WORKFLOW,
            (None, Some(_)) => BY_STATE,
            (Some(_), Some(_)) => BY_WORKFLOW_STATE,
        };
        let mut statement = self.connection.prepare_cached(statement).map_err(wrap)?;
        let rows = match (workflow, state) {
            (None, None) => statement.query((below, from)),
            (Some(word), None) | (None, Some(word)) => statement.query((below, from, word)),
            (Some(workflow), Some(state)) => statement.query((below, from, workflow, state)),
        };
        let mut rows = rows.map_err(wrap)?;
        let text = filter.text.as_deref().map(str::to_lowercase);
        let mut found = Found { numbers: Vec::new(), floor: None };
        let mut examined = 0;
        while let Some(row) = rows.next().map_err(wrap)? {
            let number: u64 = row.get(0).map_err(wrap)?;
            examined += 1;
            let is_kind = match &filter.kind {
                Some(kind) => row.get_ref(2).map_err(wrap)?.as_str().is_ok_and(|found| found == kind),
                None => true,
            };
            let has_text = match &text {
                Some(text) => row.get::<_, String>(1).map_err(wrap)?.to_lowercase().contains(text),
                None => true,
            };
            if is_kind && has_text {
                found.numbers.push(number);
            }
            if found.numbers.len() > limit {
                break;
            }
            if examined == EXAMINED_MAX {
                found.floor = Some(number);
                break;
            }
        }
        Ok(found)
    }
}
