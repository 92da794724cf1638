//! What we say to people: a sentence and its values, kept apart until somebody reads it in a language and a zone.
//!
//! `say!` makes one. Its English text is both the sentence and its key: a reader of an older or newer build still
//! has the English, and the catalogue has the Chinese. A sentence without its Chinese does not compile. Stored
//! and sent in binary form a message keeps its parts; in JSON it is one string, in the language of whoever asked
//! (`speaking`). There is no `Display`, so that no page shows English by accident. Names, commands and what tasks
//! or the system wrote are values: they are never translated. Start reading at `Message`.

mod catalogue;
mod voice;

use std::borrow::Cow;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use catalogue::{has, places};
pub use voice::{Lang, Voice, speaking};

use super::duration::Millis;
use super::id::{
    AttemptId, ContentHash, Generation, InstanceNumber, NodeName, Principal, Seq, SourceId, TriggerId, VersionNumber,
    WorkerId, WorkflowName,
};
use super::state::{AttemptWord, InstanceWord, NodeWord};
use super::time::{CivilDate, Timestamp};

/// A sentence of the catalogue with its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    sentence: Cow<'static, str>,
    values: Vec<Value>,
}

/// What stands in a place of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A name, a command, somebody's own words.
    Text(String),
    Number(i64),
    /// Shown in the reader's zone.
    Time(Timestamp),
    State(NodeWord),
    Message(Message),
    List(Vec<Value>),
}

/// `say!("worker {} is silent", worker)`: each `{}` takes the next value, `{s}` is the plural of the number
/// before it. Chinese sentences may name places by number (`{1}`).
#[macro_export]
macro_rules! say {
    ($sentence:literal $(, $value:expr)* $(,)?) => {{
        const _: () = assert!($crate::model::message::has($sentence), "{}", concat!("not in the catalogue: ", $sentence));
        const _: () = assert!(
            $crate::model::message::places($sentence) == <[&str]>::len(&[$(stringify!($value)),*]),
            "{}",
            concat!("places and values differ: ", $sentence)
        );
        $crate::model::message::Message::of($sentence, vec![$($crate::model::message::AsValue::as_value(&$value)),*])
    }};
}

/// Stands for a text as it is.
const VERBATIM: &str = "{}";

impl Message {
    #[doc(hidden)]
    pub fn of(sentence: &'static str, values: Vec<Value>) -> Self {
        Self { sentence: Cow::Borrowed(sentence), values }
    }

    /// Somebody else's words: of a task, the system, a parser.
    pub fn verbatim(text: impl Into<String>) -> Self {
        Self::of(VERBATIM, vec![Value::Text(text.into())])
    }

    /// A state or a time alone, said as it is in a sentence.
    pub fn value(value: impl AsValue) -> Self {
        Self::of(VERBATIM, vec![value.as_value()])
    }

    pub fn in_voice(&self, voice: Voice) -> String {
        let mut out = String::new();
        self.write(&mut out, voice);
        out
    }

    /// For logs, tests and programs.
    pub fn english(&self) -> String {
        self.in_voice(Voice::default())
    }

    /// Several sentences, each in a line of its own.
    pub fn lines(messages: impl IntoIterator<Item = Message>) -> Self {
        let join = |all: Message, next: Message| Self::of("{}\n{}", vec![Value::Message(all), Value::Message(next)]);
        messages.into_iter().reduce(join).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.sentence == VERBATIM && matches!(self.values.as_slice(), [Value::Text(text)] if text.is_empty())
    }

    /// With texts of at most so many bytes in all.
    pub fn cut(mut self, bytes: usize) -> Self {
        let mut left = bytes;
        self.values.iter_mut().for_each(|value| value.cut(&mut left));
        self
    }

    fn write(&self, out: &mut String, voice: Voice) {
        let sentence = match voice.lang {
            Lang::En => self.sentence.as_ref(),
            Lang::Zh => catalogue::chinese(&self.sentence).unwrap_or(&self.sentence),
        };
        let mut rest = sentence;
        let mut next = 0;
        let mut last = None;
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let (length, place) = match catalogue::place(rest.as_bytes()) {
                catalogue::Place::None => {
                    out.push('{');
                    rest = &rest[1..];
                    continue;
                }
                catalogue::Place::Next => (2, next),
                catalogue::Place::Number(n) => (3, n),
                catalogue::Place::Plural => {
                    if last != Some(1) {
                        out.push('s');
                    }
                    rest = &rest[3..];
                    continue;
                }
            };
            next = place + 1;
            if let Some(value) = self.values.get(place) {
                value.write(out, voice);
                if let Value::Number(n) = value {
                    last = Some(*n);
                }
            }
            rest = &rest[length..];
        }
        out.push_str(rest);
    }
}

