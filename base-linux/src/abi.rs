//! How Linux lays out the few structures that modules and this base share: facts by kernel version, as data.
//!
//! Offsets and sizes are bytes. They come from the headers of the kernel's own header package, by its configuration.

/// A kernel version's layouts.
#[derive(Debug)]
pub struct Abi {
    /// What the releases begin with that it is true of: `6.1.`.
    pub releases: &'static str,
    /// Clock ticks per second.
    pub hz: u64,
    /// Bytes of `kmalloc_caches`.
    pub kmalloc_caches: usize,
    /// Largest size in bytes that `kmalloc` gives.
    pub kmalloc_max: usize,
    /// `__GFP_ZERO`.
    pub gfp_zero: u32,
    /// `boot_cpu_data`: bytes, and the offset of its capability words.
    pub boot_cpu_data: (usize, usize),
    /// `struct crypto_alg`.
    pub crypto_alg: CryptoAlg,
    /// `struct cipher_alg`.
    pub cipher_alg: CipherAlg,
    /// `struct shash_alg`.
    pub shash_alg: ShashAlg,
    /// `struct crypto_tfm`.
    pub crypto_tfm: CryptoTfm,
    /// Offset of `base`, a `struct crypto_tfm`, in `struct crypto_shash`.
    pub crypto_shash_base: usize,
    /// Offset of the context in `struct shash_desc`; the transformation is at 0.
    pub shash_desc_context: usize,
    /// `struct nls_table`.
    pub nls_table: NlsTable,
    /// `struct kernel_param_ops`: bytes, offsets of `set`, `get`.
    pub kernel_param_ops: (usize, usize, usize),
    /// `struct kernel_param`.
    pub kernel_param: KernelParam,
}

/// `struct crypto_alg`.
#[derive(Debug)]
pub struct CryptoAlg {
    /// Bytes.
    pub size: usize,
    /// `cra_flags`, 32 bits.
    pub flags: usize,
    /// `cra_blocksize`, 32 bits.
    pub block_size: usize,
    /// `cra_ctxsize`, 32 bits.
    pub context_size: usize,
    /// `cra_alignmask`, 32 bits.
    pub align_mask: usize,
    /// `cra_priority`, 32 bits.
    pub priority: usize,
    /// `cra_name`.
    pub name: usize,
    /// `cra_driver_name`.
    pub driver_name: usize,
    /// Bytes of each name.
    pub name_size: usize,
    /// `cra_u`: a `struct cipher_alg` for ciphers.
    pub union: usize,
    /// `cra_init`.
    pub init: usize,
    /// `cra_exit`.
    pub exit: usize,
    /// `cra_module`.
    pub module: usize,
}

/// `struct cipher_alg`.
#[derive(Debug)]
pub struct CipherAlg {
    /// `cia_min_keysize`, 32 bits.
    pub min_key: usize,
    /// `cia_max_keysize`, 32 bits.
    pub max_key: usize,
    /// `cia_setkey`.
    pub set_key: usize,
    /// `cia_encrypt`.
    pub encrypt: usize,
    /// `cia_decrypt`.
    pub decrypt: usize,
}

/// `struct shash_alg`.
#[derive(Debug)]
pub struct ShashAlg {
    /// Bytes.
    pub size: usize,
    /// `init`.
    pub init: usize,
    /// `update`.
    pub update: usize,
    /// `final`.
    pub finish: usize,
    /// `setkey`.
    pub set_key: usize,
    /// `init_tfm`.
    pub init_tfm: usize,
    /// `exit_tfm`.
    pub exit_tfm: usize,
    /// `descsize`, 32 bits.
    pub descriptor_size: usize,
    /// `digestsize`, 32 bits.
    pub digest_size: usize,
    /// `statesize`, 32 bits.
    pub state_size: usize,
    /// `base`, a `struct crypto_alg`.
    pub base: usize,
    /// Largest `descsize` that is registered.
    pub max_descriptor: u32,
    /// Largest `digestsize`.
    pub max_digest: u32,
}

/// `struct crypto_tfm`.
#[derive(Debug)]
pub struct CryptoTfm {
    /// `crt_flags`, 32 bits.
    pub flags: usize,
    /// `__crt_alg`.
    pub algorithm: usize,
    /// `__crt_ctx`, to the end.
    pub context: usize,
}

