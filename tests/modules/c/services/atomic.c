/* Atomic operations of all widths. */
#include "services.h"

SERVICES(services_atomic);

#define OPERATIONS(word, type, signed_type)                                                                \
	void atomic_inc_##word(volatile type *), atomic_dec_##word(volatile type *);                       \
	type atomic_inc_##word##_nv(volatile type *), atomic_dec_##word##_nv(volatile type *);

#define CAS(word, type)                                                                                    \
	type atomic_swap_##word(volatile type *, type);                                                    \
	type atomic_cas_##word(volatile type *, type, type);

#define ADD(word, type, delta)                                                                             \
	void atomic_add_##word(volatile type *, delta);                                                    \
	type atomic_add_##word##_nv(volatile type *, delta);

#define BITS(word, type)                                                                                   \
	void atomic_and_##word(volatile type *, type), atomic_or_##word(volatile type *, type);            \
	type atomic_and_##word##_nv(volatile type *, type), atomic_or_##word##_nv(volatile type *, type);

#define EACH_COUNT(f) f(32, uint32_t, int32_t) f(uint, unsigned, int) f(ulong, unsigned long, long) f(64, uint64_t, int64_t)
#define EACH_ADD(f)                                                                                        \
	f(32, uint32_t, int32_t) f(int, unsigned, int) f(long, unsigned long, long) f(64, uint64_t, int64_t)
#define EACH_BITS(f) f(32, uint32_t) f(uint, unsigned) f(ulong, unsigned long) f(64, uint64_t)

EACH_COUNT(OPERATIONS)
EACH_ADD(ADD)
EACH_BITS(BITS)
EACH_BITS(CAS)
void atomic_inc_ptr(volatile void *), atomic_dec_ptr(volatile void *), atomic_add_ptr(volatile void *, long);
void *atomic_inc_ptr_nv(volatile void *), *atomic_dec_ptr_nv(volatile void *), *atomic_add_ptr_nv(volatile void *, long);
void *atomic_swap_ptr(volatile void *, void *), *atomic_cas_ptr(volatile void *, void *, void *);
uint32_t atomic_cas_32_ni(volatile uint32_t *, uint32_t, uint32_t);
unsigned atomic_cas_uint_ni(volatile unsigned *, unsigned, unsigned);
unsigned long atomic_cas_ulong_ni(volatile unsigned long *, unsigned long, unsigned long);
void *atomic_cas_ptr_ni(volatile void *, void *, void *);
void membar_enter(void), membar_exit(void), membar_producer(void), membar_consumer(void), membar_sync(void);

#define CHECK_COUNT(word, type, signed_type)                                                               \
	{                                                                                                  \
		volatile type value = (type)-1;                                                            \
		atomic_inc_##word(&value);                                                                 \
		CHECK(value == 0);                                                                         \
		atomic_dec_##word(&value);                                                                 \
		CHECK(value == (type)-1);                                                                  \
		CHECK(atomic_dec_##word##_nv(&value) == (type)-2 && value == (type)-2);                    \
		CHECK(atomic_inc_##word##_nv(&value) == (type)-1 && value == (type)-1);                    \
	}

#define CHECK_ADD(word, type, delta)                                                                       \
	{                                                                                                  \
		volatile type value = 5;                                                                   \
		atomic_add_##word(&value, -7);                                                             \
		CHECK(value == (type)-2);                                                                  \
		CHECK(atomic_add_##word##_nv(&value, 12) == 10 && value == 10);                            \
	}

#define CHECK_BITS(word, type)                                                                             \
	{                                                                                                  \
		const type high = (type)1 << (8 * sizeof(type) - 1);                                       \
		volatile type value = high | 6;                                                            \
		atomic_and_##word(&value, high | 3);                                                       \
		CHECK(value == (high | 2));                                                                \
		atomic_or_##word(&value, 8);                                                               \
		CHECK(value == (high | 10));                                                               \
		CHECK(atomic_and_##word##_nv(&value, high | 8) == (high | 8) && value == (high | 8));      \
		CHECK(atomic_or_##word##_nv(&value, 1) == (high | 9) && value == (high | 9));              \
		CHECK(atomic_swap_##word(&value, 4) == (high | 9) && value == 4);                          \
		CHECK(atomic_cas_##word(&value, 5, high) == 4 && value == 4);                              \
		CHECK(atomic_cas_##word(&value, 4, high) == 4 && value == high);                           \
	}

static int
pointers(void)
{
	char bytes[16];
	void *volatile pointer = bytes;

	atomic_inc_ptr(&pointer);
	CHECK(pointer == bytes + 1);
	atomic_dec_ptr(&pointer);
	CHECK(pointer == bytes);
	atomic_add_ptr(&pointer, 9);
	CHECK(pointer == bytes + 9);
	CHECK(atomic_add_ptr_nv(&pointer, -5) == bytes + 4 && pointer == bytes + 4);
	CHECK(atomic_inc_ptr_nv(&pointer) == bytes + 5 && pointer == bytes + 5);
	CHECK(atomic_dec_ptr_nv(&pointer) == bytes + 4 && pointer == bytes + 4);
	CHECK(atomic_swap_ptr(&pointer, bytes) == bytes + 4 && pointer == bytes);
	CHECK(atomic_cas_ptr(&pointer, bytes + 1, NULL) == bytes && pointer == bytes);
	CHECK(atomic_cas_ptr(&pointer, bytes, bytes + 1) == bytes && pointer == bytes + 1);
	CHECK(atomic_cas_ptr_ni(&pointer, bytes + 1, bytes + 2) == bytes + 1 && pointer == bytes + 2);
	return 0;
}

static int
checks(void)
{
	volatile unsigned value = 1;
	volatile unsigned long word = 1;
	volatile uint32_t fixed = 1;

	EACH_COUNT(CHECK_COUNT)
	EACH_ADD(CHECK_ADD)
	EACH_BITS(CHECK_BITS)
	RUN(pointers());
	CHECK(atomic_cas_uint_ni(&value, 1, 7) == 1 && value == 7);
	CHECK(atomic_cas_ulong_ni(&word, 1, 7) == 1 && word == 7);
	CHECK(atomic_cas_32_ni(&fixed, 1, 7) == 1 && fixed == 7);
	membar_enter();
	membar_exit();
	membar_producer();
	membar_consumer();
	membar_sync();
	return 0;
}
