//! Forms to text: values, filters, the splicing rule by context.

use super::*;
use crate::model::parameter::splice::is_plain;

fn with_x(value: Value) -> TestScope {
    scope(&[("x", value)])
}

fn of_type(kind: ValueType, text: &str) -> Value {
    Value::parse(kind, text, Origin::External).unwrap()
}

#[test]
fn times_are_those_of_the_run_in_its_zone() {
    let scope = scope(&[]);
    for (text, wanted) in [
        ("${time.today}", "2026-03-31"),
        ("${time.yestoday}", "2026-03-30"),
        ("${time.cur_month}", "2026-03"),
        ("${time.last_month}", "2026-02"),
        ("${time.last_month|yyyyMMdd|-1 day}", "20260227"),
        ("${time.today|yyyy年MM月dd日 HH:mm|-90 minute}", "2026年03月31日 00:00"),
        ("${time.today | yyyyMMdd | -1 month}", "20260228"),
        ("${time.today||-1 day}", "2026-03-30"),
        ("${time.nominal}", "2026-03-31 01:30:00"),
        ("${time.due}", "2026-03-31 01:30:01"),
        ("${time.actual|yyyyMMdd}", "20260401"),
        ("${time.prev|yyyyMMdd}-${time.next|yyyyMMdd}", "20260330-20260401"),
        ("${biz.date}", "2026-03-31"),
        ("${biz.date|yyyyMMdd|-1 month, month-start}", "20260201"),
        ("${rf.workflow} ${rf.instance} ${rf.trigger} ${rf.version}", "日报 42 nightly 3"),
        ("${node:load.a.rows}", "12"),
        ("${node:load.rows|or 0}", "0"),
        ("${dep:ods.orders.rows}", "7"),
        ("${dep:ods.bytes|or 0}", "0"),
    ] {
        assert_eq!(plain(text, &scope), wanted, "{text}");
    }
}

#[test]
fn wall_clock_compat_takes_the_day_of_creation() {
    let scope = TestScope { compat: vec![Compat::WallClock], ..scope(&[]) };
    assert_eq!(plain("${time.today} ${time.nominal|yyyy-MM-dd}", &scope), "2026-04-01 2026-03-31");
}

#[test]
fn neighbours_need_a_time_trigger() {
    let scope = TestScope { is_timed: false, ..scope(&[]) };
    let error = rendered("${time.prev}", TextContext::Plain, &scope).unwrap_err();
    assert!(matches!(error, RenderError::NoNeighbour { .. }), "{error}");
}

#[test]
fn an_undefined_parameter_is_an_error_that_suggests() {
    let scope = scope(&[("region", Value::definition("cn"))]);
    let error = rendered("x ${param:reigon}", TextContext::Plain, &scope).unwrap_err();
    assert_eq!(error.to_string(), "${param:reigon}: there is no parameter \"reigon\" (did you mean region?)");
    assert_eq!(plain("${param:reigon|or none}", &scope), "none");
    let akkaflow = TestScope { compat: vec![Compat::UndefinedParam], ..scope };
    assert_eq!(plain("${param:reigon}", &akkaflow), "${param:undefined}");
    assert_eq!(plain("${param:reigon|or none}", &akkaflow), "none");
    let error = rendered("${node:load.nothing}", TextContext::Plain, &akkaflow).unwrap_err();
    assert!(matches!(error, RenderError::UndefinedOutput { .. }), "{error}");
}

#[test]
fn a_missing_output_of_a_prerequisite_says_what_is_missing() {
    let error = rendered("${dep:ods.bytes}", TextContext::Plain, &scope(&[])).unwrap_err();
    let wanted = "${dep:ods.bytes}: instance #41 of ods has no output \"bytes\" (add |or TEXT for a default)";
    assert_eq!(error.to_string(), wanted);
    // Another workflow wrote it: it is no part of code as it is.
    assert!(rendered("${dep:ods.orders.rows|sh}", TextContext::Shell, &scope(&[])).is_ok());
    let value = template("${dep:ods.orders.rows}", TextContext::Plain).render_value(&scope(&[]), Phase::Creation);
    assert_eq!(value.unwrap().origin, Origin::External);
}

