//! A module's file while the module is on its way.

use crate::error::LinkError;
use crate::image::{FileBytes, Image, LONGEST_HEADER, Outline, Unread, WORTH_WHILE};
use crate::load::ReadCode;
use crate::resource::{EtfsError, HostError, HostErrorKind, OpenFile};
use alloc::vec::Vec;

/// Most bytes of section headers that are read ahead of the rest.
const MOST_HEADERS: u64 = 64 << 10;

/// What was read of a file, and the file as long as something is missing.
#[derive(Default)]
pub(crate) struct ModuleFile {
    bytes: Vec<u8>,
    rest: Option<(OpenFile, Unread)>,
}

impl ModuleFile {
    /// Reads `file` but for a large section of code, if it has one.
    ///
    /// # Errors
    /// [`EtfsError::TooLarge`] if it is longer than `limit` bytes; the host's error, also if there is no memory.
    pub fn read(file: OpenFile, limit: u64) -> Result<Self, EtfsError> {
        let unread = if file.len() <= limit { unread(&file)? } else { None };
        let (hole, len) = unread.map_or((0, 0), |unread| (unread.offset, unread.len));
        let bytes = file.read_but(hole..hole + len, limit)?;
        Ok(Self { bytes, rest: unread.map(|unread| (file, unread)) })
    }

    /// Whether something was left in the file.
    pub fn is_partial(&self) -> bool {
        self.rest.is_some()
    }

    /// Reads what is missing.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn complete(&mut self) -> Result<(), EtfsError> {
        if let Some((file, _)) = self.rest.take() {
            self.bytes = file.read_all(file.len())?;
        }
        Ok(())
    }

    /// The module that the file holds.
    ///
    /// # Errors
    /// As [`Image::parse`].
    pub fn image(&self) -> Result<Image<'_>, LinkError> {
        Image::parse_file(FileBytes { held: &self.bytes, unread: self.rest.as_ref().map(|(_, unread)| *unread) })
    }
}

impl ReadCode for ModuleFile {
    fn read_code(&self, place: &mut [u8]) -> Result<(), HostError> {
        let Some((file, unread)) = &self.rest else { return Err(HostErrorKind::Protocol.into()) };
        match file.read_at(unread.offset, place) {
            Ok(read) if read == place.len() => Ok(()),
            Err(EtfsError::Host(error)) => Err(error),
            _ => Err(HostErrorKind::Io.into()),
        }
    }
}

/// What of `file` can be read later. Nothing, if it is not a well-formed module: it is read whole, to be told why.
fn unread(file: &OpenFile) -> Result<Option<Unread>, EtfsError> {
    let len = file.len();
    let mut head = [0; LONGEST_HEADER];
    if file.is_device() || len < WORTH_WHILE {
        return Ok(None);
    }
    file.read_at(0, &mut head)?;
    let Ok(outline) = Outline::read(&head, len) else { return Ok(None) };
    let inside = outline.offset.checked_add(outline.len).is_some_and(|end| end <= len);
    if !inside || outline.len > MOST_HEADERS {
        return Ok(None);
    }
    let mut headers = Vec::new();
    file.read_onto(outline.offset, outline.len, &mut headers)?;
    Ok(Unread::choose(&outline, &headers, len))
}
