//! What `link add` and `link update` take. A secret comes by a file, by standard input or by a question, never as an
//! argument, which every user of the machine could see.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::api::change::{Hidden, LinkRequest};
use crate::cli::console::{Console, Failure};
use crate::model::link::is_reference;
use crate::say;

/// Longest secret that is read.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Clone, clap::Args)]
pub struct Fields {
    /// MYSQL, POSTGRESQL, SQLITE, ORACLE, HIVE, ... or SFTP, S3, HDFS
    #[arg(long = "type", value_name = "TYPE")]
    type_word: Option<String>,
    /// Of a database: jdbc:mysql://HOST:3306/DATABASE, without a password
    #[arg(long)]
    url: Option<String>,
    /// Of a file system
    #[arg(long)]
    host: Option<String>,
    #[arg(long)]
    port: Option<String>,
    /// Who signs in
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// File with the password; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["password_ref", "ask_password", "no_password"])]
    password_file: Option<PathBuf>,
    /// Where each host finds the password itself: '${env:NAME}' or '${file:PATH}'
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["ask_password", "no_password"])]
    password_ref: Option<String>,
    /// Ask for the password at the terminal
    #[arg(long, conflicts_with = "no_password")]
    ask_password: bool,
    /// Without a password
    #[arg(long)]
    no_password: bool,
    /// Property that is no secret; without a value it is removed
    #[arg(long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// Property whose value stands in a file; - is standard input
    #[arg(long = "secret-property", value_name = "NAME=FILE")]
    secret_properties: Vec<String>,
    /// Shown in lists
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

impl Fields {
    /// `asks`: at a terminal the password is asked for unless something is said of it.
    pub fn request(self, console: &Console, asks: bool) -> Result<LinkRequest, Failure> {
        let is_said = self.password_file.is_some() || self.password_ref.is_some() || self.no_password;
        let asks = self.ask_password || (asks && !is_said && std::io::stdin().is_terminal());
        let password = if let Some(file) = &self.password_file {
            Some(read_secret(file)?)
        } else if let Some(reference) = self.password_ref {
            if !is_reference(&reference) {
                return Err(Failure::usage(say!("--password-ref says where the password is, it is not the password"))
                    .hint(say!("write {} or {}, or use --password-file", "'${env:NAME}'", "'${file:/PATH}'")));
            }
            Some(reference)
        } else if self.no_password {
            Some(String::new())
        } else if asks {
            Some(ask_secret(console)?)
        } else {
            None
        };
        let mut properties: BTreeMap<String, Option<Hidden>> = BTreeMap::new();
        for text in &self.properties {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value)),
                None => (text.trim(), None),
            };
            if value.is_some_and(|value| looks_secret(name) && !is_reference(value)) {
                return Err(Failure::usage(say!(
                    "the value of property {} is seen by every user of this machine",
                    name
                ))
                .hint(say!("use --secret-property {}=FILE", name)));
            }
            properties.insert(name.to_owned(), value.map(|value| Hidden(value.to_owned())));
        }
        for text in &self.secret_properties {
            let (name, file) =
                text.split_once('=').ok_or_else(|| Failure::usage(say!("\"{}\" is not NAME=FILE", text)))?;
            properties.insert(name.trim().to_owned(), Some(Hidden(read_secret(&PathBuf::from(file))?)));
        }
        Ok(LinkRequest {
            type_word: self.type_word,
            url: self.url,
            host: self.host,
            port: self.port,
            username: self.user,
            password: password.map(Hidden),
            properties,
            description: self.description,
        })
    }
}

fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "pwd", "secret", "token", "credential", "access-key", "accesskey"].iter().any(|word| name.contains(word))
}

/// Without the line break at its end, which editors add.
fn read_secret(file: &PathBuf) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    } else {
        let failed =
            |error: std::io::Error| Failure::other(say!("the file {} cannot be read: {}", file, error.to_string()));
        std::fs::File::open(file)
            .map_err(failed)?
            .take(SECRET_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    }
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(Failure::usage(say!("the file {} has more than {} bytes", file, SECRET_BYTES_MAX)));
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::usage(say!("the file {} is not UTF-8", file)))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Typed without being seen.
fn ask_secret(console: &Console) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage(say!("there is no terminal to ask at")).hint(say!("use --password-file")));
    }
    eprint!("{} ", console.word("Password (nothing for none):", "密码（可为空）："));
    std::io::stderr().flush()?;
    let failed = |error: nix::errno::Errno| Failure::theirs(&error);
    let before = tcgetattr(stdin.as_fd()).map_err(failed)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &silent).map_err(failed)?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    // Whatever came of it: the terminal shows again what is typed.
    let restored = tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &before);
    eprintln!();
    read?;
    restored.map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
