//! The Gantt chart: a row per node that takes time, each a percent-scaled SVG, so that no script places it.

use std::fmt::Write;

use crate::api::{InstanceView, NodeView, Time};
use crate::model::state::NodeWord;

use super::format::{Clock, duration};
use super::markup::{self, Mark, Markup, esc};
use super::words::{Lang, Words};

/// Axis steps in seconds.
const STEPS: [i64; 16] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];
const TICKS_MAX: i64 = 8;

struct Scale {
    from: i64,
    to: i64,
    ticks: Vec<(f64, String)>,
    now: Option<f64>,
}

impl Scale {
    fn percent(&self, at: i64) -> f64 {
        let share = (at - self.from) as f64 / (self.to - self.from).max(1) as f64;
        (share.clamp(0.0, 1.0) * 10_000.0).round() / 100.0
    }
}

/// Rows for the first of these nodes; `selected` is highlighted, each row leads to its node's log.
pub fn draw(
    view: &InstanceView,
    clock: &Clock,
    selected: Option<&str>,
    rows_max: usize,
    w: &Words,
    lang: Lang,
) -> Markup {
    let scale = scale_of(view, clock);
    let rows: Vec<&NodeView> = view.nodes.iter().filter(|node| !is_instant(node)).take(rows_max).collect();
    let mut html = String::with_capacity(rows.len() * 700);
    html.push_str("<div class=\"gantt\">");
    head(&mut html, &scale, w);
    for node in rows {
        row(&mut html, view, node, &scale, clock, selected == Some(node.name.as_str()), lang);
    }
    html.push_str("</div>");
    Markup(html)
}

/// Control nodes take no time.
fn is_instant(node: &NodeView) -> bool {
    matches!(node.kind.as_str(), "start" | "end" | "fork" | "join" | "kill")
}

fn scale_of(view: &InstanceView, clock: &Clock) -> Scale {
    let from = view.started.unwrap_or(view.created).0.0;
    let now = clock.now.0.0;
    let last = view
        .nodes
        .iter()
        .flat_map(|node| node.attempts.iter().filter_map(|attempt| attempt.finished).chain(node.retry_at))
        .map(|at| at.0.0)
        .max();
    let end = view.finished.map_or(now, |at| at.0.0).max(last.unwrap_or(from)).max(from + 1_000);
    // A little air at the end, more while it runs.
    let air = (end - from) / if view.finished.is_some() { 50 } else { 12 };
    let to = end + air.max(100);
    let wanted = (to - from) / 1000 / TICKS_MAX;
    let step = STEPS.iter().copied().find(|step| *step >= wanted).unwrap_or(86_400 * (1 + wanted / 86_400)) * 1000;
    let mut scale = Scale { from, to, ticks: Vec::new(), now: None };
    let mut at = from - from.rem_euclid(step) + step;
    while at < to {
        let time = Time(crate::model::time::Timestamp(at));
        let label = if step < 60_000 { clock.short(time) } else { clock.minute(time) };
        scale.ticks.push((scale.percent(at), label));
        at += step;
    }
    scale.now = view.finished.is_none().then(|| scale.percent(now));
    scale
}

fn grid(html: &mut String, scale: &Scale, height: u32) {
    for (x, _) in &scale.ticks {
        let _ = write!(html, "<line class=\"g-grid\" x1=\"{x}%\" x2=\"{x}%\" y1=\"0\" y2=\"{height}\"/>");
    }
    if let Some(x) = scale.now {
        let _ = write!(html, "<line class=\"g-now\" x1=\"{x}%\" x2=\"{x}%\" y1=\"0\" y2=\"{height}\"/>");
    }
}

fn head(html: &mut String, scale: &Scale, w: &Words) {
    let _ = write!(
        html,
        "<div class=\"g-row g-head\"><span class=\"g-name\">{}</span><svg aria-hidden=\"true\">",
        esc(w.col_node)
    );
    grid(html, scale, 24);
    for (x, label) in labels(&scale.ticks, scale.now) {
        let _ = write!(html, "<text x=\"{x}%\" dx=\"4\" y=\"16\">{}</text>", esc(label));
    }
    if let Some(now) = scale.now.filter(|now| *now < 96.0) {
        let _ = write!(html, "<text x=\"{now}%\" dx=\"4\" y=\"16\" class=\"fi-running\">{}</text>", esc(w.now));
    }
    let _ = write!(html, "</svg><span class=\"g-took\">{}</span></div>", esc(w.ran_queued));
}

/// Those that run neither into one another nor into "now" nor over the edge; the narrowest chart has 330 pixels.
fn labels(ticks: &[(f64, String)], now: Option<f64>) -> Vec<(f64, &str)> {
    let mut free_from = 0.0;
    let mut shown = Vec::new();
    for (x, label) in ticks {
        let end = *x + 2.1 * label.chars().count() as f64;
        if *x >= free_from && end < 100.0 && now.is_none_or(|now| end < now || *x > now + 10.0) {
            shown.push((*x, label.as_str()));
            free_from = end;
        }
    }
    shown
}

fn row(
    html: &mut String,
    view: &InstanceView,
    node: &NodeView,
    scale: &Scale,
    clock: &Clock,
    is_selected: bool,
    lang: Lang,
) {
    let mark = markup::node(node.state);
    let took = took(node, clock);
    let _ = write!(
        html,
        "<a class=\"g-row{}\" id=\"g-{}\" href=\"?node={}#log\" aria-label=\"{}, {}, {took}\"><span class=\"g-name\">{}<span>{}</span></span>\
         <svg aria-hidden=\"true\">",
        if is_selected { " sel" } else { "" },
        node.node_index,
        super::format::url(&node.name),
        esc(&node.name),
        esc(mark.word(lang)),
        mark.chip(lang),
        esc(&node.name)
    );
    grid(html, scale, 28);
    if !node.is_kept {
        segments(html, view, node, scale, clock);
    }
    let _ = write!(html, "</svg><span class=\"g-took\">{took}</span></a>");
}

