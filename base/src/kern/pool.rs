//! Pools of equal items, and pool caches, whose free items stay constructed.
//!
//! Items come from the kernel's memory one by one. A `struct pool` lies in its module's data, and its first words hold what the
//! base needs; caches are the base's own.

use super::errno::ENOMEM;
use super::{memory, panic};
use crate::abi::Abi;
use crate::abi::constants::{MAXPATHLEN, PR_NOWAIT};
use crate::export::{Export, ExportValue, data, function};
use crate::kernel::Kernel;
use alloc::vec::Vec;
use core::ptr;

/// Blocks of [`memory`] are aligned to this.
const ALIGNED: usize = 16;
const POOL: usize = 0x706f_6f6c;
const CACHE: usize = 0x7063_6163;
/// Free items that a cache keeps constructed.
const KEPT: usize = 32;

type Construct = unsafe extern "C" fn(*mut u8, *mut u8, i32) -> i32;
type Destruct = unsafe extern "C" fn(*mut u8, *mut u8);

/// Size and alignment of a pool's items, and how many are out.
#[derive(Clone, Copy)]
#[repr(C)]
struct Pool {
    mark: usize,
    size: u32,
    align: u32,
    out: usize,
    limit: usize,
    name: *const u8,
}

impl Pool {
    fn new(mark: usize, size: usize, align: u32, name: *const u8) -> Self {
        let Ok(size) = u32::try_from(size) else { panic::panic_message("a pool of items beyond 4 GiB") };
        Self { mark, size: size.max(1), align, out: 0, limit: usize::MAX, name }
    }

    /// Bytes of a block that surely has an aligned item in it, behind a word that says where the block begins.
    fn padded(&self) -> Option<usize> {
        let align = self.align as usize;
        (align > ALIGNED).then(|| self.size as usize + align + size_of::<usize>())
    }

    /// A new item; null if the host has no memory or the pool is at its limit.
    fn take(&mut self) -> *mut u8 {
        if self.out >= self.limit {
            return ptr::null_mut();
        }
        let item = match self.padded() {
            None => memory::alloc(self.size as usize, false),
            Some(size) => {
                let block = memory::alloc(size, false);
                if block.is_null() {
                    return block;
                }
                let gap = aligned_gap(block.addr(), self.align as usize);
                // SAFETY: the gap leaves room for a word in front of the item, and the block is long enough for both.
                unsafe {
                    let item = block.add(gap);
                    item.cast::<*mut u8>().sub(1).write(block);
                    item
                }
            }
        };
        self.out += usize::from(!item.is_null());
        item
    }

    /// # Safety
    /// `item` must come from [`take`](Self::take) of this pool.
    unsafe fn give(&mut self, item: *mut u8) {
        let Some(out) = self.out.checked_sub(1) else {
            panic::panic_format(format_args!("item {item:p} is given to a pool that has none out"));
        };
        self.out = out;
        // SAFETY: as the caller says.
        unsafe { memory::free(if self.padded().is_some() { item.cast::<*mut u8>().sub(1).read() } else { item }) }
    }
}

/// Bytes from `block` to the first aligned address that leaves room for a word.
fn aligned_gap(block: usize, align: usize) -> usize {
    (block + size_of::<usize>()).next_multiple_of(align) - block
}

/// # Safety
/// `pool` must point to a `struct pool`.
unsafe fn pool_at<'a>(call: &str, pool: *mut u8) -> &'a mut Pool {
    // SAFETY: as the caller says: a `struct pool` is longer than ours, and aligned as pointers are.
    let at = unsafe { &mut *pool.cast::<Pool>() };
    if at.mark != POOL {
        panic::panic_format(format_args!("{call} of pool {pool:p}: it is not initialised"));
    }
    at
}

/// Makes a pool of the `struct pool` at `pool`.
///
/// # Safety
/// `pool` must point to one.
pub(crate) unsafe extern "C" fn pool_init(
    pool: *mut u8,
    size: usize,
    align: u32,
    _offset: u32,
    _flags: i32,
    name: *const u8,
    _allocator: *mut u8,
    _ipl: i32,
) {
    // SAFETY: as the caller says.
    unsafe { pool.cast::<Pool>().write(Pool::new(POOL, size, align, name)) }
}

