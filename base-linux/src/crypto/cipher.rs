use super::{Algorithm, AlgorithmKind, Registered};
use crate::Error;
use crate::abi::{get, put};
use crate::arch;
use crate::kern::{allocate, free};
use crate::kernel::{Kernel, NO_MEMORY};

/// A block cipher of a module, with a key. Dropping it gives back what it holds.
pub struct Cipher<'k> {
    kernel: &'k Kernel,
    registered: Registered,
    /// Its `struct crypto_tfm`.
    transform: usize,
    initialized: bool,
    has_key: bool,
}

impl Kernel {
    /// The cipher `name`, autoloading a module that has it.
    ///
    /// # Errors
    /// [`Error::NotRegistered`] if it is no cipher; what [`autoload`](Self::autoload) gives; [`Error::Host`] if there is no
    /// memory; [`Error::Failed`] if the module says so.
    pub fn cipher(&self, name: &str) -> Result<Cipher<'_>, Error> {
        let registered = self.take(name, AlgorithmKind::Cipher)?;
        let mut cipher = Cipher { kernel: self, registered, transform: 0, initialized: false, has_key: false };
        self.enter(|| cipher.prepare())??;
        Ok(cipher)
    }
}

impl Cipher<'_> {
    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &Algorithm {
        &self.registered.algorithm
    }

    /// Runs inside.
    fn prepare(&mut self) -> Result<(), Error> {
        let abi = self.kernel.abi;
        self.transform = allocate(abi.crypto_tfm.context + self.registered.context_size);
        if self.transform == 0 {
            return Err(Error::Host { what: "memory for a cipher", error: NO_MEMORY });
        }
        // SAFETY: it was just allocated, in this size.
        unsafe { put(self.transform, abi.crypto_tfm.algorithm, self.registered.base) };
        self.optional(abi.crypto_alg.init)?;
        self.initialized = true;
        Ok(())
    }

    /// Calls a function that the algorithm may have, with the transformation. Runs inside.
    fn optional(&self, offset: usize) -> Result<(), Error> {
        // SAFETY: the structure was registered, and its module is held.
        let function: usize = unsafe { get(self.registered.base, offset) };
        if function == 0 {
            return Ok(());
        }
        // SAFETY: it is the algorithm's function, with the argument it documents.
        match unsafe { arch::call(function, &[self.transform as u64]) } as i32 {
            0 => Ok(()),
            errno => Err(self.failed(errno)),
        }
    }

    fn failed(&self, errno: i32) -> Error {
        Error::Failed { name: self.registered.algorithm.name.clone(), errno: errno.wrapping_neg() }
    }

    /// A function of `struct cipher_alg`.
    fn function(&self, offset: usize) -> Result<usize, Error> {
        // SAFETY: the structure was registered, and its module is held.
        match unsafe { get(self.registered.base, self.kernel.abi.crypto_alg.union + offset) } {
            0 => Err(Error::NotRegistered { name: self.registered.algorithm.name.clone() }),
            function => Ok(function),
        }
    }

    /// Sets the key.
    ///
    /// # Errors
    /// [`Error::Failed`] if it is not one for the cipher; [`Error::Ended`].
    pub fn set_key(&mut self, key: &[u8]) -> Result<(), Error> {
        let layout = &self.kernel.abi.cipher_alg;
        let base = self.registered.base + self.kernel.abi.crypto_alg.union;
        // SAFETY: the structure was registered, and its module is held.
        let (min, max): (u32, u32) = unsafe { (get(base, layout.min_key), get(base, layout.max_key)) };
        if !(min as usize..=max as usize).contains(&key.len()) {
            return Err(self.failed(-crate::kern::errno::EINVAL));
        }
        let set_key = self.function(layout.set_key)?;
        let arguments = [self.transform as u64, key.as_ptr().expose_provenance() as u64, key.len() as u64];
        self.has_key = false;
        // SAFETY: it is the algorithm's function, with the arguments it documents.
        match self.kernel.enter(|| unsafe { arch::call(set_key, &arguments) })? as i32 {
            0 => self.has_key = true,
            errno => return Err(self.failed(errno)),
        }
        Ok(())
    }

    fn block(&self, function: usize, block: &mut [u8]) -> Result<(), Error> {
        if !self.has_key {
            return Err(Error::NoKey { name: self.registered.algorithm.name.clone() });
        }
        if block.len() != self.registered.algorithm.block_size {
            return Err(Error::Invalid("a cipher takes one whole block"));
        }
        let at = block.as_mut_ptr().expose_provenance() as u64;
        let function = self.function(function)?;
        // SAFETY: it is the algorithm's function; source and destination may be the same.
        self.kernel.enter(|| unsafe { arch::call(function, &[self.transform as u64, at, at]) })?;
        Ok(())
    }

    /// Encrypts one block in place.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::Invalid`] if it is not one block, [`Error::Ended`].
    pub fn encrypt(&self, block: &mut [u8]) -> Result<(), Error> {
        self.block(self.kernel.abi.cipher_alg.encrypt, block)
    }

    /// Decrypts one block in place.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn decrypt(&self, block: &mut [u8]) -> Result<(), Error> {
        self.block(self.kernel.abi.cipher_alg.decrypt, block)
    }
}

impl Drop for Cipher<'_> {
    fn drop(&mut self) {
        // An instance that has ended gives everything back when it goes.
        let _ = self.kernel.enter(|| {
            if self.initialized {
                // `void (*)(struct crypto_tfm *)`: what it leaves in the result register says nothing.
                let _ = self.optional(self.kernel.abi.crypto_alg.exit);
            }
            free(self.transform);
        });
        self.kernel.release(self.registered.owner);
    }
}
