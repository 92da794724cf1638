//! Servers that take a connection and do not answer, or answer with what they were told: a kill ends the connection,
//! and no secret comes back.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{DEADLINE, Home, from_file, monitor, table, tested, to_file, transfer};

const PASSWORD: &str = "canary-password-71";
const TOKEN: &str = "canary/token+72";

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it").port();
    (listener, port)
}

fn links(port: u16) -> String {
    let link = |name: &str, kind: &str, properties: &str| {
        format!(
            "<link name='{name}' type='{kind}' host='127.0.0.1' port='{port}' username='u' password='{PASSWORD}'>\
             <properties><property name='timeout'>3600</property>{properties}</properties></link>"
        )
    };
    let store = format!(
        "<property name='bucket'>b</property><property name='tls'>false</property>\
         <property name='session-token'>{TOKEN}</property>"
    );
    [link("sftp", "SFTP", ""), link("hdfs", "HDFS", ""), link("s3", "S3", &store)].concat()
}

/// Long before the time of the link is over.
async fn gone(connection: &mut TcpStream) {
    let mut rest = Vec::new();
    // An end or a reset.
    let _ = tokio::time::timeout(DEADLINE, connection.read_to_end(&mut rest)).await.expect("the connection is left");
}

fn kinds() -> Vec<&'static str> {
    let is_built = |kind: &&str| match *kind {
        "sftp" => cfg!(feature = "ssh"),
        "s3" => cfg!(feature = "s3"),
        _ => true,
    };
    ["sftp", "s3", "hdfs"].into_iter().filter(is_built).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "with the others of its kind"]
async fn a_kill_ends_a_connection_on_which_nobody_answers() {
    let (listener, port) = listener().await;
    let home = Home::new(&links(port));
    home.sql("create table t (x text)").await;
    for kind in kinds() {
        let bodies = [
            monitor(kind, "/in/*", &[]),
            transfer(from_file(kind, "/in/a.csv"), table("t")),
            transfer(super::query("t"), to_file(kind, "/in/a.csv", &[])),
        ];
        for body in bodies {
            let (stop, stopped) = watch::channel(false);
            let stopping = async {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                // It says hello, or asks.
                let n = connection.read(&mut [0; 4096]).await.expect("a word");
                assert!(n > 0, "{kind}: nothing is asked");
                stop.send_replace(true);
                connection
            };
            let (outcome, mut connection) = tokio::join!(home.run(body.clone(), stopped), stopping);
            assert_eq!(outcome.expect_err("it was killed"), "killed", "{kind}: {}", body.word);
            gone(&mut connection).await;
        }
    }
}

/// The beginning of a file comes, and nothing more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "with the others of its kind"]
async fn a_kill_ends_a_file_that_stops_coming() {
    let (listener, port) = listener().await;
    let home = Home::new(&links(port));
    for kind in kinds().into_iter().filter(|kind| *kind != "sftp") {
        let (stop, stopped) = watch::channel(false);
        let serving = async {
            loop {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                let mut asked = [0; 4096];
                let n = connection.read(&mut asked).await.expect("a word");
                let asked = String::from_utf8_lossy(&asked[..n]).into_owned();
                let (head, body, is_content) = if asked.starts_with("HEAD") {
                    ("200 OK\r\nETag: \"x\"\r\nContent-Length: 1000", "", false)
                } else if asked.contains("op=GETFILESTATUS") {
                    ("200 OK\r\nContent-Length: 46", r#"{"FileStatus":{"type":"FILE","length":  1000}}"#, false)
                } else {
                    let head = "206 Partial Content\r\nContent-Range: bytes 0-999/1000\r\nContent-Length: 1000";
                    (head, "x\n1\n2\n", true)
                };
                let answer = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{body}");
                connection.write_all(answer.as_bytes()).await.expect("it is taken");
                if is_content {
                    stop.send_replace(true);
                    return connection;
                }
            }
        };
        let body = transfer(from_file(kind, "/in/a.csv"), table("t"));
        let (outcome, mut connection) = tokio::join!(home.run(body, stopped), serving);
        assert_eq!(outcome.expect_err("it was killed"), "killed", "{kind}");
        gone(&mut connection).await;
    }
}

/// An answer that repeats what it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "with the others of its kind"]
async fn what_a_server_says_shows_no_secret() {
    let (listener, port) = listener().await;
    let home = Home::new(&links(port));
    let body = |kind: &str| match kind {
        "s3" => format!("<Error><Code>AccessDenied</Code><Message>not with {PASSWORD} and {TOKEN}</Message></Error>"),
        _ => format!(
            r#"{{"RemoteException":{{"exception":"SecurityException","message":"not with {PASSWORD} and {TOKEN}"}}}}"#
        ),
    };
    for kind in kinds().into_iter().filter(|kind| *kind != "sftp") {
        let body = body(kind);
        let answering = async {
            loop {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                let _ = connection.read(&mut [0; 4096]).await;
                let head =
                    format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = connection.write_all((head + &body).as_bytes()).await;
            }
        };
        let asking = async {
            let said = tested(&home, kind, None).await.expect_err("it is refused");
            assert!(said.contains("not with *** and "), "{said}");
            let monitored = home.monitor(kind, "/in/*", &[]).await.expect_err("it is refused");
            for said in [said, monitored] {
                assert!(!said.contains("canary-password") && (kind != "s3" || !said.contains("canary")), "{said}");
            }
        };
        tokio::select! {
            never = answering => never,
            () = asking => {}
        }
    }
}
