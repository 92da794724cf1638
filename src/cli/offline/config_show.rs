//! `config show`: the settings in force, and where each comes from.

use clap::{ArgMatches, Args, FromArgMatches};

use crate::api::ExitCode;
use crate::cli::console::{Cell, Console, Failure, Outcome, Table, Verb, augment};
use crate::config::{Home, KEYS, Loaded, Source};

pub const VERB: Verb = Verb {
    path: "config show",
    about: "Settings in force",
    examples: &[
        "ractorflow config show",
        "ractorflow config show --sources",
        "RACTORFLOW_HTTP__PORT=9000 ractorflow config show -o json",
    ],
    exits: &[],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Say where each value comes from: default, file, environment
    #[arg(long)]
    sources: bool,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    let loaded = Loaded::load(&home)?;
    let values = serde_json::to_value(&loaded.config).map_err(|error| Failure::theirs(&error))?;
    console.show(&values, &home.root().display().to_string(), || {
        let mut table = Table::new().column(console.word("KEY", "键")).column(console.word("VALUE", "值"));
        if arguments.sources {
            table = table.column(console.word("SOURCE", "来源"));
        }
        for key in KEYS {
            let mut row = vec![
                Cell::from(format!("{}.{}", key.section, key.name)),
                Cell::from(values[key.section][key.name].to_string()),
            ];
            if arguments.sources {
                let source = loaded.sources.get(&(key.section.to_owned(), key.name.to_owned()));
                row.push(Cell::from(match source {
                    None | Some(Source::Default) => console.word("default", "默认").to_owned(),
                    Some(Source::File { line }) => format!("conf/ractorflow.toml:{line}"),
                    Some(Source::Environment { variable }) => variable.clone(),
                }));
            }
            table.row(row);
        }
        table.render(console)
    })?;
    Ok(ExitCode::Ok)
}
