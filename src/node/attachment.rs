//! The files that an assignment wants in its work directory: those of its version, by content, and those that lie on
//! the worker's host.

use std::path::PathBuf;

use crate::model::action::BodyElement;
use crate::model::assignment::{Assignment, Rendered};
use crate::model::attachment::base_name;
use crate::model::id::ContentHash;
use crate::say;

use super::process::{Plan, Refusal};
use super::spec::{ATTACH_FILE, ATTACH_LIST};

/// A file to be put beside the task before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub name: String,
    pub from: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Of the version that is run.
    Version { hash: ContentHash, bytes: u64 },
    /// On this host.
    Host(PathBuf),
}

/// Adds what the body lists to the plan.
pub fn add_listed(assignment: &Assignment, plan: &mut Plan) -> Result<(), Refusal> {
    for path in listed(&assignment.body) {
        let attachment = attachment(assignment, path)?;
        add(plan, attachment)?;
    }
    Ok(())
}

/// Nothing takes the place of something else.
pub fn add(plan: &mut Plan, attachment: Attachment) -> Result<(), Refusal> {
    let mut names = plan.attached.iter().map(|other| &other.name).chain(plan.files.iter().map(|file| &file.name));
    if names.any(|name| *name == attachment.name) {
        return Err(Refusal::Wrong(say!("two files of the action would both be called {}", attachment.name)));
    }
    plan.attached.push(attachment);
    Ok(())
}

fn listed(body: &BodyElement<Rendered>) -> impl Iterator<Item = &str> {
    let lists = body.children(ATTACH_LIST.word).flat_map(|list| &list.children);
    let single = body.children(ATTACH_FILE.word);
    lists.chain(single).filter_map(|file| file.text.as_ref()).map(|text| text.text.trim())
}

pub fn attachment(assignment: &Assignment, path: &str) -> Result<Attachment, Refusal> {
    let name = base_name(path).ok_or_else(|| Refusal::Wrong(say!("\"{}\" names no file", path)))?.to_owned();
    if path.contains('\0') {
        return Err(Refusal::Wrong(say!("\"{}\" cannot be a path", path.escape_debug().to_string())));
    }
    if path.starts_with('/') {
        return Ok(Attachment { name, from: Origin::Host(PathBuf::from(path)) });
    }
    let Some(file) = assignment.files.iter().find(|file| file.path == path) else {
        let message = say!("{} is no file of version {} of {}", path, assignment.version, assignment.workflow);
        return Err(Refusal::Wrong(message));
    };
    Ok(Attachment { name, from: Origin::Version { hash: file.hash.clone(), bytes: file.bytes } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attachment::AttachedFile;
    use crate::model::id::NodeIndex;
    use crate::node::process::PlannedFile;
    use crate::node::testing::{assignment as assign, element};

    fn listing(paths: &[&str]) -> Assignment {
        let files = paths.iter().map(|path| element("file", &[path], vec![])).collect();
        let single = element("attach-file", &["/opt/single"], vec![]);
        let mut assignment = assign(element("script", &[], vec![element("attach-list", &[], files), single]));
        let file = AttachedFile { node: NodeIndex(1), path: "lib/a.sh".into(), hash: "h".into(), bytes: 3 };
        assignment.files = vec![file];
        assignment
    }

    fn planned(assignment: &Assignment) -> Result<Vec<Attachment>, Refusal> {
        let mut plan = Plan::default();
        plan.files.push(PlannedFile { name: "script".into(), bytes: Vec::new(), is_program: true });
        add_listed(assignment, &mut plan).map(|()| plan.attached)
    }

    #[test]
    fn relative_paths_are_of_the_version_and_absolute_ones_of_the_host() {
        let found = planned(&listing(&[" lib/a.sh ", "/opt/b.csv"])).unwrap();
        let host =
            |path: &str| Attachment { name: base_name(path).unwrap().to_owned(), from: Origin::Host(path.into()) };
        let version = Origin::Version { hash: "h".into(), bytes: 3 };
        assert_eq!(found, [Attachment { name: "a.sh".into(), from: version }, host("/opt/b.csv"), host("/opt/single")]);
    }

    #[test]
    fn what_is_not_of_the_version_or_would_hide_another_file_is_refused() {
        for (path, why) in
            [("lib/b.sh", "is no file of version 1"), ("/x/script", "called script"), ("/x/", "names no")]
        {
            let said = planned(&listing(&[path])).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
        assert!(planned(&listing(&["lib/a.sh", "/x/a.sh"])).is_err());
    }
}
