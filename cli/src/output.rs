//! Standard output, and the ways in which a command ends.

use serde::Serialize;
use std::fmt;
use std::io::{BufWriter, ErrorKind, Stdout, Write, stderr, stdout};

/// Buffered standard output.
pub type Output = BufWriter<Stdout>;

/// Standard output, for data.
pub fn output() -> Output {
    BufWriter::with_capacity(1 << 16, stdout())
}

/// The command did not succeed, and its output says so already.
#[derive(Debug)]
pub struct Reported;

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not everything succeeded")
    }
}

impl std::error::Error for Reported {}

/// Whether `error` comes from a reader of our output that went away.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(|io| io.kind() == ErrorKind::BrokenPipe)
}

/// Tells of an error, with what led to it, on standard error. Where nobody reads that, there is nobody to tell.
pub fn complain(error: &anyhow::Error) {
    let _ = writeln!(stderr(), "rumpload: {}", text(error));
}

/// An error with what led to it, each once: some errors say in their own words what caused them, and name the cause as well.
pub fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Writes `value` as one line of JSON.
pub fn json_line(output: &mut Output, value: &impl Serialize) -> anyhow::Result<()> {
    // serde_json wraps errors of the writer; a broken pipe has to be recognised.
    serde_json::to_writer(&mut *output, value).map_err(std::io::Error::from)?;
    output.write_all(b"\n")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::text;
    use anyhow::anyhow;

    #[test]
    fn causes_are_told_once() {
        assert_eq!(text(&anyhow!("b: c").context("a")), "a: b: c");
        assert_eq!(text(&anyhow!("c").context("b: c").context("a")), "a: b: c");
    }
}
