/* Autoconfiguration: a bus and a child of it. */
#include "services.h"

SERVICES(services_device);

typedef struct device *device_t;
struct cfiattrdata {
	const char *name;
	int count;
	struct {
		const char *name, *default_text;
		int default_value;
	} locators[1];
};
struct cfdriver {
	void *link[2], *attachments;
	device_t *devices;
	const char *name;
	int class, device_count;
	const struct cfiattrdata *const *interfaces;
};
struct cfparent {
	const char *interface, *driver;
	int unit;
};
typedef struct cfdata {
	const char *driver, *attachment;
	short unit, state;
	int *locators;
	int flags;
	const struct cfparent *parent;
} *cfdata_t;
struct cfattach {
	const char *name;
	void *link[2];
	size_t size;
	int flags;
	int (*match)(device_t, cfdata_t, void *);
	void (*attach)(device_t, device_t, void *);
	int (*detach)(device_t, int);
	void *activate, *rescan;
	void (*child_detached)(device_t, device_t);
};
typedef int (*cfsubmatch_t)(device_t, cfdata_t, const int *, void *);
typedef int (*cfprint_t)(void *, const char *);

int config_cfdriver_attach(struct cfdriver *), config_cfdriver_detach(struct cfdriver *);
struct cfdriver *config_cfdriver_lookup(const char *);
int config_cfattach_attach(const char *, struct cfattach *), config_cfattach_detach(const char *, struct cfattach *);
struct cfattach *config_cfattach_lookup(const char *, const char *);
int config_cfdata_attach(cfdata_t, int), config_cfdata_detach(cfdata_t);
int config_match(device_t, cfdata_t, void *), config_stdsubmatch(device_t, cfdata_t, const int *, void *);
cfdata_t config_search_loc(cfsubmatch_t, device_t, const char *, const int *, void *);
cfdata_t config_search_ia(cfsubmatch_t, device_t, const char *, void *);
device_t config_attach_loc(device_t, cfdata_t, const int *, void *, cfprint_t);
device_t config_attach(device_t, cfdata_t, void *, cfprint_t);
device_t config_found_sm_loc(device_t, const char *, const int *, void *, cfprint_t, cfsubmatch_t);
device_t config_found_ia(device_t, const char *, void *, cfprint_t), config_found(device_t, void *, cfprint_t);
device_t config_attach_pseudo(cfdata_t);
int config_detach(device_t, int), config_detach_children(device_t, int);
void config_defer(device_t, void (*)(device_t)), config_interrupts(device_t, void (*)(device_t));
void config_mountroot(device_t, void (*)(device_t)), null_childdetached(device_t, device_t);
int device_unit(device_t), device_class(device_t), device_locator(device_t, unsigned);
device_t device_parent(device_t), device_lookup(struct cfdriver *, int), device_find_by_xname(const char *);
device_t device_find_by_driver_unit(const char *, int);
cfdata_t device_cfdata(device_t);
struct cfdriver *device_cfdriver(device_t);
struct cfattach *device_cfattach(device_t);
void *device_properties(device_t), *device_private(device_t), *device_lookup_private(struct cfdriver *, int);
const char *device_xname(device_t);
bool device_is_active(device_t), device_is_a(device_t, const char *);
bool pmf_device_register1(device_t, void *, void *, void *), device_pmf_is_registered(device_t);
void pmf_device_deregister(device_t);
bool pmf_event_register(device_t, int, void (*)(device_t), bool), pmf_event_inject(device_t, int);
void pmf_event_deregister(device_t, int, void (*)(device_t), bool);
bool prop_dictionary_get_uint32(void *, const char *, uint32_t *);
int iicbus_print(void *, const char *);
struct deviter {
	device_t last;
	int flags, depth, deepest;
	uint64_t generation;
};
device_t deviter_first(struct deviter *, int), deviter_next(struct deviter *);
void deviter_release(struct deviter *);
int strcmp(const char *, const char *);
void preempt(void);

#define STATE_ANY_NUMBER 2
#define PRIVATE_APART 2

static const struct cfiattrdata slot = { "svslot", 1, { { "slot", "-1", -1 } } };
static const struct cfiattrdata *const interfaces[] = { &slot, NULL };
static struct cfdriver bus_driver = { .name = "svbus", .class = 6, .interfaces = interfaces };
static struct cfdriver child_driver = { .name = "svchild", .class = 6 };
static const struct cfparent on_bus = { "svslot", "svbus", -1 };
static int locators[] = { 3 };
static struct cfdata table[] = {
	{ .driver = "svbus", .attachment = "svbus", .state = STATE_ANY_NUMBER },
	{ .driver = "svchild", .attachment = "svchild", .state = STATE_ANY_NUMBER, .locators = locators, .parent = &on_bus },
	{ .driver = NULL },
};
static int attached, gone, told;

static int
match(device_t parent, cfdata_t entry, void *argument)
{
	(void)entry;
	return parent != NULL && argument == &attached ? 5 : 0;
}

static void
attach(device_t parent, device_t self, void *argument)
{
	(void)parent;
	(void)self;
	(void)argument;
	attached++;
}

static int
detach(device_t self, int flags)
{
	(void)flags;
	return config_detach_children(self, 0);
}

static void
child_gone(device_t self, device_t child)
{
	null_childdetached(self, child);
	gone++;
}

static void
tell(device_t self)
{
	told += self != NULL;
}

static struct cfattach bus_attach = { .name = "svbus", .size = 32, .flags = PRIVATE_APART, .attach = attach, .detach = detach,
	.child_detached = child_gone };
static struct cfattach child_attach = { .name = "svchild", .size = 16, .flags = PRIVATE_APART, .match = match, .attach = attach,
	.detach = detach };

