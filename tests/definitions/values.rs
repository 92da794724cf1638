//! `${…}` where it may stand, parameters and outputs: verdicts of files, and what only `check` says.

use ractorflow::model::definition::{Compat, NodeKind};
use ractorflow::model::policy::MailLevel;
use ractorflow::model::time::Timestamp;
use ractorflow::node::spec;
use ractorflow::xml::{self, Input, Outcome, Severity};

use crate::{check, load};

const START: &str = "<start name='s' to='a'/>";
const ACTION: &str = "<action name='a'><script><code>true</code></script><ok to='e'/></action>";
const END: &str = "<end name='e'/>";

fn file(root: &str, inside: &str) -> String {
    format!("<work-flow name='w' {root}>{inside}</work-flow>")
}

fn words(outcome: &Outcome) -> String {
    let word = |fault: &xml::Diagnostic| match fault.severity {
        Severity::Error => fault.code.replace("RF-", ""),
        Severity::Warning => format!("[{}]", fault.code.replace("RF-", "")),
    };
    let mut words: Vec<String> = outcome.diagnostics.iter().map(word).collect();
    words.sort();
    words.dedup();
    if words.is_empty() { "ok".to_owned() } else { words.join(" ") }
}

/// Verdicts of the file as a lenient and as a strict one.
fn verdicts(root: &str, inside: &str) -> (String, String) {
    let read = |schema: &str| words(&load(file(&format!("{root}{schema}"), inside).as_bytes(), "w.xml"));
    (read(""), read(" schema='1'"))
}

fn same(verdict: &str) -> (String, String) {
    (verdict.to_owned(), verdict.to_owned())
}

fn script(code: &str) -> String {
    let code = code.replace('&', "&amp;").replace('<', "&lt;");
    format!("{START}<action name='a'><script><code>{code}</code></script><ok to='e'/></action>{END}")
}

fn sql(text: &str) -> String {
    format!("{START}<action name='a'><sql db-link='d'>{text}</sql><ok to='e'/></action>{END}")
}

#[test]
fn outputs_of_prerequisites_can_be_read_and_of_others_not() {
    let after = |name: &str| format!("<coordinator><depend-list><workflow name='{name}'/></depend-list></coordinator>");
    let body = script("echo ${dep:ods.orders.rows} ${dep:ods.orders.bytes|or 0}");
    assert_eq!(verdicts("", &format!("{}{body}", after("ods.orders"))), same("ok"));
    assert_eq!(verdicts("", &format!("{}{body}", after("ods"))), same("ok"));
    let no_one = ("[P0102]".to_owned(), "P0101".to_owned());
    assert_eq!(verdicts("", &body), no_one);
    assert_eq!(verdicts("", &format!("{}{body}", after("other"))), no_one);
    // Of two coordinators none is used, so nothing is waited for.
    let two = format!("{}<coordinator/>{body}", after("ods.orders"));
    assert_eq!(verdicts("", &two), ("[C0101] [P0102]".to_owned(), "C0101 P0101".to_owned()));
    for place in [
        "<param-list><param name='p' value='${dep:ods.rows|or 0}'/></param-list>",
        "<env name='A' value='${dep:ods.rows}'/>",
        "<output name='o' value='${dep:ods.rows}'/>",
    ] {
        let text = format!("{}{place}{START}{ACTION}{END}", after("ods"));
        assert_eq!(verdicts("", &text), same("ok"), "{place}");
    }
}

#[test]
fn neighbouring_fires_need_a_trigger_that_fires_at_times() {
    for form in ["${time.prev}", "${time.next|yyyyMMdd}"] {
        let body = script(&format!("echo {form}"));
        assert_eq!(verdicts("", &body), same("P0104"), "{form}");
        let latches = "<coordinator><depend-list><workflow name='x'/></depend-list></coordinator>";
        assert_eq!(verdicts("", &format!("{latches}{body}")), same("P0104"), "{form}");
        for timed in ["<trigger every='1h'/>", "<depend-list cron='0 1 * * *'/>"] {
            let text = format!("<coordinator>{timed}</coordinator>{body}");
            assert_eq!(verdicts("", &text), same("ok"), "{timed}");
        }
    }
}

