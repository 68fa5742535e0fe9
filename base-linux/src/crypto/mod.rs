//! Hashes and ciphers that modules register, and their use.

mod cipher;
mod hash;

use crate::Error;
use crate::abi::get;
use crate::export::{Export, function};
use crate::kern::errno::{EEXIST, EINVAL};
use crate::kernel::{Kernel, kernel};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;

pub use cipher::Cipher;
pub use hash::Hash;

/// Bits of `cra_flags` that tell the kind of an algorithm, and the kind of ciphers.
const KIND_MASK: u32 = 0xf;
const KIND_CIPHER: u32 = 1;
/// Bit of `cra_flags`: it has a key and can do without.
const OPTIONAL_KEY: u32 = 0x4000;
/// Largest block size and alignment mask that are registered.
const MAX_BLOCK: u32 = 4096;
const MAX_ALIGN_MASK: u32 = 63;

/// What an algorithm does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlgorithmKind {
    /// Turns blocks into blocks by a key.
    Cipher,
    /// Turns bytes into a digest (`shash`).
    Hash,
}

/// A registered algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// What it computes: `sha512`. Several algorithms may compute the same.
    pub name: String,
    /// Its own name: `sha512-generic`.
    pub driver: String,
    /// What it does.
    pub kind: AlgorithmKind,
    /// Of several that compute the same, the one with the highest is used.
    pub priority: u32,
    /// Bytes of a block.
    pub block_size: usize,
    /// Bytes of a digest; 0 for a cipher.
    pub digest_size: usize,
}

/// A registered algorithm and where its structures are.
#[derive(Clone, Debug)]
struct Registered {
    algorithm: Algorithm,
    /// The structure that was registered: `struct crypto_alg` or `struct shash_alg`.
    outer: usize,
    /// Its `struct crypto_alg`.
    base: usize,
    context_size: usize,
    /// Its `struct module`.
    owner: u64,
}

/// What is registered.
#[derive(Debug, Default)]
pub(crate) struct State {
    algorithms: Vec<Registered>,
}

/// A C string of at most `size` bytes, if it ends and is text.
///
/// # Safety
/// The bytes must be readable.
unsafe fn name_at(address: usize, size: usize) -> Option<String> {
    // SAFETY: as the caller says.
    let bytes = unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<u8>(address), size) };
    Some(CStr::from_bytes_until_nul(bytes).ok()?.to_str().ok()?.to_string()).filter(|name| !name.is_empty())
}

/// Reads what a module registers, and checks it as Linux does.
///
/// # Safety
/// `base` must be a `struct crypto_alg`, `outer` the structure it is the base of.
unsafe fn read(outer: usize, base: usize, kind: AlgorithmKind) -> Result<Registered, i32> {
    let abi = kernel().abi;
    let layout = &abi.crypto_alg;
    // SAFETY: the layouts are those of the module's kernel.
    unsafe {
        let name = name_at(base + layout.name, layout.name_size).ok_or(EINVAL)?;
        let driver = name_at(base + layout.driver_name, layout.name_size).ok_or(EINVAL)?;
        let block: u32 = get(base, layout.block_size);
        let align: u32 = get(base, layout.align_mask);
        let context: u32 = get(base, layout.context_size);
        if block > MAX_BLOCK || align > MAX_ALIGN_MASK || !(align + 1).is_power_of_two() {
            return Err(EINVAL);
        }
        let digest: u32 = match kind {
            AlgorithmKind::Cipher => 0,
            AlgorithmKind::Hash => {
                let digest = get(outer, abi.shash_alg.digest_size);
                let descriptor: u32 = get(outer, abi.shash_alg.descriptor_size);
                if digest > abi.shash_alg.max_digest || descriptor > abi.shash_alg.max_descriptor {
                    return Err(EINVAL);
                }
                digest
            }
        };
        let algorithm = Algorithm {
            name,
            driver,
            kind,
            priority: get(base, layout.priority),
            block_size: block as usize,
            digest_size: digest as usize,
        };
        let owner = get(base, layout.module);
        Ok(Registered { algorithm, outer, base, context_size: context as usize, owner })
    }
}

/// Registers; answers as C functions do.
///
/// # Safety
/// As [`read`].
unsafe fn register(outer: usize, base: usize, kind: AlgorithmKind) -> i32 {
    // SAFETY: as the caller says.
    let registered = match unsafe { read(outer, base, kind) } {
        Ok(registered) => registered,
        Err(errno) => return -errno,
    };
    let mut state = kernel().crypto.lock();
    let same = |other: &Registered| other.base == base || other.algorithm.driver == registered.algorithm.driver;
    if state.algorithms.iter().any(same) {
        return -EEXIST;
    }
    state.algorithms.push(registered);
    0
}

fn unregister(base: usize) {
    kernel().crypto.lock().algorithms.retain(|registered| registered.base != base);
}

