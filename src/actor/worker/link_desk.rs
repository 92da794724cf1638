//! What this worker answers about links: what its own files say, and whether one opens from here.
//!
//! A test is a process of our own program, with bounds of its own: a driver that hangs or crashes takes nothing else
//! with it. The link goes to it sealed, by its standard input.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::actor::protocol::link::{LinkAnswer, LinkOrder, LinkTestOrder, ListedLink, ListedLinks};
use crate::actor::protocol::{decode, encode};
use crate::connector::link;
use crate::connector::probe::Tried;
use crate::model::link::LinkKind;
use crate::model::message::Message;
use crate::say;

/// Tests at once; more wait.
const TESTS_MAX: usize = 4;
/// Of one test, waiting included. The steps have bounds of their own, which end sooner.
const TEST_WITHIN: Duration = Duration::from_secs(22);
const ANSWER_BYTES_MAX: u64 = 256 * 1024;
/// Links that are told of one worker.
const LINKS_MAX: usize = 2_000;
const FAULTS_MAX: usize = 100;

pub struct LinkDesk {
    program: PathBuf,
    conf_dir: PathBuf,
    tests: Semaphore,
}

impl LinkDesk {
    pub fn new(program: PathBuf, conf_dir: PathBuf) -> Self {
        Self { program, conf_dir, tests: Semaphore::new(TESTS_MAX) }
    }

    pub async fn answer(&self, order: LinkOrder) -> LinkAnswer {
        match order {
            LinkOrder::List => {
                let conf_dir = self.conf_dir.clone();
                match tokio::task::spawn_blocking(move || listed(&conf_dir)).await {
                    Ok(listed) => LinkAnswer::Listed(listed),
                    Err(error) => LinkAnswer::Failed(Message::verbatim(error.to_string())),
                }
            }
            LinkOrder::Test(order) => match tokio::time::timeout(TEST_WITHIN, self.test(&order)).await {
                Ok(Ok(tried)) => LinkAnswer::Tested(tried),
                Ok(Err(why)) => LinkAnswer::Failed(why),
                Err(_) => LinkAnswer::Failed(say!("no answer within {} s", TEST_WITHIN.as_secs())),
            },
        }
    }

    /// Dropped, it ends the process.
    async fn test(&self, order: &LinkTestOrder) -> Result<Vec<Tried>, Message> {
        let failed = |error: &dyn std::fmt::Display| say!("the test could not be run: {}", error.to_string());
        let _permit = self.tests.acquire().await.map_err(|error| failed(&error))?;
        let body = encode(order).map_err(|error| failed(&error))?;
        let mut child = Command::new(&self.program)
            .arg("link-probe")
            .arg("--conf")
            .arg(&self.conf_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else { return Err(failed(&"no pipe")) };
        // A process that ends before it has read everything says so by its answer.
        let _ = stdin.write_all(&body).await;
        drop(stdin);
        let mut answer = Vec::new();
        stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await.map_err(|error| failed(&error))?;
        let status = child.wait().await.map_err(|error| failed(&error))?;
        if !status.success() {
            return Err(failed(&status));
        }
        decode(&answer).map_err(|error| failed(&error))
    }
}

fn listed(conf_dir: &Path) -> ListedLinks {
    let (databases, files) = (link::db_links(conf_dir), link::file_links(conf_dir));
    let faults = databases.faults.iter().chain(&files.faults).take(FAULTS_MAX).map(|fault| fault.said()).collect();
    let databases = databases.links.iter().map(|link| ListedLink {
        kind: LinkKind::Database,
        name: link.name.clone(),
        type_word: link.kind.word().to_owned(),
        place: link.url.to_string(),
        username: link.username.clone(),
        description: link.description.clone().unwrap_or_default(),
    });
    // That every host has its own files goes without saying.
    let files = files.links.iter().filter(|link| link.name != link::LOCAL).map(|link| ListedLink {
        kind: LinkKind::File,
        name: link.name.clone(),
        type_word: link.kind.word().to_owned(),
        place: link.port.map_or_else(|| link.host.clone(), |port| format!("{}:{port}", link.host)),
        username: link.username.clone(),
        description: link.description.clone().unwrap_or_default(),
    });
    ListedLinks { links: databases.chain(files).take(LINKS_MAX).collect(), faults }
}
