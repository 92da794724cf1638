//! The trees are those of another reader; faults have their places, in files of every kind of damage.

use proptest::prelude::*;

use super::*;
use crate::xml::source::Source;

/// The tree as text: names, attributes, text, each where it stands.
fn shape(element: &Element<'_>, out: &mut String) {
    out.push_str(&format!("<{}", element.name));
    for attribute in &element.attributes {
        out.push_str(&format!(" {}={:?}", attribute.name, attribute.value.value));
    }
    out.push('>');
    let mut text = String::new();
    for child in &element.children {
        match child {
            Child::Text(run) => text.push_str(&run.value),
            Child::Element(child) => {
                flush(&mut text, out);
                shape(child, out);
            }
        }
    }
    flush(&mut text, out);
    out.push_str("</>");
}

fn flush(text: &mut String, out: &mut String) {
    if !text.is_empty() {
        out.push_str(&format!("{text:?}"));
        text.clear();
    }
}

fn other_shape(node: roxmltree::Node<'_, '_>, out: &mut String) {
    out.push_str(&format!("<{}", node.tag_name().name()));
    // Prefixes mean nothing to us.
    for attribute in node.attributes().filter(|attribute| attribute.namespace().is_none()) {
        out.push_str(&format!(" {}={:?}", attribute.name(), attribute.value()));
    }
    out.push('>');
    let mut text = String::new();
    for child in node.children() {
        if child.is_text() {
            text.push_str(child.text().unwrap_or_default());
        } else if child.is_element() {
            flush(&mut text, out);
            other_shape(child, out);
        }
    }
    flush(&mut text, out);
    out.push_str("</>");
}

fn scanned(text: &str) -> Result<String, String> {
    let source = Source::new(text.to_owned());
    let sink = Sink::new(&source, "x.xml");
    let found = scan(&sink);
    let shape = found.root.filter(|_| found.is_complete && sink.n_errors() == 0).map(|root| {
        let mut out = String::new();
        shape(&root, &mut out);
        out
    });
    shape.ok_or_else(|| sink.finish().iter().map(|d| d.one_line()).collect::<Vec<_>>().join("\n"))
}

fn other(text: &str) -> Result<String, String> {
    let document = roxmltree::Document::parse(text).map_err(|error| error.to_string())?;
    let mut out = String::new();
    other_shape(document.root_element(), &mut out);
    Ok(out)
}

const FRAGMENTS: &[&str] = &[
    "<a>",
    "</a>",
    "<b c='d'/>",
    "<b c=\"x&lt;y\" e='日报'>",
    "</b>",
    "&lt;",
    "&amp;&gt;&#65;&#x62;",
    "x",
    "日",
    " ",
    "\r\n",
    "\t",
    "<!-- c -->",
    "<![CDATA[<x> & ]] ]]>",
    "<?p q?>",
    "]]>",
    "&",
    "<",
    ">",
    "<a c = 'd\te'>",
    "<c\n>",
    "</a >",
    "'",
    "--",
    "<d x='1' x='2'/>",
    "<d x='1'y='2'/>",
    "&nope;",
    "<e f=g/>",
    "<e f/>",
    "<!-- -- -->",
    "<!-- - --->",
    "<!---->",
    "<!-->",
    "<![CDATA[1\r2\r\n3]]>",
    "<?>",
    "\u{feff}",
    "<!DOCTYPE a>",
    "</>",
    "<b\nc = '1'\td=\"'2>\" />",
    "</a\u{3000}>",
    "<x:b xmlns:x='u' x:c='1' x:c='2'/>",
];

const DOCUMENTS: &[&str] = &[
    include_str!("../../../xmlconfig/example/parameters.xml"),
    include_str!("../../../tests/definitions/akkaflow/types.xml"),
    include_str!("../../../tests/definitions/several.xml"),
    "<?xml version='1.0'?>\r\n<a b='1' c = \"2\"><!-- d --><e/>\u{feff}f&lt;g<![CDATA[<h>]]>&#26085;</a>\r\n<?i j?>",
];

