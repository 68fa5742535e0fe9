/* Contents of files, by way of pages, and of symbolic links, by way of buffers. */
#include "slotfs.h"

/* Bytes copied at a time. */
#define PIECE (8 * BLOCK)
/* What is written behind this much of a file is on its way to the device before more comes. */
#define STRIDE 65536

const struct genfs_ops slotfs_genfsops = {
	.gop_size = genfs_size,
	.gop_write = genfs_gop_write,
};

int
slotfs_read(void *v)
{
	struct vop_read_args *ap = v;
	struct vnode *vp = ap->a_vp;
	struct uio *uio = ap->a_uio;
	struct slotfs_node *node = SLOTFS_NODE(vp);
	uint64_t left;
	int error = 0;

	if (vp->v_type == VDIR)
		return EISDIR;
	if (vp->v_type != VREG || uio->uio_offset < 0)
		return EINVAL;
	while (error == 0 && uio->uio_resid != 0 && (uint64_t)uio->uio_offset < node->slot.size) {
		left = node->slot.size - uio->uio_offset;
		error = ubc_uiomove(&vp->v_uobj, uio, left < uio->uio_resid ? left : uio->uio_resid,
		    (ap->a_ioflag >> IO_ADV_SHIFT) & IO_ADV_MASK, UBC_READ | UBC_PARTIALOK | UBC_UNMAP);
	}
	if ((vp->v_mount->mnt_flag & (MNT_RDONLY | MNT_NOATIME)) == 0)
		slotfs_touch(node, ACCESSED);
	return error;
}

static void
lock_pages(struct vnode *vp)
{
#if NETBSD_VERSION >= 1000000000
	rw_enter(vp->v_uobj.vmobjlock, RW_WRITER);
#else
	mutex_enter(vp->v_uobj.vmobjlock);
#endif
}

static void
unlock_pages(struct vnode *vp)
{
#if NETBSD_VERSION >= 1000000000
	rw_exit(vp->v_uobj.vmobjlock);
#else
	mutex_exit(vp->v_uobj.vmobjlock);
#endif
}

/* Brings the page that holds byte `offset` into memory. */
int
slotfs_read_page(struct vnode *vp, uint64_t offset)
{
	struct vm_page *page = NULL;
	int count = 1, error;

	lock_pages(vp);
	error = VOP_GETPAGES(vp, offset & ~(uint64_t)PAGE_MASK, &page, &count, 0, VM_PROT_READ, 0, PGO_SYNCIO | PGO_NOTIMESTAMP);
	if (error != 0)
		return error;
	lock_pages(vp);
	uvm_pageactivate(page);
	uvm_page_unbusy(&page, 1);
	unlock_pages(vp);
	return 0;
}

/*
 * Takes blocks for a piece of a file. Pages that are there because a hole was read are marked as such: they are held while the
 * blocks come, and may be written to afterwards.
 */
static int
take_blocks(struct vnode *vp, uint64_t offset, uint64_t length)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	struct vm_page *pages[PIECE / PAGE_SIZE + 1] = { NULL };
	uint64_t start = offset & ~(uint64_t)PAGE_MASK, end = offset + length;
	int count = (int)((end - start + PAGE_MASK) >> PAGE_SHIFT), each, error;
	bool inside = start < node->slot.size, fresh;
	uint32_t block;
	daddr_t lbn;

	genfs_node_wrlock(vp);
	error = 0;
	if (inside) {
		lock_pages(vp);
		error = VOP_GETPAGES(vp, start, pages, &count, 0, VM_PROT_WRITE, 0,
		    PGO_SYNCIO | PGO_PASTEOF | PGO_NOBLOCKALLOC | PGO_NOTIMESTAMP | PGO_GLOCKHELD);
	}
	if (error == 0) {
		for (lbn = offset >> BLOCK_SHIFT; lbn <= (daddr_t)((end - 1) >> BLOCK_SHIFT) && error == 0; lbn++)
			error = slotfs_want(node, lbn, &block, &fresh);
		if (inside) {
			lock_pages(vp);
			for (each = 0; each < count && error == 0; each++)
				pages[each]->flags &= ~PG_RDONLY;
			uvm_page_unbusy(pages, count);
			unlock_pages(vp);
		}
	}
	genfs_node_unlock(vp);
	return error;
}

/* Writes a piece. */
static int
write_piece(struct vnode *vp, struct uio *uio, uint64_t length)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	uint64_t start = uio->uio_offset, end = start + length;
	int error;

	error = take_blocks(vp, start, length);
	if (error != 0)
		return error;
	if (end > (uint64_t)vp->v_size)
		uvm_vnp_setwritesize(vp, end);
	error = ubc_uiomove(&vp->v_uobj, uio, length, 0, UBC_WRITE | UBC_UNMAP);
	if (error != 0) {
		uvm_vnp_setwritesize(vp, vp->v_size);
		return error;
	}
	if (end > node->slot.size) {
		node->slot.size = end;
		uvm_vnp_setsize(vp, end);
	}
	if (start / STRIDE != end / STRIDE) {
		lock_pages(vp);
		error = VOP_PUTPAGES(vp, start & ~(uint64_t)(STRIDE - 1), end & ~(uint64_t)(STRIDE - 1), PGO_CLEANIT);
	}
	return error;
}

