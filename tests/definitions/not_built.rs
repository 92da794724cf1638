//! Every word of the language that this build cannot do: one error that says so, in lenient and strict files alike.
//!
//! The words are listed here by hand, from the description of the language, and not from the reader's table.

use ractorflow::xml::Severity;

use crate::load;

const START: &str = "<start name='s' to='a'/>";
const ACTION: &str = "<action name='a'><script><code>true</code></script><ok to='e'/></action>";
const END: &str = "<end name='e'/>";
const SCRIPT: &str = "<script><code>true</code></script>";

/// Codes and severities of a file, lenient and strict.
fn verdicts(root: &str, inside: &str) -> [Vec<(String, Severity)>; 2] {
    ["", " schema='1'"].map(|schema| {
        let text = format!("<work-flow name='w' {root}{schema}>{inside}</work-flow>");
        let outcome = load(text.as_bytes(), "w.xml");
        outcome.diagnostics.into_iter().map(|fault| (fault.code, fault.severity)).collect()
    })
}

fn is_not_built(what: &str, root: &str, inside: &str) {
    for found in verdicts(root, inside) {
        assert_eq!(found, [("RF-W0106".to_owned(), Severity::Error)], "{what}");
    }
}

fn action(attribute: &str, body: &str, after: &str) -> String {
    format!("{START}<action name='a' {attribute}>{body}<ok to='e'/>{after}</action>{END}")
}

#[test]
fn roots() {
    for root in ["calendar", "defaults", "template", "resources"] {
        for schema in ["", " schema='1'"] {
            let outcome = load(format!("<{root} name='x'{schema}><a b='c'/>text</{root}>").as_bytes(), "x.xml");
            let found: Vec<_> = outcome.diagnostics.iter().map(|f| (f.code.as_str(), f.severity)).collect();
            assert_eq!(found, [("RF-W0106", Severity::Error)], "{root}");
        }
    }
}

#[test]
fn words_of_the_root() {
    let graph = format!("{START}{ACTION}{END}");
    for word in
        ["calendar", "priority", "timeout", "timeout-action", "failure-strategy", "keep", "keep-runs", "pools", "mutex"]
    {
        is_not_built(word, &format!("{word}='1'"), &graph);
    }
    for word in ["decision", "finally", "deadline", "notify", "retry"] {
        is_not_built(word, "", &format!("{graph}<{word} name='x' to='e'/>"));
    }
}

#[test]
fn words_of_the_coordinator() {
    let with = |inside: &str| format!("<coordinator>{inside}</coordinator>{START}{ACTION}{END}");
    for word in ["calendar", "previous", "pause-after-failures"] {
        is_not_built(word, "", &format!("<coordinator {word}='1'/>{START}{ACTION}{END}"));
    }
    // Beside a source of this build, and as the source itself.
    for word in ["calendar", "when-closed", "working-day", "working-day-of"] {
        is_not_built(word, "", &with(&format!("<trigger cron='0 1 * * *' {word}='1'/>")));
    }
    for word in ["after-end", "event", "file"] {
        is_not_built(word, "", &with(&format!("<trigger {word}='1'/>")));
    }
    for word in ["file-link", "done-flag", "stable", "poll", "min-num", "min-each-size"] {
        is_not_built(word, "", &with(&format!("<trigger every='1h' {word}='1'/>")));
    }
    is_not_built("from", "", &with("<trigger every='1h'><param name='p' from='event.x'/></trigger>"));
    for word in ["need", "wait-limit", "on-wait-limit"] {
        is_not_built(word, "", &with(&format!("<depend-list {word}='1'/>")));
    }
    for word in ["group", "asset", "event", "file"] {
        is_not_built(word, "", &with(&format!("<depend-list><{word}/></depend-list>")));
    }
    for word in ["node", "state", "date", "period", "offset", "pick", "calendar"] {
        is_not_built(word, "", &with(&format!("<depend-list><workflow name='x' {word}='1'/></depend-list>")));
    }
    for shift in ["-1 working-day", "+2 working-days", "month-end, roll-back", "roll-forward"] {
        is_not_built(shift, "", &format!("<coordinator business-date='{shift}'/>{START}{ACTION}{END}"));
    }
}

