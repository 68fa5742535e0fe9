//! The sysctl tree that modules add nodes to.
//!
//! A node is a `struct sysctlnode`, because modules read the numbers of the nodes they made. The base keeps the tree; what a
//! module made is recorded in its log and goes when the log is torn down.

use super::errno::{EEXIST, EINVAL, ENOENT, ENOMEM, ENOTDIR, EOPNOTSUPP, EPERM};
use super::{memory, string};
use crate::abi::constants::{
    CTL_CREATE, CTL_EOL, CTL_MAXNAME, CTLFLAG_IMMEDIATE, CTLFLAG_OWNDATA, CTLFLAG_READWRITE, CTLTYPE_BOOL, CTLTYPE_INT,
    CTLTYPE_NODE, CTLTYPE_QUAD, CTLTYPE_STRING, SYSCTL_VERSION,
};
use crate::arch::{VaList, variadic};
use crate::export::{Export, function};
use crate::kernel::{Kernel, kernel};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ptr;

/// Names of the top level, by number.
const TOP: [&str; 13] =
    ["kern", "vm", "vfs", "net", "debug", "hw", "machdep", "user", "ddb", "proc", "vendor", "emul", "security"];
/// The low bits of the flags are the type.
const TYPE: u32 = 0xf;
/// Numbers given to nodes that ask for none start here.
const FIRST_NUMBER: i32 = 1024;
/// Bytes a string node with room of its own may have.
const LONGEST: usize = 4096;

/// One node: its C structure, its parent, and who made it.
#[derive(Clone, Copy)]
struct Node {
    /// A `struct sysctlnode` of the kernel's memory.
    structure: *mut u8,
    parent: *mut u8,
    number: i32,
    kind: i32,
    /// The log it is recorded in; 0 for the base's own.
    log: usize,
}

/// The tree.
#[derive(Default)]
pub(crate) struct State {
    nodes: RefCell<Vec<Node>>,
    logs: Cell<usize>,
}

impl State {
    fn child(&self, parent: *mut u8, number: i32) -> Option<Node> {
        self.nodes.borrow().iter().find(|node| node.parent == parent && node.number == number).copied()
    }

    fn named(&self, parent: *mut u8, name: &[u8]) -> Option<Node> {
        // SAFETY: every node's structure is live and its name ends with NUL.
        let same = |node: &&Node| node.parent == parent && unsafe { name_of(node.structure) } == name;
        self.nodes.borrow().iter().find(same).copied()
    }

    fn free_number(&self, parent: *mut u8) -> i32 {
        let nodes = self.nodes.borrow();
        let taken = nodes.iter().filter(|node| node.parent == parent).map(|node| node.number);
        taken.max().map_or(FIRST_NUMBER, |number| FIRST_NUMBER.max(number.saturating_add(1)))
    }

    /// Takes out a node that has no children; gives its structure.
    fn remove(&self, structure: *mut u8) -> Result<Node, i32> {
        let mut nodes = self.nodes.borrow_mut();
        if nodes.iter().any(|node| node.parent == structure) {
            return Err(super::errno::ENOTEMPTY);
        }
        let at = nodes.iter().position(|node| node.structure == structure).ok_or(ENOENT)?;
        Ok(nodes.remove(at))
    }

    /// A node of the log without children.
    fn leaf_of(&self, log: usize) -> Option<*mut u8> {
        let nodes = self.nodes.borrow();
        let leaf = |node: &&Node| node.log == log && !nodes.iter().any(|other| other.parent == node.structure);
        nodes.iter().rev().find(leaf).map(|node| node.structure)
    }
}

/// # Safety
/// `structure` must be a live `struct sysctlnode`.
unsafe fn name_of<'a>(structure: *const u8) -> &'a [u8] {
    // SAFETY: as the caller says; names are cut so that a NUL fits.
    unsafe { string::bytes(kernel().abi.sysctlnode.sysctl_name.ptr(structure)) }
}

