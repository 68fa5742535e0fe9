/* Calls whatever it is told to, by address or by number, and recurses for ever. */
#include "kernel.h"

MODULE(MODULE_CLASS_MISC, caller, NULL);

volatile int caller_zero;

#define FOUR_TYPES uintptr_t, uintptr_t, uintptr_t, uintptr_t
/* More arguments than any function takes, so that none is what happens to lie on the stack. */
#define TYPES (FOUR_TYPES, FOUR_TYPES)
#define REST argument, argument, argument, argument, argument

/* The same number for all arguments. The result is not looked at. */
int
caller_call(int (*function)TYPES, uintptr_t argument)
{
	return function(argument, argument, argument, REST) + caller_zero;
}

/*
 * Calls that name the function. Its third argument, a length often, is not zero. The label keeps the compiler from knowing better
 * what strlen takes.
 */
#define NAMED(name) \
	int caller_##name TYPES __asm__(#name);
#include "caller.h"
#undef NAMED

int
caller_named(int number, uintptr_t argument)
{
	int here = 0;

#define NAMED(name)                                                                                        \
	if (number == here++)                                                                              \
		return caller_##name(argument, argument, argument | 1, REST) + caller_zero;
#include "caller.h"
#undef NAMED
	return -1;
}

/* Uses up the stack, unless `depth` is 0. */
int
caller_recurse(int depth)
{
	volatile char room[256];

	if (depth == caller_zero)
		return 0;
	room[0] = (char)depth;
	return caller_recurse(depth + 1) + room[0] + caller_zero;
}

static int
caller_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	return command == MODULE_CMD_INIT || command == MODULE_CMD_FINI ? 0 : ENOTTY;
}
