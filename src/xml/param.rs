//! `<param-list>`: declarations in document order, and what refers to them.

use std::collections::{HashMap, HashSet};

use super::code::Code;
use super::read::Reader;
use super::sink::Fault;
use super::source::Span;
use super::template::Place;
use super::tree::Element;
use super::workflow::value as text_of;
use crate::model::action::TextContext;
use crate::model::fault::nearest;
use crate::model::parameter::{About, ParamDeclaration, ValueType, variable, variable_problem};
use crate::model::policy::{parse_bool, parse_list};
use crate::say;

/// The parameters of a file: a later declaration of a name replaces the earlier.
pub(super) struct Params {
    declarations: Vec<ParamDeclaration>,
}

impl Params {
    /// Those of the coordinator that is used and those of the root, in the order of the file.
    pub fn read(reader: &Reader<'_>, root: &Element<'_>, coordinator: Option<&Element<'_>>) -> Self {
        let mut lists: Vec<&Element<'_>> = root.elements().filter(|child| child.name == "param-list").collect();
        lists.extend(coordinator.iter().flat_map(|element| element.elements()).filter(|e| e.name == "param-list"));
        lists.sort_by_key(|list| list.span);
        let mut params = Self { declarations: Vec::new() };
        let mut places: HashMap<String, Span> = HashMap::new();
        let elements = lists.iter().flat_map(|list| list.elements()).filter(|element| element.name == "param");
        for element in elements {
            let Some(declaration) = reader.at(Place::Creation, || declaration(reader, element)) else { continue };
            if let Some(before) = places.insert(declaration.name.clone(), element.span) {
                let (line, column) = reader.sink.source.place(before.start);
                let message = say!("parameter \"{}\" is declared twice: this one counts", declaration.name);
                let fault = Fault::new(Code::DuplicateParam, element.span, message);
                reader.push(fault.note(say!("first declared at {}:{}", line, column)));
                params.declarations.retain(|other| other.name != declaration.name);
            }
            params.declarations.push(declaration);
        }
        params.check_order(reader, &places);
        let lists = lists.iter().flat_map(|list| list.elements());
        lists.filter(|element| element.name == "param").for_each(|param| params.check_bare(reader, param));
        params.check_variables(reader, &places);
        params
    }

    /// Parameters whose environment variables nobody could tell apart. That a Chinese name has none is usual, and
    /// told in the log of a task.
    fn check_variables(&self, reader: &Reader<'_>, places: &HashMap<String, Span>) {
        let mut users: HashMap<String, Vec<&str>> = HashMap::new();
        for declaration in &self.declarations {
            users.entry(variable(&declaration.name)).or_default().push(&declaration.name);
        }
        for name in self.declarations.iter().map(|declaration| &declaration.name) {
            let same = users.get(&variable(name)).map_or(&[][..], Vec::as_slice);
            let has_letter = name.contains(|c: char| c.is_ascii_alphabetic());
            let problem = variable_problem(name, same).filter(|_| has_letter);
            let (Some(problem), Some(span)) = (problem, places.get(name)) else { continue };
            let message = say!("parameter \"{}\" has no environment variable: {}", name, problem);
            reader.push(Fault::new(Code::NoVariable, *span, message));
        }
    }

    /// Pushes what `check` says of parameters that take any text from callers.
    pub fn push_remarks(&self, reader: &Reader<'_>) {
        // What is not declared a caller may give, but for strict files.
        let is_open = |name: &str| self.get(name).map_or(!reader.is_strict, ParamDeclaration::is_open);
        for (remark, span) in reader.scope.remarks.take() {
            let is_meant = match &remark.about {
                About::Param(name) => is_open(name),
                About::Variable(wanted) => {
                    let mut named =
                        self.declarations.iter().filter(|declaration| variable(&declaration.name) == *wanted);
                    named.next().map_or(!reader.is_strict, ParamDeclaration::is_open)
                }
            };
            if is_meant {
                reader.push(Fault::new(Code::OddTemplate, span, remark.fault.message).maybe_hint(remark.fault.hint));
            }
        }
    }

    pub fn into_declarations(self) -> Vec<ParamDeclaration> {
        self.declarations
    }