/// `struct nls_table`.
#[derive(Debug)]
pub struct NlsTable {
    /// `charset`.
    pub charset: usize,
    /// `alias`.
    pub alias: usize,
    /// `uni2char`.
    pub from_unicode: usize,
    /// `char2uni`.
    pub to_unicode: usize,
    /// `charset2lower`.
    pub lower: usize,
    /// `charset2upper`.
    pub upper: usize,
    /// `owner`.
    pub owner: usize,
    /// `next`.
    pub next: usize,
}

/// `struct kernel_param`.
#[derive(Debug)]
pub struct KernelParam {
    /// Bytes.
    pub size: usize,
    /// `name`.
    pub name: usize,
    /// `ops`.
    pub ops: usize,
    /// `arg`.
    pub argument: usize,
}

/// Linux 6.1 on amd64, as Debian 12 configures it.
pub static LINUX_6_1_AMD64: Abi = Abi {
    releases: "6.1.",
    hz: 250,
    kmalloc_caches: 448,
    kmalloc_max: 4 << 20,
    gfp_zero: 0x100,
    boot_cpu_data: (288, 40),
    crypto_alg: CryptoAlg {
        size: 384,
        flags: 32,
        block_size: 36,
        context_size: 40,
        align_mask: 44,
        priority: 48,
        name: 56,
        driver_name: 184,
        name_size: 128,
        union: 320,
        init: 352,
        exit: 360,
        module: 376,
    },
    cipher_alg: CipherAlg { min_key: 0, max_key: 4, set_key: 8, encrypt: 16, decrypt: 24 },
    shash_alg: ShashAlg {
        size: 480,
        init: 0,
        update: 8,
        finish: 16,
        set_key: 56,
        init_tfm: 64,
        exit_tfm: 72,
        descriptor_size: 80,
        digest_size: 88,
        state_size: 92,
        base: 96,
        max_descriptor: 368,
        max_digest: 64,
    },
    crypto_tfm: CryptoTfm { flags: 4, algorithm: 24, context: 32 },
    crypto_shash_base: 8,
    shash_desc_context: 8,
    nls_table: NlsTable { charset: 0, alias: 8, from_unicode: 16, to_unicode: 24, lower: 32, upper: 40, owner: 48, next: 56 },
    kernel_param_ops: (32, 8, 16),
    kernel_param: KernelParam { size: 40, name: 0, ops: 16, argument: 32 },
};

impl Abi {
    /// The layouts of the kernel whose `vermagic` this is, if they are known.
    #[must_use]
    pub fn of(vermagic: &str) -> Option<&'static Self> {
        let mut words = vermagic.split_ascii_whitespace();
        let release = words.next()?;
        let mut options = words.skip_while(|word| !matches!(*word, "SMP"));
        // The layouts are those of a multiprocessor kernel for PCs.
        options.next()?;
        [&LINUX_6_1_AMD64].into_iter().find(|abi| release.starts_with(abi.releases) && release.ends_with("-amd64"))
    }
}

/// Reads the field at `offset` of the structure at `base`.
///
/// # Safety
/// The bytes must be readable and hold a valid `T`.
pub(crate) unsafe fn get<T: Copy>(base: usize, offset: usize) -> T {
    // SAFETY: as the caller says.
    unsafe { core::ptr::with_exposed_provenance::<T>(base + offset).read_unaligned() }
}

/// Writes the field at `offset` of the structure at `base`.
///
/// # Safety
/// The bytes must be writable, and no reference to them in use.
pub(crate) unsafe fn put<T: Copy>(base: usize, offset: usize, value: T) {
    // SAFETY: as the caller says.
    unsafe { core::ptr::with_exposed_provenance_mut::<T>(base + offset).write_unaligned(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_go_by_release_and_configuration() {
        let known = |vermagic| Abi::of(vermagic).is_some();
        assert!(known("6.1.0-56-amd64 SMP preempt mod_unload modversions "));
        assert!(!known("6.12.1-amd64 SMP preempt mod_unload modversions "));
        assert!(!known("6.1.0-56-rt-686 SMP preempt"));
        assert!(!known("6.1.0-56-amd64 preempt"));
        assert!(!known(""));
    }
}
