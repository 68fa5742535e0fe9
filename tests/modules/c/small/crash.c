/* Does what no module should, while it starts: STORE, DIVIDE, LOOP, JUMP, PASS, PANIC or, in a kernel thread, THREAD. */
#include "kernel.h"

#ifndef CLASS
#define CLASS MODULE_CLASS_MISC
#endif

MODULE_RECORD(crash, NETBSD_VERSION, CLASS, NAME, NULL);

volatile int crash_zero;
volatile uintptr_t crash_address = 0x10;

#ifdef PASS
/* The kernel's own code faults. */
static __attribute__((noinline)) int
crash_pass(void)
{
	return (int)strlen((const char *)crash_address) + crash_zero;
}
#elif defined(THREAD)
int kthread_create(int, int, struct cpu_info *, void (*)(void *), void *, struct lwp **, const char *, ...);

static void
crash_thread(void *argument)
{
	*(volatile int *)argument = 1;
}
#elif defined(PANIC)
static __attribute__((noinline)) int
crash_panic(void)
{
	if (crash_zero == 0)
		panic("number %d", 7);
	return 0;
}
#endif

static int
crash_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	if (command != MODULE_CMD_INIT)
		return ENOTTY;
#if defined(STORE)
	*(volatile int *)crash_address = 1;
#elif defined(DIVIDE)
	/* Compilers make comparisons of 1 / x. */
	return 1000 / crash_zero;
#elif defined(LOOP)
	for (;;)
		continue;
#elif defined(JUMP)
	/* A call, not a jump: what jumped is told from the return address. */
	return ((int (*)(void))crash_address)() + crash_zero;
#elif defined(PASS)
	return crash_pass() + crash_zero;
#elif defined(THREAD)
	return kthread_create(PRI_NONE, 0, NULL, crash_thread, (void *)crash_address, NULL, "crash");
#elif defined(PANIC)
	return crash_panic() + crash_zero;
#else
#error "how to crash"
#endif
	return 0;
}
