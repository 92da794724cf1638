//! `data-monitor`: is a number within its bounds? Number and bounds are each what a query gives, what a script writes,
//! or written in the file.
//!
//! It is looked at twice with a pause between, and must be the same, for what it counts may just be loading; or, if the
//! file says so, a second time only when it is out of bounds. What the last look found is told as outputs also when the
//! node fails: the masters keep it as history (`model::measurement`). At a kill a query is cancelled in its database,
//! and a script ended with its children.

use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::connector::database::{Database, DatabaseError, Dialect, Part, Row, Statement, share, split};
use crate::connector::link::DbLink;
use crate::connector::process::zygote::write_private;
use crate::model::action::BodyElement;
use crate::model::assignment::Rendered;
use crate::model::decimal::Decimal;
use crate::model::duration::Millis;
use crate::model::measurement::{self, is_within};
use crate::model::message::Message;
use crate::say;

use super::file_monitor::with_warning;
use super::task::{Failure, Task, attribute};
use super::{command, database, script};

/// Between the two looks, unless `pause` says otherwise.
const PAUSE: Millis = Millis::seconds(10);
/// What a message shows of a value that is no number.
const VALUE_CHARS_MAX: usize = 100;

/// What is looked at and how.
struct Wanted<'a> {
    source: Quantity<'a>,
    min: Option<Quantity<'a>>,
    max: Option<Quantity<'a>>,
    pause: Millis,
    /// Two looks, whatever the first one finds.
    is_always: bool,
    warning: Option<&'a str>,
}

/// One number and where it comes from.
struct Quantity<'a> {
    word: &'static str,
    origin: Origin<'a>,
}

enum Origin<'a> {
    Sql(Box<(DbLink, Statement)>),
    Command(&'a Rendered),
    Number(Decimal),
}

/// What one look found.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    value: Decimal,
    min: Option<Decimal>,
    max: Option<Decimal>,
}

pub fn run<'a>(task: &'a Task<'_>) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async {
        monitor(task).await.map_err(|failure| match task.is_stopped() {
            true => failure,
            false => Failure { message: say!("node {}: {}", task.assignment.node, failure.message), ..failure },
        })
    })
}

async fn monitor(task: &Task<'_>) -> Result<(), Failure> {
    let wanted = wanted(task).map_err(Failure::refused)?;
    let first = look(task, &wanted).await?;
    tell(task, &first);
    if first.is_within() && !wanted.is_always {
        found(task, &first);
        return Ok(());
    }
    task.log(&say!("the second look comes in {}", wanted.pause.to_string()));
    let pause = Duration::from_millis(u64::try_from(wanted.pause.0).unwrap_or(0));
    task.unless_stopped(tokio::time::sleep(pause)).await?;
    let second = look(task, &wanted).await?;
    tell(task, &second);
    found(task, &second);
    judge(&wanted, &first, &second).map_err(|fault| Failure::of(with_warning(fault, wanted.warning)))
}

fn wanted<'a>(task: &'a Task<'_>) -> Result<Wanted<'a>, Message> {
    let body = &task.assignment.body;
    let said = |name: &str, error: Message| say!("{} {}", name, error);
    let pause =
        attribute(body, "pause").map_or(Ok(PAUSE), |text| Millis::parse(text).map_err(|e| said("pause", e.said())))?;
    let is_always = match attribute(body, "double-check") {
        None | Some("always") => true,
        Some("outside") => false,
        Some(other) => return Err(say!("{} cannot be \"{}\"", "double-check", other)),
    };
    let optional = |word| body.child(word).map(|element| quantity(task, word, element)).transpose();
    let source = body.child("source").ok_or_else(|| say!("{} is missing", "source"))?;
    Ok(Wanted {
        source: quantity(task, "source", source)?,
        min: optional("min")?,
        max: optional("max")?,
        pause,
        is_always,
        warning: task.child_text("warn-msg"),
    })
}

fn quantity<'a>(
    task: &Task<'_>,
    word: &'static str,
    element: &'a BodyElement<Rendered>,
) -> Result<Quantity<'a>, Message> {
    let text = element.text.as_ref().filter(|text| !text.text.trim().is_empty());
    let text = text.ok_or_else(|| say!("{} is missing", word))?;
    let origin = match attribute(element, "type") {
        Some("SQL") => {
            let link = attribute(element, "db-link")
                .ok_or_else(|| say!("<{}> of type SQL needs the attribute db-link", word))?;
            let link = database::linked(task, link).map_err(|failure| failure.message)?;
            let statement = query(word, &link, text)?;
            Origin::Sql(Box::new((link, statement)))
        }
        Some("COMMAND") if !text.variables.is_empty() => {
            return Err(say!("<{}> of type COMMAND is for a shell: use $RF_PARAM_NAME, not |sql", word));
        }
        Some("COMMAND") => Origin::Command(text),
        Some("NUM") => {
            let written = text.text.trim();
            let number = Decimal::parse(written);
            Origin::Number(
                number.ok_or_else(|| say!("<{}> of type NUM must hold a number, not \"{}\"", word, written))?,
            )
        }
        other => {
            return Err(say!("the type of <{}> must be SQL, COMMAND or NUM, not \"{}\"", word, other.unwrap_or("")));
        }
    };
    Ok(Quantity { word, origin })
}

