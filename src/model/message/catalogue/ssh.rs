//! Hosts that are reached by SSH, and commands there.

pub const ROWS: &[super::Row] = &[
    ("link {} ({}): this build has no SSH (cargo feature ssh)", "链接 {}（{}）：此版本不含 SSH（cargo 特性 ssh）"),
    (
        "link {} is of type {}: a host for SSH is a file link of type SFTP",
        "链接 {} 的类型是 {}：SSH 主机应是类型为 SFTP 的文件链接",
    ),
    (
        "link {} ({}): its host key {} is not known; if that is the host's, add it to {} (ssh-keyscan prints it) or name it in the link's property host-key",
        "链接 {}（{}）：主机密钥 {} 未知；若确认属于该主机，请加入 {}（ssh-keyscan 可输出），或写入链接的 host-key 属性",
    ),
    (
        "link {} ({}): its host key {} is not the one of line {} of {}; somebody may be in between, or the host was set up anew: then replace that line",
        "链接 {}（{}）：主机密钥 {} 与第 {} 行（{}）不同；可能有人在中间，或主机已重装：若是重装请替换该行",
    ),
    ("link {} ({}): its host key {} is not the link's host-key", "链接 {}（{}）：主机密钥 {} 与链接的 host-key 不符"),
    ("link {} ({}) refuses the login", "链接 {}（{}）拒绝登录"),
    ("link {} ({}) refuses the login; it accepts: {}", "链接 {}（{}）拒绝登录；它接受：{}"),
    ("the private key {} cannot be read: {}", "无法读取私钥 {}：{}"),
    ("the server runs no commands for this user", "服务器不允许该用户执行命令"),
    ("it closed without saying how the command ended", "连接关闭时没有说明命令的结果"),
    ("the server has no {}", "服务器没有 {}"),
    ("the name {} has no address: {}", "名称 {} 没有地址：{}"),
    ("{} does not answer: {}", "{} 没有应答：{}"),
    ("runs on {}", "在 {} 上运行"),
    ("told to stop: the command is ended on {}", "收到停止通知：正在 {} 上结束命令"),
    ("exit code {} on {}", "退出码 {}（{}）"),
    ("$RF_OUTPUT on {}: {}", "{} 上的 $RF_OUTPUT：{}"),
];
