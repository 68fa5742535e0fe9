/* Does what no module should, while it starts: STORE, DIVIDE, LOOP, or JUMP. */
#include "kernel.h"

#ifndef CLASS
#define CLASS MODULE_CLASS_MISC
#endif

MODULE_RECORD(crash, NETBSD_VERSION, CLASS, NAME, NULL);

volatile int crash_zero;
volatile uintptr_t crash_address = 0x10;

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
#else
#error "how to crash"
#endif
	return 0;
}