/// What an editor, a slip of the hand or a bad copy leaves.
const DAMAGE: &[&str] = &[
    "",
    "<",
    ">",
    "&",
    "\"",
    "'",
    "/",
    "=",
    " ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "x",
    "日",
    "\u{3000}",
    "\u{1}",
    "<b",
    "</",
    "</b>",
    "<b c='d'/>",
    "<!",
    "<!--",
    "-->",
    "--",
    "<![CDATA[",
    "]]>",
    "<?",
    "<!DOCTYPE a [",
    "&&",
    "&lt;",
    "&#65;",
    "&x;",
    " c=d",
    " c='<'",
    "a < b and c <d",
    "<!-- e -->",
    "<![CDATA[<f> && g]]>",
    "&#x65e5;",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn trees_are_those_of_another_reader(picks in prop::collection::vec(0..FRAGMENTS.len(), 0..10)) {
        let inside: String = picks.iter().map(|pick| FRAGMENTS[*pick]).collect();
        let text = format!("<?xml version='1.0'?><a>{inside}</a>");
        match (scanned(&text), other(&text)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs, "{}", text),
            (Err(_), Err(_)) => {}
            (ours, theirs) => prop_assert!(false, "{text}\nours: {ours:?}\ntheirs: {theirs:?}"),
        }
    }

    #[test]
    fn a_damaged_text_is_read_to_its_end_and_like_another_reader_reads_it(
        document in prop::sample::select(DOCUMENTS),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..6usize, prop::sample::select(DAMAGE)), 1..4),
    ) {
        let mut text = document.to_owned();
        for (at, length, damage) in edits {
            let floor = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let start = floor(at.index(text.len() + 1));
            let end = floor((start + length).min(text.len())).max(start);
            text.replace_range(start..end, damage);
        }
        let ours = scanned(&text);
        // The other reader keeps a lone carriage return that stands before a reference.
        let has_lone_return = text.replace("\r\n", "").contains('\r');
        // ` :name=""` has a prefix of no letters, which means nothing here, and to the other reader no prefix.
        let has_blank_prefix = text.match_indices(':').any(|(at, _)| text[..at].ends_with(char::is_whitespace));
        let is_comparable = !has_lone_return && !has_blank_prefix;
        if let Some(theirs) = other(&text).ok().filter(|_| is_comparable) {
            prop_assert_eq!(ours, Ok(theirs), "{}", text);
        }
        let source = Source::new(text.clone());
        let sink = Sink::new(&source, "x.xml");
        let scanned = scan(&sink);
        let n_faults = sink.n_errors();
        prop_assert!(n_faults > 0 || scanned.root.is_some(), "{}", text);
        let n_lines = text.split('\n').count();
        for fault in sink.finish() {
            let line = text.split('\n').nth(fault.line as usize - 1);
            let length = line.map_or(0, |line| line.chars().count());
            prop_assert!(fault.line as usize <= n_lines && fault.column as usize <= length + 1, "{fault:?}\n{text}");
        }
    }
}

#[test]
fn places_inside_decoded_text_are_those_of_the_file() {
    let text = "<a b='x&lt;y &#26085;z'>1\r\n2<![CDATA[34]]>5</a>";
    let source = Source::new(text.to_owned());
    let sink = Sink::new(&source, "x.xml");
    let root = scan(&sink).root.unwrap();
    let at = |span: Span| &text[span.start as usize..span.end as usize];
    let value = &root.attributes[0].value;
    assert_eq!(value.value, "x<y 日z");
    assert_eq!(at(value.locate(1..2)), "&lt;");
    assert_eq!(at(value.locate(4..7)), "&#26085;");
    assert_eq!(at(value.locate(2..8)), "y &#26085;z");
    let inner = root.text();
    assert_eq!(inner.value, "1\n2345");
    assert_eq!(at(inner.locate(2..3)), "2");
    assert_eq!(at(inner.locate(3..5)), "34");
    assert_eq!(at(inner.locate(5..6)), "5");
}

#[test]
fn line_ends_are_made_one() {
    let wanted = r#"<a b="1 2 3 4">"\n5\n6&\n7\n8"</>"#;
    assert_eq!(scanned("<a b='1\r2\r\n3\t4'>\r5\r\n6&amp;<![CDATA[\r7\r\n8]]></a>").unwrap(), wanted);
}

/// Each fault of the text, by place and beginning of its message.
fn faults(text: &str) -> Vec<String> {
    let source = Source::new(text.to_owned());
    let sink = Sink::new(&source, "x.xml");
    scan(&sink);
    sink.finish().iter().map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.message.english())).collect()
}

