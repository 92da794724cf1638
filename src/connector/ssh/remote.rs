//! A command on the other host that cannot outlive what asked for it.
//!
//! SSH's own signals are refused by many servers, and a command stays alive after its connection. So a small watch
//! runs beside it over there: it ends the command's whole process group when its standard input is closed, which is
//! what a kill, the end of this process or of the connection does, and when it hears no beat for half a minute, as
//! when the network is cut. Nothing of the command, its environment or its parameters is in an argument list: all
//! of it comes by standard input.

use std::time::Duration;

use russh::{Channel, ChannelMsg, client};

use super::error::{ErrorKind, SshError};
use super::session::Session;
use super::{Ended, Script, Stream};
use crate::say;

/// Between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// Seconds without one after which the command is ended; up to twice as many pass.
const SILENCE_S: u32 = 30;
/// Seconds between TERM and KILL over there.
const GRACE_S: u32 = 10;
/// Of the outputs that are read.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// A longer line is cut into several.
const LINE_BYTES_MAX: usize = 64 * 1024;

impl Session {
    /// Runs the script until it has ended. When `stop` comes it is told to end; that too is waited for.
    pub async fn run(
        &self,
        script: &Script,
        stop: impl Future<Output = ()>,
        mut line: impl FnMut(Stream, &str),
    ) -> Result<Ended, SshError> {
        let refused =
            |error: russh::Error| SshError::new(&self.link, ErrorKind::Refused(self.link.quoted(&error.to_string())));
        let marker = format!("ractorflow-{}", uuid::Uuid::new_v4().simple());
        let watch = watch(script, &marker);
        let mut channel = self.handle.channel_open_session().await.map_err(refused)?;
        // One short line of plain words, so that any login shell takes it: what it reads is what it runs.
        let command = format!("exec /bin/sh -c 'eval \"$(dd bs=1 count={} 2>/dev/null)\"'", watch.len());
        channel.exec(true, command).await.map_err(refused)?;
        channel.data(watch.as_bytes()).await.map_err(|error| self.lost(&error))?;
        channel.data(script.text.as_bytes()).await.map_err(|error| self.lost(&error))?;
        self.follow(&mut channel, stop, &marker, &mut line).await
    }

    async fn follow(
        &self,
        channel: &mut Channel<client::Msg>,
        stop: impl Future<Output = ()>,
        marker: &str,
        line: &mut impl FnMut(Stream, &str),
    ) -> Result<Ended, SshError> {
        let mut out = Lines::new(Some(marker));
        let mut err = Lines::new(None);
        let mut beat = tokio::time::interval(BEAT_EVERY);
        let mut exit_code = None;
        let (mut is_open, mut is_told) = (true, false);
        tokio::pin!(stop);
        loop {
            let message = tokio::select! {
                message = channel.wait() => message,
                () = &mut stop, if !is_told => {
                    is_told = true;
                    // Its standard input is closed, and the watch ends it.
                    is_open = false;
                    channel.eof().await.map_err(|error| self.lost(&error))?;
                    continue;
                }
                _ = beat.tick(), if is_open => {
                    // A command that has just ended takes none; that it ended is read next.
                    is_open = channel.data(&b"\n"[..]).await.is_ok();
                    continue;
                }
            };
            match message {
                Some(ChannelMsg::Data { data }) => out.push(&data, |text| line(Stream::Out, text)),
                Some(ChannelMsg::ExtendedData { data, .. }) => err.push(&data, |text| line(Stream::Err, text)),
                Some(ChannelMsg::ExitStatus { exit_status }) => exit_code = Some(exit_status),
                Some(ChannelMsg::Failure) => {
                    let why = say!("the server runs no commands for this user");
                    return Err(SshError::new(&self.link, ErrorKind::Refused(why)));
                }
                Some(_) => {}
                None => break,
            }
        }
        out.end(|text| line(Stream::Out, text));
        err.end(|text| line(Stream::Err, text));
        match exit_code {
            Some(exit_code) => Ok(Ended { exit_code, outputs: out.after }),
            None => {
                Err(SshError::new(&self.link, ErrorKind::Lost(say!("it closed without saying how the command ended"))))
            }
        }
    }
}

