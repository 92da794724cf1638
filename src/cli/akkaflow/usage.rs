//! Every line that is understood, with what it does and what it is here.

use crate::cli::console::{Cell, Console, Table};

pub struct Row {
    pub noun: &'static str,
    /// What stands behind the noun.
    pub words: &'static str,
    en: &'static str,
    zh: &'static str,
    /// The same in our words.
    here: &'static str,
}

const fn row(noun: &'static str, words: &'static str, en: &'static str, zh: &'static str, here: &'static str) -> Row {
    Row { noun, words, en, zh, here }
}

pub const ROWS: &[Row] = &[
    row("front", "", "the last days, what runs, what ended", "近日概况、正在运行和最近结束的实例", "status -o wide"),
    row(
        "instance",
        "-info ID [--log | --xml]",
        "an instance, its logs or its XML",
        "查看实例、日志或 XML",
        "instance show, logs",
    ),
    row("instance", "-kill ID", "kill an instance", "杀死实例", "instance kill"),
    row("instance", "-del ID", "delete an instance that has ended", "删除已结束的实例", "instance delete"),
    row(
        "instance",
        "-rerun ID [--recover]",
        "run it again; only what failed",
        "重跑实例；只重跑失败部分",
        "instance rerun",
    ),
    row(
        "instance",
        "-search [--sdate DAY] [--edate DAY] [--creator NAME] [--status 成功|失败|杀死|运行] [--key TEXT]",
        "look for instances; those of today",
        "查找实例；默认当天",
        "instance list",
    ),
    row("workflow", "-add FILE", "load a file", "添加或更新工作流", "workflow apply"),
    row("workflow", "-check FILE", "would it load?", "检查文件能否加载", "workflow check"),
    row("workflow", "-del NAME", "delete a workflow", "删除工作流", "workflow delete"),
    row(
        "workflow",
        "-info NAME [--xml | --log]",
        "a workflow, its XML or its runs",
        "查看工作流、XML 或运行记录",
        "workflow show",
    ),
    row("workflow", "-list [DIR]", "workflows of a directory", "列出目录下的工作流", "workflow tree"),
    row("workflow", "-run [--param 'a=1&b=2'] NAME", "run it alone", "单独运行工作流", "run"),
    row(
        "workflow",
        "-trigger NAME [--blood]",
        "trigger it; and all downstream",
        "触发工作流；连同全部下游",
        "workflow trigger",
    ),
    row("workflow", "-reset NAME", "forget which prerequisites are met", "清除前置的就绪标志", "workflow reset"),
    row("util", "-reset-all", "the same for all workflows", "清除所有工作流的就绪标志", "workflow reset --all"),
    row("util", "-del-dir DIR", "not needed here", "此处不需要", "-"),
];

/// The lines of a noun, or all.
pub fn text(noun: Option<&str>, console: &Console) -> String {
    let mut table = Table::new()
        .column(console.word("USAGE", "用法"))
        .column(console.word("WHAT IT DOES", "说明"))
        .column(console.word("HERE", "本系统命令"));
    for row in ROWS.iter().filter(|row| noun.is_none_or(|noun| noun == row.noun)) {
        let line = format!("akka {} {}", row.noun, row.words);
        table.row([
            Cell::from(line.trim_end().to_owned()),
            Cell::from(console.word(row.en, row.zh)),
            Cell::from(row.here),
        ]);
    }
    table.render(console)
}
