/* Memory: blocks, pools, caches of made objects, address space, arenas, hash tables. */
#include "services.h"

SERVICES(services_memory);

void *kern_realloc(void *, unsigned long, int);
void *kmem_alloc(size_t, int);
void *kmem_intr_alloc(size_t, int), *kmem_intr_zalloc(size_t, int);
void kmem_intr_free(void *, size_t);
typedef struct pool_cache *pool_cache_t;
pool_cache_t pool_cache_init(size_t, unsigned, unsigned, unsigned, const char *, struct pool_allocator *, int,
    int (*)(void *, void *, int), void (*)(void *, void *), void *);
void pool_cache_destroy(pool_cache_t), pool_cache_invalidate(pool_cache_t), pool_cache_destruct_object(pool_cache_t, void *);
void *pool_cache_get_paddr(pool_cache_t, int, uintptr_t *);
void pool_cache_put_paddr(pool_cache_t, void *, uintptr_t);
void pool_cache_setlowat(pool_cache_t, int), pool_cache_sethiwat(pool_cache_t, int);
void pool_cache_sethardlimit(pool_cache_t, int, const char *, int);
int pool_prime(struct pool *, int), pool_reclaim(struct pool *);
void pool_setlowat(struct pool *, int), pool_sethiwat(struct pool *, int);
void pool_sethardlimit(struct pool *, int, const char *, int);
extern pool_cache_t pnbuf_cache;
extern struct vm_map *kernel_map;
uintptr_t uvm_km_alloc(struct vm_map *, vsize_t, vsize_t, unsigned);
void uvm_km_free(struct vm_map *, uintptr_t, vsize_t, unsigned);
/* Not in every version's table. */
#ifndef VM_BESTFIT
#define VM_BESTFIT 0x2000
#endif
#ifndef VM_SLEEP
#define VM_SLEEP 1
#define VM_NOSLEEP 2
#endif
#define VMEM_ALLOC_ 1
#define VMEM_FREE_ 2
typedef struct vmem vmem_t;
vmem_t *vmem_create(const char *, uintptr_t, size_t, size_t, int (*)(vmem_t *, size_t, unsigned, uintptr_t *),
    void (*)(vmem_t *, uintptr_t, size_t), vmem_t *, size_t, unsigned, int);
void vmem_destroy(vmem_t *);
int vmem_alloc(vmem_t *, size_t, unsigned, uintptr_t *), vmem_add(vmem_t *, uintptr_t, size_t, unsigned);
int vmem_xalloc(vmem_t *, size_t, size_t, size_t, size_t, uintptr_t, uintptr_t, unsigned, uintptr_t *);
void vmem_free(vmem_t *, uintptr_t, size_t);
size_t vmem_size(vmem_t *, int);
void *hashinit(unsigned, int, bool, unsigned long *);
void hashdone(void *, int, unsigned long);


static bool
is_zero(const unsigned char *bytes, size_t len)
{
	while (len-- > 0)
		if (*bytes++ != 0)
			return false;
	return true;
}

static int
blocks(void)
{
	unsigned char *one, *two;

	one = kern_malloc(100, M_WAITOK | M_ZERO);
	CHECK(one != NULL && is_zero(one, 100));
	memset(one, 7, 100);
	one = kern_realloc(one, 5000, M_WAITOK);
	CHECK(one != NULL && one[0] == 7 && one[99] == 7);
	two = kern_malloc(100, M_WAITOK);
	CHECK(two != NULL && (two >= one + 5000 || two + 100 <= one));
	kern_free(two);
	kern_free(one);
	one = kmem_alloc(64, KM_SLEEP);
	two = kmem_zalloc(64, KM_SLEEP);
	CHECK(one != NULL && two != NULL && one != two && is_zero(two, 64));
	memset(one, 1, 64);
	CHECK(is_zero(two, 64));
	kmem_free(two, 64);
	kmem_free(one, 64);
	one = kmem_intr_alloc(32, KM_NOSLEEP);
	two = kmem_intr_zalloc(32, KM_NOSLEEP);
	CHECK(one != NULL && two != NULL && one != two && is_zero(two, 32));
	kmem_intr_free(two, 32);
	kmem_intr_free(one, 32);
	one = (void *)uvm_km_alloc(kernel_map, 8192, 0, UVM_KMF_WIRED | UVM_KMF_ZERO);
	CHECK(kernel_map != NULL && one != NULL && is_zero(one, 8192));
	memset(one, 1, 8192);
	uvm_km_free(kernel_map, (uintptr_t)one, 8192, UVM_KMF_WIRED);
	return 0;
}

