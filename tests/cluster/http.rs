//! As much of an HTTP client as the rig needs: one connection, one request at a time, an answer or the reason why not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

pub struct Client {
    address: SocketAddr,
    token: String,
    timeout: Duration,
    open: Option<BufReader<TcpStream>>,
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        self.status == 200
    }

    /// The word of a refusal.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("?")
    }
}

impl Client {
    /// Connects when it is used; from the network of the thread that uses it.
    pub fn new(port: u16, token: &str, timeout: Duration) -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), token: token.to_owned(), timeout, open: None }
    }

    /// A connection that rested for long may have been closed: that is no answer yet.
    pub fn get(&mut self, path: &str) -> Result<Answer, String> {
        let was_open = self.open.is_some();
        match self.send("GET", path, None, "") {
            Err(_) if was_open => self.send("GET", path, None, ""),
            answer => answer,
        }
    }

    pub fn post(&mut self, path: &str, key: &str, body: &str) -> Result<Answer, String> {
        self.send("POST", path, Some(key), body)
    }

    /// `Err`: nobody knows whether it arrived.
    fn send(&mut self, method: &str, path: &str, key: Option<&str>, body: &str) -> Result<Answer, String> {
        let answer = self.attempt(method, path, key, body);
        if answer.is_err() {
            self.open = None;
        }
        answer.map_err(|error| format!("{method} {path}: {error}"))
    }

    fn attempt(&mut self, method: &str, path: &str, key: Option<&str>, body: &str) -> std::io::Result<Answer> {
        if self.open.is_none() {
            let stream = TcpStream::connect_timeout(&self.address, self.timeout)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(self.timeout))?;
            stream.set_write_timeout(Some(self.timeout))?;
            self.open = Some(BufReader::new(stream));
        }
        let Some(open) = &mut self.open else { return Err(std::io::ErrorKind::NotConnected.into()) };
        let key = key.map_or(String::new(), |key| format!("Idempotency-Key: {key}\r\n"));
        let (address, token, length) = (self.address, &self.token, body.len());
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\
             {key}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        open.get_mut().write_all(text.as_bytes())?;
        let bad = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
        let mut line = String::new();
        if open.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| bad("no status"))?;
        let (mut length, mut is_last) = (None, false);
        loop {
            let mut line = String::new();
            open.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse::<usize>().ok(),
                "connection" => is_last = value.trim().eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        let mut bytes = vec![0; length.ok_or_else(|| bad("an answer without a length"))?];
        open.read_exact(&mut bytes)?;
        if is_last {
            self.open = None;
        }
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }
}
