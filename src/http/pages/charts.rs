//! Small charts: progress bar, sparkline, days, runs, slots.

use std::fmt::Write;

use crate::api::view::{DayView, RunBar, StateCount};
use crate::api::{InstanceSummary, Time};
use crate::model::state::{InstanceWord, NodeWord};

use super::format::{Clock, duration};
use super::markup::{self, Markup, esc};
use super::words::{Lang, Words, fill};

/// Stacked shares of the nodes by state; `usual_share` is where it usually is by now.
pub fn progress(counts: &[StateCount], total: u32, usual_share: Option<f64>, w: &Words, lang: Lang) -> Markup {
    let done: u32 = counts.iter().filter(|count| count.state.is_terminal()).map(|count| count.count).sum();
    let mut label = fill(w.nodes_done, &[&done, &total]);
    let mut svg = String::new();
    let mut x = 0.0;
    let mut shown: Vec<&StateCount> = counts.iter().filter(|count| count.state != NodeWord::Waiting).collect();
    shown.sort_by_key(|count| place(count.state));
    for count in shown {
        let mark = markup::node(count.state);
        let width = percent(f64::from(count.count), f64::from(total.max(1)));
        let _ = write!(svg, "<rect class=\"f-{}\" x=\"{x}%\" width=\"{width}%\" height=\"8\"/>", mark.class);
        if let Some(hatch) = mark.hatch() {
            let _ = write!(svg, "<rect fill=\"url(#{hatch})\" x=\"{x}%\" width=\"{width}%\" height=\"8\"/>");
        }
        x = ((x + width) * 100.0).round() / 100.0;
        if !count.state.is_terminal() {
            let _ = write!(label, ", {} {}", count.count, mark.word(lang));
        }
    }
    if let Some(share) = usual_share.filter(|share| (0.0..=1.0).contains(share)) {
        let at = (share * 9_900.0).round() / 100.0;
        let _ = write!(svg, "<rect class=\"tick\" x=\"{at}%\" width=\"2\" height=\"8\"/>");
    }
    Markup(format!("<svg class=\"bar\" role=\"img\" aria-label=\"{}\">{svg}</svg>", esc(&label)))
}

/// What is done stands left, then what runs, then what waits.
fn place(state: NodeWord) -> u8 {
    match state {
        NodeWord::Succeeded | NodeWord::Skipped => 0,
        NodeWord::Failed | NodeWord::TimedOut | NodeWord::Killed | NodeWord::UpstreamFailed => 1,
        NodeWord::Running | NodeWord::Lost => 2,
        NodeWord::Dispatched | NodeWord::Retrying | NodeWord::Paused | NodeWord::Queued => 3,
        NodeWord::Waiting => 4,
    }
}

fn percent(part: f64, whole: f64) -> f64 {
    (part / whole * 10_000.0).round() / 100.0
}

/// The newest runs, oldest left; height is duration, a letter stands over all that is not a success.
pub fn sparkline(history: &[RunBar], lang: Lang) -> Markup {
    const BARS: usize = 14;
    let longest = history.iter().filter_map(|run| run.duration_ms).max().unwrap_or(1).max(1) as f64;
    let words: Vec<String> = history.iter().map(|run| markup::instance(run.state).word(lang).to_owned()).collect();
    let mut svg = String::new();
    let empty = BARS.saturating_sub(history.len());
    for at in 0..empty {
        let _ = write!(svg, "<rect class=\"none\" x=\"{}\" y=\"27\" width=\"10\" height=\"3\"/>", at * 12);
    }
    for (at, run) in history.iter().rev().take(BARS).rev().enumerate() {
        let x = (empty + at) * 12;
        let share = run.duration_ms.unwrap_or(0) as f64 / longest;
        let mark = markup::instance(run.state);
        let is_good = run.state == InstanceWord::Succeeded;
        let height = (3.0 + share * 16.0).round();
        let y = 30.0 - height;
        let _ = write!(svg, "<rect class=\"f-{}\" x=\"{x}\" y=\"{y}\" width=\"10\" height=\"{height}\"/>", mark.class);
        if let Some(hatch) = mark.hatch() {
            let _ = write!(svg, "<rect fill=\"url(#{hatch})\" x=\"{x}\" y=\"{y}\" width=\"10\" height=\"{height}\"/>");
        }
        if !is_good {
            let _ = write!(
                svg,
                "<text class=\"fi-{}\" x=\"{}\" y=\"{}\">{}</text>",
                mark.class,
                x + 5,
                y - 2.0,
                mark.letter
            );
        }
    }
    Markup(format!("<svg class=\"spark\" role=\"img\" aria-label=\"{}\">{svg}</svg>", esc(&words.join(", "))))
}

