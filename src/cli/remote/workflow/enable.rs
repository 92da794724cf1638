//! `workflow enable`.

use crate::cli::console::Verb;
use crate::cli::remote::each::{self, Each, Noun};
use crate::model::message::Message;
use crate::say;

pub const VERB: Verb = Verb {
    path: "workflow enable",
    about: "Let a workflow fire",
    examples: &["ractorflow workflow enable orders", "ractorflow workflow enable orders stock --yes"],
    ..each::verb::<Enable>()
};

struct Enable;

impl Each for Enable {
    const NOUN: Noun = Noun::Workflow;
    const WORD: &str = "enable";
    const DONE: (&str, &str) = ("enabled", "已启用");

    fn asked() -> Message {
        say!("enable")
    }
}
