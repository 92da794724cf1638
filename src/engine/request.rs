//! Once-only commands: a request key is looked up before anything is decided.

use uuid::Uuid;

use crate::model::time::Timestamp;
use crate::say;

use super::command::{Command, Envelope, Now, Rejected, Reply};
use super::engine::Engine;

const KEY_CHARACTERS_MAX: usize = 64;

impl Engine {
    /// The answer that was given to this request before.
    pub(super) fn known_request(&self, now: Now, envelope: &Envelope) -> Result<Option<Reply>, Rejected> {
        let Some(request) = &envelope.request else { return Ok(None) };
        let is_key = !request.key.is_empty()
            && request.key.len() <= KEY_CHARACTERS_MAX
            && request.key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_key {
            return Err(Rejected::Invalid(say!(
                "a request key has 1 to {} printable ASCII characters",
                KEY_CHARACTERS_MAX
            )));
        }
        if let Some(known) = self.state.requests.get(&(envelope.by.clone(), request.key.clone())) {
            return if known.digest == request.digest {
                Ok(Some(known.reply.clone()))
            } else {
                Err(Rejected::KeyReused)
            };
        }
        // What was trimmed must not be done a second time.
        let oldest = now.wall.max(self.state.cluster.clock).plus_ms(-self.settings.requests_kept.0);
        if made_at(&request.key).is_some_and(|made| made < oldest) {
            return Err(Rejected::KeyExpired);
        }
        if matches!(envelope.command, Command::Run(_) | Command::Trigger(_)) {
            if let Some(instance) = self.state.archive.instance_by_request(&envelope.by, &request.key) {
                return Ok(Some(Reply::Created { instance }));
            }
        }
        Ok(None)
    }
}

/// When a UUIDv7 was made; other keys do not tell.
fn made_at(key: &str) -> Option<Timestamp> {
    let id = Uuid::try_parse(key).ok().filter(|id| id.get_version_num() == 7)?;
    let bytes = id.as_bytes();
    let ms = bytes[..6].iter().fold(0_i64, |ms, byte| ms << 8 | i64::from(*byte));
    Some(Timestamp(ms))
}