/// Instances per day, stacked; failed and killed are counted above, so that 3 of 430 are still seen.
pub fn days(days: &[DayView], w: &Words) -> Markup {
    const TOP: f64 = 30.0;
    const BASE: f64 = 246.0;
    const LEFT: f64 = 38.0;
    const RIGHT: f64 = 640.0;
    let highest = days.iter().map(|day| day.succeeded + day.failed + day.killed + day.running).max().unwrap_or(0);
    let step = nice_step(highest);
    let scale = (BASE - TOP - 12.0) / (highest.max(step) as f64);
    let mut svg = String::new();
    let mut line = 0;
    while line <= highest.max(step) {
        let y = BASE - line as f64 * scale;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"32\" y=\"{:.1}\" text-anchor=\"end\">{line}</text>",
            y + 4.0
        );
        line += step;
    }
    let width = (RIGHT - LEFT) / days.len().max(1) as f64;
    for (at, day) in days.iter().enumerate() {
        let x = LEFT + at as f64 * width;
        let label = esc(&fill(w.day_label, &[&day.date, &day.succeeded, &day.failed, &day.killed]));
        let _ = write!(
            svg,
            "<a href=\"/instances?since={d}T00:00:00Z&amp;until={d}T23:59:59.999Z\" aria-label=\"{label}\"><title>{label}</title>\
             <rect class=\"hit\" x=\"{x:.1}\" y=\"4\" width=\"{width:.1}\" height=\"264\"/>",
            d = esc(&day.date)
        );
        let mut y = BASE;
        for (count, class, hatch) in [
            (day.succeeded, "succeeded", None),
            (day.running, "running", None),
            (day.failed, "failed", Some("h-diag")),
            (day.killed, "killed", Some("h-vert")),
        ] {
            if count == 0 {
                continue;
            }
            let height = (count as f64 * scale).max(4.0);
            y -= height;
            let (bar_x, bar_width) = (x + width * 0.14, width * 0.72);
            let _ = write!(
                svg,
                "<rect class=\"f-{class}\" x=\"{bar_x:.1}\" y=\"{y:.1}\" width=\"{bar_width:.1}\" height=\"{height:.1}\"/>"
            );
            if let Some(hatch) = hatch {
                let _ = write!(
                    svg,
                    "<rect fill=\"url(#{hatch})\" x=\"{bar_x:.1}\" y=\"{y:.1}\" width=\"{bar_width:.1}\" height=\"{height:.1}\"/>"
                );
            }
        }
        let middle = x + width / 2.0;
        if day.failed + day.killed > 0 {
            let _ = write!(svg, "<text class=\"lbl\" x=\"{middle:.1}\" y=\"{:.1}\">", y - 5.0);
            if day.failed > 0 {
                let _ = write!(svg, "<tspan class=\"fi-failed\">F{}</tspan>", day.failed);
            }
            if day.killed > 0 {
                let _ = write!(svg, "<tspan class=\"fi-killed\" dx=\"3\">K{}</tspan>", day.killed);
            }
            svg.push_str("</text>");
        }
        // Month and day at both ends, the day alone between.
        let short = if at == 0 || at + 1 == days.len() { day.date.get(5..) } else { day.date.get(8..) };
        let _ = write!(
            svg,
            "<text x=\"{middle:.1}\" y=\"264\" text-anchor=\"middle\">{}</text></a>",
            esc(short.unwrap_or(&day.date))
        );
    }
    Markup(format!(
        "<svg class=\"chart\" viewBox=\"0 0 640 270\" role=\"group\" aria-label=\"{}\">{svg}</svg>",
        esc(w.per_day)
    ))
}

/// 1, 2 or 5 times a power of ten, for at most four lines.
fn nice_step(highest: u64) -> u64 {
    let mut power = 1;
    loop {
        for factor in [1, 2, 5] {
            if power * factor * 4 >= highest {
                return power * factor;
            }
        }
        power *= 10;
    }
}

