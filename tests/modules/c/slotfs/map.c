/* Which block of the device holds which block of a file. */
#include "slotfs.h"

/* The block of a file's block, 0 for a hole. */
int
slotfs_where(struct slotfs_node *node, daddr_t lbn, uint32_t *result)
{
	struct buf *bp;
	int error;

	*result = 0;
	if (lbn < 0 || lbn >= FILE_BLOCKS)
		return EFBIG;
	if (lbn < DIRECT) {
		*result = node->slot.direct[lbn];
	} else if (node->slot.indirect != 0) {
		error = bread(node->mount->device, TO_DEVICE(node->slot.indirect), BLOCK, 0, &bp);
		if (error != 0)
			return error;
		*result = ((const uint32_t *)bp->b_data)[lbn - DIRECT];
		brelse(bp, 0);
	}
	return *result == 0 || (*result >= node->mount->super.data_start && *result < node->mount->super.blocks) ? 0 : EIO;
}

/* Makes a block of pointers. */
static int
add_pointers(struct slotfs_node *node)
{
	struct buf *bp;
	uint32_t block;
	int error;

	error = slotfs_take_block(node->mount, &block);
	if (error != 0)
		return error;
	bp = getblk(node->mount->device, TO_DEVICE(block), BLOCK, 0, 0);
	memset(bp->b_data, 0, BLOCK);
	bdwrite(bp);
	node->slot.indirect = block;
	node->slot.held++;
	node->changed = true;
	return 0;
}

/* The block of a file's block, taken if there was none. */
int
slotfs_want(struct slotfs_node *node, daddr_t lbn, uint32_t *result, bool *fresh)
{
	struct buf *bp = NULL;
	uint32_t *pointer;
	int error;

	*fresh = false;
	error = slotfs_where(node, lbn, result);
	if (error != 0 || *result != 0)
		return error;
	if (lbn >= DIRECT && node->slot.indirect == 0) {
		error = add_pointers(node);
		if (error != 0)
			return error;
	}
	error = slotfs_take_block(node->mount, result);
	if (error != 0)
		return error;
	if (lbn < DIRECT) {
		pointer = &node->slot.direct[lbn];
	} else {
		error = bread(node->mount->device, TO_DEVICE(node->slot.indirect), BLOCK, 0, &bp);
		if (error != 0) {
			slotfs_free_block(node->mount, *result);
			return error;
		}
		pointer = (uint32_t *)bp->b_data + (lbn - DIRECT);
	}
	*pointer = *result;
	if (bp != NULL)
		bdwrite(bp);
	node->slot.held++;
	node->changed = true;
	*fresh = true;
	return 0;
}

/* Frees a block that a pointer names. */
static int
drop(struct slotfs_node *node, uint32_t *pointer)
{
	int error;

	if (*pointer == 0)
		return 0;
	error = slotfs_free_block(node->mount, *pointer);
	if (error != 0)
		return error;
	*pointer = 0;
	node->slot.held--;
	node->changed = true;
	return 0;
}

/* Frees the blocks that pointers name from file block `first` on, and the pointers' own if none is left. */
static int
drop_pointers(struct slotfs_node *node, daddr_t first)
{
	struct vnode *device = node->mount->device;
	struct buf *bp;
	daddr_t lbn;
	int error;

	if (node->slot.indirect == 0)
		return 0;
	error = bread(device, TO_DEVICE(node->slot.indirect), BLOCK, 0, &bp);
	if (error != 0)
		return error;
	for (lbn = first > DIRECT ? first : DIRECT; lbn < FILE_BLOCKS && error == 0; lbn++)
		error = drop(node, (uint32_t *)bp->b_data + (lbn - DIRECT));
	if (first > DIRECT || error != 0) {
		bdwrite(bp);
		return error;
	}
	/* What waits to be written there must not overwrite the block's next owner's. */
	brelse(bp, BC_INVAL);
	return drop(node, &node->slot.indirect);
}

/* Zeros what is behind `size` in its page, so that nobody finds it there when the file grows again. */
static int
clear_tail(struct vnode *vp, uint64_t size)
{
	uint64_t end = SLOTFS_NODE(vp)->slot.size, page = (size + PAGE_MASK) & ~(uint64_t)PAGE_MASK;
	int error;

	if (vp->v_type != VREG || size == page)
		return 0;
	/* Zeroing does not say that it failed; reading does. */
	error = slotfs_read_page(vp, size);
	if (error == 0)
		ubc_zerorange(&vp->v_uobj, size, (page < end ? page : end) - size, UBC_UNMAP);
	return error;
}

/* Sets a file's size; what is added is a hole, and blocks behind it are freed even if the size was that. */
int
slotfs_truncate(struct vnode *vp, uint64_t size)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	daddr_t first = (daddr_t)BLOCKS_OF(size), lbn;
	int error = 0;

	if (size > (uint64_t)FILE_BLOCKS << BLOCK_SHIFT)
		return EFBIG;
	if (size > node->slot.size) {
		uvm_vnp_setwritesize(vp, size);
		uvm_vnp_setsize(vp, size);
		node->slot.size = size;
		slotfs_touch(node, MODIFIED | CHANGED);
		return slotfs_update(vp, false);
	}
	error = size < node->slot.size ? clear_tail(vp, size) : 0;
	if (error != 0)
		return error;
	genfs_node_wrlock(vp);
	node->slot.size = size;
	uvm_vnp_setsize(vp, size);
	error = vtruncbuf(vp, first, false, 0);
	for (lbn = first; lbn < DIRECT && error == 0; lbn++)
		error = drop(node, &node->slot.direct[lbn]);
	if (error == 0)
		error = drop_pointers(node, first);
	genfs_node_unlock(vp);
	slotfs_touch(node, MODIFIED | CHANGED);
	return error != 0 ? error : slotfs_update(vp, false);
}

/* Writes the block of pointers, if it waits to be written. */
int
slotfs_flush_pointers(struct slotfs_node *node)
{
	struct buf *bp;
	int error;

	if (node->slot.indirect == 0)
		return 0;
	error = bread(node->mount->device, TO_DEVICE(node->slot.indirect), BLOCK, 0, &bp);
	if (error != 0)
		return error;
	if (bp->b_oflags & BO_DELWRI)
		return bwrite(bp);
	brelse(bp, 0);
	return 0;
}
