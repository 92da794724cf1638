//! `workflow show`: one workflow, or the text of its definition.

use std::collections::HashMap;

use clap::Args;

use crate::api::{DefinitionView, ExitCode, WorkflowView};
use crate::cli::console::{Cell, Console, Failure, Language, Outcome, Table, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::schedule::today::prerequisite;
use crate::cli::remote::{self, Remote, show};

pub const VERB: Verb = Verb {
    path: "workflow show",
    about: "One workflow: schedule, nodes, last runs; or its XML",
    examples: &["ractorflow workflow show orders", "ractorflow workflow show orders --xml --version 12"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

/// Ways out of a node that a row of the table names.
const EDGES_SHOWN: usize = 20;

#[derive(Debug, Args)]
struct Arguments {
    workflow: String,
    /// The text of the definition alone
    #[arg(long)]
    xml: bool,
    /// Which version's text [default: the newest]
    #[arg(long, value_name = "N", requires = "xml")]
    version: Option<u32>,
    /// Every node, also when they are too many for a table (JSON has them always)
    #[arg(long)]
    all: bool,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let console = remote.console;
    if arguments.xml {
        return xml(&arguments.workflow, arguments.version, &remote).await;
    }
    let ask = || Ask::new(["workflows", &arguments.workflow]);
    let mut view: WorkflowView = remote.client.get(&ask()).await?;
    if arguments.all || console.is_json() {
        while let Some(cursor) = view.nodes_next.take() {
            let page: WorkflowView = remote.client.get(&ask().with("node_cursor", cursor)).await?;
            view.nodes.extend(page.nodes);
            view.edges.extend(page.edges);
            view.nodes_next = page.nodes_next;
        }
    }
    console.show(&view, &view.summary.name, || text(&view, console))?;
    Ok(ExitCode::Ok)
}

/// Prints the text of a version alone, as it was loaded.
pub async fn xml(workflow: &str, version: Option<u32>, remote: &Remote<'_>) -> Outcome {
    let view = definition(workflow, version, remote).await?;
    if remote.console.is_json() {
        remote.console.show(&view, &view.version.workflow, String::new)?;
    } else {
        remote.console.raw(view.text.as_bytes())?;
    }
    Ok(ExitCode::Ok)
}

/// The whole text of one version; programs get its nodes too.
async fn definition(workflow: &str, version: Option<u32>, remote: &Remote<'_>) -> Result<DefinitionView, Failure> {
    let version = version.map_or("latest".to_owned(), |version| version.to_string());
    let mut view: DefinitionView = remote.client.get(&Ask::new(["workflows", workflow, "versions", &version])).await?;
    // The newest one may be another by now.
    let version = view.version.version.to_string();
    let ask = || Ask::new(["workflows", workflow, "versions", &version]);
    while let Some(from) = view.text_next.take() {
        let ask = ask().with("text_from", from).with("node_limit", 1);
        let page: DefinitionView = remote.client.get(&ask).await?;
        view.text.push_str(&page.text);
        view.text_next = page.text_next;
    }
    while remote.console.is_json()
        && let Some(cursor) = view.nodes_next.take()
    {
        let ask = ask().with("text_from", view.text_bytes).with("node_cursor", cursor);
        let page: DefinitionView = remote.client.get(&ask).await?;
        view.nodes.extend(page.nodes);
        view.edges.extend(page.edges);
        view.nodes_next = page.nodes_next;
    }
    Ok(view)
}

fn text(view: &WorkflowView, console: &Console) -> String {
    let summary = &view.summary;
    let mut text = show::workflows(std::slice::from_ref(summary), console).render(console);
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{label}: {value}\n"));
        }
    };
    line(console.word("description", "描述"), summary.description.as_deref().unwrap_or_default());
    line(console.word("file", "文件"), summary.file.as_deref().unwrap_or_default());
    let files: Vec<&str> = view.files.iter().map(|file| file.path.as_str()).collect();
    line(console.word("attached", "附件"), &files.join(", "));
    line(console.word("schedule", "调度"), &console.say_all(&summary.schedule));
    line(console.word("zone", "时区"), view.zone.as_deref().unwrap_or_default());
    let params: Vec<String> = view
        .params
        .iter()
        .map(|param| {
            format!("{}={}", param.name, param.rendered.as_ref().or(param.value.as_ref()).map_or("", String::as_str))
        })
        .collect();
    line(console.word("parameters", "参数"), &params.join(" "));
    let prerequisites: Vec<String> = view
        .coordinator
        .iter()
        .flat_map(|coordinator| &coordinator.prerequisites)
        .map(|one| prerequisite(one, console))
        .collect();
    line(console.word("waits for", "前置"), &prerequisites.join(", "));
    line(console.word("waited for by", "后续"), &view.dependents.join(", "));
    if !view.mail_receivers.is_empty() {
        let (levels, to) = (view.mail_levels.join(", "), view.mail_receivers.join(", "));
        line(console.word("mail", "邮件"), &format!("{levels} -> {to}"));
        let note = view.mail_note.as_ref().map(|note| console.say(note));
        line(console.word("note", "说明"), &note.unwrap_or_default());
    }
    if view.left_today > 0 {
        line(console.word("left today", "今日剩余"), &view.left_today.to_string());
    }
    let mut nodes = Table::new()
        .column(console.word("NODE", "节点"))
        .column(console.word("TYPE", "类型"))
        .column(console.word("LEADS TO", "去向"))
        .column(console.word("POLICIES", "策略"))
        .wide(console.word("LINE", "行"));
    let mut leads_to: HashMap<&str, Vec<String>> = HashMap::new();
    for edge in &view.edges {
        let to = if edge.kind == "error" { format!("error:{}", edge.to) } else { edge.to.clone() };
        leads_to.entry(&edge.from).or_default().push(to);
    }
    for node in &view.nodes {
        let edges = leads_to.remove(node.name.as_str()).unwrap_or_default();
        let n_more = edges.len().saturating_sub(EDGES_SHOWN);
        let more = if n_more > 0 { format!(" +{n_more}") } else { String::new() };
        nodes.row([
            Cell::from(node.name.clone()),
            Cell::from(node.kind.clone()),
            Cell::from(edges[..edges.len() - n_more].join(" ") + &more),
            Cell::from(node.policies.join(" ")),
            Cell::from(node.line.to_string()),
        ]);
    }
    text.push('\n');
    text.push_str(&nodes.render(console));
    if view.nodes_next.is_some() {
        let (shown, total, name) = (view.nodes.len(), view.nodes_total, &summary.name);
        text.push_str(&match console.language {
            Language::En => format!("{shown} nodes of {total}; all of them: ractorflow workflow show {name} --all\n"),
            Language::Zh => {
                format!("共 {total} 个节点, 此处 {shown} 个; 全部: ractorflow workflow show {name} --all\n")
            }
        });
    }
    text.push('\n');
    text.push_str(&show::instances(&view.instances, console).render(console));
    if !view.next_fires.is_empty() {
        text.push('\n');
        text.push_str(&show::next_fires(&view.next_fires, console).render(console));
    }
    if let Some(why) = &view.why {
        text.push('\n');
        text.push_str(&show::why(why, console));
    }
    if let Some(error) = &view.load_error {
        text.push('\n');
        text.push_str(&show::load_error(error, console));
    }
    if !view.warnings.is_empty() {
        text.push('\n');
        text.push_str(&show::diagnostics(&view.warnings, console));
    }
    text
}
