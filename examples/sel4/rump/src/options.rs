//! Options of a mount: how the device presents itself, and the type's own arguments.

use alloc::string::{String, ToString};
use rumpload_base::{ArgumentError, Label, MountArguments};

/// Bytes per sector unless an option says otherwise.
const SECTOR: u32 = 512;

/// What options say of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Bytes per sector.
    pub sector: u32,
    /// Has the geometry of a floppy disk.
    pub floppy: bool,
}

impl Presented {
    /// Its disk label.
    pub fn label(self) -> Label {
        if self.floppy { Label::Floppy } else { Label::Plain }
    }
}

/// Applies `options`, `key=value` and names of flags separated by commas, to the arguments of a type.
///
/// # Errors
/// A text for people.
pub fn apply(options: &str, arguments: &mut MountArguments) -> Result<Presented, String> {
    let mut presented = Presented { sector: SECTOR, floppy: false };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let wrong = |error: ArgumentError| alloc::format!("option {option}: {error}");
        match option.split_once('=') {
            Some(("sector", value)) => presented.sector = value.parse().map_err(|_| "a sector's size is a number".to_string())?,
            Some(("label", "floppy")) => presented.floppy = true,
            Some((key, value)) => {
                let value = number(value).ok_or_else(|| alloc::format!("option {option}: not a number"))?;
                arguments.set(key, value).map_err(wrong)?;
            }
            None => arguments.set_flag(option).map_err(wrong)?,
        }
    }
    Ok(presented)
}

/// A number as C writes it, or the name of a byte order.
fn number(text: &str) -> Option<u64> {
    match (text, text.strip_prefix("0x"), text.strip_prefix('0')) {
        ("little", ..) => Some(1234),
        ("big", ..) => Some(4321),
        ("pdp", ..) => Some(3412),
        (_, Some(digits), _) => u64::from_str_radix(digits, 16).ok(),
        (_, None, Some(digits)) if !digits.is_empty() => u64::from_str_radix(digits, 8).ok(),
        _ => text.parse::<u64>().ok().or_else(|| text.parse::<i64>().ok().map(|number| number as u64)),
    }
}
