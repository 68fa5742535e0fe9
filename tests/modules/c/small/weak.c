/* Defines a weak function and calls it; with WANTED, also refers weakly to a function that a server may offer. */
#include "kernel.h"

#ifndef WANTED
#define WANTED 0
#endif

MODULE_RECORD(weak, NETBSD_VERSION, MODULE_CLASS_MISC, WANTED ? "weak_undefined" : "weak_defined", NULL);

int weak_default(int) __attribute__((weak, noinline));
int optional_service(int) __attribute__((weak));

int
weak_default(int value)
{
	return value - 7;
}

static int
weak_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
#if WANTED
		return optional_service(weak_default(7));
#else
		return weak_default(7);
#endif
	case MODULE_CMD_FINI:
		return 0;
	default:
		return ENOTTY;
	}
}
