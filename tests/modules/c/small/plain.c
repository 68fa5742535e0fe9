/* Answers each command with a number that the command line gives, and does nothing else. */
#include "kernel.h"

#ifndef NAME
#error "NAME: the module's name"
#endif
#ifndef VERSION
#define VERSION NETBSD_VERSION
#endif
#ifndef CLASS
#define CLASS MODULE_CLASS_MISC
#endif
#ifndef REQUIRED
#define REQUIRED NULL
#endif
#ifndef ON_INIT
#define ON_INIT 0
#endif
#ifndef ON_FINI
#define ON_FINI 0
#endif
#ifndef ON_AUTOUNLOAD
#define ON_AUTOUNLOAD ENOTTY
#endif

MODULE_RECORD(plain, VERSION, CLASS, NAME, REQUIRED);

/* Data, so that the module has all segments. */
static int last_command = -1;

static int
plain_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	last_command = command;
	switch (command) {
	case MODULE_CMD_INIT:
		return ON_INIT;
	case MODULE_CMD_FINI:
		return ON_FINI;
	case MODULE_CMD_AUTOUNLOAD:
		return ON_AUTOUNLOAD;
	default:
		return ENOTTY;
	}
}
