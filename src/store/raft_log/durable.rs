//! How far the log is on disk. The writer's thread moves the mark; whoever must not go ahead of the disk waits for it.
//!
//! A leader's own entries are sent to the others while they are written here (Raft, dissertation, §10.2.1). openraft 0.9
//! knows no such thing: it is told that they are written when they only will be. So nothing that follows from a commit
//! may happen before the mark has come: nothing is applied, and no other voter hears of the commit. Start at `reaches`.

use std::path::PathBuf;

use tokio::sync::watch;

use super::super::StoreError;

/// Every entry below is on disk.
type End = Result<u64, StoreError>;

/// The writer's end. Follows what is done with the file, in that order.
pub struct Marker(watch::Sender<End>);

/// What the others see; clones share it.
#[derive(Clone)]
pub struct Durable {
    file: PathBuf,
    end: watch::Receiver<End>,
}

pub fn durable_below(end: u64, file: PathBuf) -> (Marker, Durable) {
    let (sender, end) = watch::channel(Ok(end));
    (Marker(sender), Durable { file, end })
}

impl Marker {
    /// Everything below `end` is on disk now.
    pub fn raise(&self, end: u64) {
        self.change(|before| before.max(end));
    }

    /// The entries from `from` on are gone. Others will come in their place, and are not on disk before they are.
    pub fn lower(&self, from: u64) {
        self.change(|before| before.min(from));
    }

    pub fn fail(&self, error: StoreError) {
        self.0.send_modify(|end| *end = Err(error));
    }

    fn change(&self, change: impl FnOnce(u64) -> u64) {
        self.0.send_modify(|end| {
            if let Ok(end) = end {
                *end = change(*end);
            }
        });
    }
}

impl Durable {
    /// Waits until the entry is on disk.
    ///
    /// # Errors
    /// The log cannot be written, or is closed.
    pub async fn reaches(&self, index: u64) -> Result<(), StoreError> {
        let mut end = self.end.clone();
        let seen = end.wait_for(|end| end.as_ref().map_or(true, |end| *end > index)).await;
        match seen.as_deref() {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.clone()),
            Err(_) => Err(StoreError::Closed { file: self.file.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(end: u64) -> (Marker, Durable) {
        durable_below(end, PathBuf::from("raft.db"))
    }

    #[tokio::test]
    async fn who_waits_for_an_entry_goes_on_when_it_is_on_disk_and_not_before() {
        let (marker, durable) = pair(5);
        durable.reaches(4).await.unwrap();
        let waiting = tokio::spawn({
            let durable = durable.clone();
            async move { durable.reaches(6).await }
        });
        marker.raise(6);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        marker.raise(7);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_entry_in_the_place_of_one_that_was_cut_off_is_not_on_disk_yet() {
        let (marker, durable) = pair(10);
        marker.lower(8);
        let waiting = tokio::spawn(async move { durable.reaches(8).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        marker.raise(9);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_failed_or_closed_log_is_told_to_those_who_wait() {
        let (marker, durable) = pair(0);
        marker.fail(StoreError::Closed { file: PathBuf::from("full") });
        marker.raise(9);
        assert!(durable.reaches(3).await.unwrap_err().to_string().contains("full"));
        let (marker, durable) = pair(0);
        drop(marker);
        durable.reaches(0).await.unwrap_err();
    }
}
