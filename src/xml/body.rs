//! What stands inside an action's type element: checked against its `ActionSpec`, read into a tree of templates.

use super::code::Code;
use super::former;
use super::read::Reader;
use super::sink::Fault;
use super::source::Span;
use super::tree::{Child, Element, Text};
use crate::model::action::{ActionBody, ActionSpec, BodyElement, BodyFault, ElementSpec, TextContext, TextSpec};
use crate::model::attachment::FilePlace;
use crate::model::parameter::{Filter, Template};
use crate::say;

impl Reader<'_> {
    pub fn check_body(&self, element: &Element<'_>, spec: &'static ActionSpec) {
        let n_before = self.sink.n_errors();
        self.element(element, &spec.element);
        // Rules about the whole only make sense of parts that are right.
        if self.sink.n_errors() == n_before {
            for fault in (spec.check)(&self.element_of(element, &spec.element)) {
                self.push_body(element, &spec.element, fault);
            }
        }
        self.check_files(element, spec);
        if spec.element.word == "script" {
            self.check_interpreter(element);
            if self.is_check && !self.is_strict {
                self.check_trim(element);
            }
        }
    }

    /// The files that the action names: what their paths mean, and whether they are there.
    fn check_files(&self, element: &Element<'_>, spec: &'static ActionSpec) {
        for file in (spec.files)(&self.element_of(element, &spec.element)) {
            let found = match FilePlace::of(&file.path) {
                // Its text is missing, which is told.
                _ if file.path.is_empty() => continue,
                Err(fault) => Err(fault),
                Ok(FilePlace::Definition(_)) => self.files.map_or(Ok(()), |look| look(&file.path)),
                Ok(FilePlace::Worker | FilePlace::Late) => Ok(()),
            };
            let Err(message) = found else { continue };
            let (at, _) = descend(element, &spec.element, &file.at);
            let hint = say!(
                "a relative path is looked for beside the definition, then from the top of xmlconfig; an absolute one is read on the worker's host"
            );
            self.push(Fault::new(Code::AttachedFile, at.text().trimmed_span(), message).hint(hint));
        }
    }

    fn push_body(&self, element: &Element<'_>, spec: &ElementSpec, fault: BodyFault) {
        let (at, _) = descend(element, spec, &fault.path);
        let attribute = fault.attribute.as_deref().and_then(|name| at.attribute(name));
        let span = attribute.map_or(at.span, |attribute| attribute.value.trimmed_span());
        // A type that is read without regard to case is no table's choice.
        let typed = attribute.filter(|attribute| attribute.name == "type");
        let former = typed.and_then(|typed| former::value_hint(&typed.value.value, &["DB", "FILE"]));
        self.push(Fault::new(Code::BodyRule, span, fault.message).maybe_hint(fault.hint).maybe_hint(former));
    }

    pub fn body(&self, element: &Element<'_>, spec: &ActionSpec) -> ActionBody {
        ActionBody { word: spec.element.word.to_owned(), tree: self.element_of(element, &spec.element), is_built: true }
    }

    fn element_of(&self, element: &Element<'_>, spec: &ElementSpec) -> BodyElement<Template> {
        let attributes = element.attributes.iter().filter_map(|attribute| {
            let known = spec.attributes.iter().find(|known| known.word == attribute.name)?;
            Some((attribute.name.to_owned(), self.quiet(&attribute.value.value, known.context)))
        });
        let text = match spec.text {
            TextSpec::None => None,
            TextSpec::Optional(context) | TextSpec::Required(context) => {
                Some(self.quiet(&element.text().value, context))
            }
            TextSpec::Markup(context) => Some(self.quiet(&markup(element), context)),
        };
        let children = match spec.text {
            TextSpec::Markup(_) => Vec::new(),
            TextSpec::None | TextSpec::Optional(_) | TextSpec::Required(_) => {
                known_children(element, spec).map(|(child, known)| self.element_of(child, known)).collect()
            }
        };
        BodyElement { word: spec.word.to_owned(), attributes: attributes.collect(), children, text }
    }

    /// Checks the forms in text whose elements are kept as markup.
    pub fn markup(&self, element: &Element<'_>, spec: &ElementSpec) {
        let TextSpec::Markup(context) = spec.text else { return };
        self.template(&Text::standing_for(markup(element), element.span), context);
    }

    /// The filter sh writes a variable of a shell: another interpreter would read it as something else.
    fn check_interpreter(&self, script: &Element<'_>) {
        let Some(code) = script.named("code").next() else { return };
        let text = code.text();
        let Some(interpreter) = interpreter(&text.value).filter(|name| !SHELLS.contains(&name.as_str())) else {
            return;
        };
        let template = self.quiet(&text.value, TextContext::Shell);
        let mut from = 0;
        for piece in template.forms().filter(|piece| piece.filters.contains(&Filter::Sh)) {
            let at = text.value[from..].find(&piece.raw).map_or(from, |at| from + at);
            from = (at + piece.raw.len()).min(text.value.len());
            let message = say!("the filter sh is for scripts of a shell, and this one is read by {}", interpreter);
            let hint = say!("read the value from the environment: $RF_PARAM_… or an <env>");
            self.push(Fault::new(Code::BadTemplate, text.locate(at..from), message).hint(hint));
        }
    }

    /// akkaflow trims each line of a script and drops blank ones, unless its first line names python.
    fn check_trim(&self, script: &Element<'_>) {
        let Some(code) = script.named("code").next() else { return };
        let asks = code.attribute("trim").is_some_and(|trim| trim.value.value.trim().eq_ignore_ascii_case("true"));
        let is_compat = self.scope.compat.contains(&crate::model::definition::Compat::ScriptTrim);
        if asks || is_compat || !trim_matters(&code.text().value) {
            return;
        }
        let message = say!("akkaflow trims each line of a script; here only the common indent is removed");
        let fault = Fault::new(Code::ScriptTrim, code.span, message);
        self.push(fault.hint(say!("<code trim=\"true\"> trims as akkaflow does")));
    }
}

