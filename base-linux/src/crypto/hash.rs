use super::{Algorithm, AlgorithmKind, OPTIONAL_KEY, Registered};
use crate::Error;
use crate::abi::{Abi, get, put};
use crate::arch;
use crate::kern::{allocate, free};
use crate::kernel::{Kernel, NO_MEMORY};
use alloc::vec;
use alloc::vec::Vec;

/// Largest piece in bytes that goes to a module at once: its lengths are 32 bits wide.
const PIECE: usize = 1 << 30;

/// A computation of a digest by a module's code. Dropping it gives back what it holds.
pub struct Hash<'k> {
    kernel: &'k Kernel,
    registered: Registered,
    /// Its `struct crypto_shash`.
    transform: usize,
    /// Its `struct shash_desc`.
    descriptor: usize,
    needs_key: bool,
    initialized: bool,
    started: bool,
}

impl Kernel {
    /// A computation by the hash `name`, autoloading a module that has it.
    ///
    /// # Errors
    /// [`Error::NotRegistered`] if it is no hash; what [`autoload`](Self::autoload) gives; [`Error::Host`] if there is no memory;
    /// [`Error::Failed`] if the module says so.
    pub fn hash(&self, name: &str) -> Result<Hash<'_>, Error> {
        let registered = self.take(name, AlgorithmKind::Hash)?;
        let mut hash =
            Hash { kernel: self, registered, transform: 0, descriptor: 0, needs_key: false, initialized: false, started: false };
        self.enter(|| hash.prepare())??;
        Ok(hash)
    }
}

impl Hash<'_> {
    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &Algorithm {
        &self.registered.algorithm
    }

    fn abi(&self) -> &'static Abi {
        self.kernel.abi
    }

    /// A function of the algorithm; 0 if it has none.
    fn function(&self, offset: usize) -> usize {
        // SAFETY: the structure was registered, and its module is held.
        unsafe { get(self.registered.outer, offset) }
    }

    /// Runs inside.
    fn prepare(&mut self) -> Result<(), Error> {
        let abi = self.abi();
        // SAFETY: as for `function`.
        let (size, flags): (u32, u32) = unsafe {
            (get(self.registered.outer, abi.shash_alg.descriptor_size), get(self.registered.base, abi.crypto_alg.flags))
        };
        self.transform = allocate(abi.crypto_shash_base + abi.crypto_tfm.context + self.registered.context_size);
        self.descriptor = allocate(abi.shash_desc_context + size as usize);
        if self.transform == 0 || self.descriptor == 0 {
            return Err(Error::Host { what: "memory for a hash", error: NO_MEMORY });
        }
        let base = self.transform + abi.crypto_shash_base;
        // SAFETY: both were just allocated, in these sizes.
        unsafe {
            put(self.transform, 0, size);
            put(base, abi.crypto_tfm.algorithm, self.registered.base);
            put(self.descriptor, 0, self.transform);
        }
        self.needs_key = self.function(abi.shash_alg.set_key) != 0 && flags & OPTIONAL_KEY == 0;
        let init = self.function(abi.shash_alg.init_tfm);
        if init != 0 {
            // SAFETY: it is the algorithm's function, with the argument it documents.
            self.check(unsafe { arch::call(init, &[self.transform as u64]) })?;
        }
        self.initialized = true;
        Ok(())
    }

    fn check(&self, answer: u64) -> Result<(), Error> {
        match answer as i32 {
            0 => Ok(()),
            errno => Err(Error::Failed { name: self.registered.algorithm.name.clone(), errno: errno.wrapping_neg() }),
        }
    }

    /// Calls a function of the algorithm.
    fn call(&self, offset: usize, arguments: &[u64]) -> Result<(), Error> {
        let function = self.function(offset);
        if function == 0 {
            return Err(Error::NotRegistered { name: self.registered.algorithm.name.clone() });
        }
        // SAFETY: it is the algorithm's function, and the callers below pass what it documents.
        let answer = self.kernel.enter(|| unsafe { arch::call(function, arguments) })?;
        self.check(answer)
    }

    /// Sets the key, and begins anew.
    ///
    /// # Errors
    /// [`Error::Failed`] if the key is not one for the algorithm, [`Error::NotRegistered`] if it has none; [`Error::Ended`].
    pub fn set_key(&mut self, key: &[u8]) -> Result<(), Error> {
        let len = u32::try_from(key.len()).map_err(|_| Error::Invalid("the key is too long"))?;
        let arguments = [self.transform as u64, key.as_ptr().expose_provenance() as u64, u64::from(len)];
        self.call(self.abi().shash_alg.set_key, &arguments)?;
        (self.needs_key, self.started) = (false, false);
        Ok(())
    }

    fn start(&mut self) -> Result<(), Error> {
        if self.needs_key {
            return Err(Error::NoKey { name: self.registered.algorithm.name.clone() });
        }
        if !self.started {
            self.call(self.abi().shash_alg.init, &[self.descriptor as u64])?;
            self.started = true;
        }
        Ok(())
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::Failed`], [`Error::Ended`].
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.start()?;
        for piece in bytes.chunks(PIECE) {
            let arguments = [self.descriptor as u64, piece.as_ptr().expose_provenance() as u64, piece.len() as u64];
            self.call(self.abi().shash_alg.update, &arguments)?;
        }
        Ok(())
    }

    /// The digest of the bytes so far; what is added afterwards begins a new one.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn finish(&mut self) -> Result<Vec<u8>, Error> {
        self.start()?;
        let mut digest = vec![0; self.registered.algorithm.digest_size];
        self.started = false;
        let arguments = [self.descriptor as u64, digest.as_mut_ptr().expose_provenance() as u64];
        self.call(self.abi().shash_alg.finish, &arguments)?;
        Ok(digest)
    }
}

impl Drop for Hash<'_> {
    fn drop(&mut self) {
        // An instance that has ended gives everything back when it goes.
        let _ = self.kernel.enter(|| {
            let exit = self.function(self.abi().shash_alg.exit_tfm);
            if self.initialized && exit != 0 {
                // SAFETY: it is the algorithm's function, with the argument it documents.
                unsafe { arch::call(exit, &[self.transform as u64]) };
            }
            free(self.descriptor);
            free(self.transform);
        });
        self.kernel.release(self.registered.owner);
    }
}
