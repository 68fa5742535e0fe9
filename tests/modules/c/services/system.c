/* The processor and what belongs to it, random numbers, variables of the system, functions for table slots. */
#include "services.h"

SERVICES(services_system);

int nullop(void *), enodev(void), enxio(void), enosys(void), eopnotsupp(void);
void voidop(void);
int strcmp(const char *, const char *);
extern char hostname[], domainname[], ostype[], osrelease[], version[], copyright[];
extern struct {
	uint32_t average[3];
	long scale;
} averunnable;
extern dev_t rootdev;
extern int hostnamelen, domainnamelen, cold, ncpu, ncpuonline, physmem, maxproc;
extern struct proc *initproc, proc0;
extern struct cpu_info *cpu_info_list;
struct cpu_info *x86_curcpu(void) __attribute__((const));
unsigned cpu_number(void);
bool cpu_intr_p(void);
int splraise(int);
void spllower(int), spl0(void);
uint64_t xc_broadcast(unsigned, void (*)(void *, void *), void *, void *);
uint64_t xc_unicast(unsigned, void (*)(void *, void *), void *, void *, struct cpu_info *);
void xc_wait(uint64_t);
typedef struct percpu percpu_t;
percpu_t *percpu_alloc(size_t);
void percpu_free(percpu_t *, size_t), *percpu_getref(percpu_t *), percpu_putref(percpu_t *);
void percpu_foreach(percpu_t *, void (*)(void *, void *, struct cpu_info *), void *);
void *pserialize_create(void);
void pserialize_destroy(void *), pserialize_perform(void *), pserialize_read_exit(int);
int pserialize_read_enter(void);
uint32_t cprng_fast32(void), arc4random(void), cprng_strong32(void);
uint64_t cprng_fast64(void), cprng_strong64(void);
long random(void);
size_t cprng_fast(void *, size_t), cprng_strong(void *, void *, size_t, int);
void *cprng_strong_create(const char *, int, int), cprng_strong_destroy(void *);
extern void *kern_cprng;
int firmware_open(const char *, const char *, void **);
int iskmemvp(struct vnode *), seltrue(dev_t, int, struct lwp *), seltrue_kqfilter(dev_t, void *);
unsigned popcount(unsigned), popcount32(uint32_t);
int filt_seltrue(struct knote *, long);
void rnd_attach_source(struct krndsource *, const char *, uint32_t, uint32_t), rnd_detach_source(struct krndsource *);
void _rnd_add_uint32(struct krndsource *, uint32_t);
extern uintptr_t __stack_chk_guard;

static int
variables(void)
{
	CHECK(nullop(NULL) == 0 && enodev() == ENODEV && enxio() == ENXIO && enosys() == ENOSYS && eopnotsupp() == EOPNOTSUPP);
	voidop();
	CHECK(strlen(hostname) == (size_t)hostnamelen && hostnamelen > 0 && strcmp(ostype, "NetBSD") == 0);
	CHECK(strlen(osrelease) >= 4 && strlen(copyright) > 10 && strlen(version) > 7 + strlen(osrelease));
	CHECK(averunnable.average[0] == 0 && averunnable.scale == 2048 && rootdev == (dev_t)-1);
	CHECK(domainnamelen == 0 && domainname[0] == 0 && cold == 0);
	CHECK(ncpu == 1 && ncpuonline == 1 && physmem > 0 && maxproc > 0);
	CHECK(initproc == &proc0 && cpu_info_list != NULL && cpu_info_list == x86_curcpu());
	CHECK(cpu_number() == 0 && !cpu_intr_p() && __stack_chk_guard != 0);
	CHECK(firmware_open("driver", "image", NULL) == ENOENT && !iskmemvp(NULL));
	CHECK(popcount(0x80000001u) == 2 && popcount32(0xffffffffu) == 32);
	CHECK(seltrue(0, POLLIN, NULL) == POLLIN && seltrue_kqfilter(0, NULL) == EINVAL);
	return 0;
}

static int calls;

static void
called(void *one, void *two)
{
	calls += one == &calls && two == NULL;
}

static void
visit(void *data, void *argument, struct cpu_info *processor)
{
	(void)processor;
	calls += data == argument;
}

