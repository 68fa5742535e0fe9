//! `-o`: what the device answers and what the file system's own arguments hold.

use anyhow::{Result, bail};
use std::str::FromStr;

/// `-o` of `rumpload mount`: `key=value` pairs and friendly names, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes per sector that the device reports.
    pub sector: u32,
    /// Report the geometry of a floppy disk in the disk label.
    pub floppy: bool,
    /// Fields of the type's mount arguments: name and value.
    pub fields: Vec<(String, u64)>,
    /// Names that stand for a bit of the type's `flags`.
    pub names: Vec<String>,
    /// Directory of the mount below, for layered types.
    pub target: Option<String>,
    /// Whether changes are refused; by default if there is an image.
    pub read_only: Option<bool>,
}

impl Default for Options {
    fn default() -> Self {
        Self { sector: 512, floppy: false, fields: Vec::new(), names: Vec::new(), target: None, read_only: None }
    }
}

impl FromStr for Options {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut options = Self::default();
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let Some((key, value)) = item.split_once('=') else {
                match item {
                    "ro" => options.read_only = Some(true),
                    "rw" => options.read_only = Some(false),
                    _ => options.names.push(item.to_owned()),
                }
                continue;
            };
            match key {
                "sector" => match value {
                    "512" => options.sector = 512,
                    "2048" => options.sector = 2048,
                    "4096" => options.sector = 4096,
                    _ => bail!("sector={value}: sectors are 512, 2048 or 4096 bytes"),
                },
                "label" => match value {
                    "floppy" => options.floppy = true,
                    _ => bail!("label={value}: the only label is floppy"),
                },
                "target" => options.target = Some(value.to_owned()),
                "" => bail!("={value}: an option needs a name"),
                _ => options.fields.push((key.to_owned(), number(key, value)?)),
            }
        }
        Ok(options)
    }
}

/// A number as C writes it: decimal, `0x` hexadecimal, or octal with a leading zero. Byte orders have names.
fn number(key: &str, value: &str) -> Result<u64> {
    let parsed = match (key, value) {
        ("endian", "little") => Ok(1234),
        ("endian", "big") => Ok(4321),
        ("endian", "pdp") => Ok(3412),
        _ => match (value.strip_prefix("0x"), value.strip_prefix('0')) {
            (Some(digits), _) => u64::from_str_radix(digits, 16),
            (None, Some(digits)) if !digits.is_empty() => u64::from_str_radix(digits, 8),
            // Negative numbers are what they are in C: an offset west of Greenwich.
            _ => value.parse::<u64>().or_else(|_| value.parse::<i64>().map(|number| number as u64)),
        },
    };
    parsed.map_err(|error| anyhow::anyhow!("{key}={value}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_names() {
        let options: Options =
            "sector=2048,norrip,mask=0777,flags=0x20,label=floppy,endian=pdp,gmtoff=-60".parse().expect("valid");
        assert_eq!((options.sector, options.floppy), (2048, true));
        assert_eq!(options.names, ["norrip"]);
        let fields: Vec<(&str, u64)> = options.fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(fields, [("mask", 0o777), ("flags", 0x20), ("endian", 3412), ("gmtoff", -60_i64 as u64)]);
        assert_eq!("".parse::<Options>().expect("valid"), Options::default());
    }

    #[test]
    fn bad_values_are_named() {
        for text in ["sector=1000", "label=tape", "mask=89x", "mask=09", "=1", "flags="] {
            let error = text.parse::<Options>().expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
