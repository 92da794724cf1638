//! When time triggers fire: cron lines and sentences, fixed rates, single instants, zones and clock changes;
//! and the dates that parameters are made of: shifts and date patterns.
//!
//! Pure: every function is given the instant and the zone. Start reading at `fire::next_fire`.

mod cron;
mod date_pattern;
mod days;
mod fire;
mod scalar;
mod sentence;
mod shift;
mod wall;
mod zone;

#[cfg(test)]
mod tests;

pub use self::cron::{Cron, CronError, CronWarning};
pub use self::date_pattern::DatePattern;
pub use self::fire::{due, fires_of_date, next_fire, previous_fire};
pub use self::scalar::{parse_date, parse_datetime, parse_time};
pub use self::shift::{Shift, ShiftError, business_date};
pub use self::zone::{Zone, ZoneError};