/// What a new node is to be.
struct Wish {
    flags: u32,
    kind: i32,
    name: *const u8,
    description: *const u8,
    function: *const u8,
    value: u64,
    data: *mut u8,
    size: usize,
}

/// Bytes of a type's value; 0 where the creator says.
fn size_of_kind(kind: i32) -> usize {
    match kind {
        CTLTYPE_BOOL => 1,
        CTLTYPE_INT => 4,
        CTLTYPE_QUAD => 8,
        _ => 0,
    }
}

/// Makes a node below `parent`. `number` may be `CTL_CREATE`, which asks for any.
///
/// # Safety
/// The wish's pointers must be null or what their names say.
unsafe fn create(parent: *mut u8, number: i32, wish: &Wish, log: usize) -> Result<*mut u8, i32> {
    let kernel = kernel();
    let (state, fields) = (&kernel.kern.sysctl, &kernel.abi.sysctlnode);
    if wish.name.is_null() || !(CTLTYPE_NODE..=CTLTYPE_BOOL).contains(&wish.kind) {
        return Err(EINVAL);
    }
    // SAFETY: as the caller says.
    let name = unsafe { string::bytes(wish.name) };
    let room = fields.sysctl_name.size();
    if name.is_empty() || name.len() >= room {
        return Err(EINVAL);
    }
    if let Some(found) = state.named(parent, name).or_else(|| state.child(parent, number)) {
        // The same directory may be wanted by several modules.
        let same = wish.kind == CTLTYPE_NODE && found.kind == CTLTYPE_NODE && wish.function.is_null();
        return if same { Ok(found.structure) } else { Err(EEXIST) };
    }
    let number = if number == CTL_CREATE { state.free_number(parent) } else { number };
    if number < 0 {
        return Err(EINVAL);
    }
    let structure = memory::alloc(fields.size, true);
    if structure.is_null() {
        return Err(ENOMEM);
    }
    let size = match (wish.size, size_of_kind(wish.kind)) {
        (0, _) if wish.kind == CTLTYPE_STRING && !wish.data.is_null() => {
            // SAFETY: a string node's data is a string.
            unsafe { string::bounded_length(wish.data, LONGEST) + 1 }
        }
        (0, size) => size,
        (size, _) => size,
    };
    // SAFETY: a fresh structure of the table's size; the name fits with its NUL.
    unsafe {
        fields.sysctl_flags.write(structure, SYSCTL_VERSION as u32 | wish.flags & !TYPE | wish.kind as u32);
        fields.sysctl_num.write(structure, number);
        ptr::copy_nonoverlapping(name.as_ptr(), fields.sysctl_name.ptr(structure), name.len());
        fields.sysctl_ver.write(structure, 1_u32);
        fields.sysctl_size.write(structure, size);
        fields.sysctl_func.write(structure, wish.function);
        fields.sysctl_parent.write(structure, parent);
        fields.sysctl_desc.write(structure, wish.description);
        if wish.flags & CTLFLAG_IMMEDIATE as u32 != 0 {
            fields.sysctl_un_scu_qdata.write(structure, wish.value);
        } else if wish.kind != CTLTYPE_NODE {
            let data = if wish.flags & CTLFLAG_OWNDATA as u32 != 0 { own(wish.data, size) } else { wish.data };
            fields.sysctl_un_scu_data__sud_data.write(structure, data);
        }
    }
    state.nodes.borrow_mut().push(Node { structure, parent, number, kind: wish.kind, log });
    Ok(structure)
}

/// A copy of a node's data.
///
/// # Safety
/// `data` must be null or have `size` bytes.
unsafe fn own(data: *const u8, size: usize) -> *mut u8 {
    let copy = memory::alloc_or_end(size, true);
    if !data.is_null() {
        // SAFETY: as the caller says.
        unsafe { ptr::copy_nonoverlapping(data, copy, size) };
    }
    copy
}

