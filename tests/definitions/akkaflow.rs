//! akkaflow's constructs and their verdicts: its own, as changed on purpose.

use ractorflow::model::definition::NodeKind;
use ractorflow::model::policy::MailLevel;
use ractorflow::model::schedule::{Zone, next_fire};
use ractorflow::model::time::Timestamp;
use ractorflow::xml::{Diagnostic, Severity, n_errors};

use crate::{files, load, text_of};

#[test]
fn files_in_akkaflows_style_are_loaded_without_an_error() {
    for (name, text) in files("tests/definitions/akkaflow") {
        let outcome = load(&text, &name);
        assert_eq!(text_of(&outcome), "", "{name}");
    }
}

#[test]
fn the_file_with_every_type_means_what_it_meant() {
    let (name, text) = files("tests/definitions/akkaflow").into_iter().find(|(name, _)| name == "types.xml").unwrap();
    let definition = load(&text, &name).definition.unwrap();
    assert!(!definition.is_strict);
    assert_eq!(definition.mail_levels, [MailLevel::Succeeded, MailLevel::Failed]);
    assert_eq!(definition.mail_receivers, ["a@example.com", "b@example.com"]);
    assert_eq!((definition.instance_limit, definition.dir.as_str()), (2, "/etl/all"));
    let coordinator = definition.coordinator.as_ref().unwrap();
    assert!(coordinator.is_enabled && coordinator.window.from.is_some());
    assert_eq!(coordinator.triggers[0].id.as_str(), "cron");
    let prerequisites: Vec<_> = coordinator.prerequisites.iter().map(|leaf| leaf.workflow.as_str()).collect();
    assert_eq!(prerequisites, ["load_base", "加载维表"]);
    assert_eq!(definition.params.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["sdate", "path"]);
    assert_eq!((definition.nodes.len(), definition.edges.len()), (15, 15));
    let script = definition.node(definition.node_named("run_script").unwrap());
    let NodeKind::Action(action) = &script.kind else { panic!("an action") };
    assert_eq!((action.policy.retry.times, action.policy.retry.interval.0), (3, 30_000));
    assert_eq!(action.policy.timeout.map(|t| t.0), Some(3_600_000));
    assert_eq!(action.policy.host, None);
    let code = action.body.tree.child("code").unwrap().text.as_ref().unwrap();
    assert!(code.source.contains("\"${HOME:-/}\" && true"));
    assert_eq!(code.params().collect::<Vec<_>>(), ["path"]);
}

/// The verdict of a workflow with this inside: "ok", or its codes; warnings in brackets.
fn verdict(root: &str, inside: &str) -> String {
    verdict_of(&format!("<work-flow {root}>{inside}</work-flow>"))
}

fn verdict_of(text: &str) -> String {
    let outcome = load(text.as_bytes(), "x.xml");
    assert_eq!(outcome.definition.is_some(), n_errors(&outcome.diagnostics) == 0);
    let word = |d: &Diagnostic| match d.severity {
        Severity::Error => d.code.replace("RF-", ""),
        Severity::Warning => format!("[{}]", d.code.replace("RF-", "")),
    };
    let mut words: Vec<String> = outcome.diagnostics.iter().map(word).collect();
    words.sort();
    words.dedup();
    if words.is_empty() { "ok".to_owned() } else { words.join(" ") }
}

const START: &str = "<start name='s' to='a'/>";
const ACTION: &str = "<action name='a'><script><code>true</code></script><ok to='e'/></action>";
const END: &str = "<end name='e'/>";