#[test]
fn behind_a_fault_the_rest_is_read() {
    let rest = "<b></c></a>";
    let also = |column: usize| format!("1:{column} element <b> is closed by </c>");
    for (fault, wanted) in [
        ("x < y", &["6 a bare < in the text: it begins no tag"][..]),
        ("if x <y and z>", &["9 a bare < in the text: it begins no tag"]),
        ("x && y", &["6 a bare && in the text"]),
        ("x & y; z &nope;", &["6 a bare & in the text", "13 &nope; stands for no character"]),
        ("]]>", &["4 \"]]>\" ends no CDATA section"]),
        ("<!x", &["4 \"<!\" begins neither a comment nor a CDATA section"]),
        ("<!-x->", &["4 \"<!\" begins neither a comment nor a CDATA section"]),
        (
            "< <!doctype x>",
            &[
                "4 a bare < in the text: it begins no tag",
                "6 a DOCTYPE is refused: definitions have no entities of their own",
            ],
        ),
        ("<!DOCTYPE>", &["4 a DOCTYPE is refused: definitions have no entities of their own"]),
        ("<!DOCTYPE x [<!ENTITY y ']>'>]>", &["4 a DOCTYPE is refused: definitions have no entities of their own"]),
        ("<?>", &["4 \"<?>\" names no processing instruction"]),
        ("<?xml version='1.0'?>", &["4 the XML declaration must be the first thing of the file"]),
        ("<!-- x -- y -->", &["11 a comment may not hold \"--\""]),
        ("<!-- x --->", &["11 a comment may not hold \"--\""]),
        ("<x y/>", &["7 attribute y has no value"]),
        ("<x y=z/>", &["9 the value of attribute y is not quoted"]),
        ("<x y=/>", &["9 the value of attribute y is not quoted"]),
        ("<x y='1'z='2'/>", &["12 there is no blank before attribute z"]),
        ("<x y='1' z='2' y='3'/>", &["19 attribute y is given twice"]),
        ("<x y:z='1' y:z='2'/>", &["15 attribute y:z is given twice"]),
        ("<x y\"1\"/>", &["7 attribute y has no value", "8 \"\"1\"\" is no attribute"]),
        ("<x y='1''/>", &["12 \"'\" is no attribute"]),
        ("<x ='1'/>", &["7 \"='1'\" is no attribute"]),
        ("<x\u{3000}y='1'/>", &["6 \"\u{3000}y='1'\" is no attribute"]),
        ("<x y='<'/>", &["10 a bare < in the value of attribute y"]),
        ("<x y='1/>", &["9 the value of attribute y is not closed"]),
        ("<x y='1'<z/></x>", &["12 the tag <x is not closed by >"]),
        ("<x></x z='1'>", &["7 the end tag </x is not closed by >"]),
        ("<x></x\u{3000}>", &["7 the end tag </x is not closed by >"]),
    ] {
        // A line's end parts an unclosed value from the tag behind it.
        let is_unclosed = wanted[0].contains("of attribute y is not closed");
        let text = format!("<a>{fault}{}{rest}", if is_unclosed { "\n" } else { "" });
        let column = text.lines().next_back().unwrap().chars().count() - "</c></a>".chars().count() + 1;
        let line = text.lines().count();
        let mut all: Vec<String> = wanted.iter().map(|fault| format!("1:{fault}")).collect();
        all.push(also(column).replacen("1:", &format!("{line}:"), 1));
        assert_eq!(faults(&text), all, "{text}");
    }
}

#[test]
fn a_text_that_ends_early_has_the_faults_before_its_end_too() {
    for (end, wanted) in [
        ("<b c", &[][..]),
        ("<b c=", &[]),
        ("<b c='d", &[]),
        ("<b c='1' c='2' d=", &["1:13 attribute c is given twice"]),
        ("<b c=d", &["1:9 the value of attribute c is not quoted"]),
        ("</b", &[]),
        ("<!-- c", &[]),
        ("<![CDATA[ c ]", &[]),
        ("<!DOCTY", &[]),
        ("<!DOCTYPE a [", &["1:4 a DOCTYPE is refused: definitions have no entities of their own"]),
        ("<?b", &[]),
        ("<", &[]),
    ] {
        let text = format!("<a>{end}");
        let early = format!("1:{} the file ends inside <a> (opened at 1:1)", text.chars().count() + 1);
        let all: Vec<String> = wanted.iter().map(|fault| (*fault).to_owned()).chain([early]).collect();
        assert_eq!(faults(&text), all, "{text}");
    }
}
