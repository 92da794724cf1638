//! Files that a definition names and that travel with it.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    ("\"{}\" cannot be a path", "“{}”不能作为路径"),
    ("\"{}\" names no file", "“{}”没有指明文件"),
    (
        "\"{}\": the path of a file that travels with the definition holds no ${…}",
        "“{}”：随定义分发的文件，其路径不能含有 ${…}",
    ),
    ("\"{}\" leads out of the directory of definitions", "“{}”指向定义目录之外"),
    ("two files of the action would both be called {}", "该 action 有两个文件都会叫作 {}"),
    ("{} is no file of version {} of {}", "{} 不是 {2} 第 {1} 版所带的文件"),
    ("the file {} did not come with the definition", "文件 {} 没有随定义一起到达"),
    ("there is no file {}", "没有文件 {}"),
    ("{} is a link that leads out of the directory of definitions", "{} 是指向定义目录之外的链接"),
    ("{} cannot be read: {}", "无法读取 {}：{}"),
    ("the file {} cannot be brought here: {}", "无法把文件 {} 取到本机：{}"),
    ("{} cannot be read on this worker: {}", "此工作机无法读取 {}：{}"),
    ("{} has {} bytes, more than worker.files_bytes_max ({})", "{} 有 {} 字节，超过 worker.files_bytes_max（{}）"),
    (
        "{} has {} bytes; the files of a definition may have {} together (definitions.attached_bytes_max)",
        "{} 有 {} 字节；一个定义的文件合计不得超过 {}（definitions.attached_bytes_max）",
    ),
    ("more than {} files are named", "指明的文件超过 {} 个"),
    ("is below definitions.attached_bytes_max", "小于 definitions.attached_bytes_max"),
    ("{}: read on the worker that runs the node, not here: {}", "{}：由运行该节点的工作机读取，此处不检查：{}"),
    ("a file's content is not hexadecimal: {}", "文件内容不是十六进制：{}"),
    ("the attached files have more than {} bytes together", "附带的文件合计超过 {} 字节"),
    ("copy the definition and its files into xmlconfig/", "请把定义及其文件复制到 xmlconfig/"),
    (
        "a relative path is looked for beside the definition, then from the top of xmlconfig; an absolute one is read on the worker's host",
        "相对路径先在定义文件旁查找，再从 xmlconfig 顶层查找；绝对路径在工作机本机上读取",
    ),
];