static int
pools(void)
{
	struct pool pool;
	void *items[3];
	int i;

	pool_init(&pool, 48, 16, 0, 0, "services", &pool_allocator_nointr, IPL_NONE);
	CHECK(pool_prime(&pool, 4) == 0);
	pool_setlowat(&pool, 1);
	pool_sethiwat(&pool, 8);
	pool_sethardlimit(&pool, 2, "enough", 0);
	for (i = 0; i < 2; i++) {
		items[i] = pool_get(&pool, PR_NOWAIT);
		CHECK(items[i] != NULL && ((uintptr_t)items[i] & 15) == 0);
		memset(items[i], i, 48);
	}
	CHECK(items[0] != items[1] && ((char *)items[0])[47] == 0);
	items[2] = pool_get(&pool, PR_NOWAIT);
	CHECK(items[2] == NULL);
	for (i = 0; i < 2; i++)
		pool_put(&pool, items[i]);
	items[2] = pool_get(&pool, PR_NOWAIT);
	CHECK(items[2] != NULL);
	pool_put(&pool, items[2]);
	pool_reclaim(&pool);
	pool_destroy(&pool);
	return 0;
}

static int made, unmade;

static int
make(void *argument, void *object, int flags)
{
	(void)flags;
	*(void **)object = argument;
	made++;
	return 0;
}

static void
unmake(void *argument, void *object)
{
	unmade += *(void **)object == argument;
}

static int
caches(void)
{
	pool_cache_t cache;
	void **object, **other;
	char *path;

	made = unmade = 0;
	cache = pool_cache_init(32, 8, 0, 0, "services", NULL, IPL_NONE, make, unmake, &made);
	CHECK(cache != NULL);
	pool_cache_setlowat(cache, 1);
	pool_cache_sethiwat(cache, 8);
	object = pool_cache_get_paddr(cache, PR_WAITOK, NULL);
	CHECK(object != NULL && *object == &made && made == 1);
	other = pool_cache_get_paddr(cache, PR_WAITOK, NULL);
	CHECK(other != NULL && other != object && made == 2);
	pool_cache_put_paddr(cache, object, (uintptr_t)-1);
	CHECK(unmade == 0);
	object = pool_cache_get_paddr(cache, PR_WAITOK, NULL);
	CHECK(*object == &made && made == 2);
	pool_cache_destruct_object(cache, other);
	CHECK(unmade == 1);
	pool_cache_put_paddr(cache, object, (uintptr_t)-1);
	pool_cache_invalidate(cache);
	CHECK(unmade == 2);
	pool_cache_sethardlimit(cache, 1, "enough", 0);
	object = pool_cache_get_paddr(cache, PR_NOWAIT, NULL);
	CHECK(object != NULL && pool_cache_get_paddr(cache, PR_NOWAIT, NULL) == NULL);
	pool_cache_put_paddr(cache, object, (uintptr_t)-1);
	pool_cache_destroy(cache);
	CHECK(made == 3 && unmade == 3);
	path = pool_cache_get_paddr(pnbuf_cache, PR_WAITOK, NULL);
	CHECK(path != NULL);
	memset(path, 'p', MAXPATHLEN);
	pool_cache_put_paddr(pnbuf_cache, path, (uintptr_t)-1);
	return 0;
}

static int
arenas(void)
{
	vmem_t *arena = vmem_create("services", 0x1000, 0x1000, 0x100, NULL, NULL, NULL, 0, VM_SLEEP, IPL_NONE);
	uintptr_t one = 0, two = 0;

	CHECK(arena != NULL && vmem_size(arena, VMEM_FREE_) == 0x1000 && vmem_size(arena, VMEM_ALLOC_) == 0);
	CHECK(vmem_alloc(arena, 0xf00, VM_BESTFIT | VM_NOSLEEP, &one) == 0 && one >= 0x1000 && one + 0xf00 <= 0x2000);
	CHECK(vmem_alloc(arena, 0x200, VM_BESTFIT | VM_NOSLEEP, &two) != 0);
	CHECK(vmem_add(arena, 0x4000, 0x1000, VM_SLEEP) == 0);
	CHECK(vmem_xalloc(arena, 0x100, 0x800, 0, 0, 0x4100, 0x4fff, VM_BESTFIT | VM_NOSLEEP, &two) == 0 && two == 0x4800);
	vmem_free(arena, one, 0xf00);
	CHECK(vmem_size(arena, VMEM_ALLOC_) == 0x100);
	vmem_free(arena, two, 0x100);
	CHECK(vmem_size(arena, VMEM_FREE_) == 0x2000);
	vmem_destroy(arena);
	return 0;
}

static int
checks(void)
{
	unsigned long mask = 0;
	void **table;

	RUN(blocks());
	RUN(pools());
	RUN(caches());
	RUN(arenas());
	table = hashinit(100, 0, true, &mask);
	CHECK(table != NULL && mask == 127 && table[0] == NULL && table[127] == NULL);
	hashdone(table, 0, mask);
	return 0;
}
