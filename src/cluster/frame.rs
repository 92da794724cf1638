//! Frames of the control connection: a fixed header and a piece of a message's body.
//!
//! A body is opaque here. Everything that comes in is checked; what cannot be a frame ends the session.

use std::collections::HashMap;

use bytes::Bytes;

use crate::model::id::Epoch;

pub(super) const FRAME_VERSION: u8 = 1;
pub(super) const HEADER_BYTES: usize = 40;
/// The sender has at most one long cast and one long call or reply under way.
const PARTIAL_MESSAGES_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Cast,
    Call,
    Reply,
    /// The answer to a call that was not done; the body is a `Refusal`.
    Refusal,
    Ping,
    Pong,
}

impl Sort {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Sort::Cast,
            2 => Sort::Call,
            3 => Sort::Reply,
            4 => Sort::Refusal,
            5 => Sort::Ping,
            6 => Sort::Pong,
            _ => return None,
        })
    }

    fn byte(self) -> u8 {
        match self {
            Sort::Cast => 1,
            Sort::Call => 2,
            Sort::Reply => 3,
            Sort::Refusal => 4,
            Sort::Ping => 5,
            Sort::Pong => 6,
        }
    }
}

/// What stands before each piece. All numbers big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub sort: Sort,
    pub kind: u16,
    /// Number of the session, known to its two ends only.
    pub session: u64,
    /// Of the message; a reply repeats the number of its call.
    pub message: u64,
    /// Highest epoch the sender knows.
    pub epoch: Epoch,
    pub fragment: u32,
    pub fragments: u32,
    /// Bytes of the whole body.
    pub total: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame of {0} bytes is shorter than its header")]
    Short(usize),
    #[error("frame version {0} is unknown")]
    Version(u8),
    #[error("message sort {0} is unknown")]
    Sort(u8),
    #[error("a message of {0} bytes is above the bound")]
    TooLarge(usize),
    #[error("piece {0} of a message came out of order")]
    Order(u32),
    #[error("too many messages are under way at once")]
    TooMany,
}

impl Header {
    fn encode(&self, frame: &mut Vec<u8>) {
        frame.push(FRAME_VERSION);
        frame.push(self.sort.byte());
        frame.extend_from_slice(&self.kind.to_be_bytes());
        frame.extend_from_slice(&self.session.to_be_bytes());
        frame.extend_from_slice(&self.message.to_be_bytes());
        frame.extend_from_slice(&self.epoch.0.to_be_bytes());
        frame.extend_from_slice(&self.fragment.to_be_bytes());
        frame.extend_from_slice(&self.fragments.to_be_bytes());
        frame.extend_from_slice(&self.total.to_be_bytes());
    }

    pub(super) fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let header: &[u8; HEADER_BYTES] = frame.first_chunk().ok_or(FrameError::Short(frame.len()))?;
        if header[0] != FRAME_VERSION {
            return Err(FrameError::Version(header[0]));
        }
        Ok(Header {
            sort: Sort::from_byte(header[1]).ok_or(FrameError::Sort(header[1]))?,
            kind: u16::from_be_bytes([header[2], header[3]]),
            session: u64_at(header, 4),
            message: u64_at(header, 12),
            epoch: Epoch(u64_at(header, 20)),
            fragment: u32_at(header, 28),
            fragments: u32_at(header, 32),
            total: u32_at(header, 36),
        })
    }
}

