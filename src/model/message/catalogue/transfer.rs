//! Rows between databases and files, and comments of tables.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    (
        "the quote {} in line {} is never closed (where quotes are plain characters, write quote=\"\")",
        "第 {1} 行的引号 {0} 没有结束（如果引号只是普通字符，请写 quote=\"\"）",
    ),
    ("the row that begins in line {} is longer than {} MiB", "从第 {} 行开始的一行数据超过 {} MiB"),
    ("it has more than {} columns", "列数超过 {}"),
    ("the first row: {}", "第一行：{}"),
    ("{} field{s}, not {}", "有 {} 个字段，应为 {} 个"),
    ("there is text behind a closing quote", "结束引号之后还有文字"),
    ("it is not {}", "不是 {}"),
    ("it cannot be written: {}", "无法写入：{}"),
    ("files cannot be written in {}, only read", "不能以 {} 编码写文件，只能读取"),
    ("header: {}", "表头：{}"),
    (
        "the value of column {} cannot be written without quotes: it holds a delimiter or a line break, or reads as NULL",
        "第 {} 列的值不加引号无法写出：其中有分隔符或换行，或会被读作 NULL",
    ),
    ("the encoding has no character {}", "该编码中没有字符 {}"),
    ("delimited must be one or more characters without a line break", "delimited 必须是一个或多个字符，且不含换行"),
    (
        "quote must be one character that is not in delimited, or blank, not \"{}\"",
        "quote 必须是一个不在 delimited 中的字符，或为空，而不是“{}”",
    ),
    ("null must hold no delimiter, quote or line break", "null 不能含有分隔符、引号或换行"),
    (
        "there is no encoding \"{}\": utf-8, gbk, gb18030, utf-16le, …",
        "没有编码“{}”：可用 utf-8、gbk、gb18030、utf-16le 等",
    ),
    ("\"{}\" ends in the middle of an escape", "“{}”中的转义不完整"),
    ("source and target are the same file: {}", "源和目标是同一个文件：{}"),
    ("source and target are the same table: {}", "源和目标是同一张表：{}"),
    (
        "the first row has {} field{s}, the table {} has {} column{s}: {} (header=\"true\" says that it holds their names)",
        "第一行有 {} 个字段，表 {} 有 {} 列：{}（如果第一行是列名，请写 header=\"true\"）",
    ),
    ("a column stands twice in the source: {}", "源中有重复的列：{}"),
    ("the table {} has no column {}; it has {}", "表 {} 没有列 {}；它的列有 {}"),
    ("more than {} rows are rejected (max-rejects); {}", "被拒绝的行超过 {} 行（max-rejects）；{}"),
    ("{} row{s}, {} rows/s, {} MiB", "{} 行，每秒 {} 行，{} MiB"),
    ("rejected: {}", "已拒绝：{}"),
    ("row {} (line {}): {}", "第 {} 行数据（文件第 {} 行）：{}"),
    ("row {}: {}", "第 {} 行数据：{}"),
    ("row {}", "第 {} 行数据"),
    ("it must be one query, not {} statements", "必须是一条查询，而不是 {} 条语句"),
    ("the source gives no rows: it must be a table or a query", "源不返回数据行：它必须是表或查询"),
    (
        "<{}> of a file is for bash: use $RF_PARAM_NAME, not |sql",
        "文件的 <{}> 由 bash 执行：请用 $RF_PARAM_NAME，而不是 |sql",
    ),
    ("{} row{s} deleted", "删除了 {} 行"),
    ("{} row{s}", "{} 行"),
    ("there is no table {}, and an empty file says nothing of its columns", "没有表 {}，而空文件无法说明它的列"),
    ("the table {} was missing and is made: {}", "表 {} 不存在，已创建：{}"),
    ("the columns go by position into {}", "各列按位置写入 {}"),
    ("the definition of column {} cannot be read from SHOW CREATE TABLE", "无法从 SHOW CREATE TABLE 读取列 {} 的定义"),
    ("{} keeps no comments of tables and columns", "{} 不保存表和列的注释"),
    (
        "columns of {} would have no comment: {}; write <column-comment name=\"…\">",
        "{} 的这些列将没有注释：{}；请写 <column-comment name=\"…\">",
    ),
    ("{} comment{s} of columns changed", "更改了 {} 个列注释"),
    ("link {} has no table {}", "链接 {} 中没有表 {}"),
];
