/* Its symbols' names end alike, so that the string table holds one inside the other: attach in vfs_attach. */
#include "kernel.h"

MODULE(MODULE_CLASS_MISC, tails, NULL);

int
attach(struct vfsops *operations)
{
	return vfs_attach(operations) == 0 ? 0 : EEXIST;
}

static int
tails_modcmd(modcmd_t command, void *argument)
{
	static struct vfsops operations = { .vfs_name = "tails" };

	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
		return attach(&operations);
	case MODULE_CMD_FINI:
		return vfs_detach(&operations);
	default:
		return ENOTTY;
	}
}
