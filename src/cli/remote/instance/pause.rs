//! `instance pause`.

use crate::cli::console::Verb;
use crate::cli::remote::each::{self, Each, Noun};
use crate::model::message::Message;
use crate::say;

pub const VERB: Verb = Verb {
    path: "instance pause",
    about: "Start no more nodes; what runs goes on",
    examples: &["ractorflow instance pause 10342", "ractorflow instance pause last:orders"],
    ..each::verb::<Pause>()
};

struct Pause;

impl Each for Pause {
    const NOUN: Noun = Noun::Instance;
    const WORD: &str = "pause";
    const DONE: (&str, &str) = ("paused", "已挂起");

    fn asked() -> Message {
        say!("pause")
    }
}
