/* Has common symbols: space that the linker gives them, or not. */
#include "kernel.h"

MODULE_RECORD(common, NETBSD_VERSION, MODULE_CLASS_MISC, NAME, NULL);

int common_counter;
char common_buffer[100];

static int
common_modcmd(modcmd_t command, void *argument)
{
	size_t i;

	(void)argument;
	for (i = 0; i < sizeof(common_buffer); i++)
		if (common_buffer[i] != 0)
			return EIO;
	common_counter += command == MODULE_CMD_INIT;
	return command == MODULE_CMD_INIT || command == MODULE_CMD_FINI ? common_counter - 1 : ENOTTY;
}
