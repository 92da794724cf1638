//! `completion`: what a shell needs to complete our verbs. Made from the registry, so it knows every verb.

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};

use crate::api::ExitCode;
use crate::cli::console::{Console, Outcome, Verb, augment};
use crate::cli::registry;

pub const VERB: Verb = Verb {
    path: "completion",
    about: "Print a completion script for a shell",
    examples: &[
        "source <(ractorflow completion bash)",
        "ractorflow completion fish > ~/.config/fish/completions/ractorflow.fish",
    ],
    exits: &[],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let words = words();
    console.data(&match arguments.shell {
        Shell::Bash => bash(&words),
        // zsh runs bash completions once told to.
        Shell::Zsh => format!("autoload -U +X bashcompinit && bashcompinit\n{}", bash(&words)),
        Shell::Fish => fish(&words),
    })?;
    Ok(ExitCode::Ok)
}

/// What may follow each command ("" is ractorflow itself): subcommands and long options.
fn words() -> Vec<(String, Vec<String>)> {
    fn collect(command: &clap::Command, path: &str, all: &mut Vec<(String, Vec<String>)>) {
        let children: Vec<_> = command.get_subcommands().filter(|child| !child.is_hide_set()).collect();
        let mut words: Vec<String> = children.iter().map(|child| child.get_name().to_owned()).collect();
        words.extend(command.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?))));
        all.push((path.to_owned(), words));
        for child in children {
            collect(child, format!("{path} {}", child.get_name()).trim(), all);
        }
    }
    let mut all = Vec::new();
    collect(&registry::command(), "", &mut all);
    all
}

fn bash(words: &[(String, Vec<String>)]) -> String {
    let cases: String =
        words.iter().map(|(path, words)| format!("    \"{path}\") words=\"{}\" ;;\n", words.join(" "))).collect();
    format!(
        "_ractorflow() {{\n  local path=\"\" words=\"\" word\n  \
         for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n    \
         case \"$word\" in -*) ;; *) path=\"${{path:+$path }}$word\" ;; esac\n  done\n  \
         while :; do case \"$path\" in\n{cases}    *) if [[ \"$path\" == *\" \"* ]]; then path=\"${{path% *}}\"; continue; fi ;;\n  \
         esac; break; done\n  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n  \
         [[ ${{#COMPREPLY[@]}} -eq 0 ]] && COMPREPLY=($(compgen -f -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\n\
         complete -F _ractorflow ractorflow"
    )
}

fn fish(words: &[(String, Vec<String>)]) -> String {
    let mut lines = Vec::new();
    for (path, words) in words {
        let seen: Vec<&str> = path.split(' ').filter(|word| !word.is_empty()).collect();
        let condition = match seen.as_slice() {
            [] => "__fish_use_subcommand".to_owned(),
            seen => {
                seen.iter().map(|word| format!("__fish_seen_subcommand_from {word}")).collect::<Vec<_>>().join("; and ")
            }
        };
        for word in words {
            lines.push(match word.strip_prefix("--") {
                Some(option) => format!("complete -c ractorflow -n '{condition}' -l {option}"),
                None => format!("complete -c ractorflow -f -n '{condition}' -a {word}"),
            });
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_completes_nouns_verbs_and_options() {
        let script = bash(&words());
        let ask = |typed: &[&str]| {
            let line = format!(
                "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_ractorflow\necho ${{COMPREPLY[@]}}",
                typed.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
                typed.len() - 1
            );
            let output = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(ask(&["ractorflow", "conf"]), "config");
        assert_eq!(ask(&["ractorflow", "config", "sh"]), "show");
        assert_eq!(ask(&["ractorflow", "config", "show", "--sou"]), "--sources");
    }
}
