/* Ends the instance while it starts; HOW says by which function, NAME is the module. */
#include "kernel.h"

MODULE_RECORD(services_end, NETBSD_VERSION, MODULE_CLASS_MISC, NAME, NULL);

void vpanic(const char *, va_list) __attribute__((noreturn));
void kern_assert(const char *, ...), __stack_chk_fail(void), __stack_chk_fail_local(void);
void soisconnected(struct socket *);
void cpu_reboot(int, char *) __attribute__((noreturn));

void mutex_init(struct kmutex *, int, int), mutex_destroy(struct kmutex *), mutex_enter(struct kmutex *);
void rw_init(struct krwlock *), rw_destroy(struct krwlock *), rw_enter(struct krwlock *, int);

/* Uses of locks that are no more. */
static void __attribute__((unused))
after_destroy(void)
{
	struct kmutex lock;

	mutex_init(&lock, MUTEX_DEFAULT, IPL_NONE);
	mutex_destroy(&lock);
	mutex_enter(&lock);
}

static void __attribute__((unused))
after_rw_destroy(void)
{
	struct krwlock lock;

	rw_init(&lock);
	rw_destroy(&lock);
	rw_enter(&lock, RW_READER);
}

int kthread_create(int, int, struct cpu_info *, void (*)(void *), void *, struct lwp **, const char *, ...);
int kpause(const char *, bool, int, struct kmutex *);
void cv_init(struct kcondvar *, const char *), cv_wait(struct kcondvar *, struct kmutex *);

static void __attribute__((unused))
panics(void *argument)
{
	panic("services_end: %s", (const char *)argument);
}

/* The thread ends the instance when this start returns. */
static void __attribute__((unused))
in_thread(void)
{
	kthread_create(PRI_NONE, 0, NULL, panics, (void *)(uintptr_t)"in a thread", NULL, "doomed");
}

static struct kmutex dead_lock;
static struct kcondvar never;

static void __attribute__((unused))
keeps(void *argument)
{
	struct kmutex other;

	(void)argument;
	mutex_enter(&dead_lock);
	mutex_init(&other, MUTEX_DEFAULT, IPL_NONE);
	mutex_enter(&other);
	cv_wait(&never, &other);
}

static void __attribute__((unused))
deadlock(void)
{
	mutex_init(&dead_lock, MUTEX_DEFAULT, IPL_NONE);
	cv_init(&never, "never");
	kthread_create(PRI_NONE, 0, NULL, keeps, NULL, NULL, "keeper");
	kpause("keeper", false, 1, NULL);
	mutex_enter(&dead_lock);
}

/* Not all variants use it. */
static void __attribute__((unused, format(printf, 1, 2)))
through_list(const char *format, ...)
{
	va_list list;

	__builtin_va_start(list, format);
	vpanic(format, list);
}

static int
services_end_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	if (command == MODULE_CMD_INIT) {
		HOW;
		return EIO;
	}
	return ENOTTY;
}
