//! The words of every action type: one const `ActionSpec` each, one row here.
//!
//! Owns what may be written inside an action's type element and what is wrong about it; the XML reader, the
//! XSD and the manual are driven by these tables. Must not run anything. A new type is a file and a row.

mod data;
mod file;
mod mail;
mod process;
mod remote;
mod transfer;
mod web;

use crate::model::action::{
    ActionSpec, AttributeSpec, BodyElement, BodyFault, ElementSpec, Occurs, TextContext, TextSpec, ValueShape,
};
use crate::model::attachment::{NamedFile, base_name};
use crate::model::message::Message;
use crate::model::parameter::Template;
use crate::say;

/// Every action type, akkaflow's nine, `exec`, `http` and `ssh`, in the order of the manual.
pub fn all() -> &'static [&'static ActionSpec] {
    &[
        &process::SCRIPT,
        &process::SHELL,
        &process::EXEC,
        &process::FILE_EXECUTOR,
        &data::SQL,
        &transfer::TRANSFER,
        &data::DATA_MONITOR,
        &data::METADATA,
        &file::FILE_MONITOR,
        &mail::EMAIL,
        &web::HTTP,
        &remote::SSH,
    ]
}

/// The spec of the type that is written `word`.
pub fn find(word: &str) -> Option<&'static ActionSpec> {
    all().iter().copied().find(|spec| spec.element.word == word)
}

const fn attribute(
    word: &'static str,
    shape: ValueShape,
    default: Option<&'static str>,
    context: TextContext,
    doc: &'static str,
) -> AttributeSpec {
    AttributeSpec { word, shape, is_required: false, default, context, doc }
}

const fn required(word: &'static str, shape: ValueShape, context: TextContext, doc: &'static str) -> AttributeSpec {
    AttributeSpec { word, shape, is_required: true, default: None, context, doc }
}

/// An element that holds text alone.
const fn leaf(word: &'static str, occurs: Occurs, text: TextSpec, doc: &'static str) -> ElementSpec {
    ElementSpec { word, occurs, attributes: &[], children: &[], text, doc }
}

pub(super) const ATTACH_LIST: ElementSpec = ElementSpec {
    word: "attach-list",
    occurs: Occurs::Optional,
    attributes: &[],
    children: &[leaf("file", Occurs::OneOrMore, TextSpec::Required(TextContext::Authority), FILE_DOC)],
    text: TextSpec::None,
    doc: "Files that lie beside the script when it runs.",
};

pub(super) const ATTACH_FILE: ElementSpec = leaf(
    "attach-file",
    Occurs::Many,
    TextSpec::Required(TextContext::Authority),
    "The same as a <file> of <attach-list>.",
);

const FILE_DOC: &str = "Path of a file that is copied into the attempt's work directory under its base name. A relative one is looked for beside the definition, then from the top of xmlconfig; it belongs to the version and travels with it. An absolute one is read on the worker's host when the node runs.";

fn no_files(_: &BodyElement<Template>) -> Vec<NamedFile> {
    Vec::new()
}

/// Of `<attach-list>` and `<attach-file>`.
fn listed_files(body: &BodyElement<Template>) -> Vec<NamedFile> {
    let mut files = Vec::new();
    let mut add = |at: Vec<usize>, element: &BodyElement<Template>| {
        if let Some(text) = &element.text {
            files.push(NamedFile { at, path: text.source.trim().to_owned() });
        }
    };
    for (at, child) in body.children.iter().enumerate() {
        if child.word == ATTACH_LIST.word {
            child.children.iter().enumerate().for_each(|(inner, file)| add(vec![at, inner], file));
        } else if child.word == ATTACH_FILE.word {
            add(vec![at], child);
        }
    }
    files
}

/// In the work directory each has its base name.
fn check_files(files: Vec<NamedFile>, taken: &[&str]) -> Vec<BodyFault> {
    let mut names: Vec<&str> = taken.to_vec();
    let mut faults = Vec::new();
    for file in &files {
        let Some(name) = base_name(&file.path).filter(|name| !name.contains("${")) else { continue };
        if names.contains(&name) {
            let message = say!("two files of the action would both be called {}", name);
            faults.push(fault(&file.at, None, message, Some(say!("give one of them another name"))));
        }
        names.push(name);
    }
    faults
}

fn no_more_rules(_: &BodyElement<Template>) -> Vec<BodyFault> {
    Vec::new()
}

fn fault(path: &[usize], attribute: Option<&str>, message: Message, hint: Option<Message>) -> BodyFault {
    BodyFault { path: path.to_vec(), attribute: attribute.map(str::to_owned), message, hint }
}

/// The attribute's text when it is constant: rules about it wait for rendering otherwise.
fn constant<'a>(element: &'a BodyElement<Template>, attribute: &str) -> Option<&'a str> {
    let source = element.attribute(attribute)?.source.trim();
    if source.contains("${") { None } else { Some(source) }
}

fn is_blank(element: &BodyElement<Template>, attribute: &str) -> bool {
    element.attribute(attribute).is_none_or(|value| value.source.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_row() {
        let words: Vec<_> = all().iter().map(|spec| spec.element.word).collect();
        let unique: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(unique.len(), words.len());
        assert!(find("script").is_some());
        assert!(find("docker").is_none());
    }
}
