//! Faults of module code end the instance; faults of other code stay what they were.
#![cfg(any(target_arch = "x86", target_arch = "x86_64"))]

use rumpload::resource::{Protection, Request, Reservation, Segment};
use rumpload::{Config, Error, Instance, Machine};
use rumpload_hosted::{catch_faults, host};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;

fn instance() -> Arc<Instance> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let machine = Machine::native().expect("a known machine");
    let host = host(directory.path()).expect("a host");
    Arc::new(Instance::new(Config::netbsd(799_003_400, machine), host).expect("an instance"))
}

/// Executable memory of the instance's host that holds `code`.
fn code(instance: &Instance, code: &[u8]) -> Reservation {
    let page = instance.host().memory.page_size();
    let request = Request { len: page, align: page, placement: instance.config().placement };
    let mut memory = Reservation::new(&instance.host().memory, &request).expect("memory");
    memory.bytes_mut()[..code.len()].copy_from_slice(code);
    memory.finalize(&[Segment { offset: 0, len: page, protection: Protection::ReadExecute }]).expect("protected");
    memory
}

fn call(memory: &Reservation) {
    let address = core::ptr::with_exposed_provenance::<()>(memory.run().get() as usize);
    // SAFETY: the memory holds code that is a function without arguments, as far as it gets.
    unsafe { core::mem::transmute::<*const (), extern "C" fn()>(address)() }
}

fn reason(bytes: &[u8]) -> String {
    let instance = instance();
    let memory = code(&instance, bytes);
    let _guard = catch_faults(instance.clone(), |instance| instance).expect("caught");
    for _ in 0..2 {
        match instance.enter(|| call(&memory)) {
            Err(Error::Ended { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    instance.ended().expect("it ended")
}

#[test]
fn a_null_pointer() {
    // xor eax, eax; mov [rax], eax
    let reason = reason(&[0x31, 0xc0, 0x89, 0x00, 0xc3]);
    assert!(reason.starts_with("SIGSEGV at address 0x0 in module code (instruction 0x"), "{reason}");
}

#[test]
fn an_illegal_instruction() {
    assert!(reason(&[0x0f, 0x0b]).starts_with("SIGILL"));
}

#[test]
fn a_division_by_zero() {
    // std; xor ecx, ecx; xor edx, edx; div ecx
    assert!(reason(&[0xfd, 0x31, 0xc9, 0x31, 0xd2, 0xf7, 0xf1]).starts_with("SIGFPE"));
}

#[test]
fn a_call_to_nowhere() {
    // xor eax, eax; call rax
    let reason = reason(&[0x31, 0xc0, 0xff, 0xd0]);
    assert!(reason.contains("jumped to 0x0"), "{reason}");
}

#[test]
fn a_stack_that_overflows() {
    // call itself
    let reason = reason(&[0xe8, 0xfb, 0xff, 0xff, 0xff]);
    assert!(reason.starts_with("stack overflow: SIGSEGV"), "{reason}");
}

#[test]
fn other_threads_and_instances_go_on() {
    let healthy = instance();
    let _guard = catch_faults(healthy.clone(), |instance| instance).expect("caught");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let healthy = healthy.clone();
            std::thread::spawn(move || {
                for _ in 0..20 {
                    // The inner instance ends; the outer one, which the thread is inside of, does not.
                    let inner = healthy.enter(|| reason(&[0x31, 0xc0, 0x89, 0x00])).expect("goes on");
                    assert!(inner.starts_with("SIGSEGV"));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(healthy.ended(), None);
}

/// Set in a child process: where it is to fault.
const CHILD: &str = "RUMPLOAD_FAULT_CHILD";

/// The test runs itself in processes that die.
#[test]
fn other_code_faults_as_before() {
    if let Ok(place) = std::env::var(CHILD) {
        let instance = instance();
        let _guard = catch_faults(instance.clone(), |instance| instance).expect("caught");
        match place.as_str() {
            "inside" => instance.enter(wild_store).expect("not reached"),
            _ => wild_store(),
        }
    }
    let program = std::env::current_exe().expect("a path");
    for place in ["outside", "inside"] {
        let mut child = Command::new(&program);
        child.args(["--exact", "other_code_faults_as_before"]).env(CHILD, place);
        let output = child.output().expect("runs");
        assert_eq!(output.status.signal(), Some(11), "{place}: {output:?}");
    }
}

fn wild_store() {
    // SAFETY: it is not; the process is to die of it.
    unsafe { core::ptr::without_provenance_mut::<u8>(16).write_volatile(1) };
}