unsafe extern "C" fn pool_destroy(pool: *mut u8) {
    // SAFETY: module code passes a pool.
    unsafe {
        let at = pool_at("pool_destroy", pool);
        if at.out != 0 {
            panic::panic_format(format_args!("pool_destroy of pool {pool:p}: {} items are out", at.out));
        }
        at.mark = 0;
    }
}

unsafe extern "C" fn pool_get(pool: *mut u8, flags: i32) -> *mut u8 {
    // SAFETY: module code passes a pool.
    let item = unsafe { pool_at("pool_get", pool) }.take();
    if item.is_null() && flags & PR_NOWAIT == 0 {
        panic::panic_format(format_args!("pool_get of pool {pool:p}: no item, and nobody can give one back"));
    }
    item
}

unsafe extern "C" fn pool_put(pool: *mut u8, item: *mut u8) {
    // SAFETY: module code gives an item back.
    unsafe { pool_at("pool_put", pool).give(item) }
}

unsafe extern "C" fn pool_sethardlimit(pool: *mut u8, count: i32, _warning: *const u8, _rate: i32) {
    // SAFETY: module code passes a pool.
    unsafe { pool_at("pool_sethardlimit", pool).limit = usize::try_from(count).unwrap_or(usize::MAX) }
}

/// Items come one by one: there is nothing to prepare or give back.
unsafe extern "C" fn pool_hint(pool: *mut u8, _count: i32) -> i32 {
    // SAFETY: module code passes a pool.
    unsafe { pool_at("a hint", pool) };
    0
}

/// What a pool cache's handle points to.
struct Cache {
    pool: Pool,
    construct: Option<Construct>,
    destruct: Option<Destruct>,
    argument: *mut u8,
    /// Constructed items nobody has.
    kept: [*mut u8; KEPT],
    count: usize,
}

impl Cache {
    /// # Safety
    /// No reference to the cache may be used by what its constructor and destructor run.
    unsafe fn discard(cache: *mut Self, item: *mut u8) {
        // SAFETY: the cache is live; its functions are module code's and get its items.
        unsafe {
            if let Some(destruct) = (*cache).destruct {
                destruct((*cache).argument, item);
            }
            (*cache).pool.give(item);
        }
    }
}

/// # Safety
/// `cache` must be a handle of [`pool_cache_init`].
unsafe fn cache_at(call: &str, cache: *mut u8) -> *mut Cache {
    let at = cache.cast::<Cache>();
    // SAFETY: as the caller says.
    if at.is_null() || unsafe { (*at).pool.mark } != CACHE {
        panic::panic_format(format_args!("{call} of pool cache {cache:p}: there is no such cache"));
    }
    at
}

/// Makes a cache of items of `size` bytes.
///
/// # Safety
/// The functions must be callable with `argument` and items.
pub(crate) unsafe extern "C" fn pool_cache_init(
    size: usize,
    align: u32,
    _offset: u32,
    _flags: u32,
    name: *const u8,
    _allocator: *mut u8,
    _ipl: i32,
    construct: Option<Construct>,
    destruct: Option<Destruct>,
    argument: *mut u8,
) -> *mut u8 {
    let cache = memory::alloc_or_end(size_of::<Cache>(), true);
    let pool = Pool::new(CACHE, size, align, name);
    // SAFETY: fresh memory of the structure's size.
    unsafe {
        cache.cast::<Cache>().write(Cache { pool, construct, destruct, argument, kept: [ptr::null_mut(); KEPT], count: 0 });
    }
    cache
}

unsafe extern "C" fn pool_cache_destroy(cache: *mut u8) {
    // SAFETY: module code passes a cache; nothing uses it afterwards.
    unsafe {
        let at = cache_at("pool_cache_destroy", cache);
        pool_cache_invalidate(cache);
        if (*at).pool.out != 0 {
            panic::panic_format(format_args!("pool_cache_destroy of {cache:p}: {} items are out", (*at).pool.out));
        }
        (*at).pool.mark = 0;
        memory::free(cache);
    }
}

