/* Requires hello and calls it. */
#include "kernel.h"

MODULE(MODULE_CLASS_MISC, polite, "hello");

int hello_greet(const char *);

static int
polite_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
		return hello_greet("polite") > 0 ? 0 : EIO;
	case MODULE_CMD_FINI:
		return 0;
	default:
		return ENOTTY;
	}
}
