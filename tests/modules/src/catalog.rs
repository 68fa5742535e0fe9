//! The sample modules: which sources, with which macros.

/// How a module is made.
#[derive(Clone, Copy)]
pub struct Recipe {
    /// Name of directory and file; the module's own name unless a macro says otherwise.
    pub name: &'static str,
    pub sources: &'static [(&'static str, &'static str)],
    pub defines: &'static [&'static str],
    /// Leave common symbols without space, as no stock module does.
    pub keep_common: bool,
    /// The property list beside it.
    pub properties: Option<&'static str>,
}

macro_rules! source {
    ($path:literal) => {
        ($path, include_str!(concat!("../c/", $path)))
    };
}

/// Headers that every source may include, by the name it includes them by.
pub const HEADERS: [(&str, &str); 9] = [
    ("kernel.h", include_str!("../c/kernel.h")),
    ("changes.h", include_str!("../c/services/changes.h")),
    ("writing.h", include_str!("../c/writing.h")),
    ("caller.h", CALLED),
    ("services.h", include_str!("../c/services/services.h")),
    ("format.h", include_str!("../c/slotfs/format.h")),
    ("slotfs.h", include_str!("../c/slotfs/slotfs.h")),
    ("tarindex.h", include_str!("../c/tarindex/tarindex.h")),
    ("tarfs.h", include_str!("../c/tarfs/tarfs.h")),
];
/// The functions that `caller_named` calls, by number: a line `NAMED(name)` for each.
pub const CALLED: &str = include_str!("../c/small/caller.h");
pub const LINKER_SCRIPT: &str = include_str!("../c/module.ld");

const fn recipe(name: &'static str, sources: &'static [(&'static str, &'static str)]) -> Recipe {
    Recipe { name, sources, defines: &[], keep_common: false, properties: None }
}

const PLAIN: &[(&str, &str)] = &[source!("small/plain.c")];

