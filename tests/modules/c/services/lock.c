/* Mutexes, read/write locks, condition variables, the big lock. */
#include "services.h"

SERVICES(services_lock);

typedef struct kmutex kmutex_t;
typedef struct krwlock krwlock_t;
typedef struct kcondvar kcondvar_t;
void mutex_init(kmutex_t *, int, int), mutex_destroy(kmutex_t *), mutex_enter(kmutex_t *), mutex_exit(kmutex_t *);
extern kmutex_t mountlist_lock;
void _mutex_init(kmutex_t *, int, int, uintptr_t);
void mutex_spin_enter(kmutex_t *), mutex_spin_exit(kmutex_t *);
int mutex_tryenter(kmutex_t *), mutex_owned(kmutex_t *), mutex_ownable(kmutex_t *);
kmutex_t *mutex_obj_alloc(int, int);
void mutex_obj_hold(kmutex_t *);
bool mutex_obj_free(kmutex_t *);
unsigned mutex_obj_refcnt(kmutex_t *);
void rw_init(krwlock_t *), _rw_init(krwlock_t *, uintptr_t), rw_destroy(krwlock_t *);
void rw_enter(krwlock_t *, int), rw_exit(krwlock_t *), rw_downgrade(krwlock_t *);
int rw_tryenter(krwlock_t *, int), rw_tryupgrade(krwlock_t *);
int rw_read_held(krwlock_t *), rw_write_held(krwlock_t *), rw_lock_held(krwlock_t *), rw_lock_op(krwlock_t *);
krwlock_t *rw_obj_alloc(void);
void rw_obj_hold(krwlock_t *);
bool rw_obj_free(krwlock_t *);
unsigned rw_obj_refcnt(krwlock_t *);
void cv_init(kcondvar_t *, const char *), cv_destroy(kcondvar_t *), cv_wait(kcondvar_t *, kmutex_t *);
int cv_wait_sig(kcondvar_t *, kmutex_t *), cv_timedwait(kcondvar_t *, kmutex_t *, int);
int cv_timedwait_sig(kcondvar_t *, kmutex_t *, int);
void cv_broadcast(kcondvar_t *), cv_signal(kcondvar_t *);
bool cv_has_waiters(kcondvar_t *), cv_is_valid(kcondvar_t *);
void callout_init(struct callout *, unsigned), callout_reset(struct callout *, int, void (*)(void *), void *);
void callout_destroy(struct callout *);
void _kernel_lock(int), _kernel_unlock(int, int *);

static int
mutexes(void)
{
	kmutex_t lock, *object;

	memset(&lock, 0xff, sizeof(lock));
	mutex_enter(&mountlist_lock);
	CHECK(mutex_owned(&mountlist_lock));
	mutex_exit(&mountlist_lock);
	mutex_init(&lock, MUTEX_DEFAULT, IPL_NONE);
	CHECK(!mutex_owned(&lock) && mutex_ownable(&lock));
	mutex_enter(&lock);
	CHECK(mutex_owned(&lock));
	mutex_exit(&lock);
	CHECK(!mutex_owned(&lock) && mutex_tryenter(&lock) && mutex_owned(&lock) && !mutex_tryenter(&lock));
	mutex_exit(&lock);
	mutex_destroy(&lock);
	memset(&lock, 0xff, sizeof(lock));
	_mutex_init(&lock, MUTEX_DEFAULT, IPL_VM, 0);
	mutex_spin_enter(&lock);
	CHECK(mutex_owned(&lock));
	mutex_spin_exit(&lock);
	CHECK(!mutex_owned(&lock));
	mutex_destroy(&lock);
	object = mutex_obj_alloc(MUTEX_DEFAULT, IPL_NONE);
	CHECK(object != NULL && mutex_obj_refcnt(object) == 1);
	mutex_obj_hold(object);
	CHECK(mutex_obj_refcnt(object) == 2 && !mutex_obj_free(object) && mutex_tryenter(object));
	mutex_exit(object);
	CHECK(mutex_obj_free(object));
	return 0;
}

