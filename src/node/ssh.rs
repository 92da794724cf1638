//! `ssh`: commands on another host, with its exit code and its outputs, ended there at a kill.

use std::collections::BTreeMap;
use std::pin::Pin;

use crate::connector::process::sweep::TOKEN_VARIABLE;
use crate::connector::ssh::{Script, Session, Stream};
use crate::say;

use super::files::{self, OPEN_WITHIN};
use super::output;
use super::process::{Plan, TaskFiles, environment, params_json};
use super::script::{dedent, trim_lines};
use super::task::{Failure, Task, attribute};

/// Of all names and values of its outputs; the worker's own bound is applied to them after that.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// What of the last line of stderr a message carries.
const LAST_LINE_CHARS_MAX: usize = 500;
/// Paths of this host, which mean nothing over there; the session gives its own.
const LOCAL_NAMES: &[&str] = &[TOKEN_VARIABLE, "RF_OUTPUT", "RF_PARAMS"];

pub fn run<'a>(task: &'a Task<'_>) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async {
        let name = attribute(&task.assignment.body, "file-link").unwrap_or_default();
        let link = files::linked(task, name)?;
        let script = script(task)?;
        let opening = Session::open(&link, task.conf_dir, OPEN_WITHIN);
        let session = task.unless_stopped(opening).await?.map_err(failed)?;
        let place = format!("{}@{}", link.username, link.host);
        task.log(&say!("runs on {}", place));
        let stop = async {
            task.stopped().await;
            task.warn(&say!("told to stop: the command is ended on {}", place));
        };
        let mut last_error = String::new();
        let ended = session.run(&script, stop, |stream, text| match stream {
            Stream::Out => task.print(text),
            Stream::Err => {
                task.print_error(text);
                if !text.trim().is_empty() {
                    last_error = text.trim().chars().filter(|c| !c.is_control()).take(LAST_LINE_CHARS_MAX).collect();
                }
            }
        });
        let ended = ended.await.map_err(failed)?;
        if task.is_stopped() {
            return Err(Failure::of(say!("killed")));
        }
        if ended.exit_code != 0 {
            task.exited(i32::try_from(ended.exit_code).unwrap_or(i32::MAX));
            let how = say!("exit code {} on {}", ended.exit_code, place);
            return Err(Failure::of(if last_error.is_empty() { how } else { say!("{}: {}", how, last_error) }));
        }
        let outputs = output::parse(&ended.outputs, OUTPUT_BYTES_MAX);
        for (name, value) in outputs.map_err(|error| Failure::of(say!("$RF_OUTPUT on {}: {}", place, error.said())))? {
            task.output(&name, value);
        }
        Ok(())
    })
}

fn failed(error: crate::connector::ssh::SshError) -> Failure {
    Failure { is_refusal: error.is_for_good(), message: error.said() }
}

/// What a task of this host would have: its text, its environment, its parameters.
fn script(task: &Task<'_>) -> Result<Script, Failure> {
    let assignment = &task.assignment;
    let missing = || Failure::refused(say!("{} is missing", "command"));
    let command = assignment.body.child("command").and_then(|child| child.text.as_ref()).ok_or_else(missing)?;
    let text = if assignment.script_trim { trim_lines(&command.text) } else { dedent(&command.text) };
    let plan = Plan { variables: command.variables.clone(), ..Plan::default() };
    let files = TaskFiles { output: Default::default(), params: Default::default() };
    let made = environment(assignment, BTreeMap::new(), &plan, &files, "");
    for warning in &made.warnings {
        task.print_error(warning);
    }
    let pair = |entry: &Vec<u8>| {
        let entry = String::from_utf8_lossy(entry).into_owned();
        entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let environment = made.entries.iter().filter_map(pair);
    let environment = environment.filter(|(name, _)| !LOCAL_NAMES.contains(&name.as_str())).collect();
    let params = String::from_utf8_lossy(&params_json(assignment)).into_owned();
    Ok(Script { text, environment, params })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::node::testing::{assignment, element, task, with_attribute};

    fn body(link: &str) -> crate::model::assignment::Assignment {
        let command = element("command", &["\n    date\n    exit 3\n"], vec![]);
        assignment(with_attribute(element("ssh", &[], vec![command]), "file-link", link))
    }

    #[test]
    fn the_command_has_what_a_task_has_and_no_path_of_this_host() {
        let mut assignment = body("etl");
        assignment.env = vec![("COLOUR".into(), "red".into())];
        let script = script(&task(assignment, Path::new("conf"))).unwrap();
        assert_eq!((script.text.as_str(), script.params.as_str()), ("date\nexit 3\n", "{}"));
        let names: Vec<&str> = script.environment.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"COLOUR") && names.contains(&"RF_FENCE"), "{names:?}");
        assert!(LOCAL_NAMES.iter().all(|name| !names.contains(name)), "{names:?}");
    }

    #[tokio::test]
    async fn a_link_that_is_no_host_is_refused() {
        let failure = run(&task(body("local"), Path::new("conf"))).await.unwrap_err();
        assert!(failure.is_refusal && failure.message.english().contains("of type LOCAL"), "{failure}");
        let failure = run(&task(body("nowhere"), Path::new("conf"))).await.unwrap_err();
        assert!(failure.is_refusal && failure.message.english().contains("nowhere"), "{failure}");
    }
}
