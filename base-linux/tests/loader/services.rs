//! What compiled code expects of a kernel, and the ends of an instance.

use crate::{Bench, Error};
use rumpload::resource::PerCpuBase;
use rumpload_hosted::{GsBase, catch_faults};

fn probe() -> Bench {
    Bench::new(&[("probe", "probe.c", &[])])
}

/// The GS base of this thread.
fn base() -> usize {
    let register = GsBase::new();
    let base = register.replace(0).unwrap();
    register.replace(base).unwrap();
    base
}

#[test]
fn a_stack_aligned_to_8_bytes_is_enough() {
    let bench = probe();
    assert_eq!(bench.call("variadic", &[]), Ok(1));
    assert_eq!(bench.call("variadic_lower", &[]), Ok(1));
}

#[test]
fn per_cpu_data_counts_from_the_base() {
    let bench = probe();
    let before = base();
    assert_eq!(bench.call("per_cpu", &[]), Ok(1));
    assert_eq!(base(), before);
    // Each kernel has its own canary, with a zero byte to stop strings.
    let (canary, other) = (bench.call("canary", &[]).unwrap(), probe().call("canary", &[]).unwrap());
    assert!(canary != other && canary as u8 == 0 && other as u8 == 0, "{canary:#x} {other:#x}");
}

#[test]
fn time_moves_from_outside() {
    let bench = probe();
    let first = bench.call("now", &[]).unwrap();
    while bench.call("now", &[]).unwrap() == first {
        // The clock's next tick.
    }
    bench.kernel.tick();
    assert!(bench.call("now", &[]).unwrap() > first);
}

#[test]
fn memory_is_what_code_expects() {
    let bench = probe();
    assert_eq!(bench.call("allocations", &[]), Ok(1));
}

#[test]
fn calls_through_pointers_arrive() {
    let bench = probe();
    let overrun = bench.kernel.symbol("overrun");
    bench.kernel.load("probe").unwrap();
    assert_eq!(overrun, None);
    let function = bench.kernel.symbol("overrun").unwrap().get();
    assert_eq!(bench.call("through_a_pointer", &[function, 8]), Ok(0x42));
}

/// The call ends the instance with that reason, restores the thread's base, and no call is let in again.
fn ends(symbol: &str, arguments: &[u64], reason: &str) {
    let bench = probe();
    let before = base();
    match bench.call(symbol, arguments) {
        Err(Error::Ended { reason: found }) => assert!(found.contains(reason), "{symbol}: {found}"),
        other => panic!("{symbol}: {other:?}"),
    }
    assert_eq!(base(), before, "{symbol}");
    assert!(matches!(bench.call("variadic", &[]), Err(Error::Ended { .. })), "{symbol}");
    assert!(matches!(bench.kernel.unload("probe"), Err(Error::Ended { .. })), "{symbol}");
    assert!(bench.printed().contains(reason), "{symbol}");
}

#[test]
fn broken_code_ends_its_instance() {
    ends("overrun", &[64], "stack protector");
    ends("overflow", &[], "overflow in memcpy");
    ends("damaged_list", &[], "list is damaged");
    ends("deadlock", &[], "deadlock");
    ends("free_twice", &[], "not allocated");
}

#[test]
fn a_fault_ends_its_instance() {
    let bench = probe();
    let before = base();
    bench.kernel.load("probe").unwrap();
    let guard = catch_faults(bench.kernel.clone(), |kernel| kernel.instance()).unwrap();
    let answer = bench.call("crash", &[]);
    assert!(matches!(&answer, Err(Error::Ended { reason }) if reason.contains("SIGSEGV")), "{answer:?}");
    assert_eq!(base(), before);
    drop(guard);
}

#[test]
fn a_fault_of_the_base_is_that_of_the_module_that_called_it() {
    let bench = probe();
    bench.kernel.load("probe").unwrap();
    let guard = catch_faults(bench.kernel.clone(), |kernel| kernel.instance()).unwrap();
    let answer = bench.call("crash_in_the_kernel", &[]);
    let told = "SIGSEGV at address 0x8 in snprintf, called by module code at 0x";
    assert!(matches!(&answer, Err(Error::Ended { reason }) if reason.starts_with(told)), "{answer:?}");
    drop(guard);
}
