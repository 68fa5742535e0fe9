//! Addresses from outside.

use anyhow::{Context, Result, anyhow};
use std::path::Path;

/// An address as people write it: `0x` hexadecimal or decimal.
pub fn address(text: &str) -> Result<u64> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| anyhow!("address {text:?}: {error}"))
}

/// Reads lines `name address`; empty lines and those that begin with `#` are skipped.
pub fn read(file: &Path) -> Result<Vec<(String, u64)>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    parse(&text).with_context(|| file.display().to_string())
}

fn parse(text: &str) -> Result<Vec<(String, u64)>> {
    let mut symbols = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_ascii_whitespace();
        let number = index + 1;
        match (words.next(), words.next(), words.next()) {
            (None, ..) => {}
            (Some(comment), ..) if comment.starts_with('#') => {}
            (Some(name), Some(value), None) => {
                symbols.push((name.to_owned(), address(value).with_context(|| format!("line {number}"))?));
            }
            _ => return Err(anyhow!("line {number}: not `name address`")),
        }
    }
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_addresses() {
        let symbols = parse("# comment\n\nfoo 0x10\n bar\t17 \n").expect("valid");
        assert_eq!(symbols, [("foo".to_owned(), 16), ("bar".to_owned(), 17)]);
        for (text, place) in
            [("foo", "line 1"), ("a 1\nb 2 3", "line 2"), ("a xyz", "line 1"), ("a 0x1ffffffffffffffff", "line 1")]
        {
            let error = format!("{:#}", parse(text).expect_err(text));
            assert!(error.contains(place), "{error}");
        }
    }
}