int
slotfs_write(void *v)
{
	struct vop_write_args *ap = v;
	struct vnode *vp = ap->a_vp;
	struct uio *uio = ap->a_uio;
	struct slotfs_node *node = SLOTFS_NODE(vp);
	uint64_t old = node->slot.size, length;
	size_t resid = uio->uio_resid;
	off_t offset;
	int error = 0;

	if (vp->v_type != VREG)
		return vp->v_type == VDIR ? EISDIR : EINVAL;
	if (ap->a_ioflag & IO_APPEND)
		uio->uio_offset = old;
	offset = uio->uio_offset;
	if ((node->slot.flags & APPEND) && (uint64_t)offset != old)
		return EPERM;
	if (offset < 0 || (uint64_t)offset + resid > (uint64_t)FILE_BLOCKS << BLOCK_SHIFT)
		return EFBIG;
	while (error == 0 && uio->uio_resid != 0) {
		length = PIECE - (uio->uio_offset & (PIECE - 1));
		error = write_piece(vp, uio, length < uio->uio_resid ? length : uio->uio_resid);
	}
	if (error != 0 && (ap->a_ioflag & IO_UNIT) && node->slot.size >= old) {
		/* Whole or not at all, blocks behind the end included. */
		if (slotfs_truncate(vp, old) == 0) {
			uio->uio_offset = offset;
			uio->uio_resid = resid;
		}
	}
	if (uio->uio_resid != resid)
		slotfs_touch(node, MODIFIED | CHANGED);
	if (error == 0 && (ap->a_ioflag & IO_SYNC) == IO_SYNC)
		error = VOP_FSYNC(vp, ap->a_cred, FSYNC_WAIT, 0, 0);
	return error;
}

int
slotfs_readlink(void *v)
{
	struct vop_readlink_args *ap = v;
	struct vnode *vp = ap->a_vp;
	uint64_t size = SLOTFS_NODE(vp)->slot.size;
	struct buf *bp;
	int error;

	if (vp->v_type != VLNK)
		return EINVAL;
	if (size > BLOCK)
		return EIO;
	error = bread(vp, 0, size > DEV_BSIZE ? BLOCK : DEV_BSIZE, 0, &bp);
	if (error != 0)
		return error;
	error = uiomove(bp->b_data, size, ap->a_uio);
	brelse(bp, 0);
	return error;
}

int
slotfs_fsync(void *v)
{
	struct vop_fsync_args *ap = v;
	struct vnode *vp = ap->a_vp;
	int error;

	/* There is nothing that could be lost; the kernel has to see that by itself. */
	if ((SLOTFS_NODE(vp)->mount->mode & FWRITE) == 0)
		return EROFS;
	error = vflushbuf(vp, ap->a_flags);
	if (error != 0 || (ap->a_flags & FSYNC_DATAONLY))
		return error;
	error = slotfs_flush_pointers(SLOTFS_NODE(vp));
	return error != 0 ? error : slotfs_update(vp, (ap->a_flags & FSYNC_WAIT) != 0);
}

int
slotfs_bmap(void *v)
{
	struct vop_bmap_args *ap = v;
	struct slotfs_node *node = SLOTFS_NODE(ap->a_vp);
	uint32_t block, next;
	int error, run = 0;

	if (ap->a_vpp != NULL)
		*ap->a_vpp = node->mount->device;
	if (ap->a_bnp == NULL)
		return 0;
	error = slotfs_where(node, ap->a_bn, &block);
	if (error != 0)
		return error;
	*ap->a_bnp = block == 0 ? -1 : TO_DEVICE(block);
	if (ap->a_runp == NULL)
		return 0;
	while (block != 0 && ap->a_bn + run + 1 < FILE_BLOCKS && run < MAXPHYS / BLOCK - 1) {
		error = slotfs_where(node, ap->a_bn + run + 1, &next);
		if (error != 0 || next != block + run + 1)
			break;
		run++;
	}
	*ap->a_runp = run;
	return 0;
}

int
slotfs_strategy(void *v)
{
	struct vop_strategy_args *ap = v;
	struct buf *bp = ap->a_bp;
	struct vnode *vp = ap->a_vp;
	int error;

	if (bp->b_blkno == bp->b_lblkno) {
		error = VOP_BMAP(vp, bp->b_lblkno, NULL, &bp->b_blkno, NULL);
		if (error == 0 && bp->b_blkno == -1) {
			memset(bp->b_data, 0, bp->b_bcount);
			bp->b_resid = 0;
			biodone(bp);
			return 0;
		}
		if (error != 0) {
			bp->b_error = error;
			bp->b_resid = bp->b_bcount;
			biodone(bp);
			return error;
		}
	}
	return VOP_STRATEGY(SLOTFS_NODE(vp)->mount->device, bp);
}
