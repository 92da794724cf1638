//! Every verb, in the order of help and docs/cli.md. A new verb is one file and one row here.

use std::ffi::OsString;

use clap::{ArgMatches, Args, Command};

use super::console::{Global, Verb};
use super::{akkaflow, offline, remote, server};

/// The nouns, with a line on each.
const NOUNS: &[(&str, &str)] = &[
    ("workflow", "Workflows and their definitions"),
    ("schedule", "What is to come"),
    ("instance", "Runs of workflows"),
    ("worker", "Machines that run tasks"),
    ("cluster", "The cluster itself"),
    ("link", "Named databases and hosts"),
    ("import", "Taking over from other schedulers"),
    ("history", "Runs that another scheduler made"),
    ("config", "Settings of this home"),
    ("schema", "Descriptions for machines"),
    ("server", "Run a role in the foreground"),
    ("local", "The processes of this home"),
];

/// Other words for a verb.
const ALIASES: &[(&str, &str)] = &[("instance list", "search")];

pub const VERBS: &[&Verb] = &[
    &remote::status::VERB,
    &remote::why::VERB,
    &remote::logs::VERB,
    &remote::run::VERB,
    &offline::check::VERB,
    &remote::workflow::list::VERB,
    &remote::workflow::tree::VERB,
    &remote::workflow::show::VERB,
    &remote::workflow::check::VERB,
    &remote::workflow::apply::VERB,
    &remote::workflow::delete::VERB,
    &remote::workflow::enable::VERB,
    &remote::workflow::disable::VERB,
    &remote::workflow::trigger::VERB,
    &remote::workflow::reset::VERB,
    &remote::workflow::errors::VERB,
    &remote::workflow::next::VERB,
    &remote::workflow::versions::VERB,
    &remote::schedule::today::VERB,
    &remote::instance::list::VERB,
    &remote::instance::show::VERB,
    &remote::instance::logs::VERB,
    &remote::instance::wait::VERB,
    &remote::instance::kill::VERB,
    &remote::instance::rerun::VERB,
    &remote::instance::pause::VERB,
    &remote::instance::resume::VERB,
    &remote::instance::mark::VERB,
    &remote::instance::delete::VERB,
    &remote::worker::list::VERB,
    &remote::worker::drain::VERB,
    &remote::worker::declare_dead::VERB,
    &remote::cluster::status::VERB,
    &remote::cluster::nodes::VERB,
    &remote::cluster::member::VERB,
    &remote::cluster::switch_over::VERB,
    &remote::cluster::finalize_upgrade::VERB,
    &server::promote::VERB,
    &server::security::init::VERB,
    &server::security::join_token::VERB,
    &server::security::join::VERB,
    &server::security::cert::VERB,
    &remote::link::list::VERB,
    &remote::link::show::VERB,
    &remote::link::add::VERB,
    &remote::link::update::VERB,
    &remote::link::remove::VERB,
    &remote::link::test::VERB,
    &offline::link::CHECK,
    &offline::import::VERB,
    &offline::past::LIST,
    &offline::past::SHOW,
    &offline::config_show::VERB,
    &offline::config_check::VERB,
    &offline::xsd::VERB,
    &remote::openapi::VERB,
    &offline::completion::VERB,
    &offline::version::VERB,
    &akkaflow::VERB,
    &server::role::MASTER,
    &server::role::WORKER,
    &server::role::HTTP,
    &server::role::STANDALONE,
    &server::supervise::VERB,
    &server::task::VERB,
    &server::link_probe::VERB,
    &server::local::start::VERB,
    &server::local::stop::VERB,
    &server::local::status::VERB,
];

/// The whole tree.
pub fn command() -> Command {
    tree(|_| true)
}

/// As much of the tree as these arguments can mean: what it accepts means the same to the whole tree, which takes longer
/// to make than many a verb to run. What it refuses, only the whole tree can explain.
pub fn command_for(arguments: &[OsString]) -> Command {
    let is_typed = |word: &str| arguments.iter().any(|argument| argument == word);
    tree(|verb| {
        let mut others = ALIASES.iter().filter(|(path, _)| *path == verb.path).map(|(_, word)| *word);
        verb.noun().is_none_or(is_typed) && (is_typed(verb.word()) || others.any(is_typed))
    })
}

