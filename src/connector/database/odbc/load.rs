//! The driver manager (unixODBC), looked for on the host when a link first needs it.
//!
//! A program that is linked with `libodbc` does not start where that is missing, and is not built without its package.
//! So each function of it is here, and jumps to where `load` found it; until then to one that fails. The jump leaves
//! all arguments as they are, whatever a function takes. `build.rs` keeps the linker from asking for the library.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod jump {
    use std::ffi::{CStr, c_void};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicPtr, Ordering};

    /// unixODBC since 2.3.1, then whatever the host calls so.
    const LIBRARIES: &[&CStr] = &[c"libodbc.so.2", c"libodbc.so"];
    /// Without it a library of this name is something else.
    const FIRST: &CStr = c"SQLDriverConnectW";

    /// `SQL_ERROR`.
    extern "C" fn absent() -> i16 {
        -1
    }

    const ABSENT: *mut c_void = absent as extern "C" fn() -> i16 as *mut c_void;

    macro_rules! jumps {
        ($($name:ident)*) => {
            $(
                // SAFETY: it touches no register that carries an argument, and no stack.
                #[unsafe(naked)]
                #[unsafe(no_mangle)]
                unsafe extern "C" fn $name() {
                    #[cfg(target_arch = "x86_64")]
                    std::arch::naked_asm!("jmp qword ptr [rip + {place}]", place = sym places::$name);
                    #[cfg(target_arch = "aarch64")]
                    std::arch::naked_asm!(
                        "adrp x16, {place}",
                        "ldr x16, [x16, :lo12:{place}]",
                        "br x16",
                        place = sym places::$name
                    );
                }
            )*

            /// Where each of them is.
            #[allow(non_upper_case_globals)]
            mod places {
                use super::{ABSENT, AtomicPtr, c_void};
                $(pub static $name: AtomicPtr<c_void> = AtomicPtr::new(ABSENT);)*
            }

            static PLACES: &[(&str, &AtomicPtr<c_void>)] =
                &[$((concat!(stringify!($name), "\0"), &places::$name)),*];
        };
    }

    // All that the crate declares.
    jumps! {
        SQLAllocHandle SQLBindCol SQLBindParameter SQLBrowseConnectW SQLBulkOperations SQLCancel SQLCancelHandle
        SQLCloseCursor SQLColAttribute SQLColAttributeW SQLColumnPrivilegesW SQLColumns SQLColumnsW SQLCompleteAsync
        SQLConnect SQLConnectW SQLCopyDesc SQLDataSources SQLDataSourcesW SQLDescribeCol SQLDescribeColW
        SQLDescribeParam SQLDisconnect SQLDriverConnect SQLDriverConnectW SQLDrivers SQLDriversW SQLEndTran
        SQLExecDirect SQLExecDirectW SQLExecute SQLFetch SQLFetchScroll SQLForeignKeys SQLForeignKeysW SQLFreeHandle
        SQLFreeStmt SQLGetConnectAttr SQLGetConnectAttrW SQLGetCursorNameW SQLGetData SQLGetDescFieldW SQLGetDescRecW
        SQLGetDiagFieldW SQLGetDiagRec SQLGetDiagRecW SQLGetEnvAttr SQLGetInfo SQLGetInfoW SQLGetStmtAttr
        SQLGetStmtAttrW SQLGetTypeInfo SQLMoreResults SQLNumParams SQLNumResultCols SQLParamData SQLPrepare SQLPrepareW
        SQLPrimaryKeys SQLPrimaryKeysW SQLPutData SQLRowCount SQLSetConnectAttr SQLSetConnectAttrW SQLSetDescField
        SQLSetDescFieldW SQLSetEnvAttr SQLSetPos SQLSetStmtAttr SQLSetStmtAttrW SQLTables SQLTablesW
    }

    /// `Err`: what the system says. Once it is there it stays.
    pub fn load() -> Result<(), String> {
        static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
        LOADED.get_or_init(open_one).clone()
    }

    fn open_one() -> Result<(), String> {
        let mut first = None;
        for name in LIBRARIES {
            match open(name) {
                Ok(()) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_default())
    }

    fn open(name: &CStr) -> Result<(), String> {
        // SAFETY: what a library does when it is opened is its own matter; this one is the host's driver manager.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            return Err(said());
        }
        // SAFETY: the library is open, and is never closed.
        let find = |name: *const libc::c_char| unsafe { libc::dlsym(library, name) };
        if find(FIRST.as_ptr()).is_null() {
            return Err(said());
        }
        for (name, place) in PLACES {
            // One that it does not have goes on to fail.
            let found = find(name.as_ptr().cast());
            if !found.is_null() {
                place.store(found, Ordering::Release);
            }
        }
        Ok(())
    }

    fn said() -> String {
        // SAFETY: the text is the thread's own until its next call, and is copied at once.
        let text = unsafe { libc::dlerror() };
        match text.is_null() {
            true => String::new(),
            // SAFETY: it ends with a zero.
            false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_library_that_is_not_there_is_an_error() {
            assert!(open(c"libno-such-library.so.1").unwrap_err().contains("libno-such-library.so.1"));
            // One that is something else is none either.
            assert!(open(c"libm.so.6").is_err());
        }

        #[test]
        fn what_was_not_found_fails() {
            // SAFETY: it takes nothing.
            let call: extern "C" fn() -> i16 = unsafe { std::mem::transmute(ABSENT) };
            assert_eq!(call(), -1);
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use jump::load;

/// Linked as usual: a program that runs has it.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn load() -> Result<(), String> {
    Ok(())
}
