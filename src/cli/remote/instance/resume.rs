//! `instance resume`.

use crate::cli::console::Verb;
use crate::cli::remote::each::{self, Each, Noun};
use crate::model::message::Message;
use crate::say;

pub const VERB: Verb = Verb {
    path: "instance resume",
    about: "Go on after a pause",
    examples: &["ractorflow instance resume 10342", "ractorflow instance resume last:orders"],
    ..each::verb::<Resume>()
};

struct Resume;

impl Each for Resume {
    const NOUN: Noun = Noun::Instance;
    const WORD: &str = "resume";
    const DONE: (&str, &str) = ("resumed", "已恢复");

    fn asked() -> Message {
        say!("resume")
    }
}