    pub fn get(&self, name: &str) -> Option<&ParamDeclaration> {
        self.declarations.iter().find(|declaration| declaration.name == name)
    }

    /// A value may use earlier parameters only: of others it would get what a caller gave, or nothing.
    fn check_order(&self, reader: &Reader<'_>, places: &HashMap<String, Span>) {
        let mut earlier: HashSet<&str> = HashSet::new();
        for declaration in &self.declarations {
            for name in declaration.value.iter().flat_map(|value| value.params()) {
                let Some(span) = places.get(&declaration.name).filter(|_| places.contains_key(name)) else { continue };
                if !earlier.contains(name) {
                    let own = &declaration.name;
                    let message = say!("parameter \"{}\" uses \"{}\", which is not declared before it", own, name);
                    reader.push_by_schema(Fault::new(Code::UndeclaredParam, *span, message));
                }
            }
            earlier.insert(&declaration.name);
        }
    }

    /// `value="/log/${day}"`, as akkaflow's documentation writes it: akkaflow has never replaced it.
    fn check_bare(&self, reader: &Reader<'_>, param: &Element<'_>) {
        let Some(value) = param.attribute("value").map(|attribute| &attribute.value) else { return };
        for (at, _) in value.value.match_indices("${") {
            let behind = &value.value[at + 2..];
            let Some(name) = behind.find('}').map(|end| &behind[..end]).filter(|name| self.get(name).is_some()) else {
                continue;
            };
            let message = say!("{} stays as it is here", format!("${{{name}}}"));
            let hint = say!("write {} instead of {}", format!("${{param:{name}}}"), format!("${{{name}}}"));
            let span = value.locate(at..at + name.len() + 3);
            reader.push(Fault::new(Code::OddTemplate, span, message).hint(hint));
        }
    }

    /// In strict files a caller cannot give what is not declared, so such a form could never resolve.
    pub fn check_uses(&self, reader: &Reader<'_>) {
        if !reader.is_strict {
            return;
        }
        for used in reader.scope.param_uses.borrow().iter() {
            if self.get(&used.name).is_some() {
                continue;
            }
            let message = say!("parameter \"{}\" is not declared", used.name);
            let hint = match nearest(&used.name, self.declarations.iter().map(|d| d.name.as_str())) {
                Some(near) => say!("did you mean \"{}\"?", near),
                None => say!("add <param name=\"{}\" required=\"true\"/> to a <param-list>", used.name),
            };
            reader.push(Fault::new(Code::UndeclaredParam, used.span, message).hint(hint));
        }
    }
}

fn declaration(reader: &Reader<'_>, element: &Element<'_>) -> Option<ParamDeclaration> {
    let name = text_of(element, "name")?;
    let value = element.attribute("value").map(|value| reader.quiet(&value.value.value, TextContext::Plain));
    let declaration = ParamDeclaration {
        value,
        kind: text_of(element, "type").and_then(|word| ValueType::from_word(&word)).unwrap_or(ValueType::String),
        required: text_of(element, "required").and_then(|text| parse_bool(&text).ok()).unwrap_or(false),
        min: text_of(element, "min"),
        max: text_of(element, "max"),
        pattern: text_of(element, "pattern"),
        choices: text_of(element, "choices").and_then(|text| parse_list(&text).ok()).unwrap_or_default(),
        label: text_of(element, "label"),
        description: text_of(element, "desc"),
        order: text_of(element, "order").and_then(|text| text.parse().ok()),
        external: text_of(element, "external").as_deref() != Some("deny"),
        verbatim: text_of(element, "splice").as_deref() == Some("verbatim"),
        ..ParamDeclaration::string(name, None)
    };
    let mut faults = declaration.faults();
    // The shape of a pattern is checked with the attribute itself.
    faults.retain(|fault| fault.attribute != "pattern");
    for fault in faults {
        let span = element.attribute(fault.attribute).map_or(element.span, |attribute| attribute.value.trimmed_span());
        let message = say!("parameter \"{}\": {}", declaration.name, fault.message);
        reader.push(Fault::new(Code::BadParam, span, message).maybe_hint(fault.hint));
    }
    Some(declaration)
}