fn query(word: &'static str, link: &DbLink, text: &Rendered) -> Result<Statement, Message> {
    let wrong = |message: Message| say!("<{}>: {}", word, message);
    let mut statements = split(&text.text, Dialect::of(link.kind)).map_err(|error| wrong(error.said()))?;
    let values: Vec<String> = text.variables.iter().map(|(_, value)| value.clone()).collect();
    share(&mut statements, &values).map_err(|error| wrong(error.said()))?;
    let n_statements = statements.len();
    match (statements.pop(), n_statements) {
        (Some(statement), 1) => Ok(statement),
        _ => Err(say!("<{}> must hold one query, it has {} statement{s}", word, n_statements)),
    }
}

async fn look(task: &Task<'_>, wanted: &Wanted<'_>) -> Result<Look, Failure> {
    let value = number(task, &wanted.source).await?;
    let mut bounds = [None, None];
    for (bound, quantity) in bounds.iter_mut().zip([&wanted.min, &wanted.max]) {
        if let Some(quantity) = quantity {
            *bound = Some(number(task, quantity).await?);
        }
    }
    let [min, max] = bounds;
    Ok(Look { value, min, max })
}

async fn number(task: &Task<'_>, quantity: &Quantity<'_>) -> Result<Decimal, Failure> {
    let text = match &quantity.origin {
        Origin::Number(number) => return Ok(number.clone()),
        Origin::Sql(query) => first_value(task, quantity, &query.0, &query.1).await?,
        Origin::Command(text) => written(task, quantity, text).await?,
    };
    Decimal::parse(text.trim()).ok_or_else(|| {
        let mut shown: String = text.trim().chars().take(VALUE_CHARS_MAX).collect();
        if shown.len() < text.trim().len() {
            shown.push('…');
        }
        Failure::of(say!("<{}> gave \"{}\", which is not a number: {}", quantity.word, shown, quantity.said()))
    })
}

/// The first column of the first row.
async fn first_value(
    task: &Task<'_>,
    quantity: &Quantity<'_>,
    link: &DbLink,
    statement: &Statement,
) -> Result<String, Failure> {
    // Not kept open for the second look: that may be an hour away.
    let mut database = database::open(task, link).await?;
    let canceller = database.canceller();
    let asked = async {
        first_row(&mut database, statement)
            .await
            .map_err(|error| Failure::of(say!("<{}>: {}: {}", quantity.word, quantity.said(), error.said())))
    };
    match database::until_stopped(task, &canceller, asked).await?.and_then(|row| row.into_iter().next()) {
        Some(Some(value)) => Ok(value),
        Some(None) => Err(Failure::of(say!(
            "<{}> gave NULL instead of a number: {}; write coalesce(…, 0) where none means zero",
            quantity.word,
            quantity.said()
        ))),
        None => Err(Failure::of(say!("<{}> gave no row: {}", quantity.word, quantity.said()))),
    }
}

