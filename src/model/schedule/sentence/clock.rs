//! Times of day in a sentence: `3:30`, `1am`, and lists of them as sets.

use crate::model::schedule::cron::EVERY_HOUR;

#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    /// `None`: every hour (`:30`).
    pub hour: Option<u32>,
    pub minute: u32,
    pub second: Option<u32>,
}

impl Time {
    pub fn is_whole_hour(self) -> bool {
        self.hour.is_some() && self.minute == 0 && self.second.is_none()
    }
}

/// `3`, `3:30`, `3:30:15`, `:30`; with am (0) or pm (12).
pub(super) fn read_time(digits: &str, half: Option<u32>) -> Option<Time> {
    let fields: Vec<&str> = digits.split(':').collect();
    let number = |text: &str, max: u32| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok()).flatten().filter(|n| *n <= max)
    };
    let hour = match (fields[0], half) {
        ("", None) if fields.len() == 2 => None,
        (hour, None) => Some(number(hour, 23)?),
        (hour, Some(half)) => Some(number(hour, 12).filter(|hour| *hour > 0)? % 12 + half),
    };
    let (minute, second) = match fields[1..] {
        [] if half.is_some() => (0, None),
        [minute] => (number(minute, 59)?, None),
        [minute, second] => (number(minute, 59)?, Some(number(second, 59)?)),
        _ => return None,
    };
    Some(Time { hour, minute, second })
}

/// The sets whose every combination is one of the times.
pub(super) fn product(times: &[Time]) -> Option<(u32, u64, u64)> {
    let hours = times.iter().fold(0, |set, time| set | time.hour.map_or(EVERY_HOUR, |hour| 1 << hour));
    let minutes = times.iter().fold(0u64, |set, time| set | 1 << time.minute);
    let seconds = times.iter().fold(0u64, |set, time| set | 1 << time.second.unwrap_or(0));
    let mut wanted: Vec<(u32, u32, u32)> = times
        .iter()
        .flat_map(|time| {
            let hours = time.hour.map_or(0..24, |hour| hour..hour + 1);
            hours.map(move |hour| (hour, time.minute, time.second.unwrap_or(0)))
        })
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let n = hours.count_ones() * minutes.count_ones() * seconds.count_ones();
    (n as usize == wanted.len()).then_some((hours, minutes, seconds))
}