/// Would akkaflow's trimming make another script of this one?
pub(super) fn trim_matters(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    let keeps = first.to_lowercase().contains("python");
    // Only inside a here-document does a shell look at blanks before a line.
    !keeps && text.contains("<<") && has_inner_indent(text)
}

/// Shells that read `${RF_V1}` as a variable.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "busybox"];

/// The program that `#!` names, if any; a form in that line may name any.
fn interpreter(text: &str) -> Option<String> {
    let named = text.trim_start().lines().next()?.strip_prefix("#!")?;
    let mut words = named.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or_default());
    let program = words.next()?;
    let program = match program {
        "env" => words.find(|word| !word.starts_with('-') && !word.contains('='))?,
        program => program,
    };
    (!named.contains("${")).then(|| program.to_owned())
}

fn has_inner_indent(text: &str) -> bool {
    super::workflow::dedent(text).lines().any(|line| line.starts_with([' ', '\t']) || line.is_empty())
}

/// The element that a path of indices leads to.
fn descend<'e, 's>(
    element: &'e Element<'s>,
    spec: &'e ElementSpec,
    path: &[usize],
) -> (&'e Element<'s>, &'e ElementSpec) {
    let (mut at, mut known) = (element, spec);
    for index in path {
        let Some((child, child_spec)) = known_children(at, known).nth(*index) else { break };
        (at, known) = (child, child_spec);
    }
    (at, known)
}

/// The children that the spec knows, in document order: what a `BodyElement` holds.
fn known_children<'e, 's>(
    element: &'e Element<'s>,
    spec: &'e ElementSpec,
) -> impl Iterator<Item = (&'e Element<'s>, &'e ElementSpec)> {
    element.elements().filter_map(|child| Some((child, spec.children.iter().find(|known| known.word == child.name)?)))
}

/// The inside of an element as text: with elements in it as markup, else as it reads.
fn markup(element: &Element<'_>) -> String {
    if element.elements().next().is_none() {
        return element.text().value.into_owned();
    }
    let mut text = String::new();
    write_inside(element, &mut text);
    text.trim().to_owned()
}

/// Depth is bounded by the scanner.
fn write_inside(element: &Element<'_>, out: &mut String) {
    for child in &element.children {
        match child {
            Child::Text(text) => escape(&text.value, out),
            Child::Element(child) => {
                out.push('<');
                out.push_str(child.name);
                for attribute in &child.attributes {
                    out.push(' ');
                    out.push_str(attribute.name);
                    out.push_str("=\"");
                    escape(&attribute.value.value, out);
                    out.push('"');
                }
                if child.children.is_empty() {
                    out.push_str("/>");
                } else {
                    out.push('>');
                    write_inside(child, out);
                    out.push_str("</");
                    out.push_str(child.name);
                    out.push('>');
                }
            }
        }
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
}

impl Text<'_> {
    /// A text made of something else in the file.
    fn standing_for(value: String, span: Span) -> Text<'static> {
        let mut text = Text::empty(span);
        text.push_decoded(&value, span);
        text
    }
}
