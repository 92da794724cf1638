//! `instance delete`.

use crate::cli::console::Verb;
use crate::cli::remote::each::{self, Each, Noun};
use crate::model::message::Message;
use crate::say;

pub const VERB: Verb = Verb {
    path: "instance delete",
    about: "Delete an instance that has ended, with its logs",
    examples: &["ractorflow instance delete 10342", "ractorflow instance delete last:orders"],
    ..each::verb::<Delete>()
};

struct Delete;

impl Each for Delete {
    const NOUN: Noun = Noun::Instance;
    const WORD: &str = "delete";
    const DONE: (&str, &str) = ("deleted", "已删除");

    fn asked() -> Message {
        say!("delete")
    }
}
