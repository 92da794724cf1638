//! The drivers of this host, by name, as the driver manager lists them.
//!
//! The crate's own list asks for their attributes too, in a buffer that unixODBC 2.3.11 writes behind the end of.

use std::ptr::null_mut;

use odbc_api::handles::{AnyHandle, Environment, SqlResult};
use odbc_api::{Error, sys};

/// Longest name of a driver, in characters; unixODBC has none that is longer.
const NAME_MAX: usize = 1024;
const DRIVERS_MAX: usize = 1000;

pub(super) fn names() -> Result<Vec<String>, Error> {
    // One of its own: the place in the list is the environment's.
    let (SqlResult::Success(environment) | SqlResult::SuccessWithInfo(environment)) = Environment::new() else {
        return Err(Error::FailedAllocatingEnvironment);
    };
    environment.declare_version(sys::AttrOdbcVersion::Odbc3_80).into_result(&environment)?;
    let handle = environment.as_handle().as_henv();
    let mut names = Vec::new();
    let mut name = [0_u16; NAME_MAX];
    let mut direction = sys::FetchOrientation::First;
    while names.len() < DRIVERS_MAX && next(handle, direction, &mut name) {
        let end = name.iter().position(|unit| *unit == 0).unwrap_or(name.len());
        names.push(String::from_utf16_lossy(&name[..end]));
        direction = sys::FetchOrientation::Next;
    }
    Ok(names)
}

fn next(handle: sys::HEnv, direction: sys::FetchOrientation, name: &mut [u16]) -> bool {
    name.fill(0);
    // One is kept for the zero at the end.
    let room = i16::try_from(name.len().saturating_sub(1)).unwrap_or(i16::MAX);
    let mut length = 0_i16;
    // SAFETY: the handle lives; no more is written than there is room for; attributes are not asked for.
    let done = unsafe {
        sys::SQLDriversW(handle, direction, name.as_mut_ptr(), room, &raw mut length, null_mut(), 0, null_mut())
    };
    matches!(done, sys::SqlReturn::SUCCESS | sys::SqlReturn::SUCCESS_WITH_INFO)
}
