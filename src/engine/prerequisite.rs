//! What the prerequisites of an instance put out, for `${dep:WORKFLOW.KEY}`: looked up once, when it is created.
//!
//! Read are the `<output>`s of the instance that satisfied the prerequisite: in a downstream run the run's own,
//! else the one that set the latch. An instance that a person asked for may have neither: it reads the newest
//! success on record.

use crate::model::definition::{Definition, NodeKind};
use crate::model::id::{InstanceNumber, WorkflowName};
use crate::model::message::Message;
use crate::model::parameter::{Template, Value};
use crate::model::time::CivilDate;
use crate::model::trigger::{Kind, Subject};
use crate::say;

use super::render::{collect, input_name};
use super::state::{Aggregate, Instance, InstanceEnd, State};

/// Bytes of all these values of one instance: they are stored with it.
const BYTES_MAX: usize = 64 * 1024;

/// The outputs that a definition asks for, and why those that are missing are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PrerequisiteOutputs {
    pub found: Vec<(String, Value)>,
    pub missing: Vec<(String, Message)>,
}

pub(super) fn prerequisite_outputs(
    state: &State,
    head: &Instance,
    definition: &Definition,
) -> Result<PrerequisiteOutputs, Message> {
    let mut outputs = PrerequisiteOutputs::default();
    let mut bytes = 0;
    for (workflow, key) in templates(definition).into_iter().flat_map(Template::prerequisite_outputs) {
        let name = input_name(workflow, key);
        let is_known = |known: &String| *known == name;
        if outputs.found.iter().any(|(known, _)| is_known(known)) || outputs.missing.iter().any(|(k, _)| is_known(k)) {
            continue;
        }
        match find(state, head, &WorkflowName::from(workflow), key) {
            Ok(value) => {
                bytes += name.len() + value.text.len();
                outputs.found.push((name, value));
            }
            Err(why) => outputs.missing.push((name, why)),
        }
        if bytes > BYTES_MAX {
            return Err(say!("outputs of prerequisites have more than {} bytes together", BYTES_MAX));
        }
    }
    Ok(outputs)
}

fn find(state: &State, head: &Instance, workflow: &WorkflowName, key: &str) -> Result<Value, Message> {
    let number = satisfier(state, head, workflow)
        .ok_or_else(|| say!("no instance of prerequisite {} has succeeded for this one", workflow))?;
    let prerequisite = state
        .head_anywhere(number)
        .ok_or_else(|| say!("instance #{} of prerequisite {} is no longer kept", number, workflow))?;
    let outputs = outputs_of_success(&prerequisite)
        .ok_or_else(|| say!("instance #{} of prerequisite {} was run again and has not succeeded", number, workflow))?;
    let found = outputs.iter().find(|(name, _)| name == key);
    let value = found.map(|(_, text)| Value::external(text.as_str()).from_source(format!("{workflow} #{number}")));
    value.ok_or_else(|| say!("instance #{} of prerequisite {} has no output \"{}\"", number, workflow, key))
}

/// The instance whose success stands for the prerequisite.
fn satisfier(state: &State, head: &Instance, workflow: &WorkflowName) -> Option<InstanceNumber> {
    let subject = Subject::Workflow(workflow.clone());
    let of_closure =
        || head.closure.and_then(|id| state.closures.get(&id)).and_then(|closure| closure.instances.get(workflow));
    let of_latch = || state.latches.get(&(head.workflow.clone(), subject.clone())).map(|latch| &latch.fact.instance);
    let newest = || {
        let is_asked_for = match head.kind {
            Kind::Run | Kind::Triggered => true,
            Kind::Scheduled | Kind::Backfill | Kind::Sub => false,
        };
        let dates = (subject.clone(), CivilDate(i32::MIN))..=(subject.clone(), CivilDate(i32::MAX));
        let facts = state.facts.range(dates).filter(|_| is_asked_for).map(|(_, fact)| fact);
        facts.max_by_key(|fact| (fact.nominal, fact.instance)).map(|fact| &fact.instance)
    };
    of_closure().or_else(of_latch).or_else(newest).copied()
}

/// What an instance put out when it last succeeded: also while, or after, it was run again.
fn outputs_of_success(head: &Instance) -> Option<&[(String, String)]> {
    let (current, earlier) = head.generations.split_last()?;
    if current.end == Some(InstanceEnd::Succeeded) {
        return Some(&head.outputs);
    }
    let succeeded = earlier.iter().rev().find(|generation| generation.end == Some(InstanceEnd::Succeeded))?;
    Some(&succeeded.outputs)
}

/// All texts of a definition that can hold such a form.
fn templates(definition: &Definition) -> Vec<&Template> {
    let mut templates: Vec<&Template> = definition.params.iter().filter_map(|param| param.value.as_ref()).collect();
    let triggers = definition.coordinator.iter().flat_map(|coordinator| &coordinator.triggers);
    templates.extend(triggers.flat_map(|trigger| &trigger.params).filter_map(|param| param.value.as_ref()));
    templates.extend(definition.env.iter().map(|entry| &entry.value));
    templates.extend(definition.outputs.iter().map(|output| &output.value));
    for node in &definition.nodes {
        match &node.kind {
            NodeKind::Action(action) => {
                collect(&action.body.tree, &mut templates);
                templates.extend(action.env.iter().map(|entry| &entry.value));
                templates.extend(action.late.iter().map(|(_, template)| template));
            }
            NodeKind::Kill { message, late_result, .. } => templates.extend(message.iter().chain(late_result)),
            NodeKind::Start | NodeKind::End | NodeKind::Fork | NodeKind::Join => {}
        }
    }
    templates
}

impl State {
    /// The head of an instance, in memory or at rest.
    pub(super) fn head_anywhere(&self, number: InstanceNumber) -> Option<Instance> {
        if let Some(head) = self.instances.get(&number) {
            return Some(head.clone());
        }
        self.archived(number)?.into_iter().find_map(|row| match row {
            Aggregate::Instance(head) => Some(head),
            _ => None,
        })
    }
}
