//! WebHDFS against a small cluster of the tests, which is no real one.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::fake::Shared;
use super::*;
use crate::connector::file::Files;
use crate::connector::link::{FileKind, LOCAL, Secret, file_link};

async fn cluster() -> (Shared, FileLink) {
    let (own, host) = fake::cluster().await;
    let local = file_link(Path::new("/nonexistent"), LOCAL).unwrap();
    let link = FileLink {
        name: "lake".into(),
        kind: FileKind::Hdfs,
        host,
        username: "etl".into(),
        properties: vec![("timeout".into(), Secret::new("2"))],
        ..local
    };
    (own, link)
}

async fn open(link: &FileLink) -> Files {
    Files::open(link, Path::new("conf"), Duration::from_secs(30), CancellationToken::new()).await.unwrap()
}

async fn write(files: &Files, path: &str, bytes: Vec<u8>) -> Result<(), String> {
    let mut file = files.create(Path::new(path)).await.map_err(|error| error.said().english())?;
    let written = tokio::task::spawn_blocking(move || file.write_all(&bytes).and_then(|()| file.publish()));
    written.await.unwrap().map_err(|error| crate::connector::file::said(&error).english())
}

async fn read(files: &Files, path: &str) -> Result<Vec<u8>, String> {
    let mut file = files.read(Path::new(path)).await.map_err(|error| error.said().english())?;
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    });
    reading.await.unwrap().map_err(|error| crate::connector::file::said(&error).english())
}

#[tokio::test]
async fn a_file_goes_there_by_two_steps_and_comes_back() {
    let (own, link) = cluster().await;
    let files = open(&link).await;
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for is_old in [false, true] {
        own.is_old.store(is_old, Ordering::SeqCst);
        // There before, and with a name that a URL would not take as it is.
        for _ in 0..2 {
            write(&files, "/in/数 a&b+%.csv", bytes.clone()).await.unwrap();
        }
        assert!(read(&files, "/in/数 a&b+%.csv").await.unwrap() == bytes);
        assert_eq!(own.names("/in"), ["数 a&b+%.csv"]);
    }
    files.close().await;
    let calls = own.calls.lock().unwrap();
    assert!(calls.iter().all(|call| call.ends_with(" etl")), "{calls:?}");
}

#[tokio::test]
async fn what_is_not_published_is_taken_back() {
    let (own, link) = cluster().await;
    own.files().insert("/in/a.csv".into(), b"old".to_vec());
    let files = open(&link).await;
    let mut file = files.create(Path::new("/in/a.csv")).await.unwrap();
    let half = tokio::task::spawn_blocking(move || file.write_all(&vec![b'x'; 1 << 20]));
    half.await.unwrap().unwrap();
    files.close().await;
    assert_eq!(*own.files(), BTreeMap::from([("/in/a.csv".to_owned(), b"old".to_vec())]));
    let said = write(&open(&link).await, "/in/a.csv", b"full".to_vec()).await.unwrap_err();
    assert_eq!(said, "DSQuotaExceededException: The DiskSpace quota of /in is exceeded");
    let files = open(&link).await;
    files.remove(Path::new("/in/a.csv")).await.unwrap();
    files.remove(Path::new("/in/a.csv")).await.unwrap();
    assert!(matches!(files.remove(Path::new("/in")).await, Err(FileError::NotAFile { .. })));
}

#[tokio::test]
async fn a_datanode_that_dies_is_asked_again_for_the_rest() {
    let (own, link) = cluster().await;
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    own.files().insert("/in/a".into(), bytes.clone());
    *own.breaks_after.lock().unwrap() = Some(150_000);
    assert!(read(&open(&link).await, "/in/a").await.unwrap() == bytes);
    let n_breaks = own.n_breaks.swap(0, Ordering::SeqCst);
    assert!(n_breaks >= 2, "{n_breaks}");
    // One that gives nothing at all is not asked for ever.
    *own.breaks_after.lock().unwrap() = Some(0);
    read(&open(&link).await, "/in/a").await.unwrap_err();
    assert_eq!(own.n_breaks.load(Ordering::SeqCst), 1 + TRIES);
}

#[tokio::test]
async fn files_are_counted_part_by_part_and_up_to_a_bound() {
    let (own, link) = cluster().await;
    for name in ["a.csv", "b.csv", "c.txt", "d.csv", "e.csv"] {
        own.files().insert(format!("/in/{name}"), name.into());
    }
    let pattern = Pattern::new("*.csv").unwrap();
    for is_old in [false, true] {
        own.is_old.store(is_old, Ordering::SeqCst);
        let files = open(&link).await;
        let found = files.list(Path::new("/in"), &pattern, 5).await.unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a.csv", "b.csv", "d.csv", "e.csv"]);
        assert_eq!(found["a.csv"], 5);
        let said = files.list(Path::new("/in"), &pattern, 4).await.unwrap_err().said().english();
        assert!(said.starts_with("lake:/in (etl@127.0.0.1:1,") && said.contains("more than 4 entries"), "{said}");
        let none = files.list(Path::new("/none"), &pattern, 4).await;
        assert!(matches!(none, Err(FileError::NoDirectory { .. })));
    }
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let (own, link) = cluster().await;
    let files = open(&link).await;
    let said = read(&files, "/in/none").await.unwrap_err();
    assert!(said.starts_with("there is no file lake:/in/none (etl@"), "{said}");
    let said = write(&files, "/none/a", Vec::new()).await.unwrap_err();
    assert!(said.starts_with("there is no directory lake:/none (etl@"), "{said}");
    assert!(read(&files, "/in").await.unwrap_err().contains("is not a regular file"));
    own.is_silent.store(true, Ordering::SeqCst);
    let said = write(&files, "/in/a", b"x".to_vec()).await.unwrap_err();
    assert_eq!(said, "no answer within 2 s");
    own.wants_kerberos.store(true, Ordering::SeqCst);
    let said = read(&files, "/in/none").await.unwrap_err();
    assert!(said.contains("asks for a login (Kerberos)"), "{said}");
    let only = |host: &str| FileLink { host: host.into(), ..link.clone() };
    let standing_by = link.host.split(',').nth(1).unwrap().trim().to_owned();
    let said = read(&open(&only(&standing_by)).await, "/in/none").await.unwrap_err();
    assert!(said.contains(&format!("{standing_by}: StandbyException: Operation category READ")), "{said}");
    let said = read(&open(&only("127.0.0.1:1")).await, "/in/none").await.unwrap_err();
    assert!(said.contains("127.0.0.1:1: ") && said.contains("refused"), "{said}");
    let wrong = Files::open(&only("a/b"), Path::new("conf"), Duration::from_secs(1), CancellationToken::new()).await;
    assert!(wrong.err().unwrap().is_for_good());
}
