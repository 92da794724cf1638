//! Types, bounds, declarations, and the environment.

use super::*;

fn accepts(declaration: &ParamDeclaration, text: &str) -> Result<String, String> {
    declaration.accept(text, Origin::External).map(|value| value.text).map_err(|error| error.to_string())
}

fn of(kind: ValueType) -> ParamDeclaration {
    ParamDeclaration { kind, ..ParamDeclaration::string("x", None) }
}

#[test]
fn values_are_read_by_type_and_written_in_one_way() {
    for (kind, text, wanted) in [
        (ValueType::Int, " +007 ", "7"),
        (ValueType::Decimal, "-1.50", "-1.50"),
        (ValueType::Bool, "True", "true"),
        (ValueType::Date, "2026-1-2", "2026-01-02"),
        (ValueType::Datetime, "2026-1-2 3:4:5", "2026-01-02 03:04:05"),
        (ValueType::Duration, "90", "1m30s"),
        (ValueType::List, " a , b,c ", "a,b,c"),
        (ValueType::List, "", ""),
        (ValueType::String, " as is ", " as is "),
        (ValueType::Text, "two\nlines", "two\nlines"),
    ] {
        assert_eq!(Value::parse(kind, text, Origin::External).unwrap().text, wanted);
    }
    for (kind, text) in [
        (ValueType::Int, "1.0"),
        (ValueType::Int, "0x10"),
        (ValueType::Int, "99999999999999999999"),
        (ValueType::Int, "1; rm"),
        (ValueType::Decimal, "1e5"),
        (ValueType::Decimal, ".5"),
        (ValueType::Decimal, "NaN"),
        (ValueType::Decimal, "12345678901234567890123456789.1"),
        (ValueType::Bool, "yes"),
        (ValueType::Date, "2026-02-30"),
        (ValueType::Datetime, "2026-01-01"),
        (ValueType::Duration, "-1s"),
        (ValueType::List, "a,,b"),
    ] {
        assert!(Value::parse(kind, text, Origin::External).is_err(), "{text}");
    }
    for word in ValueType::WORDS {
        assert_eq!(ValueType::from_word(word).unwrap().word(), *word);
    }
}

#[test]
fn bounds_compare_exactly_and_by_type() {
    let bounded = |kind, min: &str, max: &str| ParamDeclaration {
        min: Some(min.to_owned()),
        max: Some(max.to_owned()),
        ..of(kind)
    };
    for (kind, min, max, inside, outside) in [
        (ValueType::Int, "-3", "12", "-3", "13"),
        (ValueType::Int, "9", "10", "10", "8"),
        (ValueType::Decimal, "0.1", "0.30000000000000000001", "0.3", "0.300000000000000000011"),
        (ValueType::Decimal, "-2", "-1.5", "-1.50", "-1.4"),
        (ValueType::Date, "2026-01-01", "2026-12-31", "2026-1-1", "2027-01-01"),
        (
            ValueType::Datetime,
            "2026-01-01 00:00:00",
            "2026-01-01 12:00:00",
            "2026-01-01 12:00:00",
            "2026-01-01 12:00:01",
        ),
        (ValueType::Duration, "1m", "1h", "60", "61m"),
        (ValueType::String, "1", "3", "日报表", "日报表x"),
        (ValueType::List, "1", "2", "a,b", "a,b,c"),
    ] {
        let declaration = bounded(kind, min, max);
        assert_eq!(declaration.faults(), [], "{kind:?}");
        assert!(accepts(&declaration, inside).is_ok(), "{kind:?} {inside}");
        assert!(accepts(&declaration, outside).is_err(), "{kind:?} {outside}");
    }
    assert!(accepts(&bounded(ValueType::Decimal, "0", "1"), "-0.0").is_ok(), "minus zero is zero");
}

#[test]
fn patterns_match_the_whole_value_in_linear_time() {
    let code = ParamDeclaration { pattern: Some("[a-z]{2}|x".to_owned()), ..of(ValueType::String) };
    assert_eq!(accepts(&code, "cn"), Ok("cn".to_owned()));
    for bad in ["cnx", "acn", "cn\n", "x;"] {
        assert!(accepts(&code, bad).is_err(), "{bad}");
    }
    assert_eq!(code.accept("cn", Origin::External).unwrap().vouched, Vouched::Pattern);
    let slow = ParamDeclaration { pattern: Some("(a|a)*b".to_owned()), ..of(ValueType::String) };
    assert!(accepts(&slow, &"a".repeat(100_000)).is_err());
    let commented = ParamDeclaration { pattern: Some("(?x)[0-9]+ # digits".to_owned()), ..of(ValueType::String) };
    assert!(accepts(&commented, "12").is_ok() && accepts(&commented, "12;").is_err());
}

#[test]
fn choices_are_closed() {
    let region = ParamDeclaration { choices: vec!["cn".to_owned(), "eu".to_owned()], ..of(ValueType::Enum) };
    assert_eq!(accepts(&region, " cn "), Ok("cn".to_owned()));
    assert_eq!(accepts(&region, "us"), Err("\"us\" is not one of cn, eu".to_owned()));
}

#[test]
fn a_broken_declaration_names_the_attribute() {
    let constant = |text: &str| Some(Template::constant(text));
    for (declaration, attribute) in [
        (of(ValueType::Enum), "choices"),
        (ParamDeclaration { min: Some("x".to_owned()), ..of(ValueType::Int) }, "min"),
        (ParamDeclaration { max: Some("1.5".to_owned()), ..of(ValueType::String) }, "max"),
        (ParamDeclaration { max: Some("1".to_owned()), ..of(ValueType::Bool) }, "max"),
        (ParamDeclaration { min: Some("5".to_owned()), max: Some("3".to_owned()), ..of(ValueType::Int) }, "min"),
        (ParamDeclaration { pattern: Some("a)(".to_owned()), ..of(ValueType::String) }, "pattern"),
        (ParamDeclaration { pattern: Some("a{9999}{9999}".to_owned()), ..of(ValueType::String) }, "pattern"),
        (ParamDeclaration { value: constant("x3"), ..of(ValueType::Int) }, "value"),
    ] {
        let faults: Vec<&str> = declaration.faults().iter().map(|fault| fault.attribute).collect();
        assert_eq!(faults, [attribute]);
    }
    assert_eq!(ParamDeclaration { value: constant("3"), ..of(ValueType::Int) }.faults(), []);
}

#[test]
fn parameters_become_environment_variables_where_names_allow() {
    let params: Vec<(String, Value)> = ["day", "pay-day", "pay.day", "日期", "region2", "日a"]
        .iter()
        .map(|name| ((*name).to_owned(), Value::definition(*name)))
        .chain([("nul".to_owned(), Value::external("a\0b")), ("big".to_owned(), Value::external("x".repeat(1 << 17)))])
        .collect();
    let environment = environment(&params);
    let names: Vec<&str> = environment.variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["RF_PARAM_DAY", "RF_PARAM_REGION2", "RF_PARAM__A"]);
    assert_eq!(environment.warnings.len(), 5, "{:?}", environment.warnings);
    assert!(environment.warnings[0].contains("pay.day"), "{}", environment.warnings[0]);
}
