//! Past runs of akkaflow's database into the file of this home that `history` reads. What had not ended is left out:
//! nothing of it goes on here.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::api::ExitCode;
use crate::cli::console::Failure;
use crate::config::Home;
use crate::connector::database::Database;
use crate::model::state::InstanceWord;
use crate::say;
use crate::store::StoreError;
use crate::store::past::{Past, PastInstance, PastLine, PastNode};

use super::table::{Record, each};
use super::{Done, Row};

/// Longest text of one line or message that is kept.
const TEXT_BYTES_MAX: usize = 64 * 1024;

pub async fn import(
    database: &mut Database,
    home: &Home,
    since: Option<NaiveDate>,
    is_dry: bool,
) -> Result<Vec<Row>, Failure> {
    let file = home.akkaflow_past_file();
    let mut past = if is_dry { None } else { Some(Past::create(&file).map_err(failed)?) };
    // A day holds nothing that could mean something else to the database.
    let rest = since.map_or(String::new(), |day| format!("WHERE stime >= '{day}'"));
    let (mut n_live, mut n_odd) = (0_u64, 0_u64);
    let mut ids = BTreeSet::new();
    let is_there = each(database, "workflow_instance", &rest, |record| {
        match instance(&record) {
            Some(one) if one.state.is_terminal() => {
                if let Some(past) = &mut past {
                    past.add(&one).map_err(failed)?;
                }
                ids.insert(one.id);
            }
            Some(_) => n_live += 1,
            None => n_odd += 1,
        }
        Ok(())
    });
    if !is_there.await? {
        let said = say!("the database of link \"{}\" has no table {}", database.link().name, "workflow_instance");
        return Err(Failure::new(ExitCode::NotFound, said).hint(say!("is it the one that akkaflow uses?")));
    }
    let (mut n_nodes, mut n_lines) = (0_u64, 0_u64);
    // Without an order of its own the table gives them in that of its key.
    each(database, "node_instance", "ORDER BY workflow_instance_id, stime IS NULL, stime", |record| {
        let id = record.get(&["workflow_instance_id"]).unwrap_or_default();
        if let Some(node) = node(&record).filter(|_| ids.contains(id)) {
            n_nodes += 1;
            if let Some(past) = &mut past {
                past.add_node(id, n_nodes, &node).map_err(failed)?;
            }
        }
        Ok(())
    })
    .await?;
    each(
        database,
        "log_record",
        "WHERE ctype IN ('WORFLOW_INSTANCE', 'WORKFLOW_INSTANCE', 'ACTION_NODE_INSTANCE') ORDER BY id",
        |record| {
            let id = record.get(&["sid"]).unwrap_or_default();
            if ids.contains(id) {
                n_lines += 1;
                if let Some(past) = &mut past {
                    past.add_line(id, n_lines, &line(&record)).map_err(failed)?;
                }
            }
            Ok(())
        },
    )
    .await?;
    if let Some(past) = &mut past {
        past.finish().map_err(failed)?;
    }
    let shown = file.strip_prefix(home.root()).unwrap_or(&file).display().to_string();
    let row = |name: String, done, note| Row { kind: "history", name, file: shown.clone(), done, note };
    let counts = say!("{} runs, {} nodes, {} lines of logs", ids.len(), n_nodes, n_lines);
    let mut rows = vec![row("workflow_instance".to_owned(), Done::Written, Some(counts))];
    if n_live > 0 {
        let note = say!("{} runs had not ended", n_live);
        rows.push(row("workflow_instance".to_owned(), Done::Unusable, Some(note)));
    }
    if n_odd > 0 {
        let note = say!("{} rows without an id, a name or a known state", n_odd);
        rows.push(row("workflow_instance".to_owned(), Done::Unusable, Some(note)));
    }
    Ok(rows)
}

fn failed(error: StoreError) -> Failure {
    Failure::theirs(error)
}

fn instance(record: &Record) -> Option<PastInstance> {
    let text = |names: &[&str]| record.get(names).map(cut);
    Some(PastInstance {
        id: text(&["id"]).filter(|id| !id.is_empty())?,
        workflow: text(&["name"]).filter(|name| !name.is_empty())?,
        state: state(record.get(&["status"])?)?,
        creator: text(&["creator"]),
        dir: text(&["dir"]),
        params: text(&["param", "params"]),
        description: text(&["description", "desc"]),
        started: text(&["stime"]),
        finished: text(&["etime"]),
    })
}

/// By akkaflow's code.
fn state(code: &str) -> Option<InstanceWord> {
    let code: u8 = code.trim().parse().ok()?;
    InstanceWord::ALL.iter().copied().find(|state| state.akkaflow_code() == code)
}

fn node(record: &Record) -> Option<PastNode> {
    let text = |names: &[&str]| record.get(names).map(cut);
    let state = match record.get(&["status"]).and_then(state) {
        // One that never had its turn.
        Some(InstanceWord::Queued) | None => "waiting",
        Some(state) => state.word(),
    };
    Some(PastNode {
        name: text(&["name"])?,
        kind: kind(record.get(&["type"]).unwrap_or_default()),
        state: state.to_owned(),
        started: text(&["stime"]),
        finished: text(&["etime"]),
        message: text(&["msg", "message"]).filter(|said| !said.is_empty()),
    })
}

/// `FileMonitorNode` is `file-monitor`.
fn kind(word: &str) -> String {
    let word = word.trim().trim_end_matches("Instance").trim_end_matches("Node");
    let mut kind = String::new();
    for c in word.chars() {
        if c.is_uppercase() && !kind.is_empty() {
            kind.push('-');
        }
        kind.extend(c.to_lowercase());
    }
    kind
}

fn line(record: &Record) -> PastLine {
    let is_of_node = record.get(&["ctype"]) == Some("ACTION_NODE_INSTANCE");
    PastLine {
        time_ms: record.get(&["stime"]).and_then(|ms| ms.trim().parse().ok()),
        level: record.get(&["level"]).map(cut),
        node: record.get(&["name"]).filter(|_| is_of_node).map(cut),
        text: record.get(&["content"]).map(cut).unwrap_or_default(),
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn akkaflows_words_become_ours() {
        for (theirs, ours) in [
            ("FileMonitorNode", "file-monitor"),
            ("ScriptNode", "script"),
            ("StartNode", "start"),
            ("DataMonitorNodeInstance", "data-monitor"),
            ("", ""),
        ] {
            assert_eq!(kind(theirs), ours, "{theirs}");
        }
        assert_eq!(state("5"), Some(InstanceWord::Killed));
        assert_eq!(state("7"), None);
        let record = Record::of(&[("name", "a"), ("status", "0"), ("type", "SqlNode"), ("msg", "")]);
        let waiting = node(&record).unwrap();
        assert_eq!((waiting.state.as_str(), waiting.message), ("waiting", None));
    }
}
