//! What a task wrote to `$RF_OUTPUT`: `name=value` lines, or `{"name": …, "value": …}` lines.
//!
//! Beyond a bound the node fails: a value cut short would be a wrong value.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::model::definition::OUTPUTS_MAX;
use crate::model::message::Message;
use crate::say;

const VALUE_BYTES_MAX: usize = 16 * 1024;
const NAME_BYTES_MAX: usize = 128;
/// The file may be larger than what it says: blank lines, names written twice.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum OutputError {
    Read(#[from] io::Error),
    FileTooLarge,
    NotAFile,
    Encoding { line: usize },
    Form { line: usize },
    Name { line: usize, name: String },
    ValueTooLong { name: String },
    TooManyKeys,
    TooLong { bytes: usize, max: usize },
}

impl OutputError {
    pub fn said(&self) -> Message {
        match self {
            OutputError::Read(error) => say!("it cannot be read: {}", error.to_string()),
            OutputError::FileTooLarge => say!("it is larger than {} bytes", FILE_BYTES_MAX),
            OutputError::NotAFile => say!("it is not a regular file"),
            OutputError::Encoding { line } => say!("line {} is not UTF-8", line),
            OutputError::Form { line } => say!("line {} is neither name=value nor {\"name\":…,\"value\":…}", line),
            OutputError::Name { line, name } => say!("line {}: \"{}\" cannot be a name", line, name),
            OutputError::ValueTooLong { name } => {
                say!("the value of {} is longer than {} bytes", name, VALUE_BYTES_MAX)
            }
            OutputError::TooManyKeys => say!("more than {} names", OUTPUTS_MAX),
            OutputError::TooLong { bytes, max } => say!(
                "names and values have {} bytes together, more than worker.output_bytes_max allows ({})",
                bytes,
                max
            ),
        }
    }
}

/// In the order of first mention; a name written again has its last value. No file is no outputs.
pub fn read(path: &Path, bytes_max: usize) -> Result<Vec<(String, String)>, OutputError> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(OutputError::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(OutputError::FileTooLarge);
    }
    parse(&bytes, bytes_max)
}

/// A file that a task may have made: never waits on a pipe in its place, and follows no link out of it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)
}

pub(super) fn parse(bytes: &[u8], bytes_max: usize) -> Result<Vec<(String, String)>, OutputError> {
    let mut outputs: Vec<(String, String)> = Vec::new();
    for (at, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let line_number = at + 1;
        let text = std::str::from_utf8(line).map_err(|_| OutputError::Encoding { line: line_number })?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.trim().is_empty() {
            continue;
        }
        let (name, value) = entry(text).ok_or(OutputError::Form { line: line_number })?;
        if !is_name(&name) {
            return Err(OutputError::Name { line: line_number, name });
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(OutputError::ValueTooLong { name });
        }
        match outputs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => outputs.push((name, value)),
        }
        if outputs.len() > OUTPUTS_MAX {
            return Err(OutputError::TooManyKeys);
        }
    }
    let length = outputs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if length > bytes_max {
        return Err(OutputError::TooLong { bytes: length, max: bytes_max });
    }
    Ok(outputs)
}

fn entry(text: &str) -> Option<(String, String)> {
    if text.trim_start().starts_with('{') {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
        let name = object.get("name")?.as_str()?.to_owned();
        let value = match object.get("value")? {
            serde_json::Value::String(text) => text.clone(),
            plain @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => plain.to_string(),
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
        };
        return Some((name, value));
    }
    let (name, value) = text.split_once('=')?;
    Some((name.trim().to_owned(), value.to_owned()))
}

/// What `${node:NAME.KEY}` can name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 64 * 1024;

    fn parsed(bytes: &[u8]) -> Result<Vec<(String, String)>, OutputError> {
        parse(bytes, BYTES_MAX)
    }

    #[test]
    fn both_forms_are_read_and_the_last_value_counts() {
        let text = "rows=1\n\nnote = a=b \r\n{\"name\":\"行数\",\"value\":\"two\\nlines\"}\n{\"name\":\"n\",\"value\":3}\nrows=2";
        let read = parsed(text.as_bytes()).unwrap();
        let expected = [("rows", "2"), ("note", " a=b "), ("行数", "two\nlines"), ("n", "3")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_over_a_bound_or_malformed_is_an_error_and_never_cut() {
        assert!(matches!(parsed(b"rows"), Err(OutputError::Form { line: 1 })));
        assert!(matches!(parsed(b"\n=x"), Err(OutputError::Name { line: 2, .. })));
        assert!(matches!(parsed(b"a b=x"), Err(OutputError::Name { .. })));
        assert!(matches!(parsed(b"a=\xff"), Err(OutputError::Encoding { line: 1 })));
        assert!(matches!(parsed(b"{\"name\":\"a\",\"value\":[1]}"), Err(OutputError::Form { .. })));
        let value = "v".repeat(VALUE_BYTES_MAX);
        assert!(parsed(format!("a={value}").as_bytes()).is_ok());
        assert!(matches!(parsed(format!("a={value}v").as_bytes()), Err(OutputError::ValueTooLong { .. })));
        let many: String = (0..65).map(|n| format!("k{n}=v\n")).collect();
        assert!(matches!(parsed(many.as_bytes()), Err(OutputError::TooManyKeys)));
        let long: String = (0..5).map(|n| format!("k{n}={value}\n")).collect();
        assert!(matches!(parsed(long.as_bytes()), Err(OutputError::TooLong { .. })));
        let bound = parse(b"a=12345", 5).unwrap_err().to_string();
        assert!(bound.contains("6 bytes") && bound.contains("worker.output_bytes_max"), "{bound}");
        assert!(parse(b"a=1234", 5).is_ok());
    }

    #[test]
    fn a_pipe_or_a_link_in_its_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read(&pipe, BYTES_MAX), Err(OutputError::NotAFile)));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(read(&link, BYTES_MAX).is_err());
        assert!(read(&dir.path().join("none"), BYTES_MAX).unwrap().is_empty());
    }
}
