//! Scripts as people write them, cut where their database would cut them.

use proptest::prelude::*;

use super::*;

fn texts(script: &str, dialect: Dialect) -> Vec<String> {
    split(script, dialect).unwrap().into_iter().map(|statement| statement.text).collect()
}

/// The script is cut at `|` alone.
fn cut(dialect: Dialect, marked: &str) {
    let expected: Vec<String> =
        marked.split('|').map(|part| part.trim().to_owned()).filter(|p| !p.is_empty()).collect();
    let ends = |part: &str| part.trim_end().ends_with([';', '/', '$']) || part.trim().is_empty();
    let script = marked.replace('|', "");
    let texts = texts(&script, dialect);
    let trimmed: Vec<String> = expected
        .iter()
        .map(|part| {
            let keeps = dialect == Dialect::Oracle && part.trim_end().ends_with("END;");
            if keeps || !ends(part) { part.clone() } else { part.trim_end_matches(';').trim_end().to_owned() }
        })
        .collect();
    assert_eq!(texts, trimmed, "{script}");
}

#[test]
fn quotes_and_comments_hide_semicolons() {
    for dialect in [Dialect::MySql, Dialect::PostgreSql, Dialect::Sqlite, Dialect::Oracle, Dialect::Hive] {
        cut(dialect, "select 'a;b', \"c;d\";| select 'it''s;' ;| select 1 -- no; end\n + 2;| select /* ; */ 3");
        assert!(texts("-- only\n/* comments; */ ;; ;", dialect).is_empty());
    }
    cut(
        Dialect::MySql,
        r"select 'a\';b';| select 5--1;| select 1 # no;
 + 1;| select `a;b``c`",
    );
    cut(Dialect::PostgreSql, r"select 'a\';| select E'a\';b';| select /* a /* ; */ ; */ 1;| select a[1];");
    cut(Dialect::Sqlite, "select [a;b];| select `c;d`;| select 'a\\';| select 2");
    cut(Dialect::Oracle, "select q'[it's;]' from dual;| select 1 from dual;");
    assert_eq!(
        texts("/*!40101 SET NAMES utf8 */; select 1", Dialect::MySql),
        ["/*!40101 SET NAMES utf8 */", "select 1"]
    );
}

#[test]
fn dollar_quotes_are_strings() {
    cut(
        Dialect::PostgreSql,
        "CREATE FUNCTION f() RETURNS int AS $$ BEGIN RETURN 1; END; $$ LANGUAGE plpgsql;| DO $x$ BEGIN PERFORM $$;$$; END $x$;| select $1;",
    );
    cut(
        Dialect::PostgreSql,
        "CREATE FUNCTION g(a int) RETURNS int BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 1 END; SELECT 2; END;| BEGIN;| select 1;| END;",
    );
    cut(Dialect::PostgreSql, "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b);| select 1");
}

#[test]
fn bodies_of_mysql_hold_together() {
    cut(
        Dialect::MySql,
        "CREATE PROCEDURE p(IN a INT)
BEGIN
  DECLARE CONTINUE HANDLER FOR NOT FOUND BEGIN SET @x = 1; END;
  IF a > 1 THEN SET @a = IF(a, 1, 2); ELSEIF a > 2 THEN SET @b = 2; ELSE IF a THEN SET @c = 3; END IF; END IF;
  lbl: LOOP LEAVE lbl; END LOOP lbl;
  WHILE a > 0 DO SET a = a - 1; END WHILE;
  REPEAT SET a = 1; UNTIL a END REPEAT;
  CASE a WHEN 1 THEN SELECT 1; ELSE SELECT REPEAT('x', 3); END CASE;
  SELECT CASE WHEN a THEN IF(a, 1, 2) ELSE IF(a, 3, 4) END;
  SELECT a.end FROM a FOR UPDATE;
END;| SELECT 1;| DROP TABLE IF EXISTS t;| CREATE TABLE IF NOT EXISTS t (a int);| SELECT IF(1, 2, 3);",
    );
    cut(
        Dialect::MySql,
        "CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET NEW.a = 1;| CREATE TRIGGER u BEFORE INSERT ON x FOR EACH ROW IF NEW.a > 1 THEN SET NEW.a = 1; END IF;| SELECT 2;",
    );
    cut(Dialect::MySql, "CREATE PROCEDURE IF NOT EXISTS q() SELECT 1;| BEGIN;| UPDATE t SET a = 1;| COMMIT;");
    cut(Dialect::MySql, "BEGIN NOT ATOMIC IF 1 THEN SELECT 1; END IF; SELECT 2; END;| SELECT 3");
    cut(Dialect::MySql, "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM a; DELETE FROM b; END;| SELECT 1");
}