/// What runs over there, beside the command and around it: POSIX shell.
fn watch(script: &Script, marker: &str) -> String {
    let exports: String = script
        .environment
        .iter()
        .filter(|(name, value)| is_name(name) && !value.contains('\0'))
        .map(|(name, value)| format!("export {name}={}\n", quoted_for_shell(value)))
        .collect();
    let run = match script.text.starts_with("#!") {
        true => "\"$d/script\"",
        false => "\"$(command -v bash || command -v sh)\" \"$d/script\"",
    };
    let (bytes, params) = (script.text.len(), quoted_for_shell(&script.params));
    format!(
        r#"u=$(umask); umask 077
d=$(mktemp -d "${{TMPDIR:-/tmp}}/ractorflow.XXXXXX") || exit 126
trap 'rm -rf "$d"' EXIT
head -c {bytes} >"$d/script"
[ "$(wc -c <"$d/script")" -eq {bytes} ] || exit 126
chmod 700 "$d/script"; umask "$u"
printf %s {params} >"$d/params"
exec 3<&0
{exports}RF_OUTPUT=$d/output; RF_PARAMS=$d/params; export RF_OUTPUT RF_PARAMS
if command -v setsid >/dev/null 2>&1; then g=setsid; else g=; set -m; fi
$g {run} </dev/null 3<&- &
p=$!
exec 2>/dev/null
(
while read -r _; do : >"$d/beat"; done <&3; : >"$d/gone"
) >/dev/null 2>&1 &
(
n=0
while [ ! -e "$d/gone" ] && [ "$n" -lt {SILENCE_S} ]; do
sleep 1; n=$((n+1))
if [ "$n" -ge {SILENCE_S} ] && [ -e "$d/beat" ]; then rm -f "$d/beat"; n=0; fi
done
kill -s TERM -- "-$p"; n=0
while [ "$n" -lt {GRACE_S} ] && kill -s 0 -- "-$p"; do sleep 1; n=$((n+1)); done
kill -s KILL -- "-$p"
) >/dev/null 2>&1 3<&- &
w=$!
exec 3<&-
wait "$p"; s=$?
kill -s KILL "$w"; kill -s KILL -- "-$p"
if [ -s "$d/output" ]; then printf '\n%s\n' {marker}; head -c {OUTPUT_BYTES_MAX} "$d/output"; fi
exit "$s"
"#
    )
}

fn is_name(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

fn quoted_for_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Bytes of a stream, given on line by line; what follows the marker is kept.
struct Lines<'m> {
    marker: Option<&'m str>,
    begun: Vec<u8>,
    /// A blank line may belong to the marker.
    is_blank_held: bool,
    is_after: bool,
    after: Vec<u8>,
}

impl<'m> Lines<'m> {
    fn new(marker: Option<&'m str>) -> Self {
        Self { marker, begun: Vec::new(), is_blank_held: false, is_after: false, after: Vec::new() }
    }

    fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while !bytes.is_empty() {
            if self.is_after {
                let room = OUTPUT_BYTES_MAX.saturating_sub(self.after.len());
                self.after.extend_from_slice(&bytes[..bytes.len().min(room)]);
                return;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            self.begun.extend_from_slice(part);
            bytes = rest;
            if end.is_some() || self.begun.len() >= LINE_BYTES_MAX {
                self.give(&mut line);
            }
        }
    }

    fn end(&mut self, mut line: impl FnMut(&str)) {
        if !self.begun.is_empty() {
            self.give(&mut line);
        }
        if std::mem::take(&mut self.is_blank_held) {
            line("");
        }
    }

