/* Uses what another exports; takes parameters. FAILS makes its init fail. */
#include "module.h"

int provided(int);
static int number = 5;
static char *text = "nothing";
static _Bool flag;
PARAMETER(number, int);
PARAMETER(text, charp);
PARAMETER(flag, bool);

int used(int value)
{
	return provided(value) + number;
}
EXPORT(used);

INIT int init_module(void)
{
#ifdef FAILS
	static struct {
		const char *charset;
		void *more[7];
	} table = { "left-behind" };
	__register_nls(&table, &__this_module);
	return -19;
#endif
	_printk("user: %s %d %d\n", text, number, flag);
	return 0;
}

EXIT void cleanup_module(void)
{
	_printk("user went\n");
}
