//! Reads: what lives now from the replica's state, what may be long ago from the database, as the API's views.
//!
//! Runs on a thread that may wait for the disk; the state's lock is held only while a view is put together.
//! Start reading at `answer`.

mod instances;
mod monitors;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::actor::clock;
use crate::actor::view::doubt::{self, Doubt};
use crate::actor::view::folder::{self, Leaf};
use crate::actor::view::{event, foresight, status, workflow};
use crate::api::query::{TextPart, WhySubject, WorkflowFilter};
use crate::api::{
    Answer, ApiError, CheckView, ClusterEventView, ClusterNodeView, ClusterView, DayView, DefinitionView,
    DiagnosticView, ErrorCode, EventView, FoldersView, InstanceCounts, InstanceRef, InstanceSummary, InstanceView,
    LoadErrorView, MetricView, NextFireView, NodeWindow, Page, PageRequest, Query, QueryEnvelope, Reply, StatusView,
    TodayView, WorkflowSummary, WorkflowView, page,
};
use crate::cluster::raft::HostMetrics;
use crate::engine::state::{Instance, State, Version};
use crate::engine::upcoming;
use crate::model::id::{Generation, InstanceNumber, VersionNumber, WorkflowName};
use crate::model::state::InstanceWord;
use crate::model::time::Timestamp;
use crate::say;
use crate::store::types::Happening;
use crate::store::{Queries, QueryError};
use crate::xml::Purpose;

use super::definitions::Definitions;
use super::links;
use super::shared::Shared;
use super::voters::{name_of, voter_of};

/// Bars of a workflow's sparkline.
const RUNS: u32 = 14;
/// Days on the status page.
const DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;
/// Folders of one answer.
const FOLDERS_MAX: usize = 5_000;
/// Versions on the page of a workflow.
const VERSIONS_MAX: usize = 10;
/// Rows of the status page.
const RUNNING_MAX: usize = 50;
const UPCOMING_MAX: usize = 20;
/// Fires of a day are counted up to this.
const DUE_MAX: usize = crate::api::DUE_TODAY_MAX as usize;
/// Events on the page of the cluster.
const EVENTS_SHOWN: u32 = 50;
/// Failed instances looked at for the attention list.
const FAILED_MAX: u32 = 50;

pub async fn answer(
    shared: &Arc<Shared>,
    definitions: &Definitions,
    envelope: QueryEnvelope,
) -> Result<Answer, ApiError> {
    if let Query::Check { path, text } = envelope.query {
        return check(shared, definitions, path, text).await;
    }
    if let Some(reply) = links::answer(shared, &envelope.query).await {
        return Ok(stamped(shared, reply?));
    }
    let reader = Reader { shared: shared.clone(), now: clock::wall() };
    let replica = shared.raft.replica();
    let asked = replica.query(move |queries| Ok(reader.read(queries, envelope.query))).await;
    asked.map_err(query_error)?
}

/// One generation of an instance, for what the master itself tells of it.
pub async fn instance(
    shared: &Arc<Shared>,
    number: InstanceNumber,
    generation: Generation,
    window: NodeWindow,
) -> Result<InstanceView, ApiError> {
    let reader = Reader { shared: shared.clone(), now: clock::wall() };
    let instance = InstanceRef::Number(number.0);
    let replica = shared.raft.replica();
    let asked =
        replica.query(move |queries| Ok(reader.instance(queries, &instance, Some(generation.0), &window))).await;
    asked.map_err(query_error)?
}

/// Whether memory has all that is asked about. What is forgotten after this was written to the database before.
pub fn is_in_memory(shared: &Shared, query: &Query) -> bool {
    let instance = match query {
        Query::Instance { instance, .. }
        | Query::Why { subject: WhySubject::Instance(instance) | WhySubject::Node { instance, .. } } => instance,
        Query::Workers
        | Query::Links
        | Query::Link { .. }
        | Query::TestLink { .. }
        | Query::Why { subject: WhySubject::Workflow(_) } => return true,
        _ => return false,
    };
    let InstanceRef::Number(number) = instance else { return false };
    shared.raft.replica().with_state(|state| state.instances.contains_key(&InstanceNumber(*number)))
}