/// A constructed item. Null only with `PR_NOWAIT`.
///
/// # Safety
/// `cache` must come from [`pool_cache_init`]; `physical` must be null or writable.
pub(crate) unsafe extern "C" fn pool_cache_get_paddr(cache: *mut u8, flags: i32, physical: *mut usize) -> *mut u8 {
    // SAFETY: as the caller says; no reference is kept across the constructor.
    unsafe {
        let at = cache_at("pool_cache_get", cache);
        if !physical.is_null() {
            physical.write(usize::MAX);
        }
        if (*at).count > 0 {
            (*at).count -= 1;
            return (*at).kept[(*at).count];
        }
        let item = (*at).pool.take();
        let error = match (*at).construct {
            _ if item.is_null() => ENOMEM,
            Some(construct) => construct((*at).argument, item, flags),
            None => 0,
        };
        if error == 0 {
            return item;
        }
        if !item.is_null() {
            (*at).pool.give(item);
        }
        if flags & PR_NOWAIT == 0 {
            panic::panic_format(format_args!("pool_cache_get of {cache:p}: error {error}, and nothing to wait for"));
        }
        ptr::null_mut()
    }
}

/// Gives an item back, still constructed.
///
/// # Safety
/// `item` must come from this cache.
pub(crate) unsafe extern "C" fn pool_cache_put_paddr(cache: *mut u8, item: *mut u8, _physical: usize) {
    // SAFETY: as the caller says.
    unsafe {
        let at = cache_at("pool_cache_put", cache);
        if (*at).count < KEPT {
            (*at).kept[(*at).count] = item;
            (*at).count += 1;
        } else {
            Cache::discard(at, item);
        }
    }
}

unsafe extern "C" fn pool_cache_invalidate(cache: *mut u8) {
    // SAFETY: module code passes a cache; no reference is kept across the destructor.
    unsafe {
        let at = cache_at("pool_cache_invalidate", cache);
        while (*at).count > 0 {
            (*at).count -= 1;
            let item = (*at).kept[(*at).count];
            Cache::discard(at, item);
        }
    }
}

unsafe extern "C" fn pool_cache_destruct_object(cache: *mut u8, item: *mut u8) {
    // SAFETY: module code gives an item of the cache back.
    unsafe { Cache::discard(cache_at("pool_cache_destruct_object", cache), item) }
}

unsafe extern "C" fn pool_cache_hint(cache: *mut u8, _count: i32) {
    // SAFETY: module code passes a cache.
    unsafe { cache_at("a hint", cache) };
}

unsafe extern "C" fn pool_cache_sethardlimit(cache: *mut u8, count: i32, _warning: *const u8, _rate: i32) {
    // SAFETY: module code passes a cache.
    unsafe { (*cache_at("pool_cache_sethardlimit", cache)).pool.limit = usize::try_from(count).unwrap_or(usize::MAX) }
}

/// The allocators, which modules only pass on.
pub(crate) fn sized_exports(abi: &'static Abi, out: &mut Vec<Export>) {
    for name in ["pool_allocator_kmem", "pool_allocator_nointr", "pool_allocator_meta", "pool_allocator_kmem_fullpage"] {
        out.push(Export { name, value: ExportValue::Data { size: abi.pool_allocator.size, align: 16 } });
    }
}

