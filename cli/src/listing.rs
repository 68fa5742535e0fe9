//! What is shown of files and mounts.

use crate::failures::Failures;
use crate::output::Output;
use crate::walk::absolute;
use anyhow::Result;
use rumpload_base::{FileKind, Kernel, MountStatus, Stat};
use serde::Serialize;
use std::io::Write;
use std::sync::Arc;

/// How a listing looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Names.
    Short,
    /// Attributes and names.
    Long,
    /// A line of JSON each.
    Json,
}

/// One name, with the attributes people look at.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    kind: &'static str,
    mode: u32,
    links: u32,
    uid: u32,
    gid: u32,
    size: u64,
    fileid: u64,
    modified: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// Lists what `path` leads to: a directory's names in byte order, or the one file. A link to nowhere is listed itself. Names
/// whose attributes cannot be read are noted and left out.
pub fn list(kernel: &Arc<Kernel>, path: &[u8], form: Form, failures: &mut Failures, output: &mut Output) -> Result<()> {
    let named = kernel.lstat(path)?.kind;
    let kind = if named == FileKind::Link { kernel.stat(path).map_or(named, |stat| stat.kind) } else { named };
    if kind != FileKind::Directory {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        output.write_all(&shown(kernel, path, name, form)?)?;
        return Ok(());
    }
    let mut names: Vec<Vec<u8>> = kernel.read_directory(path)?.into_iter().map(|entry| entry.name).collect();
    names.sort();
    for name in names {
        let within = [path, b"/".as_slice(), &name].concat();
        match shown(kernel, &within, &name, form) {
            Ok(line) => output.write_all(&line)?,
            Err(error) => failures.note(kernel, error)?,
        }
    }
    Ok(())
}

/// The line of one name, its end included.
fn shown(kernel: &Arc<Kernel>, path: &[u8], name: &[u8], form: Form) -> Result<Vec<u8>> {
    if form == Form::Short {
        return Ok([name, b"\n"].concat());
    }
    let stat = kernel.lstat(path)?;
    let target = if stat.kind == FileKind::Link { Some(kernel.read_link(path)?) } else { None };
    if form == Form::Json {
        let mut line = serde_json::to_vec(&entry(name, &stat, target))?;
        line.push(b'\n');
        return Ok(line);
    }
    let Stat { links, uid, gid, size, modified, .. } = &stat;
    let (mode, time) = (mode_text(&stat), utc(modified.seconds));
    let attributes = format!("{mode} {links:>3} {uid:>5} {gid:>5} {size:>10} {time} ");
    let arrow: &[u8] = if target.is_some() { b" -> " } else { b"" };
    Ok([attributes.as_bytes(), name, arrow, &target.unwrap_or_default(), b"\n"].concat())
}

fn entry(name: &[u8], stat: &Stat, target: Option<Vec<u8>>) -> Entry {
    Entry {
        name: String::from_utf8_lossy(name).into_owned(),
        kind: kind_text(stat.kind),
        mode: stat.mode & 0o7777,
        links: stat.links,
        uid: stat.uid,
        gid: stat.gid,
        size: stat.size,
        fileid: stat.fileid,
        modified: stat.modified.seconds,
        target: target.map(|target| String::from_utf8_lossy(&target).into_owned()),
    }
}

/// All attributes of one file.
pub fn attributes(kernel: &Arc<Kernel>, path: &[u8], output: &mut Output) -> Result<()> {
    let stat = kernel.lstat(path)?;
    write!(output, "  file: ")?;
    output.write_all(path)?;
    if stat.kind == FileKind::Link {
        output.write_all(b" -> ")?;
        output.write_all(&kernel.read_link(path)?)?;
    }
    writeln!(output, "\n  kind: {}", kind_text(stat.kind))?;
    writeln!(output, "  size: {} bytes, {} allocated, blocks of {}", stat.size, stat.allocated, stat.block_size)?;
    writeln!(
        output,
        "  mode: {} ({:04o}), links {}, uid {}, gid {}",
        mode_text(&stat),
        stat.mode & 0o7777,
        stat.links,
        stat.uid,
        stat.gid
    )?;
    writeln!(output, "number: {} on device {:#x}", stat.fileid, stat.device)?;
    for (name, time) in [("access", stat.accessed), ("modify", stat.modified), ("change", stat.changed), (" birth", stat.born)] {
        match time.seconds {
            // VNOVAL: the file system does not keep it.
            -1 => writeln!(output, "{name}: unknown")?,
            seconds => writeln!(output, "{name}: {}.{:09} UTC", utc(seconds), time.nanoseconds)?,
        }
    }
    Ok(())
}

