/* Tables: names of directories, the sysctl tree, trees, dates. */
#include "services.h"

SERVICES(services_table);

struct dirhash;
struct dirhash_entry;
void dirhash_get(struct dirhash **), dirhash_put(struct dirhash *), dirhash_purge(struct dirhash **);
void dirhash_purge_entries(struct dirhash *), dirhash_enter(struct dirhash *, struct dirent *, uint64_t, uint32_t, int);
void dirhash_enter_freed(struct dirhash *, uint64_t, uint32_t);
void dirhash_remove(struct dirhash *, struct dirent *, uint64_t, uint32_t);
int dirhash_lookup(struct dirhash *, const char *, int, struct dirhash_entry **);
int dirhash_lookup_freed(struct dirhash *, uint32_t, struct dirhash_entry **);
bool dirhash_dir_isempty(struct dirhash *);
struct sysctllog;
int sysctl_createv(struct sysctllog **, int, const struct sysctlnode **, const struct sysctlnode **, int, int, const char *,
    const char *, void *, uint64_t, void *, size_t, ...);
int sysctl_destroyv(struct sysctlnode *, ...), sysctl_notavail(void);
void sysctl_teardown(struct sysctllog **);
struct clock_ymdhms;
int64_t clock_ymdhms_to_secs(struct clock_ymdhms *);
int clock_secs_to_ymdhms(int64_t, struct clock_ymdhms *);
struct node {
	uintptr_t links[4];
	int key;
};
typedef struct {
	int (*compare_nodes)(void *, const void *, const void *), (*compare_key)(void *, const void *, const void *);
	size_t offset;
	void *context;
} tree_ops;
void rb_tree_init(void *, const tree_ops *), *rb_tree_insert_node(void *, void *), *rb_tree_find_node(void *, const void *);

static int
directories(void)
{
	struct dirhash *hash = NULL;
	struct dirhash_entry *entry = NULL;
	static struct dirent dirent;

	dirent.d_namlen = 4;
	memcpy(dirent.d_name, "name", 5);
	dirhash_get(&hash);
	CHECK(hash != NULL && dirhash_dir_isempty(hash));
	dirhash_enter(hash, &dirent, 512, 32, 1);
	CHECK(dirhash_lookup(hash, "name", 4, &entry) == 1 && entry != NULL);
	entry = NULL;
	CHECK(dirhash_lookup(hash, "none", 4, &entry) == 0 && dirhash_lookup_freed(hash, 16, &entry) == 0);
	dirent.d_name[0] = 'g';
	dirhash_enter(hash, &dirent, 600, 32, 1);
	CHECK(!dirhash_dir_isempty(hash));
	dirhash_remove(hash, &dirent, 600, 32);
	entry = NULL;
	CHECK(dirhash_lookup(hash, "game", 4, &entry) == 0 && dirhash_lookup_freed(hash, 32, &entry) == 1 && entry != NULL);
	dirhash_enter_freed(hash, 1024, 100);
	entry = NULL;
	CHECK(dirhash_lookup_freed(hash, 100, &entry) == 1);
	dirhash_purge_entries(hash);
	entry = NULL;
	CHECK(dirhash_lookup(hash, "name", 4, &entry) == 0 && dirhash_lookup_freed(hash, 1, &entry) == 0);
	dirhash_put(hash);
	dirhash_purge(&hash);
	CHECK(hash == NULL);
	return 0;
}

static int
settings(void)
{
	struct sysctllog *log = NULL;
	const struct sysctlnode *node = NULL;
	static int value;

	CHECK(sysctl_createv(&log, 0, NULL, &node, 0, CTLTYPE_INT, "services", NULL, NULL, 0, &value, 0, 1, CTL_CREATE, CTL_EOL) == 0);
	CHECK(node != NULL && memcmp(node->sysctl_name, "services", 9) == 0);
	CHECK(sysctl_createv(&log, 0, NULL, NULL, 0, CTLTYPE_INT, "services", NULL, NULL, 0, &value, 0, 1, CTL_CREATE, CTL_EOL) == EEXIST);
	CHECK(sysctl_destroyv(NULL, 1, node->sysctl_num, CTL_EOL) == 0);
	CHECK(sysctl_createv(&log, 0, NULL, NULL, 0, CTLTYPE_INT, "services", NULL, NULL, 0, &value, 0, 1, CTL_CREATE, CTL_EOL) == 0);
	sysctl_teardown(&log);
	CHECK(sysctl_createv(&log, 0, NULL, NULL, 0, CTLTYPE_INT, "services", NULL, NULL, 0, &value, 0, 1, CTL_CREATE, CTL_EOL) == 0);
	sysctl_teardown(&log);
	CHECK(log == NULL && sysctl_notavail() == EOPNOTSUPP);
	return 0;
}

static int
compare(void *context, const void *one, const void *two)
{
	(void)context;
	return ((const struct node *)one)->key - ((const struct node *)two)->key;
}

static int
compare_key(void *context, const void *node, const void *key)
{
	(void)context;
	return ((const struct node *)node)->key - *(const int *)key;
}

static int
trees(void)
{
	static const tree_ops operations = { compare, compare_key, 0, NULL };
	static struct node nodes[3];
	uintptr_t tree[8];
	int i, key = 4;

	memset(tree, 0xff, sizeof(tree));
	rb_tree_init(tree, &operations);
	for (i = 0; i < 3; i++) {
		nodes[i].key = 2 * i + 2;
		CHECK(rb_tree_insert_node(tree, &nodes[i]) == &nodes[i]);
	}
	CHECK(rb_tree_find_node(tree, &key) == &nodes[1]);
	return 0;
}

static int
dates(void)
{
	uint64_t date[4] = { 0 };

	CHECK(clock_secs_to_ymdhms(1234567890, (struct clock_ymdhms *)date) == 0);
	CHECK(clock_ymdhms_to_secs((struct clock_ymdhms *)date) == 1234567890);
	return 0;
}

static int
checks(void)
{
	RUN(directories());
	RUN(settings());
	RUN(trees());
	return dates();
}
