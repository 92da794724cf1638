//! `email`: mails a text to the receivers of the workflow.

use std::pin::Pin;

use crate::connector::mail::{Body, Mail, decoded, send};
use crate::say;

use super::task::{Failure, Task, attribute};

/// Receivers of one mail.
const RECEIVERS_MAX: usize = 100;

pub fn run<'a>(task: &'a Task<'_>) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async {
        let (mail, server) = match (mail(task), &task.services.mail) {
            (Ok(mail), Some(server)) => (mail, server),
            (mail, server) => return nothing_sent(task, mail.err(), server.is_none()),
        };
        if let Some((_, password)) = &server.login {
            task.hide(password);
        }
        let sent = task.unless_stopped(send(server, &mail)).await?;
        sent.map_err(|error| Failure { is_refusal: error.is_for_good(), message: error.said() })?;
        task.log(&say!("mailed to {}", mail.to.join(", ")));
        Ok(())
    })
}

/// Where mail is not set up, akkaflow's node succeeds; so does that of a file in its style, aloud.
fn nothing_sent(task: &Task<'_>, failure: Option<Failure>, has_no_server: bool) -> Result<(), Failure> {
    let no_server =
        || Failure::refused(say!("no mail server is set: fill in host and from of [mail] in ractorflow.toml"));
    let failure = failure.unwrap_or_else(no_server);
    let is_left_out = has_no_server || is_for_nobody(task);
    if task.assignment.is_strict || !is_left_out {
        return Err(failure);
    }
    task.warn(&say!("nothing is mailed: {}", failure.message));
    Ok(())
}

fn is_for_nobody(task: &Task<'_>) -> bool {
    attribute(&task.assignment.body, "to").is_none() && task.assignment.mail_receivers.is_empty()
}

fn mail(task: &Task<'_>) -> Result<Mail, Failure> {
    let assignment = &task.assignment;
    let to: Vec<String> = match attribute(&assignment.body, "to") {
        Some(list) => list.split([',', ';']).map(str::trim).filter(|to| !to.is_empty()).map(str::to_owned).collect(),
        None => assignment.mail_receivers.clone(),
    };
    if to.is_empty() {
        return Err(Failure::refused(say!(
            "there is nobody to mail to: write mail-receivers at the workflow, or to=\"…\""
        )));
    }
    if to.len() > RECEIVERS_MAX {
        return Err(Failure::refused(say!("{} receivers, at most {} are allowed", to.len(), RECEIVERS_MAX)));
    }
    let subject = attribute(&assignment.body, "subject").map_or_else(
        || format!("[Ractorflow] {} #{}", assignment.workflow, assignment.attempt.instance),
        str::to_owned,
    );
    let text = assignment.body.text.as_ref().map_or("", |text| text.text.trim()).to_owned();
    // Values were escaped for HTML; what is none gets them back as they are.
    let body = if looks_like_html(&text) { Body::Html(wrapped(text)) } else { Body::Text(decoded(&text)) };
    // One mail for each attempt: a server that gets it twice can tell.
    Ok(Mail { to, subject, body, id: format!("{}.{}@ractorflow", assignment.attempt, assignment.nominal.0) })
}

fn looks_like_html(text: &str) -> bool {
    text.match_indices('<').any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '!'))
}

/// akkaflow's: elements without `<html>` stand in one.
fn wrapped(text: String) -> String {
    let has_root = text.to_ascii_lowercase().contains("<html");
    if has_root { text } else { format!("<html>{text}</html>") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::node::testing::{assignment, element, task, with_attribute};

    fn made(text: &str, attributes: &[(&str, &str)]) -> Result<Mail, String> {
        let body = element("email", &[text], vec![]);
        let body = attributes.iter().fold(body, |body, (name, value)| with_attribute(body, name, value));
        let mut assignment = assignment(body);
        assignment.mail_receivers = vec!["team@example.com".into()];
        let task = task(assignment, Path::new("conf"));
        mail(&task).map_err(|failure| failure.message.english())
    }

    #[test]
    fn receivers_are_those_of_the_workflow_unless_it_says_others() {
        let mail = made("hello", &[]).unwrap();
        assert_eq!((mail.to, mail.subject.as_str()), (vec!["team@example.com".to_owned()], "[Ractorflow] w #10342"));
        let mail = made("hello", &[("to", "a@x.cn; b@x.cn"), ("subject", "日报")]).unwrap();
        assert_eq!((mail.to, mail.subject.as_str()), (vec!["a@x.cn".to_owned(), "b@x.cn".to_owned()], "日报"));
    }

    #[test]
    fn elements_are_html_and_the_rest_is_text() {
        assert_eq!(made("5 &lt; 7 &amp; 8", &[]).unwrap().body, Body::Text("5 < 7 & 8".into()));
        assert_eq!(made("<p>a</p>", &[]).unwrap().body, Body::Html("<html><p>a</p></html>".into()));
        assert_eq!(made("<html><b>a</b></html>", &[]).unwrap().body, Body::Html("<html><b>a</b></html>".into()));
    }

    #[tokio::test]
    async fn without_a_server_it_says_what_to_fill_in() {
        let mut assignment = assignment(element("email", &["x"], vec![]));
        assignment.mail_receivers = vec!["a@example.com".into()];
        let task = task(assignment, Path::new("conf"));
        let failure = run(&task).await.unwrap_err();
        assert!(failure.is_refusal && failure.message.english().contains("[mail]"), "{failure}");
    }

    #[tokio::test]
    async fn in_a_file_in_akkaflows_style_it_succeeds_without_a_server_or_a_receiver() {
        for receivers in [vec!["a@example.com".to_owned()], vec![]] {
            let mut assignment = assignment(element("email", &["x"], vec![]));
            (assignment.mail_receivers, assignment.is_strict) = (receivers, false);
            run(&task(assignment, Path::new("conf"))).await.unwrap();
        }
    }
}
