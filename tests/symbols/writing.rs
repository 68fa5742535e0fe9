//! Scenario `slotfs`: a file system is written, unmounted, and looked at by a reader of its own.

use crate::disk::{Disk, mount_slotfs as mount};
use crate::kernel::{Server, pattern};
use crate::scenario::expect;
use rumpload_base::{Change, Device, FileError, Timestamp};
use rumpload_test_modules::slotfs::{self, Contents};

const MODIFIED: Timestamp = Timestamp { seconds: 1_000_000, nanoseconds: 0 };

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Does everything twice: the second time leaves nothing that the first one had not.
pub fn run(server: &Server) -> Result<(), String> {
    let mut usage = Vec::new();
    for device in ["/dev/disk", "/dev/disk2"] {
        let disk = Disk::new(slotfs::empty(2048, 64));
        server.kernel.add_device(device, Device::new(disk.clone())).map_err(text)?;
        mount(server, device, false)?;
        // Hardly any memory for pages: they are written before their file says that it has grown.
        server.kernel.set_page_cache(0).map_err(text)?;
        session(server).map_err(text)??;
        full(server).map_err(text)??;
        look(server).map_err(text)??;
        let writes = disk.counts().1;
        server.kernel.sync().map_err(text)?;
        expect("sync writes", disk.counts().1 > writes, true)?;
        check(&slotfs::contents(&disk.bytes())?)?;
        open_and_shut(server, &disk).map_err(text)??;
        server.kernel.unmount("/mnt", false).map_err(text)?;
        let image = slotfs::contents(&disk.bytes())?;
        expect("clean", image.clean, true)?;
        check(&image)?;
        mount(server, device, true)?;
        look(server).map_err(text)??;
        server.kernel.unmount("/mnt", false).map_err(text)?;
        expect("image of a mount that only reads", slotfs::contents(&disk.bytes())? == image, true)?;
        failing(server, device, &disk)?;
        server.kernel.remove_device(device).map_err(text)?;
        server.kernel.instance().unload("slotfs").map_err(text)?;
        usage.push(server.kernel.usage().map_err(text)?);
    }
    expect("what stays", usage[1], usage[0])
}

type Outcome = Result<Result<(), String>, FileError>;

fn write(server: &Server, path: &str, bytes: &[u8]) -> Result<(), FileError> {
    let file = server.kernel.create(path, 0o644)?;
    file.write_at(0, bytes)?;
    file.close()
}

fn read(server: &Server, path: &str) -> Result<Vec<u8>, FileError> {
    let file = server.kernel.open(path)?;
    let bytes = file.read_to_vec(1 << 20)?;
    file.close()?;
    Ok(bytes)
}

/// Makes, changes, moves and removes.
fn session(server: &Server) -> Outcome {
    let kernel = &server.kernel;
    for path in ["/mnt/d", "/mnt/d/e", "/mnt/gone"] {
        kernel.create_directory(path, 0o755)?;
    }
    for number in 0..20 {
        write(server, &format!("/mnt/d/{number}"), &pattern(number * 777))?;
    }
    for number in 10..20 {
        kernel.remove(format!("/mnt/d/{number}"))?;
    }
    kernel.remove_directory("/mnt/gone")?;
    write(server, "/mnt/long", &pattern(150_000))?;
    kernel.hard_link("/mnt/long", "/mnt/d/e/hard")?;
    kernel.create_link("/mnt/link", b"d/e/hard")?;
    kernel.create_link("/mnt/far", format!("{}d/1", "./".repeat(300)).as_bytes())?;
    // Old names are known, and known no more.
    for path in ["/mnt/d/0", "/mnt/d/1", "/mnt/d/2", "/mnt/d/e"] {
        kernel.stat(path)?;
    }
    kernel.rename("/mnt/d/0", "/mnt/d/zero")?;
    kernel.stat("/mnt/d/e/..")?;
    kernel.rename("/mnt/d/e", "/mnt/e")?;
    if kernel.stat("/mnt/e/..")?.fileid != kernel.stat("/mnt")?.fileid {
        return Ok(Err("what is above /mnt/e is not what was renamed".into()));
    }
    kernel.rename("/mnt/d/2", "/mnt/d/3")?;
    for path in ["/mnt/d/0", "/mnt/d/e", "/mnt/d/e/hard", "/mnt/d/2", "/mnt/d/15", "/mnt/gone"] {
        if kernel.stat(path).map_err(|error| error.errno()) != Err(rumpload::errno::ENOENT) {
            return Ok(Err(format!("{path} is still there")));
        }
    }
    kernel.remove("/mnt/link")?;
    kernel.create_link("/mnt/link", b"e/hard")?;
    let file = kernel.open_for_writing("/mnt/d/9")?;
    file.write_at(100_000, b"end")?;
    file.close()?;
    read(server, "/mnt/d/9")?;
    let file = kernel.open_for_writing("/mnt/d/9")?;
    file.write_at(50_000, b"in a hole")?;
    file.close()?;
    kernel.change("/mnt/d/8", &Change { size: Some(1000), ..Change::default() })?;
    kernel.change("/mnt/d/8", &Change { size: Some(9000), ..Change::default() })?;
    let change = Change { mode: Some(0o640), uid: Some(5), gid: Some(6), modified: Some(MODIFIED), ..Change::default() };
    kernel.change("/mnt/d/7", &change)?;
    Ok(refusals(server))
}

