//! Directory entries as bytes: kind (1), length of the name (2, low byte first), name.

use super::MAX_LIST;
use alloc::vec::Vec;
use rumpload::resource::{HostError, HostErrorKind};

/// Longest name of an entry in bytes.
const MAX_COMPONENT: usize = 1023;
/// Bytes before a name.
const HEAD: usize = 3;

/// True for a name that can be one component of a path.
fn is_component(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && name.len() <= MAX_COMPONENT && !name.iter().any(|&byte| matches!(byte, b'/' | 0))
}

/// Appends an entry; one whose name no path can have is left out.
///
/// # Errors
/// [`OutOfMemory`](HostErrorKind::OutOfMemory) if the list is too long.
pub(crate) fn push(list: &mut Vec<u8>, kind: u8, name: &[u8]) -> Result<(), HostError> {
    if !is_component(name) {
        return Ok(());
    }
    let len = HEAD + name.len();
    if list.len() + len > MAX_LIST || list.try_reserve(len).is_err() {
        return Err(HostErrorKind::OutOfMemory.into());
    }
    list.push(kind);
    list.extend_from_slice(&(name.len() as u16).to_le_bytes());
    list.extend_from_slice(name);
    Ok(())
}

/// The next entry of `list`, which then begins behind it; `None` at the end.
///
/// # Errors
/// [`Protocol`](HostErrorKind::Protocol) for an entry that is cut off or has a name that no path can have.
pub(crate) fn next<'l>(list: &mut &'l [u8]) -> Result<Option<(u8, &'l [u8])>, HostError> {
    if list.is_empty() {
        return Ok(None);
    }
    let broken = || HostError::new(HostErrorKind::Protocol);
    let (&[kind, low, high], rest) = list.split_first_chunk::<HEAD>().ok_or_else(broken)?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes([low, high]).into()).ok_or_else(broken)?;
    if !is_component(name) {
        return Err(broken());
    }
    *list = rest;
    Ok(Some((kind, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_arrive_as_they_were() {
        let mut list = Vec::new();
        for (kind, name) in
            [(0, &b"a"[..]), (1, b".."), (2, b"b\xff"), (0, b"a/b"), (0, b""), (3, &[b'x'; 1023]), (0, &[b'y'; 1024])]
        {
            push(&mut list, kind, name).expect("room");
        }
        let mut rest = &list[..];
        let mut found = Vec::new();
        while let Some((kind, name)) = next(&mut rest).expect("whole") {
            found.push((kind, name.len()));
        }
        assert_eq!(found, [(0, 1), (2, 2), (3, 1023)]);
        for cut in [1, 2, 3, 5] {
            let mut rest = &list[..cut];
            let mut answer = next(&mut rest);
            while let Ok(Some(_)) = answer {
                answer = next(&mut rest);
            }
            assert_eq!(answer.map_err(|error| error.kind()).err(), Some(HostErrorKind::Protocol), "cut at {cut}");
        }
        assert!(next(&mut &[0, 2, 0, b'.', b'.'][..]).is_err());
    }

    #[test]
    fn lists_end() {
        let mut list = Vec::new();
        let answer = (0..MAX_LIST).try_for_each(|_| push(&mut list, 0, &[b'n'; 1000]));
        assert_eq!(answer.map_err(|error| error.kind()), Err(HostErrorKind::OutOfMemory));
        assert!(list.len() <= MAX_LIST);
    }
}