/// What comes after it is never asked for.
async fn first_row(database: &mut Database, statement: &Statement) -> Result<Option<Row>, DatabaseError> {
    let mut answer = database.run(statement).await?;
    while let Some(part) = answer.next().await? {
        if let Part::Row(row) = part {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// What a script writes to stdout; it runs as one of the type `script` does.
async fn written(task: &Task<'_>, quantity: &Quantity<'_>, text: &Rendered) -> Result<String, Failure> {
    let place = |message: Message| say!("<{}>: {}: {}", quantity.word, quantity.said(), message);
    let plan = script::of_text(text, task.assignment.script_trim);
    for file in &plan.files {
        write_private(&task.work_dir.join(&file.name), &file.bytes)
            .map_err(|error| Failure::of(place(Message::verbatim(error.to_string()))))?;
    }
    let mut program = Command::new(&plan.program);
    program.args(plan.args.iter().skip(1)).current_dir(&task.work_dir).stdout(Stdio::piped());
    // Its outputs are ours to write.
    program.env_remove("RF_OUTPUT");
    let output = command::run(task, program).await.map_err(|failure| match task.is_stopped() {
        true => failure,
        false => Failure::of(place(failure.message)),
    })?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

fn tell(task: &Task<'_>, look: &Look) {
    let bound = |bound: &Option<Decimal>| bound.as_ref().map_or("-".to_owned(), Decimal::to_string);
    task.log(&say!("value {}, minimum {}, maximum {}", look.value.to_string(), bound(&look.min), bound(&look.max)));
}

fn found(task: &Task<'_>, look: &Look) {
    task.finding(measurement::VALUE, &look.value);
    for (name, bound) in [(measurement::MIN, &look.min), (measurement::MAX, &look.max)] {
        if let Some(bound) = bound {
            task.finding(name, bound);
        }
    }
}

fn judge(wanted: &Wanted<'_>, first: &Look, second: &Look) -> Result<(), Message> {
    let source = wanted.source.said();
    let value = second.value.to_string();
    if wanted.is_always && first != second {
        let shown = |look: &Look| {
            let all = [Some(&look.value), look.min.as_ref(), look.max.as_ref()];
            all.into_iter().flatten().map(Decimal::to_string).collect::<Vec<_>>().join(", ")
        };
        return Err(say!(
            "the second look found other numbers than the first ({}; {} before): {}; is it still being loaded?",
            shown(second),
            shown(first),
            source
        ));
    }
    let pause = wanted.pause.to_string();
    if let (Some(bound), Some(min)) = (&second.min, &wanted.min)
        && second.value < *bound
    {
        return Err(say!(
            "the value {} ({}) is below the minimum {} ({}), and was out of bounds {} before: look at what the source reads, or change <min>",
            value,
            source,
            bound.to_string(),
            min.said(),
            pause
        ));
    }
    if let (Some(bound), Some(max)) = (&second.max, &wanted.max)
        && second.value > *bound
    {
        return Err(say!(
            "the value {} ({}) is above the maximum {} ({}), and was out of bounds {} before: look at what the source reads, or change <max>",
            value,
            source,
            bound.to_string(),
            max.said(),
            pause
        ));
    }
    Ok(())
}

impl Look {
    fn is_within(&self) -> bool {
        is_within(&self.value, self.min.as_ref(), self.max.as_ref())
    }
}

impl Quantity<'_> {
    /// Where the number comes from.
    fn said(&self) -> Message {
        match &self.origin {
            Origin::Sql(query) => say!("SQL on link {}: {}", query.0.name, query.1.head()),
            Origin::Command(text) => {
                let head = Statement::new(text.text.trim()).head();
                say!("COMMAND: {}", head)
            }
            Origin::Number(_) => Message::verbatim("NUM"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::node::testing::{assignment, element, task, with_attribute};

    type Written<'t> = (&'t str, &'t str, &'t str);

    fn body(quantities: &[Written<'_>], attributes: &[(&str, &str)]) -> BodyElement<Rendered> {
        let child = |(word, kind, text): &Written<'_>| {
            let typed = with_attribute(element(word, &[text], vec![]), "type", kind);
            if *kind == "SQL" { with_attribute(typed, "db-link", "here") } else { typed }
        };
        let body = element("data-monitor", &[], quantities.iter().map(child).collect());
        let body = with_attribute(body, "pause", "1ms");
        attributes.iter().fold(body, |body, (name, value)| with_attribute(body, name, value))
    }

    /// The outputs and, where it failed, the message.
    async fn look_at(
        dir: &Path,
        quantities: &[Written<'_>],
        attributes: &[(&str, &str)],
    ) -> (Vec<(String, String)>, Result<(), Failure>) {
        let conf = dir.join("conf");
        std::fs::create_dir_all(&conf).unwrap();
        let links = r#"<db-links><link name="here" type="SQLITE" jdbc-url="jdbc:sqlite:data.db" username="" password=""/></db-links>"#;
        std::fs::write(conf.join("db_links.xml"), links).unwrap();
        let mut task = task(assignment(body(quantities, attributes)), &conf);
        task.work_dir = dir.to_owned();
        let done = run(&task).await;
        // What a failure leaves for the outcome is what a success leaves.
        let verdict = task.verdict(Failure::of(Message::default()));
        let lines: Vec<_> =
            verdict.outputs.iter().map(|(n, v)| format!("{{\"name\":\"{n}\",\"value\":\"{v}\"}}\n")).collect();
        assert_eq!(lines.concat(), task.output_lines());
        (verdict.outputs, done)
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn said(done: Result<(), Failure>) -> String {
        done.unwrap_err().message.english()
    }

    #[tokio::test]
    async fn bounds_are_inclusive_and_may_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let num = async |value: &str, min: &str, max: &str| {
            let all = [("source", "NUM", value), ("min", "NUM", min), ("max", "NUM", max)];
            let given: Vec<Written<'_>> = all.into_iter().filter(|(_, _, text)| !text.is_empty()).collect();
            look_at(dir.path(), &given, &[]).await
        };
        assert_eq!(num(" 7 ", "7", "7.0").await, (pairs(&[("value", "7"), ("min", "7"), ("max", "7")]), Ok(())));
        assert_eq!(num("7", "", "").await, (pairs(&[("value", "7")]), Ok(())));
        let (outputs, done) = num("6.9", "7", "").await;
        let message = said(done);
        assert_eq!(outputs, pairs(&[("value", "6.9"), ("min", "7")]));
        assert!(message.starts_with("node n: the value 6.9 (NUM) is below the minimum 7 (NUM)"), "{message}");
        assert!(message.contains("1ms before") && message.contains("change <min>"), "{message}");
        let message = said(num("99999999999999999", "", "99999999999999998").await.1);
        assert!(message.contains("above the maximum 99999999999999998") && message.contains("<max>"), "{message}");
    }

    #[tokio::test]
    async fn a_query_gives_its_first_value_and_the_message_names_link_and_statement() {
        let dir = tempfile::tempdir().unwrap();
        let sql =
            async |text: &str| look_at(dir.path(), &[("source", "SQL", text), ("max", "COMMAND", "echo 2")], &[]).await;
        let three = "with t(n, m) as (values (3, 9), (4, 9)) select n, m from t;";
        let (outputs, done) = sql(three).await;
        assert_eq!(outputs, pairs(&[("value", "3"), ("max", "2")]));
        let message = said(done);
        let wanted = "the value 3 (SQL on link here: with t(n, m) as (values (3, 9), (4, 9)) select n, m from t) is above the maximum 2 (COMMAND: echo 2)";
        assert!(message.contains(wanted), "{message}");
        assert_eq!(sql("select 1.50").await.0, pairs(&[("value", "1.5"), ("max", "2")]));
        for (text, wanted) in [
            ("select null", "<source> gave NULL instead of a number: SQL on link here: select null; write coalesce"),
            ("select 1 where 1 = 0", "<source> gave no row: SQL on link here"),
            ("select 'many'", "<source> gave \"many\", which is not a number"),
            ("select n from nowhere", "<source>: SQL on link here: select n from nowhere: "),
        ] {
            let (outputs, done) = sql(text).await;
            let message = said(done);
            assert!(message.starts_with(&format!("node n: {wanted}")), "{message}");
            assert!(outputs.is_empty(), "{text}: nothing was measured");
        }
        for text in ["select 1; select 2", " -- nothing\n"] {
            let failure = sql(text).await.1.unwrap_err();
            assert!(failure.is_refusal && failure.message.english().contains("must hold one query"), "{failure}");
        }
    }

    #[tokio::test]
    async fn two_looks_find_the_same_or_the_last_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        // Counts its looks: 1, 2, 3, …
        let looks = "echo x >> looks; wc -l < looks";
        let monitor = async |min: &str, attributes: &[(&str, &str)]| {
            let _ = std::fs::remove_file(dir.path().join("looks"));
            look_at(dir.path(), &[("source", "COMMAND", looks), ("min", "NUM", min)], attributes).await
        };
        let outside = &[("double-check", "outside")];
        assert_eq!(monitor("1", outside).await, (pairs(&[("value", "1"), ("min", "1")]), Ok(())), "one look is enough");
        assert_eq!(monitor("2", outside).await, (pairs(&[("value", "2"), ("min", "2")]), Ok(())), "good at the second");
        let (outputs, done) = monitor("3", outside).await;
        assert!(said(done).contains("the value 2 ") && outputs == pairs(&[("value", "2"), ("min", "3")]));
        let changed = said(monitor("1", &[]).await.1);
        assert!(changed.contains("found other numbers than the first (2, 1; 1, 1 before)"), "{changed}");
    }

    #[tokio::test]
    async fn a_script_runs_by_its_first_line_and_has_to_end_well() {
        let dir = tempfile::tempdir().unwrap();
        let command = async |text: &str| look_at(dir.path(), &[("source", "COMMAND", text)], &[]).await;
        assert_eq!(command("\n   #!/bin/cat\n   7\n").await.0, pairs(&[]), "it writes its first line too");
        assert_eq!(command("#!/usr/bin/tail -1\n7").await, (pairs(&[("value", "7")]), Ok(())));
        let failed = said(command("echo 7; exit 3").await.1);
        assert_eq!(failed, "node n: <source>: COMMAND: echo 7; exit 3: exit code 3");
        let long = said(command("yes").await.1);
        assert!(long.ends_with("it wrote more than 65536 bytes"), "{long}");
    }

    #[tokio::test]
    async fn what_the_author_says_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path();
        let mut body = body(&[("source", "NUM", "1"), ("min", "NUM", "2")], &[]);
        body.children.push(element("warn-msg", &["too few orders"], vec![]));
        let task = task(assignment(body), conf);
        let message = said(run(&task).await);
        assert!(message.starts_with("node n: too few orders: the value 1"), "{message}");
    }
}