#[test]
fn outputs_are_declared_once_and_within_bounds() {
    let with = |outputs: &str| verdicts("", &format!("{outputs}{START}{ACTION}{END}"));
    assert_eq!(with("<output name='a' value='x'/><output name='b' value='y'/>"), same("ok"));
    assert_eq!(with("<output name='a' value='x'/><output name='a' value='y'/>"), same("P0108"));
    let many = |n: usize| (0..n).map(|at| format!("<output name='o{at}' value='x'/>")).collect::<String>();
    assert_eq!(with(&many(64)), same("ok"));
    assert_eq!(with(&many(65)), same("P0108"));
}

#[test]
fn parameters_whose_variables_clash_are_warned_about() {
    let with = |names: &[&str]| {
        let params: String = names.iter().map(|name| format!("<param name='{name}' value='1'/>")).collect();
        file("", &format!("<param-list>{params}</param-list>{START}{ACTION}{END}"))
    };
    let both = |text: &str| (words(&load(text.as_bytes(), "w.xml")), words(&check(text.as_bytes(), "w.xml")));
    assert_eq!(both(&with(&["a-b", "a_b"])), same("[P0110]"));
    assert_eq!(both(&with(&["a", "A"])), same("[P0110]"));
    assert_eq!(both(&with(&["a", "b"])), same("ok"));
    // Usual in Chinese files, so the log of a task is enough.
    assert_eq!(both(&with(&["地区", "日期"])), same("ok"));
}

#[test]
fn attributes_of_the_root_take_forms() {
    let params = "<param-list><param name='n' value='3'/><param name='who' value='a@x, b@x'/>\
                  <param name='late' value='${biz.date}'/></param-list>";
    let body = format!("{params}{START}{ACTION}{END}");
    for (root, wanted) in [
        ("creator='${param:who}'", "ok"),
        ("owner='${param:who}' dir='/dw/${time.today}' mail-receivers='${param:who}' tags='${param:n}'", "ok"),
        ("dir='/${time.tody}'", "P0101"),
        ("mail-receivers='${node:a.x}'", "P0101"),
        ("instance-limit='${param:n}'", "ok"),
        ("instance-limit='${param:n|or 2}'", "ok"),
        ("instance-limit='${param:who}'", "W0109"),
        ("instance-limit='${param:late}'", "W0117"),
        ("instance-limit='${time.today}'", "W0117"),
        ("mail-level='${param:who}'", "W0109"),
        ("mail-level='${param:late}'", "W0117"),
        ("time-zone='${param:who}'", "W0117"),
        ("on-delete='${param:who}'", "W0117"),
    ] {
        let (_, strict) = verdicts(root, &body);
        assert_eq!(strict, wanted, "{root}");
    }
    let text = file(
        "instance-limit='${param:n}' mail-level='${param:level}'",
        &body.replace("name='who' value='a@x, b@x'", "name='level' value='成功, failed'"),
    );
    let definition = load(text.as_bytes(), "w.xml").definition.unwrap();
    assert_eq!(definition.instance_limit, 3);
    assert_eq!(definition.mail_levels, [MailLevel::Succeeded, MailLevel::Failed]);
}

#[test]
fn words_of_nodes_take_forms() {
    let kill = |result: &str| {
        let action = ACTION.replace("<ok to='e'/>", "<ok to='e'/><error to='k'/>");
        format!("{START}{action}{END}<kill name='k' result='{result}'/>")
    };
    assert_eq!(verdicts("", &kill("${param:x|or failed}")), same("ok"));
    assert_eq!(verdicts("", &kill("dead")), same("W0109"));
    let definition = load(file("", &kill("${param:x|or failed}")).as_bytes(), "w.xml").definition.unwrap();
    let NodeKind::Kill { late_result, .. } = &definition.nodes.last().unwrap().kind else { panic!() };
    assert!(late_result.is_some());
    for action in [
        "<script><code trim='${param:x|or true}'>true</code></script>",
        "<data-monitor><source type='${param:x|or NUM}'>1</source></data-monitor>",
        "<transfer><source type='${param:x|or FILE}'>/a</source><target type='${param:x|or FILE}' path='/b'/></transfer>",
    ] {
        assert_eq!(verdicts("", &script("true").replace("<script><code>true</code></script>", action)), same("ok"));
    }
    for word in ["on-match", "not-on-match"] {
        let retry = format!("<ok to='e'/><retry times='1' {word}='${{param:x|or a+}}'/>");
        assert_eq!(verdicts("", &script("true").replace("<ok to='e'/>", &retry)), same("ok"), "{word}");
    }
}

