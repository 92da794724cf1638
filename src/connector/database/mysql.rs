//! MySQL and MariaDB: statements by the text protocol, row by row; `KILL QUERY` from a second connection. Many rows
//! at a time are in `bulk`.

use std::sync::Arc;

use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, IoError, Opts, OptsBuilder, QueryResult, SslOpts, TextProtocol, Value};

use super::dialect::Dialect;
use super::error::{DatabaseError, ErrorKind};
use super::split::Statement;
use super::{Column, OnNotice, Part, bytes_as_text};
use crate::connector::link::{DbLink, DbUrl, Host, Tls};
use crate::model::message::Message;
use crate::say;

const PORT: u16 = 3306;
/// Most warnings of one statement that are told.
const WARNINGS_SHOWN: usize = 20;
/// Of binary columns.
pub(super) const BINARY_CHARSET: u16 = 63;

pub(super) struct Session {
    conn: Conn,
    cancel: Cancel,
    notice: OnNotice,
}

#[derive(Clone)]
pub(super) struct Cancel {
    link: Arc<DbLink>,
    opts: Opts,
    id: u32,
}

pub(super) struct Pieces<'a> {
    session: &'a mut Session,
    statement: Statement,
    state: State,
}

/// Where in the answer we are.
enum State {
    /// Before a result.
    Head,
    /// Among the rows of one.
    Rows {
        columns: Arc<[mysql_async::Column]>,
        n: u64,
    },
    End,
}

impl Session {
    pub async fn open(link: &DbLink, notice: OnNotice) -> Result<Self, DatabaseError> {
        // The driver takes the process's own; that it is there already is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let DbUrl::Server { hosts, database } = &link.url else {
            return Err(DatabaseError::new(link, ErrorKind::NotBuilt, say!("this is no URL of {}", link.kind.title())));
        };
        let mut last = None;
        for host in hosts {
            match connect(link, host, database.as_deref()).await {
                Ok((conn, opts)) => {
                    let cancel = Cancel { link: Arc::new(link.clone()), opts, id: conn.id() };
                    return Ok(Self { conn, cancel, notice });
                }
                Err(error) => {
                    let error = error_of(link, &error, None);
                    if error.kind != ErrorKind::Unreachable && error.kind != ErrorKind::Lost {
                        return Err(error);
                    }
                    // What breaks while it is made was never there.
                    let hint = super::unreachable_hint(&error.text.english(), ErrorKind::Unreachable);
                    last = Some(DatabaseError { kind: ErrorKind::Unreachable, ..error }.hint(hint));
                }
            }
        }
        Err(last.unwrap_or_else(|| DatabaseError::new(link, ErrorKind::Unreachable, say!("the URL names no host"))))
    }

    pub fn canceller(&self) -> Cancel {
        self.cancel.clone()
    }

    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    pub async fn run(&mut self, link: &DbLink, statement: &Statement) -> Result<Pieces<'_>, DatabaseError> {
        let text = Dialect::MySql.with_literals(statement);
        let asked = self.conn.query_iter(text).await.map(|_| ());
        asked.map_err(|error| error_of(link, &error, Some(statement)))?;
        Ok(Pieces { session: self, statement: statement.clone(), state: State::Head })
    }
}

impl Cancel {
    pub async fn cancel(&self) -> Result<(), DatabaseError> {
        let failed = |error: Error| error_of(&self.link, &error, None);
        let mut conn = Conn::new(self.opts.clone()).await.map_err(failed)?;
        conn.query_drop(format!("KILL QUERY {}", self.id)).await.map_err(failed)?;
        conn.disconnect().await.map_err(failed)
    }
}

impl Pieces<'_> {
    pub async fn next(&mut self, link: &DbLink) -> Result<Option<Part>, DatabaseError> {
        let failed = |error: Error| error_of(link, &error, Some(&self.statement));
        let mut result = QueryResult::<TextProtocol>::new(&mut self.session.conn);
        if let State::Head = self.state {
            let Some(columns) = result.columns() else {
                self.state = State::End;
                return self.end(link).await;
            };
            self.state = State::Rows { columns: columns.clone(), n: 0 };
            if !columns.is_empty() {
                return Ok(Some(Part::Columns(columns.iter().map(column).collect())));
            }
        }
        let State::Rows { columns, n } = &mut self.state else { return Ok(None) };
        let changed = if columns.is_empty() { result.affected_rows() } else { 0 };
        match result.next().await.map_err(failed)? {
            Some(row) => {
                *n += 1;
                let values = row.unwrap().into_iter().zip(columns.iter());
                Ok(Some(Part::Row(values.map(|(value, column)| text_of(value, column)).collect())))
            }
            None => {
                let n_rows = *n + changed;
                self.state = State::Head;
                Ok(Some(Part::Done { n_rows }))
            }
        }
    }

    /// The answer is complete: its warnings are told.
    async fn end(&mut self, link: &DbLink) -> Result<Option<Part>, DatabaseError> {
        let n = usize::from(self.session.conn.get_warnings());
        if n == 0 {
            return Ok(None);
        }
        let query = format!("SHOW WARNINGS LIMIT {WARNINGS_SHOWN}");
        let failed = |error: Error| error_of(link, &error, Some(&self.statement));
        let warnings: Vec<(String, u16, String)> = self.session.conn.query(query).await.map_err(failed)?;
        for (level, code, text) in warnings {
            (self.session.notice)(format!("{level} {code}: {}", link.password.mask(&text)));
        }
        if n > WARNINGS_SHOWN {
            (self.session.notice)(format!("… {} more warnings", n - WARNINGS_SHOWN));
        }
        Ok(None)
    }
}