#[test]
fn a_value_is_never_read_as_a_form() {
    let scope = scope(&[("x", Value::definition("${param:y} ${time.today} }")), ("y", Value::definition("!"))]);
    assert_eq!(plain("${param:x}${param:y}", &scope), "${param:y} ${time.today} }!");
}

#[test]
fn filters_escape() {
    let scope = with_x(Value::external("a \"b\"\n<é&'>"));
    assert_eq!(plain("${param:x|json}", &scope), r#"a \"b\"\n<é&'>"#);
    assert_eq!(plain("${param:x|url}", &scope), "a%20%22b%22%0A%3C%C3%A9%26%27%3E");
    assert_eq!(plain("${param:x|html}", &scope), "a &quot;b&quot;\n&lt;é&amp;&#39;&gt;");
    let json = format!("\"{}\"", plain("${param:x|json}", &scope));
    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "a \"b\"\n<é&'>");
}

#[test]
fn sh_and_sql_keep_values_out_of_the_text() {
    let scope = scope(&[("x", Value::external("a'; b")), ("y", Value::definition("c"))]);
    let shell = rendered("echo \"${param:x|sh}\" ${param:y|sh}", TextContext::Shell, &scope).unwrap();
    assert_eq!(shell.text, "echo \"${RF_V1}\" ${RF_V2}");
    let variables = vec![("RF_V1".to_owned(), "a'; b".to_owned()), ("RF_V2".to_owned(), "c".to_owned())];
    assert_eq!(shell.variables, variables);
    let sql = rendered("select ${param:x|sql}", TextContext::Sql, &scope).unwrap();
    assert_eq!((sql.text.as_str(), sql.variables.len()), ("select ?", 1));
    let mut counter = VariableCounter::default();
    let piece = template("${param:x|sh}", TextContext::Shell);
    let texts: Vec<String> = (0..2)
        .map(|_| piece.render(&scope, TextContext::Shell, Phase::NodeReady, &mut counter).unwrap().text)
        .collect();
    assert_eq!(texts, ["${RF_V1}", "${RF_V2}"], "one counter serves all texts of an action");
}

#[test]
fn what_the_author_wrote_is_spliced_as_it_is() {
    let scope = with_x(Value::definition("rm -rf '$HOME'; `x`"));
    for context in [TextContext::Shell, TextContext::Sql, TextContext::Authority, TextContext::Argument] {
        assert_eq!(rendered("${param:x}", context, &scope).unwrap().text, "rm -rf '$HOME'; `x`");
    }
}

#[test]
fn external_values_enter_code_only_when_plain_typed_or_vouched_for() {
    let pattern = Value { vouched: Vouched::Pattern, ..Value::external("a b") };
    let verbatim = Value { vouched: Vouched::Verbatim, ..Value::external("a; b") };
    for value in [
        Value::external("2026-01-01"),
        Value::external("2026-01-01 10:20:30"),
        Value::external("/data/in_1.csv,x@y+z:8080"),
        Value::external("华东"),
        Value::external(""),
        of_type(ValueType::Int, "-5"),
        of_type(ValueType::Decimal, "-0.5"),
        of_type(ValueType::Bool, "TRUE"),
        of_type(ValueType::Datetime, "2026-1-1 1:2:3"),
        of_type(ValueType::Duration, "1h 30m"),
        of_type(ValueType::Enum, "a b"),
        pattern,
        verbatim,
    ] {
        for context in [TextContext::Shell, TextContext::Sql] {
            let text = rendered("${param:x}", context, &with_x(value.clone())).unwrap_or_else(|e| panic!("{e}")).text;
            assert_eq!(text, value.text);
        }
    }
    for text in [
        "a b", "a;b", "-rf", "a--b", "$(x)", "`x`", "a'b", "a\"b", "a\nb", "a\\b", "*", "~", "a=b", "#", "%", "(", "\0",
    ] {
        for context in [TextContext::Shell, TextContext::Sql] {
            let error = rendered("${param:x}", context, &with_x(Value::external(text))).unwrap_err();
            assert!(matches!(error, RenderError::Unsafe { .. } | RenderError::Control { .. }), "{text}");
        }
        assert!(!is_plain(text), "{text}");
    }
    assert!(!is_plain(&"a".repeat(4097)) && is_plain(&"a".repeat(4096)));
    let compat = TestScope { compat: vec![Compat::Splice], ..with_x(Value::external("a; b")) };
    assert_eq!(rendered("${param:x}", TextContext::Shell, &compat).unwrap().text, "a; b");
}

