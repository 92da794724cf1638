//! How a task ended, in the words of its worker.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    ("an argument holds a NUL character", "参数中含有 NUL 字符"),
    ("it cannot be read: {}", "无法读取：{}"),
    ("it is larger than {} bytes", "超过 {} 字节"),
    ("it is not a regular file", "不是普通文件"),
    ("line {} is not UTF-8", "第 {} 行不是 UTF-8"),
    (
        "line {} is neither name=value nor {\"name\":…,\"value\":…}",
        "第 {} 行既不是 name=value 也不是 {\"name\":…,\"value\":…}",
    ),
    ("line {}: \"{}\" cannot be a name", "第 {} 行：“{}”不能作为名称"),
    ("the value of {} is longer than {} bytes", "{} 的值超过 {} 字节"),
    ("more than {} names", "名称超过 {} 个"),
    (
        "names and values have {} bytes together, more than worker.output_bytes_max allows ({})",
        "名称和值合计 {} 字节，超过 worker.output_bytes_max 的上限（{}）",
    ),
    ("{} is missing", "缺少 {}"),
    ("killed", "已杀死"),
    ("ended at the timeout of the attempt", "单次尝试超时而结束"),
    ("ended with the worker's lease", "随工作机的租约到期而结束"),
    ("its shim was told by a signal to end", "守护垫片被信号终止"),
    ("killed by the kernel: out of memory", "被内核杀死：内存不足"),
    ("$RF_OUTPUT: {}", "$RF_OUTPUT：{}"),
    ("exit code {}", "退出码 {}"),
    ("ended by signal {} ({})", "被信号 {} 终止（{}）"),
    ("ended by signal {}", "被信号 {} 终止"),
    ("ended in an unknown way", "以未知方式结束"),
    ("action type {}", " action 类型 {}"),
    ("code: trim {}", "code：trim {}"),
    ("the machine was restarted while it ran", "运行期间机器重启了"),
    ("cannot prepare the work directory: {}", "无法准备工作目录：{}"),
    ("killed; its shim was gone", "已杀死；守护垫片已不在"),
    ("its shim was gone; {} process(es) were left and were killed", "守护垫片已不在；遗留的 {} 个进程已杀死"),
];