async fn connect(link: &DbLink, host: &Host, database: Option<&str>) -> Result<(Conn, Opts), Error> {
    let plain = OptsBuilder::default()
        .ip_or_hostname(&host.name)
        .tcp_port(host.port.unwrap_or(PORT))
        .user(Some(&link.username))
        .pass(Some(link.password.expose()).filter(|password| !password.is_empty()))
        .db_name(database)
        // A path that the server names is not for us to follow.
        .prefer_socket(false)
        .setup(if link.options.is_read_only { vec!["SET SESSION TRANSACTION READ ONLY"] } else { Vec::new() });
    if link.options.tls == Tls::Off {
        return open(plain.into()).await;
    }
    // Checking an authority without the name is more than the driver can: it checks both then.
    let tls = SslOpts::default().with_danger_accept_invalid_certs(link.options.tls < Tls::VerifyAuthority);
    let tls = match &link.options.root_certificates {
        Some(path) => tls.with_root_certs(vec![path.clone().into()]).with_disable_built_in_roots(true),
        None => tls,
    };
    match open(plain.clone().ssl_opts(tls).into()).await {
        Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if link.options.tls == Tls::Prefer => {
            open(plain.into()).await
        }
        opened => opened,
    }
}

async fn open(opts: Opts) -> Result<(Conn, Opts), Error> {
    let conn = Conn::new(opts.clone()).await?;
    Ok((conn, opts))
}

fn column(column: &mysql_async::Column) -> Column {
    let word = format!("{:?}", column.column_type());
    let word = word.strip_prefix("MYSQL_TYPE_").unwrap_or(&word).to_ascii_lowercase();
    Column { name: column.name_str().into_owned(), type_name: word }
}

fn text_of(value: Value, column: &mysql_async::Column) -> Option<String> {
    let bytes = match value {
        Value::NULL => return None,
        Value::Bytes(bytes) => bytes,
        // The text protocol has no others.
        other => return Some(other.as_sql(true).trim_matches('\'').to_owned()),
    };
    if column.column_type() == ColumnType::MYSQL_TYPE_BIT && bytes.len() <= 8 {
        return Some(bits(&bytes).to_string());
    }
    let is_binary = column.character_set() == BINARY_CHARSET;
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if is_binary => Some(bytes_as_text(error.as_bytes())),
        Err(error) => Some(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// `bit(n)` is a number to everybody else.
pub(super) fn bits(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
}

pub(super) fn error_of(link: &DbLink, error: &Error, statement: Option<&Statement>) -> DatabaseError {
    let told = match error {
        Error::Server(told) => told,
        Error::Io(IoError::Tls(_)) | Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            return DatabaseError::quoting(link, ErrorKind::Unreachable, &error.to_string());
        }
        other => return DatabaseError::quoting(link, ErrorKind::Lost, &other.to_string()),
    };
    let kind = match told.code {
        1044 | 1045 | 1049 | 1130 | 1698 | 1862 => ErrorKind::Login,
        1317 => ErrorKind::Cancelled,
        1205 | 1213 => ErrorKind::Conflict,
        1040 | 1053 | 1203 => ErrorKind::Unreachable,
        1927 | 3058 => ErrorKind::Lost,
        _ => ErrorKind::Statement,
    };
    let mut found = DatabaseError::quoting(link, kind, &told.message).hint(hint(told.code));
    found.code = Some(format!("MySQL {}", told.code));
    found.sqlstate = Some(told.state.clone());
    if let Some(statement) = statement {
        // Only of what it cannot read it says where: `… near 'x' at line 2`.
        let line = told.message.rsplit_once(" at line ").and_then(|(_, line)| line.trim().parse::<u32>().ok());
        found.line = Some(statement.line + line.unwrap_or(1).saturating_sub(1));
    }
    found
}

fn hint(code: u16) -> Option<Message> {
    Some(match code {
        1045 | 1698 => say!("are username and password of the link right?"),
        1130 => say!("may this host sign in there (GRANT … TO 'user'@'host')?"),
        1044 | 1049 => say!("is the database in the link's URL the right one?"),
        1142 | 1143 | 1227 => say!("the user of the link needs the right to do this"),
        1146 => say!("is the database in the link's URL the right one?"),
        1153 => say!("the server takes no packets of this size: raise its max_allowed_packet"),
        1290 | 1792 | 1836 => say!("the link or the server is read-only"),
        _ => return None,
    })
}