#[test]
fn values_of_actions_are_checked_with_the_constants_of_the_file() {
    let with = |attribute: &str| {
        let params = "<param-list><param name='n' value='3'/><param name='word' value='three'/></param-list>";
        let action = ACTION.replace("<action name='a'", &format!("<action name='a' {attribute}"));
        verdicts("", &format!("{params}{START}{action}{END}"))
    };
    assert_eq!(with("retry-times='${param:n}' timeout='${param:n}0m' is-ignore='${param:x|or FALSE}'"), same("ok"));
    for bad in ["retry-times='${param:word}'", "timeout='${param:word}m'", "is-ignore='${param:x|or yes}'"] {
        assert_eq!(with(bad), same("W0109"), "{bad}");
    }
    // What a caller may give is looked at when the instance is made.
    assert_eq!(with("retry-times='${param:x}'").0, "ok");
}

#[test]
fn the_filter_sh_needs_a_shell_that_reads_the_script() {
    let with = |first: &str| verdicts("", &script(&format!("{first}\necho \"${{param:x|or 1|sh}}\"")));
    for first in ["", "#!/bin/sh", "#!/bin/bash -e", "#!/usr/bin/env bash", "#! /usr/bin/env -S dash", "#!/usr/bin/zsh"]
    {
        assert_eq!(with(first), same("ok"), "{first}");
    }
    for first in ["#!/usr/bin/python3", "#!/usr/bin/env python3", "#!/usr/bin/perl -w", "#!/usr/bin/env -S node"] {
        assert_eq!(with(first), same("P0101"), "{first}");
    }
}

/// What `check` says about a file that loads without a word.
fn remarks(params: &str, body: &str) -> Vec<String> {
    let text = file("", &format!("<param-list>{params}</param-list>{body}"));
    assert_eq!(words(&load(text.as_bytes(), "w.xml")), "ok");
    let outcome = check(text.as_bytes(), "w.xml");
    assert!(outcome.diagnostics.iter().all(|fault| fault.code == "RF-P0102"));
    let of_forms = outcome.diagnostics.into_iter().filter(|fault| fault.code == "RF-P0102");
    of_forms.map(|fault| fault.message.english()).collect()
}

#[test]
fn check_warns_where_a_callers_value_would_name_the_program_or_a_column() {
    let untyped = "<param name='x' value='1'/>";
    let is_warned = |params: &str, body: &str, word: &str| {
        let remarks = remarks(params, body);
        match word {
            "" => assert_eq!(remarks, Vec::<String>::new(), "{body}"),
            _ => assert!(remarks.len() == 1 && remarks[0].contains(word), "{body}: {remarks:?}"),
        }
    };
    for (code, word) in [
        ("${param:x} a", "names the program"),
        ("cd /tmp; ${param:x}", "names the program"),
        ("true && \"${param:x}\" b", "names the program"),
        ("y=$(${param:x})", "names the program"),
        ("if ${param:x}; then true; fi", "names the program"),
        ("echo ${param:x}", ""),
        ("echo a\\\n  ${param:x}", ""),
        ("./load --day ${param:x}", ""),
        ("# ${param:x}", ""),
        ("cat <<EOF\n${param:x}\nEOF", ""),
    ] {
        is_warned(untyped, &script(code), word);
    }
    for (text, word) in [
        ("select 1 from t where a = ${param:x}", "outside quotes"),
        ("select 1 from ${param:x}", "outside quotes"),
        ("select 1 from t where a = '${param:x}'", ""),
        ("select 1 from t where a = 'it''s ${param:x}'", ""),
        ("select 1 -- it's\n from t where a = ${param:x}", "outside quotes"),
        ("select 1 /* ' */ from t where a = ${param:x}", "outside quotes"),
        ("select 1 from t where a = ${param:x|sql}", ""),
    ] {
        is_warned(untyped, &sql(text), word);
    }
    for params in [
        "<param name='x' type='int' value='1'/>",
        "<param name='x' type='enum' choices='a,b' value='a'/>",
        "<param name='x' pattern='[a-z]+' value='a'/>",
        "<param name='x' external='deny' value='a'/>",
        "<param name='x' splice='verbatim' value='a'/>",
    ] {
        is_warned(params, &script("${param:x} a"), "");
        is_warned(params, &sql("select ${param:x}"), "");
    }
    // A lenient file's caller may give what is not declared.
    is_warned("", &sql("select ${param:y}"), "outside quotes");
}

