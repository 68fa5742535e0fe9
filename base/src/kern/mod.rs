//! Kernel services below the file systems: memory, locks, messages, strings, time, processes, policy.
//!
//! The vnode layer, buffers, name lookup, `genfs`, special files and the page cache are in [`vfs`](crate::vfs).

pub(crate) mod advlock;
pub(crate) mod atomic;
pub(crate) mod autoconf;
pub(crate) mod calendar;
pub(crate) mod callout;
pub(crate) mod cdev;
pub(crate) mod condition;
pub(crate) mod console;
pub(crate) mod cred;
pub(crate) mod descriptor;
pub(crate) mod devsw;
pub(crate) mod dirhash;
pub(crate) mod division;
pub(crate) mod entropy;
pub(crate) mod errno;
pub(crate) mod filter;
pub(crate) mod format;
pub(crate) mod hash;
pub(crate) mod heap;
pub(crate) mod humanize;
pub(crate) mod kauth;
pub(crate) mod kthread;
pub(crate) mod later;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod misc;
pub(crate) mod module;
pub(crate) mod panic;
pub(crate) mod policy;
pub(crate) mod pool;
pub(crate) mod printf;
pub(crate) mod process;
pub(crate) mod processor;
pub(crate) mod property;
pub(crate) mod property_list;
pub(crate) mod quota;
pub(crate) mod random;
pub(crate) mod rbtree;
pub(crate) mod registration;
pub(crate) mod secmodel;
pub(crate) mod sleep;
pub(crate) mod string;
pub(crate) mod sysctl;
pub(crate) mod thread;
pub(crate) mod time;
pub(crate) mod uio;
pub(crate) mod vmem;
pub(crate) mod workqueue;

use crate::abi::Abi;
use crate::export::Export;
use crate::kernel::Kernel;
use alloc::sync::Arc;
use alloc::vec::Vec;
use rumpload::resource::Memory;

/// State of one kernel's services.
pub(crate) struct State {
    pub(crate) process: process::State,
    pub(crate) time: time::State,
    pub(crate) kauth: kauth::State,
    pub(crate) sysctl: sysctl::State,
    pub(crate) autoconf: autoconf::State,
    pub(crate) descriptor: descriptor::State,
    pub(crate) devsw: devsw::State,
    pub(crate) registration: registration::State,
    pub(crate) later: later::State,
    pub(crate) secmodel: secmodel::State,
    pub(crate) sleep: sleep::State,
    pub(crate) thread: thread::State,
    pub(crate) dirhash: dirhash::State,
    pub(crate) entropy: entropy::State,
    pub(crate) vmem: vmem::State,
    // Owns what the others point to: dropped last.
    pub(crate) memory: memory::State,
}

impl State {
    pub(crate) fn new(source: heap::HeapSource, memory: Arc<dyn Memory>) -> Self {
        Self {
            process: process::State::default(),
            time: time::State::default(),
            kauth: kauth::State::default(),
            sysctl: sysctl::State::default(),
            autoconf: autoconf::State::default(),
            descriptor: descriptor::State::default(),
            devsw: devsw::State::default(),
            registration: registration::State::default(),
            later: later::State::default(),
            secmodel: secmodel::State::default(),
            sleep: sleep::State::default(),
            thread: thread::State::default(),
            dirhash: dirhash::State::default(),
            entropy: entropy::State::default(),
            vmem: vmem::State::default(),
            memory: memory::State::new(source, memory),
        }
    }
}

/// Adds the functions and data of this part.
pub(crate) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    for table in [
        advlock::EXPORTS,
        atomic::EXPORTS,
        calendar::EXPORTS,
        callout::EXPORTS,
        cdev::EXPORTS,
        condition::EXPORTS,
        console::EXPORTS,
        registration::EXPORTS,
        descriptor::EXPORTS,
        devsw::EXPORTS,
        cred::EXPORTS,
        dirhash::EXPORTS,
        division::EXPORTS,
        entropy::EXPORTS,
        filter::EXPORTS,
        hash::EXPORTS,
        humanize::EXPORTS,
        kauth::EXPORTS,
        kthread::EXPORTS,
        lock::EXPORTS,
        memory::EXPORTS,
        misc::EXPORTS,
        module::EXPORTS,
        panic::EXPORTS,
        policy::EXPORTS,
        pool::EXPORTS,
        printf::EXPORTS,
        process::EXPORTS,
        processor::EXPORTS,
        property::EXPORTS,
        property_list::EXPORTS,
        quota::EXPORTS,
        random::EXPORTS,
        rbtree::EXPORTS,
        secmodel::EXPORTS,
        sleep::EXPORTS,
        string::EXPORTS,
        sysctl::EXPORTS,
        time::EXPORTS,
        uio::EXPORTS,
        vmem::EXPORTS,
        workqueue::EXPORTS,
    ] {
        out.extend_from_slice(table);
    }
    autoconf::exports(out);
    process::sized_exports(abi, out);
    pool::sized_exports(abi, out);
}

/// Gives data exports their first values. Runs once, inside the instance.
pub(crate) fn fill(kernel: &Kernel) {
    time::fill(kernel);
    uio::fill(kernel);
    process::fill(kernel);
    descriptor::fill(kernel);
    filter::fill(kernel);
    pool::fill(kernel);
    random::fill(kernel);
    misc::fill(kernel);
    panic::fill(kernel);
    sysctl::fill(kernel);
}
