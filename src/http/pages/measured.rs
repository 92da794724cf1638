//! Drawings of what a monitor measured: value and bounds over time.
//!
//! Numbers are exact as text; here alone they become floats, for a drawing is only as exact as its pixels.

use std::fmt::Write;

use crate::api::{MeasurementView, Time};

use super::format::{Clock, thousands};
use super::markup::{Markup, esc};
use super::words::{Words, fill};

const WIDTH: f64 = 960.0;
const RIGHT: f64 = 944.0;
const TOP: f64 = 14.0;
const BASE: f64 = 236.0;
/// Lines across the chart, about.
const LINES: f64 = 4.0;
/// Dates below it, at most.
const DATES: usize = 6;
const DAY_MS: i64 = 86_400_000;

/// One measurement as numbers.
#[derive(Clone, Copy)]
struct Point {
    at: i64,
    value: f64,
    min: Option<f64>,
    max: Option<f64>,
    is_within: bool,
}

impl Point {
    fn of(view: &MeasurementView) -> Option<Self> {
        let number = |text: &String| text.parse::<f64>().ok().filter(|number| number.is_finite());
        Some(Self {
            at: view.at.0.0,
            value: number(&view.value)?,
            min: view.min.as_ref().and_then(number),
            max: view.max.as_ref().and_then(number),
            is_within: view.is_within,
        })
    }
}

/// From times and numbers to places.
struct Scale {
    left: f64,
    right: f64,
    base: f64,
    first: i64,
    per_ms: f64,
    lowest: f64,
    per_unit: f64,
}

impl Scale {
    fn new(points: &[Point], left: f64, right: f64, top: f64, base: f64) -> Self {
        let first = points.iter().map(|point| point.at).min().unwrap_or(0);
        let last = points.iter().map(|point| point.at).max().unwrap_or(0);
        let numbers = points.iter().flat_map(|point| [Some(point.value), point.min, point.max]).flatten();
        let (low, high) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), n| (low.min(n), high.max(n)));
        // One number alone stands in the middle.
        let margin = if high > low { (high - low) * 0.06 } else { high.abs().max(1.0) * 0.1 };
        let (lowest, highest) = (low - margin, high + margin);
        let span = (last - first) as f64;
        Self {
            left,
            right,
            base,
            first,
            per_ms: if span > 0.0 { (right - left) / span } else { 0.0 },
            lowest,
            per_unit: (base - top) / (highest - lowest),
        }
    }

    fn x(&self, at: i64) -> f64 {
        match self.per_ms > 0.0 {
            true => self.left + (at - self.first) as f64 * self.per_ms,
            false => (self.left + self.right) / 2.0,
        }
    }

    fn y(&self, number: f64) -> f64 {
        self.base - (number - self.lowest) * self.per_unit
    }

    fn highest(&self, top: f64) -> f64 {
        self.lowest + (self.base - top) / self.per_unit
    }
}

