use super::*;
use crate::connector::process::frame::{self, Frame, Stream};

fn attempt(number: u32) -> AttemptId {
    format!("1042.1.3.0.{number}").parse().unwrap()
}

fn store(dir: &tempfile::TempDir, limits: LogLimits) -> LogStore {
    LogStore::open(dir.path(), limits).unwrap()
}

/// `count` lines `line N`; every tenth on stderr.
fn packed(count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for n in 1..=count {
        let stream = if n % 10 == 0 { Stream::Stderr } else { Stream::Stdout };
        let text = format!("line {n}");
        Frame { at_ms: n as i64, stream, is_continued: false, is_unfinished: false, text: text.as_bytes() }
            .write(&mut out);
    }
    out
}

fn select(start: LogStart, limit: u32) -> LogSelection {
    LogSelection { start, limit, grep: None, stream: None }
}

fn texts(rows: &LogRows) -> Vec<&str> {
    rows.lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn a_log_reads_the_same_while_it_grows_when_complete_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = packed(25_000);
    let limits = LogLimits { compress_bytes_min: 1000, ..LogLimits::default() };
    let look = |store: &LogStore| {
        let middle = store.read(attempt(1), &select(LogStart::Line(12_345), 2)).unwrap();
        let tail = store.read(attempt(1), &select(LogStart::Tail(3), 100)).unwrap();
        assert_eq!(texts(&middle), ["line 12345", "line 12346"]);
        assert_eq!((middle.next, middle.ended, middle.total), (12_347, false, 25_000));
        assert_eq!(texts(&tail), ["line 24998", "line 24999", "line 25000"]);
        tail.ended
    };
    let logs = store(&dir, limits);
    for (n, chunk) in bytes.chunks(100_000).enumerate() {
        logs.append(attempt(1), n as u64 * 100_000, chunk).unwrap();
    }
    assert!(!look(&logs));
    assert!(!look(&store(&dir, limits)));
    assert!(logs.finish(attempt(1), bytes.len() as u64).unwrap());
    assert!(look(&logs));
    let again = store(&dir, limits);
    assert!(look(&again));
    assert_eq!(again.len(attempt(1)), LogLength { bytes: bytes.len() as u64, lines: 25_000, is_complete: true });
    let path = dir.path().join("1/1042/1042.1.3.0.1.zst");
    assert!(std::fs::metadata(path).unwrap().len() < bytes.len() as u64 / 3);
}

#[test]
fn chunks_that_come_twice_or_too_early_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let logs = store(&dir, LogLimits::default());
    let bytes = packed(10);
    assert_eq!(logs.append(attempt(1), 50, &bytes).unwrap(), 0);
    assert_eq!(logs.append(attempt(1), 0, &bytes[..30]).unwrap(), 30);
    assert_eq!(logs.append(attempt(1), 0, &bytes[..20]).unwrap(), 30);
    assert!(!logs.finish(attempt(1), bytes.len() as u64).unwrap());
    assert_eq!(logs.append(attempt(1), 10, &bytes[10..]).unwrap(), bytes.len() as u64);
    assert!(logs.finish(attempt(1), bytes.len() as u64).unwrap());
    assert_eq!(texts(&logs.read(attempt(1), &select(LogStart::Line(1), 100)).unwrap()).len(), 10);
}

#[test]
fn search_and_stream_choose_lines_and_say_where_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let logs = store(&dir, LogLimits::default());
    logs.append(attempt(1), 0, &packed(3_000)).unwrap();
    let mut selection = select(LogStart::Line(1), 2);
    selection.grep = Some("99".to_owned());
    let first = logs.read(attempt(1), &selection).unwrap();
    assert_eq!(texts(&first), ["line 99", "line 199"]);
    selection.start = LogStart::Line(first.next);
    assert_eq!(texts(&logs.read(attempt(1), &selection).unwrap()), ["line 299", "line 399"]);
    let mut selection = select(LogStart::Tail(2), 100);
    selection.stream = Some(LogStream::Stderr);
    let last = logs.read(attempt(1), &selection).unwrap();
    assert_eq!(texts(&last), ["line 2990", "line 3000"]);
    assert_eq!(last.next, 3_001);
    selection.grep = Some("nowhere".to_owned());
    assert!(logs.read(attempt(1), &selection).unwrap().lines.is_empty());
}

#[test]
fn a_search_finds_chinese_in_both_encodings() {
    let dir = tempfile::tempdir().unwrap();
    let logs = store(&dir, LogLimits::default());
    let mut bytes = Vec::new();
    for text in ["订单失败".as_bytes().to_vec(), encoding_rs::GB18030.encode("订单失败").0.into_owned(), b"ok".to_vec()]
    {
        Frame { at_ms: 1, stream: Stream::Stdout, is_continued: false, is_unfinished: false, text: &text }
            .write(&mut bytes);
    }
    logs.append(attempt(1), 0, &bytes).unwrap();
    let mut selection = select(LogStart::Line(1), 10);
    selection.grep = Some("失败".to_owned());
    assert_eq!(texts(&logs.read(attempt(1), &selection).unwrap()), ["订单失败", "订单失败"]);
}

#[test]
fn a_cut_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let logs = store(&dir, LogLimits::default());
    let mut bytes = packed(1);
    bytes.extend(frame::cut_mark(1, 100, 7));
    logs.append(attempt(1), 0, &bytes).unwrap();
    let rows = logs.read(attempt(1), &select(LogStart::Line(1), 10)).unwrap();
    assert!(rows.is_cut);
    assert!(rows.lines[1].text.contains("7 lines"));
}