pub fn query_error(error: QueryError) -> ApiError {
    match error {
        QueryError::BadCursor => {
            ApiError::new(ErrorCode::BadRequest, say!("the cursor is not one that this list gave"))
        }
        QueryError::BadLimit(limit) => ApiError::new(
            ErrorCode::BadRequest,
            say!("{} rows are not between 1 and {}", limit, crate::api::page::LIMIT_MAX),
        ),
        QueryError::Stopping => ApiError::new(ErrorCode::NotRunning, say!("the process is stopping")),
        QueryError::Store(error) => ApiError::internal(error),
    }
}

fn stamped(shared: &Shared, reply: Reply) -> Answer {
    let (seq, epoch) = shared.raft.replica().with_state(|state| (state.cluster.seq, state.cluster.epoch));
    Answer { seq: seq.0, epoch: epoch.0, as_of: clock::wall().into(), age_ms: 0, by: shared.name.clone(), reply }
}

async fn check(shared: &Shared, definitions: &Definitions, path: String, text: String) -> Result<Answer, ApiError> {
    let compiled = definitions.compile(path.clone(), text.into_bytes(), Purpose::Check, None).await?;
    let name = compiled.bundle.as_ref().map(|bundle| bundle.definition.name.clone());
    let running = name
        .as_ref()
        .and_then(|name| shared.raft.replica().with_state(|state| Some(state.current_version(name)?.number.0)));
    let errors = crate::model::diagnostic::n_errors(&compiled.diagnostics) as u32;
    let view = CheckView {
        is_valid: compiled.bundle.is_some(),
        workflow: name.map(|name| name.to_string()),
        path,
        errors,
        warnings: compiled.diagnostics.len() as u32 - errors,
        diagnostics: compiled.diagnostics.iter().map(workflow::diagnostic_view).collect(),
        running_version: running,
    };
    Ok(stamped(shared, Reply::Check(Box::new(view))))
}

/// For answers to changes, where the database has nothing new to say yet.
pub fn workflow_summary(shared: &Shared, name: &WorkflowName) -> Option<WorkflowSummary> {
    shared.raft.replica().with_state(|state| workflow::summary(state, state.workflows.get(name)?, &[], None))
}

fn prerequisite_warnings(doubt: Option<Doubt>) -> Vec<DiagnosticView> {
    doubt.map(|doubt| doubt.warnings().iter().map(workflow::diagnostic_view).collect()).unwrap_or_default()
}

struct Reader {
    shared: Arc<Shared>,
    now: Timestamp,
}

type Read<T> = Result<T, ApiError>;

impl Reader {
    fn read(&self, queries: &Queries, query: Query) -> Read<Answer> {
        // The number is taken first: the view may hold more than it says, never less.
        let answer = stamped(&self.shared, Reply::Workers(Vec::new()));
        let reply = match query {
            Query::Status => Reply::Status(Box::new(self.status(queries)?)),
            Query::Workflows { filter, page } => Reply::Workflows(self.workflows(queries, &filter, &page)?),
            Query::Folders => Reply::Folders(Box::new(self.folders(queries)?)),
            Query::Workflow { name, nodes } => Reply::Workflow(Box::new(self.workflow(queries, name, &nodes)?)),
            Query::Versions { name, page } => Reply::Versions(self.versions(&name.into(), &page)?),
            Query::Version { name, version, text, nodes } => {
                Reply::Version(Box::new(self.version(&name.into(), version, text, &nodes)?))
            }
            Query::NextFires { name, limit } => Reply::NextFires(self.next_fires(name, limit)?),
            Query::Today => Reply::Today(Box::new(self.today())),
            Query::LoadErrors { page, warnings } => Reply::LoadErrors(self.load_errors(&page, warnings)?),
            Query::LoadError { id } => Reply::LoadError(Box::new(self.load_error(&id)?)),
            // Answered before: they ask more than the state.
            Query::Check { .. } | Query::Links | Query::Link { .. } | Query::TestLink { .. } => {
                return Err(ApiError::new(ErrorCode::Internal, say!("a check is answered elsewhere")));
            }
            Query::Instances { filter, page } => Reply::Instances(self.instances(queries, &filter, &page)?),
            Query::Instance { instance, generation, nodes, end_within_ms: _ } => {
                Reply::Instance(Box::new(self.instance(queries, &instance, generation, &nodes)?))
            }
            Query::InstanceEvents { instance, page } => Reply::Events(self.events(queries, &instance, &page)?),
            Query::Monitors { workflow, page } => Reply::Monitors(self.monitors(queries, workflow, &page)?),
            Query::Measurements { filter, page } => Reply::Measurements(self.measurements(queries, filter, &page)?),
            Query::Why { subject } => Reply::Why(Box::new(self.why(queries, subject)?)),
            Query::Workers => Reply::Workers(self.state(|state| status::workers(state))),
            Query::Cluster => Reply::Cluster(Box::new(self.cluster(queries)?)),
            Query::ClusterEvents { page } => Reply::Events(self.happened(queries, &page)?),
            Query::Metrics => Reply::Metrics(self.metrics()),
        };
        Ok(Answer { reply, ..answer })
    }

