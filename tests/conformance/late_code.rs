//! Large code is read from its file when it has a place: nobody can tell, but for a file that changes in between.

use crate::support::{MODULES, NETBSD_9_3, World, noting};
use rumpload::errno::EIO;
use rumpload_test_modules::elf::{Machine, Record, SectionField, Written, shf};

/// Bytes of code behind the control routine.
const LARGE: usize = 100 << 10;

fn pattern() -> Vec<u8> {
    (0..LARGE).map(|at| (at ^ at >> 8) as u8).collect()
}

/// A module that notes its commands under 1, with much code, in whose midst an address is stored.
fn large(required: Option<&str>) -> Written {
    let mut module = Record { required, ..noting("large", NETBSD_9_3, 1) }.module(Machine::NATIVE);
    let object = &mut module.object;
    let at = object.append(module.text, &pattern());
    let data = object.anchor(module.data);
    object.relocate(module.text, at + (LARGE / 2) as u64, data, object.pointer_type(), 0);
    object.append(module.data, &[1, 2, 3]);
    object.write()
}

/// The code of an active module.
fn code(world: &World, name: &str) -> Vec<u8> {
    let all = world.instance.stat().expect("not ended");
    let module = all.iter().find(|module| module.name == name).expect("it is active");
    let start = module.address.get() as *const u8;
    // SAFETY: the module stays loaded, and its text is mapped readable.
    unsafe { core::slice::from_raw_parts(start, module.size as usize) }.to_vec()
}

#[test]
fn code_is_that_of_the_file() {
    let world = World::new(NETBSD_9_3);
    world.put("large", large(None).bytes);
    world.load("large").expect("it loads");
    assert_eq!(world.commands(1), [0]);
    assert_eq!(world.store.open_files(), 0);
    let (code, word) = (code(&world, "large"), size_of::<usize>());
    let (before, after) = (&pattern()[..LARGE / 2], &pattern()[LARGE / 2 + word..]);
    let at = code.windows(before.len()).position(|window| window == before).expect("the first half");
    let rest = &code[at + before.len()..];
    assert_eq!(&rest[word..][..after.len()], after);
    let stored = usize::from_ne_bytes(rest[..word].try_into().expect("a word"));
    // SAFETY: the module stays loaded; its data is readable, and nothing runs.
    let data = unsafe { core::slice::from_raw_parts(stored as *const u8, 67) };
    assert_eq!(data, [[0x5a; 64].as_slice(), &[1, 2, 3]].concat());
}

#[test]
fn a_record_in_the_code_is_found() {
    let mut module = noting("large", NETBSD_9_3, 1).module(Machine::NATIVE);
    module.object.append(module.rodata, &pattern());
    let mut written = module.object.write();
    written.set(".rodata", SectionField::Flags, shf::A | shf::X);
    let world = World::new(NETBSD_9_3);
    world.put("large", written.bytes);
    world.load("large").expect("it loads");
    assert_eq!(world.commands(1), [0]);
    assert_eq!(world.store.open_files(), 0);
}

#[test]
fn sections_that_share_bytes_with_the_code_are_read() {
    let mut written = large(None);
    // The data is now the first bytes of the pattern, which follow the control routine.
    let (text, size) = (written.offset_of(".text"), written.get(".text", SectionField::Size));
    written.set(".data", SectionField::Offset, text as u64 + size - LARGE as u64);
    let world = World::new(NETBSD_9_3);
    world.put("large", written.bytes);
    world.load("large").expect("it loads");
    let (code, at) = (code(&world, "large"), size as usize - LARGE);
    assert_eq!(code[at..][..64], pattern()[..64]);
    let word = size_of::<usize>();
    let stored = usize::from_ne_bytes(code[at + LARGE / 2..][..word].try_into().expect("a word"));
    // SAFETY: as above.
    let data = unsafe { core::slice::from_raw_parts(stored as *const u8, 64) };
    assert_eq!(data, &pattern()[..64]);
}

/// The file of a module shrinks while what it requires is started.
#[test]
fn code_that_has_gone_is_eio() {
    let world = World::new(NETBSD_9_3);
    world.put("large", large(Some("first")).bytes);
    world.noting("first", 2);
    let store = world.store.clone();
    world.when(2, move |_, event| {
        if event.command == 0 {
            store.truncate(&format!("{MODULES}/large/large.kmod"), 1000);
        }
        0
    });
    let error = world.fails_whole(|world| world.load("large"));
    assert_eq!(error.errno(), EIO, "{error}");
    assert!(error.to_string().contains("the code of the module"), "{error}");
    assert_eq!(world.commands(1), []);
}