const fn plain(name: &'static str, defines: &'static [&'static str]) -> Recipe {
    Recipe { defines, ..recipe(name, PLAIN) }
}

const CRASH: &[(&str, &str)] = &[source!("small/crash.c")];

const fn crash(name: &'static str, defines: &'static [&'static str]) -> Recipe {
    Recipe { defines, ..recipe(name, CRASH) }
}

const END: &[(&str, &str)] = &[source!("services/end.c")];

const fn end(name: &'static str, defines: &'static [&'static str]) -> Recipe {
    Recipe { defines, ..recipe(name, END) }
}

const NOAUTOLOAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">\n<dict>\n\t<key>noautoload</key>\n\t\
                          <true/>\n</dict>\n</plist>\n";

pub const RECIPES: &[Recipe] = &[
    recipe("tarindex", &[source!("tarindex/tarindex.c")]),
    recipe("tarfs", &[source!("tarfs/vfsops.c"), source!("tarfs/vnops.c")]),
    recipe(
        "slotfs",
        &[
            source!("slotfs/attributes.c"),
            source!("slotfs/directory.c"),
            source!("slotfs/file.c"),
            source!("slotfs/map.c"),
            source!("slotfs/names.c"),
            source!("slotfs/node.c"),
            source!("slotfs/rename.c"),
            source!("slotfs/space.c"),
            source!("slotfs/vectors.c"),
            source!("slotfs/vfsops.c"),
        ],
    ),
    recipe("hello", &[source!("small/hello.c")]),
    recipe("polite", &[source!("small/polite.c")]),
    plain("bad_version", &["NAME=\"bad_version\"", "VERSION=(NETBSD_VERSION+10000)"]),
    plain("name_of_31_characters_is_allowed", &["NAME=\"a_name_of_31_characters_is_fine\""]),
    plain("name_of_32_characters_is_not", &["NAME=\"a_name_of_32_characters_is_wrong\""]),
    plain("misnamed", &["NAME=\"another_name\""]),
    plain("driver", &["NAME=\"driver\"", "CLASS=MODULE_CLASS_DRIVER"]),
    plain("cycle_a", &["NAME=\"cycle_a\"", "REQUIRED=\"cycle_b\""]),
    plain("cycle_b", &["NAME=\"cycle_b\"", "REQUIRED=\"cycle_a\""]),
    plain("selfish", &["NAME=\"selfish\"", "REQUIRED=\"selfish\""]),
    plain("needs_absent", &["NAME=\"needs_absent\"", "REQUIRED=\"absent\""]),
    plain("needs_two", &["NAME=\"needs_two\"", "REQUIRED=\"hello,absent\""]),
    plain("init_fails", &["NAME=\"init_fails\"", "ON_INIT=5"]),
    plain("needs_init_fails", &["NAME=\"needs_init_fails\"", "REQUIRED=\"hello,init_fails\""]),
    plain("fini_fails", &["NAME=\"fini_fails\"", "ON_FINI=5"]),
    plain("busy", &["NAME=\"busy\"", "ON_AUTOUNLOAD=EBUSY"]),
    plain("idle", &["NAME=\"idle\"", "ON_AUTOUNLOAD=0"]),
    Recipe { properties: Some(NOAUTOLOAD), ..plain("by_hand", &["NAME=\"by_hand\""]) },
    plain("needs_by_hand", &["NAME=\"needs_by_hand\"", "REQUIRED=\"by_hand\""]),
    plain("chain_1", &["NAME=\"chain_1\""]),
    plain("chain_2", &["NAME=\"chain_2\"", "REQUIRED=\"chain_1\""]),
    plain("chain_3", &["NAME=\"chain_3\"", "REQUIRED=\"chain_2\""]),
    plain("chain_4", &["NAME=\"chain_4\"", "REQUIRED=\"chain_3\""]),
    plain("chain_5", &["NAME=\"chain_5\"", "REQUIRED=\"chain_4\""]),
    plain("chain_6", &["NAME=\"chain_6\"", "REQUIRED=\"chain_5\""]),
    plain("chain_7", &["NAME=\"chain_7\"", "REQUIRED=\"chain_6\""]),
    recipe("init_loads", &[source!("small/init_loads.c")]),
    recipe("caller", &[source!("small/caller.c")]),
    recipe("cookies", &[source!("small/cookies.c")]),
    recipe("fini_panics", &[source!("small/fini_panics.c")]),
    recipe("missing", &[source!("small/missing.c")]),
    recipe("weak_defined", &[source!("small/weak.c")]),
    Recipe { defines: &["WANTED=1"], ..recipe("weak_undefined", &[source!("small/weak.c")]) },
    Recipe { defines: &["NAME=\"common\""], ..recipe("common", &[source!("small/common.c")]) },
    Recipe { defines: &["NAME=\"raw_common\""], keep_common: true, ..recipe("raw_common", &[source!("small/common.c")]) },
    recipe("tails", &[source!("small/tails.c")]),
    Recipe { defines: &["RECORDS=0"], ..recipe("no_record", &[source!("small/records.c")]) },
    Recipe { defines: &["RECORDS=2"], ..recipe("two_records", &[source!("small/records.c")]) },
    recipe("services_atomic", &[source!("services/atomic.c")]),
    recipe("services_copy", &[source!("services/copy.c")]),
    recipe("services_storage", &[source!("services/storage.c")]),
    recipe("services_table", &[source!("services/table.c")]),
    recipe("services_vnode", &[source!("services/vnode.c")]),
    recipe("services_descriptors", &[source!("services/descriptors.c")]),
    recipe("services_device", &[source!("services/device.c")]),
    recipe("services_lock", &[source!("services/lock.c")]),
    recipe("services_policy", &[source!("services/policy.c")]),
    recipe("services_print", &[source!("services/print.c")]),
    recipe("services_property", &[source!("services/property.c")]),
    recipe("services_system", &[source!("services/system.c")]),
    recipe("services_thread", &[source!("services/thread.c")]),
    recipe("services_time", &[source!("services/time.c")]),
    end("services_end_panic", &["NAME=\"services_end_panic\"", "HOW=panic(\"services_end: %s %d\", \"panicked\", 1)"]),
    end("services_end_vpanic", &["NAME=\"services_end_vpanic\"", "HOW=through_list(\"services_end: %s %d\", \"vpanicked\", 2)"]),
    end(
        "services_end_kern_assert",
        &["NAME=\"services_end_kern_assert\"", "HOW=kern_assert(\"services_end: %s %d\", \"asserted\", 3)"],
    ),
    end("services_end_mutex", &["NAME=\"services_end_mutex\"", "HOW=after_destroy()"]),
    end("services_end_rwlock", &["NAME=\"services_end_rwlock\"", "HOW=after_rw_destroy()"]),
    end("services_end_trap", &["NAME=\"services_end_trap\"", "HOW=soisconnected((void *)0)"]),
    end("services_end_thread", &["NAME=\"services_end_thread\"", "HOW=in_thread()"]),
    end("services_end_deadlock", &["NAME=\"services_end_deadlock\"", "HOW=deadlock()"]),
    end("services_end_stack", &["NAME=\"services_end_stack\"", "HOW=__stack_chk_fail()"]),
    end("services_end_stack_local", &["NAME=\"services_end_stack_local\"", "HOW=__stack_chk_fail_local()"]),
    end("services_end_badop", &["NAME=\"services_end_badop\"", "HOW=genfs_badop((void *)0)"]),
    end("services_end_reboot", &["NAME=\"services_end_reboot\"", "HOW=cpu_reboot(0, (char *)0)"]),
    recipe("services_pages", &[source!("services/pages.c")]),
    recipe("chardev", &[source!("small/chardev.c")]),
    recipe("services_cdev", &[source!("services/cdev.c")]),
    recipe("services_files", &[source!("services/files.c")]),
    recipe("services_special", &[source!("services/special.c")]),
    recipe("services_transfers", &[source!("services/transfers.c")]),
    recipe("services_writing", &[source!("services/writing.c")]),
    recipe("services_bytes", &[source!("services/bytes.c")]),
    recipe("services_memory", &[source!("services/memory.c")]),
    crash("crash_store", &["NAME=\"crash_store\"", "STORE"]),
    crash("crash_divide", &["NAME=\"crash_divide\"", "DIVIDE"]),
    crash("crash_thread", &["NAME=\"crash_thread\"", "THREAD"]),
    crash("crash_loop", &["NAME=\"crash_loop\"", "LOOP"]),
    crash("crash_jump", &["NAME=\"crash_jump\"", "JUMP"]),
    crash("crash_pass", &["NAME=\"crash_pass\"", "PASS"]),
    crash("crash_panic", &["NAME=\"crash_panic\"", "PANIC"]),
    crash("crash_store_vfs", &["NAME=\"crash_store_vfs\"", "STORE", "CLASS=MODULE_CLASS_VFS"]),
    crash("crash_divide_vfs", &["NAME=\"crash_divide_vfs\"", "DIVIDE", "CLASS=MODULE_CLASS_VFS"]),
    crash("crash_loop_vfs", &["NAME=\"crash_loop_vfs\"", "LOOP", "CLASS=MODULE_CLASS_VFS"]),
    crash("crash_jump_vfs", &["NAME=\"crash_jump_vfs\"", "JUMP", "CLASS=MODULE_CLASS_VFS"]),
];

const fn names() -> [&'static str; RECIPES.len()] {
    let mut names = [""; RECIPES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = RECIPES[index].name;
        index += 1;
    }
    names
}

/// Names of the sample modules, as directories and files are called.
///
/// * `tarfs`, a read-only file system on ustar archives, and `tarindex`, which it requires;
/// * `slotfs`, a small file system on a block device that can be written;
/// * `hello`, and `polite`, which requires it and calls it;
/// * `bad_version`, `misnamed` (module `another_name`), two with names of 31 and 32 characters, `driver` (of that class);
/// * `cycle_a` and `cycle_b`, `selfish`, `needs_absent`, `needs_two` (`hello` and one that is absent), `chain_1` to `chain_7`;
/// * `init_fails` and `fini_fails` (with 5), `needs_init_fails`, `busy` and `idle` (asked whether they may go), `by_hand` (whose
///   property list says `noautoload`) and `needs_by_hand`, `init_loads` (autoloads `hello`), `fini_panics`;
/// * `caller`, whose `caller_call` calls the function it is given, `caller_named` one of [`CALLED`] by number, and `caller_recurse`
///   uses up the stack;
/// * `chardev`, a driver of character devices, some of which make a file for each open;
/// * `cookies`, which reads the directory `/mnt/many` in small pieces and again from every cookie;
/// * `missing` (three symbols), `weak_defined`, `weak_undefined` (`optional_service`), `common`, `raw_common`, `tails`,
///   `no_record`, `two_records`;
/// * `services_*`, which call services of the base kernel and fail where one does not do what it should; `services_end_*` end their instance;
/// * `crash_store`, `crash_divide`, `crash_loop` and `crash_jump`, while they start, and with `_vfs` as file systems.
pub const NAMES: &[&str] = &names();
