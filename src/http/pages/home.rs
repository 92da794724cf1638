//! `/`: is all right, and what do I do first?

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, header};

use crate::api::view::AttentionKind;
use crate::api::{InstanceSummary, Query, StatusView};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::state::{App, Seen};
use crate::model::state::InstanceWord;

use super::markup::{self, Mark, Markup};
use super::{Frame, Page, charts, look, render, text};

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    f: Frame,
    view: StatusView,
    attention: Vec<AttentionRow>,
    running: Vec<RunningRow>,
    days: Markup,
    legend: Vec<Markup>,
}

struct AttentionRow {
    chip: Markup,
    /// Something failed for good: a rerun is what helps.
    has_ended: bool,
    /// Its detail is what to do, not what is the matter.
    says_text: bool,
    at: usize,
}

struct RunningRow {
    progress: Markup,
    at: usize,
}

pub async fn page(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Page {
    let seen = look(&app, Query::Status).await?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wants_text = caller.parameter("format") == Some("text") || !accept.contains("text/html");
    let f = Frame::new(&app, &caller, "home", caller.lang.words().home.to_owned(), &seen, "");
    let Seen { answer, stale } = seen;
    let view = *expect_reply!(answer, Status)?;
    if wants_text {
        return Ok(text::home(&view, &f, stale.map(|(age_ms, _)| age_ms)));
    }
    let lang = f.lang;
    let attention = view.attention.iter().enumerate();
    let attention = attention
        .map(|(at, row)| AttentionRow {
            chip: mark_of(row.kind).chip(lang),
            has_ended: matches!(row.kind, AttentionKind::Failed | AttentionKind::TimedOut),
            says_text: row.kind == AttentionKind::Mail,
            at,
        })
        .collect();
    let running = view.running.iter().enumerate();
    let running = running
        .map(|(at, row)| {
            let share = usual_share(row);
            RunningRow { progress: charts::progress(&row.progress, row.nodes_total, share, f.w, lang), at }
        })
        .collect();
    let legend = [InstanceWord::Succeeded, InstanceWord::Running, InstanceWord::Failed, InstanceWord::Killed];
    let legend = legend.map(|state| markup::instance(state).badge(lang)).to_vec();
    let days = charts::days(&view.days, f.w);
    render(&HomePage { f, view, attention, running, days, legend })
}

/// Where a run usually is after the time it has had.
pub fn usual_share(row: &InstanceSummary) -> Option<f64> {
    match (row.duration_ms, row.usual_ms) {
        (Some(so_far), Some(usual)) if usual > 0 => Some((so_far as f64 / usual as f64).min(0.99)),
        _ => None,
    }
}

fn mark_of(kind: AttentionKind) -> Mark {
    let of = |class: &'static str, letter, en, zh, symbol| Mark { class, letter, en, zh, symbol };
    match kind {
        AttentionKind::Failed => markup::instance(InstanceWord::Failed),
        AttentionKind::TimedOut => of("timed_out", 'T', "timed out", "超时", None),
        AttentionKind::Lost => of("lost", 'L', "lost", "失联", None),
        AttentionKind::LoadError => markup::ERROR,
        AttentionKind::Stuck => of("queued", 'Q', "queued for long", "长时间排队", None),
        AttentionKind::Paused => of("paused", 'P', "paused", "挂起", None),
        AttentionKind::WorkerDown => of("lost", '!', "worker down", "工作机离线", Some("i-warn")),
        AttentionKind::Mail => of("retrying", '!', "mail", "邮件", Some("i-warn")),
        AttentionKind::Source => of("retrying", '!', "source differs", "目录不一致", Some("i-warn")),
        AttentionKind::Clock => of("retrying", '!', "clock", "时钟", Some("i-warn")),
        AttentionKind::Disk => of("failed", '!', "disk", "磁盘", Some("i-warn")),
        AttentionKind::Cluster => of("failed", '!', "cluster", "集群", Some("i-warn")),
    }
}
