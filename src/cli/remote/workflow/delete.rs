//! `workflow delete`.

use crate::cli::console::Verb;
use crate::cli::remote::each::{self, Each, Noun};
use crate::model::message::Message;
use crate::say;

pub const VERB: Verb = Verb {
    path: "workflow delete",
    about: "Delete a workflow; its file counts as dismissed until it changes",
    examples: &["ractorflow workflow delete orders", "ractorflow workflow delete orders stock --yes"],
    ..each::verb::<Delete>()
};

struct Delete;

impl Each for Delete {
    const NOUN: Noun = Noun::Workflow;
    const WORD: &str = "delete";
    const DONE: (&str, &str) = ("deleted", "已删除");

    fn asked() -> Message {
        say!("delete")
    }
}
