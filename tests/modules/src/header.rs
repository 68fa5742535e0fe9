//! `abi.h`: the base kernel's layout tables as C.
//!
//! Structures are written with explicit padding so that every member lies where the table says; assertions in the header make
//! the compiler check it. Members of nested structures are members of the outer one, their names joined by `_` as in the base
//! kernel's tables; the version suffix of argument structures is left out.

use crate::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const CONSTANTS: &str = include_str!("../../../base/abi/constants.tsv");
const OPERATIONS: &str = include_str!("../../../base/abi/operations.tsv");

/// The structures that sample modules use.
const STRUCTURES: [&str; 40] = [
    "bintime",
    "buf",
    "callout",
    "componentname",
    "dirent",
    "disklabel",
    "dkwedge_info",
    "flock",
    "genfs_node",
    "genfs_ops",
    "genfs_rename_ops",
    "iovec",
    "kcondvar",
    "knote",
    "krndsource",
    "lwp",
    "modinfo",
    "mount",
    "nameidata",
    "pool",
    "proc",
    "specnode",
    "statvfs",
    "sysctlnode",
    "timespec",
    "timeval",
    "uio",
    "uvm_object",
    "vattr",
    "uvm_pagerops",
    "uvmexp",
    "vfsops",
    "vm_page",
    "vnode",
    "vnodeop_desc",
    "vnodeopv_desc",
    "vnodeopv_entry_desc",
    "vop_generic_args",
    "kmutex",
    "krwlock",
];

/// A member at its place.
struct Member {
    name: String,
    offset: usize,
    size: usize,
    kind: String,
}

#[derive(Default)]
struct Structure {
    size: usize,
    members: Vec<Member>,
}

/// The text of `abi.h`.
pub fn abi(target: &Target) -> String {
    let table = read_structures(target.layouts);
    let mut text = String::from("/* Generated from the base kernel's layout tables. */\n#ifndef ABI_H\n#define ABI_H\n\n");
    types(&mut text, target);
    constants(&mut text, target);
    let mut wanted: Vec<&str> = STRUCTURES.to_vec();
    wanted.extend(table.keys().map(String::as_str).filter(|name| name.starts_with("vop_")));
    let mut done = BTreeSet::new();
    for name in wanted {
        structure(&mut text, &table, name, target.pointer, &mut done);
    }
    operations(&mut text, target);
    text.push_str("#endif\n");
    text
}

fn read_structures(table: &str) -> BTreeMap<String, Structure> {
    let mut structures: BTreeMap<String, Structure> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let (name, member, offset, size, kind) = (next(), next(), next(), next(), next());
        let structure = structures.entry(unversioned(name).to_owned()).or_default();
        match (member, offset.parse(), size.parse()) {
            ("(size)", _, Ok(size)) => structure.size = size,
            (_, Ok(offset), Ok(size)) => {
                structure.members.push(Member { name: member.into(), offset, size, kind: kind.into() });
            }
            // Bit fields have no offset of their own.
            _ => {}
        }
    }
    structures
}

