/*
 * slotfs on a device: a superblock, a map of used blocks, a table of slots (one per file), blocks of files.
 * Numbers are little endian. Block 0 is the superblock; slot 0 is nobody's, slot 1 the root directory.
 */
#ifndef FORMAT_H
#define FORMAT_H

#include "writing.h"

#define BLOCK_SHIFT 10
#define BLOCK (1 << BLOCK_SHIFT)
#define BITS_PER_BLOCK (BLOCK * 8)

#define SLOTFS_MAGIC "slotfs 1"

struct superblock {
	char magic[8];
	uint32_t blocks;	/* of the file system, superblock included */
	uint32_t slots;
	uint32_t map_start;	/* first block of the map, a bit per block */
	uint32_t table_start;	/* first block of the table */
	uint32_t data_start;	/* first block of files */
	uint32_t clean;		/* unmounted, or never mounted for writing */
};

#define DIRECT 12
#define POINTERS (BLOCK / 4)
#define FILE_BLOCKS (DIRECT + POINTERS)

#define ROOT_SLOT 1

/* A file. Type and permissions as in st_mode; 0 is a free slot. */
struct slot {
	uint16_t mode;
	uint16_t links;
	uint32_t uid, gid;
	uint32_t flags;
	uint64_t size;
	int64_t atime, mtime, ctime, btime;	/* seconds since 1970 */
	uint64_t rdev;		/* of a device */
	uint32_t generation;
	uint32_t parent;	/* of a directory */
	uint32_t held;		/* blocks, that of pointers included */
	uint32_t direct[DIRECT];
	uint32_t indirect;	/* a block of further pointers */
};

#define SLOTS_PER_BLOCK (BLOCK / sizeof(struct slot))
#define LINK_LIMIT 1000

/* An entry of a directory. The slot of a free one is 0; "." and ".." have none. */
struct entry {
	uint32_t slot;
	uint8_t type;		/* DT_* */
	uint8_t length;
	char name[58];
};

#define NAME_LIMIT 58
#define ENTRIES_PER_BLOCK (BLOCK / sizeof(struct entry))

_Static_assert(sizeof(struct slot) == 128, "slots");
_Static_assert(sizeof(struct entry) == 64, "entries");

#endif
