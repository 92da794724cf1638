//! Mail over SMTP, one message at a time.
//!
//! Owns the conversation and what its failures mean. Must not know who is to be told what: callers bring receivers,
//! subject and text. Protocol: RFC 5321, with STARTTLS (RFC 3207) or TLS from the start (RFC 8314).

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Envelope, Tokio1Executor};

use crate::model::message::Message;
use crate::say;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// In clear: only towards this machine or in a network of its own.
    None,
    /// The conversation turns to TLS, or fails.
    Starttls,
    Tls,
}

impl Security {
    /// Where servers listen for it.
    pub fn port(self) -> u16 {
        match self {
            Security::None => 25,
            Security::Starttls => 587,
            Security::Tls => 465,
        }
    }
}

/// Answers about a mailbox: unknown, elsewhere, full, misspelt.
const OF_RECEIVER: [u16; 4] = [550, 551, 552, 553];

/// Where mail is handed in.
#[derive(Clone)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// User and password.
    pub login: Option<(String, String)>,
    /// `Name <address>` or an address.
    pub from: String,
    pub timeout: Duration,
}

/// Without the password.
impl std::fmt::Debug for MailServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = self.login.as_ref().map(|(user, _)| user);
        f.debug_struct("MailServer").field("host", &self.host).field("port", &self.port).field("user", &user).finish()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub to: Vec<String>,
    pub subject: String,
    pub body: Body,
    /// Makes the same mail, sent again, known as the same.
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Text(String),
    Html(String),
}

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum MailError {
    Address {
        text: String,
        why: String,
    },
    Content(String),
    /// The server's settings make no connection.
    Settings(String),
    /// It said no for good: its words, and whether they are about the receiver.
    Refused {
        why: String,
        is_of_receiver: bool,
    },
    /// It may work later: no connection, a timeout, "try again".
    Later {
        server: String,
        why: String,
    },
}

impl MailError {
    pub fn said(&self) -> Message {
        match self {
            MailError::Address { text, why } => say!("\"{}\" is no mail address: {}", text, why),
            MailError::Content(why) => say!("the mail cannot be written: {}", why),
            MailError::Settings(why) => say!("[mail] in ractorflow.toml: {}", why),
            MailError::Refused { why, .. } => say!("the mail server refuses: {}", why),
            MailError::Later { server, why } => say!("the mail server {} does not take it: {}", server, why),
        }
    }

    pub fn is_for_good(&self) -> bool {
        !matches!(self, MailError::Later { .. })
    }

    /// Others may get the same mail: this receiver cannot.
    pub fn is_of_receiver(&self) -> bool {
        matches!(self, MailError::Address { .. } | MailError::Refused { is_of_receiver: true, .. })
    }
}

/// Hands one mail to the server. At most `server.timeout` for each step of the conversation.
pub async fn send(server: &MailServer, mail: &Mail) -> Result<(), MailError> {
    let envelope = envelope(server, mail)?;
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
        .port(server.port)
        .tls(tls(server)?)
        .timeout(Some(server.timeout));
    if let Some((user, password)) = &server.login {
        transport = transport.credentials(Credentials::new(user.clone(), password.clone()));
    }
    match transport.build().send(envelope).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => {
            let code = error.status().map(u16::from);
            Err(MailError::Refused {
                why: chain(&error),
                is_of_receiver: code.is_some_and(|code| OF_RECEIVER.contains(&code)),
            })
        }
        Err(error) => {
            let server = format!("{}:{}", server.host, server.port);
            Err(MailError::Later { server, why: chain(&error) })
        }
    }
}

fn tls(server: &MailServer) -> Result<Tls, MailError> {
    let parameters = || TlsParameters::new(server.host.clone()).map_err(|error| MailError::Settings(chain(&error)));
    Ok(match server.security {
        Security::None => Tls::None,
        Security::Starttls => Tls::Required(parameters()?),
        Security::Tls => Tls::Wrapper(parameters()?),
    })
}

fn envelope(server: &MailServer, mail: &Mail) -> Result<Envelope, MailError> {
    let mut builder = Envelope::builder()
        .from(address(&server.from).map_err(|error| MailError::Settings(error.to_string()))?)
        .subject(one_line(&mail.subject))
        .message_id(Some(format!("<{}>", one_line(&mail.id))));
    for receiver in &mail.to {
        builder = builder.to(address(receiver)?);
    }
    let built = match &mail.body {
        Body::Text(text) => builder.header(ContentType::TEXT_PLAIN).body(text.clone()),
        Body::Html(html) => builder.multipart(
            MultiPart::alternative()
                .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(without_tags(html)))
                .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html.clone())),
        ),
    };
    built.map_err(|error| MailError::Content(error.to_string()))
}

