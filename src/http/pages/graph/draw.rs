//! The picture as SVG. Geometry stands in attributes, colours in classes of the style sheet.

use std::fmt::Write;

use super::super::format::{columns, cut};
use super::super::markup::{Mark, Markup, esc};
use super::super::words::Lang;
use super::layout::{Point, Size, Spacing, layout};

/// Names of small shapes are cut here.
const CONTROL_COLUMNS: usize = 10;
/// From here on cards are one line high.
const COMPACT_FROM: usize = 60;

/// A node to draw.
pub struct Card {
    pub name: String,
    /// `start end fork join kill`, or the word of the action.
    pub kind: String,
    /// `None` in a definition that does not run.
    pub mark: Option<Mark>,
    /// `4m12s`, and `2/3` when it is not the first attempt.
    pub time: String,
    pub attempt: String,
    pub href: String,
    pub is_selected: bool,
    pub is_critical: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStyle {
    Plain,
    /// The way was taken.
    Done,
    /// It will not be taken any more.
    Dead,
}

pub struct Line {
    pub from: usize,
    pub to: usize,
    pub style: LineStyle,
    /// Taken only on failure.
    pub is_error: bool,
}

/// Everything that depends on how many nodes there are.
struct Scale {
    is_compact: bool,
    card: Size,
    spacing: Spacing,
    control_radius: f64,
    control_height: f64,
}

impl Scale {
    fn of(n: usize) -> Self {
        let is_compact = n > COMPACT_FROM;
        if is_compact {
            Self {
                is_compact,
                card: Size { width: 200.0, height: 26.0 },
                spacing: Spacing { column_gap: 44.0, row_gap: 9.0, margin: 12.0 },
                control_radius: 9.0,
                control_height: 38.0,
            }
        } else {
            Self {
                is_compact,
                card: Size { width: 140.0, height: 60.0 },
                spacing: Spacing { column_gap: 24.0, row_gap: 24.0, margin: 14.0 },
                control_radius: 12.0,
                control_height: 60.0,
            }
        }
    }
}

/// Is it drawn as a small shape, not as a card?
fn is_control(kind: &str) -> bool {
    matches!(kind, "start" | "end" | "fork" | "join" | "kill")
}

pub fn draw(cards: &[Card], lines: &[Line], label: &str, lang: Lang) -> Markup {
    let scale = Scale::of(cards.len());
    let sizes: Vec<Size> = cards
        .iter()
        .map(|card| {
            if is_control(&card.kind) {
                // The name stands below: it needs its width.
                let text = columns(&cut(&card.name, CONTROL_COLUMNS)) as f64 * 6.5;
                Size { width: text.max(2.0 * scale.control_radius), height: scale.control_height }
            } else {
                scale.card
            }
        })
        .collect();
    let edges: Vec<(usize, usize)> = lines.iter().map(|line| (line.from, line.to)).collect();
    let placed = layout(&sizes, &edges, scale.spacing);
    let mut svg = String::with_capacity(cards.len() * 600);
    let _ = write!(
        svg,
        "<svg class=\"dag\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"group\" aria-label=\"{}\">\
         <defs>{}{}</defs>",
        esc(label),
        arrow("aw", ""),
        arrow("ad", " done"),
        w = placed.width,
        h = placed.height
    );
    // Taken ways last, so that they lie above the others.
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&at| lines[at].style == LineStyle::Done);
    for at in order {
        let line = &lines[at];
        let half = |node: usize| {
            if is_control(&cards[node].kind) { scale.control_radius } else { sizes[node].width / 2.0 }
        };
        let (from, to) = (placed.nodes[line.from], placed.nodes[line.to]);
        let begin = Point { x: from.x + half(line.from), y: from.y };
        let end = Point { x: to.x - half(line.to) - 5.0, y: to.y };
        let is_critical = cards[line.from].is_critical && cards[line.to].is_critical && !line.is_error;
        draw_line(&mut svg, line, is_critical, begin, &placed.bends[at], end);
    }
    for (card, &centre) in cards.iter().zip(&placed.nodes) {
        if is_control(&card.kind) {
            draw_control(&mut svg, card, centre, &scale, lang);
        } else {
            draw_card(&mut svg, card, centre, &scale, lang);
        }
    }
    svg.push_str("</svg>");
    Markup(svg)
}

fn arrow(id: &str, class: &str) -> String {
    format!(
        "<marker id=\"{id}\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"ah{class}\" d=\"M0 0l8 4-8 4z\"/></marker>"
    )
}

