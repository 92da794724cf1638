//! Times and durations as people read them.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use crate::api::Time;

/// A zone to show times in, and the instant that "now" is on this page.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub zone: Tz,
    pub now: Time,
}

impl Clock {
    fn local(&self, at: Time) -> DateTime<Tz> {
        self.zone.from_utc_datetime(&at.0.utc().naive_utc())
    }

    /// The clock today; with the date on other days.
    pub fn short(&self, at: Time) -> String {
        let local = self.local(at);
        let is_today = local.date_naive() == self.local(self.now).date_naive();
        local.format(if is_today { "%H:%M:%S" } else { "%m-%d %H:%M" }).to_string()
    }

    pub fn minute(&self, at: Time) -> String {
        let local = self.local(at);
        let is_today = local.date_naive() == self.local(self.now).date_naive();
        local.format(if is_today { "%H:%M" } else { "%m-%d %H:%M" }).to_string()
    }

    pub fn clock(&self, at: Time) -> String {
        self.local(at).format("%H:%M:%S%.3f").to_string()
    }

    pub fn full(&self, at: Time) -> String {
        self.local(at).format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// For `<time datetime>`-like titles: everything, with the offset.
    pub fn exact(&self, at: Time) -> String {
        self.local(at).format("%Y-%m-%d %H:%M:%S%.3f %:z").to_string()
    }

    /// `+08:00`
    pub fn offset(&self) -> String {
        let seconds = self.local(self.now).offset().fix().local_minus_utc();
        let sign = if seconds < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60)
    }

    pub fn since_ms(&self, at: Time) -> i64 {
        self.now.0.since(at.0)
    }
}

/// `420ms`, `1.5s`, `12s`, `4m12s`, `1h04m`, `3d04h`.
pub fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms}ms"),
        1..10 => format!("{}.{}s", seconds, ms % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// `1204551` as `1,204,551`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Width on a screen: Chinese characters take two columns.
pub fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// Cut to `max` columns, with `…` when something is missing.
pub fn cut(text: &str, max: usize) -> String {
    if columns(text) <= max {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let width = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + width > max.saturating_sub(1) {
            break;
        }
        used += width;
        out.push(c);
    }
    out.push('…');
    out
}

/// One segment of a path.
pub fn url(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    // Browsers take these for steps in the path even when they are escaped.
    match out.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn durations_read_like_a_person_writes_them() {
        for (ms, text) in [
            (-5, "0ms"),
            (420, "420ms"),
            (1_570, "1.5s"),
            (12_900, "12s"),
            (252_000, "4m12s"),
            (3_840_000, "1h04m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn times_carry_the_date_on_other_days_and_the_offset_of_the_zone() {
        let now = Time(Timestamp(1_763_663_500_000));
        let clock = Clock { zone: chrono_tz::Asia::Shanghai, now };
        assert_eq!(clock.offset(), "+08:00");
        assert_eq!(clock.short(now), "02:31:40");
        assert_eq!(clock.short(Time(Timestamp(now.0.0 - 86_400_000))), "11-20 02:31");
        let utc = Clock { zone: chrono_tz::UTC, now };
        assert_eq!(utc.offset(), "+00:00");
        assert_eq!(utc.exact(now), "2025-11-20 18:31:40.000 +00:00");
    }

    #[test]
    fn names_are_cut_at_columns_not_at_bytes() {
        assert_eq!(cut("import_orders", 14), "import_orders");
        assert_eq!(cut("导入_支付流水_每日", 14), "导入_支付流水…");
        assert_eq!(cut("abcdefghijklmnop", 14), "abcdefghijklm…");
    }

    #[test]
    fn a_name_in_a_url_cannot_leave_its_segment() {
        assert_eq!(url("日报/../x?y#z"), "%E6%97%A5%E6%8A%A5%2F..%2Fx%3Fy%23z");
        assert_eq!(url(".."), "%2E%2E");
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_204_551), "1,204,551");
    }
}
