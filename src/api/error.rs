//! Why a request was refused: one closed list of codes, each with its HTTP status and exit code.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::exit::ExitCode;
use crate::model::message::{Lang, Message};

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $word:literal, $status:literal, $exit:ident, $title:literal, $title_zh:literal;)*) => {
        /// Stable words: scripts match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum ErrorCode { $($(#[$meta])* #[serde(rename = $word)] $variant,)* }

        impl ErrorCode {
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            pub fn word(self) -> &'static str {
                match self { $(ErrorCode::$variant => $word,)* }
            }

            /// The one place that maps a code to HTTP, to the command line and to words.
            pub fn meaning(self) -> Meaning {
                match self {
                    $(ErrorCode::$variant => Meaning { status: $status, exit: ExitCode::$exit, title: $title, title_zh: $title_zh },)*
                }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.word() == word)
            }
        }
    };
}

/// What a code means at each edge.
#[derive(Debug, Clone, Copy)]
pub struct Meaning {
    pub status: u16,
    pub exit: ExitCode,
    pub title: &'static str,
    pub title_zh: &'static str,
}

codes! {
    BadRequest = "bad-request", 400, Usage, "The request is malformed", "请求有误";
    /// A parameter of a run is missing, of the wrong type or not allowed.
    ParameterInvalid = "parameter-invalid", 422, Usage, "A parameter is not valid", "参数无效";
    MethodNotAllowed = "method-not-allowed", 405, Usage, "This method is not allowed here", "不允许的方法";
    TooLarge = "too-large", 413, Usage, "The request is too large", "请求过大";
    UnsupportedMedia = "unsupported-media", 415, Usage, "The content type is not supported", "不支持的内容类型";
    NotInThisBuild = "not-in-this-build", 501, Other, "This build cannot do that", "此版本不支持";
    Unauthorized = "unauthorized", 401, Denied, "Sign in or send the token", "需要登录或令牌";
    Forbidden = "forbidden", 403, Denied, "Not allowed", "无权操作";
    /// A form came without its token or from another site.
    CrossSite = "cross-site", 403, Denied, "The request came from another site", "请求来自其他站点";
    /// The Host header names a host that this server is not.
    BadHost = "bad-host", 421, Denied, "This server does not answer to that host name", "主机名不属于本服务";
    NotFound = "not-found", 404, NotFound, "Not found", "未找到";
    WorkflowNotFound = "workflow-not-found", 404, NotFound, "No such workflow", "工作流不存在";
    VersionNotFound = "version-not-found", 404, NotFound, "No such version", "版本不存在";
    InstanceNotFound = "instance-not-found", 404, NotFound, "No such instance", "实例不存在";
    NodeNotFound = "node-not-found", 404, NotFound, "No such node", "节点不存在";
    AttemptNotFound = "attempt-not-found", 404, NotFound, "No such attempt", "没有该次尝试";
    WorkerNotFound = "worker-not-found", 404, NotFound, "No such worker", "工作机不存在";
    /// The cluster keeps none of that name; files of hosts may have one.
    LinkNotFound = "link-not-found", 404, NotFound, "No such link", "链接不存在";
    LogNotFound = "log-not-found", 404, NotFound, "There is no log of that attempt", "该次尝试没有日志";
    LoadErrorNotFound = "load-error-not-found", 404, NotFound, "No definition error with that id", "没有该定义错误";
    /// The thing is in a state in which the change makes no sense.
    WrongState = "wrong-state", 409, Conflict, "Not possible in this state", "当前状态不允许";
    KeyReused = "key-reused", 409, Conflict, "The idempotency key was used for something else", "幂等键已用于其他请求";
    KeyExpired = "key-expired", 409, Conflict, "The idempotency key is too old", "幂等键已过期";
    VersionConflict = "version-conflict", 409, Conflict, "The definition changed meanwhile", "定义已被更改";
    QueueFull = "queue-full", 409, Conflict, "The queue of this workflow is full", "该工作流的队列已满";
    StillRunning = "still-running", 409, Conflict, "It is still running", "仍在运行";
    NoOtherVoter = "no-other-voter", 409, Conflict, "There is no other master to hand over to", "没有其他主节点可切换";
    DefinitionInvalid = "definition-invalid", 422, DefinitionInvalid, "The definition has errors", "定义有错误";
    /// No master leads right now; the last data stay readable.
    NoLeader = "no-leader", 503, NotRunning, "No master is active right now", "当前没有活动的主节点";
    /// The replica asked has not applied `min_seq` yet.
    Behind = "behind", 503, NotRunning, "This replica is behind", "副本数据落后";
    NotRunning = "not-running", 503, NotRunning, "The cluster is not running", "集群未运行";
    Overloaded = "overloaded", 503, Other, "Too much is waiting; try again", "服务繁忙，请稍后重试";
    TimedOut = "timed-out", 504, Other, "No answer in time; the outcome is unknown", "超时未答复，结果未知";
    RequestTimeout = "request-timeout", 408, Other, "The request did not arrive in time", "请求接收超时";
    DiskFull = "disk-full", 507, Other, "The disk of the masters is full", "主节点磁盘已满";
    Internal = "internal", 500, Other, "Something broke on our side", "内部错误";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A refusal, as it travels over the link and (as problem+json) over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{} ({code})", .detail.english())]
pub struct ApiError {
    pub code: ErrorCode,
    /// One sentence for people, with the names involved.
    pub detail: Message,
    /// What to do next, where we know it.
    pub hint: Option<Message>,
    /// One entry per fault, for requests that can have several.
    pub errors: Vec<ErrorItem>,
    /// Worth asking again after so many milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// One fault among several.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorItem {
    /// Code of a diagnostic (`RF-W0201`) or the word of the refusal.
    pub code: Option<String>,
    #[schema(value_type = String)]
    pub text: Message,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    /// JSON pointer into the request body.
    pub pointer: Option<String>,
    #[schema(value_type = Option<String>)]
    pub hint: Option<Message>,
}

impl ApiError {
    pub fn new(code: ErrorCode, detail: Message) -> Self {
        Self { code, detail, hint: None, errors: Vec::new(), retry_after_ms: None }
    }

    pub fn hint(mut self, hint: Message) -> Self {
        self.hint = Some(hint);
        self
    }

    /// A fault of ours or of the machine, in its own words.
    pub fn internal(error: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Internal, Message::verbatim(error.to_string()))
    }

    pub fn errors(mut self, errors: Vec<ErrorItem>) -> Self {
        self.errors = errors;
        self
    }

    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    pub fn status(&self) -> u16 {
        self.code.meaning().status
    }

    pub fn exit(&self) -> ExitCode {
        self.code.into()
    }
}