static int
rwlocks(void)
{
	krwlock_t lock, *object;

	memset(&lock, 0xff, sizeof(lock));
	rw_init(&lock);
	CHECK(!rw_lock_held(&lock));
	rw_enter(&lock, RW_READER);
	CHECK(rw_read_held(&lock) && !rw_write_held(&lock) && rw_lock_held(&lock) && rw_lock_op(&lock) == RW_READER);
	CHECK(rw_tryenter(&lock, RW_READER) && !rw_tryenter(&lock, RW_WRITER) && !rw_tryupgrade(&lock));
	rw_exit(&lock);
	CHECK(rw_tryupgrade(&lock) && rw_write_held(&lock) && rw_lock_op(&lock) == RW_WRITER && !rw_tryenter(&lock, RW_READER));
	rw_downgrade(&lock);
	CHECK(rw_read_held(&lock) && !rw_write_held(&lock));
	rw_exit(&lock);
	CHECK(!rw_lock_held(&lock));
	rw_destroy(&lock);
	memset(&lock, 0xff, sizeof(lock));
	_rw_init(&lock, 0);
	CHECK(rw_tryenter(&lock, RW_WRITER) && rw_write_held(&lock));
	rw_exit(&lock);
	rw_destroy(&lock);
	object = rw_obj_alloc();
	CHECK(object != NULL && rw_obj_refcnt(object) == 1);
	rw_obj_hold(object);
	CHECK(rw_obj_refcnt(object) == 2 && !rw_obj_free(object) && rw_tryenter(object, RW_WRITER));
	rw_exit(object);
	CHECK(rw_obj_free(object));
	return 0;
}

struct meeting {
	kcondvar_t cv;
	kmutex_t lock;
	struct callout callout;
	bool all, arrived, waited;
};

static void
arrive(void *argument)
{
	struct meeting *meeting = argument;

	meeting->waited = cv_has_waiters(&meeting->cv);
	meeting->arrived = true;
	if (meeting->all)
		cv_broadcast(&meeting->cv);
	else
		cv_signal(&meeting->cv);
}

static void
expect_arrival(struct meeting *meeting, bool all)
{
	meeting->all = all;
	meeting->arrived = meeting->waited = false;
	callout_reset(&meeting->callout, 1, arrive, meeting);
}

static int
conditions(void)
{
	struct meeting meeting;

	memset(&meeting, 0, sizeof(meeting));
	CHECK(!cv_is_valid(&meeting.cv));
	cv_init(&meeting.cv, "services");
	CHECK(cv_is_valid(&meeting.cv) && !cv_has_waiters(&meeting.cv));
	mutex_init(&meeting.lock, MUTEX_DEFAULT, IPL_NONE);
	callout_init(&meeting.callout, 0);
	mutex_enter(&meeting.lock);
	expect_arrival(&meeting, false);
	cv_wait(&meeting.cv, &meeting.lock);
	CHECK(meeting.arrived && meeting.waited && mutex_owned(&meeting.lock));
	expect_arrival(&meeting, true);
	CHECK(cv_wait_sig(&meeting.cv, &meeting.lock) == 0 && meeting.arrived);
	expect_arrival(&meeting, true);
	CHECK(cv_timedwait(&meeting.cv, &meeting.lock, 100) == 0 && meeting.arrived);
	CHECK(cv_timedwait(&meeting.cv, &meeting.lock, 2) == EWOULDBLOCK);
	CHECK(cv_timedwait_sig(&meeting.cv, &meeting.lock, 2) == EWOULDBLOCK);
	mutex_exit(&meeting.lock);
	callout_destroy(&meeting.callout);
	mutex_destroy(&meeting.lock);
	cv_destroy(&meeting.cv);
	CHECK(!cv_is_valid(&meeting.cv));
	return 0;
}

static int
checks(void)
{
	int held = 0;

	RUN(mutexes());
	RUN(rwlocks());
	RUN(conditions());
	_kernel_lock(1);
	_kernel_unlock(1, &held);
	CHECK(held == 1);
	return 0;
}
