//! Files of a small cluster that speaks WebHDFS, which is no real one.

use std::sync::atomic::Ordering;

use super::{Home, There, both_ways, failures, has_connections, kills, monitors, tested};
use crate::webhdfs::{Shared, cluster};

struct Lake(Shared);

impl There for Lake {
    fn link(&self) -> &str {
        "lake"
    }

    fn directory(&self) -> String {
        "/in".to_owned()
    }

    async fn put(&self, name: &str, bytes: &[u8]) {
        self.0.files().insert(format!("/in/{name}"), bytes.to_vec());
    }

    async fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.files().get(&format!("/in/{name}")).cloned()
    }

    async fn names(&self) -> Vec<String> {
        self.0.names("/in")
    }

    async fn has_begun(&self) -> bool {
        // Not only its name.
        self.0.files().iter().any(|(path, bytes)| path.ends_with(".part") && !bytes.is_empty())
    }

    async fn is_in_use(&self) -> bool {
        self.0.ports.lock().expect("ports").iter().any(|port| has_connections(*port))
    }
}

async fn lake() -> (Lake, Home) {
    let (shared, hosts) = cluster().await;
    let home = Home::new(&format!("<link name='lake' type='HDFS' host='{hosts}' port='' username='etl' password=''/>"));
    (Lake(shared), home)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "with the others of its kind"]
async fn files_of_hdfs_are_written_read_and_counted() {
    let (lake, home) = lake().await;
    both_ways(&home, &lake).await;
    failures(&home, &lake).await;
    kills(&home, &lake).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "with the others of its kind"]
async fn files_of_hdfs_are_monitored() {
    let (lake, home) = lake().await;
    monitors(&home, &lake).await;
    assert_eq!(tested(&home, "lake", None).await.expect("it opens"), "None");
    assert_eq!(tested(&home, "lake", Some("/in")).await.expect("it is there"), "Some(Directory)");
    lake.0.wants_kerberos.store(true, Ordering::SeqCst);
    let said = tested(&home, "lake", None).await.expect_err("a login");
    assert!(said.contains("asks for a login (Kerberos)"), "{said}");
}
