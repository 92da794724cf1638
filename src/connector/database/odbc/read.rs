//! Rows of a result: values as text, whatever their length.

use odbc_api::{CursorRow, DataType, Error, ResultSetMetadata};

use super::super::{Column, bytes_as_text};
use crate::connector::rows::Batch;

/// How a value is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Binary,
}

/// Buffers that are used for one value after the other.
#[derive(Default)]
pub(super) struct Cell {
    wide: Vec<u16>,
    bytes: Vec<u8>,
}

impl Cell {
    /// The value of a column, from 0; `None` is NULL.
    pub fn text(&mut self, row: &mut CursorRow<'_>, at: usize, shape: Shape) -> Result<Option<String>, Error> {
        let number = number(at);
        Ok(match shape {
            Shape::Text => row.get_wide_text(number, &mut self.wide)?.then(|| String::from_utf16_lossy(&self.wide)),
            Shape::Binary => row.get_binary(number, &mut self.bytes)?.then(|| bytes_as_text(&self.bytes)),
        })
    }

    pub fn push(&mut self, row: &mut CursorRow<'_>, at: usize, shape: Shape, batch: &mut Batch) -> Result<(), Error> {
        let number = number(at);
        match shape {
            Shape::Text if row.get_wide_text(number, &mut self.wide)? => {
                batch.push_with(|out| push_utf8(&self.wide, out))
            }
            Shape::Binary if row.get_binary(number, &mut self.bytes)? => batch.push_binary(&self.bytes),
            Shape::Text | Shape::Binary => batch.push_null(),
        }
        Ok(())
    }
}

/// Columns are counted from 1; nobody has more.
fn number(at: usize) -> u16 {
    u16::try_from(at + 1).unwrap_or(u16::MAX)
}

fn push_utf8(wide: &[u16], out: &mut Vec<u8>) {
    let mut buffer = [0; 4];
    for unit in char::decode_utf16(wide.iter().copied()) {
        let c = unit.unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    }
}

pub(super) fn columns_of(cursor: &mut impl ResultSetMetadata) -> Result<(Vec<Column>, Vec<Shape>), Error> {
    let n = u16::try_from(cursor.num_result_cols()?).unwrap_or(0);
    let (mut columns, mut shapes) = (Vec::new(), Vec::new());
    for number in 1..=n {
        let data_type = cursor.col_data_type(number)?;
        columns.push(Column { name: cursor.col_name(number)?, type_name: type_name(data_type) });
        shapes.push(shape(data_type));
    }
    Ok((columns, shapes))
}

fn shape(data_type: DataType) -> Shape {
    match data_type {
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::LongVarbinary { .. } => Shape::Binary,
        _ => Shape::Text,
    }
}

/// In the words that other databases know.
pub(super) fn type_name(data_type: DataType) -> String {
    // A length at which drivers begin to guess is none.
    let text = |length: Option<std::num::NonZeroUsize>| match length.map(std::num::NonZeroUsize::get) {
        Some(length) if length < 255 => format!("varchar({length})"),
        _ => "text".to_owned(),
    };
    match data_type {
        DataType::Char { length } | DataType::WChar { length } => text(length),
        DataType::Varchar { length } | DataType::WVarchar { length } => text(length),
        DataType::LongVarchar { .. } | DataType::WLongVarchar { .. } => "text".to_owned(),
        DataType::Numeric { precision, scale } | DataType::Decimal { precision, scale } => {
            match usize::try_from(scale) {
                Ok(scale) if precision > 0 && scale <= precision => format!("decimal({precision},{scale})"),
                _ => "decimal".to_owned(),
            }
        }
        DataType::Integer => "integer".to_owned(),
        DataType::SmallInt => "smallint".to_owned(),
        DataType::BigInt => "bigint".to_owned(),
        DataType::TinyInt => "smallint".to_owned(),
        DataType::Bit => "boolean".to_owned(),
        DataType::Float { .. } | DataType::Double => "double".to_owned(),
        DataType::Real => "real".to_owned(),
        DataType::Date => "date".to_owned(),
        DataType::Time { .. } => "time".to_owned(),
        DataType::Timestamp { .. } => "timestamp".to_owned(),
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::LongVarbinary { .. } => "varbinary".to_owned(),
        DataType::Unknown | DataType::Other { .. } => String::new(),
    }
}