impl Value {
    fn cut(&mut self, left: &mut usize) {
        match self {
            Value::Text(text) => {
                if text.len() > *left {
                    text.truncate(text.floor_char_boundary(left.saturating_sub("…".len())));
                    text.push('…');
                }
                *left = left.saturating_sub(text.len());
            }
            Value::Message(message) => message.values.iter_mut().for_each(|value| value.cut(left)),
            Value::List(values) => values.iter_mut().for_each(|value| value.cut(left)),
            Value::Number(_) | Value::Time(_) | Value::State(_) => {}
        }
    }

    fn write(&self, out: &mut String, voice: Voice) {
        // Writing to a String cannot fail.
        let _ = match self {
            Value::Text(text) => out.write_str(text),
            Value::Number(number) => write!(out, "{number}"),
            Value::Time(at) => write!(out, "{}", voice.zone.at(*at).format("%Y-%m-%d %H:%M:%S %:z")),
            Value::State(state) => match voice.lang {
                Lang::En => out.write_str(&state.word().replace('_', " ")),
                Lang::Zh => out.write_str(state.word_zh()),
            },
            Value::Message(message) => {
                message.write(out, voice);
                Ok(())
            }
            Value::List(values) => {
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push_str(if voice.lang == Lang::Zh { "、" } else { ", " });
                    }
                    value.write(out, voice);
                }
                Ok(())
            }
        };
    }

    pub fn list<T: AsValue>(items: impl IntoIterator<Item = T>) -> Self {
        Value::List(items.into_iter().map(|item| item.as_value()).collect())
    }
}

/// What can stand in a place of a sentence.
pub trait AsValue {
    fn as_value(&self) -> Value;
}

impl<T: AsValue + ?Sized> AsValue for &T {
    fn as_value(&self) -> Value {
        (**self).as_value()
    }
}

impl AsValue for str {
    fn as_value(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

macro_rules! values {
    ($($type:ty: $value:ident => $make:expr;)*) => {$(
        impl AsValue for $type {
            fn as_value(&self) -> Value {
                let $value = self;
                $make
            }
        }
    )*};
}

values! {
    Value: value => value.clone();
    String: text => Value::Text(text.clone());
    Cow<'_, str>: text => Value::Text(text.to_string());
    char: c => Value::Text(c.to_string());
    Path: path => Value::Text(path.display().to_string());
    PathBuf: path => path.as_path().as_value();
    SocketAddr: address => Value::Text(address.to_string());
    Millis: length => Value::Text(length.to_string());
    u8: n => Value::Number((*n).into());
    u16: n => Value::Number((*n).into());
    u32: n => Value::Number((*n).into());
    i32: n => Value::Number((*n).into());
    i64: n => Value::Number(*n);
    u64: n => i64::try_from(*n).map_or_else(|_| Value::Text(n.to_string()), Value::Number);
    usize: n => (*n as u64).as_value();
    Timestamp: at => Value::Time(*at);
    NodeWord: word => Value::State(*word);
    // The words of instances and attempts are words of nodes too.
    InstanceWord: word => NodeWord::from_word(word.word()).map_or_else(|| word.word().as_value(), Value::State);
    AttemptWord: word => NodeWord::from_word(word.word()).map_or_else(|| word.word().as_value(), Value::State);
    Message: message => Value::Message(message.clone());
    // Names and numbers of things stand in a sentence as they are.
    CivilDate: date => Value::Text(date.to_string());
    WorkflowName: name => Value::Text(name.to_string());
    NodeName: name => Value::Text(name.to_string());
    WorkerId: name => Value::Text(name.to_string());
    TriggerId: name => Value::Text(name.to_string());
    Principal: name => Value::Text(name.to_string());
    SourceId: name => Value::Text(name.to_string());
    ContentHash: hash => Value::Text(hash.to_string());
    AttemptId: id => Value::Text(id.to_string());
    InstanceNumber: number => Value::Text(number.to_string());
    VersionNumber: number => Value::Text(number.to_string());
    Generation: number => Value::Text(number.to_string());
    Seq: number => Value::Text(number.to_string());
}

impl Default for Message {
    fn default() -> Self {
        Self::verbatim("")
    }
}

#[derive(Serialize)]
struct PartsRef<'a> {
    say: &'a str,
    with: &'a [Value],
}

#[derive(Deserialize)]
struct Parts {
    say: String,
    #[serde(default)]
    with: Vec<Value>,
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.in_voice(Voice::spoken()))
        } else {
            parts(self, serializer)
        }
    }
}