    fn state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        self.shared.raft.replica().with_state(read)
    }

    // ---- workflows

    fn known(&self, name: &WorkflowName) -> Read<()> {
        let is_known = self.state(|state| state.workflows.get(name).is_some_and(|known| known.removed.is_none()));
        if is_known { Ok(()) } else { Err(no_workflow(name)) }
    }

    fn runs(&self, queries: &Queries, name: &WorkflowName, limit: u32) -> Read<Vec<workflow::Run>> {
        let runs = queries.recent_runs(name, limit).map_err(query_error)?;
        Ok(runs
            .into_iter()
            .map(|run| workflow::Run {
                number: run.number.0,
                state: run.state,
                created: run.created,
                started: run.started,
                finished: run.finished,
            })
            .collect())
    }

    /// By name. The cursor is the last name of the page before.
    fn workflows(&self, queries: &Queries, filter: &WorkflowFilter, page: &PageRequest) -> Read<Page<WorkflowSummary>> {
        let limit = limit(page)?;
        let after = page.cursor.clone().unwrap_or_default();
        let mut rows: Vec<WorkflowSummary> = Vec::new();
        let names: Vec<WorkflowName> = self.state(|state| {
            let live = state.workflows.values().filter(|known| known.removed.is_none());
            live.map(|known| known.name.clone()).filter(|name| name.as_str() > after.as_str()).collect()
        });
        // What costs no question to the database is looked at first.
        let cheap = WorkflowFilter { last_state: None, ..filter.clone() };
        for name in names {
            if rows.len() > limit {
                break;
            }
            let bare = self.state(|state| workflow::summary(state, state.workflows.get(&name)?, &[], None));
            if !bare.is_some_and(|row| is_wanted(&row, &cheap)) {
                continue;
            }
            let runs = self.runs(queries, &name, RUNS)?;
            let summary = self.state(|state| {
                let next = foresight::next_fires(state, &self.shared.settings, &name, 1, self.now);
                workflow::summary(state, state.workflows.get(&name)?, &runs, next.first())
            });
            rows.extend(summary.filter(|row| is_wanted(row, filter)));
        }
        let mut orphans: Vec<WorkflowSummary> = self.state(|state| {
            let failed = workflow::orphan_errors(state).map(workflow::summary_of_failed);
            failed.filter(|row| row.name > after && is_wanted(row, filter)).collect()
        });
        rows.append(&mut orphans);
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(paged(rows, limit, |row| row.name.clone()))
    }

    fn folders(&self, queries: &Queries) -> Read<FoldersView> {
        let mut leaves: Vec<(Option<WorkflowName>, Leaf)> = self.state(|state| {
            let known = state.workflows.values().filter(|known| known.removed.is_none());
            let known = known.filter_map(|known| {
                let definition = state.current_version(&known.name)?.definition();
                let leaf = Leaf {
                    dir: definition.dir.clone(),
                    enabled: workflow::is_enabled(known, definition),
                    running: state.n_live(&known.name).0 as u32,
                    last: None,
                    has_error: workflow::has_load_error(state, known),
                };
                Some((Some(known.name.clone()), leaf))
            });
            let orphans = workflow::orphan_errors(state).map(workflow::summary_of_failed);
            let orphans = orphans.map(|row| {
                let leaf = Leaf { dir: row.dir, enabled: true, running: 0, last: None, has_error: true };
                (None, leaf)
            });
            known.chain(orphans).collect()
        });
        for (name, leaf) in &mut leaves {
            if let Some(name) = name {
                leaf.last = queries.last_state(name).map_err(query_error)?;
            }
        }
        let leaves: Vec<Leaf> = leaves.into_iter().map(|(_, leaf)| leaf).collect();
        let mut folders = folder::folders(&leaves);
        let is_cut = folders.len() > FOLDERS_MAX;
        folders.truncate(FOLDERS_MAX);
        Ok(FoldersView { folders, is_cut })
    }

    fn workflow(&self, queries: &Queries, name: String, nodes: &NodeWindow) -> Read<WorkflowView> {
        let name = WorkflowName::from(name);
        self.known(&name)?;
        let runs = self.runs(queries, &name, RUNS)?;
        let filter = crate::api::query::InstanceFilter { workflow: Some(name.to_string()), ..Default::default() };
        let found = queries.instances(&filter, None, &PageRequest::first(20)).map_err(query_error)?;
        let instances = self.summaries(queries, &found.items)?;
        let (known, current) = self.state(|state| {
            let known: Vec<Arc<Version>> = workflow::versions(state, &name).take(VERSIONS_MAX + 1).cloned().collect();
            (known, state.workflows.get(&name).map(|workflow| workflow.current))
        });
        let current = current.ok_or_else(|| no_workflow(&name))?;
        let versions = workflow::version_views(&known, current, VERSIONS_MAX);
        let view = self.state(|state| {
            let extras = workflow::Extras {
                runs,
                instances,
                versions,
                next_fires: foresight::next_fires(state, &self.shared.settings, &name, 10, self.now),
                why: foresight::workflow(state, &self.shared.settings.limits, &name),
                left_today: {
                    let until = foresight::day_start(&state.cluster.zone, self.now, -1);
                    foresight::left_of(state, &name, self.now, until)
                },
                is_mail_on: self.shared.settings.mail.is_on,
            };
            let known = state.workflows.get(&name)?;
            Some((workflow::view(state, known, extras, nodes)?, doubt::doubt(state, known)))
        });
        let (view, doubt) = view.ok_or_else(|| no_workflow(&name))?;
        let mut view = view?;
        view.warnings.extend(prerequisite_warnings(doubt));
        Ok(view)
    }

    /// Newest first. The cursor is the last number of the page before.
    fn versions(&self, name: &WorkflowName, page: &PageRequest) -> Read<Page<crate::api::VersionView>> {
        self.known(name)?;
        let limit = limit(page)?;
        let below = cursor_number(page)?.unwrap_or(u64::from(u32::MAX));
        // What differs is worked out beside the state's lock: definitions can be long.
        let known: Vec<Arc<Version>> = self.state(|state| {
            let older = workflow::versions(state, name).filter(|version| u64::from(version.number.0) < below);
            older.take(limit + 2).cloned().collect()
        });
        let current = self.state(|state| state.workflows.get(name).map(|workflow| workflow.current));
        let current = current.ok_or_else(|| no_workflow(name))?;
        let items = workflow::version_views(&known, current, limit + 1);
        Ok(paged(items, limit, |version| version.version.to_string()))
    }

    fn version(
        &self,
        name: &WorkflowName,
        number: Option<u32>,
        text: TextPart,
        nodes: &NodeWindow,
    ) -> Read<DefinitionView> {
        self.known(name)?;
        let found = self.state(|state| {
            let current = state.workflows.get(name)?.current;
            let number = number.map_or(current, VersionNumber);
            Some((state.version(name, number)?.clone(), number == current))
        });
        let (version, is_current) = found.ok_or_else(|| {
            ApiError::new(ErrorCode::VersionNotFound, say!("{} has no version {}", name, number.unwrap_or_default()))
        })?;
        workflow::definition_view(&version, is_current, text, nodes)
    }

    fn next_fires(&self, name: Option<String>, limit: u32) -> Read<Vec<NextFireView>> {
        let limit = (limit as usize).clamp(1, 500);
        match name {
            Some(name) => {
                let name = WorkflowName::from(name);
                self.known(&name)?;
                let settings = &self.shared.settings;
                let fires = self.state(|state| foresight::next_fires(state, settings, &name, limit, self.now));
                Ok(foresight::bounded(fires))
            }
            None => Ok(self.upcoming(self.state(|state| foresight::share(state, limit, self.now)))),
        }
    }

    fn today(&self) -> TodayView {
        let until = self.state(|state| foresight::day_start(&state.cluster.zone, self.now, -1));
        let names = self.state(foresight::enabled);
        // One workflow at a time: applying goes on between them.
        let own = |name: WorkflowName| {
            let own = self.state(|state| foresight::own_of(state, &name, self.now, until))?;
            Some((name, own))
        };
        let own = names.into_iter().filter_map(own).collect();
        self.state(|state| foresight::today(state, &own, self.now, until))
    }

    /// So many of the next fires of each of these workflows, the soonest first.
    fn upcoming(&self, share: BTreeMap<WorkflowName, usize>) -> Vec<NextFireView> {
        let settings = &self.shared.settings;
        let mut fires: Vec<NextFireView> = Vec::new();
        for (name, count) in share {
            // One workflow at a time: applying goes on between them.
            fires.extend(self.state(|state| foresight::next_fires(state, settings, &name, count, self.now)));
        }
        fires.sort_by_key(|fire| fire.due);
        foresight::bounded(fires)
    }

    fn load_errors(&self, page: &PageRequest, warnings: bool) -> Read<Page<LoadErrorView>> {
        let limit = limit(page)?;
        let after = page.cursor.clone().unwrap_or_default();
        let mut items: Vec<(LoadErrorView, Option<Doubt>)> = self.state(|state| {
            let failed = workflow::failed_files(state).map(|file| (workflow::load_error(state, file), None));
            let doubtful = warnings.then(|| workflow::doubtful(state)).into_iter().flatten();
            failed.chain(doubtful).filter(|(view, _)| view.path > after).collect()
        });
        items.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        let read = |(mut view, doubt): (LoadErrorView, Option<Doubt>)| {
            view.diagnostics.extend(prerequisite_warnings(doubt));
            view
        };
        Ok(paged(items.into_iter().map(read), limit, |error| error.path.clone()))
    }

    fn load_error(&self, id: &str) -> Read<LoadErrorView> {
        let found = self.state(|state| {
            let file = workflow::failed_files(state).find(|file| workflow::load_error_id(file) == id)?;
            Some(workflow::load_error(state, file))
        });
        found.ok_or_else(|| {
            ApiError::new(ErrorCode::LoadErrorNotFound, say!("there is no such definition error (it may be mended)"))
        })
    }

    // ---- cluster

    fn status(&self, queries: &Queries) -> Read<StatusView> {
        let zone = self.shared.zone();
        let today = foresight::day_start(&zone, self.now, 0);
        let first = foresight::day_start(&zone, self.now, DAYS - 1);
        let ended = queries.finished_counts(first).map_err(query_error)?;
        let mut counts = InstanceCounts::default();
        let mut days: Vec<DayView> = (0..DAYS)
            .rev()
            .map(|back| DayView {
                date: foresight::date_of(&zone, foresight::day_start(&zone, self.now, back)),
                succeeded: 0,
                failed: 0,
                killed: 0,
                running: 0,
            })
            .collect();
        for count in ended {
            let date = foresight::date_of(&zone, count.hour);
            let Some(day) = days.iter_mut().find(|day| day.date == date) else { continue };
            let (of_day, of_all) = match count.state {
                InstanceWord::Succeeded => (&mut day.succeeded, &mut counts.succeeded),
                InstanceWord::Failed => (&mut day.failed, &mut counts.failed),
                InstanceWord::Killed => (&mut day.killed, &mut counts.killed),
                InstanceWord::Queued | InstanceWord::Running | InstanceWord::Paused => continue,
            };
            *of_day += count.instances;
            *of_all += count.instances;
        }
        self.state(|state| {
            for head in state.instances.values() {
                match head.word() {
                    InstanceWord::Queued => counts.queued += 1,
                    InstanceWord::Running => counts.running += 1,
                    InstanceWord::Paused => counts.paused += 1,
                    InstanceWord::Succeeded | InstanceWord::Failed | InstanceWord::Killed => {}
                }
            }
        });
        if let Some(day) = days.last_mut() {
            day.running = counts.running;
        }
        let failed = self.unresolved(queries, first)?;
        counts.unresolved = failed.len() as u64;
        let finished = queries.newest_finished(20).map_err(query_error)?;
        let mut heads = Vec::new();
        for number in finished {
            heads.extend(queries.instance(number).map_err(query_error)?);
        }
        let finished = self.summaries(queries, &heads)?;
        let mut running = self.running(queries)?;
        let mut upcoming = self.upcoming(self.state(|state| foresight::one_each(state, UPCOMING_MAX, self.now)));
        let shown = running.iter().map(|row| &row.workflow).chain(upcoming.iter().map(|fire| &fire.workflow));
        let usual = self.usual(queries, shown)?;
        running.iter_mut().for_each(|row| row.usual_ms = usual.get(&row.workflow).copied());
        upcoming.iter_mut().for_each(|fire| fire.usual_ms = usual.get(&fire.workflow).copied());
        let due_today = self.due_before(Timestamp(today.0 + DAY_MS));
        Ok(self.state(|state| {
            let live = state.workflows.values().filter(|known| known.removed.is_none());
            let (workflows, enabled) =
                live.fold((0, 0), |(n, on), known| (n + 1, on + u32::from(state.is_enabled(&known.name))));
            StatusView {
                counts,
                workflows,
                workflows_enabled: enabled,
                load_errors: workflow::failed_files(state).count() as u32,
                due_today,
                cluster: self.brief(state),
                attention: status::attention(state, &failed, self.now),
                running,
                finished,
                upcoming,
                days,
            }
        }))
    }

    /// Failures since `since` after which the same workflow has not succeeded.
    fn unresolved(&self, queries: &Queries, since: Timestamp) -> Read<Vec<InstanceSummary>> {
        let filter = crate::api::query::InstanceFilter {
            states: vec![InstanceWord::Failed],
            since: Some(since.into()),
            ..Default::default()
        };
        let found = queries.instances(&filter, None, &PageRequest::first(FAILED_MAX)).map_err(query_error)?;
        let mut rows = Vec::new();
        for head in &found.items {
            let runs = self.runs(queries, &head.workflow, RUNS)?;
            let is_made_good =
                runs.iter().any(|run| run.number > head.number.0 && run.state == InstanceWord::Succeeded);
            if !is_made_good {
                rows.extend(self.summary(queries, head)?);
            }
        }
        Ok(rows)
    }

    fn running(&self, queries: &Queries) -> Read<Vec<InstanceSummary>> {
        let live: Vec<Instance> = self.state(|state| {
            let live = state.instances.values().filter(|head| !head.is_terminal());
            live.take(RUNNING_MAX).cloned().collect()
        });
        // One at a time: applying goes on between them.
        self.summaries(queries, &live)
    }

    fn summaries(&self, queries: &Queries, heads: &[Instance]) -> Read<Vec<InstanceSummary>> {
        let mut rows = Vec::new();
        for head in heads {
            rows.extend(self.summary(queries, head)?);
        }
        Ok(rows)
    }

    /// How long these workflows usually take.
    fn usual<'a>(&self, queries: &Queries, workflows: impl Iterator<Item = &'a String>) -> Read<BTreeMap<String, i64>> {
        let mut usual = BTreeMap::new();
        for name in workflows.collect::<BTreeSet<_>>() {
            let took = queries.usual_ms(&WorkflowName::from(name.as_str())).map_err(query_error)?;
            usual.extend(took.map(|took| (name.clone(), took)));
        }
        Ok(usual)
    }

    fn due_before(&self, until: Timestamp) -> u32 {
        let mut n_due = 0;
        for name in self.state(foresight::enabled) {
            if n_due >= DUE_MAX {
                break;
            }
            n_due += self.state(|state| upcoming::count(state, &name, self.now, until, DUE_MAX - n_due));
        }
        n_due as u32
    }

    fn leader_name(&self) -> Option<String> {
        let leader = self.shared.raft.leadership().borrow().leader;
        leader.map(|id| format!("m{id}"))
    }

    fn votes(&self) -> (u32, u32) {
        let metrics = self.shared.raft.metrics();
        let voters = metrics.voters.len() as u32;
        // On one voter the one that answers is the one that votes.
        (self.shared.connected_voters(&metrics.voters), voters)
    }

    fn brief(&self, state: &State) -> crate::api::ClusterBrief {
        let (votes, voters) = self.votes();
        status::brief(state, self.leader_name(), votes, voters)
    }

    /// What happened to the cluster as a whole, newest first.
    fn happened(&self, queries: &Queries, page: &PageRequest) -> Read<Page<EventView>> {
        let found = queries.happened(page).map_err(query_error)?;
        let view = |one: &Happening| self.state(|state| event::happening(state, one));
        Ok(Page { items: found.items.iter().filter_map(view).collect(), next: found.next })
    }

    fn cluster(&self, queries: &Queries) -> Read<ClusterView> {
        let newest = self.happened(queries, &PageRequest { limit: EVENTS_SHOWN, cursor: None })?;
        let (votes, voters) = self.votes();
        let leader = self.leader_name();
        let raft = self.shared.raft.metrics();
        let place = |voter: u64| match (raft.leader == Some(voter), raft.voters.contains(&voter)) {
            (true, _) => "active",
            (false, true) => "standby",
            (false, false) => "learner",
        };
        let mut nodes = vec![ClusterNodeView {
            id: self.shared.name.clone(),
            roles: vec!["master".to_owned()],
            pid: Some(std::process::id()),
            state: "up".to_owned(),
            leader: self.shared.leader().is_some(),
            term: self.shared.workers.epoch().0,
            address: self.shared.address(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            sees_leader: leader.clone(),
            role_state: Some(if self.shared.leader().is_some() { "active" } else { "standby" }.to_owned()),
            lag_entries: self.shared.leader().is_some().then_some(0),
            applied_seq: Some(self.shared.raft.replica().seq().0),
            started: Some(self.shared.started.into()),
            last_seen: Some(self.now.into()),
            rtt_us: None,
        }];
        nodes.extend(self.shared.peers().into_iter().map(|peer| {
            let standing = peer.standing();
            let voter = voter_of(&peer);
            let member = voter.and_then(|voter| raft.nodes.get(&voter));
            let place = voter.map(|voter| if member.is_some() { place(voter) } else { "outside" });
            ClusterNodeView {
                id: peer.name().to_string(),
                roles: vec![peer.role().to_string()],
                pid: Some(peer.hello().process.pid),
                state: "up".to_owned(),
                leader: voter.is_some() && raft.leader == voter,
                term: standing.epoch.0,
                address: member.map(|member| member.addr.clone()),
                version: Some(peer.hello().process.version.to_string()),
                sees_leader: standing.leader.map(|leader| leader.to_string()),
                role_state: place.map(str::to_owned),
                lag_entries: voter.and_then(|voter| behind(&raft, voter)),
                applied_seq: None,
                started: Some(Timestamp(peer.hello().process.started_ms).into()),
                last_seen: Some(self.now.into()),
                rtt_us: None,
            }
        }));
        let is_shown = |nodes: &[ClusterNodeView], id: &str| nodes.iter().any(|node| node.id == id);
        for (voter, member) in &raft.nodes {
            let id = name_of(*voter);
            if !is_shown(&nodes, &id) {
                nodes.push(ClusterNodeView {
                    id,
                    roles: vec!["master".to_owned()],
                    state: "down".to_owned(),
                    address: Some(member.addr.clone()),
                    role_state: Some(if raft.voters.contains(voter) { "standby" } else { "learner" }.to_owned()),
                    ..ClusterNodeView::default()
                });
            }
        }
        let level = self.shared.announced_levels().into_values().min().flatten();
        nodes.sort_by_key(|node| (node.roles.first().map(|role| role != "master"), node.id.clone()));
        Ok(self.state(|state| {
            let brief = status::brief(state, leader.clone(), votes, voters);
            ClusterView {
                http: String::new(),
                nodes,
                name: self.shared.config.cluster.name.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                leader,
                epoch: state.cluster.epoch.0,
                seq: state.cluster.seq.0,
                feature_level: state.cluster.feature_level,
                feature_level_possible: level.filter(|level| *level > state.cluster.feature_level),
                votes,
                voters,
                verdict: brief.message.clone().unwrap_or_else(|| status::survives(votes, voters)),
                is_healthy: brief.is_healthy,
                workers: status::workers(state),
                events: newest.items.into_iter().rev().map(ClusterEventView::from).collect(),
                events_before: newest.next,
            }
        }))
    }

    fn metrics(&self) -> Vec<MetricView> {
        let metric = |name: &str, help: &str, kind: &str, labels: Vec<(String, String)>, value: f64| MetricView {
            name: name.to_owned(),
            help: help.to_owned(),
            kind: kind.to_owned(),
            labels,
            value,
        };
        let raft = self.shared.raft.metrics();
        let replica = self.shared.raft.replica();
        let mut rows = vec![
            metric("log_bytes", "Size of the replicated log on disk.", "gauge", Vec::new(), raft.log_bytes as f64),
            metric(
                "log_entries_skipped_total",
                "Entries without effect.",
                "counter",
                Vec::new(),
                replica.n_skipped() as f64,
            ),
        ];
        self.state(|state| {
            let leader = f64::from(u8::from(self.shared.leader().is_some()));
            let of = |label: &str, value: &str| vec![(label.to_owned(), value.to_owned())];
            rows.push(metric("leader", "1 on the active Master.", "gauge", of("node", &self.shared.name), leader));
            rows.push(metric("epoch", "Leaderships so far.", "counter", Vec::new(), state.cluster.epoch.0 as f64));
            rows.push(metric("events_total", "Events applied.", "counter", Vec::new(), state.cluster.seq.0 as f64));
            let failed = workflow::failed_files(state).count() as f64;
            rows.push(metric(
                "definitions",
                "Workflows loaded.",
                "gauge",
                of("state", "loaded"),
                state.workflows.len() as f64,
            ));
            rows.push(metric("definitions", "Workflows loaded.", "gauge", of("state", "error"), failed));
            let mut words: BTreeMap<InstanceWord, u64> = BTreeMap::new();
            state.instances.values().for_each(|head| *words.entry(head.word()).or_default() += 1);
            for word in [InstanceWord::Queued, InstanceWord::Running, InstanceWord::Paused] {
                let count = words.get(&word).copied().unwrap_or(0) as f64;
                rows.push(metric("instances", "Live instances.", "gauge", of("state", word.word()), count));
            }
            for (word, count) in status::node_counts(state) {
                rows.push(metric("nodes", "Nodes of live instances.", "gauge", of("state", word.word()), count as f64));
            }
            for worker in status::workers(state) {
                let labels =
                    |kind: &str| vec![("worker".to_owned(), worker.id.clone()), ("state".to_owned(), kind.to_owned())];
                rows.push(metric(
                    "worker_slots",
                    "Slots of workers.",
                    "gauge",
                    labels("used"),
                    worker.slots_used.into(),
                ));
                rows.push(metric("worker_slots", "Slots of workers.", "gauge", labels("total"), worker.slots.into()));
            }
        });
        rows
    }
}

