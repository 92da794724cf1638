//! The status page as plain text, for `curl`.

use std::fmt::Write;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::api::StatusView;

use super::Frame;
use super::format::{columns, cut, duration};

pub fn home(view: &StatusView, f: &Frame, stale_ms: Option<u64>) -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], render(view, f, stale_ms)).into_response()
}

fn render(view: &StatusView, f: &Frame, stale_ms: Option<u64>) -> String {
    let w = f.w;
    let mut text = String::new();
    if let Some(ms) = stale_ms {
        let _ = writeln!(text, "! {}\n", f.fill1(w.stale_banner, &(ms / 1000)));
    }
    let cluster = &view.cluster;
    let _ = writeln!(
        text,
        "{} · {} · {} · {}",
        f.fill1(w.n_failed, &view.counts.unresolved),
        f.fill1(w.n_running, &view.counts.running),
        f.fill1(w.n_due, &view.due_today_text()),
        match cluster.is_healthy {
            true if cluster.votes < cluster.voters => w.master_down,
            true => w.cluster_healthy,
            false => w.cluster_unhealthy,
        },
    );
    if let Some(message) = &cluster.message {
        let _ = writeln!(text, "{}", plain(&f.say(message)));
    }
    let leader = cluster.leader.as_deref().unwrap_or("-");
    let _ = writeln!(
        text,
        "{}, {}, {}  ({} {})",
        f.fill2(w.leader_term, &leader, &cluster.epoch),
        f.fill2(w.votes, &cluster.votes, &cluster.voters),
        f.fill2(w.slots_busy, &cluster.slots_used, &cluster.slots),
        f.full(&f.clock.now),
        f.clock.offset(),
    );
    if !view.attention.is_empty() {
        let _ = writeln!(text, "\n{}", w.attention);
        for row in &view.attention {
            let place = match (&row.workflow, row.instance, &row.node) {
                (Some(workflow), Some(number), Some(node)) => format!("{workflow} #{number}/{node}"),
                (Some(workflow), Some(number), None) => format!("{workflow} #{number}"),
                _ => row.file.clone().or(row.worker.clone()).unwrap_or_default(),
            };
            let _ = writeln!(text, "  {}  {}  {}", f.short(&row.since), plain(&place), plain(&f.say(&row.text)));
        }
    }
    if !view.running.is_empty() {
        let _ = writeln!(text, "\n{}", w.running);
        for row in &view.running {
            let _ = writeln!(
                text,
                "  R #{:<8} {} {:>4}/{:<4} {:>7}  {}",
                row.number,
                padded(&row.workflow, 28),
                row.nodes_done,
                row.nodes_total,
                row.duration_ms.map(duration).unwrap_or_default(),
                plain(&row.now_on.join(", ")),
            );
        }
    }
    if !view.upcoming.is_empty() {
        let _ = writeln!(text, "\n{}", w.upcoming);
        for row in &view.upcoming {
            let params: Vec<String> = row.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let _ =
                writeln!(text, "  {}  {} {}", f.minute(&row.due), padded(&row.workflow, 28), plain(&params.join(" ")));
        }
    }
    if !view.finished.is_empty() {
        let _ = writeln!(text, "\n{}", w.last_finished);
        for row in &view.finished {
            let _ = writeln!(
                text,
                "  {} #{:<8} {} {:>7}  {}",
                row.state.letter(),
                row.number,
                padded(&row.workflow, 28),
                row.duration_ms.map(duration).unwrap_or_default(),
                row.finished.as_ref().map(|at| f.short(at)).unwrap_or_default(),
            );
        }
    }
    text
}

/// A terminal must not obey what stands in a name.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

fn padded(text: &str, width: usize) -> String {
    let text = cut(&plain(text), width);
    let fill = width.saturating_sub(columns(&text));
    format!("{text}{}", " ".repeat(fill))
}