#[test]
fn akka_07_attachments_are_read_as_akkaflow_and_as_its_documentation_write_them() {
    for inside in [
        "<attach-list><file>a/x</file><file>/b/y</file></attach-list>",
        "<attach-file>a/x</attach-file><attach-file>/b/y</attach-file>",
    ] {
        for kind in ["<script><code>./x</code>", "<file-executor><command>sh bin/z.sh</command>"] {
            let end = kind.split('>').next().unwrap().replace('<', "</");
            let action = format!("<action name='a'>{kind}{inside}{end}><ok to='e'/></action>");
            let text = format!("<work-flow name='w'>{START}{action}{END}</work-flow>");
            let outcome = load(text.as_bytes(), "w.xml");
            assert_eq!(text_of(&outcome), "", "{text}");
            let wanted: &[&str] = if kind.contains("bin/z.sh") { &["bin/z.sh", "a/x"] } else { &["a/x"] };
            assert_eq!(ractorflow::node::beside::names(text.as_bytes()), wanted);
            assert_eq!(ractorflow::node::beside::on_workers(&outcome.definition.unwrap()), ["/b/y"]);
        }
    }
}

#[test]
fn akka_01_roots_and_their_attributes() {
    let body = format!("{START}{ACTION}{END}");
    let with = |root: &str| verdict(root, &body);
    for (root, wanted) in [
        ("name='a'", "ok"),
        ("name=' a '", "ok"),
        ("", "W0107"),
        ("name='a' mail-level='成功, 失败'", "ok"),
        ("name='a' mail-level='w_prep,W_SUCCESSED'", "ok"),
        ("name='a' mail-level=''", "ok"),
        ("name='a' mail-level='坏'", "W0109"),
        ("name='a' instance-limit='0'", "W0109"),
        ("name='a' instance-limit='-1'", "W0109"),
        ("name='a' instance-limit='${param:n}'", "W0117"),
        ("name='a' mail-receivers='${param:who}' dir='/etl/${time.cur_month}'", "ok"),
        ("name='a' create-time='yesterday'", "W0109"),
        ("name='a' colour='red'", "[W0102]"),
        ("name='a' schema='1' colour='red'", "W0102"),
        ("name='a' schema='2'", "W0109"),
        ("name='a' overlap='skip'", "[W0102]"),
        ("name='a' priority='1'", "W0106"),
        ("name='a' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:noNamespaceSchemaLocation='x.xsd'", "ok"),
    ] {
        assert_eq!(with(root), wanted, "{root}");
    }
    for (name, wanted) in [("work-flow", "ok"), ("workflow", "ok"), ("flow", "W0101"), ("calendar", "W0106")] {
        assert_eq!(verdict_of(&format!("<{name} name='a'>{body}</{name}>")), wanted, "{name}");
    }
}

#[test]
fn akka_05_control_nodes() {
    for (inside, wanted) in [
        (format!("{START}{ACTION}<end name='e'> \n </end>"), "ok"),
        (format!("<start name='s' to='a'> </start>{ACTION}{END}"), "ok"),
        (format!("{START}{ACTION}<end name='e'>done</end>"), "W0114"),
        (format!("{START}{ACTION}<end name='e'><!-- done --></end>"), "ok"),
        (format!("{START}{START}{ACTION}{END}"), "W0202 W0203"),
        (format!("{ACTION}{END}"), "W0203"),
        (format!("{START}{ACTION}"), "W0201 W0204"),
        (format!("<start name='s'/>{ACTION}{END}"), "W0107"),
        (format!("<start name='s' to='b'/>{ACTION}{END}"), "W0201"),
        (format!("{START}{ACTION}{ACTION}{END}"), "W0202"),
        (format!("{START}{ACTION}{END}<kill name='k'/>"), "W0205"),
        (format!("{START}{ACTION}{END}<decision name='d'/>"), "W0106"),
        (format!("{START}{ACTION}{END}<ssh name='d'/>"), "W0104"),
        (format!("<start name='s' to='f'/><fork name='f'/>{ACTION}{END}"), "W0112"),
        (format!("<start name='s' to='f'/><fork name='f'><path/></fork>{ACTION}{END}"), "W0107"),
        (format!("<start name='s' to='f'/><fork name='f'><path to='a'/><path to='a'/></fork>{ACTION}{END}"), "[W0207]"),
        (format!("<start name='s' to='j'/><join name='j' to='j'/>{ACTION}{END}"), "W0205 W0206"),
        (format!("<start name='s' to='j'/><join name='j' to='a'>\n</join>{ACTION}{END}"), "ok"),
        (format!("<start name='s' to='k'/><kill name='k'>text</kill>{END}"), "W0205 [W0114]"),
        (format!("<x:start name='s' to='a'/>{ACTION}{END}"), "ok"),
    ] {
        assert_eq!(verdict("name='w'", &inside), wanted, "{inside}");
    }
}

