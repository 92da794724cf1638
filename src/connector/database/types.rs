//! Types of columns across databases: what a column of one is in a table of another. Pure; by names alone.

use super::dialect::Dialect;

/// How values are written for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Text that may be empty.
    Plain,
    Number,
    /// Dates, times, and what else has no empty text.
    Time,
    Binary,
    /// `bit(n)` of MySQL: a number for us.
    Bits,
}

/// What is kept of a type when it goes to another database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Bytes, and whether it is without a sign.
    Integer(u8, bool),
    /// Digits, and those behind the point.
    Decimal(Option<(u32, u32)>),
    Real,
    Double,
    Bool,
    Date,
    Time,
    DateTime,
    Instant,
    /// Most characters.
    Text(Option<u32>),
    Binary,
    Json,
    Uuid,
    Bits,
    /// Of one database alone; its text is kept.
    Other,
}

impl Shape {
    fn of(name: &str) -> Self {
        let name = name.trim().to_ascii_lowercase();
        let (word, rest) = name.split_once('(').unwrap_or((&name, ""));
        let (args, rest) = rest.split_once(')').unwrap_or(("", rest));
        let mut numbers = args.split(',').filter_map(|arg| arg.trim().parse::<u32>().ok());
        let (first, second) = (numbers.next(), numbers.next());
        let words = format!("{} {}", word.trim(), rest.trim());
        let is_unsigned = words.contains("unsigned");
        let has_zone = words.contains("with time zone");
        let word = words.split_whitespace().next().unwrap_or_default();
        match word {
            "tinyint" => Self::Integer(1, is_unsigned),
            "smallint" | "int2" | "smallserial" | "year" => Self::Integer(2, is_unsigned),
            "mediumint" | "int" | "integer" | "int4" | "serial" | "oid" => Self::Integer(4, is_unsigned),
            "bigint" | "int8" | "bigserial" => Self::Integer(8, is_unsigned),
            "decimal" | "numeric" | "dec" | "number" => {
                Self::Decimal(first.map(|digits| (digits, second.unwrap_or(0))))
            }
            "float4" | "real" => Self::Real,
            "float" | "float8" | "double" => Self::Double,
            "bool" | "boolean" => Self::Bool,
            "date" => Self::Date,
            "timetz" | "time" => Self::Time,
            "timestamptz" => Self::Instant,
            "timestamp" if has_zone => Self::Instant,
            "timestamp" | "datetime" => Self::DateTime,
            "varchar" | "char" | "character" | "bpchar" | "nvarchar" | "nchar" | "varchar2" => Self::Text(first),
            "text" | "tinytext" | "mediumtext" | "longtext" | "clob" | "string" | "name" | "enum" | "set"
            | "citext" => Self::Text(None),
            "bytea" | "blob" | "tinyblob" | "mediumblob" | "longblob" | "binary" | "varbinary" | "geometry" => {
                Self::Binary
            }
            "json" | "jsonb" => Self::Json,
            "uuid" => Self::Uuid,
            "bit" => Self::Bits,
            _ => Self::Other,
        }
    }
}

impl Form {
    pub fn of(type_name: &str) -> Self {
        match Shape::of(type_name) {
            Shape::Integer(..) | Shape::Decimal(_) | Shape::Real | Shape::Double | Shape::Bool => Self::Number,
            Shape::Date | Shape::Time | Shape::DateTime | Shape::Instant | Shape::Json | Shape::Uuid => Self::Time,
            Shape::Text(_) | Shape::Other => Self::Plain,
            Shape::Binary => Self::Binary,
            Shape::Bits => Self::Bits,
        }
    }
}

/// May a column of this type hold the empty text?
pub fn holds_empty(type_name: &str) -> bool {
    matches!(Form::of(type_name), Form::Plain | Form::Binary)
}

