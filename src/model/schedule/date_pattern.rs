//! Date patterns of Java's `SimpleDateFormat`, as akkaflow's files hold them.

use chrono::{Datelike, NaiveDateTime, Offset, TimeZone, Timelike};
use serde::{Deserialize, Serialize};

use super::zone::Zone;
use crate::model::fault::TextFault;
use crate::model::time::Timestamp;
use crate::say;

/// A parsed pattern. Names of months and days are English, weeks begin on Sunday and the first week holds
/// January 1 (what Java does in China and the United States).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatePattern {
    /// The text as written.
    pub source: String,
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Item {
    Literal(String),
    /// A letter and how often it stands there.
    Letter(char, u8),
}

const LETTERS: &str = "yYMLdHhKkmsSaEuDFwWzZX";
const REPEAT_MAX: usize = 40;

impl DatePattern {
    pub fn parse(text: &str) -> Result<Self, TextFault> {
        let mut items = Vec::new();
        let mut rest = text.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            if c == '\'' {
                literal(&mut items, &quoted(at, text.len(), &mut rest)?);
            } else if c.is_ascii_alphabetic() {
                if !LETTERS.contains(c) {
                    return Err(TextFault::new(at..at + 1, say!("\"{}\" is not a letter of date patterns", c))
                        .hint(say!("put text in single quotes, as in yyyy'y'")));
                }
                let mut count = 1;
                while rest.next_if(|(_, next)| *next == c).is_some() {
                    count += 1;
                }
                if count > REPEAT_MAX || c == 'X' && count > 3 {
                    return Err(TextFault::new(at..at + count, say!("too many \"{}\" in a date pattern", c)));
                }
                items.push(Item::Letter(c, count as u8));
            } else {
                literal(&mut items, c.encode_utf8(&mut [0; 4]));
            }
        }
        Ok(Self { source: text.to_owned(), items })
    }

    /// The wall time, which is that of `instant` in `zone` unless it lies in a gap.
    pub fn format(&self, wall: NaiveDateTime, instant: Timestamp, zone: &Zone) -> String {
        let mut text = String::new();
        for item in &self.items {
            match item {
                Item::Literal(literal) => text.push_str(literal),
                Item::Letter(letter, count) => {
                    text.push_str(&rendered(*letter, usize::from(*count), wall, instant, zone));
                }
            }
        }
        text
    }
}

/// Quoted text after its opening quote; two quotes are one.
fn quoted(
    start: usize,
    end: usize,
    rest: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
) -> Result<String, TextFault> {
    if rest.next_if(|(_, c)| *c == '\'').is_some() {
        return Ok("'".to_owned());
    }
    let mut text = String::new();
    while let Some((_, c)) = rest.next() {
        if c != '\'' {
            text.push(c);
        } else if rest.next_if(|(_, c)| *c == '\'').is_some() {
            text.push('\'');
        } else {
            return Ok(text);
        }
    }
    Err(TextFault::new(start..end, say!("a quote in a date pattern is not closed")))
}

fn literal(items: &mut Vec<Item>, text: &str) {
    match items.last_mut() {
        Some(Item::Literal(last)) => last.push_str(text),
        _ => items.push(Item::Literal(text.to_owned())),
    }
}

fn rendered(letter: char, count: usize, wall: NaiveDateTime, instant: Timestamp, zone: &Zone) -> String {
    let number = |n: i64| format!("{n:0count$}");
    let name = |format: &str, short: &str| wall.format(if count >= 4 { format } else { short }).to_string();
    let sunday_week = |day0: u32| {
        // Weekday (Sunday 0) of the first day of the month or year decides where the first week ends.
        let first = (7 + wall.weekday().num_days_from_sunday() - day0 % 7) % 7;
        i64::from((day0 + first) / 7 + 1)
    };
    match letter {
        'y' => year(wall.year(), count),
        'Y' => year(if is_in_next_week_year(wall) { wall.year() + 1 } else { wall.year() }, count),
        'M' | 'L' if count >= 3 => name("%B", "%b"),
        'M' | 'L' => number(wall.month().into()),
        'd' => number(wall.day().into()),
        'H' => number(wall.hour().into()),
        'k' => number(if wall.hour() == 0 { 24 } else { wall.hour().into() }),
        'K' => number((wall.hour() % 12).into()),
        'h' => number(wall.hour12().1.into()),
        'm' => number(wall.minute().into()),
        's' => number(wall.second().into()),
        'S' => number(i64::from(wall.nanosecond() / 1_000_000).min(999)),
        'a' => if wall.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        'E' => name("%A", "%a"),
        'u' => number(wall.weekday().number_from_monday().into()),
        'D' => number(wall.ordinal().into()),
        'F' => number((wall.day0() / 7 + 1).into()),
        'w' if is_in_next_week_year(wall) => number(1),
        'w' => number(sunday_week(wall.ordinal0())),
        'W' => number(sunday_week(wall.day0())),
        'z' => abbreviation(instant, zone),
        'Z' => offset(instant, zone, "", false),
        'X' => match count {
            1 => offset(instant, zone, "", true)[..].get(..3).map_or("Z".to_owned(), str::to_owned),
            2 => offset(instant, zone, "", true),
            _ => offset(instant, zone, ":", true),
        },
        _ => String::new(),
    }
}

fn year(year: i32, count: usize) -> String {
    if count == 2 { format!("{:02}", year.rem_euclid(100)) } else { format!("{year:0count$}") }
}

/// The last days of December belong to the week of the next January 1.
fn is_in_next_week_year(wall: NaiveDateTime) -> bool {
    wall.month() == 12 && 31 - wall.day() + wall.weekday().num_days_from_sunday() < 6
}

fn abbreviation(instant: Timestamp, zone: &Zone) -> String {
    zone.tz().offset_from_utc_datetime(&instant.utc().naive_utc()).to_string()
}

fn offset(instant: Timestamp, zone: &Zone, colon: &str, is_z: bool) -> String {
    let seconds = zone.tz().offset_from_utc_datetime(&instant.utc().naive_utc()).fix().local_minus_utc();
    if is_z && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    format!("{sign}{:02}{colon}{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60)
}