#[test]
fn akka_07_actions() {
    let script = "<script><code>true</code></script>";
    for (action, wanted) in [
        ("<action name='a'><ok to='e'/><script><code>true</code></script></action>".to_owned(), "W0116"),
        ("<action name='a'><ok to='e'/></action>".to_owned(), "W0105"),
        (format!("<action name='a'>{script}</action>"), "W0112"),
        (format!("<action name='a'>{script}<ok to='e'/><ok to='e'/></action>"), "W0113"),
        (format!("<action name='a'>{script}<ok/></action>"), "W0107"),
        (format!("<action name='a'>{script}<ok to='e'/><error to='e'/></action>"), "ok"),
        (format!("<action name='a'>{script}<ok to='e'/><error to='e'/><error to='e'/></action>"), "[W0121]"),
        (format!("<action name='a'>{script}<ok to='e'/><error/></action>"), "[W0121]"),
        (format!("<action name='a'>{script}<ok to='e'/><error to='x'/></action>"), "W0201"),
        (format!("<action name='a'>{script}<shell><command>x</command></shell><ok to='e'/></action>"), "[W0103]"),
        (format!("<action name='a'>{script}<note/><ok to='e'/></action>"), "[W0103]"),
        (format!("<action name='a'>{script}<limits cpu='1'/><ok to='e'/></action>"), "W0106"),
        (format!("<action name='a' retry-times='${{param:n}}'>{script}<ok to='e'/></action>"), "ok"),
        (format!("<action name='a' retry-times=''>{script}<ok to='e'/></action>"), "W0108"),
        (format!("<action name='a' retry-times='x'>{script}<ok to='e'/></action>"), "W0109"),
        (format!("<action name='a' is-ignore='TRUE'>{script}<ok to='e'/></action>"), "ok"),
        (format!("<action name='a' is-ignore='yes'>{script}<ok to='e'/></action>"), "W0109"),
        (format!("<action name='a' timeout='-1'>{script}<ok to='e'/></action>"), "ok"),
        (format!("<action name='a' timeout='-2'>{script}<ok to='e'/></action>"), "W0109"),
        (format!("<action name='a' attempt-timeout='1h30m' lease='5s'>{script}<ok to='e'/></action>"), "W0109"),
        (format!("<action name='a' skip-if='x'>{script}<ok to='e'/></action>"), "W0106"),
        ("<action name='a'><ssh/><ok to='e'/></action>".to_owned(), "W0107 W0112"),
        ("<action name='a'><wait/><ok to='e'/></action>".to_owned(), "W0106"),
        ("<action name='a'><hive/><ok to='e'/></action>".to_owned(), "W0105"),
        ("<action name='a'><script/><ok to='e'/></action>".to_owned(), "W0112"),
        ("<action name='a'><script><code/></script><ok to='e'/></action>".to_owned(), "W0115"),
        ("<action name='a'><script><code file='x.sh'>x</code></script><ok to='e'/></action>".to_owned(), "W0106"),
        (
            "<action name='a'><script><code>./x</code><attach-list><file>/a/y</file></attach-list></script><ok to='e'/></action>".to_owned(),
            "ok",
        ),
        ("<action name='a'><sql>select 1</sql><ok to='e'/></action>".to_owned(), "W0107"),
        ("<action name='a'><email>hello</email><ok to='e'/></action>".to_owned(), "ok"),
        ("<action name='a'><email/><ok to='e'/></action>".to_owned(), "ok"),
        ("<action name='a'><data-monitor><source type='sql' db-link='d'>x</source></data-monitor><ok to='e'/></action>".to_owned(), "W0109"),
        ("<action name='a'><transfer><script>true</script></transfer><ok to='e'/></action>".to_owned(), "ok"),
        ("<action name='a'><transfer><source type='DB' db-link='d'>t</source></transfer><ok to='e'/></action>".to_owned(), "W0119"),
        ("<action name='a'><file-monitor><file>plain.txt</file></file-monitor><ok to='e'/></action>".to_owned(), "W0119"),
        ("<action name='a'><file-monitor><file min-each-size='5'>/a/b</file></file-monitor><ok to='e'/></action>".to_owned(), "W0109"),
        ("<action name='a'><file-executor><command>run</command></file-executor><ok to='e'/></action>".to_owned(), "W0119"),
        ("<action name='a'><file-executor><command>./run /a/b</command></file-executor><ok to='e'/></action>".to_owned(), "W0119"),
        (
            "<action name='a'><file-executor><command>./run</command><attach-list><file>../x</file><file>x/${param:y}</file><file>/x/run</file></attach-list></file-executor><ok to='e'/></action>".to_owned(),
            "W0119 W0123",
        ),
        ("<action name='a'><exec program='/bin/true'><arg/><arg> x </arg></exec><ok to='e'/></action>".to_owned(), "ok"),
        ("<action name='a'><exec/><ok to='e'/></action>".to_owned(), "W0107"),
    ] {
        assert_eq!(verdict("name='w'", &format!("{START}{action}{END}")), wanted, "{action}");
    }
}

