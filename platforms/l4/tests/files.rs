//! The files of a domain with file systems, through messages: against a small file system in memory.

use rumpload::resource::fake::MemoryStore;
use rumpload::resource::{FileHandle, FileKind, HostErrorKind, Store};
use rumpload_l4::in_process::pair;
use rumpload_l4::{
    Connection, EntryKind, Failure, FileServer, FileService, FileStat, Interface, Mount, RemoteFiles, RemoteStore, Status, serve,
};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const EIO: i32 = 5;
const EBUSY: i32 = 16;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;

/// One file system that can be mounted on one directory.
struct Files {
    store: MemoryStore,
    mounted: Option<Vec<u8>>,
}

impl Files {
    fn new() -> Self {
        let store = MemoryStore::new();
        store.insert("hello", *b"hello, world\n");
        store.insert("large", (0..150_000).map(|at: u32| (at % 251) as u8).collect::<Vec<u8>>());
        for number in 0..3000 {
            store.insert(&format!("many/file-{number:04}"), *b"");
        }
        store.insert("broken", *b"unreadable");
        Self { store, mounted: None }
    }

    /// What of `path` lies below the mount.
    fn inside<'p>(&self, path: &'p [u8]) -> Result<&'p str, Failure> {
        let mounted = self.mounted.as_deref().ok_or(Failure::Errno(ENODEV))?;
        let rest = path.strip_prefix(mounted).ok_or(Failure::Errno(ENODEV))?;
        let rest = std::str::from_utf8(rest).map_err(|_| Failure::Errno(EINVAL))?;
        Ok(rest.trim_start_matches('/'))
    }
}

impl FileService for Files {
    type File = (FileHandle, bool);

    fn mount(&mut self, mount: &Mount<'_>) -> Result<(), Failure> {
        match mount {
            Mount { kind: "memfs", device: 3, read_only: true, options: "a=1,b", path } if self.mounted.is_none() => {
                self.mounted = Some(path.to_vec());
                Ok(())
            }
            Mount { kind: "memfs", .. } => Err(Failure::Errno(EBUSY)),
            _ => Err(Failure::Errno(ENODEV)),
        }
    }

    fn unmount(&mut self, path: &[u8], force: bool) -> Result<(), Failure> {
        if self.mounted.as_deref() != Some(path) {
            return Err(Failure::Errno(EINVAL));
        }
        if self.store.open_files() > 0 && !force {
            return Err(Failure::Errno(EBUSY));
        }
        self.mounted = None;
        Ok(())
    }

    fn stat(&mut self, path: &[u8]) -> Result<FileStat, Failure> {
        let found = self.store.metadata(self.inside(path)?)?;
        let kind = if found.kind == FileKind::Directory { EntryKind::Directory } else { EntryKind::Regular };
        let modified = Duration::new(1_000_000_000, 999_999_999);
        Ok(FileStat { kind, mode: 0o644, inode: u64::MAX, size: found.size, links: 1, modified })
    }

    fn open(&mut self, path: &[u8]) -> Result<Self::File, Failure> {
        let path = self.inside(path)?;
        Ok((self.store.open(path)?, path == "broken"))
    }

    fn read(&mut self, (file, broken): &Self::File, offset: u64, buffer: &mut [u8]) -> Result<usize, Failure> {
        if *broken { Err(Failure::Errno(EIO)) } else { Ok(self.store.read_at(*file, offset, buffer)?) }
    }

    fn close(&mut self, (file, _): Self::File) {
        self.store.close(file);
    }

    fn list(&mut self, path: &[u8], each: &mut dyn FnMut(&[u8], EntryKind)) -> Result<(), Failure> {
        self.store.list(self.inside(path)?, &mut |name, kind| {
            each(name.as_bytes(), if kind == FileKind::Directory { EntryKind::Directory } else { EntryKind::Regular });
        })?;
        each(b"..", EntryKind::Directory);
        each(b"\xff\xfe", EntryKind::Link);
        Ok(())
    }

    fn status(&mut self) -> Status {
        Status { modules: 2, mounts: self.mounted.is_some().into(), open_files: 99, heap: 1000, heap_peak: 2000 }
    }
}