fn address(text: &str) -> Result<Mailbox, MailError> {
    let text = text.trim();
    text.parse().map_err(|error: lettre::address::AddressError| MailError::Address {
        text: text.to_owned(),
        why: error.to_string(),
    })
}

/// Nothing in a header begins another one.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What the mail says, for readers without HTML: its text, a line for each block.
fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('>').map(|end| start + end) else {
            rest = &rest[start..];
            break;
        };
        let is_end = rest[start + 1..].starts_with('/');
        let tag = rest[start + 1..end].trim_start_matches('/').to_ascii_lowercase();
        rest = &rest[end + 1..];
        let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
        match name.as_str() {
            // Their text is for browsers.
            "style" | "script" | "title" if !html[..html.len() - rest.len()].ends_with("/>") => {
                let close = rest.to_ascii_lowercase().find(&format!("</{name}"));
                rest = close.map_or(rest, |at| &rest[at..]);
            }
            "br" | "p" | "div" | "tr" | "li" | "table" | "h1" | "h2" | "h3" | "h4" | "pre" => text.push('\n'),
            "td" | "th" if is_end => text.push('\t'),
            _ => {}
        }
    }
    text.push_str(rest);
    let text = decoded(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// Character references by their characters, those that are written here and by people.
pub fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(10).position(|byte| byte == b';');
        let name = end.map_or("", |end| &rest[1..end]);
        let number = name.strip_prefix('#').and_then(|digits| match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        });
        let character = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some(' '),
            _ => number.and_then(char::from_u32),
        };
        let length = if character.is_some() { name.len() + 2 } else { 1 };
        out.push(character.unwrap_or('&'));
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// An error with its causes: lettre says what failed in the innermost one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !said.contains(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = inner.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_for_readers_without_html() {
        let html = "<html><style>p{}</style><h1>Done</h1><table><tr><td>a &lt; b</td><td>2 &amp; 3</td></tr></table><p>x<br/>y</p></html>";
        assert_eq!(without_tags(html), "Done\na < b\t2 & 3\nx\ny");
        assert_eq!(without_tags("a < b"), "a < b");
        let html = "<title>t</title><pre>x &#60; &#x4e2d; &#39;&amp;lt;</pre>A&T &bogus; &";
        assert_eq!(without_tags(html), "x < 中 '&lt;\nA&T &bogus; &");
        assert_eq!(without_tags("<style>never closed"), "never closed");
    }

    #[test]
    fn a_mail_is_written_with_one_header_for_each_thing_it_says() {
        let server = MailServer {
            host: "localhost".into(),
            port: 25,
            security: Security::None,
            login: Some(("u".into(), "hidden".into())),
            from: "Ractorflow <etl@example.com>".into(),
            timeout: Duration::from_secs(1),
        };
        assert!(!format!("{server:?}").contains("hidden"));
        let mail = Mail {
            to: vec![" 数据组 <a@example.com>".into(), "b@example.com".into()],
            subject: "日报 done\r\nBcc: c@example.com".into(),
            body: Body::Html("<p>好</p>".into()),
            id: "7.1@c".into(),
        };
        let written = String::from_utf8(envelope(&server, &mail).unwrap().formatted()).unwrap();
        assert!(written.contains("a@example.com") && written.contains("b@example.com"), "{written}");
        assert!(written.contains("Message-ID: <7.1@c>") && !written.contains("\nBcc"), "{written}");
        let bad = Mail { to: vec!["nobody".into()], ..mail };
        assert!(matches!(envelope(&server, &bad), Err(MailError::Address { .. })));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_may_be_there_later() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let server = MailServer {
            host: "127.0.0.1".into(),
            port,
            security: Security::None,
            login: None,
            from: "a@example.com".into(),
            timeout: Duration::from_secs(5),
        };
        let mail = Mail {
            to: vec!["b@example.com".into()],
            subject: "s".into(),
            body: Body::Text("t".into()),
            id: "i".into(),
        };
        let error = send(&server, &mail).await.unwrap_err();
        assert!(!error.is_for_good());
        assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    }
}
