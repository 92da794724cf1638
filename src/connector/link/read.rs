//! The XML of a file of links as small elements with their places.
//!
//! The first fault of the XML itself ends the reading: what comes behind it would be guesses. A DOCTYPE is
//! refused, so nothing expands and no other file is read.

use std::path::Path;

use encoding_rs::{Encoding, UTF_8};
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::fault::Faults;
use super::outside::Outside;
use crate::model::fault::nearest;
use crate::model::message::Message;
use crate::say;

const FILE_BYTES_MAX: u64 = 4 << 20;
const DEPTH_MAX: usize = 16;

/// Line and column, from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub line: u32,
    pub column: u32,
}

const BEGIN: Place = Place { line: 1, column: 1 };

#[derive(Debug)]
pub(super) struct Element {
    pub name: String,
    pub at: Place,
    pub attributes: Vec<Attribute>,
    pub children: Vec<Element>,
    pub text: String,
}

#[derive(Debug)]
pub(super) struct Attribute {
    pub name: String,
    pub value: String,
    /// Of its value.
    pub at: Place,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The attribute's value without blanks around it, unless it is blank.
    pub fn trimmed(&self, name: &str) -> Option<&str> {
        self.attribute(name).map(|attribute| attribute.value.trim()).filter(|value| !value.is_empty())
    }

    /// Warns of attributes that mean nothing: akkaflow ignores them, and so do we.
    pub fn check_attributes(&self, known: &[&str], faults: &mut Faults<'_>) {
        for attribute in self.attributes.iter().filter(|attribute| !known.contains(&attribute.name.as_str())) {
            let message = say!("<{}> has no attribute {}", self.name, attribute.name);
            let near = nearest(&attribute.name, known.iter().copied());
            faults.warning(
                attribute.at,
                message,
                near.map(|near| say!("write {} instead of {}", near, attribute.name)),
            );
        }
    }
}

/// The root element; `None` when there is no file, or none that can be read.
pub(super) fn file(outside: &Outside<'_>, name: &str, faults: &mut Faults<'_>) -> Option<Element> {
    let path = outside.conf_dir.join(name);
    let text = match read_text(&path) {
        Ok(text) => text?,
        Err(message) => {
            faults.error(BEGIN, message, None);
            return None;
        }
    };
    match parse(&text) {
        Ok(root) => Some(root),
        Err(fault) => {
            faults.error(place(&text, fault.at), fault.message, fault.hint);
            None
        }
    }
}

/// The links below the root, which akkaflow calls `db-links` or `file-links`.
pub(super) fn links(root: Element, word: &str, faults: &mut Faults<'_>) -> Vec<Element> {
    if root.name != word {
        let message = say!("the root element is <{}>, not <{}>", root.name, word);
        faults.error(root.at, message, say!("is this the right file?"));
    }
    let (links, others): (Vec<_>, Vec<_>) = root.children.into_iter().partition(|child| child.name == "link");
    for other in others {
        let message = say!("<{}> is not read here", other.name);
        faults.warning(other.at, message, say!("write one <link …/> for each link"));
    }
    for link in links.iter().filter(|link| link.trimmed("name").is_none()) {
        faults.error(link.at, say!("a link without a name"), say!("write {}=\"…\"", "name"));
    }
    links
}

fn read_text(path: &Path) -> Result<Option<String>, Message> {
    let failed = |error: std::io::Error| say!("it cannot be read: {}", error.to_string());
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            return Err(say!("it is larger than {} bytes", FILE_BYTES_MAX));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let encoding = encoding(&bytes);
    let (text, _, is_wrong) = encoding.decode(&bytes);
    if is_wrong {
        return Err(say!("the bytes here are not {}", encoding.name()));
    }
    Ok(Some(text.into_owned()))
}

/// What the declaration says, which stands in ASCII; UTF-8 without one.
fn encoding(bytes: &[u8]) -> &'static Encoding {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    let declaration = head.trim_start_matches('\u{feff}').split_once("?>").map_or("", |(declaration, _)| declaration);
    let label = declaration.split_once("encoding").and_then(|(_, rest)| {
        let rest = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest[1..].split(quote).next()
    });
    label.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8)
}

struct XmlFault {
    at: usize,
    message: Message,
    hint: Option<Message>,
}

fn parse(text: &str) -> Result<Element, XmlFault> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        let at = reader.buffer_position() as usize;
        let plain = |message| XmlFault { at, message, hint: None };
        let event = reader.read_event().map_err(|error| XmlFault {
            at: usize::try_from(reader.error_position()).unwrap_or(at),
            message: Message::verbatim(error.to_string()),
            hint: None,
        })?;
        match event {
            Event::Start(tag) => {
                if open.len() >= DEPTH_MAX {
                    return Err(plain(say!("elements are nested more than {} deep", DEPTH_MAX)));
                }
                let element = element(text, at, &tag)?;
                if root.is_some() {
                    return Err(plain(say!("<{}> stands behind the end of the root element", element.name)));
                }
                open.push(element);
            }
            Event::Empty(tag) => {
                let element = element(text, at, &tag)?;
                if root.is_some() {
                    return Err(plain(say!("<{}> stands behind the end of the root element", element.name)));
                }
                close(element, &mut open, &mut root);
            }
            // That the names match is the reader's to see.
            Event::End(_) => {
                if let Some(element) = open.pop() {
                    close(element, &mut open, &mut root);
                }
            }
            Event::Text(run) => push_text(&mut open, &run),
            Event::CData(run) => push_text(&mut open, &run),
            Event::GeneralRef(name) => match character(&name) {
                Some(c) => push_text(&mut open, &c),
                None => return Err(plain(say!("&{}; stands for no character", &*name))),
            },
            Event::DocType(_) => {
                return Err(plain(say!("a DOCTYPE is refused: definitions have no entities of their own")));
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    let end = text.len();
    if !open.is_empty() {
        let message = say!("the file ends before its root element does");
        return Err(XmlFault { at: end, message, hint: None });
    }
    root.ok_or(XmlFault { at: 0, message: say!("the file is empty"), hint: None })
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *root = Some(element),
    }
}

fn push_text(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn character(name: &str) -> Option<String> {
    match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).map(String::from)
        }
        None => resolve_xml_entity(name).map(str::to_owned),
    }
}

/// The tag whose `<` stands at `start`.
fn element(text: &str, start: usize, tag: &BytesStart<'_>) -> Result<Element, XmlFault> {
    let local = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
    let inside: &str = tag;
    let behind = start + 1;
    let mut attributes: Vec<Attribute> = Vec::new();
    for found in tag.attributes() {
        let found = found.map_err(|error| XmlFault {
            at: behind,
            message: Message::verbatim(error.to_string()),
            hint: Some(say!("write {}=\"…\"", "name")),
        })?;
        let raw: &str = &found.value;
        // The value is a part of the tag's text, which is a part of the file.
        let offset = (raw.as_ptr() as usize).saturating_sub(inside.as_ptr() as usize).min(inside.len());
        let at = behind + offset;
        let name = found.key.0;
        if name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        let value = unescape(raw).map_err(|_| XmlFault {
            at,
            message: say!("a bare {} in the value of attribute {}", "&", name),
            hint: Some(say!("write {}", "&amp;")),
        })?;
        attributes.push(Attribute { name: local(name), value: value.into_owned(), at: place(text, at) });
    }
    Ok(Element {
        name: local(tag.name().0),
        at: place(text, start),
        attributes,
        children: Vec::new(),
        text: String::new(),
    })
}

fn place(text: &str, at: usize) -> Place {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() as u32 + 1;
    Place { line, column }
}
