use crate::resource::Console;
use alloc::string::String;

/// Checks the promise of [`Console`]: text of any length and form is taken. `written` says what came out so far, where that
/// can be known.
///
/// # Panics
/// If text is lost or changed.
pub fn console(console: &dyn Console, written: Option<&dyn Fn() -> String>) {
    let mut expected = written.map_or_else(String::new, |written| written());
    let long = "0123456789 äöü €uro 🦀\n".repeat(500);
    for text in ["", "part of a line", " and its end\n", "two\nlines\n", "nul \0 and tab \t\n", "äöü € 🦀\n", &long] {
        console.write(text);
        expected.push_str(text);
        if let Some(written) = written {
            assert!(written() == expected, "what was written comes out, whole and in order");
        }
    }
}