/// Types of databases that are reached through ODBC.
fn of_vendor(shape: Shape, target: Dialect) -> Option<String> {
    let sized = |word: &str, n: Option<u32>, max: u32, otherwise: &str| match n {
        Some(n) if (1..=max).contains(&n) => format!("{word}({n})"),
        _ => otherwise.to_owned(),
    };
    let decimal = |sized: Option<(u32, u32)>, word: &str, otherwise: &str| match sized {
        Some((digits, scale)) if digits <= 38 && scale <= digits => format!("{word}({digits},{scale})"),
        _ => otherwise.to_owned(),
    };
    Some(match target {
        Dialect::Oracle => match shape {
            Shape::Integer(8, true) => "NUMBER(20)".to_owned(),
            Shape::Integer(8, _) | Shape::Integer(4, true) => "NUMBER(19)".to_owned(),
            Shape::Integer(..) => "NUMBER(10)".to_owned(),
            Shape::Decimal(sized) => decimal(sized, "NUMBER", "NUMBER"),
            Shape::Bits => "NUMBER(20)".to_owned(),
            Shape::Real => "BINARY_FLOAT".to_owned(),
            Shape::Double => "BINARY_DOUBLE".to_owned(),
            Shape::Bool => "NUMBER(1)".to_owned(),
            Shape::Date => "DATE".to_owned(),
            Shape::Time => "VARCHAR2(20)".to_owned(),
            Shape::DateTime => "TIMESTAMP".to_owned(),
            Shape::Instant => "TIMESTAMP WITH TIME ZONE".to_owned(),
            Shape::Text(n) => sized("VARCHAR2", n, 1000, "CLOB").replace(')', " CHAR)"),
            Shape::Uuid => "CHAR(36)".to_owned(),
            Shape::Json | Shape::Other => "CLOB".to_owned(),
            Shape::Binary => "BLOB".to_owned(),
        },
        Dialect::SqlServer => match shape {
            Shape::Integer(8, true) | Shape::Bits => "decimal(20,0)".to_owned(),
            Shape::Integer(8, _) | Shape::Integer(4, true) => "bigint".to_owned(),
            Shape::Integer(4, _) | Shape::Integer(2, true) => "int".to_owned(),
            Shape::Integer(..) => "smallint".to_owned(),
            Shape::Decimal(sized) => decimal(sized, "decimal", "decimal(38,10)"),
            Shape::Real => "real".to_owned(),
            Shape::Double => "float".to_owned(),
            Shape::Bool => "bit".to_owned(),
            Shape::Date => "date".to_owned(),
            Shape::Time => "time".to_owned(),
            Shape::DateTime => "datetime2".to_owned(),
            Shape::Instant => "datetimeoffset".to_owned(),
            Shape::Text(n) => sized("nvarchar", n, 4000, "nvarchar(max)"),
            Shape::Uuid => "char(36)".to_owned(),
            Shape::Json | Shape::Other => "nvarchar(max)".to_owned(),
            Shape::Binary => "varbinary(max)".to_owned(),
        },
        Dialect::Hive => match shape {
            Shape::Integer(8, true) | Shape::Bits => "decimal(20,0)".to_owned(),
            Shape::Integer(8, _) | Shape::Integer(4, true) => "bigint".to_owned(),
            Shape::Integer(..) => "int".to_owned(),
            Shape::Decimal(sized) => decimal(sized, "decimal", "decimal(38,10)"),
            Shape::Real => "float".to_owned(),
            Shape::Double => "double".to_owned(),
            Shape::Bool => "boolean".to_owned(),
            Shape::Date => "date".to_owned(),
            Shape::DateTime | Shape::Instant => "timestamp".to_owned(),
            Shape::Binary => "binary".to_owned(),
            Shape::Time | Shape::Text(_) | Shape::Uuid | Shape::Json | Shape::Other => "string".to_owned(),
        },
        _ => return None,
    })
}

fn unsized_type(type_name: &str, target: Dialect) -> &'static str {
    match (Shape::of(type_name), target) {
        (Shape::Integer(..), Dialect::Sqlite) => "INTEGER",
        (Shape::Integer(8, true), _) => "decimal(20,0)",
        (Shape::Integer(4, true) | Shape::Integer(8, _), _) => "bigint",
        (Shape::Integer(4, _) | Shape::Integer(2, true), _) => "integer",
        (Shape::Integer(1, false), Dialect::MySql) => "tinyint",
        (Shape::Integer(..), _) => "smallint",
        (Shape::Bits, Dialect::Sqlite) => "INTEGER",
        (Shape::Bits, Dialect::MySql) => "bigint unsigned",
        (Shape::Bits, _) => "decimal(20,0)",
        (Shape::Bool, Dialect::MySql) => "tinyint(1)",
        (Shape::Bool, Dialect::Sqlite) => "INTEGER",
        (Shape::Bool, _) => "boolean",
        (Shape::Decimal(_), Dialect::MySql) => "decimal(65,30)",
        (Shape::Decimal(_), _) => "numeric",
        (Shape::Real | Shape::Double, Dialect::Sqlite) => "REAL",
        (Shape::Real, Dialect::PostgreSql) => "real",
        (Shape::Double, Dialect::PostgreSql) => "double precision",
        (Shape::Real | Shape::Double, _) => "double",
        (Shape::Binary, Dialect::Sqlite) => "BLOB",
        (_, Dialect::Sqlite) => "TEXT",
        (Shape::Date, _) => "date",
        (Shape::Time, Dialect::MySql) => "time(6)",
        (Shape::Time, _) => "time",
        (Shape::DateTime | Shape::Instant, Dialect::MySql) => "datetime(6)",
        (Shape::Instant, Dialect::PostgreSql) => "timestamptz",
        (Shape::DateTime | Shape::Instant, _) => "timestamp",
        (Shape::Binary, Dialect::PostgreSql) => "bytea",
        (Shape::Binary, _) => "longblob",
        (Shape::Json, Dialect::PostgreSql) => "jsonb",
        (Shape::Json, _) => "json",
        (Shape::Uuid, Dialect::PostgreSql) => "uuid",
        (Shape::Uuid, _) => "char(36)",
        (Shape::Text(_) | Shape::Other, Dialect::MySql) => "longtext",
        (Shape::Text(_) | Shape::Other, _) => "text",
    }
}

