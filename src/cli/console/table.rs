//! Tables in columns of text, aligned by what a terminal shows (a Chinese character is two wide), cut only on a
//! terminal and never when piped.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::output::{Console, Format};
use crate::model::state::{AttemptWord, InstanceWord, NodeWord};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    text: String,
    style: Style,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        // A line break or an escape sequence in somebody's text must not draw on the terminal.
        let text: String = text.into().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { text, style: Style::new() }
    }
}

impl Cell {
    pub fn instance(state: InstanceWord, console: &Console) -> Self {
        Self::state(state.letter(), console.word(state.word(), state.word_zh()))
    }

    pub fn node(state: NodeWord, console: &Console) -> Self {
        Self::state(state.letter(), console.word(state.word(), state.word_zh()))
    }

    pub fn attempt(state: AttemptWord, console: &Console) -> Self {
        Self::state(state.letter(), console.word(state.word(), state.word_zh()))
    }

    /// The letter tells the states apart without colour, and for grep.
    fn state(letter: char, word: &str) -> Self {
        let color = match letter {
            'S' => AnsiColor::Green,
            'F' | 'T' | 'L' => AnsiColor::Red,
            'R' | 'D' => AnsiColor::Cyan,
            'K' | 'U' | 'Y' | 'P' => AnsiColor::Yellow,
            _ => AnsiColor::BrightBlack,
        };
        Self { text: format!("{letter} {word}"), style: color.on_default() }
    }

    /// A folder of a tree.
    pub fn folder(name: &str) -> Self {
        Self { style: AnsiColor::Blue.on_default().bold(), ..Self::from(name) }
    }

    /// A thing that is switched on or off.
    pub fn switched(name: &str, is_on: bool) -> Self {
        let color = if is_on { AnsiColor::Green } else { AnsiColor::Red };
        Self { style: color.on_default(), ..Self::from(name) }
    }

    /// Outside of a table.
    pub fn alone(&self, console: &Console) -> String {
        if console.is_colored && !self.style.is_plain() {
            format!("{}{}{}", self.style.render(), self.text, self.style.render_reset())
        } else {
            self.text.clone()
        }
    }

    fn width(&self) -> usize {
        self.text.width()
    }
}

/// Rows under a header.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    empty: Option<String>,
}

#[derive(Debug, Clone)]
struct Column {
    title: String,
    is_wide: bool,
    is_right: bool,
}

impl Table {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn column(mut self, title: &str) -> Self {
        self.columns.push(Column { title: title.to_owned(), is_wide: false, is_right: false });
        self
    }

    /// Numbers.
    pub fn right(mut self, title: &str) -> Self {
        self.columns.push(Column { title: title.to_owned(), is_wide: false, is_right: true });
        self
    }

    /// Shown with `-o wide` alone.
    pub fn wide(mut self, title: &str) -> Self {
        self.columns.push(Column { title: title.to_owned(), is_wide: true, is_right: false });
        self
    }

    /// Said instead of a header over nothing.
    pub fn empty(mut self, text: &str) -> Self {
        self.empty = Some(text.to_owned());
        self
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn render(&self, console: &Console) -> String {
        if self.rows.is_empty() {
            return self.empty.clone().unwrap_or_default();
        }
        let is_shown = |column: &Column| !column.is_wide || console.format == Format::Wide;
        let shown: Vec<usize> = (0..self.columns.len()).filter(|at| is_shown(&self.columns[*at])).collect();
        let widths: Vec<usize> = shown
            .iter()
            .map(|at| {
                let cells = self.rows.iter().filter_map(|row| row.get(*at)).map(Cell::width);
                cells.chain([self.columns[*at].title.width()]).max().unwrap_or(0)
            })
            .collect();
        let header: Vec<Cell> =
            self.columns.iter().map(|column| Cell { text: column.title.clone(), style: Style::new().bold() }).collect();
        let mut text = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            text.push_str(&self.line(row, &shown, &widths, console));
            text.push('\n');
        }
        text
    }

    fn line(&self, row: &[Cell], shown: &[usize], widths: &[usize], console: &Console) -> String {
        let mut line = String::new();
        let mut used = 0;
        for (place, (at, width)) in shown.iter().zip(widths).enumerate() {
            let Some(cell) = row.get(*at) else { continue };
            let is_last = place + 1 == shown.len();
            if place > 0 {
                line.push_str("  ");
                used += 2;
            }
            let room = console.width.map(|all| all.saturating_sub(used));
            let text = match room {
                Some(room) if cell.width() > room => cut(&cell.text, room),
                _ => cell.text.clone(),
            };
            let pad = " ".repeat(width.saturating_sub(text.width()));
            if self.columns[*at].is_right {
                line.push_str(&pad);
            }
            if console.is_colored && !cell.style.is_plain() {
                line.push_str(&format!("{}{text}{}", cell.style.render(), cell.style.render_reset()));
            } else {
                line.push_str(&text);
            }
            if !self.columns[*at].is_right && !is_last {
                line.push_str(&pad);
            }
            used += width;
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// The beginning that fits, with a sign that something is missing.
fn cut(text: &str, room: usize) -> String {
    if room == 0 {
        return String::new();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_what_a_terminal_shows() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日报_订单", 6), "日报_…");
        assert_eq!(cut("日报", 0), "");
    }

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        assert_eq!(Cell::from("a\u{1b}[31m\nb").text, "a [31m b");
    }
}
