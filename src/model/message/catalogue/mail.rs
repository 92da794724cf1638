//! Mails: what is owed, what hinders it, and what a mail says.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    ("{} mails wait for the mail server; more are not written", "已有 {} 封邮件在等待邮件服务器；不再生成新的邮件"),
    ("the mail server has not taken it for {} h", "邮件服务器已有 {} 小时没有收下它"),
    ("{} did not get the mail about {}: {}", "{} 没有收到关于 {} 的邮件：{}"),
    ("the mail about {} to {} was given up: {}", "放弃了发给 {1} 的关于 {0} 的邮件：{2}"),
    ("the mail server does not take mails: {}", "邮件服务器不收邮件：{}"),
    ("a mail about #{} is owed to {}", "应向 {1} 发送关于 #{0} 的邮件"),
    (
        "{} has no mail server: host and from of [mail] in its ractorflow.toml",
        "{} 没有邮件服务器：请填写其 ractorflow.toml 中 [mail] 的 host 与 from",
    ),
    ("[Ractorflow] {}", "【Ractorflow】{}"),
    ("{} messages: {}", "{} 条消息：{}"),
    ("{} #{} {}", "{} #{} {}"),
    ("{} #{}: node {} failed and is tried again", "{} #{}：节点 {} 执行失败，将重试"),
    ("{} #{}: node {} succeeded after a retry", "{} #{}：节点 {} 重试后执行成功"),
    ("recovered", "已恢复"),
    ("and {} more nodes", "另有 {} 个节点"),
    (
        "Written by Ractorflow for the receivers of the workflow and of those that wait for it",
        "由 Ractorflow 发给该工作流及其下游工作流的收件人",
    ),
    (
        "see to the mail server, or to [mail] of ractorflow.toml on the masters; what waits goes out then",
        "请检查邮件服务器，或各主节点 ractorflow.toml 中的 [mail]；恢复后会自动发出等待中的邮件",
    ),
    ("{} mail{s} not sent yet: {}", "{} 封邮件尚未发出：{}"),
    (
        "nobody is mailed: host and from of [mail] in ractorflow.toml are not set",
        "不会发送邮件：ractorflow.toml 中 [mail] 的 host 与 from 未设置",
    ),
];
