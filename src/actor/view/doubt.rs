//! What only all workflows together tell about one: prerequisites that are not there.
//!
//! Files come in any order, so nothing of it is kept with a definition: it is found anew at each reading, and is
//! gone once the prerequisite is loaded.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::state::{Bundle, State, Workflow};
use crate::model::definition::Definition;
use crate::model::diagnostic::Diagnostic;
use crate::model::id::WorkflowName;
use crate::model::schedule::Zone;
use crate::node::spec;
use crate::xml::{self, Code};

use super::workflow::current_version;

/// A definition with missing prerequisites, and what is needed to say where it names them.
pub struct Doubt {
    bundle: Arc<Bundle>,
    /// How the text is called in diagnostics.
    path: String,
    zone: Zone,
    known: BTreeSet<String>,
}

/// Prerequisites that no loaded workflow is.
pub fn missing<'a>(state: &'a State, definition: &'a Definition) -> impl Iterator<Item = &'a WorkflowName> {
    let prerequisites = definition.coordinator.iter().flat_map(|coordinator| &coordinator.prerequisites);
    prerequisites.map(|prerequisite| &prerequisite.workflow).filter(|name| state.workflow(name).is_none())
}

/// The names of all workflows that are not deleted.
pub fn known(state: &State) -> BTreeSet<String> {
    let live = state.workflows.values().filter(|workflow| workflow.removed.is_none());
    live.map(|workflow| workflow.name.to_string()).collect()
}

/// `None`: all of its prerequisites are there.
pub fn doubt(state: &State, workflow: &Workflow) -> Option<Doubt> {
    let version = current_version(state, workflow)?;
    missing(state, version.definition()).next()?;
    let path = workflow.origin.as_ref().map(|origin| origin.path.clone()).or_else(|| version.bundle.path.clone());
    Some(Doubt {
        bundle: version.bundle.clone(),
        path: path.unwrap_or_else(|| workflow.name.to_string()),
        zone: state.cluster.zone,
        known: known(state),
    })
}

impl Doubt {
    /// Reads the text again: not while the state is locked.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let input = xml::Input {
            zone: self.zone,
            known_workflows: Some(&self.known),
            ..xml::Input::new(self.bundle.text.as_bytes(), &self.path, spec::all())
        };
        let mut found = xml::read(&input).diagnostics;
        found.retain(|diagnostic| diagnostic.code == Code::UnknownPrerequisite.word());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::definition::{hash_of, pack};
    use crate::engine::{Event, EventKind};
    use crate::model::id::{Principal, VersionNumber};
    use crate::model::time::Timestamp;

    fn load(state: &mut State, name: &str, after: &str) {
        let depends = if after.is_empty() { String::new() } else { format!("<workflow name=\"{after}\"/>") };
        let text = format!(
            "<work-flow name=\"{name}\">\n<coordinator><depend-list>{depends}</depend-list></coordinator>\n\
             <start name=\"s\" to=\"a\"/><action name=\"a\"><exec program=\"true\"/><ok to=\"e\"/></action><end name=\"e\"/></work-flow>"
        );
        let outcome = xml::read(&xml::Input::new(text.as_bytes(), "x.xml", spec::all()));
        assert_eq!(outcome.diagnostics, [], "nothing is kept with the definition");
        let bundle = Bundle { text, path: None, definition: outcome.definition.unwrap(), files: Vec::new() };
        let mut chunks = Vec::new();
        for (hash, bytes) in pack(&bundle) {
            chunks.push(hash.clone());
            apply(state, EventKind::ChunkStored { hash, bytes });
        }
        let workflow = WorkflowName::from(name);
        let version = state.workflows.get(&workflow).map_or(VersionNumber(1), |workflow| workflow.current.next());
        let content = hash_of(bundle.text.as_bytes());
        let by = Principal::from("user:li");
        apply(state, EventKind::DefinitionAdded { workflow, version, content, chunks, origin: None, by });
    }

    fn apply(state: &mut State, kind: EventKind) {
        state.apply(&Event { at: Timestamp(1), kind }).unwrap();
    }

    #[test]
    fn a_missing_prerequisite_is_doubted_with_its_place_until_it_is_loaded() {
        let mut state = State::default();
        load(&mut state, "sum", "laod");
        let doubted = |state: &State| doubt(state, &state.workflows[&WorkflowName::from("sum")]);
        let warnings = doubted(&state).unwrap().warnings();
        assert_eq!(warnings.len(), 1);
        assert_eq!((warnings[0].code.as_str(), warnings[0].line), ("RF-C0110", 2));
        assert_eq!(warnings[0].severity, crate::model::diagnostic::Severity::Warning);
        assert!(warnings[0].message.english().contains("laod"));
        load(&mut state, "load", "");
        assert_eq!(doubted(&state).unwrap().warnings()[0].hint.as_ref().unwrap().english(), "did you mean \"load\"?");
        load(&mut state, "sum", "load");
        assert!(doubted(&state).is_none());
        apply(&mut state, EventKind::WorkflowRemoved { workflow: "load".into(), by: Principal::from("user:li") });
        assert!(doubted(&state).is_some(), "it was deleted");
    }
}
