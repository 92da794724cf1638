//! What was typed wrongly, in the language of who typed it, with the command that was probably meant.
//!
//! clap speaks English alone; what it found is known as kind and context, from which a Chinese sentence is made here.

use std::ffi::OsString;
use std::num::ParseIntError;

use clap::Error;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::console::Language;
use super::help;
use super::registry::VERBS;

/// Headings of help and errors, as clap writes them at the beginning of a line.
const HEADINGS: &[(&str, &str)] = &[
    ("Usage:", "用法:"),
    ("Commands:", "命令:"),
    ("Arguments:", "参数:"),
    ("Options:", "选项:"),
    ("Global options:", "全局选项:"),
    ("Examples:", "示例:"),
    ("Exit codes:", "退出码:"),
];

/// What clap writes between the words of the verbs.
const PHRASES: &[(&str, &str)] = &[
    ("[default: ", "[默认: "),
    ("[possible values: ", "[可选值: "),
    ("Possible values:", "可选值:"),
    ("Print help (see a summary with '-h')", "显示帮助（'-h' 为摘要）"),
    ("Print help (see more with '--help')", "显示帮助（'--help' 更详细）"),
    ("Print help", "显示帮助"),
    ("Print version", "显示版本"),
];

/// Words of akkaflow, and of other schedulers, with the verbs that do the same here.
const HABITS: &[(&str, &[&str])] = &[
    ("submit", &["run"]),
    ("front", &["status"]),
    ("add", &["workflow apply"]),
    ("info", &["workflow show", "instance show"]),
    ("del", &["workflow delete", "instance delete"]),
    ("search", &["instance list"]),
];

/// Prints the error, the help or the version, each to the stream it belongs to.
pub fn print(error: Error, arguments: &[OsString]) {
    let language = language(arguments);
    let error = suggest(error, arguments, language);
    let text = match language {
        Language::En => error.render().ansi().to_string(),
        Language::Zh if error.use_stderr() => chinese(&error),
        Language::Zh => in_chinese(&error.render().ansi().to_string()),
    };
    // The streams drop the colours where nobody sees them; a closed one changes nothing: the exit code still tells.
    if error.use_stderr() {
        anstream::eprint!("{text}");
    } else {
        anstream::print!("{text}");
    }
}

/// The language asked for, read without clap: its reading has just failed.
pub fn language(arguments: &[OsString]) -> Language {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let flag = words.iter().enumerate().find_map(|(at, word)| match *word {
        "--lang" => words.get(at + 1).copied(),
        word => word.strip_prefix("--lang="),
    });
    let variable = std::env::var("RACTORFLOW_LANG").ok();
    match flag.or(variable.as_deref()) {
        Some("zh") => Language::Zh,
        Some("en") => Language::En,
        _ => Language::of_locale(),
    }
}

/// `kill 7` is `instance kill 7`: a word that is no command here but a verb of some noun, or of another scheduler.
fn suggest(mut error: Error, arguments: &[OsString], language: Language) -> Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let Some(at) = arguments.iter().position(|typed| typed.to_str() == Some(word)) else { return error };
    let rest: String =
        arguments[at + 1..].iter().map(|typed| format!(" {}", quoted(&typed.to_string_lossy()))).collect();
    let verbs = VERBS.iter().filter(|verb| !verb.is_hidden && verb.noun().is_some() && verb.word() == word);
    let mut paths: Vec<&str> = verbs.map(|verb| verb.path).collect();
    paths.extend(HABITS.iter().filter(|(habit, _)| habit == word).flat_map(|(_, paths)| *paths));
    // After `instance`, a verb of instances is meant rather than its namesake.
    let noun = at.checked_sub(1).and_then(|before| arguments[before].to_str()).map(|noun| format!("{noun} "));
    if let Some(noun) = noun.filter(|noun| paths.iter().any(|path| path.starts_with(noun))) {
        paths.retain(|path| path.starts_with(&noun));
    }
    let did_you_mean = language.of("did you mean", "是不是想用");
    let tips: Vec<StyledStr> =
        paths.iter().map(|path| format!("{did_you_mean}: ractorflow {path}{rest}").into()).collect();
    if !tips.is_empty() {
        // What clap takes for similar is further away than the very word.
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// As a shell would have to read it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// An error: the sentence, what is suggested, how it is used, where more is.
fn chinese(error: &Error) -> String {
    let Some(said) = sentence(error) else {
        // Help shown for want of a command, and kinds that no command of ours has.
        return in_chinese(&error.render().ansi().to_string());
    };
    let mut text = format!("错误: {said}\n");
    let mut tips: Vec<String> = Vec::new();
    for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue] {
        let similar = words(error, kind).join("”, “");
        if !similar.is_empty() {
            tips.push(format!("相近的有: “{similar}”"));
        }
    }
    match error.get(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(lines)) if error.kind() == ErrorKind::InvalidSubcommand => {
            tips.extend(lines.iter().map(StyledStr::to_string));
        }
        // clap's own: to pass something that looks like an option as a value.
        Some(_) if error.kind() == ErrorKind::UnknownArgument => {
            let word = words(error, ContextKind::InvalidArg).join(" ");
            tips.push(format!("若“{word}”是值而不是选项，请写 '-- {word}'"));
        }
        _ => {}
    }
    let valid = words(error, ContextKind::ValidValue);
    if !valid.is_empty() {
        text.push_str(&format!("  [可选值: {}]\n", valid.join(", ")));
    }
    let commands = words(error, ContextKind::ValidSubcommand);
    if error.kind() == ErrorKind::MissingSubcommand && !commands.is_empty() {
        text.push_str(&format!("  [命令: {}]\n", commands.join(", ")));
    }
    if !tips.is_empty() {
        text.push('\n');
    }
    for tip in tips {
        text.push_str(&format!("  建议: {tip}\n"));
    }
    if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
        text.push_str(&format!("\n{}\n", in_chinese(usage.to_string().trim_end())));
    }
    text.push_str("\n更多信息请用 '--help'。\n");
    text
}

