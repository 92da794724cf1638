//! The XSD for editors, made from the words that the reader uses.
//!
//! It knows words, required attributes and constant values; it is looser than the reader where XSD 1.0 cannot
//! say a rule (how often, which target exists), and accepts akkaflow's files.

use super::grammar;
use crate::model::action::{ActionSpec, AttributeSpec, ElementSpec, TextContext, TextSpec, ValueShape};

/// The schema of definitions with these action types.
pub fn xsd(specs: &[&ActionSpec]) -> String {
    let mut out = Writer { text: String::new(), depth: 0, specs };
    out.line("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    out.line("<!-- Made from the tables that the reader uses; a test keeps it so. -->");
    out.open("<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" elementFormDefault=\"qualified\">");
    for root in grammar::ROOTS {
        out.element(&ElementSpec { word: root, ..grammar::WORKFLOW });
    }
    for (name, pattern) in TYPES {
        out.simple_type(name, pattern);
    }
    out.close("</xs:schema>");
    out.text
}

/// Named types with their patterns; named apart from those of XSD itself. XSD patterns match the whole value.
const TYPES: &[(&str, &str)] = &[
    ("form-value", r"[\s\S]*\$\{[\s\S]*\}[\s\S]*"),
    ("text-value", r"[\s\S]*\S[\s\S]*"),
    ("name-value", r"\s*[^\s/]([^/]*[^\s/])?\s*"),
    ("bool-value", r"\s*([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])\s*"),
    ("blank-bool-value", r"\s*([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])?\s*"),
    ("integer-value", r"\s*-?[0-9]+\s*"),
    ("tenths-value", r"\s*[0-9]+(\.[0-9])?\s*"),
    ("percent-value", r"\s*[0-9]+\s*%\s*"),
    ("duration-value", r"\s*([0-9]+|([0-9]+\s*(w|d|h|m|s|ms)\s*)+)\s*"),
    ("optional-duration-value", r"\s*(-1|[0-9]+|([0-9]+\s*(w|d|h|m|s|ms)\s*)+)\s*"),
    ("size-value", r"\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtT]?[bB]|[kKmMgGtT])\s*"),
    ("datetime-value", r"\s*[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}[ T]\s*[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}\s*"),
    ("exit-codes-value", r"\s*[0-9]+(\s*-\s*[0-9]+)?\s*(,\s*[0-9]+(\s*-\s*[0-9]+)?\s*)*"),
];

struct Writer<'a> {
    text: String,
    depth: usize,
    specs: &'a [&'a ActionSpec],
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn open(&mut self, line: &str) {
        self.line(line);
        self.depth += 1;
    }

    fn close(&mut self, line: &str) {
        self.depth -= 1;
        self.line(line);
    }

    fn doc(&mut self, doc: &str) {
        self.line(&format!("<xs:annotation><xs:documentation>{}</xs:documentation></xs:annotation>", escape(doc)));
    }

    fn element(&mut self, spec: &ElementSpec) {
        self.open(&format!("<xs:element name=\"{}\">", spec.word));
        self.doc(spec.doc);
        let is_mixed = !matches!(spec.text, TextSpec::None);
        self.open(if is_mixed { "<xs:complexType mixed=\"true\">" } else { "<xs:complexType>" });
        match (spec.text, spec.word) {
            (TextSpec::Markup(_), _) => {
                self.open("<xs:sequence>");
                self.line("<xs:any minOccurs=\"0\" maxOccurs=\"unbounded\" processContents=\"skip\"/>");
                self.close("</xs:sequence>");
            }
            (_, "action") => self.action(spec),
            _ if spec.children.is_empty() => {}
            _ => self.choice(spec),
        }
        for attribute in spec.attributes {
            self.attribute(attribute);
        }
        if spec.attributes.iter().all(|attribute| attribute.word != "desc") {
            self.line("<xs:attribute name=\"desc\" type=\"xs:string\"/>");
        }
        self.close("</xs:complexType>");
        self.close("</xs:element>");
    }

    fn choice(&mut self, spec: &ElementSpec) {
        self.open("<xs:choice minOccurs=\"0\" maxOccurs=\"unbounded\">");
        spec.children.iter().for_each(|child| self.element(child));
        self.close("</xs:choice>");
    }

    /// The type first, then the rest in any order.
    fn action(&mut self, spec: &ElementSpec) {
        self.open("<xs:sequence>");
        self.open("<xs:choice>");
        for spec in self.specs {
            self.element(&spec.element);
        }
        self.close("</xs:choice>");
        self.choice(spec);
        self.close("</xs:sequence>");
    }

    fn attribute(&mut self, spec: &AttributeSpec) {
        let required = if spec.is_required { " use=\"required\"" } else { "" };
        let member = member(spec);
        let is_form = spec.context != TextContext::Constant && member != "xs:string";
        let words = words(spec.shape);
        let named = match (words, is_form) {
            (None, false) => format!(" type=\"{member}\""),
            _ => String::new(),
        };
        self.open(&format!("<xs:attribute name=\"{}\"{named}{required}>", spec.word));
        self.doc(&match spec.default {
            Some(default) if !default.trim().is_empty() => format!("{} Default: {default}.", spec.doc),
            _ => spec.doc.to_owned(),
        });
        if named.is_empty() {
            self.open("<xs:simpleType>");
            match (words, is_form) {
                (Some(words), false) => self.words(words),
                (Some(words), true) => {
                    self.open("<xs:union memberTypes=\"form-value\">");
                    self.open("<xs:simpleType>");
                    self.words(words);
                    self.close("</xs:simpleType>");
                    self.close("</xs:union>");
                }
                (None, _) => self.line(&format!("<xs:union memberTypes=\"form-value {member}\"/>")),
            }
            self.close("</xs:simpleType>");
        }
        self.close("</xs:attribute>");
    }

    /// Tokens, so that blanks around a word do not count.
    fn words(&mut self, words: &[&str]) {
        self.open("<xs:restriction base=\"xs:token\">");
        words.iter().for_each(|word| self.line(&format!("<xs:enumeration value=\"{word}\"/>")));
        self.close("</xs:restriction>");
    }

    fn simple_type(&mut self, name: &str, pattern: &str) {
        self.open(&format!("<xs:simpleType name=\"{name}\">"));
        self.open("<xs:restriction base=\"xs:string\">");
        self.line(&format!("<xs:pattern value=\"{}\"/>", escape(pattern)));
        self.close("</xs:restriction>");
        self.close("</xs:simpleType>");
    }
}