    fn give(&mut self, line: &mut impl FnMut(&str)) {
        let bytes = std::mem::take(&mut self.begun);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        if self.marker == Some(text) {
            (self.is_after, self.is_blank_held) = (true, false);
            return;
        }
        if std::mem::take(&mut self.is_blank_held) {
            line("");
        }
        match text.is_empty() && self.marker.is_some() {
            true => self.is_blank_held = true,
            false => line(text.strip_suffix('\r').unwrap_or(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(marker: Option<&str>, pieces: &[&str]) -> (Vec<String>, String) {
        let (mut lines, mut found) = (Lines::new(marker), Vec::new());
        for piece in pieces {
            lines.push(piece.as_bytes(), |text| found.push(text.to_owned()));
        }
        lines.end(|text| found.push(text.to_owned()));
        (found, String::from_utf8_lossy(&lines.after).into_owned())
    }

    #[test]
    fn lines_come_whole_and_outputs_after_the_marker() {
        let (found, after) = lines(Some("M"), &["a\n\nb", "c\r\n", "\nM", "\nx=1\ny=", "2\n"]);
        assert_eq!((found, after), (vec!["a".into(), "".into(), "bc".into()], "x=1\ny=2\n".to_owned()));
        let (found, after) = lines(Some("M"), &["no end", "\nM\nx=1\n"]);
        assert_eq!((found, after.as_str()), (vec!["no end".to_owned()], "x=1\n"));
        let (found, _) = lines(Some("M"), &["a\n\n"]);
        assert_eq!(found, ["a", ""]);
        let (found, _) = lines(None, &["M\nlast"]);
        assert_eq!(found, ["M", "last"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = "x".repeat(LINE_BYTES_MAX + 5);
        let (found, _) = lines(None, &[&long[..10], &long[10..LINE_BYTES_MAX], &long[LINE_BYTES_MAX..]]);
        assert_eq!(found.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, 5]);
    }

    #[test]
    fn values_are_text_for_the_shell_over_there() {
        let environment = vec![("A".to_owned(), "it's $HOME `x`\n2".to_owned()), ("B C".to_owned(), "x".to_owned())];
        let text = watch(&Script { text: "date".into(), environment, params: "{}".into() }, "M");
        assert!(text.contains("export A='it'\\''s $HOME `x`\n2'\n") && !text.contains("B C"), "{text}");
    }

    /// The watch on this machine, with pipes for the connection.
    mod local {
        use std::io::{Read, Write};
        use std::process::{Child, ChildStdin, Command, Stdio};
        use std::time::{Duration, Instant};

        use super::*;

        fn start(text: &str, environment: &[(&str, &str)]) -> (Child, ChildStdin) {
            let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let script = Script { text: text.into(), environment, params: r#"{"a":"b"}"#.into() };
            let watch = watch(&script, "M");
            let command = format!("eval \"$(dd bs=1 count={} 2>/dev/null)\"", watch.len());
            let mut started = Command::new("/bin/sh");
            started.args(["-c", &command]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = started.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(watch.as_bytes()).unwrap();
            stdin.write_all(script.text.as_bytes()).unwrap();
            (child, stdin)
        }

        #[test]
        fn it_gives_output_environment_and_exit_code() {
            let (child, stdin) = start(
                "echo \"$A $(cat \"$RF_PARAMS\")\"; echo err >&2; echo rows=2 >\"$RF_OUTPUT\"; cat; exit 7",
                &[("A", "it's")],
            );
            let output = child.wait_with_output().unwrap();
            drop(stdin);
            assert_eq!(output.status.code(), Some(7));
            assert_eq!(String::from_utf8_lossy(&output.stdout), "it's {\"a\":\"b\"}\n\nM\nrows=2\n");
            assert_eq!(String::from_utf8_lossy(&output.stderr), "err\n");
        }

        #[test]
        fn a_program_is_run_by_its_own_interpreter() {
            let (child, _stdin) = start("#!/usr/bin/env -S awk -f\nBEGIN { print 6 * 7 }\n", &[]);
            assert_eq!(String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout), "42\n");
        }

        #[test]
        fn closed_input_ends_the_whole_group_and_leaves_nothing() {
            let text = "sleep 600 & echo $! $(dirname \"$RF_PARAMS\"); trap 'echo told; exit 3' TERM; wait";
            let (mut child, stdin) = start(text, &[]);
            let mut out = child.stdout.take().unwrap();
            let mut said = Vec::new();
            let mut byte = [0];
            while !said.ends_with(b"\n") {
                assert_eq!(out.read(&mut byte).unwrap(), 1);
                said.extend_from_slice(&byte);
            }
            let said = String::from_utf8(said).unwrap();
            let (pid, directory) = said.trim().split_once(' ').unwrap();
            drop(stdin);
            let mut rest = String::new();
            out.read_to_string(&mut rest).unwrap();
            assert_eq!((child.wait().unwrap().code(), rest.as_str()), (Some(3), "told\n"));
            // The signal has been sent; the kernel may be busy with it for a moment.
            let is_gone =
                || std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |state| state.contains(") Z "));
            let deadline = Instant::now() + Duration::from_secs(30);
            while !is_gone() {
                assert!(Instant::now() < deadline, "the child of the command is gone");
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(!std::path::Path::new(directory).exists());
        }
    }
}
