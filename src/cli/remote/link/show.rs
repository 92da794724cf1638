//! `link show`.

use clap::Args;

use crate::api::{ExitCode, LinkView};
use crate::cli::console::{Console, Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};

use super::KindOption;
use super::list::{kind, origin};

pub const VERB: Verb = Verb {
    path: "link show",
    about: "One link, without its secrets: where it comes from, what is written, who uses it",
    examples: &["ractorflow link show dwh", "ractorflow link show dwh -o json"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    #[arg(value_name = "LINK")]
    name: String,
    #[command(flatten)]
    kind: KindOption,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let ask = Ask::new(["links", &arguments.name]).maybe("kind", arguments.kind.kind.as_deref());
    let view: LinkView = remote.client.get(&ask).await?;
    remote.console.show(&view, &view.name, || text(&view, remote.console))?;
    Ok(ExitCode::Ok)
}

fn text(link: &LinkView, console: &Console) -> String {
    let mut lines = vec![format!("{} · {} {}", link.name, kind(&link.kind, console), link.type_word)];
    let mut row = |en: &'static str, zh: &'static str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("{}: {value}", console.word(en, zh)));
        }
    };
    row("address", "地址", &link.place);
    row("user", "用户", &link.username);
    row("from", "来源", &origin(link, console));
    if let Some(text) = &link.text {
        row("url", "URL", &text.url);
        row("host", "主机", &text.host);
        row("port", "端口", &text.port);
        row("password", "密码", &text.password);
        for property in &text.properties {
            row("property", "属性", &format!("{}={}", property.name, property.value));
        }
    }
    row("description", "描述", &link.description);
    row("changed by", "修改者", link.changed_by.as_deref().unwrap_or_default());
    row("used by", "使用者", &link.used_by.join(" "));
    lines.join("\n")
}