/// Nothing is left of a file that finds no room for its name.
fn full(server: &Server) -> Outcome {
    let kernel = &server.kernel;
    kernel.create_directory("/mnt/full", 0o755)?;
    for number in 0..16 {
        write(server, &format!("/mnt/full/{number}"), b"")?;
    }
    let before = kernel.statvfs("/mnt")?.free_files;
    let filling: Vec<String> = (0..9).map(|number| format!("/mnt/fill{number}")).collect();
    for path in &filling {
        let file = kernel.create(path, 0o644)?;
        // A block at a time, until nothing is left.
        let blocks = (0..slotfs::LONGEST / slotfs::BLOCK).map(|at| file.write_at((at * slotfs::BLOCK) as u64, &[1]));
        let full = blocks.into_iter().any(|result| result.is_err());
        file.close()?;
        if full {
            break;
        }
    }
    let refused = kernel.create("/mnt/full/16", 0o644).map_err(|error| error.errno());
    let free = kernel.statvfs("/mnt")?.free_blocks;
    for path in filling.iter().filter(|path| kernel.stat(path).is_ok()) {
        kernel.remove(path)?;
    }
    let after = kernel.statvfs("/mnt")?.free_files;
    for number in 0..16 {
        kernel.remove(format!("/mnt/full/{number}"))?;
    }
    kernel.remove_directory("/mnt/full")?;
    Ok((|| {
        expect("a name without room", (refused.err(), free), (Some(28), 0))?;
        expect("files", after, before)
    })())
}

/// What has to fail, and why.
fn refusals(server: &Server) -> Result<(), String> {
    let kernel = &server.kernel;
    let of = |result: Result<(), FileError>| result.map_err(|error| error.errno());
    expect("over a full directory", of(kernel.rename("/mnt/e", "/mnt/d")), Err(66))?;
    expect("into itself", of(kernel.rename("/mnt/d", "/mnt/d/x")), Err(rumpload::errno::EINVAL))?;
    expect("over a directory", of(kernel.rename("/mnt/d/1", "/mnt/e")), Err(rumpload::errno::EISDIR))?;
    expect("what is not there", of(kernel.rename("/mnt/absent", "/mnt/e")), Err(rumpload::errno::ENOENT))?;
    expect("a full directory", of(kernel.remove_directory("/mnt/e")), Err(66))?;
    let too_long = Change { size: Some(1 << 30), ..Change::default() };
    expect("too long", of(kernel.change("/mnt/d/1", &too_long)), Err(rumpload::errno::EFBIG))
}