#[test]
fn check_warns_where_a_variable_of_a_parameter_is_read_twice() {
    for (code, word) in [
        ("eval \"echo $RF_PARAM_X\"", "eval"),
        ("sh -c \"echo ${RF_PARAM_X}\"", "with -c"),
        ("ssh host \"echo $RF_PARAM_X\"", "ssh"),
        ("(( RF_PARAM_X > 3 ))", "arithmetic"),
        ("y=$((RF_PARAM_X + $RF_PARAM_Y))", "arithmetic"),
        ("[[ $RF_PARAM_X -eq 3 ]]", "this test"),
        ("echo \"$RF_PARAM_X\"", ""),
        ("sh -c 'echo \"$RF_PARAM_X\"'", ""),
        ("eval 'echo \"$RF_PARAM_X\"'", ""),
        ("echo $RF_PARAM_X", ""),
    ] {
        let remarks = remarks("", &script(code));
        assert_eq!(remarks.is_empty(), word.is_empty(), "{code}: {remarks:?}");
        assert!(
            remarks.iter().all(|remark| remark.contains(word) && remark.contains("RF_PARAM_")),
            "{code}: {remarks:?}"
        );
    }
}

#[test]
fn a_single_time_that_is_past_is_warned_about() {
    let text = file(
        "",
        &format!(
            "<coordinator><trigger at='2026-03-01 05:00:00' time-zone='Asia/Shanghai'/></coordinator>{START}{ACTION}{END}"
        ),
    );
    // 2026-02-28T21:00:00Z
    let at = Timestamp(1_772_312_400_000);
    for (now, wanted) in [(None, "ok"), (Some(at.plus_ms(-1)), "ok"), (Some(at), "[C0115]")] {
        let outcome = xml::read(&Input { now, ..Input::new(text.as_bytes(), "w.xml", spec::all()) });
        assert_eq!(words(&outcome), wanted, "{now:?}");
        assert!(outcome.definition.is_some());
    }
}

#[test]
fn the_switches_that_would_change_a_file_are_told() {
    let matter = |root: &str, inside: &str| {
        let definition = load(file(root, inside).as_bytes(), "w.xml").definition.unwrap();
        xml::switches_that_matter(&definition, spec::all())
    };
    let with = |params: &str, code: &str| format!("<param-list>{params}</param-list>{}", script(code));
    for (inside, wanted) in [
        (script("true"), vec![]),
        (with("<param name='d' value='${time.today}'/>", "true"), vec![Compat::WallClock]),
        (with("<param name='d' value='${time.nominal}${biz.date}'/>", "true"), vec![]),
        (with("<param name='d' value='${time.today||-1 week}'/>", "true"), vec![Compat::WallClock, Compat::WeekIsDay]),
        (script("echo '${param:x}'"), vec![Compat::UndefinedParam, Compat::Splice]),
        (script("echo '${param:x|or 1}'"), vec![Compat::Splice]),
        (with("<param name='x' type='int' value='1'/>", "echo ${param:x}"), vec![]),
        (with("<param name='x' value='1'/>", "echo ${param:x}"), vec![Compat::Splice]),
        (with("<param name='x' value='1'/>", "echo \"${param:x|sh}\""), vec![]),
        (script("cat <<E\n  a\n b\nE"), vec![Compat::ScriptTrim]),
        (script("if true\n then\n  a\n fi"), vec![]),
    ] {
        let mut wanted = wanted;
        wanted.sort_unstable();
        assert_eq!(matter("", &inside), wanted, "{inside}");
    }
    assert_eq!(matter("compat='splice'", &script("echo '${param:x|or 1}'")), []);
}