static int
processors(void)
{
	percpu_t *data = percpu_alloc(64);
	void *handle = pserialize_create(), *own;
	int level;

	calls = 0;
	xc_wait(xc_broadcast(0, called, &calls, NULL));
	xc_wait(xc_unicast(0, called, &calls, NULL, x86_curcpu()));
	CHECK(calls == 2);
	CHECK(data != NULL);
	own = percpu_getref(data);
	CHECK(own != NULL && ((char *)own)[0] == 0 && ((char *)own)[63] == 0);
	memset(own, 1, 64);
	percpu_putref(data);
	percpu_foreach(data, visit, own);
	CHECK(calls == 3);
	percpu_free(data, 64);
	CHECK(handle != NULL);
	level = pserialize_read_enter();
	pserialize_read_exit(level);
	pserialize_perform(handle);
	pserialize_destroy(handle);
	CHECK(splraise(IPL_BIO) == IPL_NONE && splraise(IPL_NONE) == IPL_BIO);
	spllower(IPL_SOFTBIO);
	CHECK(splraise(IPL_VM) == IPL_SOFTBIO);
	spl0();
	CHECK(splraise(IPL_NONE) == IPL_NONE);
	return 0;
}

static int
numbers(void)
{
	unsigned char bytes[32];
	void *generator = cprng_strong_create("services", IPL_NONE, 0);
	uint64_t seen = 0;
	int i;

	CHECK(generator != NULL && kern_cprng != NULL);
	/* Never zero all the time. */
#define CHECK_RANDOM(call)                                                                                 \
	for (seen = 0, i = 0; i < 8; i++)                                                                  \
		seen |= (call);                                                                            \
	CHECK(seen != 0);
	CHECK_RANDOM(cprng_fast32())
	CHECK_RANDOM(cprng_fast64())
	CHECK_RANDOM(cprng_strong32())
	CHECK_RANDOM(cprng_strong64())
	CHECK_RANDOM(arc4random())
	CHECK_RANDOM((uint64_t)random())
	memset(bytes, 0, sizeof(bytes));
	CHECK(cprng_fast(bytes, 32) == 32);
	for (seen = 0, i = 0; i < 32; i++)
		seen |= bytes[i];
	CHECK(seen != 0);
	memset(bytes, 0, sizeof(bytes));
	CHECK(cprng_strong(generator, bytes, 32, 0) == 32);
	for (seen = 0, i = 0; i < 32; i++)
		seen |= bytes[i];
	CHECK(seen != 0);
	cprng_strong_destroy(generator);
	return 0;
}

#define RND_TYPE_NET 2
#define RND_TYPE_POWER 9
#define RND_FLAG_NO_COLLECT 0x200

static int
entropy(void)
{
	static struct krndsource one, two;
	struct knote note;

	memset(&one, 0xff, sizeof(one));
	rnd_attach_source(&one, "a name that is too long", RND_TYPE_POWER, 0);
	CHECK(strcmp(one.name, "a name that is ") == 0 && one.type == RND_TYPE_POWER && one.total == 0 && one.flags == 0x7000);
	_rnd_add_uint32(&one, 7);
	_rnd_add_uint32(&one, 5);
	CHECK(one.value_delta.x == 5 && one.value_delta.dx == 2 && one.value_delta.d2x == 5 && one.value_delta.insamples == 2);
	CHECK(one.time_delta.insamples == 2 && one.total == 0);
	rnd_attach_source(&two, "net", RND_TYPE_NET, 0);
	CHECK((two.flags & RND_FLAG_NO_COLLECT) != 0 && two.list_le_next == &one);
	_rnd_add_uint32(&two, 7);
	CHECK(two.value_delta.insamples == 0);
	rnd_detach_source(&one);
	CHECK(two.list_le_next == NULL);
	rnd_detach_source(&two);
	memset(&note, 0xff, sizeof(note));
	CHECK(filt_seltrue(&note, 0) == 1 && note.kn_kevent.data == 0 && note.kn_kevent.flags == 0xffffffff);
	return 0;
}

static int
checks(void)
{
	RUN(variables());
	RUN(processors());
	RUN(entropy());
	return numbers();
}