/// What should be in the files, by path from the mount.
fn wanted() -> Vec<(&'static str, Vec<u8>)> {
    let mut sparse = pattern(9 * 777);
    sparse.resize(100_003, 0);
    sparse[100_000..].copy_from_slice(b"end");
    sparse[50_000..50_009].copy_from_slice(b"in a hole");
    let mut cut = pattern(8 * 777);
    cut.truncate(1000);
    cut.resize(9000, 0);
    vec![
        ("/d/zero", Vec::new()),
        ("/d/1", pattern(777)),
        ("/d/3", pattern(2 * 777)),
        ("/d/7", pattern(7 * 777)),
        ("/d/8", cut),
        ("/d/9", sparse),
        ("/long", pattern(150_000)),
        ("/e/hard", pattern(150_000)),
    ]
}

/// As the mount shows it.
fn look(server: &Server) -> Outcome {
    let kernel = &server.kernel;
    for (path, bytes) in wanted() {
        let found = read(server, &format!("/mnt{path}"))?;
        if found != bytes {
            return Ok(Err(format!("{path} differs")));
        }
    }
    let (link, far) = (read(server, "/mnt/link")?, read(server, "/mnt/far")?);
    let (stat, hard) = (kernel.stat("/mnt/d/7")?, kernel.stat("/mnt/long")?);
    let status = kernel.statvfs("/mnt")?;
    Ok((|| {
        expect("links", (link == pattern(150_000), far == pattern(777)), (true, true))?;
        expect("mode", (stat.mode & 0o7777, stat.uid, stat.gid, stat.modified), (0o640, 5, 6, MODIFIED))?;
        expect("two names", (hard.links, stat.device != 0), (2, true))?;
        expect("the mount", (status.kind.as_str(), status.files), ("slotfs", 63))
    })())
}

/// As the image shows it.
fn check(image: &Contents) -> Result<(), String> {
    for (path, bytes) in wanted() {
        let file = image.files.get(path).ok_or_else(|| format!("{path} is not on the image"))?;
        expect(path, file.bytes == bytes, true)?;
    }
    expect("blocks of a sparse file", image.files["/d/9"].blocks, 7 + 1 + 2)?;
    expect("names", image.files.len(), 16)
}

/// An open file outlives its name, and a forced unmount ends it; the device is whole all the same.
fn open_and_shut(server: &Server, disk: &Disk) -> Outcome {
    let file = server.kernel.create("/mnt/short-lived", 0o600)?;
    file.write_at(0, &pattern(5000))?;
    file.sync()?;
    server.kernel.remove("/mnt/short-lived")?;
    if file.read_to_vec(9999)? != pattern(5000) {
        return Ok(Err("a file without a name differs".into()));
    }
    Ok((|| {
        expect("unmounting", server.kernel.unmount("/mnt", false).map_err(|error| error.errno()), Err(rumpload::errno::EBUSY))?;
        server.kernel.unmount("/mnt", true).map_err(text)?;
        expect("a dead file", file.read_at(0, &mut [0; 1]).is_err(), true)?;
        drop(file);
        slotfs::contents(&disk.bytes())?;
        mount(server, "/dev/disk2", false).or_else(|_| mount(server, "/dev/disk", false))
    })())
}

/// What fails is told; nothing that was safe is lost.
fn failing(server: &Server, device: &str, disk: &Disk) -> Result<(), String> {
    mount(server, device, false)?;
    // A new block of a directory is written without waiting.
    for number in 0..20 {
        write(server, &format!("/mnt/e/{number}"), b"text").map_err(text)?;
        if number == 10 {
            server.kernel.sync().map_err(text)?;
            disk.fail(1, 0);
            let result = server.kernel.change("/mnt/e/1", &Change { mode: Some(0), ..Change::default() });
            expect("a delayed change", result.is_ok(), true)?;
            expect("sync", server.kernel.sync().map_err(|error| error.errno()), Err(rumpload::errno::EIO))?;
            disk.fail(0, 0);
        }
    }
    for number in 0..20 {
        server.kernel.remove(format!("/mnt/e/{number}")).map_err(text)?;
    }
    server.kernel.unmount("/mnt", false).map_err(text)?;
    check(&slotfs::contents(&disk.bytes())?)
}
