//! `link test`: opened on the workers, where nodes will open it.

use clap::Args;

use crate::api::change::LinkTestRequest;
use crate::api::{ExitCode, LinkTestView};
use crate::cli::console::{Cell, Console, Outcome, Table, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};

use super::KindOption;
use super::list::kind;

pub const VERB: Verb = Verb {
    path: "link test",
    about: "Open a link on the workers, and say for each of them what failed, and where",
    examples: &["ractorflow link test dwh", "ractorflow link test dwh --from w2"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict, ExitCode::Partial],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    #[arg(value_name = "LINK")]
    name: String,
    /// A worker, or all
    #[arg(long, value_name = "WORKER", default_value = "all", hide_default_value = true)]
    from: String,
    #[command(flatten)]
    kind: KindOption,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let console = remote.console;
    let target = format!("{}:test", arguments.name);
    let ask = Ask::new(["links", target.as_str()]).maybe("kind", arguments.kind.kind.as_deref());
    let request = LinkTestRequest { from: Some(arguments.from) };
    let tried: Vec<LinkTestView> = remote.client.post(&ask, &request).await?;
    console.list(&tried, &tried, |one| one.from.clone(), |tried| table(tried, console))?;
    let n_ok = tried.iter().filter(|one| one.is_ok).count();
    let is_unknown = |one: &LinkTestView| one.failed_at.as_deref() == Some("name");
    Ok(match n_ok {
        n if n == tried.len() => ExitCode::Ok,
        0 if tried.iter().all(is_unknown) => ExitCode::NotFound,
        0 => ExitCode::Other,
        _ => ExitCode::Partial,
    })
}

fn table(tried: &[LinkTestView], console: &Console) -> Table {
    let mut table = Table::new()
        .column(console.word("WORKER", "工作机"))
        .column(console.word("KIND", "种类"))
        .column(console.word("FROM", "来源"))
        .column(console.word("FAILED AT", "失败步骤"))
        .column(console.word("RESULT", "结果"));
    for one in tried {
        let result = match &one.error {
            None => format!("{}, {} ms", console.word("ok", "成功"), one.took_ms),
            Some(why) => match &one.hint {
                Some(hint) => format!("{} ({})", console.say(why), console.say(hint)),
                None => console.say(why),
            },
        };
        let origin = match one.origin.as_deref() {
            Some("cluster") => console.word("cluster", "集群"),
            Some("file") => console.word("file", "文件"),
            _ => "",
        };
        table.row(vec![
            Cell::from(one.from.as_str()),
            Cell::from(kind(&one.kind, console)),
            Cell::from(origin),
            Cell::from(step(one.failed_at.as_deref(), console)),
            Cell::from(result),
        ]);
    }
    table
}

fn step<'a>(word: Option<&'a str>, console: &Console) -> &'a str {
    match word {
        Some("name") => console.word("name", "名称"),
        Some("config") => console.word("config", "配置"),
        Some("driver") => console.word("driver", "驱动"),
        Some("resolve") => console.word("resolve", "解析主机名"),
        Some("connect") => console.word("connect", "连接"),
        Some("tls") => console.word("tls", "TLS"),
        Some("login") => console.word("login", "登录"),
        Some("query") => console.word("query", "查询"),
        Some("path") => console.word("path", "路径"),
        Some("worker") => console.word("worker", "工作机"),
        Some(other) => other,
        None => "",
    }
}
