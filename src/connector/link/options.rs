//! Options of a URL, by a list of those that are known: what counts here, what only a JDBC driver needs, and what
//! lets a link read files or load code, which is refused.

use std::path::PathBuf;
use std::time::Duration;

use super::odbc;
use super::sql::DbKind;
use crate::model::fault::nearest;
use crate::model::message::Message;
use crate::say;

/// What the options of a link come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    pub tls: Tls,
    /// Authorities in PEM that the server's certificate is checked against; none: those of the system.
    pub root_certificates: Option<PathBuf>,
    pub connect_timeout: Option<Duration>,
    /// Longest silence of the server while it is asked something.
    pub socket_timeout: Option<Duration>,
    /// PostgreSQL's `search_path`.
    pub schema: Option<String>,
    /// How the server's list of connections calls us.
    pub application: Option<String>,
    pub is_read_only: bool,
    /// How long SQLite waits for another writer.
    pub busy_timeout: Option<Duration>,
    /// For drivers that are not ours.
    pub others: Vec<(String, String)>,
}

/// How a connection is protected, in PostgreSQL's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Tls {
    Off,
    /// Where the server has it.
    #[default]
    Prefer,
    /// Whoever the server is.
    Require,
    /// Its certificate is of a known authority.
    VerifyAuthority,
    /// And carries the host's name.
    VerifyName,
}

/// What is wrong with an option.
pub(super) enum OptionFault {
    Error(Message, Option<Message>),
    Warning(Message, Option<Message>),
}

/// Needed by JDBC drivers, without meaning here: text is always Unicode, and nothing is cached.
const NOTHING_TO_DO: &[&str] = &[
    "useunicode",
    "characterencoding",
    "characterencodingresults",
    "charset",
    "charsetname",
    "autoreconnect",
    "autoreconnectforpools",
    "failoverreadonly",
    "maxreconnects",
    "initialtimeout",
    "zerodatetimebehavior",
    "rewritebatchedstatements",
    "rewritebatchedinserts",
    "usebulkstmts",
    "useserverprepstmts",
    "cacheprepstmts",
    "prepstmtcachesize",
    "prepstmtcachesqllimit",
    "preparethreshold",
    "preparedstatementcachequeries",
    "prefersimplequerymode",
    "preferquerymode",
    "allowmultiqueries",
    "allowpublickeyretrieval",
    "tinyint1isbit",
    "transformedbitisboolean",
    "yearisdatetype",
    "usecursorfetch",
    "usefastdateparsing",
    "defaultfetchsize",
    "defaultrowfetchsize",
    "usecompression",
    "nullcatalogmeanscurrent",
    "nullnamepatternmatchesall",
    "uselegacydatetimecode",
    "usejdbccomplianttimezoneshift",
    "usetimezone",
    // A driver converts times by them; as text they come as the server writes them.
    "servertimezone",
    "connectiontimezone",
    "forceconnectiontimezonetosession",
    "useinformationschema",
    "useoldaliasmetadatabehavior",
    "noaccesstoprocedurebodies",
    "jdbccomplianttruncation",
    "tcpkeepalive",
    "tcpnodelay",
    "usehostsinprivileges",
    "uselocalsessionstate",
    "elidesetautocommits",
    "maintaintimestats",
    "cacheserverconfiguration",
    "cacheresultsetmetadata",
    "stringtype",
    "loglevel",
    "targetservertype",
    "assumeminserverversion",
    "disablecolumnsanitiser",
    "binarytransfer",
    "gssencmode",
    "channelbinding",
    "dumpqueriesonexception",
    "profilesql",
    // Only our own stream is ever sent, whatever file a server asks for.
    "allowloadlocalinfile",
    "allowlocalinfile",
];

/// Words of options that load code, read files or call out, in any driver.
const DANGEROUS: &[&str] = &[
    "class",
    "factory",
    "interceptor",
    "autodeserialize",
    "allowurlinlocalinfile",
    "allowloadlocalinfileinpath",
    "loggerfile",
    "propertiestransform",
    "detectcustomcollations",
    "callback",
    "jndi",
    "krb5",
    "jaas",
    "hostnameverifier",
    "clientinfoprovider",
    "authenticationplugins",
    "keystoreurl",
    "hiveconf",
    "load_extension",
    "enable_load_extension",
    "loadextension",
    "loadext",
    "plugin",
    "filedsn",
    "savefile",
    "translationdll",
];

