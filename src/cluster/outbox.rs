//! The queue of frames towards one peer: three lanes, a byte budget, and a window on what the socket's writer
//! was given, so that a heartbeat never stands behind megabytes.

use std::collections::VecDeque;

use tokio::time::Instant;

/// Urgent frames that may pass in a row while others wait.
const URGENT_RUN_MAX: u32 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Heartbeats and short calls and replies: they overtake everything.
    Urgent,
    /// All casts, in order.
    Cast,
    /// Long calls and replies, in order, taking turns with the casts.
    Long,
}

#[derive(Debug)]
pub(super) struct Outbox {
    urgent: VecDeque<Vec<u8>>,
    casts: VecDeque<Vec<u8>>,
    long: VecDeque<Vec<u8>>,
    queued_bytes: usize,
    in_flight_bytes: usize,
    urgent_run: u32,
    is_turn_of_long: bool,
    over_since: Option<Instant>,
    is_closed: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Full {
    Closed,
    OverBudget,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            urgent: VecDeque::new(),
            casts: VecDeque::new(),
            long: VecDeque::new(),
            queued_bytes: 0,
            in_flight_bytes: 0,
            urgent_run: 0,
            is_turn_of_long: false,
            over_since: None,
            is_closed: false,
        }
    }

    /// Queues all frames of a message or none. A refusal begins the time over budget.
    pub(super) fn push(&mut self, lane: Lane, frames: Vec<Vec<u8>>, bytes_max: usize) -> Result<(), Full> {
        if self.is_closed {
            return Err(Full::Closed);
        }
        let bytes: usize = frames.iter().map(Vec::len).sum();
        if self.bytes() + bytes > bytes_max {
            self.over_since.get_or_insert_with(Instant::now);
            return Err(Full::OverBudget);
        }
        self.queued_bytes += bytes;
        match lane {
            Lane::Urgent => self.urgent.extend(frames),
            Lane::Cast => self.casts.extend(frames),
            Lane::Long => self.long.extend(frames),
        }
        Ok(())
    }

    /// The next frame to hand to the writer, if the window has room.
    pub(super) fn pop(&mut self, window_bytes: usize) -> Option<Vec<u8>> {
        if self.in_flight_bytes >= window_bytes {
            return None;
        }
        let others_wait = !self.casts.is_empty() || !self.long.is_empty();
        let frame = if others_wait && self.urgent_run >= URGENT_RUN_MAX {
            self.pop_other()
        } else {
            self.urgent_run += 1;
            self.urgent.pop_front().or_else(|| self.pop_other())
        }?;
        self.queued_bytes -= frame.len();
        self.in_flight_bytes += frame.len();
        Some(frame)
    }

    fn pop_other(&mut self) -> Option<Vec<u8>> {
        self.urgent_run = 0;
        self.is_turn_of_long = !self.is_turn_of_long;
        if self.is_turn_of_long {
            self.long.pop_front().or_else(|| self.casts.pop_front())
        } else {
            self.casts.pop_front().or_else(|| self.long.pop_front())
        }
    }

    /// The socket took a frame of this length.
    pub(super) fn written(&mut self, bytes: usize, bytes_max: usize) {
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
        if self.bytes() < bytes_max / 2 {
            self.over_since = None;
        }
    }

    /// How long senders have been refused without the queue getting half empty.
    pub(super) fn over_ms(&self) -> Option<u64> {
        self.over_since.map(|since| since.elapsed().as_millis() as u64)
    }

    pub(super) fn bytes(&self) -> usize {
        self.queued_bytes + self.in_flight_bytes
    }

    pub(super) fn close(&mut self) {
        *self = Outbox { is_closed: true, ..Outbox::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(letters: &str) -> Vec<Vec<u8>> {
        letters.bytes().map(|letter| vec![letter]).collect()
    }

    fn drain(outbox: &mut Outbox) -> String {
        let mut order = Vec::new();
        while let Some(frame) = outbox.pop(usize::MAX) {
            order.extend(frame);
        }
        String::from_utf8(order).unwrap()
    }

    #[test]
    fn urgent_frames_overtake_and_the_others_take_turns_in_order() {
        let mut outbox = Outbox::new();
        outbox.push(Lane::Cast, frames("abc"), 100).unwrap();
        outbox.push(Lane::Long, frames("XYZ"), 100).unwrap();
        outbox.push(Lane::Urgent, frames("12"), 100).unwrap();
        assert_eq!(drain(&mut outbox), "12XaYbZc");
    }

    #[test]
    fn an_endless_run_of_urgent_frames_lets_others_through() {
        let mut outbox = Outbox::new();
        outbox.push(Lane::Urgent, frames(&"1".repeat(100)), 1000).unwrap();
        outbox.push(Lane::Cast, frames("a"), 1000).unwrap();
        assert_eq!(drain(&mut outbox).find('a'), Some(URGENT_RUN_MAX as usize));
    }

    #[test]
    fn the_window_holds_frames_back_until_the_socket_took_some() {
        let mut outbox = Outbox::new();
        outbox.push(Lane::Cast, frames("abc"), 100).unwrap();
        assert!(outbox.pop(2).is_some() && outbox.pop(2).is_some() && outbox.pop(2).is_none());
        outbox.written(1, 100);
        assert_eq!(outbox.pop(2), Some(b"c".to_vec()));
    }

    #[test]
    fn a_full_queue_refuses_whole_messages_and_recovers_when_half_empty() {
        let mut outbox = Outbox::new();
        outbox.push(Lane::Cast, frames("abcd"), 5).unwrap();
        assert_eq!(outbox.push(Lane::Cast, frames("ef"), 5), Err(Full::OverBudget));
        assert!(outbox.over_ms().is_some());
        assert_eq!(drain(&mut outbox), "abcd");
        outbox.written(3, 5);
        assert!(outbox.over_ms().is_none());
        outbox.push(Lane::Cast, frames("ef"), 5).unwrap();
    }
}
