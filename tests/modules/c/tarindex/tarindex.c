/* Reads the headers of a ustar archive (POSIX.1-1988 and later) into a tree of entries. */
#include "tarindex.h"

MODULE(MODULE_CLASS_MISC, tarindex, NULL);

#define BUCKETS 256
/* Entries of an archive; more are refused. */
#define MAX_ENTRIES (1u << 20)

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
	char type;
	char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a header is one block");

struct tar_index {
	struct tar_entry *entries;	/* by number; 0 unused */
	uint32_t count, room;
	uint32_t blocks;
	uint32_t buckets[BUCKETS];
};

/* Bytes up to the first NUL, at most `max`. */
static size_t
field_len(const char *field, size_t max)
{
	size_t len = 0;

	while (len < max && field[len] != '\0')
		len++;
	return len;
}

/* An octal number; false if it is none. */
static bool
octal(const char *field, size_t len, uint64_t *result)
{
	size_t i = 0;

	*result = 0;
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] != '\0' && field[i] != ' '; i++) {
		if (field[i] < '0' || field[i] > '7' || *result >> 60 != 0)
			return false;
		*result = *result << 3 | (uint64_t)(field[i] - '0');
	}
	return true;
}

static bool
checksum_fits(const struct header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	const size_t at = __builtin_offsetof(struct header, checksum);
	uint64_t wanted, sum = 0;
	size_t i;

	for (i = 0; i < TAR_BLOCK; i++)
		sum += i >= at && i < at + sizeof(header->checksum) ? ' ' : bytes[i];
	return octal(header->checksum, sizeof(header->checksum), &wanted) && sum == wanted;
}

static uint32_t
bucket_of(uint32_t parent, const char *name, size_t len)
{
	uint32_t hash = parent * 2654435761u;
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return (hash >> 8) % BUCKETS;
}