/// RFC 9457 body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// `about:blank` has no page; ours is the anchor of the code in the documentation.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    #[schema(value_type = String)]
    pub detail: Message,
    pub code: ErrorCode,
    pub request_id: String,
    #[schema(value_type = Option<String>)]
    pub hint: Option<Message>,
    pub errors: Vec<ErrorItem>,
    pub retry_after_ms: Option<u64>,
}

impl Problem {
    pub fn new(error: ApiError, request_id: impl Into<String>, lang: Lang) -> Self {
        let meaning = error.code.meaning();
        Self {
            kind: format!("/docs/errors#{}", error.code),
            title: lang.of(meaning.title, meaning.title_zh).to_owned(),
            status: meaning.status,
            detail: error.detail,
            code: error.code,
            request_id: request_id.into(),
            hint: error.hint,
            errors: error.errors,
            retry_after_ms: error.retry_after_ms,
        }
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self {
            code: problem.code,
            detail: problem.detail,
            hint: problem.hint,
            errors: problem.errors,
            retry_after_ms: problem.retry_after_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_word_of_its_own_and_an_error_status() {
        let mut words: Vec<_> = ErrorCode::ALL.iter().map(|code| code.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert!((400..600).contains(&code.meaning().status), "{code}");
            assert_ne!(code.meaning().exit, ExitCode::Ok, "{code}");
            assert_eq!(ErrorCode::from_word(code.word()), Some(*code));
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
        }
    }
}
