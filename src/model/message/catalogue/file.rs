//! Files of links, on this host and on others.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    ("file link {}: {} is not in this build (cargo feature {})", "文件链接 {}：此版本不含 {}（cargo 特性 {}）"),
    ("file link {}: {}", "文件链接 {}：{}"),
    ("the path {} must be absolute", "路径 {} 必须是绝对路径"),
    (
        "{} is an address: write file-link=\"NAME\" for a link of conf/file_links.xml, and the path alone",
        "{} 是地址：请用 file-link=\"NAME\" 指定 conf/file_links.xml 中的连接，并只写路径",
    ),
    ("there is no file {} on this worker", "此工作机上没有文件 {}"),
    ("there is no directory {} on this worker", "此工作机上没有目录 {}"),
    ("there is no directory {}", "没有目录 {}"),
    ("{} is not a regular file", "{} 不是普通文件"),
    ("another transfer is writing {}", "另一个 transfer 正在写 {}"),
    ("{} has more than {} entries (worker.monitor_entries_max)", "{} 中的条目超过 {} 个（worker.monitor_entries_max）"),
    ("\"{}\" is no host", "“{}”不是主机"),
    ("{} is the port of Hadoop's RPC: WebHDFS is asked at its own", "{} 是 Hadoop RPC 的端口：WebHDFS 使用自己的端口"),
    ("host must name 1 to {} namenodes, separated by commas", "host 必须写 1 到 {} 个 namenode，以逗号分隔"),
    ("{} asks for a login (Kerberos), which this build does not have", "{} 要求登录（Kerberos），此版本不支持"),
    ("it answers something else than WebHDFS: {}", "它的应答不是 WebHDFS：{}"),
    ("it does not say where the content is", "它没有说明内容在哪里"),
    ("it cannot be renamed from {}", "无法由 {} 改名"),
    ("it ends after {} of {} bytes", "在 {1} 字节中的第 {0} 字节处中断"),
    ("the property {} is missing", "缺少属性 {}"),
    ("part-size must be {} to {} MiB", "part-size 必须是 {} 到 {} MiB"),
    ("it was changed while it was read", "读取时它被更改了"),
    (
        "it is larger than {} parts of {} MiB: raise the link's part-size",
        "超过 {} 个 {} MiB 的分段：请增大链接的 part-size",
    ),
    ("the store does not let this access key in", "存储不接受此访问密钥"),
    ("are the link's username and password right?", "链接的用户名和密码是否正确？"),
    ("is it there, and may this user see it?", "它是否存在，此用户是否有权查看？"),
    (
        "does the server speak TLS at this port, with a certificate for this name that this host trusts?",
        "服务器在此端口上是否使用 TLS，其证书是否属于此名称并被本机信任？",
    ),
    ("the connection was lost: {}", "连接中断：{}"),
    ("timeout must be 1 to {} seconds, not \"{}\"", "timeout 必须是 1 到 {} 秒，而不是“{}”"),
];
