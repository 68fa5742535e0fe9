/*
 * Modules that call services of the base kernel and check what they do: init runs `checks`, says which check failed and
 * fails with EIO. A service that did nothing would fail one of them.
 */
#ifndef SERVICES_H
#define SERVICES_H

#include "kernel.h"

#define CHECK(condition)                                                                                   \
	do {                                                                                               \
		if (!(condition)) {                                                                        \
			printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                             \
			return EIO;                                                                        \
		}                                                                                          \
	} while (0)

/* Runs checks that lie in a function of their own. */
#define RUN(checks)                                                                                        \
	do {                                                                                               \
		int error_ = (checks);                                                                     \
		if (error_ != 0)                                                                           \
			return error_;                                                                     \
	} while (0)

#define SERVICES(id)                                                                                       \
	MODULE(MODULE_CLASS_MISC, id, NULL);                                                               \
	static int checks(void);                                                                           \
	static int JOIN(id, _modcmd)(modcmd_t command, void *argument)                                     \
	{                                                                                                  \
		(void)argument;                                                                            \
		return command == MODULE_CMD_INIT ? checks() : command == MODULE_CMD_FINI ? 0 : ENOTTY;    \
	}                                                                                                  \
	struct services_end_of_declaration

#endif
