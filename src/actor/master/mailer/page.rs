//! How a mail looks: the letter as HTML in the colours of the pages. What is shown is escaped by the template.

use askama::Template;

use crate::api::{InstanceView, NodeView, Time};
use crate::engine::state::MailAbout;
use crate::model::duration::Millis;
use crate::model::message::{Message, Voice};
use crate::model::state::NodeWord;
use crate::say;

use super::letter::{Letter, NodeLog, Part};

#[derive(Template)]
#[template(path = "mail.html")]
struct Page {
    lang: &'static str,
    subject: String,
    w: Words,
    /// More than one thing: a list of them first.
    rows: Vec<Row>,
    parts: Vec<Shown>,
    footer: String,
}

/// Words of the frame.
struct Words {
    state: &'static str,
    run: &'static str,
    reason: &'static str,
    node: &'static str,
    took: &'static str,
    tries: &'static str,
    last_lines: &'static str,
    affected: &'static str,
    next: &'static str,
    open: &'static str,
}

struct Row {
    chip: Chip,
    run: String,
    href: String,
    message: String,
}

struct Shown {
    chip: Chip,
    title: String,
    href: String,
    message: String,
    facts: Vec<(&'static str, String)>,
    nodes: Vec<NodeRow>,
    nodes_more: Option<String>,
    logs: Vec<Log>,
    affected: String,
    commands: Vec<String>,
}

struct NodeRow {
    chip: Chip,
    name: String,
    kind: String,
    took: String,
    tries: String,
    message: String,
}

struct Log {
    node: String,
    text: String,
}

/// A state as a word on its colour.
struct Chip {
    word: String,
    fill: &'static str,
    on: &'static str,
}

pub fn html(letter: &Letter, voice: Voice) -> Result<String, askama::Error> {
    let word = |en, zh| voice.lang.of(en, zh);
    let is_list = letter.parts.len() > 1;
    let rows = letter.parts.iter().filter(|_| is_list).map(|part| row(letter, part, voice));
    let parts = letter.parts.iter().filter(|part| !is_list || part.detail.is_some());
    let page = Page {
        lang: voice.lang.of("en", "zh-CN"),
        subject: letter.subject().in_voice(voice),
        w: Words {
            state: word("State", "状态"),
            run: word("Run", "实例"),
            reason: word("Reason", "原因"),
            node: word("Node", "节点"),
            took: word("Took", "用时"),
            tries: word("Tries", "次数"),
            last_lines: word("last lines of", "日志末尾："),
            affected: word("Workflows that wait for it", "受影响的下游工作流"),
            next: word("What to do", "后续操作"),
            open: word("Open the page", "打开页面"),
        },
        rows: rows.collect(),
        parts: parts.map(|part| shown(letter, part, voice)).collect(),
        footer: say!("Written by Ractorflow for the receivers of the workflow and of those that wait for it")
            .in_voice(voice),
    };
    page.render()
}

fn row(letter: &Letter, part: &Part, voice: Voice) -> Row {
    Row {
        chip: chip_of(part, voice),
        run: part.title().in_voice(voice),
        href: href(letter, part),
        message: said(part.message(), voice),
    }
}

fn shown(letter: &Letter, part: &Part, voice: Voice) -> Shown {
    let view = part.instance.as_ref();
    let detail = part.detail.as_ref();
    let affected = detail.map_or(String::new(), |detail| {
        let names = detail.affected.join(voice.lang.of(", ", "、"));
        match detail.affected_more {
            0 => names,
            more => say!("{} (and {} more)", names, more).in_voice(voice),
        }
    });
    let more = view.map_or(0, |view| match part.item.about {
        MailAbout::Ended { .. } => (view.nodes_total as usize).saturating_sub(view.nodes.len()),
        MailAbout::Retrying { .. } | MailAbout::Recovered { .. } => 0,
    });
    Shown {
        chip: chip_of(part, voice),
        title: part.title().in_voice(voice),
        href: href(letter, part),
        message: said(part.message(), voice),
        facts: view.map_or_else(Vec::new, |view| facts(view, voice)),
        nodes: view.into_iter().flat_map(|view| &view.nodes).map(|node| node_row(node, voice)).collect(),
        nodes_more: (more > 0).then(|| say!("and {} more nodes", more).in_voice(voice)),
        logs: detail.into_iter().flat_map(|detail| &detail.logs).map(log).collect(),
        affected,
        commands: part.commands(),
    }
}

fn facts(view: &InstanceView, voice: Voice) -> Vec<(&'static str, String)> {
    let word = |en, zh| voice.lang.of(en, zh);
    let at = |time: Time| Message::value(time.0).in_voice(voice);
    let mut facts = vec![(word("Version", "版本"), format!("v{}", view.version))];
    let by = view.trigger.clone().or_else(|| view.by.clone());
    facts.extend(by.map(|by| (word("Started by", "触发"), by)));
    facts.extend(view.business_date.clone().map(|date| (word("Business date", "业务日期"), date)));
    facts.extend(view.started.map(|time| (word("Started", "开始时间"), at(time))));
    facts.extend(view.finished.map(|time| (word("Finished", "结束时间"), at(time))));
    facts.extend(view.duration_ms.map(|ms| (word("Took", "用时"), length(ms))));
    if view.generation > 1 {
        facts.push((word("Generation", "代"), view.generation.to_string()));
    }
    facts
}

fn node_row(node: &NodeView, voice: Voice) -> NodeRow {
    let tries = match node.attempts_total {
        0 => String::new(),
        n => format!("{n}/{}", node.attempts_max),
    };
    NodeRow {
        chip: chip(node.state, voice),
        name: node.name.clone(),
        kind: node.kind.clone(),
        took: node.duration_ms.map_or(String::new(), length),
        tries,
        message: said(node.message.clone(), voice),
    }
}

fn log(log: &NodeLog) -> Log {
    Log { node: log.node.clone(), text: log.lines.join("\n") }
}

/// From a second on without the parts of it.
fn length(ms: i64) -> String {
    let ms = ms.max(0);
    Millis(if ms < 1000 { ms } else { ms / 1000 * 1000 }).to_string()
}

fn said(message: Option<Message>, voice: Voice) -> String {
    message.map_or(String::new(), |message| message.in_voice(voice))
}

fn href(letter: &Letter, part: &Part) -> String {
    format!("{}/i/{}", letter.url, part.item.instance)
}

fn chip_of(part: &Part, voice: Voice) -> Chip {
    let word = match &part.item.about {
        MailAbout::Ended { end } => NodeWord::from_word(end.word().word()).unwrap_or(NodeWord::Failed),
        MailAbout::Retrying { .. } => NodeWord::Retrying,
        MailAbout::Recovered { .. } => NodeWord::Succeeded,
    };
    Chip { word: part.word().in_voice(voice), ..chip(word, voice) }
}

/// The colours of the pages, in light: mail programs have no dark ones of ours.
fn chip(word: NodeWord, voice: Voice) -> Chip {
    let (fill, on) = match word {
        NodeWord::Succeeded => ("#007d5c", "#ffffff"),
        NodeWord::Failed => ("#c8400a", "#ffffff"),
        NodeWord::TimedOut => ("#6e2400", "#ffffff"),
        NodeWord::Killed => ("#2b3038", "#ffffff"),
        NodeWord::Lost => ("#4a1260", "#ffffff"),
        NodeWord::Running => ("#0068a8", "#ffffff"),
        NodeWord::Paused => ("#a4568a", "#ffffff"),
        NodeWord::Retrying => ("#f0a30a", "#14181d"),
        NodeWord::Dispatched => ("#7fcdf7", "#14181d"),
        NodeWord::Queued => ("#f5ea55", "#14181d"),
        NodeWord::UpstreamFailed => ("#fbc3a4", "#14181d"),
        NodeWord::Waiting => ("#b4bcc8", "#14181d"),
        NodeWord::Skipped => ("#eceff3", "#14181d"),
    };
    Chip { word: Message::value(word).in_voice(voice), fill, on }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::{InstanceEnd, MailItem};
    use crate::model::id::{Generation, InstanceNumber, WorkflowName};
    use crate::model::message::Lang;

    use super::super::letter::Detail;

    fn part(number: u64, workflow: &str, about: MailAbout) -> Part {
        let (instance, generation) = (InstanceNumber(number), Generation(1));
        let item = MailItem { instance, generation, workflow: WorkflowName::from(workflow), about };
        let log = NodeLog { node: "a".to_owned(), lines: vec!["x < y & <script>".to_owned()] };
        let affected = vec!["日报".to_owned()];
        Part { item, instance: None, detail: Some(Detail { logs: vec![log], affected, affected_more: 2 }) }
    }

    fn in_both(parts: Vec<Part>) -> [(String, String); 2] {
        let letter = Letter { parts, url: "https://flow.example.com".to_owned() };
        [Lang::En, Lang::Zh].map(|lang| {
            let voice = Voice { lang, ..Voice::default() };
            (letter.subject().in_voice(voice), html(&letter, voice).unwrap())
        })
    }

    #[test]
    fn what_is_mailed_is_escaped_and_leads_on_in_both_languages() {
        let failed = || MailAbout::Ended { end: InstanceEnd::Failed };
        let [(subject, en), (betreff, zh)] = in_both(vec![part(7, "a<b>", failed())]);
        assert_eq!((subject.as_str(), betreff.as_str()), ("[Ractorflow] a<b> #7 failed", "【Ractorflow】a<b> #7 失败"));
        for html in [&en, &zh] {
            assert!(!html.contains("<b>") && !html.contains("<script>"), "{html}");
            assert!(html.contains("href=\"https://flow.example.com/i/7\""), "{html}");
            assert!(html.contains("ractorflow instance rerun 7 --from-failed"), "{html}");
        }
        assert!(en.contains("日报 (and 2 more)") && en.contains("Workflows that wait for it"), "{en}");
        assert!(zh.contains("受影响的下游工作流") && !zh.contains("What to do"), "{zh}");
    }

    #[test]
    fn several_are_counted_and_listed() {
        let retrying = MailAbout::Retrying { node: "load".into() };
        let recovered = MailAbout::Recovered { node: "load".into() };
        let killed = |number| part(number, "w", MailAbout::Ended { end: InstanceEnd::Killed });
        let parts = vec![killed(1), part(2, "v", retrying), killed(3), part(2, "v", recovered)];
        let [(subject, en), (betreff, _)] = in_both(parts);
        assert_eq!(subject, "[Ractorflow] 4 messages: 2 killed, 1 retrying, 1 recovered");
        assert!(betreff.starts_with("【Ractorflow】4 条消息："), "{betreff}");
        assert_eq!(en.matches("https://flow.example.com/i/3\"").count(), 2, "a row and a part: {en}");
    }
}