const KNOWN: &[&str] = &[
    "sslMode",
    "useSSL",
    "requireSSL",
    "verifyServerCertificate",
    "ssl",
    "sslrootcert",
    "serverSslCert",
    "connectTimeout",
    "loginTimeout",
    "socketTimeout",
    "currentSchema",
    "ApplicationName",
    "characterEncoding",
    "useUnicode",
    "allowLoadLocalInfile",
    "readOnly",
    "busy_timeout",
];

impl Options {
    /// Takes one option into account.
    pub(super) fn set(&mut self, kind: DbKind, name: &str, value: &str) -> Result<(), OptionFault> {
        let word = name.to_ascii_lowercase();
        if ["password", "pwd", "secret", "token"].iter().any(|secret| word.contains(secret)) {
            let hint = say!("write the password into the attribute password");
            return Err(OptionFault::Error(say!("option {} is not taken from a URL or a property", name), Some(hint)));
        }
        if !kind.is_built_in() {
            if let Some(fault) = odbc::fault(name, value) {
                return Err(fault);
            }
            self.others.push((name.to_owned(), value.to_owned()));
            return Ok(());
        }
        if is_dangerous(name) {
            let message = say!("option {} is refused: it may load code or read files", name);
            return Err(OptionFault::Error(message, Some(say!("remove it"))));
        }
        let flag = || bool_of(value).ok_or_else(|| expected(name, "true, false"));
        let seconds = || value.parse().map(|n: u64| (n > 0).then(|| Duration::from_secs(n)));
        let millis = || value.parse().map(|n: u64| (n > 0).then(|| Duration::from_millis(n)));
        let is_postgres = kind == DbKind::PostgreSql;
        let length = || if is_postgres { seconds() } else { millis() }.map_err(|_| expected(name, "0, 1, 2, …"));
        match word.as_str() {
            "sslmode" | "ssl-mode" => self.tls = tls(value).ok_or_else(|| expected(name, TLS_WORDS))?,
            "ssl" if is_postgres => self.at_least(flag()?, Tls::VerifyName),
            "usessl" | "ssl" => self.at_least(flag()?, Tls::Require),
            "requiressl" if flag()? => self.at_least(true, Tls::Require),
            "verifyservercertificate" if flag()? => self.at_least(true, Tls::VerifyAuthority),
            "trustservercertificate" | "requiressl" | "verifyservercertificate" => {}
            "sslrootcert" | "serversslcert" => self.root_certificates = Some(PathBuf::from(value)),
            "connecttimeout" | "logintimeout" => self.connect_timeout = length()?,
            "sockettimeout" => self.socket_timeout = length()?,
            "currentschema" if is_postgres => self.schema = Some(value.to_owned()),
            "applicationname" => self.application = Some(value.to_owned()),
            "readonly" | "read_only" => self.is_read_only = flag()?,
            "busy_timeout" if kind == DbKind::Sqlite => self.busy_timeout = length()?,
            known if NOTHING_TO_DO.contains(&known) => {}
            _ => {
                let near = nearest(name, KNOWN.iter().copied());
                let hint = near.map(|near| say!("write {} instead of {}", near, name));
                return Err(OptionFault::Warning(say!("option {} is not known and is ignored", name), hint));
            }
        }
        Ok(())
    }

    fn at_least(&mut self, is_wanted: bool, tls: Tls) {
        self.tls = match is_wanted {
            // Default is lower than everything that is asked for.
            true => self.tls.max(tls),
            false => Tls::Off,
        };
    }
}

/// May an option of this name load code, read files or call out?
pub(super) fn is_dangerous(name: &str) -> bool {
    let word = name.to_ascii_lowercase();
    DANGEROUS.iter().any(|danger| word.contains(danger))
}

const TLS_WORDS: &str = "disable, prefer, require, verify-ca, verify-full";

fn tls(word: &str) -> Option<Tls> {
    Some(match word.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => Tls::Off,
        "allow" | "prefer" | "preferred" => Tls::Prefer,
        "require" | "required" | "trust" => Tls::Require,
        "verify-ca" => Tls::VerifyAuthority,
        "verify-full" | "verify-identity" => Tls::VerifyName,
        _ => return None,
    })
}

fn bool_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" | "on" | "" => Some(true),
        "false" | "no" | "0" | "off" => Some(false),
        _ => None,
    }
}

fn expected(name: &str, what: &str) -> OptionFault {
    OptionFault::Error(say!("option {} has another value than {}", name, what), None)
}