/// What is wrong; `None` for what is not said here.
fn sentence(error: &Error) -> Option<String> {
    let one = |kind| words(error, kind).join(" ");
    let argument = || one(ContextKind::InvalidArg);
    let value = || one(ContextKind::InvalidValue);
    Some(match error.kind() {
        ErrorKind::InvalidSubcommand => format!("没有命令“{}”", one(ContextKind::InvalidSubcommand)),
        ErrorKind::MissingSubcommand => format!("“{}”之后缺少命令", one(ContextKind::InvalidSubcommand)),
        ErrorKind::UnknownArgument => format!("没有选项或多出参数“{}”", argument()),
        ErrorKind::MissingRequiredArgument => {
            format!("缺少参数:\n  {}", words(error, ContextKind::InvalidArg).join("\n  "))
        }
        ErrorKind::InvalidValue if value().is_empty() => format!("“{}”需要一个值", argument()),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8 => {
            match std::error::Error::source(error) {
                Some(source) if source.is::<ParseIntError>() => {
                    format!("“{}”的值“{}”不是有效的整数", argument(), value())
                }
                Some(source) => format!("“{}”的值“{}”无效（{source}）", argument(), value()),
                None => format!("“{}”的值“{}”无效", argument(), value()),
            }
        }
        ErrorKind::ArgumentConflict => {
            let other = words(error, ContextKind::PriorArg).join("”, “");
            match other == argument() || other.is_empty() {
                true => format!("“{}”只能给出一次", argument()),
                false => format!("“{}”不能与“{other}”同时使用", argument()),
            }
        }
        ErrorKind::NoEquals => format!("“{}”须写成 选项=值", argument()),
        ErrorKind::TooManyValues => format!("“{}”不再接受值“{}”", argument(), value()),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => format!("“{}”的值的个数不对", argument()),
        _ => return None,
    })
}

fn words(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(word)) => vec![word.clone()],
        Some(ContextValue::Strings(words)) => words.clone(),
        _ => Vec::new(),
    }
}

/// Headings and phrases of clap in a text of it; colours stay where they are.
fn in_chinese(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(heading).map(possible_value).collect();
    for line in &mut lines {
        for (english, chinese) in PHRASES {
            *line = line.replace(english, chinese);
        }
    }
    lines.join("\n") + if text.ends_with('\n') { "\n" } else { "" }
}

/// `- wide:  A table with all columns`: the one kind of text of ours that clap takes from types alone.
fn possible_value(line: String) -> String {
    let Some((value, meaning)) = line.rsplit_once("  ").filter(|(value, _)| value.trim_start().starts_with("- "))
    else {
        return line;
    };
    match help::chinese(meaning) {
        Some(chinese) => format!("{value}  {chinese}"),
        None => line,
    }
}

fn heading(line: &str) -> String {
    let mut colours = 0;
    while line[colours..].starts_with('\x1b') {
        match line[colours..].find('m') {
            Some(end) => colours += end + 1,
            None => break,
        }
    }
    let (before, said) = line.split_at(colours);
    let known = HEADINGS.iter().find_map(|(english, chinese)| Some((chinese, said.strip_prefix(english)?)));
    match known {
        Some((chinese, rest)) => format!("{before}{chinese}{rest}"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_lead_to_verbs() {
        for (habit, paths) in HABITS {
            for path in *paths {
                assert!(VERBS.iter().any(|verb| verb.path == *path), "{habit}: {path}");
            }
        }
    }
}