#[test]
fn a_delimiter_of_its_own_is_kept_until_the_next() {
    let script = "DELIMITER //\nCREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\nEND//\nSELECT 'a//b' //\ndelimiter $$\nSELECT 2$$\nDELIMITER ;\nSELECT 3; SELECT 4";
    let statements = split(script, Dialect::MySql).unwrap();
    let texts: Vec<_> = statements.iter().map(|s| (s.line, s.text.as_str())).collect();
    assert_eq!(
        texts,
        [
            (2, "CREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\nEND"),
            (6, "SELECT 'a//b'"),
            (8, "SELECT 2"),
            (10, "SELECT 3"),
            (10, "SELECT 4"),
        ]
    );
    assert_eq!(split("SELECT 1;\nDELIMITER\n", Dialect::MySql), Err(SplitError::NoDelimiter { line: 2 }));
}

#[test]
fn bodies_of_sqlite_and_oracle_hold_together() {
    cut(
        Dialect::Sqlite,
        "CREATE TEMP TRIGGER t AFTER INSERT ON x BEGIN UPDATE y SET a = CASE WHEN 1 THEN 2 END; DELETE FROM z; END;| BEGIN;| INSERT INTO x VALUES (1);| END;",
    );
    cut(
        Dialect::Oracle,
        "DECLARE x NUMBER; BEGIN IF x > 1 THEN FOR i IN 1..3 LOOP NULL; END LOOP; END IF; x := CASE WHEN 1 = 1 THEN 2 END; END;| SELECT 1 FROM dual;",
    );
    assert_eq!(
        texts(
            "CREATE OR REPLACE PACKAGE p AS\n PROCEDURE a;\nEND;\n/\nBEGIN a; END;\n/\nSELECT 4/2 FROM dual;",
            Dialect::Oracle
        ),
        ["CREATE OR REPLACE PACKAGE p AS\n PROCEDURE a;\nEND;", "BEGIN a; END;", "SELECT 4/2 FROM dual"]
    );
}

#[test]
fn what_is_not_closed_is_told_with_its_line() {
    for (script, opener) in [("select 1;\nselect 'a", "'"), ("\nselect /* a", "/*"), ("\nselect $x$ a", "$x$")] {
        let error = SplitError::Unclosed { opener: opener.to_owned(), line: 2 };
        assert_eq!(split(script, Dialect::PostgreSql), Err(error));
    }
}

#[test]
fn values_go_to_their_placeholders() {
    let mut statements = split("select '?' , ? -- ?\n; insert into t values (?, ?)", Dialect::PostgreSql).unwrap();
    let values: Vec<String> = ["a", "b'", "c"].map(str::to_owned).to_vec();
    share(&mut statements, &values).unwrap();
    assert_eq!(Dialect::PostgreSql.with_literals(&statements[0]), "select '?' ,  'a' ");
    assert_eq!(Dialect::PostgreSql.with_literals(&statements[1]), "insert into t values ( 'b''' ,  'c' )");
    let error = share(&mut statements, &values[..2]).unwrap_err();
    assert_eq!(error, SplitError::Placeholders { placeholders: 3, values: 2 });
    let mut own = split("select data ? 'key'", Dialect::PostgreSql).unwrap();
    share(&mut own, &[]).unwrap();
    assert_eq!(Dialect::PostgreSql.with_literals(&own[0]), "select data ? 'key'");
}

fn statement() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("select 1"),
        Just("insert into t values ('a;b', \"c;\", 'it''s')"),
        Just("update t set a = 1 /* ; */ where b = 2"),
        Just("delete from t -- ;\n where a = 1"),
        Just("CREATE TRIGGER t AFTER INSERT ON x BEGIN DELETE FROM a; SELECT CASE WHEN 1 THEN 2 END; END"),
        Just("select '数;据' as 名"),
    ]
}

proptest! {
    #[test]
    fn joined_statements_are_split_again(parts in prop::collection::vec(statement(), 0..8), between in "[ \n]{0,3}") {
        let script = parts.join(&format!("{between};{between}"));
        prop_assert_eq!(&texts(&script, Dialect::Sqlite), &parts);
        let script = parts.join(&format!("\n-- a;b\n;/* c;d */ {between}"));
        prop_assert_eq!(&texts(&script, Dialect::Sqlite), &parts);
    }

    #[test]
    fn pieces_are_parts_of_the_script(
        script in "([a-z ;'\"`$/*\\-#?\\[\\]()\n\\\\数é]|begin|end|case|if|create procedure|delimiter|\\PC){0,60}",
    ) {
        use Dialect::*;
        for dialect in [MySql, PostgreSql, Sqlite, Oracle, SqlServer, Hive, Standard] {
            let Ok(statements) = split(&script, dialect) else { continue };
            let mut end = 0;
            for statement in &statements {
                prop_assert!(statement.span.start >= end);
                prop_assert_eq!(&script[statement.span.clone()], statement.text.as_str());
                prop_assert_eq!(statement.text.trim(), statement.text.as_str());
                let lines = script[..statement.span.start].matches('\n').count() as u32 + 1;
                prop_assert_eq!(statement.line, lines);
                prop_assert!(statement.params.iter().all(|at| statement.text.as_bytes()[*at] == b'?'));
                end = statement.span.end;
            }
        }
    }
}