/// The type that a column gets in a new table of `target`, for values of a column of this type elsewhere, with the
/// sizes that it has there.
pub fn column_type(type_name: &str, target: Dialect) -> String {
    if let Some(found) = of_vendor(Shape::of(type_name), target) {
        return found;
    }
    match (Shape::of(type_name), target) {
        (Shape::Decimal(Some((digits, scale))), Dialect::MySql) if digits <= 65 && scale <= 30 => {
            format!("decimal({digits},{scale})")
        }
        (Shape::Decimal(Some((digits, scale))), Dialect::PostgreSql) => format!("numeric({digits},{scale})"),
        // Longer ones would not fit into a row of MySQL beside others.
        (Shape::Text(Some(n)), Dialect::MySql) if (1..=4000).contains(&n) => format!("varchar({n})"),
        (Shape::Text(Some(n)), Dialect::PostgreSql) if n > 0 => format!("varchar({n})"),
        _ => unsized_type(type_name, target).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_gets_a_type_that_holds_its_values() {
        for (name, mysql, postgres, sqlite) in [
            ("int4", "integer", "integer", "INTEGER"),
            ("int(11)", "integer", "integer", "INTEGER"),
            ("INTEGER", "integer", "integer", "INTEGER"),
            ("int(10) unsigned", "bigint", "bigint", "INTEGER"),
            ("bigint(20) unsigned", "decimal(20,0)", "decimal(20,0)", "INTEGER"),
            ("tinyint(1)", "tinyint", "smallint", "INTEGER"),
            ("tinyint(3) unsigned", "smallint", "smallint", "INTEGER"),
            ("bool", "tinyint(1)", "boolean", "INTEGER"),
            ("numeric(10,2)", "decimal(10,2)", "numeric(10,2)", "numeric"),
            ("numeric", "decimal(65,30)", "numeric", "numeric"),
            ("numeric(80,40)", "decimal(65,30)", "numeric(80,40)", "numeric"),
            ("float8", "double", "double precision", "REAL"),
            ("varchar(20)", "varchar(20)", "varchar(20)", "TEXT"),
            ("varchar(9000)", "longtext", "varchar(9000)", "TEXT"),
            ("character varying(20)", "varchar(20)", "varchar(20)", "TEXT"),
            ("text", "longtext", "text", "TEXT"),
            ("", "longtext", "text", "TEXT"),
            ("timestamptz", "datetime(6)", "timestamptz", "TEXT"),
            ("timestamp(3) with time zone", "datetime(6)", "timestamptz", "TEXT"),
            ("datetime(6)", "datetime(6)", "timestamp", "TEXT"),
            ("bytea", "longblob", "bytea", "BLOB"),
            ("varbinary(16)", "longblob", "bytea", "BLOB"),
            ("jsonb", "json", "jsonb", "TEXT"),
            ("uuid", "char(36)", "uuid", "TEXT"),
            ("bit(3)", "bigint unsigned", "decimal(20,0)", "INTEGER"),
            ("int4range", "longtext", "text", "TEXT"),
        ] {
            let found = [Dialect::MySql, Dialect::PostgreSql, Dialect::Sqlite].map(|target| column_type(name, target));
            assert_eq!(found, [mysql, postgres, sqlite], "{name}");
        }
    }

    #[test]
    fn databases_of_other_vendors_have_types_of_their_own() {
        for (name, oracle, server, hive) in [
            ("bigint", "NUMBER(19)", "bigint", "bigint"),
            ("numeric(10,2)", "NUMBER(10,2)", "decimal(10,2)", "decimal(10,2)"),
            ("varchar(20)", "VARCHAR2(20 CHAR)", "nvarchar(20)", "string"),
            ("text", "CLOB", "nvarchar(max)", "string"),
            ("timestamp", "TIMESTAMP", "datetime2", "timestamp"),
            ("bytea", "BLOB", "varbinary(max)", "binary"),
            ("bool", "NUMBER(1)", "bit", "boolean"),
        ] {
            let found = [Dialect::Oracle, Dialect::SqlServer, Dialect::Hive].map(|target| column_type(name, target));
            assert_eq!(found, [oracle, server, hive], "{name}");
        }
    }

    #[test]
    fn only_text_and_bytes_can_be_empty() {
        for (name, holds) in
            [("text", true), ("", true), ("blob", true), ("int", false), ("date", false), ("json", false)]
        {
            assert_eq!(holds_empty(name), holds, "{name}");
        }
        assert_eq!((Form::of("bit(3)"), Form::of("varbinary(3)")), (Form::Bits, Form::Binary));
    }
}
