//! Each of akkaflow's action types at work: its file in, what it does to the world out.

use std::fs;

use ractorflow::engine::definition::hash_of;
use ractorflow::model::action::BodyElement;
use ractorflow::model::assignment::{Assignment, OutcomeClass, Rendered};
use ractorflow::model::attachment::AttachedFile;
use ractorflow::model::definition::NodeKind;
use ractorflow::model::id::NodeIndex;
use ractorflow::model::parameter::Template;
use ractorflow::node::spec;
use ractorflow::xml::{Input, read};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::assignment::assignment;
use crate::master::Home;
use crate::support::eventually;

/// Without a parameter nothing has to be replaced.
fn as_written(element: &BodyElement<Template>) -> BodyElement<Rendered> {
    let text = |template: &Template| Rendered {
        text: template.constant_text().expect("no parameter").into_owned(),
        variables: Vec::new(),
    };
    BodyElement {
        word: element.word.clone(),
        attributes: element.attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        children: element.children.iter().map(as_written).collect(),
        text: element.text.as_ref().map(text),
    }
}

/// The actions of the file, in its order.
fn actions(home: &Home) -> Vec<(String, Assignment)> {
    let path = home.dir.path().to_str().unwrap();
    let text = include_str!("akkaflow.xml").replace("HOME", path);
    let outcome = read(&Input::new(text.as_bytes(), "akkaflow.xml", spec::all()));
    let definition = outcome.definition.unwrap_or_else(|| panic!("{:?}", outcome.diagnostics));
    let mut found = Vec::new();
    for (at, node) in definition.nodes.iter().enumerate() {
        let NodeKind::Action(action) = &node.kind else { continue };
        let mut task = assignment(&format!("1.1.{at}.0.1"), as_written(&action.body.tree));
        (task.is_strict, task.mail_receivers) = (false, definition.mail_receivers.clone());
        found.push((node.name.to_string(), task));
    }
    found
}

/// Takes one mail as a server does; gives what it was.
async fn take_mail(listener: TcpListener) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    let (mut mail, mut is_data) = (String::new(), false);
    writing.write_all(b"220 here\r\n").await.unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        let answer: &[u8] = match line.as_str() {
            "." => {
                is_data = false;
                b"250 taken\r\n"
            }
            _ if is_data => b"",
            "DATA" => {
                is_data = true;
                b"354 go on\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 well\r\n",
        };
        mail.push_str(&line);
        mail.push('\n');
        writing.write_all(answer).await.unwrap();
    }
    mail
}

#[tokio::test]
async fn akka_07_every_action_type_does_what_it_is_for() {
    let home = Home::new();
    let conf = home.dir.path().join("conf");
    fs::create_dir_all(&conf).unwrap();
    let links = r#"<db-links><link name="here" type="SQLITE" jdbc-url="jdbc:sqlite:here.db?fetchsze=3" username="" password=""/></db-links>"#;
    fs::write(conf.join("db_links.xml"), links).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = home.config(1);
    config.task_settings.mail.host = "127.0.0.1".to_owned();
    config.task_settings.mail.port = listener.local_addr().unwrap().port();
    (config.task_settings.mail.security, config.task_settings.mail.from) =
        ("none".to_owned(), "etl@example.com".to_owned());
    let mail = tokio::spawn(take_mail(listener));
    let (worker, link) = home.start(config, 1).await;
    for (node, mut task) in actions(&home) {
        // Files that the definition names relative to itself come from the Master.
        let file = match node.as_str() {
            "script" => Some(("lib/note.txt", "from the master\n")),
            "file-executor" => Some(("bin/load.sh", "cat b.txt; echo \"$1\"; echo spoiled > b.txt\n")),
            _ => None,
        };
        if let Some((path, content)) = file {
            let (hash, bytes) = (hash_of(content.as_bytes()), content.len() as u64);
            link.files.lock().unwrap().insert(hash.clone(), content.as_bytes().to_vec());
            task.files.push(AttachedFile { node: NodeIndex(1), path: path.to_owned(), hash, bytes });
        }
        link.dispatch(&task);
        let outcome = link.outcome(task.attempt).await;
        let message = outcome.message.as_ref().map(|message| message.english()).unwrap_or_default();
        let has_lines = async |wanted: &[&str]| {
            let what = format!("{node}: {wanted:?}");
            let has = |lines: &Vec<String>| wanted.iter().all(|line| lines.iter().any(|one| one.contains(line)));
            eventually(&what, || Some(home.lines(task.attempt)).filter(has)).await
        };
        if node == "metadata" {
            // The only one that this database has nothing for; MariaDB and PostgreSQL do (tests/connectors).
            assert_ne!(outcome.class, OutcomeClass::Succeeded);
            assert!(message.ends_with("SQLite keeps no comments of tables and columns"), "{message}");
            continue;
        }
        assert_eq!(outcome.class, OutcomeClass::Succeeded, "{node}: {message}");
        let outputs: Vec<String> = outcome.outputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        match node.as_str() {
            "script" => drop(has_lines(&["from the master", "of the line as it stands"]).await),
            "shell" => assert_eq!(fs::read_to_string(home.dir.path().join("in/b.txt")).unwrap(), "x\n"),
            "file-executor" => {
                has_lines(&["x", "x y"]).await;
                let own = fs::read_to_string(home.dir.path().join("in/b.txt")).unwrap();
                assert_eq!(own, "x\n", "it has a copy");
            }
            "file-monitor" => assert_eq!(outputs, ["count=2", "bytes=22"]),
            "sql" => assert_eq!(outputs, ["rows=1", "first.name=a;b"]),
            "load" => assert!(outputs.contains(&"written=2".to_owned()), "{outputs:?}"),
            "unload" => {
                let written = fs::read_to_string(home.dir.path().join("out/out.txt")).unwrap();
                assert_eq!(written, "3|null\n2|two\n1|one\n");
            }
            "data-monitor" => {
                assert_eq!(outputs, ["value=3", "min=3", "max=3"]);
                let odd = |line: &String| line.contains("option fetchsze is not known");
                let lines = has_lines(&["option fetchsze", "maximum 3"]).await;
                assert_eq!(
                    lines.into_iter().filter(odd).count(),
                    1,
                    "said once, though two numbers come from the link"
                );
            }
            "email" => drop(has_lines(&["mailed to team@example.com"]).await),
            other => panic!("{other}"),
        }
    }
    let mail = mail.await.unwrap();
    assert!(mail.contains("RCPT TO:<team@example.com>") && mail.contains("<td>three rows</td>"), "{mail}");
    worker.stop().await;
}