fn segments(html: &mut String, view: &InstanceView, node: &NodeView, scale: &Scale, clock: &Clock) {
    let now = clock.now.0.0;
    let from = view.started.unwrap_or(view.created).0.0;
    if let Some(ready) = node.ready {
        bar(html, scale, "g-wait", from, ready.0.0, 12, 4, None);
    }
    let mut queued_from = node.ready.map(|at| at.0.0);
    for attempt in &node.attempts {
        let begin = attempt.started.unwrap_or(attempt.dispatched).0.0;
        if let Some(queued) = queued_from {
            bar(html, scale, "f-queued s-queued", queued, begin, 9, 10, Some("h-dot"));
        }
        let end = attempt.finished.map_or(now, |at| at.0.0);
        let mark = markup::attempt(attempt.state);
        let class = format!("f-{}", mark.class);
        bar(html, scale, &class, begin, end, 6, 16, mark.hatch());
        let is_last = attempt.number as usize == node.attempts.len();
        if mark.class != "running" && mark.class != "succeeded" && width(scale, begin, end) > 3.0 {
            text(html, scale, begin, &mark, attempt.number);
        }
        if node.is_critical {
            let _ = write!(
                html,
                "<rect class=\"g-crit\" x=\"{}%\" width=\"{}%\" y=\"5\" height=\"18\" rx=\"2\"/>",
                scale.percent(begin),
                width(scale, begin, end)
            );
        }
        queued_from = None;
        let next = node.attempts.iter().find(|next| next.number == attempt.number + 1);
        match (attempt.finished, next) {
            (Some(finished), Some(next)) => {
                bar(html, scale, "f-retrying", finished.0.0, next.dispatched.0.0, 9, 10, None)
            }
            (Some(finished), None) if node.state == NodeWord::Retrying && is_last => {
                bar(html, scale, "f-retrying", finished.0.0, now, 9, 10, None);
            }
            (Some(_) | None, _) => {}
        }
    }
    if node.state == NodeWord::Queued
        && let Some(queued) = queued_from
    {
        bar(html, scale, "f-queued s-queued", queued, now, 9, 10, Some("h-dot"));
    }
}

fn width(scale: &Scale, from: i64, to: i64) -> f64 {
    ((scale.percent(to) - scale.percent(from)).max(0.25) * 100.0).round() / 100.0
}

#[allow(clippy::too_many_arguments, reason = "one rectangle has so many sides")]
fn bar(html: &mut String, scale: &Scale, class: &str, from: i64, to: i64, y: u32, height: u32, hatch: Option<&str>) {
    if to <= from && class == "g-wait" {
        return;
    }
    let (x, width) = (scale.percent(from), width(scale, from, to));
    let _ =
        write!(html, "<rect class=\"{class}\" x=\"{x}%\" width=\"{width}%\" y=\"{y}\" height=\"{height}\" rx=\"2\"/>");
    if let Some(hatch) = hatch {
        let _ =
            write!(html, "<rect fill=\"url(#{hatch})\" x=\"{x}%\" width=\"{width}%\" y=\"{y}\" height=\"{height}\"/>");
    }
}

fn text(html: &mut String, scale: &Scale, at: i64, mark: &Mark, number: u32) {
    let _ = write!(
        html,
        "<text class=\"on-f fo-{}\" x=\"{}%\" dx=\"4\" y=\"18\">{}{number}</text>",
        mark.class,
        scale.percent(at),
        mark.letter
    );
}

/// `5m16s (6s)`: ran, and queued before the first start.
fn took(node: &NodeView, clock: &Clock) -> String {
    let ran = node.duration_ms.map(duration).unwrap_or_default();
    let first = node.attempts.first().map(|attempt| attempt.started.unwrap_or(attempt.dispatched));
    let queued_to = match (first, node.state) {
        (Some(first), _) => Some(first),
        (None, NodeWord::Queued) => Some(clock.now),
        (None, _) => None,
    };
    let queued = match (node.ready, queued_to) {
        (Some(ready), Some(to)) => to.0.since(ready.0),
        _ => 0,
    };
    match (ran.is_empty(), queued >= 1_000) {
        (true, false) => String::new(),
        (false, false) => ran,
        (true, true) => format!("({})", duration(queued)),
        (false, true) => format!("{ran} ({})", duration(queued)),
    }
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn labels_of_the_axis_touch_nothing_on_a_narrow_screen() {
        let of = |step: f64, label: &str| (1..8).map(|n| (n as f64 * step, label.to_owned())).collect::<Vec<_>>();
        let places = |ticks: &[(f64, String)], now| labels(ticks, now).iter().map(|label| label.0).collect::<Vec<_>>();
        assert_eq!(places(&of(12.0, "07:02"), None), [12.0, 24.0, 36.0, 48.0, 60.0, 72.0, 84.0]);
        assert_eq!(places(&of(12.0, "07:02:40"), None), [12.0, 36.0, 60.0], "every second one");
        assert_eq!(places(&of(12.0, "07:02"), Some(50.0)), [12.0, 24.0, 36.0, 72.0, 84.0], "beside now");
    }
}
