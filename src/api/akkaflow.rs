//! The one shape of an answer that akkaflow's programs read: always text, always these three fields.

use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AkkaflowReply {
    /// `success` or `fail`.
    result: &'static str,
    /// For people.
    msg: String,
    /// The number or name of what was made, or what was asked for.
    data: Value,
}

impl AkkaflowReply {
    pub fn new(is_success: bool, said: String, data: Option<Value>) -> Self {
        Self { result: if is_success { "success" } else { "fail" }, msg: said, data: data.unwrap_or(Value::Null) }
    }

    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("three fields with string keys")
    }
}
