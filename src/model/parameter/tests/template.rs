//! What is a form, what stays, what is a fault, in lenient and strict files.

use super::*;

/// (raw forms, constant text, faults as "severity place") of a text.
fn parsed(text: &str, is_strict: bool) -> (Vec<String>, Vec<String>) {
    let (template, faults) = Template::parse(text, &options(is_strict, TextContext::Shell));
    let forms = template.forms().map(|piece| piece.raw.clone()).collect();
    let faults = faults
        .iter()
        .map(|fault| {
            let mark = match (fault.severity, fault.is_not_built) {
                (Severity::Error, false) => "error",
                (Severity::Error, true) => "error(not built)",
                (Severity::Warning, false) => "warning",
                (Severity::Warning, true) => "warning(not built)",
            };
            format!("{mark} {}", &text[fault.span.clone()])
        })
        .collect();
    (forms, faults)
}

#[test]
fn forms_are_found_and_shells_own_stay() {
    for (text, forms) in [
        ("a ${param:x} b", vec!["${param:x}"]),
        ("${ param: 名字 }", vec!["${ param: 名字 }"]),
        ("${param:x}${param:y}", vec!["${param:x}", "${param:y}"]),
        ("${time.today|yyyy年MM月|-1 day}${biz.date}", vec!["${time.today|yyyy年MM月|-1 day}", "${biz.date}"]),
        ("${rf.workflow} ${rf.instance}", vec!["${rf.workflow}", "${rf.instance}"]),
        ("${node:load.rows} ${node:数据.rows}", vec!["${node:load.rows}", "${node:数据.rows}"]),
        ("${V} ${V:-1} ${#V} ${V//a/b} $V $$ ${", vec![]),
        ("${myparam:-1} ${s:0:3} ${datetime.x} ${params}", vec![]),
        ("${param :x} ${a.time.today}", vec![]),
        ("${V:-${param:x}}", vec!["${param:x}"]),
        ("${node:-x} ${each:0:3} ${secret:?gone} ${event:=a.b} ${dep: -2} ${node:+load.rows}", vec![]),
        ("${param:x", vec![]),
        ("", vec![]),
    ] {
        for is_strict in [false, true] {
            assert_eq!(
                parsed(text, is_strict),
                (forms.iter().map(|form| form.to_string()).collect(), vec![]),
                "{text}"
            );
        }
    }
}

#[test]
fn faults_depend_on_what_akkaflow_would_have_done() {
    // (text, forms and faults when lenient, when strict)
    for (text, lenient, strict) in [
        ("${time.tody}", "error time.tody", "error time.tody"),
        ("${biz.day}", "error biz.day", "error biz.day"),
        ("${param:}", "error param:", "error param:"),
        ("${time.today|yyyy-b}", "error b", "error b"),
        ("${time.today|yyyy|-1 dya}", "error -1 dya", "error -1 dya"),
        ("${time.today|yyyy|-1 day|x}", "error x", "error x"),
        ("${param:x|upper}", "error upper", "error upper"),
        ("${param:x|sum}", "error(not built) sum", "error(not built) sum"),
        ("${param:x|sh|json}", "error sh", "error sh"),
        ("${param:x|sql}", "error sql", "error sql"),
        ("${param:a:b}", "${param:a:b} warning param:a:b", "error param:a:b"),
        ("${xparam:a}", "${xparam:a} warning xparam:a", ""),
        ("${time.today||-1 week}", "${time.today||-1 week} warning -1 week", "${time.today||-1 week}"),
        ("${time.today|-1 day}", "${time.today|-1 day} warning -1 day", "error -1 day"),
        ("${time.today|yyyy|month-end, roll-back}", "error(not built) roll-back", "error(not built) roll-back"),
        ("${node:nowhere.rows}", "warning node:nowhere.rows", "error node:nowhere.rows"),
        ("${node:load}", "warning node:load", "error node:load"),
        ("${node:load.a b}", "warning node:load.a b", "error node:load.a b"),
        ("${rf.name}", "warning rf.name", "error rf.name"),
        ("${event:KEY}", "warning(not built) event:KEY", "error(not built) event:KEY"),
        ("${dep:w.k}", "warning dep:w.k", "error dep:w.k"),
        ("${dep:ods}", "warning dep:ods", "error dep:ods"),
        ("${dep:ods.a b}", "warning dep:ods.a b", "error dep:ods.a b"),
        ("${dep:ods.rows}", "${dep:ods.rows}", "${dep:ods.rows}"),
        ("${each:value}", "warning(not built) each:value", "error(not built) each:value"),
        ("${secret:pw}", "warning(not built) secret:pw", "error(not built) secret:pw"),
        ("${param:a${param:b}}", "${param:b} warning ${param:a${param:b}", "${param:b} error ${param:a${param:b}"),
    ] {
        for (is_strict, wanted) in [(false, lenient), (true, strict)] {
            let (forms, faults) = parsed(text, is_strict);
            assert_eq!([forms, faults].concat().join(" "), wanted, "{text}, strict {is_strict}");
        }
    }
}

#[test]
fn a_faulty_form_stays_as_text_and_all_faults_are_told() {
    let text = "${time.x} ${param:a} ${biz.y}";
    let (template, faults) = Template::parse(text, &options(false, TextContext::Plain));
    assert_eq!(faults.len(), 2);
    assert!(faults[0].hint.as_ref().unwrap().english().contains("time.today"));
    assert_eq!(template.params().collect::<Vec<_>>(), ["a"]);
    assert!(!template.is_constant());
}

