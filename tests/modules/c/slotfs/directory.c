/* Names in directories. Their blocks are buffers of the directory itself. */
#include "slotfs.h"

static int
read_block(struct vnode *dvp, uint64_t offset, struct buf **bpp)
{
	return bread(dvp, offset >> BLOCK_SHIFT, BLOCK, 0, bpp);
}

/* Finds a name: where its entry is and what slot it names; ENOENT if there is none. */
int
slotfs_find(struct vnode *dvp, const char *name, size_t length, struct place *place)
{
	struct slotfs_node *directory = SLOTFS_NODE(dvp);
	uint64_t offset;
	size_t at;

	for (offset = 0; offset < directory->slot.size; offset += BLOCK) {
		const struct entry *entries;
		struct buf *bp;
		int error;

		error = read_block(dvp, offset, &bp);
		if (error != 0)
			return error;
		entries = bp->b_data;
		for (at = 0; at < ENTRIES_PER_BLOCK; at++) {
			if (entries[at].slot == 0 || entries[at].length != length || memcmp(entries[at].name, name, length) != 0)
				continue;
			place->offset = offset + at * sizeof(struct entry);
			place->slot = entries[at].slot;
			brelse(bp, 0);
			return 0;
		}
		brelse(bp, 0);
	}
	return ENOENT;
}

static void
fill(struct entry *entry, const char *name, size_t length, uint32_t slot, int type)
{
	memset(entry, 0, sizeof(*entry));
	entry->slot = slot;
	entry->type = type;
	entry->length = length;
	memcpy(entry->name, name, length);
}

/* Adds a block to a directory and enters a name there. */
static int
grow(struct vnode *dvp, const char *name, size_t length, uint32_t slot, int type)
{
	struct slotfs_node *directory = SLOTFS_NODE(dvp);
	uint64_t size = directory->slot.size;
	struct buf *bp;
	uint32_t block;
	bool fresh;
	int error;

	error = slotfs_want(directory, size >> BLOCK_SHIFT, &block, &fresh);
	if (error != 0)
		return error == EFBIG ? ENOSPC : error;
	bp = getblk(dvp, size >> BLOCK_SHIFT, BLOCK, 0, 0);
	bp->b_blkno = TO_DEVICE(block);
	memset(bp->b_data, 0, BLOCK);
	fill(bp->b_data, name, length, slot, type);
	directory->slot.size = size + BLOCK;
	uvm_vnp_setwritesize(dvp, size + BLOCK);
	uvm_vnp_setsize(dvp, size + BLOCK);
	slotfs_touch(directory, MODIFIED | CHANGED);
	/* A new block is soon full: it is written without waiting. */
	bawrite(bp);
	return 0;
}

/* Gives a slot a name that nobody has in the directory. */
int
slotfs_enter(struct vnode *dvp, const char *name, size_t length, uint32_t slot, int type)
{
	struct slotfs_node *directory = SLOTFS_NODE(dvp);
	uint64_t offset;
	size_t at;

	if (length > NAME_LIMIT)
		return ENAMETOOLONG;
	for (offset = 0; offset < directory->slot.size; offset += BLOCK) {
		struct entry *entries;
		struct buf *bp;
		int error;

		error = read_block(dvp, offset, &bp);
		if (error != 0)
			return error;
		entries = bp->b_data;
		for (at = 0; at < ENTRIES_PER_BLOCK; at++) {
			if (entries[at].slot == 0) {
				fill(&entries[at], name, length, slot, type);
				slotfs_touch(directory, MODIFIED | CHANGED);
				bdwrite(bp);
				return 0;
			}
		}
		brelse(bp, 0);
	}
	return grow(dvp, name, length, slot, type);
}

/* Makes an entry name another slot, or nothing if that is 0. The device knows it on return. */
int
slotfs_replace(struct vnode *dvp, const struct place *place, uint32_t slot, int type)
{
	struct entry *entry;
	struct buf *bp;
	int error;

	error = read_block(dvp, place->offset, &bp);
	if (error != 0)
		return error;
	entry = (struct entry *)((char *)bp->b_data + (place->offset & (BLOCK - 1)));
	if (slot == 0) {
		memset(entry, 0, sizeof(*entry));
	} else {
		entry->slot = slot;
		entry->type = type;
	}
	slotfs_touch(SLOTFS_NODE(dvp), MODIFIED | CHANGED);
	return VOP_BWRITE(dvp, bp);
}