/// Frees a node's structure and what it owns.
///
/// # Safety
/// The node must be out of the tree.
unsafe fn discard(node: Node) {
    let fields = &kernel().abi.sysctlnode;
    // SAFETY: the structure is live until freed here.
    unsafe {
        let flags: u32 = fields.sysctl_flags.read(node.structure);
        if flags & CTLFLAG_OWNDATA as u32 != 0 && flags & CTLFLAG_IMMEDIATE as u32 == 0 && node.kind != CTLTYPE_NODE {
            memory::free(fields.sysctl_un_scu_data__sud_data.read(node.structure));
        }
        memory::free(node.structure);
    }
}

/// The number list that ends a variadic call.
///
/// # Safety
/// The list must hold ints up to `CTL_EOL`.
unsafe fn numbers(arguments: &mut VaList) -> Result<Vec<i32>, i32> {
    let mut numbers = Vec::new();
    loop {
        // SAFETY: as the caller says.
        match unsafe { arguments.int() } {
            CTL_EOL => return Ok(numbers),
            _ if numbers.len() == CTL_MAXNAME as usize => return Err(EINVAL),
            number => numbers.push(number),
        }
    }
}

/// The node a list of numbers leads to from `node`.
fn walk(mut node: *mut u8, path: &[i32]) -> Result<*mut u8, i32> {
    let state = &kernel().kern.sysctl;
    for number in path {
        let next = state.child(node, *number).ok_or(ENOENT)?;
        if next.kind != CTLTYPE_NODE {
            return Err(ENOTDIR);
        }
        node = next.structure;
    }
    Ok(node)
}

/// # Safety
/// The list must hold `sysctl_createv`'s arguments.
unsafe fn createv(arguments: &mut VaList) -> Result<(), i32> {
    // SAFETY: as the caller says; pointers that are not null are what the prototype says.
    unsafe {
        let log: *mut usize = arguments.pointer();
        arguments.int();
        let root: *mut *mut u8 = arguments.pointer();
        let made: *mut *mut u8 = arguments.pointer();
        let wish = Wish {
            flags: arguments.int() as u32,
            kind: arguments.int(),
            name: arguments.pointer(),
            description: arguments.pointer(),
            function: arguments.pointer(),
            value: arguments.wide(),
            data: arguments.pointer(),
            size: arguments.word(),
        };
        let path = numbers(arguments)?;
        let Some((number, path)) = path.split_last() else { return Err(EINVAL) };
        let start = if root.is_null() { ptr::null_mut() } else { *root };
        let parent = walk(start, path)?;
        let id = match log.as_mut() {
            None => 0,
            Some(log) => {
                if *log == 0 {
                    let logs = &kernel().kern.sysctl.logs;
                    logs.set(logs.get() + 1);
                    *log = logs.get();
                }
                *log
            }
        };
        let node = create(parent, *number, &wish, id)?;
        if !made.is_null() {
            *made = node;
        }
        Ok(())
    }
}

unsafe extern "C" fn createv_list(arguments: *mut VaList) -> i32 {
    // SAFETY: the entry made the list.
    unsafe { createv(&mut *arguments) }.err().unwrap_or(0)
}

/// # Safety
/// The list must hold `sysctl_destroyv`'s arguments.
unsafe fn destroyv(arguments: &mut VaList) -> Result<(), i32> {
    // SAFETY: as the caller says.
    let (root, path) = unsafe { (arguments.pointer::<u8>(), numbers(arguments)?) };
    let Some((number, path)) = path.split_last() else { return Err(EINVAL) };
    let state = &kernel().kern.sysctl;
    let found = state.child(walk(root, path)?, *number).ok_or(ENOENT)?;
    let node = state.remove(found.structure)?;
    // SAFETY: removed just now.
    unsafe { discard(node) };
    Ok(())
}