fn files(window: usize) -> (RemoteFiles, Arc<Connection>, JoinHandle<usize>) {
    let (client, end) = pair(window);
    let server = std::thread::spawn(move || {
        let mut server = FileServer::new(Files::new());
        serve(&end, &mut server);
        server.service().store.open_files()
    });
    let connection = Connection::new(Arc::new(client)).expect("greeted");
    (RemoteFiles::new(&connection).expect("files"), connection, server)
}

const MOUNT: Mount<'static> = Mount { kind: "memfs", path: b"/mnt", device: 3, read_only: true, options: "a=1,b" };

fn errno<T: std::fmt::Debug>(answer: Result<T, Failure>) -> i32 {
    match answer {
        Err(Failure::Errno(errno)) => errno,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_system_is_mounted_walked_and_read() {
    for window in [4096, 64 << 10, 1 << 20] {
        let (files, connection, server) = files(window);
        assert_eq!(errno(files.stat(b"/mnt/hello")), ENODEV);
        assert_eq!(errno(files.mount(&Mount { kind: "other", ..MOUNT })), ENODEV);
        files.mount(&MOUNT).expect("mounted");
        assert_eq!(errno(files.mount(&MOUNT)), EBUSY);

        let stat = files.stat(b"/mnt/large").expect("found");
        let modified = Duration::new(1_000_000_000, 999_999_999);
        let expected = FileStat { kind: EntryKind::Regular, mode: 0o644, inode: u64::MAX, size: 150_000, links: 1, modified };
        assert_eq!(stat, expected);
        assert_eq!(files.stat(b"/mnt").expect("found").kind, EntryKind::Directory);
        let missing = Failure::from(HostErrorKind::NotFound);
        assert_eq!(files.stat(b"/mnt/nothing"), Err(missing));

        let mut names = Vec::new();
        let mut each = |name: &[u8], kind| {
            assert!(files.stat(b"/mnt/hello").is_ok(), "the connection is free while entries are seen");
            names.push((name.to_vec(), kind));
        };
        files.list(b"/mnt/many", &mut each).expect("listed");
        assert_eq!(names.len(), 3001);
        assert_eq!(names[2999], (b"file-2999".to_vec(), EntryKind::Regular));
        assert_eq!(names[3000], (b"\xff\xfe".to_vec(), EntryKind::Link));

        let file = files.open(b"/mnt/large").expect("opened");
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 100_000]);
        loop {
            match files.read(file, bytes.len() as u64, &mut buffer).expect("read") {
                0 => break,
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
        assert!(bytes.len() == 150_000 && bytes.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8));
        assert_eq!(errno(files.unmount(b"/mnt", false)), EBUSY);
        let status = Status { modules: 2, mounts: 1, open_files: 1, heap: 1000, heap_peak: 2000 };
        assert_eq!(files.status(), Ok(status));
        files.close(file).expect("closed");
        assert!(files.close(file).is_err());

        let broken = files.open(b"/mnt/broken").expect("opened");
        assert_eq!(errno(files.read(broken, 0, &mut buffer)), EIO);
        // Left open: the server closes it with the connection.
        files.unmount(b"/mnt", true).expect("unmounted");
        drop((files, connection));
        assert_eq!(server.join().expect("no panic"), 1);
    }
}

#[test]
fn paths_are_checked_before_the_service_sees_them() {
    let (files, connection, _server) = files(64 << 10);
    files.mount(&MOUNT).expect("mounted");
    let invalid = Failure::from(HostErrorKind::InvalidInput);
    let long = [&b"/mnt/"[..], &vec![b'x'; 5000]].concat();
    for path in [&b""[..], b"mnt", b"/mnt/nul\0", &long] {
        assert_eq!(files.stat(path), Err(invalid));
        assert_eq!(files.open(path), Err(invalid));
        assert_eq!(files.unmount(path, false), Err(invalid));
        assert_eq!(files.list(path, &mut |_, _| panic!("nothing is listed")), Err(invalid));
        assert_eq!(files.mount(&Mount { path, ..MOUNT }), Err(invalid));
    }
    assert!(RemoteStore::new(&connection).is_err() && !connection.serves(Interface::Store));
    let mut open = Vec::new();
    let full = loop {
        match files.open(b"/mnt/hello") {
            Ok(file) => open.push(file),
            Err(failure) => break failure,
        }
    };
    assert_eq!((open.len(), full), (rumpload_l4::MAX_OPEN, HostErrorKind::OutOfMemory.into()));
    connection.greet().expect("greeted");
    assert_eq!(files.status().expect("a status").open_files, 0);
}
