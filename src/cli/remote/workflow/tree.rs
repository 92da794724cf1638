//! `workflow tree`: folders and workflows as a tree.

use clap::Args;
use serde::Serialize;

use crate::api::{ExitCode, Page, WorkflowSummary};
use crate::cli::console::{Cell, Console, Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};
use crate::model::state::InstanceWord;

pub const VERB: Verb = Verb {
    path: "workflow tree",
    about: "Folders and the workflows in them, as a tree",
    examples: &["ractorflow workflow tree", "ractorflow workflow tree /dw -o json"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

/// Workflows asked for at once.
const PAGE: u32 = 500;
/// Characters of a description.
const DESCRIPTION_CHARS: usize = 60;

#[derive(Debug, Args)]
struct Arguments {
    /// Only this folder
    dir: Option<String>,
}

/// A folder with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
struct Folder {
    dir: String,
    folders: Vec<Folder>,
    workflows: Vec<Leaf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Leaf {
    name: String,
    enabled: bool,
    creator: Option<String>,
    description: Option<String>,
    /// State of the newest instance.
    state: Option<InstanceWord>,
    has_error: bool,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let dir = arguments.dir.map(|dir| normal(&dir));
    let mut rows: Vec<WorkflowSummary> = Vec::new();
    let mut cursor = None;
    loop {
        let ask = Ask::new(["workflows"]).maybe("dir", dir.clone()).maybe("cursor", cursor).with("limit", PAGE);
        let page: Page<WorkflowSummary> = remote.client.get(&ask).await?;
        rows.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let tree = tree(dir.unwrap_or_else(|| "/".to_owned()), rows);
    let console = remote.console;
    console.show(&tree, &names.join("\n"), || text(&tree, console))?;
    Ok(ExitCode::Ok)
}

/// As the `dir` of a workflow is written: `dw//orders/` is `/dw/orders`.
fn normal(dir: &str) -> String {
    let segments: Vec<&str> = dir.split('/').map(str::trim).filter(|segment| !segment.is_empty()).collect();
    format!("/{}", segments.join("/"))
}

/// `rows` are all below `dir`.
fn tree(dir: String, rows: Vec<WorkflowSummary>) -> Folder {
    let mut root = Folder { dir, ..Folder::default() };
    for row in rows {
        let below = row.dir.strip_prefix(root.dir.trim_end_matches('/')).unwrap_or(&row.dir).to_owned();
        let mut folder = &mut root;
        for segment in below.split('/').filter(|segment| !segment.is_empty()) {
            let path = format!("{}/{segment}", folder.dir.trim_end_matches('/'));
            let at = folder.folders.binary_search_by(|known| known.dir.cmp(&path)).unwrap_or_else(|at| {
                folder.folders.insert(at, Folder { dir: path, ..Folder::default() });
                at
            });
            folder = &mut folder.folders[at];
        }
        folder.workflows.push(Leaf {
            state: row.last.as_ref().map(|last| last.state),
            has_error: row.load_error.is_some(),
            name: row.name,
            enabled: row.enabled,
            creator: row.creator,
            description: row.description,
        });
    }
    root
}

fn text(folder: &Folder, console: &Console) -> String {
    let mut lines = vec![Cell::folder(&folder.dir).alone(console)];
    below(folder, "", &mut lines, console);
    lines.join("\n")
}

fn below(folder: &Folder, indent: &str, lines: &mut Vec<String>, console: &Console) {
    let n_entries = folder.folders.len() + folder.workflows.len();
    let branch = |at: usize| if at + 1 == n_entries { ("└── ", "    ") } else { ("├── ", "│   ") };
    for (at, inner) in folder.folders.iter().enumerate() {
        let (line, more) = branch(at);
        let name = inner.dir.rsplit('/').next().unwrap_or_default();
        lines.push(format!("{indent}{line}{}", Cell::folder(name).alone(console)));
        below(inner, &format!("{indent}{more}"), lines, console);
    }
    for (at, leaf) in folder.workflows.iter().enumerate() {
        let (line, _) = branch(folder.folders.len() + at);
        lines.push(format!("{indent}{line}{}", said(leaf, console)));
    }
}

/// Name, what is the matter, whose it is and what it does.
fn said(leaf: &Leaf, console: &Console) -> String {
    let mut parts = vec![Cell::switched(&leaf.name, leaf.enabled)];
    parts.extend(leaf.state.map(|state| Cell::instance(state, console)));
    if !leaf.enabled {
        parts.push(Cell::from(console.word("disabled", "已停用")));
    }
    if leaf.has_error {
        parts.push(Cell::from(console.word("does not load", "无法加载")));
    }
    let creator = leaf.creator.as_deref().filter(|creator| !creator.is_empty());
    parts.extend(creator.map(|creator| Cell::from(format!("[{creator}]"))));
    if let Some(line) = leaf.description.as_deref().and_then(|text| text.lines().next()) {
        let cut: String = line.chars().take(DESCRIPTION_CHARS).collect();
        let more = if cut.len() < line.len() { "…" } else { "" };
        parts.push(Cell::from(format!("{cut}{more}")));
    }
    parts.iter().map(|part| part.alone(console)).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_in_one_way() {
        assert_eq!([normal("dw//orders/ "), normal(""), normal("/dw")], ["/dw/orders", "/", "/dw"]);
    }
}
