//! Lists of instances, newest first, and single ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::query::InstanceFilter;
use crate::api::{Page, PageRequest};
use crate::engine::event::NodeRef;
use crate::engine::state::{Instance, Node};
use crate::model::id::{Generation, InstanceNumber, NodeIndex, VersionNumber, WorkflowName};
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

pub(super) const BY_NUMBER: &str = "SELECT number, workflow, kind, version FROM instance \
     WHERE number < ?1 AND number >= ?2 ORDER BY number DESC";
pub(super) const BY_WORKFLOW: &str = "SELECT number, workflow, kind, version FROM instance \
     WHERE workflow = ?3 AND number < ?1 AND number >= ?2 ORDER BY number DESC";
pub(super) const BY_STATE: &str = "SELECT number, workflow, kind, version FROM instance \
     WHERE state = ?3 AND number < ?1 AND number >= ?2 ORDER BY number DESC";
pub(super) const BY_WORKFLOW_STATE: &str = "SELECT number, workflow, kind, version FROM instance \
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

/// Parts of indexes that one page walks.
const WALKS_MAX: usize = 60;

/// What words of a search come to, which stand in no column: the workflows that are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Among {
    /// Each with the versions that are meant; `None`: any of them.
    pub workflows: BTreeMap<WorkflowName, Option<BTreeSet<VersionNumber>>>,
    /// And this instance, of whichever workflow it is.
    pub number: Option<InstanceNumber>,
}

impl Among {
    fn has(&self, number: u64, workflow: &str, version: u32) -> bool {
        let versions = self.workflows.get(&WorkflowName::from(workflow));
        let is_meant = versions
            .is_some_and(|known| known.as_ref().is_none_or(|versions| versions.contains(&VersionNumber(version))));
        is_meant || self.number == Some(InstanceNumber(number))
    }
}

/// The part of one index that a list walks.
#[derive(Default)]
struct Found {
    numbers: Vec<u64>,
    /// Where it stopped looking, when that was before the end.
    floor: Option<u64>,
}

impl Queries<'_> {
    /// Without their nodes. `among`: only these, whatever the filter's text and creator say; `None`: its text is part
    /// of the workflow's name, and any creator will do.
    pub fn instances(
        &self,
        filter: &InstanceFilter,
        among: Option<&Among>,
        page: &PageRequest,
    ) -> Result<Page<Instance>, QueryError> {
        let (numbers, next) = self.instance_numbers(filter, among, page)?;
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
        among: Option<&Among>,
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
        let states: Vec<Option<&str>> = match filter.states.is_empty() {
            true => vec![None],
            false => filter.states.iter().map(|state| Some(state.word())).collect(),
        };
        // Few workflows are walked each by its own part of the index, many all at once.
        let few = among
            .filter(|among| filter.workflow.is_none() && among.workflows.len() * states.len() <= WALKS_MAX)
            .map(|among| among.workflows.keys().map(|name| Some(name.as_str())).collect::<Vec<_>>());
        let workflows = few.unwrap_or_else(|| vec![filter.workflow.as_deref()]);
        let mut streams = Vec::new();
        for (workflow, state) in workflows.iter().flat_map(|name| states.iter().map(move |state| (*name, *state))) {
            let walk = Walk { filter, among, workflow, state, below, from };
            streams.push(self.walk(&walk, limit)?);
        }
        let wanted = among.and_then(|among| among.number).filter(|number| (from..below).contains(&number.0));
        if let Some(number) = wanted {
            let walk = Walk { filter, among, workflow: filter.workflow.as_deref(), state: None, below, from };
            let found = self.walk(&Walk { below: number.0 + 1, from: number.0, ..walk }, limit)?;
            let head =
                found.numbers.first().map(|number| self.instance(InstanceNumber(*number))).transpose()?.flatten();
            let is_state = |head: &Instance| filter.states.is_empty() || filter.states.contains(&head.word());
            streams.push(if head.is_some_and(|head| is_state(&head)) { found } else { Found::default() });
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
    fn walk(&self, walk: &Walk, limit: usize) -> Result<Found, QueryError> {
        let wrap = |error| super::StoreError::sqlite(self.file, error);
        let Walk { filter, among, workflow, state, below, from } = *walk;
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
        let mut found = Found::default();
        let mut examined = 0;
        while let Some(row) = rows.next().map_err(wrap)? {
            let number: u64 = row.get(0).map_err(wrap)?;
            examined += 1;
            let is_kind = match &filter.kind {
                Some(kind) => row.get_ref(2).map_err(wrap)?.as_str().is_ok_and(|found| found == kind),
                None => true,
            };
            let name = || row.get::<_, String>(1).map_err(wrap);
            let is_meant = match (among, &text) {
                (Some(among), _) => among.has(number, &name()?, row.get(3).map_err(wrap)?),
                (None, Some(text)) => name()?.to_lowercase().contains(text),
                (None, None) => true,
            };
            if is_kind && is_meant {
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

/// One part of one index, and what is looked for there.
#[derive(Clone, Copy)]
struct Walk<'a> {
    filter: &'a InstanceFilter,
    among: Option<&'a Among>,
    workflow: Option<&'a str>,
    state: Option<&'a str>,
    below: u64,
    from: u64,
}