#[test]
fn words_of_earlier_versions_are_ignored_with_what_to_write_instead() {
    let hints = |action: &str| {
        let text =
            format!("<work-flow name='w'>{START}<action name='a'>{action}<ok to='e'/></action>{END}</work-flow>");
        let diagnostics = load(text.as_bytes(), "x.xml").diagnostics;
        let hint = |one: &Diagnostic| (one.severity, one.hint.as_ref().map_or("-".to_owned(), |hint| hint.english()));
        diagnostics.iter().map(hint).collect::<Vec<_>>()
    };
    let kept = "leave it out: what a data-monitor finds is always kept, by workflow and node";
    for (action, wanted) in [
        (
            "<data-monitor category='c' is-saved='true' min-threshold='1'><source type='NUM'>1</source><max-threshold type='NUM'>2</max-threshold></data-monitor>",
            &[kept, kept, "write <min> instead of min-threshold", "write <max> instead of <max-threshold>"][..],
        ),
        (
            "<file-monitor><file num-threshold='1' size-thresold='2MB'>/a/*.sh</file></file-monitor>",
            &["write min-num instead of num-threshold", "write min-each-size instead of size-thresold"],
        ),
        (
            "<transfer><source type='FILE'>/a</source><target type='DB' db-link='d' table='t'><pre-sql>x</pre-sql><after-sql>y</after-sql></target></transfer>",
            &["write <pre> instead of <pre-sql>", "write <after> instead of <after-sql>"],
        ),
        (
            "<data-monitor is-exceed-error='true'><source type='SQL' db-link='d' username='u'>select 1</source></data-monitor>",
            &[
                "leave it out: a number out of bounds fails the node, and <error to=\"…\"/> says where it goes on",
                "write db-link=\"NAME\": address, user and password are of the link NAME in conf/db_links.xml",
            ],
        ),
        ("<sql type='MYSQL' db-link='d'>select 1</sql>", &["leave it out: the link says what kind of database it is"]),
        (
            "<file-monitor><file dir='/in'>/in/*</file><size-warn-message size-threshold='1MB'/></file-monitor>",
            &[
                "write the directory too: /data/in/*.csv",
                "write min-each-size at <file>, and the text of the message into <warn-msg>",
            ],
        ),
        (
            "<script><location>/x</location><code>true</code></script>",
            &["leave it out: a script has a directory of its own"],
        ),
        (
            "<transfer><source type='FILE' path='/a'>/a</source><target type='FILE' path='/b'/></transfer>",
            &["write the path as text: <source type=\"FILE\">/data/in.csv</source>"],
        ),
    ] {
        let wanted: Vec<_> = wanted.iter().map(|hint| (Severity::Warning, (*hint).to_owned())).collect();
        assert_eq!(hints(action), wanted, "{action}");
    }
}

