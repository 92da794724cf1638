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
    ActionSpec, AttributeSpec, BodyElement, BodyFault, ElementSpec, NotBuilt, Occurs, TextContext, TextSpec, ValueShape,
};
use crate::model::message::Message;
use crate::model::parameter::Template;

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

const ATTACH_LIST: ElementSpec = ElementSpec {
    word: "attach-list",
    occurs: Occurs::Optional,
    attributes: &[],
    children: &[leaf(
        "file",
        Occurs::OneOrMore,
        TextSpec::Required(TextContext::Authority),
        "Path of a file that is copied into the attempt's work directory under its base name.",
    )],
    text: TextSpec::None,
    doc: "Files that lie beside the script when it runs.",
};

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
        assert!(find("script").is_some_and(|spec| spec.is_built));
        assert!(find("docker").is_none());
    }
}
