//! What data-monitor nodes measured: the monitors, and the measurements of one.

use crate::api::query::MeasurementFilter;
use crate::api::{ApiError, ErrorCode, MeasurementView, MonitorView, Page, PageRequest, page};
use crate::model::id::{NodeName, WorkflowName};
use crate::say;
use crate::store::{Queries, StoredMeasurement};

use super::{Read, Reader, query_error};

/// Measurements that the list of monitors shows of each.
const RECENT: u32 = 30;
/// Monitors of one page: each is a question of its own.
const MONITORS_MAX: u32 = 100;

impl Reader {
    pub(super) fn monitors(
        &self,
        queries: &Queries,
        workflow: Option<String>,
        page: &PageRequest,
    ) -> Read<Page<MonitorView>> {
        let workflow = workflow.map(WorkflowName::from);
        let page = PageRequest { limit: page.limit.min(MONITORS_MAX), cursor: page.cursor.clone() };
        let found = queries.monitors(workflow.as_ref(), &page).map_err(query_error)?;
        let mut items = Vec::with_capacity(found.items.len());
        for monitor in found.items {
            let newest = PageRequest::first(RECENT);
            let recent = queries.measurements(&monitor.workflow, &monitor.node, None, None, &newest);
            let mut recent: Vec<MeasurementView> = recent.map_err(query_error)?.items.into_iter().map(view).collect();
            recent.iter_mut().skip(1).for_each(|measurement| measurement.message = None);
            items.push(MonitorView {
                workflow: monitor.workflow.to_string(),
                node: monitor.node.to_string(),
                measurements: monitor.n_measurements,
                recent,
            });
        }
        Ok(Page { items, next: found.next })
    }

    /// Newest first. Also of a node or workflow that is no more, as long as something is kept of it.
    pub(super) fn measurements(
        &self,
        queries: &Queries,
        filter: MeasurementFilter,
        page: &PageRequest,
    ) -> Read<Page<MeasurementView>> {
        let (workflow, node) = (WorkflowName::from(filter.workflow), NodeName::from(filter.node));
        let found = queries.measurements(&workflow, &node, filter.since, filter.until, page).map_err(query_error)?;
        if found.items.is_empty() {
            self.has_node(queries, &workflow, &node)?;
        }
        let mut items: Vec<MeasurementView> = found.items.into_iter().map(view).collect();
        let is_cut = page::fit(&mut items, page::PAGE_BYTES_MAX);
        let last = items.last().filter(|_| is_cut).map(|last| last.seq.to_string());
        Ok(Page { items, next: last.or(found.next) })
    }

    /// A name that was mistyped is told from one that has measured nothing.
    fn has_node(&self, queries: &Queries, workflow: &WorkflowName, node: &NodeName) -> Read<()> {
        let newest = PageRequest::first(1);
        let has_any = !queries.measurements(workflow, node, None, None, &newest).map_err(query_error)?.items.is_empty();
        if has_any {
            return Ok(());
        }
        self.known(workflow)?;
        let is_there = self.state(|state| {
            let version = state.current_version(workflow)?;
            version.definition().nodes.iter().find(|known| known.name == *node).map(|_| ())
        });
        is_there
            .ok_or_else(|| ApiError::new(ErrorCode::NodeNotFound, say!("workflow {} has no node {}", workflow, node)))
    }
}

fn view(stored: StoredMeasurement) -> MeasurementView {
    let StoredMeasurement { seq, attempt, measured, is_instance_kept } = stored;
    MeasurementView {
        seq: seq.0,
        at: measured.at.into(),
        value: measured.value.to_string(),
        min: measured.min.as_ref().map(ToString::to_string),
        max: measured.max.as_ref().map(ToString::to_string),
        is_within: measured.is_within(),
        message: measured.message,
        instance: attempt.instance.0,
        generation: attempt.generation.0,
        attempt: attempt.number,
        is_instance_kept,
    }
}