fn draw_line(svg: &mut String, line: &Line, is_critical: bool, begin: Point, bends: &[(f64, f64, f64)], end: Point) {
    let (style, arrow) = match line.style {
        LineStyle::Plain => ("", "aw"),
        LineStyle::Done => (" done", "ad"),
        LineStyle::Dead => (" dead", "aw"),
    };
    let critical = if is_critical { " crit" } else { "" };
    let error = if line.is_error { " err" } else { "" };
    let _ = write!(svg, "<path class=\"edge{style}{critical}{error}\" d=\"M{} {}", begin.x, begin.y);
    let mut at = begin;
    for &(left, right, y) in bends {
        curve(svg, at, Point { x: left, y });
        if right > left {
            let _ = write!(svg, "H{right}");
        }
        at = Point { x: right, y };
    }
    curve(svg, at, end);
    let _ = write!(svg, "\" marker-end=\"url(#{arrow})\"/>");
}

fn curve(svg: &mut String, from: Point, to: Point) {
    if (from.y - to.y).abs() < 0.1 {
        let _ = write!(svg, "H{}", to.x);
    } else {
        let middle = (from.x + to.x) / 2.0;
        let _ = write!(svg, "C{middle} {} {middle} {} {} {}", from.y, to.y, to.x, to.y);
    }
}

fn describe(card: &Card, lang: Lang) -> String {
    let mut text = card.name.clone();
    if card.kind != card.name {
        let _ = write!(text, ", {}", card.kind);
    }
    for part in [card.mark.map_or("", |mark| mark.word(lang)), &card.time, &card.attempt] {
        if !part.is_empty() {
            let _ = write!(text, ", {part}");
        }
    }
    esc(&text)
}

fn open_link(svg: &mut String, card: &Card, lang: Lang) {
    let is_waiting = card.mark.is_some_and(|mark| matches!(mark.class, "waiting" | "skipped"));
    let class = match (is_waiting, card.is_selected) {
        (true, true) => "wait sel",
        (true, false) => "wait",
        (false, true) => "sel",
        (false, false) => "",
    };
    let text = describe(card, lang);
    let _ =
        write!(svg, "<a class=\"{class}\" href=\"{}\" aria-label=\"{text}\"><title>{text}</title>", esc(&card.href));
}

fn draw_control(svg: &mut String, card: &Card, at: Point, scale: &Scale, lang: Lang) {
    open_link(svg, card, lang);
    let r = scale.control_radius;
    let fill = card.mark.map_or("skipped", |mark| mark.class);
    let (x, y) = (at.x, at.y);
    match card.kind.as_str() {
        "fork" | "join" => {
            let _ = write!(svg, "<path class=\"ctl f-{fill}\" d=\"M{x} {}l{r} {r}-{r} {r}-{r}-{r}z\"/>", y - r);
        }
        "kill" => {
            let _ = write!(
                svg,
                "<rect class=\"ctl f-{fill}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                x - r + 1.0,
                y - r + 1.0,
                2.0 * r - 2.0,
                2.0 * r - 2.0
            );
        }
        _ => {
            let _ = write!(svg, "<circle class=\"ctl f-{fill}\" cx=\"{x}\" cy=\"{y}\" r=\"{}\"/>", r - 1.0);
        }
    }
    if let Some(mark) = card.mark {
        let _ = write!(
            svg,
            "<text class=\"lt fo-{fill}\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            y + 4.0,
            mark.letter
        );
    }
    let below = if scale.is_compact { y + r + 11.0 } else { y + r + 18.0 };
    let _ = write!(
        svg,
        "<text class=\"mt cl\" x=\"{x}\" y=\"{below}\" text-anchor=\"middle\">{}</text></a>",
        esc(&cut(&card.name, CONTROL_COLUMNS))
    );
}

