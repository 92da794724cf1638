//! Masters that see a directory beside its reporter: what they see must be what was reported.
//!
//! Two copies of a directory with the same `.ractorflow-source` would be taken for one. Never stored: each leadership
//! hears it anew.

use crate::model::duration::Millis;
use crate::model::hash;
use crate::model::id::{ContentHash, MasterId, SourceId};
use crate::say;

use super::command::{Rejected, Reply};
use super::engine::{Live, Step};
use super::settings::Settings;
use super::state::State;

/// What another master sees of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub digest: u64,
    /// It may differ from what was reported since then; nobody knows better until the time is up.
    pub since: Option<Millis>,
    pub is_told: bool,
}

/// Equal listings, in the order of their paths, have equal digests.
pub fn listing_digest<'a>(files: impl IntoIterator<Item = (&'a str, &'a ContentHash)>) -> u64 {
    files.into_iter().fold(0, |sum: u64, (path, content)| {
        hash::fixed(&[&sum.to_le_bytes(), path.as_bytes(), content.as_str().as_bytes()])
    })
}

impl State {
    fn digest_of(&self, source: &SourceId) -> u64 {
        let files = self.files.range((source.clone(), String::new())..);
        let own = files.take_while(|((of, _), _)| of == source).filter(|(_, file)| file.missing.is_none());
        listing_digest(own.map(|((_, path), file)| (path.as_str(), &file.content)))
    }
}

impl Live {
    /// Something of the source changed: others may see it in a moment, or never.
    pub fn doubt_looks(&mut self, source: &SourceId, now: Millis) {
        for (_, look) in self.looks.iter_mut().filter(|((of, _), _)| of == source) {
            look.since.get_or_insert(now);
        }
    }

    pub fn next_comparison(&self, settings: &Settings) -> Option<Millis> {
        let open = self.looks.values().filter(|look| !look.is_told).filter_map(|look| look.since);
        open.min().map(|since| Millis(since.0 + settings.source_differs.0))
    }
}

impl Step<'_> {
    pub(super) fn source_looked(&mut self, source: SourceId, node: MasterId, digest: u64) -> Result<Reply, Rejected> {
        let known = self.state.sources.get(&source).ok_or_else(|| Rejected::no_source(&source))?;
        if known.reporter == Some(node) {
            self.live.looks.remove(&(source, node));
            return Ok(Reply::Unchanged);
        }
        let is_equal = self.state.digest_of(&source) == digest;
        let look = self.live.looks.entry((source, node)).or_insert(Look { digest, since: None, is_told: false });
        look.digest = digest;
        match is_equal {
            true => (look.since, look.is_told) = (None, false),
            false => {
                look.since.get_or_insert(self.mono);
            }
        }
        Ok(Reply::Unchanged)
    }

    /// Looks that have differed for long enough are told, once.
    pub(super) fn compare_looks(&mut self) {
        if self.live.next_comparison(self.settings).is_none_or(|due| due > self.mono) {
            return;
        }
        let before = Millis(self.mono.0 - self.settings.source_differs.0);
        let mut told = Vec::new();
        for ((source, node), look) in &mut self.live.looks {
            if look.is_told || look.since.is_none_or(|since| since > before) {
                continue;
            }
            if self.state.digest_of(source) == look.digest {
                look.since = None;
                continue;
            }
            look.is_told = true;
            let reporter = self.state.sources.get(source).and_then(|known| known.reporter);
            told.push((reporter, *node));
        }
        for (reporter, node) in told {
            let reporter = reporter.map_or_else(|| say!("the reporter"), |reporter| say!("m{}", reporter.0));
            self.attention(
                "cluster",
                say!(
                    "the same .ractorflow-source, but different files on {} and m{}: what {0} has counts. Make it one directory, or remove .ractorflow-source on m{1} so that it counts as another one",
                    reporter,
                    node.0
                ),
            );
        }
    }
}