/// `vop_lookup_v2_args` is the argument of `vop_lookup`.
fn unversioned(name: &str) -> String {
    let stem = name.strip_suffix("_args").and_then(|stem| stem.rsplit_once("_v"));
    match stem {
        Some((stem, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => format!("{stem}_args"),
        _ => name.to_owned(),
    }
}

fn types(text: &mut String, target: &Target) {
    text.push_str(
        "typedef signed char int8_t;\ntypedef unsigned char uint8_t;\ntypedef short int16_t;\ntypedef unsigned short uint16_t;\n\
         typedef int int32_t;\ntypedef unsigned int uint32_t;\ntypedef long long int64_t;\ntypedef unsigned long long uint64_t;\n\
         typedef unsigned long uintptr_t;\ntypedef uintptr_t vsize_t;\ntypedef __SIZE_TYPE__ size_t;\ntypedef uint64_t dev_t;\n\
         typedef int (*vop_t)(void *);\n",
    );
    let _ = writeln!(text, "_Static_assert(sizeof(void *) == {}, \"pointers\");", target.pointer);
    let _ = writeln!(text, "\n#define NETBSD_VERSION {}u", target.version);
}

fn constants(text: &mut String, target: &Target) {
    let mut lines = CONSTANTS.lines();
    let column = lines.next().and_then(|head| head.split('\t').position(|name| name == target.name));
    for line in lines {
        let columns: Vec<&str> = line.split('\t').collect();
        let Some(value) = column.and_then(|column| columns.get(column)) else { continue };
        let name = columns[0];
        let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let plain = !name.starts_with("__") && name.bytes().all(upper);
        match value.parse::<i128>() {
            Ok(number) if plain && number < 0 => {
                let _ = writeln!(text, "#define {name} ({number})");
            }
            Ok(number) if plain && number > i128::from(i64::MAX) => {
                let _ = writeln!(text, "#define {name} {number}ull");
            }
            Ok(number) if plain => {
                let _ = writeln!(text, "#define {name} {number}");
            }
            _ => {}
        }
    }
    text.push('\n');
}

/// Writes structure `name`, after those it holds.
fn structure(text: &mut String, table: &BTreeMap<String, Structure>, name: &str, pointer: usize, done: &mut BTreeSet<String>) {
    let Some(layout) = table.get(name) else { return };
    if layout.size == 0 || !done.insert(name.to_owned()) {
        return;
    }
    let leaves: Vec<&Member> = layout.members.iter().filter(|member| !is_container(layout, member)).collect();
    for leaf in &leaves {
        if let Some(inner) = leaf.kind.strip_prefix("struct ") {
            structure(text, table, inner, pointer, done);
        }
    }
    let _ = writeln!(text, "struct {name} {{");
    let (mut at, mut pads) = (0, 0);
    let mut pad = |text: &mut String, at: usize, to: usize| {
        if to > at {
            let _ = writeln!(text, "\tchar pad{pads}_[{}];", to - at);
            pads += 1;
        }
    };
    for group in overlapping(&leaves) {
        let (start, end) = extent(&group);
        pad(text, at, start);
        match group.as_slice() {
            [member] => {
                let _ = writeln!(text, "\t{};", declaration(table, member));
            }
            members => {
                text.push_str("\tunion {\n");
                for member in members {
                    text.push_str("\t\tstruct {\n");
                    if member.offset > start {
                        let _ = writeln!(text, "\t\t\tchar skip_{}[{}];", c_name(member), member.offset - start);
                    }
                    let _ = writeln!(text, "\t\t\t{};\n\t\t}};", declaration(table, member));
                }
                text.push_str("\t};\n");
            }
        }
        at = end;
    }
    pad(text, at, layout.size);
    let align = if layout.size % pointer == 0 { pointer } else { 1 << layout.size.trailing_zeros() };
    let _ = writeln!(text, "}} __attribute__((aligned({align})));");
    let _ = writeln!(text, "_Static_assert(sizeof(struct {name}) == {}, \"{name}\");", layout.size);
    for leaf in &leaves {
        let (member, offset, size) = (c_name(leaf), leaf.offset, leaf.size);
        let _ = writeln!(text, "_Static_assert(__builtin_offsetof(struct {name}, {member}) == {offset}, \"{name}.{member}\");");
        let _ = writeln!(text, "_Static_assert(sizeof(((struct {name} *)0)->{member}) == {size}, \"{name}.{member}\");");
    }
    text.push('\n');
}

/// Whether other members lie inside `member` by name.
fn is_container(layout: &Structure, member: &Member) -> bool {
    let inside = |other: &Member| other.name.strip_prefix(&member.name).is_some_and(|rest| rest.starts_with('.'));
    layout.members.iter().any(inside)
}

fn extent(group: &[&Member]) -> (usize, usize) {
    let start = group.iter().map(|member| member.offset).min().unwrap_or(0);
    let end = group.iter().map(|member| member.offset + member.size).max().unwrap_or(0);
    (start, end)
}

/// Members in the order of their offsets, in runs that share bytes.
fn overlapping<'a>(leaves: &[&'a Member]) -> Vec<Vec<&'a Member>> {
    let mut sorted = leaves.to_vec();
    sorted.sort_by_key(|member| member.offset);
    let mut groups: Vec<Vec<&Member>> = Vec::new();
    for member in sorted {
        match groups.last_mut() {
            Some(group) if extent(group).1 > member.offset => group.push(member),
            _ => groups.push(vec![member]),
        }
    }
    groups
}

fn c_name(member: &Member) -> String {
    member.name.replace('.', "_")
}

/// The member as C declares it; bytes where its type is of no use here.
fn declaration(table: &BTreeMap<String, Structure>, member: &Member) -> String {
    let name = c_name(member);
    let bytes = format!("char {name}[{}]", member.size);
    let array = member.kind.strip_prefix("array ").and_then(|rest| rest.split_once(" of "));
    let (kind, count) = match array {
        Some((count, kind)) => (kind, Some(count)),
        None => (member.kind.as_str(), None),
    };
    let c = match basic(kind) {
        Some(c) => c,
        None => match kind.strip_prefix("struct ") {
            Some(inner) if table.get(inner).is_some_and(|inner| inner.size != 0) && count.is_none() => format!("struct {inner}"),
            _ => return bytes,
        },
    };
    match count {
        Some(count) => format!("{c} {name}[{count}]"),
        None => format!("{c} {name}"),
    }
}

/// A number or pointer.
fn basic(kind: &str) -> Option<String> {
    if let Some(target) = kind.strip_prefix("ptr ") {
        let known = matches!(target, "void" | "char") || basic(target).is_some() || target.starts_with("struct ");
        return Some(match (known, target) {
            (true, "funcptr") => "vop_t *".into(),
            (true, "ptr funcptr") => "vop_t **".into(),
            (true, "char") => "const char *".into(),
            (true, "ptr struct vnodeopv_desc") => "const struct vnodeopv_desc **".into(),
            (true, "struct vnodeop_desc" | "struct vnodeopv_entry_desc" | "struct genfs_ops") => format!("const {target} *"),
            (true, _) => format!("{} *", basic(target).unwrap_or_else(|| target.into())),
            (false, _) => "void *".into(),
        });
    }
    let c = match kind {
        "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64" => return Some(format!("{kind}_t")),
        "bool" => "_Bool",
        "char" => "char",
        "funcptr" => "void *",
        _ if kind.starts_with("enum ") => "int",
        _ => return None,
    };
    Some(c.into())
}

fn operations(text: &mut String, target: &Target) {
    let column = if target.version < 1_000_000_000 { 1 } else { 2 };
    for line in OPERATIONS.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        if columns[0] == "vop_default" || columns.get(column).is_some_and(|&slot| slot != "-") {
            let _ = writeln!(text, "extern const struct vnodeop_desc {}_desc;", columns[0]);
        }
    }
}
