//! The locale of the thread that speaks with a driver.
//!
//! Where a driver manager or a driver turns UTF-16 into bytes and back, it asks the C library for their encoding. That
//! is ASCII in a program which has set no locale, as ours: then of each character the low byte is kept, without a word.
//! Only this thread's is set, so nobody else's is changed under his hands.

use std::ffi::CStr;
use std::sync::OnceLock;

/// The first is in glibc since 2.35 and in Debian for longer.
const NAMES: &[&CStr] = &[c"C.UTF-8", c"C.utf8", c"en_US.UTF-8"];

struct Locale(libc::locale_t);

// SAFETY: a locale is never changed or freed once it is made, and several threads may use the same one.
unsafe impl Send for Locale {}
// SAFETY: as above.
unsafe impl Sync for Locale {}

/// From here on bytes are UTF-8 for what the C library converts on this thread. Where the host has no such locale it
/// stays as it is, and is told in the log of this program.
pub(super) fn speak_utf8() {
    static MADE: OnceLock<Option<Locale>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let make = |name: &&CStr| {
            // SAFETY: the name ends in a zero byte; no base is given, so the rest is that of "C".
            let locale = unsafe { libc::newlocale(libc::LC_CTYPE_MASK, name.as_ptr(), std::ptr::null_mut()) };
            (!locale.is_null()).then_some(Locale(locale))
        };
        NAMES.iter().find_map(make)
    });
    match made {
        // SAFETY: the locale is whole, and lives as long as the program.
        Some(locale) => drop(unsafe { libc::uselocale(locale.0) }),
        None => tracing::warn!("this host has no locale of UTF-8: ODBC drivers may lose what is not ASCII"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_that_asks_speaks_utf8_and_no_other() {
        // SAFETY: the answer is a text that ends in a zero byte and stays until the thread asks again.
        let encoding = || unsafe { CStr::from_ptr(libc::nl_langinfo(libc::CODESET)) }.to_string_lossy().into_owned();
        let before = encoding();
        let asked = std::thread::spawn(move || {
            speak_utf8();
            encoding()
        });
        assert_eq!(asked.join().unwrap(), "UTF-8");
        assert_eq!(encoding(), before);
    }
}