fn tree(is_wanted: impl Fn(&Verb) -> bool) -> Command {
    let mut root = Command::new("ractorflow")
        .about("A clustered workflow scheduler: XML in, workers run it")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .max_term_width(100);
    root = Global::augment_args(root);
    for verb in VERBS.iter().filter(|verb| verb.noun().is_none() && is_wanted(verb)) {
        root = root.subcommand(verb.command());
    }
    for (noun, about) in NOUNS {
        let verbs: Vec<_> = VERBS.iter().filter(|verb| verb.noun() == Some(noun) && is_wanted(verb)).collect();
        if verbs.is_empty() {
            continue;
        }
        let mut command = Command::new(*noun).about(*about).subcommand_required(true).arg_required_else_help(true);
        command = command.hide(verbs.iter().all(|verb| verb.is_hidden)).disable_help_subcommand(true);
        for verb in verbs {
            let other = ALIASES.iter().filter(|(path, _)| *path == verb.path).map(|(_, word)| *word);
            command = command.subcommand(verb.command().visible_aliases(other));
        }
        root = root.subcommand(command);
    }
    root
}

/// The table of docs/cli.md, between its markers.
pub fn table() -> String {
    let mut text = String::from("| command | what it does | exit codes |\n|---|---|---|\n");
    for verb in VERBS.iter().filter(|verb| !verb.is_hidden) {
        let exits: Vec<String> = verb.all_exits().iter().map(|exit| exit.code().to_string()).collect();
        text.push_str(&format!("| `{}` | {} | {} |\n", usage(verb), verb.about, exits.join(" ")));
    }
    text
}

/// `instance kill <INSTANCE>... [--force] …`: what is typed, without the options of every verb.
fn usage(verb: &Verb) -> String {
    let command = verb.command();
    let mut words = vec![verb.path.to_owned()];
    for argument in command.get_positionals() {
        let name =
            argument.get_value_names().and_then(|names| names.first()).map_or(argument.get_id().as_str(), |name| name);
        let many = if matches!(argument.get_action(), clap::ArgAction::Append) { "…" } else { "" };
        words.push(if argument.is_required_set() { format!("<{name}>{many}") } else { format!("[{name}]{many}") });
    }
    for argument in command.get_opts() {
        let Some(long) = argument.get_long() else { continue };
        let takes = argument.get_action().takes_values();
        words.push(if takes { format!("[--{long} …]") } else { format!("[--{long}]") });
    }
    words.join(" ").replace('|', "\\|")
}

/// The verb that was typed, with its arguments.
pub fn chosen(matches: &ArgMatches) -> Option<(&'static Verb, &ArgMatches)> {
    let (first, mut inner) = matches.subcommand()?;
    let mut path = first.to_owned();
    while let Some((word, deeper)) = inner.subcommand() {
        path = format!("{path} {word}");
        inner = deeper;
    }
    VERBS.iter().find(|verb| verb.path == path).map(|verb| (*verb, inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- verbs: made from the registry -->\n";
    const END: &str = "<!-- end of verbs -->";

    #[test]
    fn the_tree_is_sound_and_every_verb_is_found_by_its_path() {
        command().debug_assert();
        let mut paths: Vec<_> = VERBS.iter().map(|verb| verb.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), VERBS.len(), "a path is used twice");
        for verb in VERBS {
            assert!(verb.noun().is_none_or(|noun| NOUNS.iter().any(|(known, _)| *known == noun)), "{}", verb.path);
            let is_example = |line: &&str| line.contains(&format!("ractorflow {}", verb.path));
            assert!(verb.examples.iter().any(|line| is_example(&line)), "{} has no example", verb.path);
            assert!(!verb.about.ends_with('.'), "{}", verb.path);
        }
    }

    #[test]
    fn what_a_part_of_the_tree_accepts_means_the_same_to_the_whole() {
        for example in VERBS.iter().flat_map(|verb| verb.examples).filter(|line| line.starts_with("ractorflow ")) {
            let words: Vec<OsString> = example.split_whitespace().map(|word| word.trim_matches('"').into()).collect();
            let part = command_for(&words);
            assert!(part.get_subcommands().count() <= 3, "{example}: hardly a part");
            let (part, whole) = (part.try_get_matches_from(&words), command().try_get_matches_from(&words));
            match (part, whole) {
                (Ok(part), Ok(whole)) => {
                    let ((part, with), (whole, and)) = (chosen(&part).unwrap(), chosen(&whole).unwrap());
                    assert_eq!((part.path, with), (whole.path, and), "{example}");
                }
                (part, whole) => assert_eq!(part.is_ok(), whole.is_ok(), "{example}"),
            }
        }
        let words = ["ractorflow", "instance", "search"].map(OsString::from);
        let found = command_for(&words).try_get_matches_from(&words).unwrap();
        assert_eq!(chosen(&found).map(|(verb, _)| verb.path), Some("instance list"));
    }

    #[test]
    fn docs_list_every_verb() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (listed, after) = rest.split_once(END).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
            return;
        }
        assert!(listed == table(), "docs/cli.md does not list what the registry has; run with BLESS=1 to write it");
    }
}
