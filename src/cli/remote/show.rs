//! Views as text for people: the same columns wherever the same thing is shown.

use crate::api::{
    DiagnosticView, InstanceSummary, InstanceView, LoadErrorView, NextFireView, NodeView, WhyView, WorkerView,
    WorkflowSummary,
};
use crate::cli::console::{Cell, Console, Format, Language, Table, instant, span, standing};
use crate::say;

pub fn instances(items: &[InstanceSummary], console: &Console) -> Table {
    let mut table = Table::new()
        .right(console.word("NUMBER", "编号"))
        .column(console.word("WORKFLOW", "工作流"))
        .column(console.word("STATE", "状态"))
        .column(console.word("CREATED", "创建时间"))
        .right(console.word("TOOK", "用时"))
        .right(console.word("NODES", "节点"))
        .column(console.word("BY", "触发"))
        .wide(console.word("VERSION", "版本"))
        .wide(console.word("NOMINAL", "计划时间"))
        .wide(console.word("BUSINESS DATE", "业务日期"))
        .column(console.word("MESSAGE", "信息"))
        .empty(console.word("no instances", "没有实例"));
    for one in items {
        let by = one.trigger.clone().or_else(|| one.by.clone()).unwrap_or_default();
        let now_on = || format!("{} {}", console.word("on", "正在"), one.now_on.join(", "));
        let message = one
            .message
            .as_ref()
            .map(|said| console.say(said))
            .unwrap_or_else(|| if one.now_on.is_empty() { String::new() } else { now_on() });
        table.row([
            Cell::from(format!("#{}", one.number)),
            Cell::from(one.workflow.clone()),
            Cell::instance(one.state, console),
            Cell::from(instant(one.created)),
            Cell::from(span(one.duration_ms)),
            Cell::from(format!("{}/{}", one.nodes_done, one.nodes_total)),
            Cell::from(format!("{} {by}", kind(&one.kind, console))),
            Cell::from(format!("v{}", one.version)),
            Cell::from(one.nominal.map_or("-".to_owned(), instant)),
            Cell::from(one.business_date.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::from(message),
        ]);
    }
    table
}

pub fn workflows(items: &[WorkflowSummary], console: &Console) -> Table {
    let mut table = Table::new()
        .column(console.word("NAME", "名称"))
        .column(console.word("DIR", "目录"))
        .column(console.word("ENABLED", "启用"))
        .column(console.word("LAST", "最近"))
        .column(console.word("NEXT", "下次触发"))
        .right(console.word("LIVE", "在运行"))
        .right(console.word("VERSION", "版本"))
        .wide(console.word("OWNER", "负责人"))
        .wide(console.word("SCHEDULE", "调度"))
        .wide(console.word("FILE", "文件"))
        .column(console.word("ERROR", "加载错误"))
        .empty(
            console.word("no workflows: copy an .xml file into xmlconfig/", "没有工作流: 把 .xml 文件放进 xmlconfig/"),
        );
    for one in items {
        let warnings = match one.warnings {
            0 => String::new(),
            1 => console.word("1 warning", "1 个警告").to_owned(),
            n => format!("{n} {}", console.word("warnings", "个警告")),
        };
        let error = one.load_error.as_ref().map_or(warnings, |error| {
            let place = [error.line, error.column].into_iter().flatten().map(|n| format!("{n}:")).collect::<String>();
            format!("{place} {}", console.say(&error.text))
        });
        table.row([
            Cell::from(one.name.clone()),
            Cell::from(one.dir.clone()),
            Cell::from(if one.enabled { console.word("yes", "是") } else { console.word("no", "否") }),
            one.last.as_ref().map_or(Cell::from("-"), |last| Cell::instance(last.state, console)),
            Cell::from(one.next_fire.filter(|_| one.enabled).map_or("-".to_owned(), instant)),
            Cell::from(if one.queued > 0 {
                format!("{}+{}", one.running, one.queued)
            } else {
                one.running.to_string()
            }),
            Cell::from(one.version.map_or("-".to_owned(), |version| format!("v{version}"))),
            Cell::from(one.owner.clone().or_else(|| one.creator.clone()).unwrap_or_default()),
            Cell::from(console.say_all(&one.schedule)),
            Cell::from(one.file.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::from(error),
        ]);
    }
    table
}

pub fn workers(items: &[WorkerView], console: &Console) -> Table {
    let mut table = Table::new()
        .column(console.word("WORKER", "工作机"))
        .column(console.word("STATE", "状态"))
        .column(console.word("HOST", "主机"))
        .right(console.word("SLOTS", "槽位"))
        .column(console.word("LABELS", "标签"))
        .wide(console.word("ADDRESS", "地址"))
        .wide("PID")
        .wide(console.word("SINCE", "起始"))
        .column(console.word("RUNNING", "正在运行"))
        .column(console.word("NOTE", "说明"))
        .empty(console.word("no workers", "没有工作机"));
    for one in items {
        let mut running: Vec<String> = one.running.iter().map(|a| format!("#{}/{}", a.instance, a.node)).collect();
        running.extend((one.running_more > 0).then(|| format!("+{}", one.running_more)));
        table.row([
            Cell::from(one.id.clone()),
            Cell::from(console.say(&standing(&one.state))),
            Cell::from(one.host.clone()),
            Cell::from(format!("{}/{}", one.slots_used, one.slots)),
            Cell::from(one.labels.join(",")),
            Cell::from(one.address.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::from(one.pid.map_or("-".to_owned(), |pid| pid.to_string())),
            Cell::from(one.since.map_or("-".to_owned(), instant)),
            Cell::from(running.join(" ")),
            Cell::from(one.message.as_ref().map(|said| console.say(said)).unwrap_or_default()),
        ]);
    }
    table
}

pub fn next_fires(items: &[NextFireView], console: &Console) -> Table {
    let mut table = Table::new()
        .column(console.word("TIME", "时间"))
        .column(console.word("ZONE", "时区"))
        .column(console.word("WORKFLOW", "工作流"))
        .column(console.word("TRIGGER", "触发器"))
        .column(console.word("BUSINESS DATE", "业务日期"))
        .column(console.word("PARAMETERS", "参数"))
        .column(console.word("BLOCKED", "受阻"))
        .empty(console.word("nothing is scheduled", "没有计划的触发"));
    for one in items {
        let params: Vec<String> = one.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut blocked: Vec<String> = one.blocked.iter().map(|said| console.say(said)).collect();
        if !one.waits_for.is_empty() {
            blocked.push(format!("{} {}", console.word("waits for", "等待"), one.waits_for.join(", ")));
        }
        table.row([
            Cell::from(one.local.clone()),
            Cell::from(one.zone.clone()),
            Cell::from(one.workflow.clone()),
            Cell::from(one.trigger.clone()),
            Cell::from(one.business_date.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::from(params.join(" ")),
            Cell::from(blocked.join("; ")),
        ]);
    }
    table
}

/// Why an instance was made.
fn kind<'a>(word: &'a str, console: &Console) -> &'a str {
    match word {
        "scheduled" => console.word("scheduled", "调度"),
        "triggered" => console.word("triggered", "手动触发"),
        "run" => console.word("run", "单独运行"),
        "backfill" => console.word("backfill", "补数"),
        "sub" => console.word("sub", "子工作流"),
        newer => newer,
    }
}

/// Header and table of nodes.
pub fn instance(view: &InstanceView, console: &Console) -> String {
    let mut head = Table::new().column("").column("");
    let mut line = |label: &str, cell: Cell| head.row([Cell::from(label.to_owned()), cell]);
    line(
        console.word("instance", "实例"),
        Cell::from(format!("#{}   {} v{}", view.number, view.workflow, view.version)),
    );
    line(console.word("state", "状态"), Cell::instance(view.state, console));
    let by = view.trigger.clone().or_else(|| view.by.clone()).unwrap_or_default();
    line(console.word("by", "触发"), Cell::from(format!("{} {by}", kind(&view.kind, console))));
    line(console.word("created", "创建时间"), Cell::from(instant(view.created)));
    if let Some(finished) = view.finished {
        line(console.word("finished", "结束时间"), Cell::from(instant(finished)));
    }
    line(console.word("took", "用时"), Cell::from(span(view.duration_ms)));
    if let Some(nominal) = view.nominal {
        line(console.word("nominal", "计划时间"), Cell::from(instant(nominal)));
    }
    if let Some(date) = &view.business_date {
        line(console.word("business date", "业务日期"), Cell::from(date.clone()));
    }
    if view.generation > 1 {
        let text = format!("{} / {}", view.generation, view.generations.len());
        line(console.word("generation", "代"), Cell::from(text));
    }
    for (label, values) in
        [(console.word("parameters", "参数"), &view.params), (console.word("outputs", "输出"), &view.outputs)]
    {
        if !values.is_empty() {
            let text: Vec<String> = values.iter().map(|p| format!("{}={}", p.name, p.value)).collect();
            line(label, Cell::from(text.join(" ")));
        }
    }
    if let Some(message) = &view.message {
        line(console.word("message", "信息"), Cell::from(console.say(message)));
    }
    let head = head.render(console).lines().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    let why = view.why.as_ref().map_or(String::new(), |view| format!("\n{}", why(view, console)));
    let rest = if view.nodes_next.is_some() { rest(view, console) } else { String::new() };
    format!("{head}\n{}{rest}{why}", nodes(&view.nodes, console).render(console))
}

/// Says that there are more nodes, and how to see them.
fn rest(view: &InstanceView, console: &Console) -> String {
    let (shown, total, number) = (view.nodes.len(), view.nodes_total, view.number);
    match console.language {
        Language::En => format!(
            "{shown} nodes of {total}; the others: ractorflow instance show {number} --all, or --state failed,running\n"
        ),
        Language::Zh => format!(
            "共 {total} 个节点, 此处 {shown} 个; 其余: ractorflow instance show {number} --all 或 --state failed,running\n"
        ),
    }
}

fn nodes(items: &[NodeView], console: &Console) -> Table {
    let mut table = Table::new()
        .column(console.word("NODE", "节点"))
        .column(console.word("TYPE", "类型"))
        .column(console.word("STATE", "状态"))
        .right(console.word("TRIES", "次数"))
        .column(console.word("WORKER", "工作机"))
        .right(console.word("TOOK", "用时"))
        .right(console.word("EXIT", "退出码"))
        .wide(console.word("STARTED", "开始时间"))
        .column(console.word("MESSAGE", "信息"));
    for one in items {
        let last = one.attempts.last();
        let tries = match one.attempts.len() {
            0 => String::new(),
            n => format!("{}/{}", one.attempts_total.max(n as u32), one.attempts_max),
        };
        let why = || one.why.as_ref().map(|why| why.summary.clone());
        // Until when it waits counts before why the last attempt failed.
        let said = match (one.retry_at, &one.message) {
            (Some(at), Some(message)) => Some(say!("tries again at {}: {}", at.0, message)),
            (Some(at), None) => Some(say!("tries again at {}", at.0)),
            (None, message) => message.clone().or_else(why),
        };
        table.row([
            Cell::from(one.name.clone()),
            Cell::from(one.kind.clone()),
            Cell::node(one.state, console),
            Cell::from(tries),
            Cell::from(last.map_or(String::new(), |attempt| attempt.worker.clone())),
            Cell::from(one.duration_ms.map_or(String::new(), |ms| span(Some(ms)))),
            Cell::from(one.exit_code.map_or(String::new(), |code| code.to_string())),
            Cell::from(one.started.map_or("-".to_owned(), instant)),
            Cell::from(said.map(|said| console.say(&said)).unwrap_or_default()),
        ]);
    }
    table
}

pub fn why(view: &WhyView, console: &Console) -> String {
    let mut text = format!("{}\n", console.say(&view.summary));
    for reason in &view.reasons {
        let since = reason
            .since
            .map_or(String::new(), |since| format!("  ({} {})", console.word("since", "自"), instant(since)));
        text.push_str(&format!("  - {} [{}]{since}\n", console.say(&reason.text), reason.code));
        if let Some(unblock) = &reason.unblock {
            text.push_str(&format!("    {}: {}\n", console.word("to unblock", "解决办法"), console.say(unblock)));
        }
    }
    text
}

pub fn load_error(error: &LoadErrorView, console: &Console) -> String {
    let running = match error.running_version {
        Some(version) => format!("{} v{version}", console.word("running version", "仍在运行的版本")),
        None => console.word("no version runs", "没有可运行的版本").to_owned(),
    };
    let head = format!("{}   {} {}   {running}\n", error.path, console.word("since", "自"), instant(error.since));
    head + &diagnostics(&error.diagnostics, console)
}

/// As the compiler of a language would show them.
pub fn diagnostics(items: &[DiagnosticView], console: &Console) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    let mut text = String::new();
    for one in items {
        let severity = match one.severity.as_str() {
            "warning" => console.word("warning", "警告"),
            _ => console.word("error", "错误"),
        };
        text.push_str(&format!("{severity}[{}]: {}\n", one.code, console.say(&one.message)));
        let gutter = one.source.iter().map(|line| line.n.to_string().len()).max().unwrap_or(1);
        text.push_str(&format!("{:gutter$}--> {}:{}:{}\n", "", one.path, one.line, one.column));
        for line in &one.source {
            text.push_str(&format!(" {:>gutter$} | {}\n", line.n, line.text));
            if line.n == one.line {
                let before: String = line.text.chars().take(one.column.saturating_sub(1) as usize).collect();
                let is_one_line = one.end_line == one.line && one.end_column > one.column;
                let length = if is_one_line { (one.end_column - one.column) as usize } else { 1 };
                let marked = line.text.chars().skip(one.column.saturating_sub(1) as usize).take(length);
                let marked: usize = marked.map(|c| c.width().unwrap_or(1)).sum();
                let label = one.label.as_ref().map_or(String::new(), |label| format!(" {}", console.say(label)));
                let caret = format!("{}{}{label}", " ".repeat(before.width()), "^".repeat(marked.max(1)));
                text.push_str(&format!(" {:gutter$} | {caret}\n", ""));
            }
        }
        if let Some(hint) = &one.hint {
            text.push_str(&format!(" {:gutter$} = {}: {}\n", "", console.word("help", "建议"), console.say(hint)));
        }
        for related in &one.related {
            let note = console.word("note", "说明");
            // A place of its own is told, the one above needs no second time.
            let is_elsewhere = (related.line, related.column) != (one.line, one.column);
            let place = if is_elsewhere { format!(" ({}:{})", related.line, related.column) } else { String::new() };
            text.push_str(&format!(" {:gutter$} = {note}: {}{place}\n", "", console.say(&related.text)));
        }
        text.push('\n');
    }
    text
}

/// Said on stderr below a list that goes on.
pub fn more(next: Option<&str>, console: &Console) {
    if let (Some(next), Format::Table | Format::Wide) = (next, console.format) {
        console.talk(&say!("more: --cursor {}", next));
    }
}