unsafe extern "C" fn destroyv_list(arguments: *mut VaList) -> i32 {
    // SAFETY: the entry made the list.
    unsafe { destroyv(&mut *arguments) }.err().unwrap_or(0)
}

/// Removes what the log records, leaves first; nodes that others built on stay.
unsafe extern "C" fn sysctl_teardown(log: *mut usize) {
    let state = &kernel().kern.sysctl;
    // SAFETY: module code passes its log.
    let id = unsafe { log.replace(0) };
    if id == 0 {
        return;
    }
    while let Some(leaf) = state.leaf_of(id) {
        let Ok(node) = state.remove(leaf) else { break };
        // SAFETY: removed just now.
        unsafe { discard(node) };
    }
    for node in state.nodes.borrow_mut().iter_mut().filter(|node| node.log == id) {
        node.log = 0;
    }
}

/// A handler for nodes that cannot be read or written.
unsafe extern "C" fn sysctl_notavail() -> i32 {
    EOPNOTSUPP
}

/// The default handler: gives a node's value and takes a new one.
unsafe extern "C" fn sysctl_lookup(
    _name: *const i32,
    count: u32,
    old: *mut u8,
    old_size: *mut usize,
    new: *const u8,
    new_size: usize,
    _full: *const i32,
    _lwp: *mut u8,
    node: *const u8,
) -> i32 {
    let fields = &kernel().abi.sysctlnode;
    // SAFETY: module code passes a node (its own copy of one, perhaps) and buffers of the sizes said.
    unsafe {
        let flags: u32 = fields.sysctl_flags.read(node);
        let size: usize = fields.sysctl_size.read(node);
        if count > 0 || (flags & TYPE) as i32 == CTLTYPE_NODE {
            return ENOTDIR;
        }
        let data: *mut u8 = if flags & CTLFLAG_IMMEDIATE as u32 != 0 {
            fields.sysctl_un.ptr(node)
        } else {
            fields.sysctl_un_scu_data__sud_data.read(node)
        };
        if data.is_null() {
            return EOPNOTSUPP;
        }
        if !new.is_null() {
            if flags & CTLFLAG_READWRITE as u32 == 0 {
                return EPERM;
            }
            let text = (flags & TYPE) as i32 == CTLTYPE_STRING;
            if if text { new_size >= size } else { new_size != size } {
                return EINVAL;
            }
        }
        give(old, old_size, data, size, (flags & TYPE) as i32);
        if !new.is_null() {
            ptr::copy(new, data, new_size);
            if new_size < size {
                data.add(new_size).write(0);
            }
        }
    }
    0
}

/// # Safety
/// `old_size` must be null or say how long `old` is; `data` must have `size` bytes.
unsafe fn give(old: *mut u8, old_size: *mut usize, data: *const u8, size: usize, kind: i32) {
    if old_size.is_null() {
        return;
    }
    // SAFETY: as the caller says.
    unsafe {
        let size = if kind == CTLTYPE_STRING { (string::bounded_length(data, size) + 1).min(size) } else { size };
        if !old.is_null() {
            ptr::copy(data, old, size.min(*old_size));
        }
        *old_size = size;
    }
}

/// The top level.
pub(crate) fn fill(_kernel: &Kernel) {
    let names = TOP.map(|name| {
        let mut bytes = [0_u8; 16];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes
    });
    for (number, name) in (1..).zip(&names) {
        let none = ptr::null_mut();
        let wish = Wish {
            flags: 0,
            kind: CTLTYPE_NODE,
            name: name.as_ptr(),
            description: none,
            function: none,
            value: 0,
            data: none,
            size: 0,
        };
        // SAFETY: the name ends with NUL; the rest is null.
        let made = unsafe { create(none, number, &wish, 0) };
        debug_assert!(made.is_ok(), "the tree is empty");
    }
}

variadic!(sysctl_createv => createv_list);
variadic!(sysctl_destroyv => destroyv_list);