/// akkaflow's documentation writes a parameter so in the value of another one, and nothing ever replaced it.
#[test]
fn a_parameter_without_its_word_in_the_value_of_another_is_a_warning() {
    let list = "<param name='day' value='1'/><param name='dir' value='/a&#47;${day}/${HOME}/${day/${param:day}'/>";
    let text = format!(
        "<work-flow name='w'><coordinator><param-list>{list}</param-list></coordinator>{START}{ACTION}{END}</work-flow>"
    );
    let diagnostics = load(text.as_bytes(), "x.xml").diagnostics;
    let [one] = &diagnostics[..] else { panic!("{diagnostics:?}") };
    assert_eq!((one.code.as_str(), one.severity), ("RF-P0102", Severity::Warning));
    assert_eq!(one.hint.as_ref().unwrap().english(), "write ${param:day} instead of ${day}");
    assert_eq!((one.column as usize, one.length), (text.find("${day}").unwrap() + 1, 6));
}

#[test]
fn what_earlier_versions_alone_could_run_is_refused_with_what_to_write_instead() {
    let script = "<script><code>true</code></script>";
    let action = |inside: &str| format!("{START}<action name='a'>{inside}<ok to='e'/></action>{END}");
    let coordinator = |inside: &str| format!("<coordinator>{inside}</coordinator>{}", action(script));
    let typed =
        |kind: &str| format!("<transfer><source type='{kind}'>t</source><target type='FILE' path='/b'/></transfer>");
    for (text, wanted) in [
        (
            action("<file-watcher><file dir='/in'>*.csv</file></file-watcher>"),
            "write <file-monitor> instead of <file-watcher>",
        ),
        (action("<command>ls</command>"), "write <shell><command> instead of <command>"),
        (action("<script><content>true</content></script>"), "write <code> instead of <content>"),
        (
            action("<data-monitor><source type='MYSQL'>select 1</source></data-monitor>"),
            "write SQL instead of MYSQL, and the name of a link as db-link",
        ),
        (action(&typed("ORACLE")), "write DB instead of ORACLE, and the name of a link as db-link"),
        (action(&typed("lfs")), "write FILE instead of lfs"),
        (
            action("<data-monitor><source type='NUM'><code>1</code></source></data-monitor>"),
            "write its text without <code> around it",
        ),
        (coordinator("<trigger><cron config='* * * * *'/></trigger>"), "write <trigger cron=\"…\"/> instead of <cron>"),
        (
            coordinator("<depend-list><depend wf='x'/></depend-list>"),
            "write <workflow name=\"…\"/> instead of <depend>",
        ),
        (
            coordinator("").replace("<coordinator", "<coordinator start='2026-01-01 00:00:00'"),
            "write start-time instead of start",
        ),
        (
            coordinator("<workflow-list><workflow path='w'/></workflow-list>"),
            "leave it out: a coordinator starts the workflow that it stands in",
        ),
        (
            coordinator("<trigger cron='* * * * *'><depend-list><workflow name='x'/></depend-list></trigger>"),
            "put <depend-list> beside <trigger>, inside <coordinator>",
        ),
        (
            format!("{START}<action name='a'>{script}<ok to='a'/></action>{END}"),
            "an instance runs each node once: end one of these edges elsewhere, or let an action repeat by retry-times",
        ),
    ] {
        let diagnostics = load(format!("<work-flow name='w'>{text}</work-flow>").as_bytes(), "x.xml").diagnostics;
        let hints: Vec<_> = diagnostics.iter().filter_map(|one| Some(one.hint.as_ref()?.english())).collect();
        assert!(hints.iter().any(|hint| hint == wanted), "{text}: {hints:?}");
    }
    let file = "<coordinator name='c'><trigger><cron config='* * * * * *'/></trigger></coordinator>";
    let diagnostics = load(file.as_bytes(), "x.xml").diagnostics;
    let hint = diagnostics[0].hint.as_ref().unwrap().english();
    assert!(hint.contains("write <coordinator> into the file of the workflow that it starts"), "{hint}");
}

