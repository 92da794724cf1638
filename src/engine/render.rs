//! A run's values: parameters at creation, inputs of nodes when they are ready, texts when they are sent.

use crate::model::action::{ActionSpec, BodyElement, ElementSpec, TextContext, TextSpec};
use crate::model::assignment::{Assignment, Rendered, RetryRules};
use crate::model::definition::{Action, Compat, Definition, NodeKind};
use crate::model::duration::Millis;
use crate::model::id::{AttemptId, Epoch, TriggerId};
use crate::model::message::Message;
use crate::model::parameter::{
    Neighbour, Phase, RenderError, RunIds, Scope, Template, Times, Value, VariableCounter, environment,
    resolve_parameters,
};
use crate::model::policy::{ActionPolicy, KillResult, parse_choice};
use crate::model::schedule::{next_fire, previous_fire};
use crate::model::time::Timestamp;
use crate::model::trigger::Trigger;
use crate::say;

use super::attempt::check_outputs;
use super::event::NodeRef;
use super::prerequisite::{PrerequisiteOutputs, prerequisite_outputs};
use super::settings::Settings;
use super::state::{Instance, Node, NodeState, State, Version, policy};
use super::trigger::{MANUAL_TRIGGER, effective};

/// The action type that writes to the receivers of the workflow.
const MAIL_ACTION: &str = "email";
/// Longest message of a kill node.
const MESSAGE_MAX: usize = 4096;
/// Texts of what is sent to a worker for one attempt; a message of the link carries 8 MiB.
const ASSIGNMENT_BYTES_MAX: usize = 7 << 20;

/// An instance with its definition, as what templates ask.
pub(super) struct Run<'a> {
    state: &'a State,
    settings: &'a Settings,
    head: &'a Instance,
    version: &'a Version,
    params: &'a [(String, Value)],
    prerequisite_outputs: &'a [(String, Value)],
    /// At creation: why others are missing.
    missing: &'a [(String, Message)],
    inputs: &'a [(String, Value)],
}

/// What an instance is created with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Resolved {
    pub params: Vec<(String, Value)>,
    pub prerequisite_outputs: Vec<(String, Value)>,
}

impl<'a> Run<'a> {
    pub fn new(state: &'a State, settings: &'a Settings, head: &'a Instance, version: &'a Version) -> Self {
        Self {
            state,
            settings,
            head,
            version,
            params: &head.params,
            prerequisite_outputs: &head.prerequisite_outputs,
            missing: &[],
            inputs: &[],
        }
    }