static char *
copy_text(const char *text, size_t len)
{
	char *copy = kern_malloc(len + 1, M_WAITOK);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

uint32_t
tar_index_lookup(const struct tar_index *index, uint32_t parent, const char *name, size_t len)
{
	uint32_t number = index->buckets[bucket_of(parent, name, len)];

	for (; number != 0; number = index->entries[number].chain) {
		const struct tar_entry *entry = &index->entries[number];

		if (entry->parent == parent && entry->name_len == len && memcmp(entry->name, name, len) == 0)
			return number;
	}
	return 0;
}

/* A new entry in `parent`; 0 if there are too many. */
static uint32_t
add(struct tar_index *index, uint32_t parent, const char *name, size_t len, int type)
{
	uint32_t number = index->count + 1, *bucket;
	struct tar_entry *entry, *directory;

	if (number >= MAX_ENTRIES)
		return 0;
	if (number >= index->room) {
		uint32_t room = index->room == 0 ? 32 : index->room * 2;
		struct tar_entry *grown = kern_malloc(room * sizeof(*grown), M_WAITOK);

		if (index->entries != NULL) {
			memcpy(grown, index->entries, index->room * sizeof(*grown));
			kern_free(index->entries);
		}
		index->entries = grown;
		index->room = room;
	}
	index->count = number;
	entry = &index->entries[number];
	memset(entry, 0, sizeof(*entry));
	entry->type = type;
	entry->node = number;
	entry->parent = parent;
	entry->mode = type == VDIR ? 0755 : 0644;
	entry->nlink = type == VDIR ? 2 : 1;
	entry->name = copy_text(name, len);
	entry->name_len = len;
	if (number == TAR_ROOT)
		return number;
	directory = &index->entries[parent];
	if (directory->last == 0)
		directory->first = number;
	else
		index->entries[directory->last].next = number;
	directory->last = number;
	if (type == VDIR)
		directory->nlink++;
	bucket = &index->buckets[bucket_of(parent, name, len)];
	entry->chain = *bucket;
	*bucket = number;
	return number;
}

/* Walks `path` from `from`: the directory of its last component, which is left in `*last`; makes directories on the way if asked to. */
static uint32_t
walk(struct tar_index *index, uint32_t from, const char *path, size_t len, bool make, const char **last, size_t *last_len)
{
	uint32_t directory = from;
	size_t at = 0, end;

	*last_len = 0;
	for (;;) {
		while (at < len && path[at] == '/')
			at++;
		for (end = at; end < len && path[end] != '/'; end++)
			continue;
		if (end == at)
			return directory;
		if (end - at == 1 && path[at] == '.') {
			at = end;
			continue;
		}
		if (end - at == 2 && path[at] == '.' && path[at + 1] == '.')
			return 0;
		if (*last_len != 0) {
			uint32_t next = tar_index_lookup(index, directory, *last, *last_len);

			if (next == 0 && make)
				next = add(index, directory, *last, *last_len, VDIR);
			if (next == 0 || index->entries[next].type != VDIR)
				return 0;
			directory = next;
		}
		*last = path + at;
		*last_len = end - at;
		at = end;
	}
}

/* Takes up one header, whose data begin at block `data`. */
static int
take(struct tar_index *index, const struct header *header, uint64_t size, uint32_t data)
{
	char path[sizeof(header->prefix) + 1 + sizeof(header->name)];
	size_t len = 0, last_len = 0;
	const char *last = NULL;
	uint32_t parent, number, target = 0;
	uint64_t mode, uid, gid, mtime;
	struct tar_entry *entry;
	int type;

	if (header->prefix[0] != '\0') {
		len = field_len(header->prefix, sizeof(header->prefix));
		memcpy(path, header->prefix, len);
		path[len++] = '/';
	}
	memcpy(path + len, header->name, field_len(header->name, sizeof(header->name)));
	len += field_len(header->name, sizeof(header->name));
	parent = walk(index, TAR_ROOT, path, len, true, &last, &last_len);
	if (parent == 0)
		return EINVAL;
	switch (header->type) {
	case '5':
		type = VDIR;
		break;
	case '2':
		type = VLNK;
		break;
	case '0':
	case '\0':
	case '1':
		type = VREG;
		break;
	default:
		return 0;
	}
	if (header->type == '1') {
		const char *name = NULL;
		size_t name_len = 0;
		uint32_t home = walk(index, TAR_ROOT, header->link, field_len(header->link, sizeof(header->link)), false,
		    &name, &name_len);

		target = home != 0 && name_len != 0 ? tar_index_lookup(index, home, name, name_len) : 0;
		if (target == 0 || index->entries[target].type == VDIR)
			return EINVAL;
		target = index->entries[target].node;
		type = index->entries[target].type;
	}
	if (!octal(header->mode, sizeof(header->mode), &mode) || !octal(header->uid, sizeof(header->uid), &uid) ||
	    !octal(header->gid, sizeof(header->gid), &gid) || !octal(header->mtime, sizeof(header->mtime), &mtime))
		return EINVAL;
	number = last_len == 0 ? TAR_ROOT : tar_index_lookup(index, parent, last, last_len);
	if (number == 0)
		number = add(index, parent, last, last_len, type);
	else if (type != VDIR || index->entries[number].type != VDIR)
		return EINVAL;
	if (number == 0)
		return EFBIG;
	entry = &index->entries[number];
	entry->mode = mode & 07777;
	entry->uid = uid;
	entry->gid = gid;
	entry->mtime = mtime;
	if (target != 0) {
		entry->node = target;
		index->entries[target].nlink++;
	} else if (type == VREG) {
		entry->size = size;
		entry->block = data;
	} else if (type == VLNK) {
		entry->link_len = field_len(header->link, sizeof(header->link));
		entry->link = copy_text(header->link, entry->link_len);
		entry->size = entry->link_len;
	}
	return 0;
}

static bool
is_zero(const struct header *header)
{
	const char *bytes = (const char *)header;
	size_t i;

	for (i = 0; i < TAR_BLOCK; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

int
tar_index_make(tar_read_t *read, void *cookie, struct tar_index **result)
{
	struct tar_index *index = kern_malloc(sizeof(*index), M_WAITOK | M_ZERO);
	struct header *header = kern_malloc(sizeof(*header), M_WAITOK);
	uint64_t block = 0, size;
	int error = 0;

	add(index, 0, "", 0, VDIR);
	for (;;) {
		error = (*read)(cookie, block, header);
		if (error != 0 || is_zero(header))
			break;
		if (memcmp(header->magic, "ustar", 5) != 0 || !checksum_fits(header) ||
		    !octal(header->size, sizeof(header->size), &size) || size >> 40 != 0) {
			error = EINVAL;
			break;
		}
		if (header->type == '1' || header->type == '2' || header->type == '5')
			size = 0;
		error = take(index, header, size, block + 1);
		if (error != 0)
			break;
		block += 1 + ((size + TAR_BLOCK - 1) >> TAR_BLOCK_SHIFT);
	}
	kern_free(header);
	index->blocks = block + 2;
	if (error != 0) {
		tar_index_free(index);
		return error;
	}
	*result = index;
	return 0;
}

void
tar_index_free(struct tar_index *index)
{
	uint32_t number;

	for (number = 1; number <= index->count; number++) {
		kern_free((void *)index->entries[number].name);
		if (index->entries[number].link != NULL)
			kern_free((void *)index->entries[number].link);
	}
	kern_free(index->entries);
	kern_free(index);
}

const struct tar_entry *
tar_index_entry(const struct tar_index *index, uint32_t number)
{
	return number != 0 && number <= index->count ? &index->entries[number] : NULL;
}

uint32_t
tar_index_count(const struct tar_index *index)
{
	return index->count;
}

uint32_t
tar_index_blocks(const struct tar_index *index)
{
	return index->blocks;
}

static int
tarindex_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
	case MODULE_CMD_FINI:
		return 0;
	default:
		return ENOTTY;
	}
}
