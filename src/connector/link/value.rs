//! What links of both files have alike: the type, values that are fetched, the password, properties.

use super::fault::Faults;
use super::outside::{Outside, is_literal};
use super::read::{Attribute, Element, Place};
use super::secret::Secret;
use crate::model::fault::nearest;
use crate::say;

pub(super) struct Property {
    pub name: String,
    pub value: String,
    pub at: Place,
}

pub(super) fn resolved(attribute: &Attribute, outside: &Outside<'_>, faults: &mut Faults<'_>) -> Option<String> {
    match outside.resolve(&attribute.value) {
        Ok(text) => Some(text),
        Err(message) => {
            faults.error(attribute.at, message, None);
            None
        }
    }
}

/// What the attribute `type` names among `all`; a word that names nothing is told with the nearest one.
pub(super) fn kind<K: Copy>(
    attribute: &Attribute,
    all: &[K],
    word: fn(K) -> &'static str,
    from_word: fn(&str) -> Option<K>,
    faults: &mut Faults<'_>,
) -> Option<K> {
    let kind = from_word(&attribute.value);
    if kind.is_none() {
        let written = attribute.value.trim();
        let words = || all.iter().copied().map(word);
        let hint = match nearest(written, words()) {
            Some(near) => say!("write {} instead of {}", near, written),
            None => say!("one of {}", words().collect::<Vec<_>>().join(" ")),
        };
        faults.error(attribute.at, say!("the type \"{}\" is not known", written), hint);
    }
    kind
}

/// The attribute `password`. One that stands there in clear is told where others can read the file.
pub(super) fn password(element: &Element, outside: &Outside<'_>, faults: &mut Faults<'_>) -> Option<Secret> {
    let attribute = element.attribute("password")?;
    if is_literal(&attribute.value) && faults.is_open_to_others() {
        let hint = say!("write {} or {}, or run: chmod 600 {}", "${env:NAME}", "${file:/PATH}", faults.file());
        faults.warning(attribute.at, say!("others can read the password here"), hint);
    }
    resolved(attribute, outside, faults).map(Secret::new)
}

/// `<properties><property name="k">v</property></properties>`.
pub(super) fn properties(element: &Element, outside: &Outside<'_>, faults: &mut Faults<'_>) -> Vec<Property> {
    let mut found = Vec::new();
    for child in &element.children {
        if child.name != "properties" {
            let near = nearest(&child.name, ["properties"]);
            let hint = near.map(|near| say!("write <{}> instead of <{}>", near, child.name));
            faults.warning(child.at, say!("<{}> is not read here", child.name), hint);
            continue;
        }
        for property in &child.children {
            let Some(name) = property.trimmed("name").filter(|_| property.name == "property") else {
                let hint = say!("write {}", "<property name=\"…\">…</property>");
                faults.warning(property.at, say!("<{}> is not read here", property.name), hint);
                continue;
            };
            match outside.resolve(property.text.trim()) {
                Ok(value) => found.push(Property { name: name.to_owned(), value, at: property.at }),
                Err(message) => faults.error(property.at, message, None),
            }
        }
    }
    found
}
