/* Messages. The test reads what arrives at the console. */
#include "services.h"

SERVICES(services_print);

typedef struct device *device_t;
void vprintf(const char *, va_list), printf_nolog(const char *, ...), uprintf(const char *, ...);
void log(int, const char *, ...), vlog(int, const char *, va_list), addlog(const char *, ...);
int snprintf(char *, size_t, const char *, ...), sprintf(char *, const char *, ...);
int vsnprintf(char *, size_t, const char *, va_list), vsprintf(char *, const char *, va_list);
int snprintb(char *, size_t, const char *, uint64_t);
int strcmp(const char *, const char *);
void aprint_error(const char *, ...), aprint_normal(const char *, ...), aprint_naive(const char *, ...);
void aprint_verbose(const char *, ...), aprint_debug(const char *, ...);
void device_printf(device_t, const char *, ...), aprint_error_dev(device_t, const char *, ...);
void aprint_normal_dev(device_t, const char *, ...), aprint_naive_dev(device_t, const char *, ...);
void aprint_verbose_dev(device_t, const char *, ...), aprint_debug_dev(device_t, const char *, ...);
extern int boothowto;

static int __attribute__((format(printf, 3, 4)))
through_lists(char *buffer, size_t size, const char *format, ...)
{
	va_list list;
	int len;

	__builtin_va_start(list, format);
	len = size == 0 ? vsprintf(buffer, format, list) : vsnprintf(buffer, size, format, list);
	__builtin_va_end(list);
	__builtin_va_start(list, format);
	vprintf(format, list);
	__builtin_va_end(list);
	__builtin_va_start(list, format);
	vlog(3, format, list);
	__builtin_va_end(list);
	return len;
}

static int
buffers(void)
{
	char buffer[64];

	CHECK(snprintf(buffer, 8, "%s-%05d", "ab", -42) == 8 && strcmp(buffer, "ab--004") == 0);
	CHECK(snprintf(buffer, sizeof(buffer), "%#x %lld %c %%", 255, -(1ll << 40), 'c') == 23);
	CHECK(strcmp(buffer, "0xff -1099511627776 c %") == 0);
	CHECK(sprintf(buffer, "%3u|%-3u|%p", 7, 8, (void *)0x10) == 12 && strcmp(buffer, "  7|8  |0x10") == 0);
	CHECK(through_lists(buffer, 0, "list %d of %s\n", 1, "two") == 14 && strcmp(buffer, "list 1 of two\n") == 0);
	CHECK(through_lists(buffer, 5, "short %d\n", 1) == 8 && strcmp(buffer, "shor") == 0);
	CHECK(snprintb(buffer, sizeof(buffer), "\20\1ONE\2TWO\5FIVE", 0x11) == 14);
	CHECK(strcmp(buffer, "0x11<ONE,FIVE>") == 0);
	return 0;
}

static int
checks(void)
{
	const int kept = boothowto;

	RUN(buffers());
	printf("print: %s %d\n", "printf", 1);
	printf_nolog("print: %s %d\n", "printf_nolog", 2);
	uprintf("print: %s %d\n", "uprintf", 3);
	log(3, "print: %s %d\n", "log", 4);
	addlog("print: %s %d\n", "addlog", 5);
	aprint_error("print: %s %d\n", "aprint_error", 6);
	aprint_normal("print: %s %d\n", "aprint_normal", 7);
	aprint_verbose("print: %s\n", "not wanted");
	boothowto = AB_VERBOSE | AB_DEBUG;
	aprint_verbose("print: %s %d\n", "aprint_verbose", 8);
	aprint_debug("print: %s %d\n", "aprint_debug", 9);
	aprint_verbose_dev(NULL, "%s\n", "aprint_verbose_dev");
	aprint_debug_dev(NULL, "%s\n", "aprint_debug_dev");
	boothowto = AB_QUIET;
	aprint_normal("print: %s\n", "not wanted");
	aprint_naive("print: %s %d\n", "aprint_naive", 10);
	aprint_naive_dev(NULL, "%s\n", "aprint_naive_dev");
	boothowto = 0;
	aprint_normal_dev(NULL, "%s\n", "aprint_normal_dev");
	aprint_error_dev(NULL, "%s\n", "aprint_error_dev");
	device_printf(NULL, "%s\n", "device_printf");
	boothowto = kept;
	return 0;
}
