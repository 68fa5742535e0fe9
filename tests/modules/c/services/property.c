/* Property lists. */
#include "services.h"

SERVICES(services_property);

typedef void *prop_object_t;
void prop_object_retain(prop_object_t), prop_object_release(prop_object_t);
unsigned prop_object_type(prop_object_t);
prop_object_t prop_string_create_cstring(const char *), prop_string_create_cstring_nocopy(const char *);
const char *prop_string_cstring_nocopy(prop_object_t);
size_t prop_string_size(prop_object_t);
bool prop_string_equals_cstring(prop_object_t, const char *);
prop_object_t prop_number_create_integer(int64_t), prop_number_create_unsigned_integer(uint64_t);
int64_t prop_number_integer_value(prop_object_t);
uint64_t prop_number_unsigned_integer_value(prop_object_t);
bool prop_number_unsigned(prop_object_t), prop_number_equals_integer(prop_object_t, int64_t);
bool prop_number_equals_unsigned_integer(prop_object_t, uint64_t), prop_string_equals(prop_object_t, prop_object_t);
prop_object_t prop_bool_create(bool);
bool prop_bool_true(prop_object_t);
prop_object_t prop_array_create(void), prop_array_get(prop_object_t, unsigned), prop_array_iterator(prop_object_t);
unsigned prop_array_count(prop_object_t);
bool prop_array_add(prop_object_t, prop_object_t);
prop_object_t prop_object_iterator_next(prop_object_t);
void prop_object_iterator_release(prop_object_t);
prop_object_t prop_dictionary_create(void), prop_dictionary_get(prop_object_t, const char *);
prop_object_t prop_dictionary_iterator(prop_object_t), prop_dictionary_get_keysym(prop_object_t, prop_object_t);
const char *prop_dictionary_keysym_cstring_nocopy(prop_object_t);
unsigned prop_dictionary_count(prop_object_t);
bool prop_dictionary_set(prop_object_t, const char *, prop_object_t);
void prop_dictionary_remove(prop_object_t, const char *);
bool prop_dictionary_set_cstring(prop_object_t, const char *, const char *);
bool prop_dictionary_set_cstring_nocopy(prop_object_t, const char *, const char *);
bool prop_dictionary_get_cstring_nocopy(prop_object_t, const char *, const char **);
bool prop_dictionary_set_bool(prop_object_t, const char *, bool), prop_dictionary_get_bool(prop_object_t, const char *, bool *);
void prop_object_iterator_reset(prop_object_t);
struct plistref {
	void *text;
	size_t length;
};
int prop_dictionary_copyout_ioctl(struct plistref *, unsigned long, prop_object_t);
int prop_dictionary_copyin_ioctl(const struct plistref *, unsigned long, prop_object_t *);
void kern_free(void *);
int strcmp(const char *, const char *);

#define EACH_NUMBER(f)                                                                                     \
	f(int8, int8_t, -5) f(int16, int16_t, -300) f(int32, int32_t, -70000) f(int64, int64_t, -5000000000ll)  \
	f(uint8, uint8_t, 200) f(uint16, uint16_t, 60000) f(uint32, uint32_t, 4000000000u)                     \
	f(uint64, uint64_t, 0xf000000000000000ull)
#define DECLARE_NUMBER(name, type, value)                                                                  \
	bool prop_dictionary_get_##name(prop_object_t, const char *, type *);                              \
	bool prop_dictionary_set_##name(prop_object_t, const char *, type);
EACH_NUMBER(DECLARE_NUMBER)