pub(crate) const EXPORTS: &[Export] = &[
    function!("sysctl_createv", sysctl_createv),
    function!("sysctl_destroyv", sysctl_destroyv),
    function!("sysctl_teardown", sysctl_teardown),
    function!("sysctl_notavail", sysctl_notavail),
    function!("sysctl_lookup", sysctl_lookup),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::constants::CTL_VFS;
    use crate::testing::Bench;

    type Create = unsafe extern "C" fn(
        *mut usize,
        i32,
        *mut *mut u8,
        *mut *mut u8,
        i32,
        i32,
        *const u8,
        *const u8,
        *const u8,
        u64,
        *mut u8,
        usize,
        ...
    ) -> i32;

    fn create_call() -> Create {
        // SAFETY: the entry takes its arguments as C passes them to such a function.
        unsafe { core::mem::transmute::<*const (), Create>(sysctl_createv as *const ()) }
    }

    #[test]
    fn nodes_are_made_read_and_torn_down() {
        let (mut log, mut value) = (0_usize, 42_i32);
        Bench::new().inside(|| {
            let state = &kernel().kern.sysctl;
            let (nodes, blocks) = (state.nodes.borrow().len(), kernel().kern.memory.usage().blocks);
            let fields = &kernel().abi.sysctlnode;
            let (create, none) = (create_call(), ptr::null_mut());
            let [mut root, mut node] = [none; 2];
            let integer = CTLFLAG_READWRITE;
            // SAFETY: all pointers are to variables of this frame or null; each list of numbers has its end.
            unsafe {
                let name = |name: &'static core::ffi::CStr| name.as_ptr().cast::<u8>();
                let error = create(
                    &raw mut log,
                    0,
                    ptr::null_mut(),
                    &raw mut root,
                    0,
                    CTLTYPE_NODE,
                    name(c"testfs"),
                    none,
                    none,
                    0,
                    none,
                    0,
                    CTL_VFS,
                    17,
                    CTL_EOL,
                );
                assert_eq!(error, 0);
                assert_eq!(name_of(root), b"testfs");
                let data = (&raw mut value).cast();
                let error = create(
                    &raw mut log,
                    0,
                    &raw mut root,
                    &raw mut node,
                    integer,
                    CTLTYPE_INT,
                    name(c"knob"),
                    none,
                    none,
                    0,
                    data,
                    0,
                    CTL_CREATE,
                    CTL_EOL,
                );
                assert_eq!(error, 0);
                assert_eq!(fields.sysctl_num.read::<i32>(node), FIRST_NUMBER);
                let again = |number: i32, parent: i32| {
                    create(
                        ptr::null_mut(),
                        0,
                        ptr::null_mut(),
                        ptr::null_mut(),
                        0,
                        CTLTYPE_INT,
                        name(c"knob"),
                        none,
                        none,
                        0,
                        data,
                        0,
                        CTL_VFS,
                        parent,
                        number,
                        CTL_EOL,
                    )
                };
                assert_eq!([again(CTL_CREATE, 17), again(3, 18)], [EEXIST, ENOENT]);
                let (mut old, mut size, new) = (0_i32, 4, 43_i32);
                let lookup = |old: *mut i32, size: *mut usize, new: *const i32, length| {
                    sysctl_lookup(ptr::null(), 0, old.cast(), size, new.cast(), length, ptr::null(), none, node)
                };
                assert_eq!(lookup(&raw mut old, &raw mut size, &raw const new, 4), 0);
                assert_eq!((old, size, *data.cast::<i32>()), (42, 4, 43));
                assert_eq!(lookup(&raw mut old, &raw mut size, &raw const new, 3), EINVAL);
                sysctl_teardown(&raw mut log);
            }
            assert_eq!(log, 0);
            assert_eq!(state.nodes.borrow().len(), nodes);
            assert_eq!(kernel().kern.memory.usage().blocks, blocks);
        });
    }
}