/// For JSON that one process writes for another: with its parts, so that whoever reads it chooses the language.
pub fn parts<S: Serializer>(message: &Message, serializer: S) -> Result<S::Ok, S::Error> {
    PartsRef { say: &message.sentence, with: &message.values }.serialize(serializer)
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Message;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a sentence with its values")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Message, E> {
                Ok(Message::verbatim(text))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Message, A::Error> {
                let parts = Parts::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Message { sentence: Cow::Owned(parts.say), values: parts.with })
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Message, A::Error> {
                let parts = Parts::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                Ok(Message { sentence: Cow::Owned(parts.say), values: parts.with })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schedule::Zone;

    fn zh() -> Voice {
        Voice { lang: Lang::Zh, zone: Zone::parse("Asia/Shanghai").unwrap() }
    }

    #[test]
    fn a_sentence_is_said_in_the_language_and_zone_of_its_reader() {
        let message = say!("worker {} is out of sight since {}; the attempt may still run there", "w1", Timestamp(0));
        assert_eq!(
            message.english(),
            "worker w1 is out of sight since 1970-01-01 00:00:00 +00:00; the attempt may still run there"
        );
        assert_eq!(message.in_voice(zh()), "工作机 w1 自 1970-01-01 08:00:00 +08:00 起失联，该尝试可能仍在那里运行");
    }

    #[test]
    fn values_are_never_read_as_sentences() {
        assert_eq!(
            say!("waits for {}", "{} {0} {s} nothing holds it back").english(),
            "waits for {} {0} {s} nothing holds it back"
        );
        assert_eq!(Message::verbatim("nothing holds it back").in_voice(zh()), "nothing holds it back");
    }

    #[test]
    fn a_number_rules_the_plural_behind_it() {
        let said = |n: u32| Message::of("{} attempt{s} of {}", vec![n.as_value(), "w1".as_value()]).english();
        assert_eq!(said(1), "1 attempt of w1");
        assert_eq!(said(2), "2 attempts of w1");
    }

    #[test]
    fn braces_that_are_no_places_stay() {
        assert_eq!(Message::of("${{}} and {x", vec!["p".as_value()]).english(), "${p} and {x");
    }

    #[test]
    fn binary_form_keeps_the_parts_and_json_is_one_string() {
        let message = say!("waits for {}", Value::list(["日报", "b"]));
        let bytes = rmp_serde::to_vec_named(&message).unwrap();
        assert_eq!(rmp_serde::from_slice::<Message>(&bytes).unwrap(), message);
        assert_eq!(rmp_serde::from_slice::<Message>(&rmp_serde::to_vec(&message).unwrap()).unwrap(), message);
        assert_eq!(serde_json::to_string(&message).unwrap(), "\"waits for 日报, b\"");
        assert_eq!(speaking(zh(), || serde_json::to_string(&message)).unwrap(), "\"等待 日报、b\"");
        assert_eq!(serde_json::from_str::<Message>("\"old {}\"").unwrap().english(), "old {}");
        let text = rmp_serde::to_vec_named("an older event").unwrap();
        assert_eq!(rmp_serde::from_slice::<Message>(&text).unwrap(), Message::verbatim("an older event"));
    }

    #[test]
    fn a_sentence_of_a_newer_build_is_shown_in_english() {
        let newer = Message { sentence: Cow::Owned("{} is new".to_owned()), values: vec!["x".as_value()] };
        assert_eq!(newer.in_voice(zh()), "x is new");
    }
}