static int
objects(void)
{
	prop_object_t text = prop_string_create_cstring("text"), other = prop_string_create_cstring_nocopy("other");
	prop_object_t minus = prop_number_create_integer(-7), large = prop_number_create_unsigned_integer(~0ull);
	prop_object_t yes = prop_bool_create(true), no = prop_bool_create(false), array = prop_array_create(), iterator;

	CHECK(text != NULL && prop_string_size(text) == 4 && strcmp(prop_string_cstring_nocopy(text), "text") == 0);
	CHECK(other != NULL && prop_string_equals_cstring(other, "other") && !prop_string_equals_cstring(text, "other"));
	CHECK(prop_number_integer_value(minus) == -7 && !prop_number_unsigned(minus));
	CHECK(prop_number_unsigned_integer_value(large) == ~0ull && prop_number_unsigned(large));
	CHECK(prop_number_equals_integer(minus, -7) && !prop_number_equals_integer(large, -1));
	CHECK(prop_number_equals_unsigned_integer(large, ~0ull) && !prop_number_equals_unsigned_integer(minus, (uint64_t)-7));
	CHECK(prop_string_equals(text, text) && !prop_string_equals(text, other) && !prop_string_equals(large, large));
	CHECK(prop_bool_true(yes) && !prop_bool_true(no) && prop_object_type(yes) != prop_object_type(text));
	CHECK(prop_object_type(text) == prop_object_type(other));
	CHECK(prop_array_add(array, text) && prop_array_add(array, minus) && prop_array_count(array) == 2);
	/* The array keeps what it holds. */
	prop_object_release(text);
	CHECK(prop_array_get(array, 0) == text && prop_string_equals_cstring(text, "text") && prop_array_get(array, 2) == NULL);
	iterator = prop_array_iterator(array);
	CHECK(prop_object_iterator_next(iterator) == text && prop_object_iterator_next(iterator) == minus);
	CHECK(prop_object_iterator_next(iterator) == NULL);
	prop_object_iterator_reset(iterator);
	CHECK(prop_object_iterator_next(iterator) == text);
	prop_object_iterator_release(iterator);
	prop_object_retain(array);
	prop_object_release(array);
	CHECK(prop_array_count(array) == 2);
	prop_object_release(array);
	prop_object_release(minus);
	prop_object_release(large);
	prop_object_release(other);
	prop_object_release(yes);
	prop_object_release(no);
	return 0;
}

static int
dictionaries(void)
{
	prop_object_t dictionary = prop_dictionary_create(), number = prop_number_create_integer(3), iterator, key;
	const char *text = NULL;
	bool truth = false;

	CHECK(dictionary != NULL && prop_dictionary_count(dictionary) == 0);
	CHECK(prop_dictionary_set(dictionary, "three", number) && prop_dictionary_get(dictionary, "three") == number);
	iterator = prop_dictionary_iterator(dictionary);
	key = prop_object_iterator_next(iterator);
	CHECK(key != NULL && strcmp(prop_dictionary_keysym_cstring_nocopy(key), "three") == 0);
	CHECK(prop_dictionary_get_keysym(dictionary, key) == number);
	prop_object_iterator_release(iterator);
	CHECK(prop_dictionary_set_cstring(dictionary, "a", "A") && prop_dictionary_set_cstring_nocopy(dictionary, "b", "B"));
	CHECK(prop_dictionary_get_cstring_nocopy(dictionary, "a", &text) && strcmp(text, "A") == 0);
	CHECK(prop_dictionary_get_cstring_nocopy(dictionary, "b", &text) && strcmp(text, "B") == 0);
	CHECK(prop_dictionary_set_bool(dictionary, "yes", true) && prop_dictionary_get_bool(dictionary, "yes", &truth) && truth);
	CHECK(prop_dictionary_count(dictionary) == 4);
	prop_dictionary_remove(dictionary, "three");
	CHECK(prop_dictionary_get(dictionary, "three") == NULL && prop_dictionary_count(dictionary) == 3);
#define CHECK_NUMBER(name, type, value)                                                                    \
	{                                                                                                  \
		type found = 0;                                                                            \
		CHECK(prop_dictionary_set_##name(dictionary, #name, value));                               \
		CHECK(prop_dictionary_get_##name(dictionary, #name, &found) && found == (value));          \
	}
	EACH_NUMBER(CHECK_NUMBER)
	prop_object_release(number);
	prop_object_release(dictionary);
	return 0;
}

#define IOC_OUT 0x40000000ul
#define IOC_IN 0x80000000ul

/* A dictionary goes out as text and comes in again. */
static int
lists(void)
{
	prop_object_t dictionary = prop_dictionary_create(), taken = NULL;
	struct plistref list = { NULL, 0 };
	const char *text = NULL;

	CHECK(prop_dictionary_set_cstring(dictionary, "key", "<value>"));
	CHECK(prop_dictionary_copyout_ioctl(&list, IOC_IN, dictionary) == EFAULT);
	CHECK(prop_dictionary_copyout_ioctl(&list, IOC_OUT, dictionary) == 0);
	CHECK(list.text != NULL && list.length == strlen(list.text) + 1 && list.length > 100);
	CHECK(prop_dictionary_copyin_ioctl(&list, IOC_OUT, &taken) == EFAULT);
	CHECK(prop_dictionary_copyin_ioctl(&list, IOC_IN, &taken) == 0 && taken != NULL && taken != dictionary);
	CHECK(prop_dictionary_get_cstring_nocopy(taken, "key", &text) && strcmp(text, "<value>") == 0);
	kern_free(list.text);
	prop_object_release(taken);
	prop_object_release(dictionary);
	return 0;
}

static int
checks(void)
{
	RUN(objects());
	RUN(lists());
	return dictionaries();
}
