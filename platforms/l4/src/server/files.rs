use super::store::{name, name_and, read_list};
use super::{Service, fill_window, session};
use crate::wire::{
    self, Answer, Handles, Interface, MAX_NAME, MAX_OPEN, answer, bytes, entries, failure::Failure, flag, respond,
};
use crate::{Message, Sender, Window};
use alloc::vec::Vec;
use core::time::Duration;
use rumpload::resource::HostErrorKind;

/// What an entry of a directory, or a path, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, pipe or socket.
    Other,
}

impl EntryKind {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Regular => 0,
            Self::Directory => 1,
            Self::Link => 2,
            Self::Other => 3,
        }
    }

    pub(crate) const fn of(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Regular,
            1 => Self::Directory,
            2 => Self::Link,
            3 => Self::Other,
            _ => return None,
        })
    }
}

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Number of the file in its file system.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Names it has.
    pub links: u64,
    /// Last change of its contents, since 1970; before that it is 0.
    pub modified: Duration,
}

/// What a server of files is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Modules that are active.
    pub modules: u64,
    /// File systems that are mounted.
    pub mounts: u64,
    /// Files that are open.
    pub open_files: u64,
    /// Bytes of heap in use.
    pub heap: u64,
    /// Most bytes of heap that were ever in use.
    pub heap_peak: u64,
}

/// What to mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Type of file system, as the trigger that loads its module: `cd9660`.
    pub kind: &'a str,
    /// Directory to mount on.
    pub path: &'a [u8],
    /// Number of the device.
    pub device: u32,
    /// Without writing.
    pub read_only: bool,
    /// What else the server is to know: `key=value` and names, separated by commas.
    pub options: &'a str,
}

/// What a domain with file systems does for others.
///
/// Paths are absolute, without a NUL, and at most [`MAX_NAME`] bytes; the server has checked that. They are bytes, as names in
/// foreign file systems are.
pub trait FileService: Send {
    /// An open file, as the implementation knows it.
    type File: Send;

    /// Mounts a file system.
    ///
    /// # Errors
    /// Any [`Failure`]; nothing is mounted then.
    fn mount(&mut self, mount: &Mount<'_>) -> Result<(), Failure>;

    /// Unmounts what is mounted on `path`; by `force` also if files are open.
    ///
    /// # Errors
    /// Any [`Failure`].
    fn unmount(&mut self, path: &[u8], force: bool) -> Result<(), Failure>;

    /// Looks at `path` itself: a link at its end is not followed.
    ///
    /// # Errors
    /// Any [`Failure`].
    fn stat(&mut self, path: &[u8]) -> Result<FileStat, Failure>;

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// Any [`Failure`].
    fn open(&mut self, path: &[u8]) -> Result<Self::File, Failure>;

    /// Reads at `offset` into the start of `buffer`; how many bytes, 0 at and beyond the end.
    ///
    /// # Errors
    /// Any [`Failure`].
    fn read(&mut self, file: &Self::File, offset: u64, buffer: &mut [u8]) -> Result<usize, Failure>;

    /// Closes a file.
    fn close(&mut self, file: Self::File);

    /// Calls `each` with the name and kind of every entry of a directory, without `.` and `..`.
    ///
    /// # Errors
    /// Any [`Failure`].
    fn list(&mut self, path: &[u8], each: &mut dyn FnMut(&[u8], EntryKind)) -> Result<(), Failure>;

    /// What the server is doing; how many files are open is the dispatcher's knowledge.
    fn status(&mut self) -> Status;
}

enum Open<F> {
    File(F),
    List(Vec<u8>),
}

/// Serves a [`FileService`] to one client.
pub struct FileServer<S: FileService> {
    service: S,
    greeted: bool,
    open: Handles<Open<S::File>>,
    scratch: Vec<u8>,
}

impl<S: FileService> FileServer<S> {
    /// A server of `service` that nobody has greeted yet.
    pub const fn new(service: S) -> Self {
        Self { service, greeted: false, open: Handles::new(MAX_OPEN), scratch: Vec::new() }
    }

    /// What it serves.
    pub const fn service(&self) -> &S {
        &self.service
    }

    /// Closes whatever the client has open.
    fn reset(&mut self) {
        for open in self.open.drain() {
            if let Open::File(file) = open {
                self.service.close(file);
            }
        }
    }

