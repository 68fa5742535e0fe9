/* Asks the kernel for another module while it starts. */
#include "kernel.h"

MODULE(MODULE_CLASS_MISC, init_loads, NULL);

static int
init_loads_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
		return module_autoload("hello", MODULE_CLASS_ANY);
	case MODULE_CMD_FINI:
		return 0;
	default:
		return ENOTTY;
	}
}