int
slotfs_is_empty(struct vnode *dvp, bool *is_empty)
{
	struct slotfs_node *directory = SLOTFS_NODE(dvp);
	uint64_t offset;
	size_t at;

	*is_empty = true;
	for (offset = 0; offset < directory->slot.size && *is_empty; offset += BLOCK) {
		struct buf *bp;
		int error;

		error = read_block(dvp, offset, &bp);
		if (error != 0)
			return error;
		for (at = 0; at < ENTRIES_PER_BLOCK; at++)
			*is_empty = *is_empty && ((const struct entry *)bp->b_data)[at].slot == 0;
		brelse(bp, 0);
	}
	return 0;
}

/* The entry at an offset: 0 is ".", 1 is "..", others are two more than in the file. Answers -1 behind the last. */
static int
entry_at(struct vnode *dvp, uint64_t *offset, struct dirent *result, uint64_t *next)
{
	struct slotfs_node *directory = SLOTFS_NODE(dvp);

	memset(result, 0, sizeof(*result));
	if (*offset < 2) {
		result->d_fileno = *offset == 0 ? directory->number : directory->slot.parent;
		result->d_type = DT_DIR;
		result->d_namlen = 1 + *offset;
		memcpy(result->d_name, "..", 1 + *offset);
		*next = *offset + 1;
		return 0;
	}
	for (; *offset - 2 < directory->slot.size; *offset += sizeof(struct entry)) {
		const struct entry *entry;
		struct buf *bp;
		int error;

		error = read_block(dvp, *offset - 2, &bp);
		if (error != 0)
			return error;
		entry = (const struct entry *)((char *)bp->b_data + ((*offset - 2) & (BLOCK - 1) & ~(sizeof(*entry) - 1)));
		if (entry->slot != 0) {
			result->d_fileno = entry->slot;
			result->d_type = entry->type;
			result->d_namlen = entry->length > NAME_LIMIT ? NAME_LIMIT : entry->length;
			memcpy(result->d_name, entry->name, result->d_namlen);
		}
		brelse(bp, 0);
		if (result->d_fileno != 0) {
			*next = *offset + sizeof(*entry);
			return 0;
		}
	}
	return -1;
}

int
slotfs_readdir(void *v)
{
	struct vop_readdir_args *ap = v;
	struct uio *uio = ap->a_uio;
	struct dirent *dp;
	uint64_t offset = uio->uio_offset, next = 0;
	int64_t *cookies = NULL;
	int count = 0, room = 0, error;

	if (ap->a_vp->v_type != VDIR)
		return ENOTDIR;
	if (uio->uio_offset < 0)
		return EINVAL;
	if (ap->a_ncookies != NULL) {
		/* The shortest entry takes 16 bytes. */
		room = (int)(uio->uio_resid >> 4) + 1;
		cookies = kern_malloc(room * sizeof(*cookies), M_WAITOK);
	}
	dp = kern_malloc(sizeof(*dp), M_WAITOK);
	while ((error = entry_at(ap->a_vp, &offset, dp, &next)) == 0) {
		dp->d_reclen = (__builtin_offsetof(struct dirent, d_name) + dp->d_namlen + 1 + 7) & ~7;
		if (uio->uio_resid < dp->d_reclen) {
			error = (uint64_t)uio->uio_offset == offset && count == 0 ? EINVAL : 0;
			break;
		}
		error = uiomove(dp, dp->d_reclen, uio);
		if (error != 0)
			break;
		offset = next;
		uio->uio_offset = offset;
		if (cookies != NULL && count < room)
			cookies[count] = next;
		count++;
	}
	kern_free(dp);
	uio->uio_offset = offset;
	if (ap->a_eofflag != NULL)
		*ap->a_eofflag = error == -1;
	if (error == -1)
		error = 0;
	if (error != 0 && cookies != NULL) {
		kern_free(cookies);
		cookies = NULL;
		count = 0;
	}
	if (ap->a_ncookies != NULL) {
		*ap->a_cookies = cookies;
		*ap->a_ncookies = count;
	}
	return error;
}
