//! Module code passes pointers that are none to every function the base kernel exports: the instance ends, with a reason that
//! names the function and its caller, or the call comes back. The process goes on either way.
//!
//! Each call is made in a process of its own, forked from one that has the module loaded. Nothing is timed: what runs for ever
//! is found out by processor time. `RUMPLOAD_ONLY=PREFIX` picks exports.

#[cfg(target_arch = "x86_64")]
mod child;
#[cfg(target_arch = "x86_64")]
#[path = "../support/kernel.rs"]
mod kernel;
#[cfg(target_arch = "x86_64")]
#[path = "../support/mod.rs"]
mod support;

#[cfg(not(target_arch = "x86_64"))]
fn main() {}

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    use rumpload_base::{SymbolKind, symbols};
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let names = arguments.iter().filter(|argument| !argument.starts_with('-'));
    if arguments.iter().any(|argument| argument == "--list") || names.clone().any(|name| !"bad_pointers".contains(name.as_str())) {
        return std::process::ExitCode::SUCCESS;
    }
    let only = std::env::var("RUMPLOAD_ONLY").unwrap_or_default();
    let server = kernel::Server::new();
    server.kernel.instance().load(&rumpload::Load { name: "caller", ..rumpload::Load::default() }).expect("it loads");
    let _guard = rumpload_hosted::catch_faults(server.kernel.clone(), |kernel| kernel.instance()).expect("caught");
    let mut healthy = true;
    for symbol in symbols(server.kernel.abi()) {
        if symbol.kind != SymbolKind::Function || !symbol.name.starts_with(&only) {
            continue;
        }
        for argument in [0, 8, 0x7fff_ffff_f000 - 3, usize::MAX - 2, 0x1234_5678_9abc_def0] {
            let end = child::run(|| child::call(&server, symbol.name, argument));
            if std::env::var_os("VERBOSE").is_some() || !end.starts_with("ok") {
                println!("{} {argument:#x}: {}", symbol.name, end.replace('\n', " | "));
            }
            healthy &= !end.starts_with("crash");
        }
    }
    if healthy { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
