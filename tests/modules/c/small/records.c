/* A module with RECORDS records: none, or two. */
#include "kernel.h"

int
records_modcmd_of(modcmd_t command)
{
	return command == MODULE_CMD_INIT || command == MODULE_CMD_FINI ? 0 : ENOTTY;
}

#if RECORDS == 2
MODULE(MODULE_CLASS_MISC, two_records, NULL);
MODULE(MODULE_CLASS_MISC, second_record, NULL);

static int
two_records_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	return records_modcmd_of(command);
}

static int
second_record_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	return records_modcmd_of(command);
}
#endif
