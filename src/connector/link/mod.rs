//! Named links: what `conf/db_links.xml` and `conf/file_links.xml` say, in akkaflow's format.
//!
//! Owns the two files: their XML, akkaflow's types and `jdbc:` URLs, which options of a URL count, and where
//! secrets come from; and how links that the cluster keeps are sealed and read (`kept`, `seal`). Opens no connection
//! and keeps nothing: a caller reads a link when it needs it, so a changed file counts at once. What a host's own file
//! has goes before what the cluster keeps. A fault of one link never hides another. Start reading at `db_link`.

mod fault;
mod file;
pub mod kept;
pub mod odbc;
mod options;
mod outside;
mod read;
pub mod seal;
mod secret;
mod sql;
#[cfg(test)]
mod tests;
mod url;
mod value;

use std::path::Path;

pub use fault::{LinkError, LinkFault};
pub use file::{FileKind, FileLink};
pub use options::{Options, Tls};
pub use secret::Secret;
pub use sql::{DbKind, DbLink};
pub use url::{DbUrl, Host};

use crate::model::link::{KeptLink, LinkKind};
use fault::Faults;
use outside::Outside;
use read::Element;

pub const DB_LINKS_FILE: &str = "db_links.xml";
pub const FILE_LINKS_FILE: &str = "file_links.xml";
/// The file link that is always there.
pub const LOCAL: &str = "local";

/// Everything a file says. A link with an error is left out.
#[derive(Debug)]
pub struct Links<T> {
    pub links: Vec<T>,
    /// In the order of the file, warnings too.
    pub faults: Vec<LinkFault>,
}

/// All links to databases. No file is no link.
pub fn db_links(conf_dir: &Path) -> Links<DbLink> {
    all(&Outside::real(conf_dir))
}

/// All links to file systems, `local` among them.
pub fn file_links(conf_dir: &Path) -> Links<FileLink> {
    all(&Outside::real(conf_dir))
}

/// The link of this name in this host's file. Faults of other links do not matter.
pub fn db_link(conf_dir: &Path, name: &str) -> Result<DbLink, LinkError> {
    db_link_among(conf_dir, &[], name)
}

pub fn file_link(conf_dir: &Path, name: &str) -> Result<FileLink, LinkError> {
    file_link_among(conf_dir, &[], name)
}

/// The link of this name: of this host's file, else of those that the cluster keeps.
pub fn db_link_among(conf_dir: &Path, kept: &[KeptLink], name: &str) -> Result<DbLink, LinkError> {
    one(&Outside::real(conf_dir), kept, name)
}

pub fn file_link_among(conf_dir: &Path, kept: &[KeptLink], name: &str) -> Result<FileLink, LinkError> {
    one(&Outside::real(conf_dir), kept, name)
}

/// A kind of link with a file of its own.
trait Link: Sized {
    const KIND: LinkKind;
    const FILE: &'static str;
    const ROOT: &'static str;

    fn name(&self) -> &str;
    /// What is there without being written.
    fn always() -> Option<Self>;
    /// `None`: it has errors, which are among the faults.
    fn read(element: &Element, outside: &Outside<'_>, faults: &mut Faults<'_>) -> Option<Self>;
}

fn all<L: Link>(outside: &Outside<'_>) -> Links<L> {
    let path = outside.conf_dir.join(L::FILE);
    let mut faults = Faults::new(&path);
    let elements = elements::<L>(outside, &mut faults);
    let mut links: Vec<L> = Vec::new();
    for element in &elements {
        fault::repeated(element, &elements, &mut faults);
        links.extend(L::read(element, outside, &mut faults));
    }
    if let Some(always) = L::always().filter(|always| links.iter().all(|link| link.name() != always.name())) {
        links.insert(0, always);
    }
    faults.found.sort_by_key(|fault| (fault.line, fault.column));
    Links { links, faults: faults.found }
}

fn one<L: Link>(outside: &Outside<'_>, kept: &[KeptLink], name: &str) -> Result<L, LinkError> {
    let path = outside.conf_dir.join(L::FILE);
    let mut faults = Faults::new(&path);
    let elements = elements::<L>(outside, &mut faults);
    let Some(element) = elements.iter().find(|element| element.trimmed("name") == Some(name)) else {
        if let Some(always) = L::always().filter(|always| always.name() == name) {
            return Ok(always);
        }
        // A file that cannot be read may have it, and would go before.
        if faults.has_errors() {
            return Err(LinkError::Faulty { name: name.to_owned(), faults: faults.found });
        }
        if let Some(found) = kept::find(outside, kept, name) {
            return found;
        }
        let mut names: Vec<String> = elements.iter().filter_map(|e| e.trimmed("name")).map(str::to_owned).collect();
        names.extend(L::always().map(|link| link.name().to_owned()).filter(|always| !names.contains(always)));
        return Err(LinkError::Unknown { name: name.to_owned(), file: path.clone(), exists: path.exists(), names });
    };
    // What is wrong with the file's other parts is not this link's matter.
    faults.found.clear();
    fault::repeated(element, &elements, &mut faults);
    let link = L::read(element, outside, &mut faults);
    match link {
        Some(link) if !faults.has_errors() => Ok(link),
        _ => Err(LinkError::Faulty { name: name.to_owned(), faults: faults.found }),
    }
}

/// The `<link>` elements of the file.
fn elements<L: Link>(outside: &Outside<'_>, faults: &mut Faults<'_>) -> Vec<Element> {
    let Some(root) = read::file(outside, L::FILE, faults) else { return Vec::new() };
    read::links(root, L::ROOT, faults)
}
