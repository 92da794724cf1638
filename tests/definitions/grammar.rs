//! tests/grammar.tsv: every element and attribute, each valid, missing, blank, bad and Chinese, with its verdict.
//!
//! A row's document is one workflow that holds every word, right, with the one change that the row names. A word
//! without rows fails. `BLESS=1` adds missing rows and records verdicts: look at the difference before keeping it.

use std::collections::BTreeMap;
use std::fmt::Write;

use ractorflow::model::action::{AttributeSpec, ElementSpec, TextSpec, ValueShape};
use ractorflow::node::spec;
use ractorflow::xml::{Severity, grammar};

use crate::{load, path};

const FILE: &str = "tests/grammar.tsv";
const CASES: [&str; 5] = ["valid", "missing", "blank", "bad", "chinese"];

#[test]
fn every_word_has_the_verdict_that_the_table_records() {
    let words = words();
    let is_blessing = std::env::var_os("BLESS").is_some();
    let recorded = std::fs::read_to_string(path(FILE)).unwrap_or_default();
    let mut rows = parse(&recorded);
    if is_blessing {
        rows.retain(|key, _| words.contains_key(&(key.0.clone(), key.1.clone())));
    }
    for ((element, attribute), shape) in &words {
        for case in CASES {
            let key = (element.clone(), attribute.clone(), case.to_owned());
            if is_blessing {
                let value = rows.get(&key).map_or_else(|| sample(shape, case), |row| row.value.clone());
                let (lenient, strict) = verdicts(element, attribute, case, &value);
                rows.insert(key, Row { value, lenient, strict });
            }
        }
    }
    if is_blessing {
        std::fs::write(path(FILE), print(&rows)).unwrap();
    }
    let mut wrong = Vec::new();
    for (element, attribute) in words.keys() {
        for case in CASES {
            let Some(row) = rows.get(&(element.clone(), attribute.clone(), case.to_owned())) else {
                wrong.push(format!("{element} {attribute} has no row for {case}"));
                continue;
            };
            let found = verdicts(element, attribute, case, &row.value);
            if found != (row.lenient.clone(), row.strict.clone()) {
                wrong.push(format!("{element} {attribute} {case} {:?}: found {found:?}", row.value));
            }
        }
    }
    for (element, attribute, case) in rows.keys() {
        if !words.contains_key(&(element.clone(), attribute.clone())) || !CASES.contains(&case.as_str()) {
            wrong.push(format!("{element} {attribute} {case} is no word"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Row {
    value: String,
    lenient: String,
    strict: String,
}

type Rows = BTreeMap<(String, String, String), Row>;

fn parse(text: &str) -> Rows {
    let unescape = |text: &str| text.replace("\\t", "\t").replace("\\n", "\n");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [element, attribute, case, value, lenient, strict] = fields[..] else { panic!("six fields: {line}") };
            let key = (element.to_owned(), attribute.to_owned(), case.to_owned());
            (key, Row { value: unescape(value), lenient: lenient.to_owned(), strict: strict.to_owned() })
        })
        .collect()
}

fn print(rows: &Rows) -> String {
    let mut text =
        "# element\tattribute, or - for the element itself\tcase\tvalue\tverdict when lenient\twhen strict\n\
                    # missing: left out; blank: an attribute of one blank, an element without content;\n\
                    # bad and chinese for an element: <nonsense/> or 中文 inside. Warnings stand in brackets.\n"
            .to_owned();
    let order = |case: &str| CASES.iter().position(|known| *known == case);
    let mut keys: Vec<_> = rows.keys().collect();
    keys.sort_by_key(|(element, attribute, case)| (element.clone(), attribute.clone(), order(case)));
    for key in keys {
        let Row { value, lenient, strict } = &rows[key];
        let value = value.replace('\t', "\\t").replace('\n', "\\n");
        let (element, attribute, case) = key;
        writeln!(text, "{element}\t{attribute}\t{case}\t{value}\t{lenient}\t{strict}").unwrap();
    }
    text
}

/// What a word is, for samples: an attribute's shape or an element's text.
enum Shape {
    Attribute(AttributeSpec),
    Element,
}

fn words() -> BTreeMap<(String, String), Shape> {
    let mut words = BTreeMap::new();
    collect(&mut words, &grammar::WORKFLOW, "");
    for spec in spec::all() {
        collect(&mut words, &spec.element, "work-flow/action/");
    }
    words
}

fn collect(words: &mut BTreeMap<(String, String), Shape>, spec: &ElementSpec, parent: &str) {
    let element = format!("{parent}{}", spec.word);
    words.insert((element.clone(), "-".to_owned()), Shape::Element);
    for attribute in spec.attributes {
        words.insert((element.clone(), attribute.word.to_owned()), Shape::Attribute(*attribute));
    }
    for child in spec.children {
        collect(words, child, &format!("{element}/"));
    }
}

fn sample(shape: &Shape, case: &str) -> String {
    let Shape::Attribute(spec) = shape else { return String::new() };
    let (valid, bad) = match spec.shape {
        ValueShape::Text if matches!(spec.word, "min" | "max") => ("3", "three"),
        ValueShape::Text if spec.word == "type" => ("file", "HTTP"),
        ValueShape::Text | ValueShape::AnyText => ("word", "\u{1}"),
        ValueShape::Name => ("word", "a/b"),
        ValueShape::Bool | ValueShape::BlankBool => ("true", "yes"),
        ValueShape::Integer { .. } => ("3", "three"),
        ValueShape::Tenths { .. } => ("1.5", "1.55"),
        ValueShape::Percent { .. } => ("20%", "20"),
        ValueShape::Duration | ValueShape::OptionalDuration => ("1h30m", "1 hour"),
        ValueShape::Size => ("1.5 MB", "many"),
        ValueShape::List | ValueShape::BlankList => ("a, b", "a,,b"),
        ValueShape::Choice(words) | ValueShape::Choices { words, .. } => (words[0], "nonsense"),
        ValueShape::DateTime => ("2030-12-31 23:00:00", "2030-13-01 00:00:00"),
        ValueShape::Zone => ("Asia/Shanghai", "Mars/Base"),
        ValueShape::Shift => ("-1 day", "yesterday"),
        ValueShape::Cron => ("30 1 * * *", "61 1 * * *"),
        ValueShape::Seconds => ("0,30", "60"),
        ValueShape::ExitCodes => ("1,75-78", "256"),
        ValueShape::Regex => ("a+", "("),
    };
    match case {
        "valid" => valid,
        "blank" => " ",
        "bad" => bad,
        "chinese" => "日报",
        _ => "",
    }
    .to_owned()
}

fn verdicts(element: &str, attribute: &str, case: &str, value: &str) -> (String, String) {
    let verdict = |schema: &str| {
        let mut document = everything();
        document.make_room(element, attribute);
        if renames(element, attribute) && matches!(case, "valid" | "chinese") {
            let old = document.find(element).unwrap().get(attribute).to_owned();
            document.rename(&old, value);
        }
        let Some(found) = document.find(element) else { panic!("the document holds no {element}") };
        match (attribute, case) {
            ("-", "valid") => {}
            ("-", "missing") => document.remove(element),
            ("-", "blank") => {
                found.children.clear();
                found.text = " ".to_owned();
            }
            ("-", "bad") => found.children.push(node("nonsense", &[])),
            ("-", _) => found.text.push_str("中文"),
            (name, "missing") => found.attributes.retain(|(other, _)| other != name),
            (name, _) => found.set(name, value),
        }
        if !schema.is_empty() && (element, attribute) != ("work-flow", "schema") {
            document.set("schema", schema);
        }
        let mut text = String::new();
        document.write(&mut text);
        verdict(&text)
    };
    (verdict(""), verdict("1"))
}

/// Is it the name of a node, or a reference to one?
fn renames(element: &str, attribute: &str) -> bool {
    attribute == "to"
        || (attribute == "name"
            && ["start", "end", "fork", "join", "kill", "action"]
                .iter()
                .any(|word| element == format!("work-flow/{word}")))
}

/// "ok", or the codes: warnings in brackets.
fn verdict(text: &str) -> String {
    let outcome = load(text.as_bytes(), "row.xml");
    let mut words: Vec<String> = outcome
        .diagnostics
        .iter()
        .map(|d| match d.severity {
            Severity::Error => d.code.clone(),
            Severity::Warning => format!("[{}]", d.code),
        })
        .collect();
    words.sort();
    words.dedup();
    if words.is_empty() { "ok".to_owned() } else { words.join(" ") }
}

#[derive(Default)]
struct Element {
    word: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

fn node(word: &str, attributes: &[(&str, &str)]) -> Element {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Element { word: word.to_owned(), attributes, ..Element::default() }
}

impl Element {
    fn with(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// Removes what contradicts a word that a row is about.
    fn make_room(&mut self, element: &str, attribute: &str) {
        if element == "work-flow/coordinator/trigger" && matches!(attribute, "every" | "at" | "anchor") {
            let trigger = self.find(element).unwrap();
            trigger.attributes.retain(|(name, _)| name != "cron");
            if attribute == "anchor" {
                trigger.set("every", "1h");
            }
        }
    }

    /// Gives a node another name, at every place that names it.
    fn rename(&mut self, old: &str, new: &str) {
        for (name, value) in &mut self.attributes {
            if matches!(name.as_str(), "name" | "to") && value == old {
                *value = new.to_owned();
            }
        }
        self.children.iter_mut().for_each(|child| child.rename(old, new));
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.attributes.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.attributes.push((name.to_owned(), value.to_owned())),
        }
    }

    /// The first element at `path`.
    fn find(&mut self, path: &str) -> Option<&mut Element> {
        let (word, rest) = path.split_once('/').unwrap_or((path, ""));
        match (self.word == word, rest) {
            (false, _) => None,
            (true, "") => Some(self),
            (true, rest) => self.children.iter_mut().find_map(|child| child.find(rest)),
        }
    }

    fn remove(&mut self, path: &str) {
        let Some((parent, word)) = path.rsplit_once('/') else {
            *self = Element::default();
            return;
        };
        // The first parent that has one.
        fn first<'a>(element: &'a mut Element, path: &str, child: &str) -> Option<&'a mut Element> {
            let (word, rest) = path.split_once('/').unwrap_or((path, ""));
            if element.word != word {
                return None;
            }
            if rest.is_empty() {
                return element.children.iter().any(|c| c.word == child).then_some(element);
            }
            element.children.iter_mut().find_map(|c| first(c, rest, child))
        }
        if let Some(parent) = first(self, parent, word) {
            let at = parent.children.iter().position(|child| child.word == word).unwrap();
            parent.children.remove(at);
        }
    }

    fn write(&self, out: &mut String) {
        let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        if self.word.is_empty() {
            return;
        }
        write!(out, "<{}", self.word).unwrap();
        for (name, value) in &self.attributes {
            write!(out, " {name}=\"{}\"", escape(value)).unwrap();
        }
        write!(out, ">{}", escape(&self.text)).unwrap();
        self.children.iter().for_each(|child| child.write(out));
        writeln!(out, "</{}>", self.word).unwrap();
    }
}

/// A workflow with every element, all of it right.
fn everything() -> Element {
    let mut root = node("work-flow", &[("name", "every")]);
    root.children.push(
        node("coordinator", &[])
            .with(node("trigger", &[("id", "a"), ("cron", "0 1 * * *")]).with(node("param", &[("name", "p")])))
            .with(node("depend-list", &[]).with(node("workflow", &[("name", "other")])))
            .with(node("param-list", &[]).with(node("param", &[("name", "q")]))),
    );
    root.children.push(node("param-list", &[]).with(node("param", &[("name", "r")])));
    root.children.push(node("env", &[("name", "E"), ("value", "1")]));
    root.children.push(node("output", &[("name", "o"), ("value", "1")]));
    let mut doc = node("doc", &[]);
    doc.text = "text".to_owned();
    root.children.push(doc);
    root.children.push(node("start", &[("name", "start"), ("to", "fork")]));
    root.children.push(
        node("fork", &[("name", "fork")]).with(node("path", &[("to", "a0")])).with(node("path", &[("to", "script")])),
    );
    let n = spec::all().len();
    for (at, spec) in spec::all().iter().enumerate() {
        let next = if at + 1 == n { "join".to_owned() } else { format!("a{}", at + 1) };
        let mut action = node("action", &[("name", &format!("a{at}"))]).with(body(&spec.element));
        // Not the first: rows about its attributes would contradict its <retry>.
        if at == 1 {
            action.children.push(node("retry", &[("times", "1")]));
            action.children.push(node("env", &[("name", "E"), ("value", "1")]));
        }
        action.children.push(node("ok", &[("to", &next)]));
        action.children.push(node("error", &[("to", "kill")]));
        root.children.push(action);
    }
    let mut script = node("script", &[]);
    script.text = "true".to_owned();
    let transfer = node("action", &[("name", "script")]).with(node("transfer", &[]).with(script));
    root.children.push(transfer.with(node("ok", &[("to", "join")])));
    root.children.push(node("join", &[("name", "join"), ("to", "end")]));
    let mut message = node("message", &[]);
    message.text = "why".to_owned();
    root.children.push(node("kill", &[("name", "kill")]).with(message));
    root.children.push(node("end", &[("name", "end")]));
    root
}

/// A type element with each of its children and its required attributes.
fn body(spec: &ElementSpec) -> Element {
    let mut element = node(spec.word, &[]);
    for attribute in spec.attributes.iter().filter(|attribute| attribute.is_required) {
        let value = match (spec.word, attribute.word) {
            ("source" | "target", "type") if matches!(attribute.shape, ValueShape::Text) => "FILE",
            (_, "type") => "NUM",
            _ => "word",
        };
        element.set(attribute.word, value);
    }
    if element.get("type") == "NUM" {
        element.set("db-link", "dw");
    }
    if spec.word == "target" {
        element.set("path", "/tmp/x");
    }
    if !matches!(spec.text, TextSpec::None) {
        element.text = match spec.word {
            "source" | "min" | "max" => "5".to_owned(),
            // Files beside a task have names of their own.
            "file" => "/some/file".to_owned(),
            "attach-file" => "/some/other".to_owned(),
            _ => "/some/text".to_owned(),
        };
    }
    // With a script a transfer reads nothing else: the script stands in an action of its own.
    let children = spec.children.iter().filter(|child| spec.word != "transfer" || child.word != "script");
    element.children.extend(children.map(body));
    element
}