#[tokio::test]
async fn a_reader_waits_for_the_next_line_and_for_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let logs = Arc::new(store(&dir, LogLimits::default()));
    let waiting = tokio::spawn({
        let logs = logs.clone();
        async move { logs.wait(attempt(1), 0, Duration::from_secs(60)).await }
    });
    tokio::task::yield_now().await;
    let bytes = packed(2);
    logs.append(attempt(1), 0, &bytes).unwrap();
    assert_eq!(waiting.await.unwrap().lines, 2);
    logs.finish(attempt(1), bytes.len() as u64).unwrap();
    assert!(logs.wait(attempt(1), 2, Duration::from_secs(60)).await.is_complete);
}

#[test]
fn the_oldest_complete_instances_go_when_the_disk_bound_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let logs = store(&dir, LogLimits { bytes_max: 3_000, ..LogLimits::default() });
    let bytes = packed(100);
    for instance in 1..=3 {
        let attempt: AttemptId = format!("{instance}.1.1.0.1").parse().unwrap();
        logs.append(attempt, 0, &bytes).unwrap();
        if instance != 1 {
            logs.finish(attempt, bytes.len() as u64).unwrap();
        }
    }
    let left = logs.trim(SystemTime::now()).unwrap();
    assert!(left <= 3_000, "{left}");
    assert_eq!(logs.len("1.1.1.0.1".parse().unwrap()).lines, 100);
    assert_eq!(logs.len("2.1.1.0.1".parse().unwrap()).lines, 0);
    assert!(matches!(
        logs.read("2.1.1.0.1".parse().unwrap(), &select(LogStart::Line(1), 1)),
        Err(LogError::Unknown(_))
    ));
}

#[test]
fn a_page_of_long_lines_ends_before_it_is_too_long_for_one_answer() {
    let dir = tempfile::tempdir().unwrap();
    let logs = store(&dir, LogLimits::default());
    let mut bytes = Vec::new();
    let text = "x".repeat(15_000);
    for n in 0..1_000 {
        Frame { at_ms: n, stream: Stream::Stdout, is_continued: false, is_unfinished: false, text: text.as_bytes() }
            .write(&mut bytes);
    }
    logs.append(attempt(1), 0, &bytes).unwrap();
    let size = |rows: &LogRows| rows.lines.iter().map(|line| line.text.len()).sum::<usize>();
    let first = logs.read(attempt(1), &select(LogStart::Line(1), 5_000)).unwrap();
    assert!(size(&first) < 5 << 20 && first.lines.len() > 100, "{}", size(&first));
    assert_eq!(first.next, first.lines.len() as u64 + 1, "the rest is asked for");
    let last = LogSelection { grep: Some("x".to_owned()), ..select(LogStart::Tail(1_000), 5_000) };
    let last = logs.read(attempt(1), &last).unwrap();
    assert!(size(&last) < 5 << 20);
    assert_eq!(last.lines.last().map(|line| line.n), Some(1_000));
}

#[test]
fn logs_go_when_they_are_old_but_not_while_they_grow() {
    let dir = tempfile::tempdir().unwrap();
    let day = Duration::from_secs(86_400);
    let logs = store(&dir, LogLimits { kept_for: day, ..LogLimits::default() });
    let bytes = packed(3);
    for instance in 1..=2 {
        let attempt: AttemptId = format!("{instance}.1.1.0.1").parse().unwrap();
        logs.append(attempt, 0, &bytes).unwrap();
        if instance != 1 {
            logs.finish(attempt, bytes.len() as u64).unwrap();
        }
    }
    let lines = |instance: u64| logs.len(format!("{instance}.1.1.0.1").parse().unwrap()).lines;
    logs.trim(SystemTime::now() + day / 2).unwrap();
    assert_eq!((lines(1), lines(2)), (3, 3));
    logs.trim(SystemTime::now() + 2 * day).unwrap();
    assert_eq!((lines(1), lines(2)), (3, 0));
}

#[test]
fn a_log_whose_rest_was_dropped_ends_in_whole_lines_and_a_mark() {
    let dir = tempfile::tempdir().unwrap();
    let logs = store(&dir, LogLimits::default());
    let bytes = packed(10);
    // A line is there in part only, as the pieces of a copy are cut anywhere.
    logs.append(attempt(1), 0, &bytes[..bytes.len() - 3]).unwrap();
    logs.cut(attempt(1), 5_000, 7).unwrap();
    let logs = store(&dir, LogLimits::default());
    let rows = logs.read(attempt(1), &select(LogStart::Line(1), 99)).unwrap();
    assert!(rows.is_cut && rows.ended);
    assert_eq!(rows.lines.len(), 10);
    assert!(rows.lines[9].text.contains("bytes dropped here"), "{:?}", rows.lines[9]);
    // Told twice, and of a log of which nothing is here.
    logs.cut(attempt(1), 5_000, 8).unwrap();
    logs.cut(attempt(2), 5_000, 8).unwrap();
    let texts_of = |n| texts(&logs.read(attempt(n), &select(LogStart::Line(1), 99)).unwrap()).len();
    assert_eq!((texts_of(1), texts_of(2)), (10, 1));
    // Of one that is whole nothing was lost.
    logs.append(attempt(3), 0, &bytes).unwrap();
    logs.cut(attempt(3), bytes.len() as u64, 8).unwrap();
    let rows = logs.read(attempt(3), &select(LogStart::Line(1), 99)).unwrap();
    assert!(!rows.is_cut && rows.ended);
    assert_eq!(rows.lines.len(), 10);
}
