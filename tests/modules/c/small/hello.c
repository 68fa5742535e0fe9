/* Says hello and goodbye, and offers a function to others. */
#include "kernel.h"

MODULE(MODULE_CLASS_MISC, hello, NULL);

int hello_greetings;

int
hello_greet(const char *whom)
{
	printf("hello: greetings to %s\n", whom);
	return ++hello_greetings;
}

static int
hello_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
		printf("hello: init\n");
		return 0;
	case MODULE_CMD_FINI:
		printf("hello: fini\n");
		return 0;
	default:
		return ENOTTY;
	}
}
