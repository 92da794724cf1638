//! Instances: lists, one with a window on its nodes, its events, and why something of it is as it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::actor::view::instance::{Extras, Shown, stored_summary};
use crate::actor::view::{event, foresight};
use crate::api::query::{InstanceFilter, WhySubject};
use crate::api::{
    ApiError, ErrorCode, EventView, InstanceRef, InstanceSummary, InstanceView, NodeWindow, Page, PageRequest, WhyView,
    page,
};
use crate::engine::state::{GenerationHead, Instance, State, Version};
use crate::model::id::{Generation, InstanceNumber, VersionNumber, WorkflowName};
use crate::model::message::Message;
use crate::say;
use crate::store::{Among, Queries};

use super::{Read, Reader, no_instance, query_error};

/// Nodes that a page of a list counts; it ends early when its instances have more.
const EXAMINED_MAX: usize = 400_000;

impl Reader {
    fn number(&self, queries: &Queries, instance: &InstanceRef) -> Read<InstanceNumber> {
        let newest = |workflow: Option<&WorkflowName>| {
            let live = self.state(|state| state.newest(workflow));
            let stored = queries.last_instance(workflow).map_err(query_error)?;
            live.max(stored).ok_or_else(|| no_instance(instance))
        };
        match instance {
            InstanceRef::Number(number) => Ok(InstanceNumber(*number)),
            InstanceRef::Last => newest(None),
            InstanceRef::LastOf(workflow) => newest(Some(&WorkflowName::from(workflow.as_str()))),
        }
    }

    /// Without its nodes, which can be very many.
    fn head(&self, queries: &Queries, number: InstanceNumber) -> Read<Instance> {
        let live = self.state(|state| state.instances.get(&number).cloned());
        let head = match live {
            Some(head) => Some(head),
            None => queries.instance(number).map_err(query_error)?,
        };
        head.ok_or_else(|| no_instance(&InstanceRef::Number(number.0)))
    }