static int
about(device_t bus, device_t child)
{
	uint32_t unit = 9;

	CHECK(device_unit(child) == 0 && device_class(child) == 6 && device_parent(child) == bus && device_locator(child, 0) == 3);
	CHECK(device_cfdata(child) == &table[1] && device_cfdriver(child) == &child_driver);
	CHECK(device_cfattach(child) == &child_attach && strcmp(device_xname(child), "svchild0") == 0);
	CHECK(device_is_active(child) && device_is_a(child, "svchild") && !device_is_a(child, "svbus"));
	CHECK(device_private(child) != NULL && device_lookup_private(&child_driver, 0) == device_private(child));
	CHECK(device_lookup(&child_driver, 0) == child && device_lookup(&child_driver, 1) == NULL);
	CHECK(device_find_by_xname("svchild0") == child && device_find_by_driver_unit("svbus", 0) == bus);
	CHECK(prop_dictionary_get_uint32(device_properties(child), "device-unit", &unit) && unit == 0);
	told = 0;
	config_interrupts(child, tell);
	config_mountroot(child, tell);
	CHECK(told == 2);
	config_defer(child, tell);
	preempt();
	CHECK(told == 3);
	CHECK(!device_pmf_is_registered(child) && pmf_device_register1(child, NULL, NULL, NULL) && device_pmf_is_registered(child));
	pmf_device_deregister(child);
	CHECK(!device_pmf_is_registered(child) && pmf_event_register(child, 4, tell, false) && pmf_event_inject(child, 4));
	preempt();
	CHECK(told == 4);
	pmf_event_deregister(child, 4, tell, false);
	pmf_event_inject(child, 4);
	preempt();
	CHECK(told == 4);
	return 0;
}

#define DEVITER_F_RW 1
#define DEVITER_F_LEAVES_FIRST 4
#define DEVITER_F_ROOT_FIRST 8

static int
iterators(device_t bus, device_t child)
{
	static const struct {
		int flags;
		bool child_first;
	} orders[] = { { 0, false }, { DEVITER_F_RW, true }, { DEVITER_F_LEAVES_FIRST, true }, { DEVITER_F_ROOT_FIRST, false },
		{ DEVITER_F_ROOT_FIRST | DEVITER_F_RW, false } };
	struct deviter iterator;
	size_t i;

	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		CHECK(deviter_first(&iterator, orders[i].flags) == (orders[i].child_first ? child : bus));
		CHECK(deviter_next(&iterator) == (orders[i].child_first ? bus : child));
		CHECK(deviter_next(&iterator) == NULL);
		deviter_release(&iterator);
	}
	CHECK(deviter_first(&iterator, 0) == bus);
	deviter_release(&iterator);
	CHECK(deviter_next(&iterator) == NULL);
	CHECK(iicbus_print(NULL, NULL) == 1);
	return 0;
}

/* Every way to find the child and to give it up. */
static int
found(device_t bus)
{
	const int here[] = { 3 }, elsewhere[] = { 4 };
	device_t child;

	CHECK(config_match(bus, &table[1], &attached) == 5 && config_match(bus, &table[1], NULL) == 0);
	CHECK(config_stdsubmatch(bus, &table[1], here, &attached) == 5);
	CHECK(config_stdsubmatch(bus, &table[1], elsewhere, &attached) == 0);
	CHECK(config_search_loc(config_stdsubmatch, bus, "svslot", here, &attached) == &table[1]);
	CHECK(config_search_ia(NULL, bus, "svslot", &attached) == &table[1] && config_search_ia(NULL, bus, "none", &attached) == NULL);
	child = config_found_sm_loc(bus, "svslot", here, &attached, NULL, config_stdsubmatch);
	CHECK(child != NULL && attached == 2);
	RUN(about(bus, child));
	RUN(iterators(bus, child));
	CHECK(config_detach(child, 0) == 0 && gone == 1);
	CHECK(config_attach_loc(bus, &table[1], here, &attached, NULL) != NULL && attached == 3);
	CHECK(config_attach(bus, &table[1], &attached, NULL) != NULL && attached == 4);
	CHECK(config_found(bus, &attached, NULL) != NULL && config_found_ia(bus, "svslot", &attached, NULL) != NULL);
	CHECK(attached == 6 && config_detach_children(bus, 0) == 0 && gone == 5);
	return 0;
}

static int
checks(void)
{
	device_t bus;

	attached = gone = 0;
	CHECK(config_cfdriver_lookup("svbus") == NULL);
	CHECK(config_cfdriver_attach(&bus_driver) == 0 && config_cfdriver_attach(&bus_driver) == EEXIST);
	CHECK(config_cfdriver_lookup("svbus") == &bus_driver && config_cfdriver_attach(&child_driver) == 0);
	CHECK(config_cfattach_lookup("svbus", "svbus") == NULL && config_cfattach_attach("svbus", &bus_attach) == 0);
	CHECK(config_cfattach_lookup("svbus", "svbus") == &bus_attach && config_cfattach_attach("svchild", &child_attach) == 0);
	CHECK(config_cfdata_attach(table, 1) == 0);
	bus = config_attach_pseudo(&table[0]);
	CHECK(bus != NULL && attached == 1);
	RUN(found(bus));
	CHECK(config_cfdriver_detach(&bus_driver) == EBUSY && config_detach(bus, 0) == 0);
	CHECK(config_cfdata_detach(table) == 0 && config_cfdata_detach(table) == EINVAL);
	CHECK(config_cfattach_detach("svbus", &bus_attach) == 0 && config_cfattach_detach("svchild", &child_attach) == 0);
	CHECK(config_cfattach_lookup("svbus", "svbus") == NULL);
	CHECK(config_cfdriver_detach(&bus_driver) == 0 && config_cfdriver_detach(&child_driver) == 0);
	return 0;
}