/// The large one, newest right. `rows` come newest first, as they are listed.
pub fn chart(rows: &[MeasurementView], clock: &Clock, w: &Words) -> Markup {
    let drawn: Vec<(&MeasurementView, Point)> =
        rows.iter().rev().filter_map(|row| Some((row, Point::of(row)?))).collect();
    let points: Vec<Point> = drawn.iter().map(|(_, point)| *point).collect();
    let Some(last) = points.last() else { return Markup::default() };
    let bare = Scale::new(&points, 0.0, RIGHT, TOP, BASE);
    let lines = lines(bare.lowest, bare.highest(TOP));
    let longest = lines.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
    let left = 16.0 + longest as f64 * 7.5;
    let scale = Scale::new(&points, left + 6.0, RIGHT - 6.0, TOP, BASE);
    let mut svg = String::new();
    for (number, label) in lines {
        let y = scale.y(number);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            left - 6.0,
            y + 4.0
        );
    }
    dates(&mut svg, &scale, points[0].at, last.at, clock);
    series(&mut svg, &points, &scale);
    for (row, point) in &drawn {
        let bound = |bound: &Option<String>| bound.clone().unwrap_or_else(|| "-".to_owned());
        let time = clock.full(row.at);
        let label = fill(w.measured_label, &[&time, &row.value, &bound(&row.min), &bound(&row.max), &row.instance]);
        let label = esc(&label);
        let (x, y) = (scale.x(point.at), scale.y(point.value));
        let mark = dot(x, y, point.is_within, 3.5);
        let _ = match row.is_instance_kept {
            true => {
                write!(svg, "<a href=\"/i/{}\" aria-label=\"{label}\"><title>{label}</title>{mark}</a>", row.instance)
            }
            false => write!(svg, "<g role=\"img\" aria-label=\"{label}\"><title>{label}</title>{mark}</g>"),
        };
    }
    Markup(format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} 262\" role=\"group\" aria-label=\"{}\">{svg}</svg>",
        esc(w.measured_chart)
    ))
}

/// The small one of a list.
pub fn small(rows: &[MeasurementView], w: &Words) -> Markup {
    let points: Vec<Point> = rows.iter().rev().filter_map(Point::of).collect();
    let scale = Scale::new(&points, 4.0, 216.0, 4.0, 36.0);
    let mut svg = String::new();
    series(&mut svg, &points, &scale);
    for point in points.iter().filter(|point| !point.is_within) {
        svg.push_str(&dot(scale.x(point.at), scale.y(point.value), false, 3.0));
    }
    if let Some(last) = points.last().filter(|last| last.is_within) {
        svg.push_str(&dot(scale.x(last.at), scale.y(last.value), true, 2.5));
    }
    let outside = points.iter().filter(|point| !point.is_within).count();
    let label = fill(w.measured_recent, &[&points.len(), &outside]);
    Markup(format!(
        "<svg class=\"m-small\" viewBox=\"0 0 220 40\" role=\"img\" aria-label=\"{}\">{svg}</svg>",
        esc(&label)
    ))
}