#[test]
fn coordinators() {
    let body = format!("{START}{ACTION}{END}");
    for (coordinator, wanted) in [
        ("<coordinator/>", "ok"),
        ("<coordinator/><coordinator/>", "[C0101]"),
        ("<coordinator is-enabled=''/>", "ok"),
        ("<coordinator is-enabled='False'/>", "ok"),
        ("<coordinator is-enabled='no'/>", "W0109"),
        ("<coordinator start-time='2026-1-1 0:00:00'/>", "ok"),
        ("<coordinator start-time='2026-13-01 00:00:00'/>", "W0109"),
        ("<coordinator start-time='1990'/>", "W0109"),
        ("<coordinator><depend-list cron=''/></coordinator>", "W0108"),
        ("<coordinator><depend-list cron='0 1 * * *'/></coordinator>", "ok"),
        ("<coordinator><depend-list cron='0  1 * * *'/></coordinator>", "ok"),
        ("<coordinator><depend-list cron='0 1 * *'/></coordinator>", "C0103"),
        ("<coordinator><depend-list cron='30 8 * * MON-FRI'/></coordinator>", "ok"),
        ("<coordinator><depend-list cron='0 0 L * *'/></coordinator>", "ok"),
        ("<coordinator><depend-list cron='61 1 * * *'/></coordinator>", "C0103"),
        ("<coordinator><depend-list cron='0 1 * * * *'/></coordinator>", "[C0104]"),
        ("<coordinator><depend-list cron='every midnight on Monday'/></coordinator>", "ok"),
        ("<coordinator><depend-list cron='midnight on monday'/></coordinator>", "ok"),
        ("<coordinator><depend-list cron='sometimes on monday'/></coordinator>", "C0103"),
        ("<coordinator><depend-list><workflow/></depend-list></coordinator>", "W0107"),
        ("<coordinator><depend-list><work-flow name='x'/></depend-list></coordinator>", "[W0103]"),
        ("<coordinator><depend-list><workflow name='x' date='same'/></depend-list></coordinator>", "W0106"),
        ("<coordinator><depend-list need='any'/></coordinator>", "W0106"),
        ("<coordinator><depend-list/><depend-list/></coordinator>", "[C0102]"),
        ("<coordinator calendar='cn'/>", "W0106"),
        ("<coordinator overlap='skpi'/>", "W0109"),
        ("<coordinator misfire='all' misfire-max='7' misfire-window='1d' misfire-grace='5s'/>", "ok"),
        ("<coordinator business-date='-1 day'/>", "ok"),
        ("<coordinator business-date='-1 working-day'/>", "W0106"),
        ("<coordinator><trigger/></coordinator>", "C0107"),
        ("<coordinator><trigger every='0s'/></coordinator>", "W0109"),
        ("<coordinator><trigger every='15m' jitter='1m'/></coordinator>", "ok"),
        ("<coordinator><trigger cron='* * * * *' jitter='2m'/></coordinator>", "[C0113]"),
        ("<coordinator><trigger cron='* * * * *' seconds='0,30'/></coordinator>", "ok"),
        ("<coordinator><trigger cron='* * * * *' seconds='60'/></coordinator>", "W0109"),
        ("<coordinator><trigger at='2026-12-31 23:00:00' anchor='2026-12-31 23:00:00'/></coordinator>", "C0112"),
        ("<coordinator><trigger event='x'/></coordinator>", "W0106"),
        ("<coordinator><trigger every='1h'/><trigger every='2h'/></coordinator>", "C0108"),
        ("<coordinator><trigger id='a' every='1h'/><trigger every='2h'/></coordinator>", "ok"),
        ("<coordinator><trigger id='cron-7' every='1h'/></coordinator>", "C0108"),
        ("<coordinator><param-list><param value='x'/></param-list></coordinator>", "W0107"),
        ("<coordinator><param-list><param name='x'/></param-list></coordinator>", "ok"),
        ("<coordinator><param-list><param name='x' type='secret' value='y'/></param-list></coordinator>", "W0106"),
        ("<coordinator><param-list><param name='x' value='${time.nope}'/></param-list></coordinator>", "P0101"),
    ] {
        assert_eq!(verdict("name='w'", &format!("{coordinator}{body}")), wanted, "{coordinator}");
    }
}

