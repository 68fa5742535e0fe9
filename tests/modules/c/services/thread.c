/* Kernel threads: made, switched to where somebody sleeps, ended, joined; one that lives as long as the module. */
#include "services.h"

MODULE(MODULE_CLASS_MISC, services_thread, NULL);

typedef struct kmutex kmutex_t;
typedef struct kcondvar kcondvar_t;
void mutex_init(kmutex_t *, int, int), mutex_destroy(kmutex_t *), mutex_enter(kmutex_t *), mutex_exit(kmutex_t *);
int mutex_owned(kmutex_t *), mutex_tryenter(kmutex_t *);
void rw_init(struct krwlock *), rw_destroy(struct krwlock *), rw_enter(struct krwlock *, int), rw_exit(struct krwlock *);
int rw_tryenter(struct krwlock *, int), rw_write_held(struct krwlock *);
void cv_init(kcondvar_t *, const char *), cv_destroy(kcondvar_t *), cv_wait(kcondvar_t *, kmutex_t *);
int cv_timedwait(kcondvar_t *, kmutex_t *, int);
void cv_broadcast(kcondvar_t *), cv_signal(kcondvar_t *);
int kpause(const char *, bool, int, kmutex_t *);
void yield(void);
int strcmp(const char *, const char *);
int kthread_create(int, int, struct cpu_info *, void (*)(void *), void *, struct lwp **, const char *, ...)
	__attribute__((format(printf, 7, 8)));
int kthread_join(struct lwp *);
/* Not declared as one that never returns: the check is that it does not. */
void kthread_exit(int);

/* The table of NetBSD 10 does not have them. */
#ifndef KTHREAD_MPSAFE
#define KTHREAD_MPSAFE 0x02
#define KTHREAD_MUSTJOIN 0x10
#endif

extern struct lwp lwp0;
extern struct proc proc0;

static struct kmutex mutex;
static struct kcondvar turn;
static struct krwlock table;
static struct lwp *seen;
static unsigned rounds;
static bool is_over, is_served, returned;

static void
once(void *argument)
{
	seen = curlwp;
	*(int *)argument += 1;
	kthread_exit(0);
	returned = true;
}

static int
joined(void)
{
	struct lwp *lwp = NULL;
	int runs = 0;

	CHECK(kthread_create(PRI_NONE, KTHREAD_MPSAFE | KTHREAD_MUSTJOIN, NULL, once, &runs, &lwp, "%s%d", "once", 7) == 0);
	CHECK(lwp != NULL && lwp != &lwp0 && runs == 0 && curlwp == &lwp0);
	CHECK(lwp->l_proc == &proc0 && lwp->l_cred == lwp0.l_cred && lwp->l_lid != lwp0.l_lid);
	CHECK(strcmp(lwp->l_name, "once7") == 0);
	CHECK(kthread_join(lwp) == 0);
	CHECK(runs == 1 && seen == lwp && curlwp == &lwp0 && !returned);

	/* A thread that is not to be joined runs when its maker sleeps, and is gone by itself. */
	CHECK(kthread_create(PRI_NONE, 0, NULL, once, &runs, NULL, "once") == 0);
	yield();
	CHECK(runs == 2);
	return 0;
}

/* Takes turns with the module's start, then waits for its end. */
static void
served(void *argument)
{
	(void)argument;
	mutex_enter(&mutex);
	while (!is_over) {
		rounds++;
		cv_broadcast(&turn);
		cv_wait(&turn, &mutex);
	}
	is_served = true;
	cv_broadcast(&turn);
	mutex_exit(&mutex);
	kthread_exit(0);
}

static int
turns(void)
{
	CHECK(kthread_create(PRI_NONE, KTHREAD_MPSAFE, NULL, served, NULL, NULL, "served") == 0);
	mutex_enter(&mutex);
	for (unsigned wanted = 1; wanted <= 3; wanted++) {
		while (rounds < wanted)
			cv_wait(&turn, &mutex);
		CHECK(rounds == wanted && mutex_owned(&mutex));
		cv_broadcast(&turn);
	}
	mutex_exit(&mutex);
	return 0;
}

static void
sleeps_with_locks(void *argument)
{
	int *state = argument;

	mutex_enter(&mutex);
	rw_enter(&table, RW_WRITER);
	*state = 1;
	kpause("locks", false, 2, NULL);
	*state = 2;
	rw_exit(&table);
	mutex_exit(&mutex);
	/* Without the mutex while it sleeps. */
	mutex_enter(&mutex);
	kpause("mutex", false, 2, &mutex);
	*state = mutex_owned(&mutex) ? 3 : -1;
	mutex_exit(&mutex);
	kthread_exit(0);
}

static int
locks(void)
{
	struct lwp *lwp;
	int state = 0;

	CHECK(kthread_create(PRI_NONE, KTHREAD_MUSTJOIN, NULL, sleeps_with_locks, &state, &lwp, "locks") == 0);
	yield();
	CHECK(state == 1);
	CHECK(!mutex_owned(&mutex) && !mutex_tryenter(&mutex));
	CHECK(!rw_write_held(&table) && !rw_tryenter(&table, RW_READER));
	rw_enter(&table, RW_READER);
	CHECK(state == 2);
	rw_exit(&table);
	mutex_enter(&mutex);
	CHECK(mutex_owned(&mutex));
	mutex_exit(&mutex);
	CHECK(kthread_join(lwp) == 0 && state == 3);
	return 0;
}

static int
checks(void)
{
	mutex_init(&mutex, MUTEX_DEFAULT, IPL_NONE);
	cv_init(&turn, "turn");
	rw_init(&table);
	RUN(joined());
	RUN(turns());
	RUN(locks());
	return 0;
}

/* The thread has slept since the start, in another entry. */
static int
stop(void)
{
	CHECK(rounds == 4);
	mutex_enter(&mutex);
	is_over = true;
	cv_broadcast(&turn);
	while (!is_served)
		cv_wait(&turn, &mutex);
	mutex_exit(&mutex);
	cv_destroy(&turn);
	mutex_destroy(&mutex);
	rw_destroy(&table);
	return 0;
}

static int
services_thread_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	return command == MODULE_CMD_INIT ? checks() : command == MODULE_CMD_FINI ? stop() : ENOTTY;
}
