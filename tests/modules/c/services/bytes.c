/* Bytes, strings, arithmetic. */
#include "services.h"

SERVICES(services_bytes);

void *memmove(void *, const void *, size_t);
void *memchr(const void *, int, size_t);
void bcopy(const void *, void *, size_t), bzero(void *, size_t);
int bcmp(const void *, const void *, size_t);
void *explicit_memset(void *, int, size_t);
size_t strnlen(const char *, size_t);
int strcmp(const char *, const char *), strncmp(const char *, const char *, size_t);
int strcasecmp(const char *, const char *), strncasecmp(const char *, const char *, size_t);
char *strcpy(char *, const char *), *strcat(char *, const char *);
char *strncpy(char *, const char *, size_t), *strncat(char *, const char *, size_t);
size_t strlcpy(char *, const char *, size_t), strlcat(char *, const char *, size_t);
char *strchr(const char *, int), *strrchr(const char *, int), *strstr(const char *, const char *);
char *strsep(char **, const char *);
unsigned long strtoul(const char *, char **, int);
unsigned long long strtoull(const char *, char **, int);
long long strtoll(const char *, char **, int);
int scanc(unsigned, const unsigned char *, const unsigned char *, int), skpc(int, size_t, unsigned char *);
int ffs(int);
uint16_t bswap16(uint16_t);
uint32_t bswap32(uint32_t);
uint64_t bswap64(uint64_t);
uint32_t crc32(uint32_t, const uint8_t *, size_t);
int64_t __divdi3(int64_t, int64_t), __moddi3(int64_t, int64_t);
uint64_t __udivdi3(uint64_t, uint64_t), __umoddi3(uint64_t, uint64_t), __qdivrem(uint64_t, uint64_t, uint64_t *);

static int
bytes(void)
{
	char buffer[16] = "0123456789";

	CHECK(memcpy(buffer + 10, "abcde", 6) == buffer + 10 && buffer[14] == 'e');
	CHECK(memmove(buffer + 1, buffer, 10) == buffer + 1 && memcmp(buffer, "00123456789bcde", 16) == 0);
	CHECK(memcmp("a", "b", 1) < 0 && memcmp("\377", "a", 1) > 0 && bcmp("ab", "ac", 2) != 0 && bcmp("ab", "ac", 1) == 0);
	CHECK(memchr(buffer, 'b', 16) == buffer + 11 && memchr(buffer, 'b', 11) == NULL);
	CHECK(memset(buffer, 'x', 3) == buffer && memcmp(buffer, "xxx2", 4) == 0);
	CHECK(explicit_memset(buffer, 'y', 2) == buffer && memcmp(buffer, "yyx2", 4) == 0);
	bcopy(buffer, buffer + 2, 3);
	CHECK(memcmp(buffer, "yyyyx4", 6) == 0);
	bzero(buffer + 1, 2);
	CHECK(memcmp(buffer, "y\0\0yx4", 6) == 0);
	return 0;
}

static int
strings(void)
{
	char buffer[16], *rest = buffer, *end;

	CHECK(strlen("four") == 4 && strnlen("four", 3) == 3 && strnlen("four", 9) == 4);
	CHECK(strcmp("a", "b") < 0 && strcmp("b", "a") > 0 && strcmp("a", "a") == 0 && strncmp("ab", "ac", 2) < 0);
	CHECK(strncmp("ab", "ac", 1) == 0);
	CHECK(strcasecmp("ABC", "abd") < 0 && strcasecmp("ABC", "abc") == 0 && strncasecmp("ABx", "aCy", 2) < 0);
	CHECK(strcpy(buffer, "one") == buffer && strcat(buffer, ",two") == buffer && strcmp(buffer, "one,two") == 0);
	CHECK(strncat(buffer, ",three", 2) == buffer && strcmp(buffer, "one,two,t") == 0);
	CHECK(strchr(buffer, 't') == buffer + 4 && strrchr(buffer, 't') == buffer + 8 && strstr(buffer, "wo") == buffer + 5);
	CHECK(strsep(&rest, ",") == buffer && rest == buffer + 4 && strcmp(buffer, "one") == 0);
	CHECK(strlcpy(buffer, "overlong", 5) == 8 && strcmp(buffer, "over") == 0);
	CHECK(strlcat(buffer, "cast", 7) == 8 && strcmp(buffer, "overca") == 0);
	CHECK(strncpy(buffer, "x", 4) == buffer && memcmp(buffer, "x\0\0\0ca", 6) == 0);
	CHECK(strtoul("0x1fz", &end, 0) == 31 && *end == 'z' && strtoull("18446744073709551615", NULL, 10) == ~0ull);
	CHECK(strtoll("-9", NULL, 10) == -9 && strtoul("077", NULL, 0) == 63);
	return 0;
}

static int
arithmetic(void)
{
	static const unsigned char table[256] = { ['c'] = 4 };
	volatile int64_t minus = -7;
	volatile uint64_t large = ~0ull;
	uint64_t rest = 0;

	CHECK(scanc(4, (const unsigned char *)"abcd", table, 4) == 2 && skpc('a', 3, (unsigned char *)"aab") == 1);
	CHECK(ffs(0) == 0 && ffs(0x50) == 5);
	CHECK(bswap16(0x0102) == 0x0201 && bswap32(0x01020304) == 0x04030201);
	CHECK(bswap64(0x0102030405060708ull) == 0x0807060504030201ull);
	CHECK(crc32(0, (const uint8_t *)"123456789", 9) == 0xcbf43926);
	CHECK(__divdi3(minus, 2) == -3 && __moddi3(minus, 2) == -1);
	CHECK(__udivdi3(large, 10) == 1844674407370955161ull && __umoddi3(large, 10) == 5);
	CHECK(__qdivrem(large, 10, &rest) == 1844674407370955161ull && rest == 5);
	/* Where the machine has no such division, the compiler calls the same functions. */
	CHECK(minus / 2 == -3 && minus % 2 == -1 && large / 10 == 1844674407370955161ull && large % 10 == 5);
	return 0;
}

static int
checks(void)
{
	RUN(bytes());
	RUN(strings());
	return arithmetic();
}
