//! Server-sent events as they come in: id, name, data.

use reqwest::Response;

use crate::cli::console::Failure;
use crate::say;

/// A line longer than this is not one of ours.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    pub id: Option<u64>,
    pub name: String,
    pub data: String,
}

pub struct SseStream {
    response: Response,
    waiting: Vec<u8>,
}

impl SseStream {
    pub fn new(response: Response) -> Self {
        Self { response, waiting: Vec::new() }
    }

    /// Events that are here already say nothing new to one who looks again anyway.
    pub fn forget_waiting(&mut self) {
        while take_event(&mut self.waiting).is_some() {}
    }

    /// The next event; `None` at the end of the stream, also when it broke: the caller resumes by the last id.
    pub async fn next(&mut self) -> Result<Option<SseEvent>, Failure> {
        loop {
            if let Some(event) = take_event(&mut self.waiting) {
                return Ok(Some(event));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) if self.waiting.len() + chunk.len() <= LINE_BYTES_MAX => {
                    self.waiting.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => return Err(Failure::other(say!("an event of the server is too long"))),
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }
}

/// Takes the first complete event out of the buffer; comments are skipped.
fn take_event(buffer: &mut Vec<u8>) -> Option<SseEvent> {
    loop {
        let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let block: Vec<u8> = buffer.drain(..end + 2).collect();
        let mut event = SseEvent::default();
        let mut has_data = false;
        for line in String::from_utf8_lossy(&block).lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => event.id = value.parse().ok(),
                "event" => event.name = value.to_owned(),
                "data" => {
                    if has_data {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                    has_data = true;
                }
                _ => {}
            }
        }
        if has_data {
            return Some(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_whole_and_comments_skipped() {
        let mut buffer =
            b": keep-alive\n\nid: 7\nevent: line\ndata: {\"n\":1}\n\nid: 8\ndata: a\ndata: b\n\nid: 9\ndata: unfin"
                .to_vec();
        let first = take_event(&mut buffer).unwrap();
        assert_eq!((first.id, first.name.as_str(), first.data.as_str()), (Some(7), "line", "{\"n\":1}"));
        assert_eq!(take_event(&mut buffer).unwrap().data, "a\nb");
        assert_eq!(take_event(&mut buffer), None);
        buffer.extend_from_slice(b"ished\n\n");
        assert_eq!(take_event(&mut buffer).unwrap().data, "unfinished");
    }
}