/// Band between the bounds, the bounds, the value.
fn series(svg: &mut String, points: &[Point], scale: &Scale) {
    for run in points.split(|point| point.min.is_none() || point.max.is_none()).filter(|run| run.len() > 1) {
        let upper = run.iter().filter_map(|point| Some((point.at, point.max?)));
        let lower = run.iter().rev().filter_map(|point| Some((point.at, point.min?)));
        let corners: Vec<String> =
            upper.chain(lower).map(|(at, number)| format!("{:.1},{:.1}", scale.x(at), scale.y(number))).collect();
        let _ = write!(svg, "<polygon class=\"m-band\" points=\"{}\"/>", corners.join(" "));
    }
    type Number = fn(&Point) -> Option<f64>;
    let lines: [(&str, Number); 3] =
        [("m-min", |point| point.min), ("m-max", |point| point.max), ("m-value", |point| Some(point.value))];
    for (class, number) in lines {
        let mut path = String::new();
        let mut is_drawing = false;
        for point in points {
            let Some(number) = number(point) else {
                is_drawing = false;
                continue;
            };
            let _ =
                write!(path, "{}{:.1} {:.1}", if is_drawing { 'L' } else { 'M' }, scale.x(point.at), scale.y(number));
            is_drawing = true;
        }
        if !path.is_empty() {
            let _ = write!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }
}

/// Round within the bounds, a larger diamond outside: told apart without colour.
fn dot(x: f64, y: f64, is_within: bool, size: f64) -> String {
    if is_within {
        return format!("<circle class=\"m-dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{size}\"/>");
    }
    let d = size * 1.7;
    format!("<path class=\"m-out\" d=\"M{x:.1} {:.1}l{d} {d}l-{d} {d}l-{d} -{d}z\"/>", y - d)
}

/// Round numbers between the two, with their texts.
fn lines(lowest: f64, highest: f64) -> Vec<(f64, String)> {
    let rough = (highest - lowest) / LINES;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    let Some(step) = step.filter(|step| step.is_finite() && *step > 0.0) else { return Vec::new() };
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let first = (lowest / step).ceil() as i64;
    (0..=LINES as i64 * 3)
        .map(|at| (first.saturating_add(at)) as f64 * step)
        .take_while(|number| *number <= highest)
        .map(|number| (number, label(number, decimals)))
        .collect()
}

fn label(number: f64, decimals: usize) -> String {
    if number.abs() >= 1e15 {
        return format!("{number:e}");
    }
    let written = format!("{:.decimals$}", number.abs());
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
    let whole = whole.parse().map_or(whole.to_owned(), thousands);
    let sign = if number < 0.0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

fn dates(svg: &mut String, scale: &Scale, first: i64, last: i64, clock: &Clock) {
    let text = |at: i64| {
        let full = clock.full(Time(crate::model::time::Timestamp(at)));
        let part = if last - first < DAY_MS { full.get(11..16) } else { full.get(5..10) };
        part.unwrap_or(&full).to_owned()
    };
    let n = if first == last { 1 } else { DATES };
    let mut before = String::new();
    for at in 0..n {
        let moment = first + (last - first) / (n.max(2) as i64 - 1) * at as i64;
        let (x, shown) = (scale.x(moment), text(moment));
        // Two marks of one minute or day would say the same.
        if shown != before {
            let _ = write!(svg, "<text x=\"{x:.1}\" y=\"256\" text-anchor=\"middle\">{shown}</text>");
        }
        before = shown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: i64, value: &str, bounds: [Option<&str>; 2], is_kept: bool) -> MeasurementView {
        let [min, max] = bounds.map(|bound| bound.map(str::to_owned));
        MeasurementView {
            seq: at as u64,
            at: Time(crate::model::time::Timestamp(at)),
            value: value.to_owned(),
            min,
            max,
            is_within: value != "99",
            message: None,
            instance: 7,
            generation: 1,
            attempt: 1,
            is_instance_kept: is_kept,
        }
    }

    fn drawn(rows: &[MeasurementView]) -> String {
        let clock = Clock { zone: chrono_tz::UTC, now: Time(crate::model::time::Timestamp(0)) };
        chart(rows, &clock, &super::super::words::EN).0
    }

    #[test]
    fn lines_are_round_and_few() {
        let labels = |low, high| lines(low, high).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(0.0, 100.0), ["0", "50", "100"]);
        assert_eq!(labels(-0.3, 0.3), ["-0.2", "-0.0", "0.2"].map(|label| label.replace("-0.0", "0.0")));
        assert_eq!(labels(999_000.0, 1_002_000.0), ["999,000", "1,000,000", "1,001,000", "1,002,000"]);
        for (low, high) in [(1e300, 1.1e300), (-1e-9, 1e-9), (5.0, 5.0)] {
            assert!(lines(low, high).len() <= 13, "{low} {high}");
        }
    }

    #[test]
    fn a_measurement_is_a_mark_with_a_link_while_its_instance_is_there() {
        let rows = [row(3_000, "99", [Some("1"), Some("50")], true), row(2_000, "10", [Some("1"), None], false)];
        let svg = drawn(&rows);
        assert_eq!((svg.matches("<a href=\"/i/7\"").count(), svg.matches("m-out").count()), (1, 1), "{svg}");
        assert!(svg.contains("m-dot") && !svg.contains("m-band") && !svg.contains("NaN"), "{svg}");
        let one = drawn(&[row(5, "4", [None, None], true)]);
        assert!(!one.contains("NaN") && !one.contains("inf"), "{one}");
        // A number that no drawing holds is left out, and none of them is no drawing.
        assert_eq!(drawn(&[row(5, &"9".repeat(320), [None, None], true)]), "");
    }
}