    fn definition(&self) -> &'a Definition {
        self.version.definition()
    }

    /// The values of a new instance. Also tries every text of the definition, so that a parameter that does
    /// not exist is told now and not at three in the morning.
    pub fn resolve(&self, caller: &[(String, String)], defaults: bool) -> Result<Resolved, Message> {
        let definition = self.definition();
        let PrerequisiteOutputs { found, missing } = prerequisite_outputs(self.state, self.head, definition)?;
        let run = Run { prerequisite_outputs: &found, missing: &missing, ..*self };
        let coordinator = definition.coordinator.as_ref();
        let of_trigger = self.head.trigger.as_ref().and_then(|id| {
            coordinator.and_then(|coordinator| coordinator.triggers.iter().find(|trigger| trigger.id == *id))
        });
        let of_trigger = of_trigger.map_or(&[][..], |trigger| &trigger.params);
        let declared: Vec<_> = if defaults {
            definition.params.clone()
        } else {
            // Without their values the declarations still say what a caller's may be.
            let mut bare = definition.params.clone();
            bare.iter_mut().for_each(|declaration| {
                declaration.value = None;
                declaration.required = false;
            });
            bare
        };
        let params = resolve_parameters(&declared, of_trigger, caller, &run, definition.is_strict)
            .map_err(|error| error.said())?;
        Run { params: &params, ..run }.check()?;
        Ok(Resolved { params, prerequisite_outputs: found })
    }

    /// Tries every template of the definition that is known at creation.
    pub fn check(&self) -> Result<(), Message> {
        for node in &self.definition().nodes {
            let fault = |message: Message| say!("node {}: {}", node.name, message);
            match &node.kind {
                NodeKind::Action(action) => {
                    self.policy(action).map_err(fault)?;
                    self.body(action, Phase::Creation, &mut VariableCounter::default()).map_err(fault)?;
                    self.env(action, Phase::Creation).map_err(fault)?;
                }
                NodeKind::Kill { message, late_result, .. } => {
                    for template in message.iter().chain(late_result) {
                        self.text(template, TextContext::Plain, Phase::Creation).map_err(fault)?;
                    }
                }
                NodeKind::Start | NodeKind::End | NodeKind::Fork | NodeKind::Join => {}
            }
        }
        for output in &self.definition().outputs {
            self.text(&output.value, TextContext::Plain, Phase::Creation)
                .map_err(|message| say!("output {}: {}", output.name, message))?;
        }
        Ok(())
    }

    /// The policy with its templates rendered; `None` when it has none.
    pub fn policy(&self, action: &Action) -> Result<Option<Box<ActionPolicy>>, Message> {
        if action.late.is_empty() {
            return Ok(None);
        }
        let mut policy = Box::new(action.policy.clone());
        for (attribute, template) in &action.late {
            let context = match attribute.as_str() {
                "host" | "workers" => TextContext::Authority,
                _ => TextContext::Plain,
            };
            let text = self.text(template, context, Phase::Creation).map_err(|e| say!("{}: {}", attribute, e))?;
            match policy.set(attribute, &text) {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(say!("{} {}", attribute, error.said())),
                None => return Err(say!("{} is not known", attribute)),
            }
        }
        Ok(Some(policy))
    }

    /// What a kill node makes of the instance, where its `result` holds `${…}`.
    pub fn kill_result(&self, template: &Template) -> Result<KillResult, Message> {
        let inputs = outputs_named(self.state, self.head, self.version, std::iter::once(template));
        let text = Run { inputs: &inputs, ..*self }.text(template, TextContext::Plain, Phase::NodeReady)?;
        parse_choice(&text, KillResult::WORDS, KillResult::from_word)
            .map_err(|error| say!("attribute result {}", error.said()))
    }

    /// What a kill node says. A text that cannot be rendered is shown as it was written.
    pub fn message(&self, template: &Template) -> String {
        let inputs = outputs_named(self.state, self.head, self.version, std::iter::once(template));
        let run = Run { inputs: &inputs, ..*self };
        let mut text =
            run.text(template, TextContext::Plain, Phase::NodeReady).unwrap_or_else(|_| template.source.clone());
        if text.len() > MESSAGE_MAX {
            let end = (0..=MESSAGE_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
        }
        text
    }

    /// The declared outputs of the instance; those of nodes that were not reached are absent.
    pub fn instance_outputs(&self) -> Result<Vec<(String, String)>, Message> {
        let declared = &self.definition().outputs;
        let inputs = outputs_named(self.state, self.head, self.version, declared.iter().map(|output| &output.value));
        let run = Run { inputs: &inputs, ..*self };
        let mut outputs: Vec<(String, String)> = Vec::new();
        for output in declared {
            let mut counter = VariableCounter::default();
            match output.value.render(&run, TextContext::Plain, Phase::NodeReady, &mut counter) {
                Ok(rendered) => outputs.push((output.name.clone(), rendered.text)),
                Err(RenderError::UndefinedOutput { .. }) => {}
                Err(error) => return Err(say!("{}: {}", output.name, error.said())),
            }
        }
        check_outputs(&outputs, self.settings.output_bytes_max)?;
        Ok(outputs)
    }

    pub fn assignment(
        &self,
        node: &Node,
        attempt: AttemptId,
        epoch: Epoch,
        lease: Option<Millis>,
    ) -> Result<Assignment, Message> {
        let definition = self.definition();
        let place = definition.nodes.get(node.id.node.at()).ok_or_else(|| say!("the node does not exist"))?;
        let NodeKind::Action(action) = &place.kind else { return Err(say!("not an action")) };
        let policy = policy(node, self.version).ok_or_else(|| say!("not an action"))?;
        let run = Run { inputs: &node.inputs, ..*self };
        let mut counter = VariableCounter::default();
        let body = run.body(action, Phase::NodeReady, &mut counter)?;
        let mut env = environment(&self.head.params).variables;
        for (name, value) in run.env(action, Phase::NodeReady)? {
            env.retain(|(known, _)| *known != name);
            env.push((name, value));
        }
        let texts =
            |pairs: &[(String, String)]| pairs.iter().map(|(name, text)| name.len() + text.len()).sum::<usize>();
        let params: usize = self.head.params.iter().map(|(name, value)| name.len() + value.text.len()).sum();
        let bytes = bytes_of(&body) + texts(&env) + params;
        if bytes > ASSIGNMENT_BYTES_MAX {
            return Err(say!("text and parameters have {} bytes together, more than {}", bytes, ASSIGNMENT_BYTES_MAX));
        }
        let links = self.state.links_of(&body);
        Ok(Assignment {
            attempt,
            epoch,
            workflow: self.head.workflow.clone(),
            version: self.version.number,
            node: place.name.clone(),
            nominal: self.head.nominal,
            business_date: self.head.business_date,
            body,
            links,
            params: self.head.params.clone(),
            env,
            attempt_timeout: policy.attempt_timeout,
            lease,
            on_isolation: policy.on_isolation,
            retry_rules: RetryRules {
                on_exit: policy.retry.on_exit.clone(),
                not_on_exit: policy.retry.not_on_exit.clone(),
                on_match: policy.retry.on_match.clone(),
                not_on_match: policy.retry.not_on_match.clone(),
            },
            script_trim: self.has(Compat::ScriptTrim),
            is_strict: definition.is_strict,
            mail_receivers: if action.body.word == MAIL_ACTION {
                definition.mail_receivers.clone()
            } else {
                Vec::new()
            },
            files: self.version.bundle.files.iter().filter(|file| file.node == node.id.node).cloned().collect(),
        })
    }

    fn text(&self, template: &Template, context: TextContext, phase: Phase) -> Result<String, Message> {
        let mut counter = VariableCounter::default();
        template.render(self, context, phase, &mut counter).map(|r| r.text).map_err(|error| error.said())
    }

    /// Variables of the root, then of the action: the nearest wins.
    fn env(&self, action: &Action, phase: Phase) -> Result<Vec<(String, String)>, Message> {
        let mut env: Vec<(String, String)> = Vec::new();
        for entry in self.definition().env.iter().chain(&action.env) {
            let value = self
                // Lines are no trouble in an environment; NUL is refused everywhere.
                .text(&entry.value, TextContext::Plain, phase)
                .map_err(|error| say!("variable {}: {}", entry.name, error))?;
            env.retain(|(known, _)| *known != entry.name);
            env.push((entry.name.clone(), value));
        }
        Ok(env)
    }

    fn body(
        &self,
        action: &Action,
        phase: Phase,
        counter: &mut VariableCounter,
    ) -> Result<BodyElement<Rendered>, Message> {
        let spec = self.settings.actions.iter().find(|spec: &&ActionSpec| spec.element.word == action.body.word);
        self.element(&action.body.tree, spec.map(|spec| &spec.element), phase, counter)
    }

    fn element(
        &self,
        element: &BodyElement<Template>,
        spec: Option<&ElementSpec>,
        phase: Phase,
        counter: &mut VariableCounter,
    ) -> Result<BodyElement<Rendered>, Message> {
        let mut attributes = Vec::with_capacity(element.attributes.len());
        for (name, template) in &element.attributes {
            let known = spec.and_then(|spec| spec.attributes.iter().find(|attribute| attribute.word == *name));
            let context = known.map_or(TextContext::Shell, |attribute| attribute.context);
            let rendered = template
                .render(self, context, phase, counter)
                .map_err(|error| say!("{} {}: {}", element.word, name, error.said()))?;
            attributes.push((name.clone(), rendered));
        }
        let text = match &element.text {
            None => None,
            Some(template) => {
                // What is not known to be harmless is treated as code.
                let context = match spec.map(|spec| spec.text) {
                    Some(TextSpec::Optional(context) | TextSpec::Required(context) | TextSpec::Markup(context)) => {
                        context
                    }
                    Some(TextSpec::None) | None => TextContext::Shell,
                };
                let rendered = template
                    .render(self, context, phase, counter)
                    .map_err(|error| say!("{}: {}", element.word, error.said()))?;
                Some(rendered)
            }
        };
        let mut children = Vec::with_capacity(element.children.len());
        for child in &element.children {
            let spec = spec.and_then(|spec| spec.children.iter().find(|known| known.word == child.word));
            children.push(self.element(child, spec, phase, counter)?);
        }
        Ok(BodyElement { word: element.word.clone(), attributes, children, text })
    }

    /// The trigger whose rule tells the neighbouring fires.
    fn time_trigger(&self) -> Option<Trigger> {
        let coordinator = self.definition().coordinator.as_ref()?;
        let own = self.head.trigger.as_ref();
        let trigger = coordinator
            .triggers
            .iter()
            .find(|trigger| own.is_some_and(|id| trigger.id == *id))
            .or_else(|| coordinator.triggers.first())?;
        Some(effective(coordinator, trigger))
    }
}