    /// Shows one generation of an instance: from memory while it is there, else from the database. `read` gets the
    /// state only in the first case, and holds its lock then.
    pub(super) fn shown<T>(
        &self,
        queries: &Queries,
        number: InstanceNumber,
        generation: Option<Generation>,
        read: impl FnOnce(Option<&State>, Shown<'_>) -> T,
    ) -> Read<T> {
        let live = self.state(|state| {
            let Some(head) = state.instances.get(&number) else { return Err(read) };
            let Some((generation, version)) = pick(state, head, generation) else { return Ok(None) };
            let nodes = state.nodes_of(number, generation.number);
            Ok(Some(read(Some(state), Shown::new(head, generation, version.definition(), nodes, self.now))))
        });
        let read = match live {
            Ok(shown) => return shown.ok_or_else(not_kept),
            Err(read) => read,
        };
        let head = queries.instance(number).map_err(query_error)?;
        let head = head.ok_or_else(|| no_instance(&InstanceRef::Number(number.0)))?;
        let found = self.state(|state| {
            let (generation, version) = pick(state, &head, generation)?;
            Some((generation.clone(), version.clone()))
        });
        let (generation, version) = found.ok_or_else(not_kept)?;
        let nodes = queries.generation(number, generation.number).map_err(query_error)?;
        Ok(read(None, Shown::new(&head, &generation, version.definition(), nodes.iter(), self.now)))
    }

    pub(super) fn instances(
        &self,
        queries: &Queries,
        filter: &InstanceFilter,
        page: &PageRequest,
    ) -> Read<Page<InstanceSummary>> {
        let among = (filter.text.is_some() || filter.creator.is_some()).then(|| self.among(filter));
        let found = queries.instances(filter, among.as_ref(), page).map_err(query_error)?;
        let mut items = Vec::new();
        let mut examined = 0;
        for head in &found.items {
            let Some(summary) = self.summary(queries, head)? else { continue };
            examined += summary.nodes_total as usize;
            items.push(summary);
            if examined > EXAMINED_MAX {
                break;
            }
        }
        let is_cut = page::fit(&mut items, page::PAGE_BYTES_MAX) || examined > EXAMINED_MAX;
        let last = items.last().filter(|_| is_cut).map(|last: &InstanceSummary| last.number.to_string());
        Ok(Page { items, next: last.or(found.next) })
    }

    /// What the words of a filter mean: definitions hold what no column of the database does.
    fn among(&self, filter: &InstanceFilter) -> Among {
        let text = filter.text.as_deref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        let number = text.as_deref().map(|text| text.strip_prefix('#').unwrap_or(text).parse().map(InstanceNumber));
        let workflows = self.state(|state| {
            let meant = state.workflows.values().filter(|known| {
                text.as_deref().is_none_or(|text| {
                    let version = state.current_version(&known.name);
                    let description = version.and_then(|version| version.definition().description.as_deref());
                    let holds = |words: &str| words.to_lowercase().contains(text);
                    holds(known.name.as_str()) || description.is_some_and(holds)
                })
            });
            let versions = meant.map(|known| {
                let of_creator = filter.creator.as_ref().map(|creator| {
                    let of = (known.name.clone(), VersionNumber(0))..=(known.name.clone(), known.current);
                    let versions = state.versions.range(of).map(|(_, version)| version);
                    let own = versions.filter(|version| version.definition().creator == *creator);
                    own.map(|version| version.number).collect::<BTreeSet<_>>()
                });
                (known.name.clone(), of_creator)
            });
            versions.filter(|(_, own)| own.as_ref().is_none_or(|own| !own.is_empty())).collect()
        });
        // A number has no creator: who asks for both means the number in a name.
        let number = number.and_then(Result::ok).filter(|_| filter.creator.is_none());
        Among { workflows, number }
    }

    /// A row of a list: from memory while the instance is there, else from what the store knows of its nodes. `None`
    /// when its version is no longer kept.
    pub(super) fn summary(&self, queries: &Queries, head: &Instance) -> Read<Option<InstanceSummary>> {
        let live = self.state(|state| {
            let head = state.instances.get(&head.number)?;
            let (generation, version) = pick(state, head, None)?;
            let nodes = state.nodes_of(head.number, generation.number);
            Some(Shown::new(head, generation, version.definition(), nodes, self.now).summary(None))
        });
        if live.is_some() {
            return Ok(live);
        }
        let generation = head.generation();
        let version = self.state(|state| state.version(&head.workflow, generation.version).cloned());
        let Some(version) = version else { return Ok(None) };
        let tally = queries.tally(head.number, generation.number).map_err(query_error)?;
        Ok(Some(stored_summary(head, version.definition().nodes.len(), tally, self.now)))
    }

    pub(super) fn instance(
        &self,
        queries: &Queries,
        instance: &InstanceRef,
        generation: Option<u32>,
        window: &NodeWindow,
    ) -> Read<InstanceView> {
        let number = self.number(queries, instance)?;
        let workflow = self.head(queries, number)?.workflow;
        let neighbours = queries.neighbours(&workflow, number).map_err(query_error)?;
        let usual_ms = queries.usual_ms(&workflow).map_err(query_error)?;
        self.shown(queries, number, generation.map(Generation), |state, shown| {
            let extras = Extras {
                usual_ms,
                why: state.and_then(|state| foresight::instance(state, &self.shared.settings.limits, number)),
                previous: neighbours.0.map(|number| number.0),
                next: neighbours.1.map(|number| number.0),
            };
            shown.view(extras, window, |node| foresight::node(state?, &self.shared.settings.limits, number, node))
        })?
    }

    pub(super) fn events(
        &self,
        queries: &Queries,
        instance: &InstanceRef,
        page: &PageRequest,
    ) -> Read<Page<EventView>> {
        let number = self.number(queries, instance)?;
        let found = queries.events(number, page).map_err(query_error)?;
        let mut items: Vec<EventView> = self.state(|state| {
            found.items.iter().filter_map(|stored| event::view(state, stored.seq, &stored.event)).collect()
        });
        let is_cut = page::fit(&mut items, page::PAGE_BYTES_MAX);
        let last = items.last().filter(|_| is_cut).map(|last| last.seq.to_string());
        Ok(Page { items, next: last.or(found.next) })
    }

    pub(super) fn why(&self, queries: &Queries, subject: WhySubject) -> Read<WhyView> {
        let nothing = |summary: Message| WhyView { summary, reasons: Vec::new() };
        match subject {
            WhySubject::Workflow(name) => {
                let name = WorkflowName::from(name);
                self.known(&name)?;
                Ok(self
                    .state(|state| foresight::workflow(state, &self.shared.settings.limits, &name))
                    .unwrap_or_else(|| nothing(say!("nothing holds it"))))
            }
            WhySubject::Instance(instance) => {
                let number = self.number(queries, &instance)?;
                let head = self.head(queries, number)?;
                let held = self.state(|state| foresight::instance(state, &self.shared.settings.limits, number));
                match (held, head.finished()) {
                    (Some(held), _) => Ok(held),
                    (None, Some(_)) => {
                        let message = self.summary(queries, &head)?.and_then(|summary| summary.message);
                        Ok(foresight::ended(number, head.word(), message, head.finished()))
                    }
                    (None, None) => Ok(nothing(say!("nothing holds it: it runs"))),
                }
            }
            WhySubject::Node { instance, node } => {
                let number = self.number(queries, &instance)?;
                let found = self.shown(queries, number, None, |state, shown| {
                    let (index, view) = shown.node_named(&node)?;
                    let held =
                        state.and_then(|state| foresight::node(state, &self.shared.settings.limits, number, index));
                    Some(held.unwrap_or_else(|| {
                        nothing(match view.message {
                            Some(said) => say!("it is {}: {}", view.state, said),
                            None => say!("it is {}", view.state),
                        })
                    }))
                })?;
                found.ok_or_else(|| {
                    ApiError::new(ErrorCode::NodeNotFound, say!("instance #{} has no node {}", number, node))
                })
            }
        }
    }
}

/// The generation asked for, else the newest, with the version that it runs; `None` when that is no longer kept.
fn pick<'a>(
    state: &'a State,
    head: &'a Instance,
    wanted: Option<Generation>,
) -> Option<(&'a GenerationHead, &'a Arc<Version>)> {
    let wanted = wanted.unwrap_or(head.generation().number);
    let generation = head.generations.iter().find(|generation| generation.number == wanted)?;
    Some((generation, state.version(&head.workflow, generation.version)?))
}

fn not_kept() -> ApiError {
    ApiError::new(ErrorCode::VersionNotFound, say!("that generation or its definition is not kept"))
}
