//! The calls.

use crate::child::run;
use crate::kernel::{Server, archive};
use rumpload::{Error, Load};
use rumpload_base::{SymbolKind, symbols};
use rumpload_hosted::{FaultGuard, catch_faults};
use rumpload_test_modules::CALLED;
use rumpload_test_modules::image::Entry;

/// Null, a member of a structure at null, the last page a process may have but misaligned, an address no processor takes, and
/// the last bytes of the address space.
const ADDRESSES: [usize; 5] = [0, 8, 0x7fff_ffff_effd, 0x1234_5678_9abc_def0, usize::MAX - 2];

/// A kernel with the module that makes the calls.
pub struct Subject {
    server: Server,
    _faults: FaultGuard,
}

impl Subject {
    pub fn new() -> Self {
        let server = Server::new();
        server.kernel.instance().load(&Load { name: "caller", ..Load::default() }).expect("it loads");
        let faults = catch_faults(server.kernel.clone(), |kernel| kernel.instance()).expect("caught");
        Self { server, _faults: faults }
    }

    /// As [`enter`](Self::enter), in a process of its own. An instance that has ended says so from then on, and can be dropped.
    fn child(&self, function: &str, first: usize, second: usize) -> String {
        run(|| {
            let end = self.enter(function, first, second);
            if end.starts_with("ended: ") {
                assert!(self.server.kernel.usage().is_err(), "{end}");
                assert!(self.server.kernel.instance().stat().is_err(), "{end}");
                let memory = self.server.memory.clone();
                // SAFETY: the child has this copy to itself and uses the original no more.
                drop(unsafe { core::ptr::read(self) });
                assert_eq!(memory.in_use(), 0, "{end}");
            }
            end
        })
    }

    /// Calls the module's `function` with two arguments inside; says what became of it.
    fn enter(&self, function: &str, first: usize, second: usize) -> String {
        type Function = unsafe extern "C" fn(usize, usize) -> i32;
        let instance = self.server.kernel.instance();
        let address = instance.symbol(function).expect("the module has it").get() as usize;
        // SAFETY: the module's functions take up to two integers.
        let function: Function = unsafe { core::mem::transmute(address) };
        // SAFETY: what happens is what faults are caught for.
        match instance.enter(|| unsafe { function(first, second) }) {
            Ok(_) => "came back".into(),
            Err(Error::Ended { reason }) => format!("ended: {reason}"),
            Err(other) => format!("failed: {other}"),
        }
    }

    /// Every function with every address; what went wrong.
    pub fn by_address(&self, only: Option<&str>) -> Vec<String> {
        let functions = symbols(self.server.kernel.abi()).into_iter().filter(|symbol| symbol.kind == SymbolKind::Function);
        let mut wrong = Vec::new();
        for symbol in functions.filter(|symbol| only.is_none_or(|only| symbol.name.starts_with(only))) {
            let target = self.server.kernel.instance().symbol(symbol.name).expect("offered").get() as usize;
            for address in ADDRESSES {
                let end = self.child("caller_call", target, address);
                let told = end.starts_with("ended: ") && end.contains("caller_call+0x");
                note(only, &mut wrong, told || end == "came back", format!("{} of {address:#x}: {end}", symbol.name));
            }
        }
        wrong
    }

    /// Some functions, called by name: the reason names them.
    pub fn by_name(&self, only: Option<&str>) -> Vec<String> {
        let names = CALLED.lines().filter_map(|line| line.strip_prefix("NAMED(")?.strip_suffix(')'));
        let mut wrong = Vec::new();
        for (number, name) in names.enumerate().filter(|(_, name)| only.is_none_or(|only| name.starts_with(only))) {
            for address in ADDRESSES {
                let end = self.child("caller_named", number, address);
                let told = end.starts_with("ended: ") && end.contains("caller_named+0x") && end.contains(name);
                note(only, &mut wrong, told, format!("{name}({address:#x}): {end}"));
            }
        }
        wrong
    }

    pub fn recursion(&self) -> Option<String> {
        let end = self.child("caller_recurse", 1, 0);
        let told = end.starts_with("ended: stack overflow: SIGSEGV") && end.contains("caller_recurse+0x");
        (!told).then_some(end)
    }

    /// The thread whose instance has ended, again and again, runs other instances and catches panics as before.
    pub fn goes_on(&self) -> Option<String> {
        let end = run(|| {
            let target = self.server.kernel.instance().symbol("mutex_enter").expect("offered").get() as usize;
            for _ in 0..3 {
                let ended = Self::new().enter("caller_call", target, 0);
                assert!(ended.starts_with("ended: "), "{ended}");
            }
            assert_eq!(self.server.active(), ["caller"]);
            std::panic::catch_unwind(|| panic!("caught")).expect_err("it panics");
            let other = Server::new();
            other.add("/dev/disk", archive(&[Entry::file("file", b"text")]));
            other.mount("/dev/disk", "/mnt").map_or_else(|error| error.to_string(), |()| "mounted".into())
        });
        (end != "mounted").then_some(end)
    }
}

fn note(only: Option<&str>, wrong: &mut Vec<String>, is_right: bool, what: String) {
    if only.is_some() {
        println!("{}", what.replace('\n', " | "));
    }
    if !is_right {
        wrong.push(what);
    }
}
