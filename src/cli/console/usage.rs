//! What is wrong with what was typed, in the language of who typed it. clap finds the fault; these are the words.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use crate::model::message::Message;
use crate::say;

use super::language::Language;

/// The language before the arguments are understood: `--lang`, the environment, the locale.
pub fn language(typed: &[OsString]) -> Language {
    let words: Vec<_> = typed.iter().map(|word| word.to_string_lossy()).collect();
    let follows = words.windows(2).find(|pair| pair[0] == "--lang").map(|pair| pair[1].to_string());
    let joined = || words.iter().find_map(|word| word.strip_prefix("--lang=")).map(str::to_owned);
    match follows.or_else(joined).or_else(|| std::env::var("RACTORFLOW_LANG").ok()).as_deref() {
        Some("zh") => Language::Zh,
        Some("en") => Language::En,
        _ => Language::of_locale(),
    }
}

/// Prints the fault on stderr, or what was asked for (help, version) on stdout.
pub fn print(error: &Error, typed: &[OsString], paths: &[&str], language: Language) {
    let own = (language == Language::Zh && error.use_stderr()).then(|| said(error)).flatten();
    match own {
        Some(message) => {
            eprintln!("{}: {}", language.of("error", "错误"), message.in_voice(language.voice()));
            if let Some(suggested) = suggestion(error) {
                eprintln!("  {}: {}", language.of("help", "建议"), suggested.in_voice(language.voice()));
            }
            if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
                eprintln!("\n{}", in_chinese(&usage.to_string()));
            }
            eprintln!("\n更多信息请用 --help。");
        }
        // Help goes to stdout and is no error; clap knows which is which. stderr may be gone.
        None => {
            let _ = error.print();
        }
    }
    if let Some(line) = with_its_noun(error, typed, paths) {
        let hint = say!("did you mean: {}", line);
        eprintln!("\n  {}: {}", language.of("help", "建议"), hint.in_voice(language.voice()));
    }
}

/// `kill 7` is `instance kill 7`: what was typed with the noun that the verb has here.
fn with_its_noun(error: &Error, typed: &[OsString], paths: &[&str]) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let ContextValue::String(word) = error.get(ContextKind::InvalidSubcommand)? else { return None };
    let at = typed.iter().position(|typed| typed.to_str() == Some(word.as_str()))?;
    // Instances first: they are what is killed, paused and rerun at night.
    let is_verb = |path: &&&str| path.rsplit_once(' ').is_some_and(|(_, verb)| verb == word);
    let path = paths.iter().filter(is_verb).min_by_key(|path| !path.starts_with("instance "))?;
    let rest: String = typed[at + 1..].iter().map(|word| format!(" {}", word.to_string_lossy())).collect();
    Some(format!("ractorflow {path}{rest}"))
}

/// In our own words; `None` for what happens too rarely to have any.
fn said(error: &Error) -> Option<Message> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        Some(ContextValue::Number(n)) => Some(n.to_string()),
        _ => None,
    };
    let argument = || context(ContextKind::InvalidArg);
    Some(match error.kind() {
        ErrorKind::InvalidSubcommand => say!("there is no command \"{}\"", context(ContextKind::InvalidSubcommand)?),
        ErrorKind::UnknownArgument => say!("\"{}\" is not expected here", argument()?),
        ErrorKind::MissingRequiredArgument => say!("missing: {}", argument()?),
        ErrorKind::InvalidValue => match context(ContextKind::InvalidValue)? {
            value if value.is_empty() => say!("{} needs a value", argument()?),
            value => match context(ContextKind::ValidValue) {
                Some(valid) => say!("{}: \"{}\" is none of {}", argument()?, value, valid),
                None => say!("{}: \"{}\" is no value for it", argument()?, value),
            },
        },
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            say!("{}: \"{}\" is no value for it: {}", argument()?, context(ContextKind::InvalidValue)?, why)
        }
        ErrorKind::ArgumentConflict => {
            say!("{} cannot be used together with {}", argument()?, context(ContextKind::PriorArg)?)
        }
        ErrorKind::MissingSubcommand => say!("a command is missing, one of {}", context(ContextKind::ValidSubcommand)?),
        ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues | ErrorKind::TooManyValues => {
            say!("{} has the wrong number of values", argument()?)
        }
        _ => return None,
    })
}

/// The nearest word that there is.
fn suggestion(error: &Error) -> Option<Message> {
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    kinds.iter().find_map(|kind| match error.get(*kind) {
        Some(ContextValue::String(text)) => Some(say!("did you mean: {}", text)),
        Some(ContextValue::Strings(texts)) => Some(say!("did you mean: {}", texts.first()?)),
        _ => None,
    })
}

fn in_chinese(usage: &str) -> String {
    usage.replace("Usage:", "用法:").replace("[OPTIONS]", "[选项]").replace("<COMMAND>", "<命令>")
}

/// Headings of help in Chinese; names of options and commands are the same in both languages.
pub fn chinese_headings(command: Command) -> Command {
    let words: Vec<String> = command.get_subcommands().map(|child| child.get_name().to_owned()).collect();
    let mut command = command
        .help_template("{about-with-newline}\n用法: {usage}\n\n{all-args}{after-help}")
        .subcommand_help_heading("命令")
        .mut_args(|argument| {
            let heading = match argument.get_help_heading() {
                Some("Global options") => "通用选项",
                _ if argument.is_positional() => "参数",
                _ => "选项",
            };
            argument.help_heading(heading)
        });
    for word in words {
        command = command.mut_subcommand(word, chinese_headings);
    }
    command
}
