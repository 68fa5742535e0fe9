/* Ends the instance while it starts; HOW says by which function, NAME is the module. */
#include "kernel.h"

MODULE_RECORD(services_end, NETBSD_VERSION, MODULE_CLASS_MISC, NAME, NULL);

void vpanic(const char *, va_list) __attribute__((noreturn));
void kern_assert(const char *, ...), __stack_chk_fail(void), __stack_chk_fail_local(void);
void kthread_exit(int) __attribute__((noreturn));
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