#[test]
fn words_of_nodes() {
    for attribute in ["rule", "test", "cancel-rest", "breakpoint"] {
        let nodes = format!("<start name='s' to='j'/><join name='j' to='a' {attribute}='1'/>{ACTION}{END}");
        is_not_built(attribute, "", &nodes);
    }
    for nodes in [
        format!("<start name='s' to='a' breakpoint='true'/>{ACTION}{END}"),
        format!("{START}{ACTION}<end name='e' breakpoint='true'/>"),
        format!("<start name='s' to='f'/><fork name='f' breakpoint='true'><path to='a'/></fork>{ACTION}{END}"),
        format!(
            "<start name='s' to='f'/><fork name='f'><path to='a'/><path to='k'/></fork>{ACTION}{END}<kill name='k' breakpoint='true'/>"
        ),
    ] {
        is_not_built(&nodes, "", &nodes);
    }
}

#[test]
fn words_of_actions() {
    for word in [
        "queue-timeout",
        "choose",
        "priority",
        "pools",
        "mutex",
        "run-as",
        "work-dir",
        "environment",
        "nice",
        "keep-work-dir",
        "log-encoding",
        "log-limit",
        "allow-failure",
        "skip-if",
        "delay",
        "breakpoint",
        "produces",
        "previous",
        "cache-key",
        "cache-for",
        "template",
    ] {
        is_not_built(word, "", &action(&format!("{word}='1'"), SCRIPT, ""));
    }
    for word in ["limits", "clean", "for-each", "repeat", "deadline", "notify", "artifact", "use-artifact"] {
        is_not_built(word, "", &action("", SCRIPT, &format!("<{word}/>")));
    }
    for word in ["sub-workflow", "wait", "approval", "docker", "k8s-job", "plugin", "preset"] {
        is_not_built(word, "", &action("", &format!("<{word}/>"), ""));
    }
    is_not_built("an action made of a template", "", &action("template='t'", "<param name='x' value='y'/>", ""));
    is_not_built("a template alone", "", &action("template='t'", "", ""));
    is_not_built("env file", "", &action("", SCRIPT, "<env name='A' value='b' file='true'/>"));
    is_not_built("code file", "", &action("", "<script><code file='x.sh'/></script>", ""));
    is_not_built("code file and text", "", &action("", "<script><code file='x.sh'>true</code></script>", ""));
    is_not_built("sql file", "", &action("", "<sql db-link='d' file='x.sql'/>", ""));
    is_not_built("sql bind", "", &action("", "<sql db-link='d' bind='true'>select 1</sql>", ""));
}

#[test]
fn words_of_parameters() {
    let with = |param: &str| format!("<param-list><param name='p' {param}/></param-list>{START}{ACTION}{END}");
    is_not_built("type secret", "", &with("type='secret' value='pw'"));
    for form in ["${event:k}", "${each:value}", "${secret:pw}", "${param:p|sum}", "${param:p|csv}"] {
        is_not_built(form, "", &with(&format!("value='1'/><param name='q' value='{form}'")));
        is_not_built(
            form,
            "",
            &action("", SCRIPT, &format!("<env name='A' value='{form}'/>")).replace("p|", "p|or 1|"),
        );
    }
    for form in ["${biz.date|yyyy|+2 working-days}", "${time.today||roll-back}"] {
        is_not_built(form, "", &with(&format!("value='{form}'")));
    }
}

/// `${secret:x}` is code of a shell too: akkaflow leaves it alone, so a lenient file keeps it, and is told.
#[test]
fn forms_in_scripts_of_lenient_files_stay_as_they_are() {
    for form in ["${event:k}", "${each:value}", "${secret:pw}"] {
        let [lenient, strict] = verdicts("", &action("", &format!("<script><code>echo {form}</code></script>"), ""));
        assert_eq!(lenient, [("RF-W0106".to_owned(), Severity::Warning)], "{form}");
        assert_eq!(strict, [("RF-W0106".to_owned(), Severity::Error)], "{form}");
    }
    // What only a shell can mean is no form of ours in either kind of file.
    for form in ["${event:-x}", "${each:0:3}", "${secret:?no}", "${node:=x}", "${dep:+x}", "${node:1}", "${each: -2}"] {
        let found = verdicts("", &action("", &format!("<script><code>echo {form}</code></script>"), ""));
        assert_eq!(found, [vec![], vec![]], "{form}");
    }
}