impl Scope for Run<'_> {
    fn param(&self, name: &str) -> Option<&Value> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn param_names(&self) -> Vec<&str> {
        self.params.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn node_output(&self, node: &str, key: &str) -> Option<Value> {
        let name = input_name(node, key);
        self.inputs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    fn prerequisite_output(&self, workflow: &str, key: &str) -> Result<Value, Message> {
        let name = input_name(workflow, key);
        if let Some((_, value)) = self.prerequisite_outputs.iter().find(|(known, _)| *known == name) {
            return Ok(value.clone());
        }
        let why = self.missing.iter().find(|(known, _)| *known == name).map(|(_, why)| why.clone());
        Err(why.unwrap_or_else(|| say!("output \"{}\" of prerequisite {} was not read at creation", key, workflow)))
    }

    fn times(&self) -> Times {
        Times {
            nominal: self.head.nominal,
            due: self.head.due,
            actual: self.head.created,
            business_date: self.head.business_date,
            zone: self.head.zone,
        }
    }

    fn neighbour(&self, which: Neighbour) -> Option<Timestamp> {
        let trigger = self.time_trigger()?;
        let zone = &self.state.cluster.zone;
        match which {
            Neighbour::Previous => previous_fire(&trigger, zone, self.head.nominal),
            Neighbour::Next => next_fire(&trigger, zone, self.head.nominal),
        }
    }

    fn ids(&self) -> RunIds {
        RunIds {
            workflow: self.head.workflow.clone(),
            instance: self.head.number,
            trigger: self.head.trigger.clone().unwrap_or_else(|| TriggerId::from(MANUAL_TRIGGER)),
            version: self.version.number,
        }
    }

    fn has(&self, compat: Compat) -> bool {
        self.definition().compat.contains(&compat) || self.settings.compat.contains(&compat)
    }
}

/// The outputs that an action's texts ask for, as they are now.
pub(super) fn node_inputs(state: &State, head: &Instance, version: &Version, action: &Action) -> Vec<(String, Value)> {
    let mut templates = Vec::new();
    collect(&action.body.tree, &mut templates);
    templates.extend(version.definition().env.iter().chain(&action.env).map(|entry| &entry.value));
    outputs_named(state, head, version, templates.into_iter())
}

pub(super) fn collect<'a>(element: &'a BodyElement<Template>, templates: &mut Vec<&'a Template>) {
    templates.extend(element.attributes.iter().map(|(_, template)| template));
    templates.extend(element.text.as_ref());
    element.children.iter().for_each(|child| collect(child, templates));
}

