//! `workflow disable`.

use crate::cli::console::Verb;
use crate::cli::remote::each::{self, Each, Noun};
use crate::model::message::Message;
use crate::say;

pub const VERB: Verb = Verb {
    path: "workflow disable",
    about: "Stop a workflow from firing; what runs goes on",
    examples: &["ractorflow workflow disable orders", "ractorflow workflow disable orders stock --yes"],
    ..each::verb::<Disable>()
};

struct Disable;

impl Each for Disable {
    const NOUN: Noun = Noun::Workflow;
    const WORD: &str = "disable";
    const DONE: (&str, &str) = ("disabled", "已停用");

    fn asked() -> Message {
        say!("disable")
    }
}