fn is_wanted(row: &WorkflowSummary, filter: &WorkflowFilter) -> bool {
    let holds = |text: &str| {
        let text = text.to_lowercase();
        let in_description = row.description.as_ref().is_some_and(|said| said.to_lowercase().contains(&text));
        row.name.to_lowercase().contains(&text) || in_description
    };
    filter.text.as_deref().is_none_or(holds)
        && filter
            .dir
            .as_deref()
            .is_none_or(|dir| row.dir == dir || row.dir.starts_with(&format!("{}/", dir.trim_end_matches('/'))))
        && filter.owner.as_ref().is_none_or(|owner| row.owner.as_ref() == Some(owner))
        && filter.tag.as_ref().is_none_or(|tag| row.tags.contains(tag))
        && filter.enabled.is_none_or(|enabled| row.enabled == enabled)
        && filter.has_error.is_none_or(|has| row.load_error.is_some() == has)
        && filter.last_state.is_none_or(|last| row.last.as_ref().map(|run| run.state) == Some(last))
}

/// A page of so many rows, or of those that one answer can carry. No row after it is made.
fn paged<T: serde::Serialize>(
    rows: impl IntoIterator<Item = T>,
    limit: usize,
    cursor: impl Fn(&T) -> String,
) -> Page<T> {
    let mut items: Vec<T> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        bytes += page::encoded_bytes(&row);
        if items.len() == limit || (bytes > page::PAGE_BYTES_MAX && !items.is_empty()) {
            let next = items.last().map(cursor);
            return Page { items, next };
        }
        items.push(row);
    }
    Page::whole(items)
}