fn words(shape: ValueShape) -> Option<&'static [&'static str]> {
    match shape {
        ValueShape::Choice(words) => Some(words),
        ValueShape::Text
        | ValueShape::AnyText
        | ValueShape::Name
        | ValueShape::Bool
        | ValueShape::BlankBool
        | ValueShape::Integer { .. }
        | ValueShape::Tenths { .. }
        | ValueShape::Percent { .. }
        | ValueShape::Duration
        | ValueShape::OptionalDuration
        | ValueShape::Size
        | ValueShape::List
        | ValueShape::BlankList
        | ValueShape::Choices { .. }
        | ValueShape::DateTime
        | ValueShape::Zone
        | ValueShape::Shift
        | ValueShape::Cron
        | ValueShape::Seconds
        | ValueShape::ExitCodes
        | ValueShape::Regex => None,
    }
}

fn member(spec: &AttributeSpec) -> &'static str {
    match spec.shape {
        ValueShape::Text if spec.is_required => "text-value",
        ValueShape::Text | ValueShape::AnyText | ValueShape::BlankList => "xs:string",
        ValueShape::Choices { may_be_blank: true, .. } => "xs:string",
        ValueShape::Name => "name-value",
        ValueShape::Bool => "bool-value",
        ValueShape::BlankBool => "blank-bool-value",
        ValueShape::Integer { .. } => "integer-value",
        ValueShape::Tenths { .. } => "tenths-value",
        ValueShape::Percent { .. } => "percent-value",
        ValueShape::Duration => "duration-value",
        ValueShape::OptionalDuration => "optional-duration-value",
        ValueShape::Size => "size-value",
        ValueShape::DateTime => "datetime-value",
        ValueShape::ExitCodes => "exit-codes-value",
        ValueShape::List
        | ValueShape::Choice(_)
        | ValueShape::Choices { .. }
        | ValueShape::Zone
        | ValueShape::Shift
        | ValueShape::Cron
        | ValueShape::Seconds
        | ValueShape::Regex => "text-value",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
