//! Text of a definition to a `Definition`, with every fault at its place.
//!
//! Owns reading (encodings, XML, words, values, the graph), diagnostics' codes, and the XSD and word lists
//! made from the same tables. Touches no file, no clock and no cluster; action words come in as specs. Start
//! reading at `read`; the words are in `grammar`, the codes in `code`.

mod body;
mod code;
mod compat;
mod coordinator;
mod former;
pub mod grammar;
mod graph;
mod manual;
mod node;
mod param;
mod read;
mod reference;
mod scan;
mod sink;
mod source;
mod tag;
mod template;
mod tree;
mod value;
mod workflow;
mod xsd;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

pub use self::code::Code;
pub use self::compat::switches_that_matter;
use self::graph::Graph;
pub use self::manual::words;
use self::read::Reader;
use self::scan::scan;
pub use self::scan::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, DEPTH_MAX, FILE_BYTES_MAX};
pub use self::sink::FAULTS_MAX;
use self::sink::{Fault, Sink};
use self::source::{Source, Span, decode};
use self::template::{Place, Scope};
use self::tree::Element;
pub use self::xsd::xsd;
use crate::model::action::ActionSpec;
use crate::model::definition::Definition;
pub use crate::model::diagnostic::{Diagnostic, Severity, n_errors, render};
use crate::model::fault::nearest;
use crate::model::message::Message;
use crate::model::schedule::Zone;
use crate::model::time::Timestamp;
use crate::say;

/// One file, and what it is read against.
pub struct Input<'a> {
    pub bytes: &'a [u8],
    /// Shown in diagnostics.
    pub file: &'a str,
    pub specs: &'a [&'static ActionSpec],
    /// The cluster's zone, for times of a file that names none.
    pub zone: Zone,
    /// For times that are past; `None` when nobody asks.
    pub now: Option<Timestamp>,
    /// The workflows there are, by name; `None` when that is not known.
    pub known_workflows: Option<&'a BTreeSet<String>>,
    pub purpose: Purpose,
    /// What is wrong with a file of the definition, by the path that is written; `None` when nobody looks.
    pub files: Option<&'a FileLook<'a>>,
}

pub type FileLook<'a> = dyn Fn(&str) -> Result<(), Message> + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// From a directory, where files come in any order: a missing prerequisite is a warning.
    Load,
    /// On request: stricter, with remarks about akkaflow's ways.
    Check,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Present exactly when there is no error.
    pub definition: Option<Definition>,
    /// The root's `name`, whatever else is wrong: tells whose errors these are.
    pub name: Option<String>,
    /// In the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// False when the text ends early: somebody may still be writing it.
    pub is_complete: bool,
}

impl<'a> Input<'a> {
    /// For loading, without knowledge of other workflows.
    pub fn new(bytes: &'a [u8], file: &'a str, specs: &'a [&'static ActionSpec]) -> Self {
        Self {
            bytes,
            file,
            specs,
            zone: Zone::UTC,
            now: None,
            known_workflows: None,
            purpose: Purpose::Load,
            files: None,
        }
    }
}

/// Reads a definition and collects all of its faults.
pub fn read(input: &Input<'_>) -> Outcome {
    if input.bytes.len() > FILE_BYTES_MAX {
        return too_large(input);
    }
    let (text, fault) = decode(input.bytes);
    let source = Source::new(text);
    let sink = Sink::new(&source, input.file);
    if let Some(fault) = fault {
        let end = source.text.len();
        sink.push(Fault::new(Code::Encoding, Span::new(end, end), fault.message).maybe_hint(fault.hint));
        return Outcome { definition: None, name: None, diagnostics: sink.finish(), is_complete: !fault.is_at_end };
    }
    let scanned = scan(&sink);
    let name = scanned.root.as_ref().and_then(|root| workflow::value(root, "name"));
    let n_broken = sink.n_errors();
    // What a half of a file lacks says nothing.
    let root = scanned.root.as_ref().filter(|_| scanned.is_complete);
    let definition = root.and_then(|root| read_root(input, &sink, root, n_broken == 0));
    let definition = definition.filter(|_| sink.n_errors() == 0);
    Outcome { definition, name, diagnostics: sink.finish(), is_complete: scanned.is_complete }
}

/// The text of a definition's bytes, decoded as `read` decodes them; what cannot be decoded is replaced.
pub fn text_of(bytes: &[u8]) -> String {
    decode(bytes).0.to_string()
}

/// Does the text go to its end? A file for which it does not may still be being written.
pub fn is_complete(bytes: &[u8]) -> bool {
    if bytes.len() > FILE_BYTES_MAX {
        return true;
    }
    let (text, fault) = decode(bytes);
    if let Some(fault) = fault {
        return !fault.is_at_end;
    }
    let source = Source::new(text);
    scan(&Sink::new(&source, "")).is_complete
}

fn read_root(input: &Input<'_>, sink: &Sink<'_>, root: &Element<'_>, is_well_formed: bool) -> Option<Definition> {
    if !grammar::ROOTS.contains(&root.name) {
        sink.push(wrong_root(root));
        return None;
    }
    let graph = Graph::of(root);
    let reader = Reader {
        sink,
        is_well_formed,
        specs: input.specs,
        is_strict: workflow::value(root, "schema").is_some_and(|schema| schema == "1"),
        known_workflows: input.known_workflows,
        is_check: input.purpose == Purpose::Check,
        files: input.files,
        zone: input.zone,
        now: input.now,
        scope: Scope {
            graph: &graph,
            prerequisites: coordinator::prerequisite_names(root),
            has_times: coordinator::has_times(root),
            compat: workflow::compat(root),
            place: Cell::new(Place::Creation),
            param_uses: RefCell::default(),
            remarks: RefCell::default(),
        },
    };
    reader.workflow(root)
}

fn wrong_root(root: &Element<'_>) -> Fault {
    if grammar::ROOTS_NOT_BUILT.contains(&root.name) {
        let message = say!("files of kind <{}> are not in this build", root.name);
        return Fault::new(Code::NotBuilt, root.name_span, message);
    }
    let message = say!("the root element is <{}>, not <work-flow>", root.name);
    let hint = match nearest(root.name, grammar::ROOTS.iter().copied()) {
        Some(near) => say!("did you mean \"{}\"?", near),
        None => say!("a workflow's file begins with <work-flow name=\"…\">"),
    };
    Fault::new(Code::Root, root.name_span, message).hint(former::root_hint(root.name).unwrap_or(hint))
}

fn too_large(input: &Input<'_>) -> Outcome {
    let source = Source::new(String::new());
    let sink = Sink::new(&source, input.file);
    let message = say!("the file has {} bytes; at most {} are read", input.bytes.len(), FILE_BYTES_MAX);
    sink.push(Fault::new(Code::FileTooLarge, Span::new(0, 0), message));
    Outcome { definition: None, name: None, diagnostics: sink.finish(), is_complete: true }
}