fn limit(page: &PageRequest) -> Read<usize> {
    if (1..=crate::api::page::LIMIT_MAX).contains(&page.limit) {
        Ok(page.limit as usize)
    } else {
        Err(query_error(QueryError::BadLimit(page.limit)))
    }
}

fn cursor_number(page: &PageRequest) -> Read<Option<u64>> {
    let parse = |text: &String| text.parse().map_err(|_| query_error(QueryError::BadCursor));
    page.cursor.as_ref().map(parse).transpose()
}

fn no_instance(instance: &InstanceRef) -> ApiError {
    ApiError::new(ErrorCode::InstanceNotFound, say!("there is no instance {}", instance.to_string()))
        .hint(say!("`ractorflow instance list` shows the newest"))
}

/// Entries that a voter or learner lacks. Only the leader is told how far others are.
fn behind(raft: &HostMetrics, voter: u64) -> Option<u64> {
    let matched = raft.matched.get(&voter)?;
    Some(raft.last_log_index.unwrap_or(0).saturating_sub(matched.unwrap_or(0)))
}

fn no_workflow(name: &WorkflowName) -> ApiError {
    ApiError::new(ErrorCode::WorkflowNotFound, say!("there is no workflow {}", name))
        .hint(say!("`ractorflow workflow list` shows them all"))
}