fn draw_card(svg: &mut String, card: &Card, at: Point, scale: &Scale, lang: Lang) {
    open_link(svg, card, lang);
    let Size { width, height } = scale.card;
    let (x, y) = (at.x - width / 2.0, at.y - height / 2.0);
    let fill = card.mark.map_or("skipped", |mark| mark.class);
    let _ = write!(
        svg,
        "<rect class=\"card\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\
         <path class=\"f-{fill}\" d=\"M{} {y}h-1a5 5 0 0 0-5 5v{}a5 5 0 0 0 5 5h1z\"/>",
        x + 6.0,
        height - 10.0
    );
    if let Some(hatch) = card.mark.and_then(|mark| mark.hatch()) {
        let _ =
            write!(svg, "<rect fill=\"url(#{hatch})\" x=\"{x}\" y=\"{y}\" width=\"6\" height=\"{height}\" rx=\"3\"/>");
    }
    if scale.is_compact {
        let mut text_x = x + 13.0;
        if let Some(mark) = card.mark {
            chip(svg, mark, x + 11.0, at.y - 9.0);
            text_x = x + 48.0;
        }
        let room = if card.mark.is_some() { 20 } else { 25 };
        let _ = write!(
            svg,
            "<text class=\"nm\" x=\"{text_x}\" y=\"{}\">{}</text></a>",
            at.y + 4.5,
            esc(&cut(&card.name, room))
        );
        return;
    }
    let _ =
        write!(svg, "<text class=\"nm\" x=\"{}\" y=\"{}\">{}</text>", x + 13.0, y + 22.0, esc(&cut(&card.name, 14)));
    let line = y + 45.5;
    if let Some(mark) = card.mark {
        chip(svg, mark, x + 14.0, y + 32.0);
        let _ = write!(svg, "<text class=\"mt\" x=\"{}\" y=\"{line}\">{}</text>", x + 52.0, esc(&card.time));
    } else {
        let _ = write!(svg, "<text class=\"mt\" x=\"{}\" y=\"{line}\">{}</text>", x + 13.0, esc(&cut(&card.kind, 16)));
    }
    if !card.attempt.is_empty() {
        let _ = write!(
            svg,
            "<text class=\"mt\" x=\"{}\" y=\"{line}\" text-anchor=\"end\">{}</text>",
            x + width - 9.0,
            esc(&card.attempt)
        );
    }
    if let Some(symbol) = type_symbol(&card.kind) {
        let _ = write!(
            svg,
            "<svg class=\"ty\" x=\"{}\" y=\"{}\" width=\"12\" height=\"12\"><use href=\"#{symbol}\"/></svg>",
            x + width - 21.0,
            y + 10.0
        );
    }
    svg.push_str("</a>");
}

fn chip(svg: &mut String, mark: Mark, x: f64, y: f64) {
    let class = mark.class;
    let _ = write!(
        svg,
        "<rect class=\"f-{class}\" x=\"{x}\" y=\"{y}\" width=\"32\" height=\"18\" rx=\"4\"/>\
         <svg class=\"ci so-{class}\" x=\"{}\" y=\"{}\" width=\"10\" height=\"10\"><use href=\"#{}\"/></svg>\
         <text class=\"lt fo-{class}\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        x + 3.0,
        y + 4.0,
        mark.symbol(),
        x + 23.0,
        y + 13.5,
        mark.letter
    );
}

/// Symbols of the sprite; a type without one goes without.
fn type_symbol(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "transfer" => "t-transfer",
        "sql" => "t-sql",
        "script" | "shell" | "exec" | "file-executor" => "t-script",
        "data-monitor" | "file-monitor" | "metadata" => "t-data-monitor",
        "email" => "t-email",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(name: &str, kind: &str) -> Card {
        Card {
            name: name.to_owned(),
            kind: kind.to_owned(),
            mark: Some(super::super::super::markup::node(crate::model::state::NodeWord::Running)),
            time: String::new(),
            attempt: String::new(),
            href: format!("?node={name}"),
            is_selected: false,
            is_critical: false,
        }
    }

    fn line(from: usize, to: usize) -> Line {
        Line { from, to, style: LineStyle::Plain, is_error: false }
    }

    #[test]
    fn every_node_and_edge_is_in_the_picture_and_names_are_escaped() {
        let cards = [card("start", "start"), card("<img onerror=x>", "script"), card("结束", "end")];
        let svg = draw(&cards, &[line(0, 1), line(1, 2)], "g", Lang::En).0;
        assert_eq!(svg.matches("<a class").count(), 3);
        assert_eq!(svg.matches("<path class=\"edge").count(), 2);
        assert!(!svg.contains("<img"));
        assert!(svg.contains("结束") && svg.contains("&lt;img"));
        assert!(!svg.contains("style="));
    }

    #[test]
    fn three_hundred_nodes_stay_compact() {
        let mut cards = vec![card("start", "start"), card("fork", "fork")];
        cards.extend((0..296).map(|n| card(&format!("load_part_{n:03}"), "script")));
        cards.extend([card("join", "join"), card("end", "end")]);
        let mut lines = vec![line(0, 1)];
        lines.extend((2..298).flat_map(|n| [line(1, n), line(n, 298)]));
        lines.push(line(298, 299));
        let svg = draw(&cards, &lines, "g", Lang::En).0;
        assert_eq!(svg.matches("<a class").count(), 300);
        let height: f64 = svg.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        assert!(height < 296.0 * 40.0, "{height}");
    }
}