/// The newest runs of one workflow: height is duration, colour the end state.
pub fn runs(instances: &[InstanceSummary], usual_ms: Option<i64>, clock: &Clock, lang: Lang) -> Markup {
    const BASE: f64 = 150.0;
    const TOP: f64 = 24.0;
    const LEFT: f64 = 60.0;
    const RIGHT: f64 = 640.0;
    let runs: Vec<&InstanceSummary> = instances.iter().take(20).rev().collect();
    let longest = runs.iter().filter_map(|run| run.duration_ms).chain(usual_ms).max().unwrap_or(1).max(1);
    let scale = (BASE - TOP) / longest as f64;
    let mut svg = String::new();
    for share in [0, 1, 2] {
        let value = longest * share / 2;
        let y = BASE - value as f64 * scale;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"54\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            y + 4.0,
            duration(value)
        );
    }
    let width = (RIGHT - LEFT) / 20.0;
    for (at, run) in runs.iter().enumerate() {
        let x = RIGHT - (runs.len() - at) as f64 * width;
        let mark = markup::instance(run.state);
        let took = run.duration_ms.unwrap_or(0);
        let height = (took as f64 * scale).max(2.0);
        let y = BASE - height;
        let label = esc(&format!("#{} {} {}", run.number, mark.word(lang), duration(took)));
        let _ = write!(
            svg,
            "<a href=\"/i/{n}\" aria-label=\"{label}\"><title>{label}</title><rect class=\"hit\" x=\"{x:.1}\" y=\"4\" width=\"{width:.1}\" height=\"168\"/>\
             <rect class=\"f-{c}\" x=\"{bx:.1}\" y=\"{y:.1}\" width=\"{bw:.1}\" height=\"{height:.1}\"/>",
            n = run.number,
            c = mark.class,
            bx = x + width * 0.14,
            bw = width * 0.72
        );
        if let Some(hatch) = mark.hatch() {
            let _ = write!(
                svg,
                "<rect fill=\"url(#{hatch})\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                x + width * 0.14,
                width * 0.72
            );
        }
        if run.state != InstanceWord::Succeeded {
            let _ = write!(
                svg,
                "<text class=\"lbl fi-{}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                mark.class,
                x + width / 2.0,
                y - 4.0,
                mark.letter
            );
        }
        if (runs.len() - at) % 5 == 1 {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"168\" text-anchor=\"middle\">{}</text>",
                x + width / 2.0,
                esc(&date(run.created, clock))
            );
        }
        svg.push_str("</a>");
    }
    if let Some(usual) = usual_ms {
        let y = BASE - usual as f64 * scale;
        let _ = write!(svg, "<line class=\"g-now\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
    }
    Markup(format!("<svg class=\"chart\" viewBox=\"0 0 640 176\" role=\"group\">{svg}</svg>"))
}

fn date(at: Time, clock: &Clock) -> String {
    let text = clock.full(at);
    text.get(5..10).unwrap_or(&text).to_owned()
}

/// One box per slot, the used ones filled; many slots become one bar.
pub fn slots(used: u32, total: u32) -> Markup {
    const BOXES_MAX: u32 = 24;
    let mut svg = String::new();
    if total <= BOXES_MAX {
        for at in 0..total {
            let class = if at < used { "f-running" } else { "free" };
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{}\" y=\"1\" width=\"8\" height=\"12\" rx=\"1.5\"/>",
                at * 11 + 1
            );
        }
    } else {
        let width = percent(f64::from(used.min(total)), f64::from(total));
        let _ = write!(
            svg,
            "<rect class=\"free\" x=\"0\" y=\"1\" width=\"100%\" height=\"12\"/><rect class=\"f-running\" x=\"0\" y=\"1\" width=\"{width}%\" height=\"12\"/>"
        );
    }
    let width = if total <= BOXES_MAX { total * 11 + 2 } else { 160 };
    Markup(format!("<svg class=\"pips\" width=\"{width}\" height=\"14\" aria-hidden=\"true\">{svg}</svg>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_steps_are_round_and_few() {
        for (highest, step) in [(0, 1), (3, 1), (8, 2), (17, 5), (430, 200), (1_000_000, 500_000)] {
            assert_eq!(nice_step(highest), step, "{highest}");
        }
    }
}