#[test]
fn a_filter_cannot_smuggle_through_choices_or_patterns() {
    // The pattern allowed "<", the filter would write "&" and ";".
    let value = Value { vouched: Vouched::Pattern, ..Value::external("a<b") };
    assert!(rendered("${param:x}", TextContext::Shell, &with_x(value.clone())).is_ok());
    assert!(rendered("${param:x|html}", TextContext::Shell, &with_x(value)).is_err());
}

#[test]
fn outputs_of_nodes_are_external_whatever_their_scope_says() {
    let mut scope = scope(&[]);
    scope.outputs.push(("load".to_owned(), "k".to_owned(), Value::definition("a; b")));
    assert!(rendered("${node:load.k}", TextContext::Shell, &scope).is_err());
    assert!(rendered("${node:load.k|sh}", TextContext::Shell, &scope).is_ok());
    let text = template("echo ${node:load.k}", TextContext::Shell);
    let creation = text.render(&scope, TextContext::Shell, Phase::Creation, &mut VariableCounter::default());
    assert_eq!(creation.unwrap().text, "echo ", "not known when the instance is created");
}

#[test]
fn each_place_has_its_rule_for_external_values() {
    let lines = with_x(Value::external("a\nb"));
    assert!(matches!(rendered("${param:x}", TextContext::Argument, &lines), Err(RenderError::Control { .. })));
    assert!(rendered("${param:x}", TextContext::Plain, &lines).is_ok());
    let nul = with_x(Value::external("a\0b"));
    for context in [TextContext::Argument, TextContext::Plain, TextContext::Html] {
        assert!(matches!(rendered("${param:x}", context, &nul), Err(RenderError::Control { .. })));
    }
    assert!(matches!(rendered("${param:x|sh}", TextContext::Shell, &nul), Err(RenderError::Control { .. })));
    let markup = with_x(Value::external("<b>&"));
    assert_eq!(rendered("<p>${param:x}</p>", TextContext::Html, &markup).unwrap().text, "<p>&lt;b&gt;&amp;</p>");
    assert_eq!(rendered("${param:x|html}", TextContext::Html, &markup).unwrap().text, "&lt;b&gt;&amp;", "only once");
    assert_eq!(rendered("${param:x}", TextContext::Html, &with_x(Value::definition("<b>"))).unwrap().text, "<b>");
    let host = |value| rendered("${param:x}", TextContext::Authority, &with_x(value));
    assert!(matches!(host(Value::external("db1")), Err(RenderError::Authority { .. })));
    assert!(matches!(host(of_type(ValueType::Int, "1")), Err(RenderError::Authority { .. })));
    assert_eq!(host(of_type(ValueType::Enum, "db1")).unwrap().text, "db1");
    assert_eq!(host(Value { vouched: Vouched::Pattern, ..Value::external("db1") }).unwrap().text, "db1");
}

#[test]
fn a_rendered_text_has_a_bound() {
    let scope = with_x(Value::definition("x".repeat(1 << 20)));
    let many = "${param:x}".repeat(9);
    assert_eq!(rendered(&many, TextContext::Plain, &scope).unwrap_err(), RenderError::Long);
    let value = template("${param:x}${param:x}", TextContext::Plain);
    assert_eq!(value.render_value(&scope, Phase::Creation).unwrap_err(), RenderError::Long);
}
