//! SQL and databases: what a script, a server or a driver does not like.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    ("line {} of the SQL: {} is not closed", "SQL 第 {} 行：{} 没有结束"),
    ("line {} of the SQL: DELIMITER names no delimiter", "SQL 第 {} 行：DELIMITER 后没有写分隔符"),
    (
        "the SQL has {} placeholders ? outside of quotes and comments, but {} values with |sql (a value with |sql stands without quotes around it)",
        "SQL 在引号和注释之外有 {} 个占位符 ?，而带 |sql 的值有 {} 个（带 |sql 的值两边不加引号）",
    ),
    ("{} ({}, SQLSTATE {})", "{}（{}，SQLSTATE {}）"),
    ("{} (SQLSTATE {})", "{}（SQLSTATE {}）"),
    ("line {}, column {} of the SQL: {}", "SQL 第 {} 行第 {} 列：{}"),
    ("line {} of the SQL: {}", "SQL 第 {} 行：{}"),
    ("link {} ({}) cannot be opened: {}", "链接 {}（{}）无法打开：{}"),
    ("link {} ({}) cannot be reached: {}", "链接 {}（{}）无法连接：{}"),
    ("link {} ({}) refuses us: {}", "链接 {}（{}）拒绝登录：{}"),
    ("link {} ({}): cancelled: {}", "链接 {}（{}）：已取消：{}"),
    ("link {} ({}): the connection was lost: {}", "链接 {}（{}）：连接中断：{}"),
    ("link {} ({}): {}", "链接 {}（{}）：{}"),
    ("no answer within {} s", "{} 秒内没有应答"),
    (
        "is the address right, and may this host reach it through every firewall?",
        "地址是否正确，本机到它之间的防火墙是否都放行？",
    ),
    ("the server was silent for {} s, longer than socketTimeout", "服务器沉默了 {} 秒，超过 socketTimeout"),
    ("this build has no driver for {}", "本构建没有 {} 的驱动"),
    ("its thread ended", "它的线程已结束"),
    ("is the directory there, and may this user write into it?", "目录是否存在，当前用户能否写入？"),
    ("is the link's file the right one?", "链接中的文件是否正确？"),
    (
        "another program writes into the file; busy_timeout says how long to wait",
        "另一个程序正在写这个文件；等待时长由 busy_timeout 决定",
    ),
    ("TLS cannot be prepared: {}", "无法准备 TLS：{}"),
    ("are username and password of the link right?", "链接的用户名和密码是否正确？"),
    ("may this user and this host sign in (pg_hba.conf)?", "该用户能否从本机登录（pg_hba.conf）？"),
    ("is the database in the link's URL the right one?", "链接 URL 中的数据库是否正确？"),
    (
        "is the schema right? currentSchema of the link says where names are looked up",
        "schema 是否正确？链接的 currentSchema 决定在哪里查找名称",
    ),
    ("the user of the link needs the right to do this", "链接的用户需要相应的权限"),
    ("the link or the server is read-only", "链接或服务器是只读的"),
    ("the URL names no host", "URL 中没有主机"),
    ("the server was told to end the statement", "已通知服务器终止该语句"),
    ("may this host sign in there (GRANT … TO 'user'@'host')?", "是否允许本机登录（GRANT … TO 'user'@'host'）？"),
    (
        "the server takes no packets of this size: raise its max_allowed_packet",
        "服务器不接受这么大的数据包：请调大它的 max_allowed_packet",
    ),
    (
        "is the host's name in the link's URL right, and known on this host?",
        "链接 URL 中的主机名是否正确，本机能否解析？",
    ),
    ("does the server run, and listen at this address and port?", "服务器是否在运行，并在该地址和端口监听？"),
    ("built without ODBC, which {} takes", "构建时未启用 ODBC，而 {} 需要它"),
    ("build it with {}", "请用 {} 重新构建"),
    ("this host has no driver manager of ODBC: {}", "本机没有 ODBC 驱动管理器：{}"),
    ("install unixODBC (Debian: unixodbc) and {} here", "请在本机安装 unixODBC（Debian 包 unixodbc）和 {}"),
    (
        "install unixODBC (Debian: unixodbc) and the driver here",
        "请在本机安装 unixODBC（Debian 包 unixodbc）和相应的驱动",
    ),
    ("this host has no ODBC driver for {} ({} names none for it)", "本机没有 {0} 的 ODBC 驱动（{1} 中没有）"),
    ("this host has no ODBC driver \"{}\" ({} does not name it)", "本机没有 ODBC 驱动“{0}”（{1} 中没有）"),
    ("install {} here; other drivers of this host: {}", "请在本机安装 {}；本机现有的其他驱动：{}"),
    ("the drivers of this host are: {}", "本机现有的驱动：{}"),
    ("none", "无"),
    (
        "install {} on this host; `odbcinst -q -d` lists the drivers that are there",
        "请在本机安装 {}；`odbcinst -q -d` 列出已有的驱动",
    ),
    (
        "`odbcinst -q -d` lists the drivers of this host, `odbcinst -q -s` its data sources",
        "`odbcinst -q -d` 列出本机的驱动，`odbcinst -q -s` 列出数据源",
    ),
    ("the driver took {} of {} rows, and says nothing of the others", "驱动只接收了 {1} 行中的 {0} 行，其余没有说明"),
    (
        "comments are set in PostgreSQL, MySQL and MariaDB, not in {}",
        "注释只能在 PostgreSQL、MySQL 和 MariaDB 中设置，不能在 {} 中设置",
    ),
];