#[test]
fn text_of_an_email_outside_elements_is_kept() {
    let email = |inside: &str| {
        let action = format!("<action name='a'><email>{inside}</email><ok to='e'/></action>");
        let outcome = load(format!("<work-flow name='w'>{START}{action}{END}</work-flow>").as_bytes(), "x.xml");
        let definition = outcome.definition.unwrap();
        let NodeKind::Action(action) = definition.node(definition.node_named("a").unwrap()).kind.clone() else {
            panic!("an action")
        };
        action.body.tree.text.unwrap().source
    };
    assert_eq!(email("hello"), "hello");
    assert_eq!(email("<![CDATA[<b>5 < 6</b>]]>"), "<b>5 < 6</b>");
    assert_eq!(email("hi <b class='x'>all</b> &amp; you"), "hi <b class=\"x\">all</b> &amp; you");
}

#[test]
fn w01_a_workflow_without_coordinator_and_with_a_chinese_or_blank_name_is_fine() {
    for name in ["日报", "daily report", "a.b:c#d"] {
        assert_eq!(verdict(&format!("name='{name}'"), &format!("{START}{ACTION}{END}")), "ok", "{name}");
    }
}

#[test]
fn w02_a_start_time_in_the_future_delays_the_first_fire() {
    let coordinator = "<coordinator start-time='2030-01-01 00:00:00'><depend-list cron='0 3 * * *'/></coordinator>";
    let text = format!("<work-flow name='w'>{coordinator}{START}{ACTION}{END}</work-flow>");
    let definition = load(text.as_bytes(), "w02.xml").definition.unwrap();
    let trigger = &definition.coordinator.unwrap().triggers[0];
    let fire = next_fire(trigger, &Zone::UTC, Timestamp(0)).unwrap();
    assert_eq!(fire.to_string(), "2030-01-01T03:00:00.000Z");
}

#[test]
fn w09_a_value_is_text_whatever_it_holds() {
    let list =
        "<param-list><param name='v' value='&amp; &lt;end/&gt; \"${x}\" ]]>'/></param-list>".replace("]]>", "]]&gt;");
    let action = "<action name='a'><exec program='p'><arg>${param:v}</arg></exec><ok to='e'/></action>";
    let text = format!("<work-flow name='w'>{list}{START}{action}{END}</work-flow>");
    let definition = load(text.as_bytes(), "w09.xml").definition.unwrap();
    let value = definition.params[0].value.as_ref().unwrap().constant_text().unwrap().into_owned();
    assert_eq!(value, "& <end/> \"${x}\" ]]>");
    assert_eq!(definition.nodes.len(), 3);
}
