//! Bodies of routines: a `;` inside one ends no statement.
//!
//! Counts what opens and what `END` closes, by the words alone. A word counts where a statement may begin, so that
//! `IF(a, b, c)` and `REPEAT('x', 3)` open nothing; `CASE` counts everywhere, for its `END` does. A text that is
//! wrong is cut somewhere: its database tells what is wrong.

use super::token::{Kind, Token};
use crate::connector::database::dialect::Dialect;

/// What has been read of one statement.
pub(super) struct Body {
    dialect: Dialect,
    /// Words and signs so far, as far as the head is asked for.
    n_tokens: usize,
    first: String,
    /// The head says that a body may follow.
    form: Form,
    open: Vec<Block>,
    parens: usize,
    /// A block was opened: its end is the end of the statement.
    is_opened: bool,
    is_slash_behind: bool,
    last: String,
    /// The token before was END.
    is_behind_end: bool,
    is_behind_dot: bool,
}

/// What `END` closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Statements,
    /// A `CASE` that gives a value: no statement begins in it, whatever its words.
    Expression,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Ends at the first delimiter.
    Plain,
    /// Has a body when a block begins.
    Routine,
    /// Is a block, or declares things before it: ends with the block alone.
    Block,
    /// Oracle's packages and types: as long as the script or up to a `/`.
    Whole,
}

/// `CREATE` is followed by a handful of words before it says what it creates.
const HEAD_TOKENS: usize = 24;

impl Body {
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            n_tokens: 0,
            first: String::new(),
            form: Form::Plain,
            open: Vec::new(),
            parens: 0,
            is_opened: false,
            is_slash_behind: false,
            last: String::new(),
            is_behind_end: false,
            is_behind_dot: false,
        }
    }

    /// A statement begins.
    pub fn begin(&mut self, is_slash_behind: bool) {
        self.is_slash_behind = is_slash_behind;
    }

    /// Does this delimiter belong to the statement?
    pub fn holds(&self, token: &Token, script: &str) -> bool {
        if &script[token.span.clone()] != ";" {
            return false;
        }
        match self.form {
            Form::Plain => self.dialect == Dialect::PostgreSql && self.parens > 0,
            Form::Routine => !self.open.is_empty(),
            Form::Block => self.is_slash_behind || !self.open.is_empty() || !self.is_opened,
            Form::Whole => true,
        }
    }

    /// Oracle wants the `;` of a block.
    pub fn keeps_delimiter(&self) -> bool {
        self.dialect == Dialect::Oracle && matches!(self.form, Form::Block | Form::Whole)
    }

    pub fn push(&mut self, token: &Token, script: &str) {
        let text = &script[token.span.clone()];
        self.n_tokens += 1;
        if token.kind == Kind::Word && text.len() <= 32 {
            self.word(text.to_ascii_uppercase());
            return;
        }
        match text {
            "(" => self.parens += 1,
            ")" => self.parens = self.parens.saturating_sub(1),
            _ => {}
        }
        self.is_behind_dot = text == ".";
        self.is_behind_end = false;
        // A string stands for what it is: text.
        self.last = if token.kind == Kind::Quoted { "'".to_owned() } else { text.chars().take(2).collect() };
    }

    fn word(&mut self, word: String) {
        let is_behind_end = std::mem::take(&mut self.is_behind_end);
        let is_name = std::mem::take(&mut self.is_behind_dot);
        if self.n_tokens == 1 {
            self.first.clone_from(&word);
        }
        self.head(&word);
        if !is_name && self.form != Form::Plain {
            self.count(&word, is_behind_end);
        }
        self.last = word;
    }

    /// Does the head say that a body follows?
    fn head(&mut self, word: &str) {
        if self.form != Form::Plain || self.n_tokens > HEAD_TOKENS {
            return;
        }
        let is_create = self.n_tokens > 1
            && self.parens == 0
            && (self.first == "CREATE" || (self.first == "ALTER" && self.dialect == Dialect::MySql));
        self.form = match (self.dialect, word) {
            (Dialect::MySql, "PROCEDURE" | "FUNCTION" | "TRIGGER" | "EVENT" | "PACKAGE") if is_create => Form::Routine,
            // MariaDB's compound statement.
            (Dialect::MySql, "NOT") if self.n_tokens == 2 && self.first == "BEGIN" => {
                self.open.push(Block::Statements);
                Form::Routine
            }
            (Dialect::Sqlite, "TRIGGER") if is_create => Form::Routine,
            (Dialect::PostgreSql, "FUNCTION" | "PROCEDURE") if is_create => Form::Routine,
            (Dialect::Oracle, "PACKAGE" | "TYPE") if is_create => Form::Whole,
            (Dialect::Oracle, "PROCEDURE" | "FUNCTION" | "TRIGGER") if is_create => Form::Block,
            (Dialect::Oracle, "DECLARE" | "BEGIN") if self.n_tokens == 1 => Form::Block,
            (Dialect::Standard, "PROCEDURE" | "FUNCTION" | "TRIGGER") if is_create => Form::Routine,
            _ => Form::Plain,
        };
    }

    fn count(&mut self, word: &str, is_behind_end: bool) {
        // PostgreSQL's bodies are strings, but for the one that begins with BEGIN ATOMIC; SQLite's know no others.
        let has_statements = !matches!(self.dialect, Dialect::Sqlite | Dialect::PostgreSql);
        let block = match word {
            "END" => {
                self.open.pop();
                self.is_behind_end = true;
                return;
            }
            // `END IF` and the like close what END closed already.
            "IF" | "CASE" | "LOOP" | "WHILE" | "REPEAT" | "FOR" if is_behind_end => return,
            "BEGIN" if self.dialect != Dialect::PostgreSql => Block::Statements,
            "ATOMIC" if self.dialect == Dialect::PostgreSql && self.last == "BEGIN" => Block::Statements,
            "CASE" if has_statements && self.begins_statement(word) => Block::Statements,
            "CASE" => Block::Expression,
            "IF" | "LOOP" | "WHILE" | "REPEAT" | "FOR" if has_statements && self.begins_statement(word) => {
                Block::Statements
            }
            _ => return,
        };
        self.open.push(block);
        self.is_opened |= block == Block::Statements;
    }

    /// May a statement begin behind the token before?
    fn begins_statement(&self, word: &str) -> bool {
        if self.open.last() == Some(&Block::Expression) {
            return false;
        }
        // Oracle's `WHILE x LOOP … END LOOP` and `FOR x IN y LOOP … END LOOP` are opened by their LOOP.
        if self.dialect == Dialect::Oracle && matches!(word, "LOOP" | "WHILE" | "FOR" | "REPEAT") {
            return word == "LOOP";
        }
        match self.last.as_str() {
            ";" | "BEGIN" | "THEN" | "ELSE" | "LOOP" | "REPEAT" | "DO" | "ATOMIC" | ":" => true,
            // The only statement of a routine stands behind its head.
            "ROW" | ")" | "DETERMINISTIC" | "SQL" | "DATA" | "INVOKER" | "DEFINER" | "'" => {
                self.open.is_empty() && word != "FOR"
            }
            _ => false,
        }
    }
}
