/* Exports to others; says when it comes and goes. */
#include "module.h"

int provided_calls;
int provided(int value)
{
	provided_calls++;
	return value + 1;
}
EXPORT(provided);
EXPORT_GPL(provided_calls);

INIT int init_module(void)
{
	_printk("\0016provider came\n");
	return 0;
}

EXIT void cleanup_module(void)
{
	_printk("provider went\n");
}