#[test]
fn a_doubled_dollar_escapes_in_strict_files_only() {
    let (strict, _) = Template::parse("cost $${param:x} $${V}", &options(true, TextContext::Plain));
    assert_eq!(strict.constant_text().as_deref(), Some("cost ${param:x} $${V}"));
    assert!(strict.is_constant());
    assert_eq!(strict.source, "cost $${param:x} $${V}");
    let (lenient, _) = Template::parse("cost $${param:x}", &options(false, TextContext::Plain));
    assert_eq!(lenient.params().collect::<Vec<_>>(), ["x"]);
    let (mixed, _) = Template::parse("$${param:x}${param:x}$${param:x}!", &options(true, TextContext::Plain));
    let text = mixed.render(
        &scope(&[("x", Value::definition("1"))]),
        TextContext::Plain,
        Phase::NodeReady,
        &mut VariableCounter::default(),
    );
    assert_eq!(text.unwrap().text, "${param:x}1${param:x}!");
}

#[test]
fn the_longest_node_name_wins() {
    let (template, _) = Template::parse("${node:load.a.rows} ${node:load.b.rows}", &options(true, TextContext::Plain));
    assert_eq!(template.outputs().collect::<Vec<_>>(), [("load.a", "rows"), ("load", "b.rows")]);
}

#[test]
fn outputs_are_not_known_at_creation_and_nothing_stands_in_constants() {
    let at_creation = options(true, TextContext::Plain).at_creation();
    assert_eq!(Template::parse("${node:load.rows}", &at_creation).1.len(), 1);
    assert_eq!(Template::parse("${param:x}", &at_creation).1.len(), 0);
    let constant = options(true, TextContext::Constant);
    assert_eq!(Template::parse("${param:x}", &constant).1[0].severity, Severity::Error);
    assert_eq!(Template::parse("${V}", &constant).1.len(), 0);
}

#[test]
fn the_filter_sh_is_warned_about_where_it_does_not_protect() {
    // Each script has one form, written X here; the word is part of the warning, none if it is safe.
    for (script, word) in [
        (r#"echo "X""#, ""),
        (r#"echo "a X b" 'c'"#, ""),
        ("y=X", ""),
        ("export y=X; z", ""),
        ("cat <<EOF\nX\nEOF\n", ""),
        (r#"y="$(printf %s "X")""#, ""),
        (r#"echo "it's X""#, ""),
        (r#"echo \" "X""#, ""),
        ("# don't\necho \"X\"", ""),
        (r#"case "X" in a) ;; esac"#, ""),
        ("echo X", "outside double quotes"),
        ("echo --day=X", "outside double quotes"),
        (r#"echo "$(echo X)""#, "outside double quotes"),
        ("y=`echo X`", "outside double quotes"),
        (r#"echo "a" X "b""#, "outside double quotes"),
        ("[ X = 1 ]", "outside double quotes"),
        ("cat <<EOF\nit's\nEOF\necho X", "outside double quotes"),
        ("echo 'X'", "replaces nothing"),
        ("cat <<'EOF'\nX\nEOF", "replaces nothing"),
        ("cat <<-\"EOF\"\n\tX\n\tEOF", "replaces nothing"),
        (r#"eval "X""#, "eval"),
        (r#"sh -c "echo X""#, "with -c"),
        (r#"cd /; bash -xc "echo X""#, "with -c"),
        (r#"ssh host "echo X""#, "ssh"),
        ("echo $((X + 1))", "arithmetic"),
        ("((X > 1))", "arithmetic"),
        (r#"[[ "X" -eq 1 ]]"#, "this test"),
        (r#"[ -v "X" ]"#, "this test"),
    ] {
        let text = script.replace('X', "${param:x|sh}");
        let (_, faults) = Template::parse(&text, &options(true, TextContext::Shell));
        match faults.as_slice() {
            [] => assert_eq!(word, "", "{text}"),
            [fault] => {
                assert!(
                    !word.is_empty() && fault.message.english().contains(word),
                    "{text}: {}",
                    fault.message.english()
                );
                assert_eq!((fault.severity, &text[fault.span.clone()]), (Severity::Warning, "${param:x|sh}"));
            }
            more => panic!("{text}: {more:?}"),
        }
    }
}

#[test]
fn a_template_reads_back_from_its_stored_form() {
    let template = template("a ${param:x|or 无|json} ${time.today|yyyyMMdd|-1 month, month-end}", TextContext::Plain);
    let bytes = rmp_serde::to_vec_named(&template).unwrap();
    assert_eq!(rmp_serde::from_slice::<Template>(&bytes).unwrap(), template);
}

#[test]
fn a_text_full_of_openings_is_read_in_linear_time() {
    // With a search or a look around per form that goes over the whole text, these would take hours.
    for text in ["${".repeat(1 << 20) + "}", "${param:x|sh}".repeat(1 << 17), "${|".repeat(1 << 19) + "}"] {
        let (template, _) = Template::parse(&text, &options(false, TextContext::Shell));
        assert!(template.source.len() == text.len());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_parsing_or_rendering_panic(
        text in "\\PC{0,60}|(\\$|\\{|\\}|param:|time\\.|today|node:|load|\\.|\\||x|or |sh|-1 day|yyyy|:| |中){0,24}",
        is_strict: bool,
    ) {
        for context in [TextContext::Shell, TextContext::Sql, TextContext::Plain, TextContext::Html, TextContext::Constant] {
            let (template, faults) = Template::parse(&text, &options(is_strict, context));
            for fault in &faults {
                assert!(text.get(fault.span.clone()).is_some(), "{fault:?}");
            }
            let scope = scope(&[("x", Value::external("a'b"))]);
            let _ = template.render(&scope, context, Phase::NodeReady, &mut VariableCounter::default());
            let _ = template.render(&scope, context, Phase::Creation, &mut VariableCounter::default());
            if !is_strict && template.is_constant() {
                assert_eq!(template.constant_text().as_deref(), Some(text.as_str()));
            }
        }
    }
}