unsafe extern "C" fn register_alg(algorithm: usize) -> i32 {
    // SAFETY: module code passes a `struct crypto_alg`.
    unsafe {
        match get::<u32>(algorithm, kernel().abi.crypto_alg.flags) & KIND_MASK {
            KIND_CIPHER => register(algorithm, algorithm, AlgorithmKind::Cipher),
            _ => -EINVAL,
        }
    }
}

unsafe extern "C" fn register_shash(algorithm: usize) -> i32 {
    // SAFETY: module code passes a `struct shash_alg`.
    unsafe { register(algorithm, algorithm + kernel().abi.shash_alg.base, AlgorithmKind::Hash) }
}

unsafe extern "C" fn unregister_alg(algorithm: usize) {
    unregister(algorithm);
}

unsafe extern "C" fn unregister_shash(algorithm: usize) {
    unregister(algorithm + kernel().abi.shash_alg.base);
}

/// Registers `count` structures of `size` bytes, all or none.
unsafe fn register_all(
    first: usize,
    count: i32,
    size: usize,
    one: unsafe extern "C" fn(usize) -> i32,
    undo: unsafe extern "C" fn(usize),
) -> i32 {
    for index in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: module code passes an array of that many.
        let answer = unsafe { one(first + index * size) };
        if answer != 0 {
            // SAFETY: as above.
            (0..index).rev().for_each(|done| unsafe { undo(first + done * size) });
            return answer;
        }
    }
    0
}

unsafe extern "C" fn register_algs(first: usize, count: i32) -> i32 {
    // SAFETY: as `register_all`.
    unsafe { register_all(first, count, kernel().abi.crypto_alg.size, register_alg, unregister_alg) }
}

unsafe extern "C" fn register_shashes(first: usize, count: i32) -> i32 {
    // SAFETY: as `register_all`.
    unsafe { register_all(first, count, kernel().abi.shash_alg.size, register_shash, unregister_shash) }
}

unsafe extern "C" fn unregister_algs(first: usize, count: i32) {
    (0..usize::try_from(count).unwrap_or(0)).for_each(|index| unregister(first + index * kernel().abi.crypto_alg.size));
}

unsafe extern "C" fn unregister_shashes(first: usize, count: i32) {
    let layout = &kernel().abi.shash_alg;
    (0..usize::try_from(count).unwrap_or(0)).for_each(|index| unregister(first + index * layout.size + layout.base));
}

unsafe extern "C" fn xor(to: *mut u8, one: *const u8, other: *const u8, len: u32) {
    for offset in 0..len as usize {
        // SAFETY: module code passes buffers of that many bytes; they may be the same.
        unsafe { to.add(offset).write(one.add(offset).read() ^ other.add(offset).read()) };
    }
}

/// Adds the services.
pub(crate) fn exports(out: &mut Vec<Export>) {
    out.extend([
        function!("crypto_register_alg", register_alg),
        function!("crypto_register_algs", register_algs),
        function!("crypto_register_shash", register_shash),
        function!("crypto_register_shashes", register_shashes),
        function!("crypto_unregister_alg", unregister_alg),
        function!("crypto_unregister_algs", unregister_algs),
        function!("crypto_unregister_shash", unregister_shash),
        function!("crypto_unregister_shashes", unregister_shashes),
        function!("__crypto_xor", xor),
    ]);
}

impl Kernel {
    /// The algorithms that modules have registered, in the order of their registration.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.crypto.lock().algorithms.iter().map(|registered| registered.algorithm.clone()).collect()
    }

    /// Whether `name`, an algorithm's or its driver's, is registered.
    pub(crate) fn is_registered(&self, name: &str) -> bool {
        self.find(name, None).is_some()
    }

    fn find(&self, name: &str, kind: Option<AlgorithmKind>) -> Option<Registered> {
        let state = self.crypto.lock();
        let fits = |registered: &&Registered| {
            let algorithm = &registered.algorithm;
            (algorithm.name == name || algorithm.driver == name) && kind.is_none_or(|kind| algorithm.kind == kind)
        };
        state.algorithms.iter().filter(fits).max_by_key(|registered| registered.algorithm.priority).cloned()
    }

    /// Finds the algorithm, autoloading a module that has it, and holds its module.
    fn take(&self, name: &str, kind: AlgorithmKind) -> Result<Registered, Error> {
        self.autoload(crate::Trigger::Algorithm(name))?;
        let registered = self.find(name, Some(kind)).filter(|registered| self.hold(registered.owner));
        registered.ok_or_else(|| Error::NotRegistered { name: name.to_string() })
    }

    /// Takes registrations back whose structures lie where `gone` says.
    pub(crate) fn forget_algorithms(&self, gone: impl Fn(u64) -> bool) {
        self.crypto.lock().algorithms.retain(|registered| !gone(registered.base as u64));
    }
}
