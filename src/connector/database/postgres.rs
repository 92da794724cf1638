//! PostgreSQL: statements by the simple protocol, which answers with text for every type and holds the server
//! back while rows are not taken; a cancel request for real. COPY is in `bulk`.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, SimpleQueryMessage, SimpleQueryStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dialect::Dialect;
use super::error::{DatabaseError, ErrorKind, line_and_column};
use super::split::Statement;
use super::{Column, OnNotice, Part, Row};
use crate::connector::link::{DbLink, DbUrl, Tls};
use crate::model::message::Message;
use crate::say;

const PORT: u16 = 5432;
/// How the server's list of sessions calls us.
const APPLICATION: &str = "ractorflow";

pub(super) struct Session {
    client: Client,
    cancel: Cancel,
}

#[derive(Clone)]
pub(super) struct Cancel {
    link: Arc<DbLink>,
    token: CancelToken,
    tls: MakeRustlsConnect,
}

pub(super) struct Pieces {
    statement: Statement,
    /// Names of types, which the simple protocol does not tell.
    types: Vec<String>,
    answer: Pin<Box<SimpleQueryStream>>,
}

impl Session {
    pub async fn open(link: &DbLink, notice: OnNotice) -> Result<Self, DatabaseError> {
        let tls = super::tls::connector(&link.options)
            .map_err(|message| DatabaseError::new(link, ErrorKind::Unreachable, message))?;
        let config = config(link);
        let failed = |error: tokio_postgres::Error| error_of(link, &error, None);
        let (client, mut connection) = config.connect(tls.clone()).await.map_err(failed)?;
        tokio::spawn(async move {
            // Its end is told to whoever asks the client next.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notice(text) = message {
                    notice(format!("{}: {}", text.severity(), text.message()));
                }
            }
        });
        let mut setup = String::new();
        if let Some(schema) = &link.options.schema {
            let schemas: Vec<_> =
                schema.split(',').map(|name| Dialect::PostgreSql.quote_identifier(name.trim())).collect();
            setup.push_str(&format!("SET search_path TO {};", schemas.join(", ")));
        }
        if link.options.is_read_only {
            setup.push_str("SET default_transaction_read_only TO on;");
        }
        if !setup.is_empty() {
            client.batch_execute(&setup).await.map_err(failed)?;
        }
        let cancel = Cancel { link: Arc::new(link.clone()), token: client.cancel_token(), tls };
        Ok(Self { client, cancel })
    }

    pub fn canceller(&self) -> Cancel {
        self.cancel.clone()
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn run(&mut self, link: &DbLink, statement: &Statement) -> Result<Pieces, DatabaseError> {
        let text = Dialect::PostgreSql.with_literals(statement);
        let failed = |error: tokio_postgres::Error| error_of(link, &error, Some(statement));
        let mut types = Vec::new();
        if gives_rows(&statement.text) {
            let prepared = self.client.prepare(&text).await.map_err(failed)?;
            types.extend(prepared.columns().iter().map(|column| column.type_().name().to_owned()));
        }
        let answer = self.client.simple_query_raw(&text).await.map_err(failed)?;
        Ok(Pieces { statement: statement.clone(), types, answer: Box::pin(answer) })
    }
}

impl Cancel {
    pub async fn cancel(&self) -> Result<(), DatabaseError> {
        let asked = self.token.cancel_query(self.tls.clone()).await;
        asked.map_err(|error| error_of(&self.link, &error, None))
    }
}

impl Pieces {
    pub async fn next(&mut self, link: &DbLink) -> Result<Option<Part>, DatabaseError> {
        let Some(message) = self.answer.next().await else { return Ok(None) };
        let failed = |error: tokio_postgres::Error| error_of(link, &error, Some(&self.statement));
        Ok(Some(match message.map_err(failed)? {
            SimpleQueryMessage::RowDescription(columns) => Part::Columns(
                columns
                    .iter()
                    .enumerate()
                    .map(|(at, column)| Column {
                        name: column.name().to_owned(),
                        type_name: self.types.get(at).cloned().unwrap_or_default(),
                    })
                    .collect(),
            ),
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|at| row.try_get(at).map(|value| value.map(str::to_owned)));
                Part::Row(values.collect::<Result<Row, _>>().map_err(failed)?)
            }
            SimpleQueryMessage::CommandComplete(n_rows) => Part::Done { n_rows },
            // What a newer driver may tell besides.
            _ => return Ok(None),
        }))
    }
}