fn outputs_named<'a>(
    state: &State,
    head: &Instance,
    version: &Version,
    templates: impl Iterator<Item = &'a Template>,
) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = Vec::new();
    for template in templates {
        for (node, key) in template.outputs() {
            let name = input_name(node, key);
            if found.iter().any(|(known, _)| *known == name) {
                continue;
            }
            if let Some(value) = output(state, head, version, node, key) {
                found.push((name, value));
            }
        }
    }
    found
}

/// An output of a node in this generation: its own, or one that every node has.
fn output(state: &State, head: &Instance, version: &Version, node: &str, key: &str) -> Option<Value> {
    let at = version.definition().node_named(node)?;
    let id: NodeRef = head.node_ref(at);
    let record = state.nodes.get(&id)?;
    if let Some((_, value)) = record.outputs.iter().find(|(name, _)| name == key) {
        return Some(Value::external(value.clone()).from_source(format!("node {node}")));
    }
    let last = record.attempts.last();
    let own = |text: String| Some(Value::definition(text));
    match key {
        "state" => own(record.word(head).word().to_owned()),
        "attempts" => own(record.attempts.len().to_string()),
        "exit" => own(last?.outcome()?.exit_code?.to_string()),
        "worker" => own(last?.worker.to_string()),
        "seconds" => match &record.state {
            NodeState::Done { at, .. } => own((at.since(record.ready) / 1000).to_string()),
            _ => None,
        },
        "message" => {
            let message = last?.outcome()?.message.as_ref();
            message.map(|message| Value::external(message.english()).from_source(format!("node {node}")))
        }
        _ => None,
    }
}

pub(super) fn input_name(node: &str, key: &str) -> String {
    format!("{node}.{key}")
}

/// Texts of an element and of those in it.
fn bytes_of(element: &BodyElement<Rendered>) -> usize {
    let attributes = element.attributes.iter().map(|(name, value)| name.len() + value.text.len());
    let text = element.text.as_ref().map_or(0, |text| text.text.len());
    element.word.len() + text + attributes.sum::<usize>() + element.children.iter().map(bytes_of).sum::<usize>()
}
