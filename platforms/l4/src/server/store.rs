use super::{WindowRead, fill_window};
use crate::wire::{self, Answer, Handles, MAX_NAME, MAX_OPEN, answer, bytes, entries, path};
use crate::{Message, Window};
use alloc::sync::Arc;
use alloc::vec::Vec;
use rumpload::resource::{FileHandle, FileKind, HostError, HostErrorKind, Store};

/// The numbers of the kinds of files.
const fn number(kind: FileKind) -> u8 {
    match kind {
        FileKind::Regular => 0,
        FileKind::Directory => 1,
        FileKind::Other => 2,
    }
}

enum Open {
    File(FileHandle),
    List(Vec<u8>),
}

pub(super) struct Server {
    store: Arc<dyn Store>,
    direct: Option<Arc<dyn WindowRead>>,
    open: Handles<Open>,
    scratch: Vec<u8>,
}

impl Server {
    pub fn new(store: Arc<dyn Store>, direct: Option<Arc<dyn WindowRead>>) -> Self {
        Self { store, direct, open: Handles::new(MAX_OPEN), scratch: Vec::new() }
    }

    pub fn open(&self) -> usize {
        self.open.len()
    }

    pub fn reset(&mut self) {
        for open in self.open.drain() {
            close(&*self.store, &open);
        }
    }

    pub fn answer(&mut self, message: &Message, window: &Window) -> Result<Answer, HostError> {
        match message.label {
            wire::store::METADATA => {
                let name = name(message, window)?;
                let found = self.store.metadata(path(&name)?)?;
                answer(&[number(found.kind).into(), found.size])
            }
            wire::store::OPEN => {
                let (name, handle) = name_and(message, window)?;
                let vacant = self.open.vacant(handle)?;
                vacant.insert(Open::File(self.store.open(path(&name)?)?));
                answer(&[])
            }
            wire::store::SIZE => {
                let [handle] = message.exactly()?;
                match self.open.get(handle)? {
                    Open::File(file) => answer(&[self.store.size(*file)?]),
                    Open::List(_) => Err(HostErrorKind::InvalidInput.into()),
                }
            }
            wire::store::READ => self.read(message, window),
            wire::store::CLOSE => {
                let [handle] = message.exactly()?;
                close(&*self.store, &self.open.remove(handle)?);
                answer(&[])
            }
            wire::store::LIST => {
                let (name, handle) = name_and(message, window)?;
                let vacant = self.open.vacant(handle)?;
                let mut list = Vec::new();
                let mut pushed = Ok(());
                self.store.list(path(&name)?, &mut |name, kind| {
                    pushed = pushed.and_then(|()| entries::push(&mut list, number(kind), name.as_bytes()));
                })?;
                pushed?;
                let len = list.len() as u64;
                vacant.insert(Open::List(list));
                answer(&[len])
            }
            _ => Err(HostErrorKind::Unsupported.into()),
        }
    }

    fn read(&mut self, message: &Message, window: &Window) -> Result<Answer, HostError> {
        let [handle, offset, at, len] = message.exactly()?;
        let file = match self.open.get(handle)? {
            Open::File(file) => *file,
            Open::List(list) => return read_list(list, offset, window, at, len),
        };
        if let Some(direct) = &self.direct {
            window.address(at, len)?;
            let count = direct.read_file(file, offset, window, at, len as usize)?;
            return if count as u64 <= len { answer(&[count as u64]) } else { Err(HostErrorKind::Protocol.into()) };
        }
        let store = &self.store;
        let count = fill_window(window, at, len, &mut self.scratch, |done, buffer| match offset.checked_add(done) {
            Some(offset) => store.read_at(file, offset, buffer),
            None => Ok(0),
        })?;
        answer(&[count])
    }
}

fn close(store: &dyn Store, open: &Open) {
    if let Open::File(file) = open {
        store.close(*file);
    }
}

/// The name in a message that holds its span and nothing else.
pub(super) fn name(message: &Message, window: &Window) -> Result<Vec<u8>, HostError> {
    let [offset, len] = message.exactly()?;
    bytes(window, offset, len, MAX_NAME)
}

/// The name in a message that holds its span and one more word; both.
pub(super) fn name_and(message: &Message, window: &Window) -> Result<(Vec<u8>, u64), HostError> {
    let [offset, len, word] = message.exactly()?;
    Ok((bytes(window, offset, len, MAX_NAME)?, word))
}

/// Copies what `list` holds at `offset` to the `len` bytes of the window at `at`.
pub(super) fn read_list(list: &[u8], offset: u64, window: &Window, at: u64, len: u64) -> Result<Answer, HostError> {
    window.address(at, len)?;
    let rest = usize::try_from(offset).ok().and_then(|offset| list.get(offset..)).unwrap_or_default();
    let some = &rest[..rest.len().min(len as usize)];
    window.write(at, some)?;
    answer(&[some.len() as u64])
}
