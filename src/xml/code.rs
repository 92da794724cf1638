//! The codes of diagnostics: one row each, never reused, never renamed.
//!
//! Owns code, first severity, and the title in both languages. Each code has a page in docs/errors and a
//! minimal file in tests/definitions/errors; tests hold them together.

use crate::model::diagnostic::Severity;

macro_rules! codes {
    ($($name:ident = $code:literal, $severity:ident, $title:literal, $zh:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($name,)* }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// `RF-X0104`.
            pub fn word(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// What it is in a lenient file; several are errors in a strict one.
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)* }
            }

            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            pub fn title_zh(self) -> &'static str {
                match self { $(Code::$name => $zh,)* }
            }
        }
    };
}

codes! {
    // X: the text is no XML, or more of it than is read.
    FileTooLarge = "RF-X0101", Error, "the file is too large", "文件太大";
    Encoding = "RF-X0102", Error, "the bytes are not in the declared encoding", "编码错误";
    EndsEarly = "RF-X0103", Error, "the file ends early", "文件不完整";
    MismatchedEnd = "RF-X0104", Error, "an element is closed by another name", "结束标签不匹配";
    StrayLess = "RF-X0105", Error, "a < that begins no tag", "多余的 <";
    BadReference = "RF-X0106", Error, "an & that begins no reference, or an unknown entity", "多余的 & 或未知实体";
    BadAttribute = "RF-X0107", Error, "an attribute is not written name=\"value\"", "属性写法错误";
    DuplicateAttribute = "RF-X0108", Error, "an attribute is given twice", "属性重复";
    LessInAttribute = "RF-X0109", Error, "an attribute's value is not closed, or holds a <", "属性值未闭合或含有 <";
    Doctype = "RF-X0110", Error, "a DOCTYPE is refused", "不允许 DOCTYPE";
    BadCharacter = "RF-X0111", Error, "a character that XML does not allow", "非法字符";
    TooDeep = "RF-X0112", Error, "elements are nested too deep", "嵌套太深";
    TooManyAttributes = "RF-X0113", Error, "an element has too many attributes", "属性太多";
    AttributeTooLong = "RF-X0114", Error, "an attribute is too long", "属性值太长";
    NoRoot = "RF-X0115", Error, "there is no root element", "没有根元素";
    OutsideRoot = "RF-X0116", Error, "something stands outside the root element", "根元素之外还有内容";
    UnopenedEnd = "RF-X0117", Error, "an end tag closes nothing", "多余的结束标签";
    TooManyElements = "RF-X0118", Error, "there are too many elements", "元素太多";
    BadMarkup = "RF-X0119", Error, "a comment, section or instruction is not well formed", "注释、CDATA 或处理指令写法错误";
    TooManyFaults = "RF-X0120", Error, "there are more faults than are shown", "错误太多, 未全部显示";
    // W: words of the language and the shape of the graph.
    Root = "RF-W0101", Error, "the root element is not a workflow", "根元素不是 work-flow";
    UnknownAttribute = "RF-W0102", Warning, "unknown attribute", "未知属性";
    UnknownElement = "RF-W0103", Warning, "unknown element", "未知元素";
    UnknownRootChild = "RF-W0104", Error, "unknown kind of node", "未知的节点种类";
    UnknownType = "RF-W0105", Error, "unknown action type", "未知的 action 类型";
    NotBuilt = "RF-W0106", Error, "a word that is not in this build", "此版本尚不支持";
    MissingAttribute = "RF-W0107", Error, "an attribute is missing", "缺少属性";
    BlankAttribute = "RF-W0108", Error, "an attribute is blank", "属性为空";
    BadValue = "RF-W0109", Error, "an attribute has a wrong value", "属性值错误";
    BadName = "RF-W0110", Error, "a name that cannot be used", "名称不合法";
    OddName = "RF-W0111", Warning, "a name with a comma or |", "名称含有逗号或 |";
    MissingElement = "RF-W0112", Error, "an element is missing", "缺少元素";
    RepeatedElement = "RF-W0113", Error, "an element is given more than once", "元素重复";
    StrayText = "RF-W0114", Warning, "text where none is read", "此处不应有文本";
    MissingText = "RF-W0115", Error, "an element's text is missing", "缺少文本";
    TypeNotFirst = "RF-W0116", Error, "the type is not the first element of its action", "类型元素必须是 action 的第一个子元素";
    NotRendered = "RF-W0117", Error, "a ${…} where none is read", "此处不能使用 ${…}";
    ChildInLeaf = "RF-W0118", Error, "an element inside a node that has none", "此节点不能有子元素";
    BodyRule = "RF-W0119", Error, "the parts of an action do not fit together", "action 的内容有误";
    ErrorEdgeIgnored = "RF-W0121", Warning, "an error edge that is not used", "error 分支无效";
    RetryTwice = "RF-W0122", Error, "retries are set in two places", "重试设置重复";
    AttachedFile = "RF-W0123", Error, "a file that cannot be attached", "无法附带的文件";
    UnknownTarget = "RF-W0201", Error, "an edge leads to a node that does not exist", "指向不存在的节点";
    DuplicateNode = "RF-W0202", Error, "two nodes have one name", "节点重名";
    NotOneStart = "RF-W0203", Error, "there is not exactly one start", "必须有且只有一个 start";
    NoEnd = "RF-W0204", Error, "there is no end", "没有 end 节点";
    Unreachable = "RF-W0205", Error, "a node that nothing leads to", "无法到达的节点";
    Cycle = "RF-W0206", Error, "nodes lead in a circle", "节点成环";
    SamePathTwice = "RF-W0207", Warning, "a fork leads to one node twice", "fork 的两个 path 相同";
    TooManyNodes = "RF-W0208", Error, "there are too many nodes", "节点太多";
    // P: parameters and the ${…} forms.
    BadTemplate = "RF-P0101", Error, "a ${…} form that cannot be read", "${…} 写法错误";
    OddTemplate = "RF-P0102", Warning, "a ${…} form that may not mean what it says", "${…} 可能有误";
    UndeclaredParam = "RF-P0103", Error, "a parameter that is not declared", "参数未声明";
    UnresolvableForm = "RF-P0104", Warning, "a ${…} form that cannot resolve here", "${…} 在此处无法解析";
    DuplicateParam = "RF-P0105", Warning, "a parameter is declared twice", "参数重复声明";
    BadParam = "RF-P0106", Error, "a parameter's value does not fit its declaration", "参数值不符合声明";
    EnvName = "RF-P0107", Error, "a name that no environment variable can have", "环境变量名不合法";
    OutputName = "RF-P0108", Error, "a name that no output can have", "输出名不合法";
    ScriptTrim = "RF-P0109", Warning, "akkaflow would have trimmed this script", "与 akkaflow 的脚本裁剪结果不同";
    NoVariable = "RF-P0110", Warning, "a parameter without an environment variable", "参数没有环境变量";
    // C: the coordinator.
    TwoCoordinators = "RF-C0101", Warning, "there are two coordinators", "有两个 coordinator";
    SeveralDependLists = "RF-C0102", Warning, "there are several depend-lists", "有多个 depend-list";
    BadCron = "RF-C0103", Error, "a cron that cannot be read", "cron 写法错误";
    OddCron = "RF-C0104", Warning, "a cron that may not mean what it says", "cron 的含义可能与写法不符";
    BadZone = "RF-C0105", Error, "an unknown time zone", "未知时区";
    BadWindow = "RF-C0106", Error, "a window that ends before it starts", "开始时间晚于结束时间";
    TriggerSource = "RF-C0107", Error, "a trigger without exactly one source", "trigger 必须恰好有一个触发方式";
    TriggerId = "RF-C0108", Error, "a trigger's id cannot be used", "trigger 的 id 不合法";
    SelfDependency = "RF-C0109", Error, "a workflow depends on itself", "工作流依赖自身";
    UnknownPrerequisite = "RF-C0110", Warning, "a prerequisite workflow is not there", "依赖的工作流不存在";
    BadShift = "RF-C0111", Error, "a shift that cannot be read", "日期偏移写法错误";
    SecondsWithoutCron = "RF-C0112", Error, "an attribute that belongs to another source", "属性与触发方式不符";
    JitterTooLong = "RF-C0113", Warning, "a jitter as long as the period", "抖动不小于周期";
    DuplicatePrerequisite = "RF-C0114", Warning, "a prerequisite is given twice", "依赖重复";
    PastTime = "RF-C0115", Warning, "a single time that is past", "单次触发的时间已过";
    // D: what several files say together; found by whoever sees them all.
    DuplicateWorkflow = "RF-D0101", Error, "two files hold one workflow", "工作流重名";
    DependencyCircle = "RF-D0102", Error, "workflows wait for each other", "工作流互相依赖成环";
}

impl Code {
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }
}
