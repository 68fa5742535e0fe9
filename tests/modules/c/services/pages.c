/* Pages of objects that no file stands behind, and of what pagers are made. */
#include "services.h"
#include "writing.h"

SERVICES(services_pages);

#if NETBSD_VERSION >= 1000000000
struct uvm_object *uao_create(off_t, int);
struct krwlock *rw_obj_alloc(void);
void uvm_obj_setlock(struct uvm_object *, struct krwlock *), rw_obj_free(struct krwlock *), rw_obj_hold(struct krwlock *);
unsigned rw_obj_refcnt(struct krwlock *);
#define lock_alloc() rw_obj_alloc()
#define lock_hold rw_obj_hold
#define lock_free rw_obj_free
#define lock_count rw_obj_refcnt
typedef struct krwlock lock_t;
#else
struct uvm_object *uao_create(vsize_t, int);
struct kmutex *mutex_obj_alloc(int, int);
void uvm_obj_setlock(struct uvm_object *, struct kmutex *), mutex_obj_free(struct kmutex *), mutex_obj_hold(struct kmutex *);
unsigned mutex_obj_refcnt(struct kmutex *);
#define lock_alloc() mutex_obj_alloc(0, 0)
#define lock_hold mutex_obj_hold
#define lock_free mutex_obj_free
#define lock_count mutex_obj_refcnt
typedef struct kmutex lock_t;
#endif
void uao_detach(struct uvm_object *);
extern const struct uvm_pagerops uvm_vnodeops;
extern struct uvmexp uvmexp;

/* Copies to or from an object. */
static int
copy(struct uvm_object *object, int direction, void *bytes, size_t length, off_t offset)
{
	struct iovec vector = { .iov_base = bytes, .iov_len = length };
	struct uio uio = { .uio_iov = &vector, .uio_iovcnt = 1, .uio_resid = length, .uio_offset = offset, .uio_rw = direction };

	uio_setup_sysspace(&uio);
	return ubc_uiomove(object, &uio, length, 0, direction == UIO_READ ? UBC_READ : UBC_WRITE);
}

static int
anonymous(void)
{
	struct uvm_object *object = uao_create(100000, 0), *second = uao_create(4096, 0);
	lock_t *lock;
	char text[] = "held in memory", back[sizeof(text)] = { 0 };
	uint32_t pages;

	CHECK(object != NULL && second != NULL && object != second);
	pages = uvmexp.anonpages;
	CHECK(copy(object, UIO_WRITE, text, sizeof(text), 70000) == 0 && copy(object, UIO_READ, back, sizeof(back), 70000) == 0);
	CHECK(memcmp(text, back, sizeof(text)) == 0 && (uint32_t)uvmexp.anonpages == pages + 1 && uvmexp.pagesize == PAGE_SIZE);
	CHECK(copy(second, UIO_READ, back, sizeof(back), 0) == 0 && back[0] == 0);
	/* Both are locked by one lock from now on. */
	lock = lock_alloc();
	CHECK(lock_count(lock) == 1);
	lock_hold(lock);
	uvm_obj_setlock(object, lock);
	uvm_obj_setlock(second, lock);
	CHECK((void *)object->vmobjlock == lock && (void *)second->vmobjlock == lock && lock_count(lock) == 2);
	CHECK(copy(object, UIO_READ, back, sizeof(back), 70000) == 0 && memcmp(text, back, sizeof(text)) == 0);
	lock_hold(lock);
	uao_detach(second);
	CHECK(lock_count(lock) == 2);
	uao_detach(object);
	CHECK(lock_count(lock) == 1);
	lock_free(lock);
	CHECK((uint32_t)uvmexp.anonpages == pages);
	return 0;
}

/* Vnodes are objects whose pager counts references. */
static int
vnodes(void)
{
	void (*reference)(struct uvm_object *) = uvm_vnodeops.pgo_reference, (*detach)(struct uvm_object *) = uvm_vnodeops.pgo_detach;
	struct vnode *vp = NULL;

	CHECK(namei_simple_user("/dev", NSM_FOLLOW_NOEMULROOT, &vp) == 0 && vp->v_uobj.pgops == &uvm_vnodeops);
	reference(&vp->v_uobj);
	vrele(vp);
	detach(&vp->v_uobj);
	return 0;
}

static int
checks(void)
{
	RUN(anonymous());
	RUN(vnodes());
	return 0;
}