/// Makes the cache of path buffers.
pub(crate) fn fill(kernel: &Kernel) {
    let (none, name) = (ptr::null_mut(), c"pnbufpl".as_ptr().cast());
    // SAFETY: no functions are passed; the export is a pointer.
    unsafe {
        let cache = pool_cache_init(MAXPATHLEN as usize, 0, 0, 0, name, none, 0, None, None, none);
        kernel.data("pnbuf_cache").cast::<*mut u8>().write(cache);
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("pool_init", pool_init),
    function!("pool_destroy", pool_destroy),
    function!("pool_get", pool_get),
    function!("pool_put", pool_put),
    function!("pool_prime", pool_hint),
    function!("pool_setlowat", pool_hint),
    function!("pool_sethiwat", pool_hint),
    function!("pool_reclaim", pool_hint),
    function!("pool_sethardlimit", pool_sethardlimit),
    function!("pool_cache_init", pool_cache_init),
    function!("pool_cache_destroy", pool_cache_destroy),
    function!("pool_cache_get_paddr", pool_cache_get_paddr),
    function!("pool_cache_put_paddr", pool_cache_put_paddr),
    function!("pool_cache_invalidate", pool_cache_invalidate),
    function!("pool_cache_destruct_object", pool_cache_destruct_object),
    function!("pool_cache_setlowat", pool_cache_hint),
    function!("pool_cache_sethiwat", pool_cache_hint),
    function!("pool_cache_sethardlimit", pool_cache_sethardlimit),
    data!("pnbuf_cache", size_of::<usize>(), size_of::<usize>()),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kernel;
    use crate::testing::Bench;

    #[test]
    fn our_part_fits_every_versions_structure() {
        for abi in [Abi::netbsd_7_99_34_amd64(), Abi::netbsd_10_amd64(), Abi::netbsd_7_99_34_i386()] {
            assert!(size_of::<Pool>() <= abi.pool.size);
        }
    }

    #[test]
    fn an_aligned_item_leaves_room_for_a_word() {
        for block in [0x1000, 0x1010, 0x10f0] {
            let gap = aligned_gap(block, 256);
            assert_eq!((block + gap) % 256, 0);
            assert!(gap >= size_of::<usize>() && gap < 256 + size_of::<usize>());
        }
        let pool = Pool::new(POOL, 100, 256, ptr::null());
        assert_eq!(pool.padded(), Some(356 + size_of::<usize>()));
        assert_eq!(Pool::new(POOL, 100, 16, ptr::null()).padded(), None);
    }

    unsafe extern "C" fn construct(built: *mut u8, item: *mut u8, flags: i32) -> i32 {
        if flags & PR_NOWAIT != 0 {
            return ENOMEM;
        }
        // SAFETY: the test's counter and an item of eight bytes.
        unsafe {
            *built.cast::<i32>() += 1;
            item.cast::<u64>().write(7);
        }
        0
    }

    unsafe extern "C" fn destruct(built: *mut u8, item: *mut u8) {
        // SAFETY: as above.
        unsafe {
            assert_eq!(item.cast::<u64>().read(), 7);
            *built.cast::<i32>() -= 1;
        }
    }

    #[test]
    fn cached_items_stay_constructed() {
        let mut built = 0_i32;
        let counter = (&raw mut built).cast();
        Bench::new().inside(|| {
            let blocks = kernel().kern.memory.usage().blocks;
            let (name, none) = (c"test".as_ptr().cast(), ptr::null_mut());
            // SAFETY: the functions fit the items and the counter; items are given back once.
            unsafe {
                let cache = pool_cache_init(8, 0, 0, 0, name, none, 0, Some(construct), Some(destruct), counter);
                assert!(pool_cache_get_paddr(cache, PR_NOWAIT, ptr::null_mut()).is_null());
                let items: Vec<_> = (0..KEPT + 2).map(|_| pool_cache_get_paddr(cache, 0, ptr::null_mut())).collect();
                assert_eq!(*counter.cast::<i32>(), KEPT as i32 + 2);
                for item in &items {
                    pool_cache_put_paddr(cache, *item, usize::MAX);
                }
                assert_eq!(*counter.cast::<i32>(), KEPT as i32);
                assert!(items.contains(&pool_cache_get_paddr(cache, PR_NOWAIT, ptr::null_mut())));
                pool_cache_put_paddr(cache, items[KEPT - 1], usize::MAX);
                pool_cache_destroy(cache);
                assert_eq!(*counter.cast::<i32>(), 0);
            }
            assert_eq!(kernel().kern.memory.usage().blocks, blocks);
        });
    }

    #[test]
    fn a_pool_knows_what_is_out() {
        let mut room = [0_u64; 64];
        let pool = (&raw mut room).cast();
        let bench = Bench::new();
        bench.inside(|| {
            // SAFETY: the room is longer than any `struct pool`.
            unsafe {
                pool_init(pool, 24, 64, 0, 0, c"test".as_ptr().cast(), ptr::null_mut(), 0);
                pool_sethardlimit(pool, 2, ptr::null(), 0);
                let (one, two) = (pool_get(pool, 1), pool_get(pool, 1));
                assert!(one.addr() % 64 == 0 && two.addr() % 64 == 0 && one != two);
                assert!(pool_get(pool, PR_NOWAIT).is_null());
                pool_put(pool, one);
                assert!(!pool_get(pool, PR_NOWAIT).is_null());
            }
        });
        // SAFETY: as above.
        assert!(bench.ends(|| unsafe { pool_destroy(pool) }).contains("2 items are out"));
    }
}
