//! `email` and a server of mail that says nothing.

use std::path::Path;
use std::time::Duration;

use ractorflow::connector::mail::{MailServer, Security};
use ractorflow::model::message::Voice;
use ractorflow::node::task::{self, Services, Task};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::assignment::{assignment, element};

/// It takes the connection and never greets. A kill ends the wait and the connection, not the server's patience.
#[tokio::test]
async fn a_kill_ends_a_mail_to_a_server_that_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = MailServer {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().expect("its address").port(),
        security: Security::None,
        login: None,
        from: "flow@example.com".to_owned(),
        timeout: Duration::from_secs(3600),
    };
    let mut assignment = assignment("1.1.1.0.1", element("email", Some("hello"), vec![]));
    assignment.mail_receivers = vec!["team@example.com".to_owned()];
    let services = Services { mail: Some(server), ..Services::default() };
    let (stop, stopped) = watch::channel(false);
    let task = Task::new(assignment, Path::new("conf"), services, Voice::default(), stopped);
    let silent = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stop.send_replace(true);
        let mut said = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut said).await;
    };
    let both = async { tokio::join!(task::run(&task), silent) };
    let (outcome, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("both end");
    assert_eq!(outcome.expect_err("it was killed").message.english(), "killed");
}
