/* Panics instead of finishing. */
#include "kernel.h"

MODULE(MODULE_CLASS_MISC, fini_panics, NULL);

static int
fini_panics_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
		return 0;
	case MODULE_CMD_FINI:
		panic("fini_panics: %s %d", "asked to finish with", command);
	default:
		return ENOTTY;
	}
}
