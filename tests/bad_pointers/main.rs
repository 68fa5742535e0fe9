//! Module code passes pointers that are none to the functions that the base kernel exports: the instance ends, with a reason
//! that names the function and its caller, or the call comes back. The process goes on either way; what a device of the
//! embedding program does wrong still ends the process.
//!
//! Each call is made in a process of its own, forked from one that has the module loaded. Nothing is timed: what runs for ever
//! is found out by processor time. `RUMPLOAD_ONLY=PREFIX` picks functions, and prints what became of each call.

#[cfg(target_arch = "x86_64")]
mod child;
#[cfg(target_arch = "x86_64")]
mod device;
#[cfg(target_arch = "x86_64")]
#[path = "../support/forked.rs"]
mod forked;
#[cfg(target_arch = "x86_64")]
#[path = "../support/kernel.rs"]
mod kernel;
#[cfg(target_arch = "x86_64")]
#[path = "../support/mod.rs"]
mod support;
#[cfg(target_arch = "x86_64")]
mod sweep;

#[cfg(not(target_arch = "x86_64"))]
fn main() {}

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    // As the standard harness: names that do not fit, and lists, are not for us.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let names = arguments.iter().filter(|argument| !argument.starts_with('-'));
    let other = names.clone().any(|name| !"bad_pointers".contains(name.as_str()));
    if other || arguments.iter().any(|argument| argument == "--list") {
        return std::process::ExitCode::SUCCESS;
    }
    let subject = sweep::Subject::new();
    let only = std::env::var("RUMPLOAD_ONLY").ok();
    let mut wrong = subject.by_address(only.as_deref());
    wrong.extend(subject.by_name(only.as_deref()));
    if only.is_none() {
        wrong.extend(subject.recursion());
        wrong.extend(subject.goes_on());
        wrong.extend(device::faults());
        wrong.extend(device::panics());
    }
    for wrong in &wrong {
        println!("{}", wrong.replace('\n', " | "));
    }
    println!("{} wrong", wrong.len());
    if wrong.is_empty() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
