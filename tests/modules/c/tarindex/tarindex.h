/* The index of a ustar archive: what module `tarindex` offers to module `tarfs`. */
#ifndef TARINDEX_H
#define TARINDEX_H

#include "kernel.h"

/* Bytes of a block, header or data. */
#define TAR_BLOCK 512
#define TAR_BLOCK_SHIFT 9
/* Number of the root directory; 0 is no entry. */
#define TAR_ROOT 1

struct tar_entry {
	uint64_t size;		/* bytes of a regular file */
	uint64_t mtime;		/* seconds since 1970 */
	uint32_t block;		/* first data block, counted from the start of the archive */
	uint32_t mode;		/* permission bits */
	uint32_t uid, gid;
	uint32_t node;		/* the entry that holds the data and attributes: another one for a hard link */
	uint32_t parent;	/* directory it is in */
	uint32_t first, last;	/* children of a directory, in the order of numbers */
	uint32_t next;		/* next child of the parent */
	uint32_t chain;		/* next entry of its hash bucket */
	uint32_t nlink;
	int type;		/* VDIR, VREG or VLNK */
	const char *name;	/* name_len bytes and a NUL */
	uint32_t name_len;
	const char *link;	/* target of a symbolic link, link_len bytes */
	uint32_t link_len;
};

struct tar_index;

/* Reads block `block` into `buffer` (TAR_BLOCK bytes): 0 or errno. */
typedef int tar_read_t(void *cookie, daddr_t block, void *buffer);

/* Reads all headers of an archive: 0 or errno; EINVAL if it is not a ustar archive. */
int tar_index_make(tar_read_t *read, void *cookie, struct tar_index **result);
void tar_index_free(struct tar_index *);
/* The entry with this number; NULL if there is none. */
const struct tar_entry *tar_index_entry(const struct tar_index *, uint32_t number);
/* Number of the entry called `name` in directory `parent`; 0 if there is none. */
uint32_t tar_index_lookup(const struct tar_index *, uint32_t parent, const char *name, size_t name_len);
/* Number of entries. */
uint32_t tar_index_count(const struct tar_index *);
/* Blocks of the archive, headers included. */
uint32_t tar_index_blocks(const struct tar_index *);

#endif
