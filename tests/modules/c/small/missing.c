/* Needs three symbols that nobody offers. */
#include "kernel.h"

MODULE(MODULE_CLASS_MISC, missing, NULL);

int no_such_function(int);
int another_missing_function(void);
extern int no_such_variable;

static int
missing_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	return no_such_function(command) + another_missing_function() + no_such_variable;
}
