//! Precedence, order, types and origins of an instance's parameters.

use super::*;

fn param(name: &str, value: &str) -> ParamDeclaration {
    let (template, faults) = Template::parse(value, &options(true, TextContext::Plain).at_creation());
    assert!(faults.is_empty(), "{faults:?}");
    ParamDeclaration::string(name, Some(template))
}

fn resolve(
    declarations: &[ParamDeclaration],
    trigger: &[ParamDeclaration],
    caller: &[(&str, &str)],
    is_strict: bool,
) -> Result<Vec<(String, Value)>, ParamError> {
    let caller: Vec<(String, String)> =
        caller.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    resolve_parameters(declarations, trigger, &caller, &scope(&[]), is_strict)
}

fn texts(params: &[(String, Value)]) -> Vec<String> {
    params.iter().map(|(name, value)| format!("{name}={}", value.text)).collect()
}

#[test]
fn the_caller_wins_over_the_trigger_over_the_file_and_derived_values_follow() {
    let file =
        [param("day", "${biz.date|yyyyMMdd}"), param("region", "cn"), param("path", "/${param:region}/${param:day}")];
    let trigger = [param("region", "eu")];
    assert_eq!(texts(&resolve(&file, &[], &[], true).unwrap()), ["day=20260331", "region=cn", "path=/cn/20260331"]);
    assert_eq!(
        texts(&resolve(&file, &trigger, &[], true).unwrap()),
        ["day=20260331", "region=eu", "path=/eu/20260331"]
    );
    let called = resolve(&file, &trigger, &[("region", "us"), ("day", "x y")], true).unwrap();
    assert_eq!(texts(&called), ["day=x y", "region=us", "path=/us/x y"]);
    assert!(called.iter().all(|(_, value)| value.origin == Origin::External), "derived from outside is from outside");
    let own = resolve(&file, &trigger, &[], true).unwrap();
    assert!(own.iter().all(|(_, value)| value.origin == Origin::Definition));
}

#[test]
fn akka_04_the_later_of_two_names_wins_and_may_use_the_earlier() {
    let file = [param("a", "1"), param("b", "${param:a}"), param("a", "${param:a}2")];
    assert_eq!(texts(&resolve(&file, &[], &[], true).unwrap()), ["a=12", "b=1"]);
    assert_eq!(texts(&resolve(&file, &[], &[("a", "9")], true).unwrap()), ["a=9", "b=9"]);
}

#[test]
fn a_later_parameter_is_not_known_yet() {
    let error = resolve(&[param("b", "${param:a}"), param("a", "1")], &[], &[], true).unwrap_err();
    assert!(matches!(error, ParamError::Render { ref name, .. } if name == "b"), "{error}");
}

#[test]
fn undeclared_names_are_strings_or_refused_in_strict_files() {
    let file = [param("region", "cn")];
    let lenient = resolve(&file, &[], &[("extra", "x; y")], false).unwrap();
    assert_eq!(lenient[1], ("extra".to_owned(), Value::external("x; y").from_source("caller")));
    let error = resolve(&file, &[], &[("reigon", "x")], true).unwrap_err();
    assert_eq!(error.to_string(), "there is no parameter \"reigon\" (did you mean region?)");
    let trigger_only = resolve(&file, &[param("run", "night")], &[("run", "day")], true).unwrap();
    assert_eq!(texts(&trigger_only), ["region=cn", "run=day"]);
}

#[test]
fn types_bounds_and_rights_hold_for_every_giver() {
    let int = ParamDeclaration { kind: ValueType::Int, max: Some("9".to_owned()), ..param("n", "3") };
    let resolved = resolve(std::slice::from_ref(&int), &[], &[("n", " 05 ")], true).unwrap();
    assert_eq!((texts(&resolved), resolved[0].1.kind), (vec!["n=5".to_owned()], ValueType::Int));
    for (trigger, caller) in
        [(vec![], vec![("n", "x")]), (vec![], vec![("n", "10")]), (vec![param("n", "ten")], vec![])]
    {
        let error = resolve(std::slice::from_ref(&int), &trigger, &caller, true).unwrap_err();
        assert!(matches!(error, ParamError::Value { ref name, .. } if name == "n"), "{error}");
    }
    let denied = ParamDeclaration { external: false, ..param("day", "1") };
    let error = resolve(&[denied], &[], &[("day", "2")], false).unwrap_err();
    assert_eq!(error, ParamError::Denied { name: "day".to_owned() });
}

#[test]
fn a_required_parameter_must_come_from_somewhere() {
    let required = ParamDeclaration { value: None, required: true, ..param("day", "") };
    let error = resolve(std::slice::from_ref(&required), &[], &[], false).unwrap_err();
    assert_eq!(error, ParamError::Missing { name: "day".to_owned() });
    assert!(resolve(std::slice::from_ref(&required), &[param("day", "1")], &[], false).is_ok());
    assert!(resolve(std::slice::from_ref(&required), &[], &[("day", "1")], false).is_ok());
    let optional = ParamDeclaration { required: false, ..required };
    assert_eq!(resolve(&[optional], &[], &[], false).unwrap(), []);
}

#[test]
fn names_and_numbers_from_outside_have_bounds() {
    for name in ["", " ", "a\nb", "${param:x}", &"x".repeat(129)] {
        assert!(matches!(resolve(&[], &[], &[(name, "1")], false), Err(ParamError::Name { .. })), "{name}");
    }
    let many: Vec<(String, String)> = (0..1001).map(|n| (format!("p{n}"), String::new())).collect();
    assert_eq!(resolve_parameters(&[], &[], &many, &scope(&[]), false), Err(ParamError::TooMany));
    let long = "x".repeat((1 << 20) + 1);
    assert!(matches!(resolve(&[], &[], &[("a", &long)], false), Err(ParamError::Value { .. })));
}

#[test]
fn vouching_comes_from_the_declaration() {
    let verbatim = ParamDeclaration { verbatim: true, ..param("where", "") };
    let resolved = resolve(&[verbatim], &[], &[("where", "a > 1")], true).unwrap();
    assert_eq!(resolved[0].1.vouched, Vouched::Verbatim);
    let scope = TestScope { params: resolved, ..scope(&[]) };
    assert_eq!(rendered("where ${param:where}", TextContext::Sql, &scope).unwrap().text, "where a > 1");
}