    fn answer(&mut self, message: &Message, window: &Window) -> Result<Answer, Failure> {
        match Interface::of(message.label)? {
            Interface::Session => {
                let answer = session(message, window, Interface::Files.bit())?;
                if message.label == wire::session::HELLO {
                    self.reset();
                    self.greeted = true;
                }
                return Ok(answer);
            }
            Interface::Files if self.greeted => {}
            Interface::Files => return Err(HostErrorKind::Protocol.into()),
            _ => return Err(HostErrorKind::Unsupported.into()),
        }
        match message.label {
            wire::files::MOUNT => self.mount(message, window)?,
            wire::files::UNMOUNT => {
                let (path, force) = name_and(message, window)?;
                self.service.unmount(absolute(&path)?, flag(force)?)?;
            }
            wire::files::STAT => {
                let path = name(message, window)?;
                let stat = self.service.stat(absolute(&path)?)?;
                return Ok(answer(&[
                    stat.kind.number().into(),
                    stat.mode.into(),
                    stat.inode,
                    stat.size,
                    stat.links,
                    stat.modified.as_secs(),
                    stat.modified.subsec_nanos().into(),
                ])?);
            }
            wire::files::OPEN => {
                let (path, handle) = name_and(message, window)?;
                let vacant = self.open.vacant(handle)?;
                vacant.insert(Open::File(self.service.open(absolute(&path)?)?));
            }
            wire::files::READ => return self.read(message, window),
            wire::files::CLOSE => {
                let [handle] = message.exactly()?;
                if let Open::File(file) = self.open.remove(handle)? {
                    self.service.close(file);
                }
            }
            wire::files::LIST => {
                let (path, handle) = name_and(message, window)?;
                let vacant = self.open.vacant(handle)?;
                let mut list = Vec::new();
                let mut pushed = Ok(());
                self.service.list(absolute(&path)?, &mut |name, kind| {
                    pushed = pushed.and_then(|()| entries::push(&mut list, kind.number(), name));
                })?;
                pushed?;
                let len = list.len() as u64;
                vacant.insert(Open::List(list));
                return Ok(answer(&[len])?);
            }
            wire::files::STATUS => {
                let [] = message.exactly()?;
                let status = self.service.status();
                let open = self.open.len() as u64;
                return Ok(answer(&[status.modules, status.mounts, open, status.heap, status.heap_peak])?);
            }
            _ => return Err(HostErrorKind::Unsupported.into()),
        }
        Ok(answer(&[])?)
    }

    fn mount(&mut self, message: &Message, window: &Window) -> Result<(), Failure> {
        let [at, len, device, read_only] = message.exactly()?;
        let names = bytes(window, at, len, 3 * MAX_NAME)?;
        let mut rest = &names[..];
        let (kind, path, options) = match (text(&mut rest), text(&mut rest), text(&mut rest), rest) {
            (Some(kind), Some(path), Some(options), []) => (kind, path, options),
            _ => return Err(HostErrorKind::Protocol.into()),
        };
        let utf8 = |bytes| core::str::from_utf8(bytes).map_err(|_| HostErrorKind::InvalidInput);
        let (kind, options) = (utf8(kind)?, utf8(options)?);
        let device = u32::try_from(device).map_err(|_| HostErrorKind::InvalidInput)?;
        self.service.mount(&Mount { kind, path: absolute(path)?, device, read_only: flag(read_only)?, options })
    }

    fn read(&mut self, message: &Message, window: &Window) -> Result<Answer, Failure> {
        let [handle, offset, at, len] = message.exactly()?;
        let file = match self.open.get(handle)? {
            Open::File(file) => file,
            Open::List(list) => return Ok(read_list(list, offset, window, at, len)?),
        };
        let service = &mut self.service;
        let mut errno = None;
        let count = fill_window(window, at, len, &mut self.scratch, |done, buffer| {
            let Some(offset) = offset.checked_add(done) else { return Ok(0) };
            service.read(file, offset, buffer).map_err(|failure| match failure {
                Failure::Host(error) => error,
                Failure::Errno(_) => {
                    errno = Some(failure);
                    HostErrorKind::Io.into()
                }
            })
        });
        match count {
            Ok(count) => Ok(answer(&[count])?),
            Err(error) => Err(errno.unwrap_or(error.into())),
        }
    }
}

impl<S: FileService> Service for FileServer<S> {
    fn handle(&mut self, _sender: Sender, message: &mut Message, window: &Window) {
        let answer = self.answer(message, window);
        respond(message, answer);
    }
}

impl<S: FileService> Drop for FileServer<S> {
    fn drop(&mut self) {
        self.reset();
    }
}

/// `path`, if it is one that a [`FileService`] is given.
fn absolute(path: &[u8]) -> Result<&[u8], Failure> {
    let good = path.first() == Some(&b'/') && path.len() <= MAX_NAME && !path.contains(&0);
    if good { Ok(path) } else { Err(HostErrorKind::InvalidInput.into()) }
}

/// The next encoded name: its length in two bytes, low byte first, and the name.
fn text<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (len, tail) = rest.split_first_chunk::<2>()?;
    let (text, tail) = tail.split_at_checked(u16::from_le_bytes(*len).into())?;
    *rest = tail;
    Some(text)
}
