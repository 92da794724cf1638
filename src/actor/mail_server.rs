//! `[mail]` of the configuration as the server that mail is handed to, with its password read anew.

use std::path::Path;
use std::time::Duration;

use crate::config::Mail;
use crate::connector::mail::{MailServer, Security};
use crate::model::message::Message;
use crate::say;

/// `None`: none is set.
pub fn mail_server(mail: &Mail, conf: &Path) -> Result<Option<MailServer>, Message> {
    if !mail.is_set() {
        return Ok(None);
    }
    let security = match mail.security.as_str() {
        "tls" => Security::Tls,
        "none" => Security::None,
        _ => Security::Starttls,
    };
    let login = if mail.user.is_empty() {
        None
    } else {
        let file = conf.join(&mail.password_file);
        let password = std::fs::read_to_string(&file).map_err(|error| {
            say!("the password of the mail server cannot be read from {}: {}", file, error.to_string())
        })?;
        Some((mail.user.clone(), password.trim_end_matches(['\r', '\n']).to_owned()))
    };
    Ok(Some(MailServer {
        host: mail.host.clone(),
        port: if mail.port == 0 { security.port() } else { mail.port },
        security,
        login,
        from: mail.from.clone(),
        timeout: Duration::from_millis(mail.timeout_ms),
    }))
}