/// What a mounted file system says about itself.
pub fn mount_status(status: &MountStatus, output: &mut Output) -> Result<()> {
    let MountStatus { kind, directory, device, fragment_size, blocks, free_blocks, files, free_files, .. } = status;
    let access = if status.read_only { "read-only" } else { "read-write" };
    writeln!(output, "{device} on {directory} type {kind} ({access}), blocks of {}", status.block_size)?;
    writeln!(output, "  {blocks} fragments of {fragment_size} bytes, {free_blocks} free; {files} files, {free_files} free")?;
    writeln!(output, "  names of up to {} bytes", status.name_max)?;
    Ok(())
}

/// How full file systems are: a line each, in bytes.
pub fn usage(mounts: &[MountStatus], output: &mut Output) -> Result<()> {
    writeln!(output, "{:<16} {:<10} {:>16} {:>16} {:>16} MOUNTED ON", "DEVICE", "TYPE", "BYTES", "USED", "FREE")?;
    for MountStatus { kind, directory, device, fragment_size, blocks, free_blocks, available_blocks, .. } in mounts {
        // Numbers come from the image: they may be anything.
        let bytes = |fragments: u64| u128::from(fragments) * u128::from(*fragment_size);
        let (all, used, free) = (bytes(*blocks), bytes(blocks.saturating_sub(*free_blocks)), bytes(*available_blocks));
        writeln!(output, "{device:<16} {kind:<10} {all:>16} {used:>16} {free:>16} {directory}")?;
    }
    Ok(())
}

fn kind_text(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Link => "link",
        FileKind::BlockDevice => "block device",
        FileKind::CharacterDevice => "character device",
        FileKind::Socket => "socket",
        FileKind::Fifo => "fifo",
        _ => "other",
    }
}

/// Kind and permissions as `ls -l` shows them.
fn mode_text(stat: &Stat) -> String {
    let kind = match stat.kind {
        FileKind::Directory => 'd',
        FileKind::Link => 'l',
        FileKind::BlockDevice => 'b',
        FileKind::CharacterDevice => 'c',
        FileKind::Socket => 's',
        FileKind::Fifo => 'p',
        FileKind::File => '-',
        _ => '?',
    };
    let mut text: Vec<char> = std::iter::once(kind)
        .chain((0..9).rev().map(|bit| if stat.mode >> bit & 1 == 0 { '-' } else { ['x', 'w', 'r'][bit % 3] }))
        .collect();
    for (bit, at, set) in [(0o4000, 3, 's'), (0o2000, 6, 's'), (0o1000, 9, 't')] {
        if stat.mode & bit != 0 {
            text[at] = if text[at] == 'x' { set } else { set.to_ascii_uppercase() };
        }
    }
    text.into_iter().collect()
}

/// A time of seconds since 1970 as date and time of day in UTC.
fn utc(seconds: i64) -> String {
    match time::OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(time) => {
            let (year, month, day) = time.to_calendar_date();
            let (hour, minute, second) = time.to_hms();
            format!("{year:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}", u8::from(month))
        }
        Err(_) => format!("@{seconds}"),
    }
}

/// The path that a person means: from the directory the command line starts from.
pub fn path_from(base: &str, path: &str) -> Vec<u8> {
    let rooted = if path.starts_with('/') || path.is_empty() { path.to_owned() } else { format!("/{path}") };
    absolute(base, rooted.trim_end_matches('/').as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_868_800), "2000-03-01 00:00:00");
        assert_eq!(utc(-1), "1969-12-31 23:59:59");
        assert_eq!(utc(i64::MAX), "@9223372036854775807");
    }

    #[test]
    fn paths_start_from_the_base() {
        assert_eq!(path_from("/mnt", "/"), b"/mnt");
        assert_eq!(path_from("/mnt", "a/b/"), b"/mnt/a/b");
        assert_eq!(path_from("", "/"), b"/");
        assert_eq!(path_from("", "/a"), b"/a");
    }
}
