/* Blocks and slots: which are free. */
#include "slotfs.h"

static int
read_map(struct slotfs_mount *smp, uint32_t block, struct buf **bpp)
{
	return bread(smp->device, TO_DEVICE(smp->super.map_start + block / BITS_PER_BLOCK), BLOCK, 0, bpp);
}

/* Counts what is free, when mounting. */
int
slotfs_count(struct slotfs_mount *smp)
{
	const struct superblock *super = &smp->super;
	struct buf *bp;
	uint32_t at;
	int error;

	smp->free_blocks = smp->free_slots = 0;
	for (at = 0; at < super->blocks; at += BITS_PER_BLOCK) {
		const uint8_t *map;
		uint32_t bit;

		error = read_map(smp, at, &bp);
		if (error != 0)
			return error;
		map = bp->b_data;
		for (bit = 0; bit < BITS_PER_BLOCK && at + bit < super->blocks; bit++)
			smp->free_blocks += (map[bit / 8] & (1 << bit % 8)) == 0;
		brelse(bp, 0);
	}
	for (at = 0; at < super->slots; at += SLOTS_PER_BLOCK) {
		const struct slot *slots;
		uint32_t each;

		error = bread(smp->device, TO_DEVICE(super->table_start + at / SLOTS_PER_BLOCK), BLOCK, 0, &bp);
		if (error != 0)
			return error;
		slots = bp->b_data;
		for (each = 0; each < SLOTS_PER_BLOCK && at + each < super->slots; each++)
			smp->free_slots += at + each != 0 && slots[each].mode == 0;
		brelse(bp, 0);
	}
	return 0;
}

/* Takes a free block. Its contents are whatever they were. */
int
slotfs_take_block(struct slotfs_mount *smp, uint32_t *result)
{
	uint32_t count = smp->super.blocks, at = smp->next_block, tried;
	struct buf *bp = NULL;
	int error;

	if (smp->free_blocks == 0)
		return ENOSPC;
	for (tried = 0; tried < count; tried++, at = at + 1 == count ? 0 : at + 1) {
		uint8_t *byte;

		if (bp == NULL || at % BITS_PER_BLOCK == 0) {
			if (bp != NULL)
				brelse(bp, 0);
			error = read_map(smp, at, &bp);
			if (error != 0)
				return error;
		}
		byte = (uint8_t *)bp->b_data + at % BITS_PER_BLOCK / 8;
		if (*byte & (1 << at % 8))
			continue;
		*byte |= 1 << at % 8;
		bdwrite(bp);
		smp->free_blocks--;
		smp->next_block = at;
		*result = at;
		return 0;
	}
	brelse(bp, 0);
	return ENOSPC;
}

int
slotfs_free_block(struct slotfs_mount *smp, uint32_t block)
{
	struct buf *bp;
	uint8_t *byte;
	int error;

	if (block < smp->super.data_start || block >= smp->super.blocks)
		return EIO;
	error = read_map(smp, block, &bp);
	if (error != 0)
		return error;
	byte = (uint8_t *)bp->b_data + block % BITS_PER_BLOCK / 8;
	if ((*byte & (1 << block % 8)) == 0) {
		brelse(bp, 0);
		return EIO;
	}
	*byte &= ~(1 << block % 8);
	bdwrite(bp);
	smp->free_blocks++;
	return 0;
}

/* Finds a free slot; it is taken by whoever writes a file there. */
int
slotfs_take_slot(struct slotfs_mount *smp, uint32_t *result, uint32_t *generation)
{
	uint32_t count = smp->super.slots, at = smp->next_slot, tried;
	struct buf *bp;
	int error;

	if (smp->free_slots == 0)
		return ENOSPC;
	for (tried = 0; tried < count; tried++, at = at + 1 == count ? 0 : at + 1) {
		const struct slot *slot;
		bool is_free;

		error = bread(smp->device, TO_DEVICE(smp->super.table_start + at / SLOTS_PER_BLOCK), BLOCK, 0, &bp);
		if (error != 0)
			return error;
		slot = (const struct slot *)bp->b_data + at % SLOTS_PER_BLOCK;
		is_free = at != 0 && slot->mode == 0;
		*generation = slot->generation + 1;
		brelse(bp, 0);
		if (!is_free)
			continue;
		smp->free_slots--;
		smp->next_slot = at;
		*result = at;
		return 0;
	}
	return ENOSPC;
}