fn config(link: &DbLink) -> Config {
    let mut config = Config::new();
    config
        .user(&link.username)
        .password(link.password.expose())
        .application_name(link.options.application.as_deref().unwrap_or(APPLICATION))
        .ssl_mode(match link.options.tls {
            Tls::Off => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            Tls::Require | Tls::VerifyAuthority | Tls::VerifyName => SslMode::Require,
        });
    if let DbUrl::Server { hosts, database } = &link.url {
        for host in hosts {
            config.host(&host.name).port(host.port.unwrap_or(PORT));
        }
        config.dbname(database.as_deref().unwrap_or(&link.username));
    }
    config
}

/// Statements that give rows are asked for their types first.
fn gives_rows(text: &str) -> bool {
    let word: String = text.trim_start_matches(['(', ' ']).chars().take_while(char::is_ascii_alphabetic).collect();
    matches!(word.to_ascii_uppercase().as_str(), "SELECT" | "WITH" | "VALUES" | "TABLE")
}

pub(super) fn error_of(link: &DbLink, error: &tokio_postgres::Error, statement: Option<&Statement>) -> DatabaseError {
    if let Some(told) = error.as_db_error() {
        return told_by_server(link, told, statement);
    }
    // The driver's words and then the system's, which it leaves to whoever asks for them.
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    if text.contains("password missing") {
        let hint = say!("are username and password of the link right?");
        return DatabaseError::quoting(link, ErrorKind::Login, &text).hint(Some(hint));
    }
    let kind = if text.starts_with("error connecting") || text.starts_with("error performing TLS") {
        ErrorKind::Unreachable
    } else {
        ErrorKind::Lost
    };
    DatabaseError::quoting(link, kind, &text).hint(super::unreachable_hint(&text, kind))
}

fn told_by_server(link: &DbLink, told: &DbError, statement: Option<&Statement>) -> DatabaseError {
    let state = told.code().code();
    let kind = match state {
        "57014" => ErrorKind::Cancelled,
        "40001" | "40P01" | "55P03" => ErrorKind::Conflict,
        "57P01" | "57P02" => ErrorKind::Lost,
        "53300" | "57P03" => ErrorKind::Unreachable,
        "28000" | "28P01" | "3D000" => ErrorKind::Login,
        _ => ErrorKind::Statement,
    };
    let mut text = told.message().to_owned();
    for more in [told.detail(), told.where_()].into_iter().flatten() {
        text = format!("{text}; {}", more.lines().next().unwrap_or_default());
    }
    let own = told.hint().map(Message::verbatim);
    let mut error = DatabaseError::quoting(link, kind, &text).hint(own.or_else(|| hint(state)));
    error.sqlstate = Some(state.to_owned());
    if let Some(statement) = statement {
        error.line = Some(statement.line);
        if let Some(ErrorPosition::Original(position)) = told.position() {
            let sent = Dialect::PostgreSql.with_literals(statement);
            let (line, column) = line_and_column(&sent, *position as usize);
            error.line = Some(statement.line + line - 1);
            // Values stand where the script has a placeholder.
            error.column = statement.values.is_empty().then_some(column);
        }
    }
    error
}

fn hint(state: &str) -> Option<Message> {
    Some(match state {
        "28P01" => say!("are username and password of the link right?"),
        "28000" => say!("may this user and this host sign in (pg_hba.conf)?"),
        "3D000" => say!("is the database in the link's URL the right one?"),
        "42P01" => say!("is the schema right? currentSchema of the link says where names are looked up"),
        "42501" => say!("the user of the link needs the right to do this"),
        "25006" => say!("the link or the server is read-only"),
        _ => return None,
    })
}