fn u64_at(header: &[u8; HEADER_BYTES], at: usize) -> u64 {
    header[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn u32_at(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    header[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The frames of one message, each at most `frame_bytes_max` long. `header` gives sort, kind, session,
/// message and epoch; the body was checked against the bound of a message.
pub(super) fn split(header: Header, body: &[u8], frame_bytes_max: usize) -> Vec<Vec<u8>> {
    let piece_bytes = frame_bytes_max.saturating_sub(HEADER_BYTES).max(1);
    let fragments = body.len().div_ceil(piece_bytes).max(1);
    (0..fragments)
        .map(|fragment| {
            let piece = &body[fragment * piece_bytes..body.len().min((fragment + 1) * piece_bytes)];
            let mut frame = Vec::with_capacity(HEADER_BYTES + piece.len());
            let header =
                Header { fragment: fragment as u32, fragments: fragments as u32, total: body.len() as u32, ..header };
            header.encode(&mut frame);
            frame.extend_from_slice(piece);
            frame
        })
        .collect()
}

/// Puts the pieces of one session's messages together again.
#[derive(Debug, Default)]
pub(super) struct Reassembler {
    partial: HashMap<(u8, u64), Partial>,
}

#[derive(Debug)]
struct Partial {
    next: u32,
    fragments: u32,
    total: usize,
    body: Vec<u8>,
}

impl Reassembler {
    /// The body once its last piece is there.
    pub(super) fn take(
        &mut self,
        header: &Header,
        frame: Vec<u8>,
        message_bytes_max: usize,
    ) -> Result<Option<Bytes>, FrameError> {
        let total = header.total as usize;
        if total > message_bytes_max {
            return Err(FrameError::TooLarge(total));
        }
        let piece = Bytes::from(frame).slice(HEADER_BYTES..);
        if header.fragments == 1 && header.fragment == 0 && piece.len() == total {
            return Ok(Some(piece));
        }
        let key = (header.sort.byte(), header.message);
        if header.fragment == 0 {
            if self.partial.len() >= PARTIAL_MESSAGES_MAX {
                return Err(FrameError::TooMany);
            }
            let fresh = Partial { next: 0, fragments: header.fragments, total, body: Vec::new() };
            self.partial.insert(key, fresh);
        }
        let out_of_order = FrameError::Order(header.fragment);
        let partial = self.partial.get_mut(&key).ok_or(out_of_order.clone())?;
        let is_next =
            header.fragment == partial.next && header.fragments == partial.fragments && total == partial.total;
        if !is_next || partial.body.len() + piece.len() > total {
            return Err(out_of_order);
        }
        partial.body.extend_from_slice(&piece);
        partial.next += 1;
        if partial.next < partial.fragments {
            return Ok(None);
        }
        let whole = self.partial.remove(&key).map(|partial| partial.body).unwrap_or_default();
        if whole.len() == total { Ok(Some(Bytes::from(whole))) } else { Err(out_of_order) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(sort: Sort, message: u64) -> Header {
        Header {
            sort,
            kind: 513,
            session: 0x0102_0304_0506_0708,
            message,
            epoch: Epoch(9),
            fragment: 0,
            fragments: 0,
            total: 0,
        }
    }

    fn feed(reassembler: &mut Reassembler, frame: Vec<u8>) -> Result<Option<Bytes>, FrameError> {
        let header = Header::decode(&frame)?;
        reassembler.take(&header, frame, 1 << 20)
    }

    #[test]
    fn a_message_cut_into_frames_comes_together_again() {
        let body: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        for frame_bytes_max in [41, 64, 1000, 10_040, 20_000] {
            let frames = split(header(Sort::Call, 7), &body, frame_bytes_max);
            assert!(frames.iter().all(|frame| frame.len() <= frame_bytes_max));
            let mut reassembler = Reassembler::default();
            let mut whole = None;
            for frame in frames {
                assert!(whole.is_none());
                let seen = Header::decode(&frame).unwrap();
                assert_eq!((seen.kind, seen.session, seen.epoch), (513, 0x0102_0304_0506_0708, Epoch(9)));
                whole = feed(&mut reassembler, frame).unwrap();
            }
            assert_eq!(whole.unwrap(), body);
        }
    }

    #[test]
    fn an_empty_body_is_one_frame() {
        let frames = split(header(Sort::Cast, 1), &[], 256);
        assert_eq!(frames.len(), 1);
        assert_eq!(feed(&mut Reassembler::default(), frames[0].clone()), Ok(Some(Bytes::new())));
    }

    #[test]
    fn a_lost_doubled_or_endless_piece_is_an_error() {
        let frames = split(header(Sort::Cast, 1), &[1; 300], 140);
        let mut reassembler = Reassembler::default();
        assert_eq!(feed(&mut reassembler, frames[1].clone()), Err(FrameError::Order(1)));
        assert_eq!(feed(&mut reassembler, frames[0].clone()), Ok(None));
        assert_eq!(feed(&mut reassembler, frames[2].clone()), Err(FrameError::Order(2)));
        let mut reassembler = Reassembler::default();
        for message in 0..PARTIAL_MESSAGES_MAX as u64 {
            let first = split(header(Sort::Call, message), &[1; 300], 140).swap_remove(0);
            assert_eq!(feed(&mut reassembler, first), Ok(None));
        }
        let one_more = split(header(Sort::Call, 99), &[1; 300], 140).swap_remove(0);
        assert_eq!(feed(&mut reassembler, one_more), Err(FrameError::TooMany));
    }

    #[test]
    fn a_message_above_the_bound_is_refused_by_its_first_frame() {
        let frame = split(header(Sort::Cast, 1), &[1; 300], 140).swap_remove(0);
        let header = Header::decode(&frame).unwrap();
        assert_eq!(Reassembler::default().take(&header, frame, 299), Err(FrameError::TooLarge(300)));
    }

    proptest! {
        #[test]
        fn no_bytes_from_outside_panic(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20)) {
            let mut reassembler = Reassembler::default();
            for mut frame in frames {
                if frame.len() > 2 {
                    frame[0] = FRAME_VERSION;
                    frame[1] %= 8;
                }
                let _ = feed(&mut reassembler, frame);
            }
        }
    }
}
