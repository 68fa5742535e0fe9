/* Vnodes of files: how they come, change and go. */
#include "slotfs.h"

struct pool slotfs_pool;

static int
read_table(struct slotfs_mount *smp, uint32_t number, struct buf **bpp, struct slot **slot)
{
	int error;

	error = bread(smp->device, TO_DEVICE(smp->super.table_start + number / SLOTS_PER_BLOCK), BLOCK, 0, bpp);
	if (error == 0)
		*slot = (struct slot *)(*bpp)->b_data + number % SLOTS_PER_BLOCK;
	return error;
}

int
slotfs_get(struct mount *mp, uint32_t number, struct vnode **vpp)
{
	return vcache_get(mp, &number, sizeof(number), vpp);
}

/* Makes a vnode stand for a slot. */
static struct slotfs_node *
adopt(struct slotfs_mount *smp, struct vnode *vp, uint32_t number, const struct slot *slot)
{
	struct slotfs_node *node = pool_get(&slotfs_pool, PR_WAITOK);

	memset(node, 0, sizeof(*node));
	node->number = number;
	node->slot = *slot;
	node->mount = smp;
	vp->v_tag = VT_NON;
	vp->v_data = node;
	vp->v_type = iftovt_tab[(slot->mode & S_IFMT) >> 12];
	genfs_node_init(vp, &slotfs_genfsops);
	switch (vp->v_type) {
	case VBLK:
	case VCHR:
		vp->v_op = slotfs_specop_p;
		spec_node_init(vp, slot->rdev);
		break;
	case VFIFO:
		vp->v_op = slotfs_fifoop_p;
		break;
	default:
		vp->v_op = slotfs_vnodeop_p;
		uvm_vnp_setsize(vp, slot->size);
		break;
	}
	if (number == ROOT_SLOT)
		vp->v_vflag |= VV_ROOT;
	return node;
}

int
slotfs_loadvnode(struct mount *mp, struct vnode *vp, const void *key, size_t key_len, const void **new_key)
{
	struct slotfs_mount *smp = SLOTFS_MOUNT(mp);
	struct slot *slot, copy;
	struct buf *bp;
	uint32_t number;
	int error;

	if (key_len != sizeof(number))
		return EINVAL;
	memcpy(&number, key, sizeof(number));
	if (number == 0 || number >= smp->super.slots)
		return ENOENT;
	error = read_table(smp, number, &bp, &slot);
	if (error != 0)
		return error;
	copy = *slot;
	brelse(bp, 0);
	if (copy.mode == 0)
		return ENOENT;
	*new_key = &adopt(smp, vp, number, &copy)->number;
	return 0;
}

/* Makes a file as `vap` says, without a name yet. */
static int
make(struct mount *mp, struct vnode *dvp, struct vnode *vp, struct vattr *vap, kauth_cred_t cred, size_t *key_len,
    const void **new_key)
{
	struct slotfs_mount *smp = SLOTFS_MOUNT(mp);
	struct slotfs_node *directory = SLOTFS_NODE(dvp), *node;
	struct slot slot = { 0 };
	uint32_t number;
	int error;

	error = slotfs_take_slot(smp, &number, &slot.generation);
	if (error != 0)
		return error;
	slot.mode = vttoif_tab[vap->va_type] | (vap->va_mode & 07777);
	slot.uid = kauth_cred_geteuid(cred);
	slot.gid = directory->slot.gid;
	if (vap->va_type == VBLK || vap->va_type == VCHR)
		slot.rdev = vap->va_rdev;
	if (vap->va_type == VDIR)
		slot.parent = directory->number;
	node = adopt(smp, vp, number, &slot);
	slotfs_touch(node, ACCESSED | MODIFIED | CHANGED);
	node->slot.btime = node->slot.mtime;
	/* The table knows it from now on, so nobody else gets the slot. */
	error = slotfs_update(vp, false);
	if (error != 0) {
		smp->free_slots++;
		genfs_node_destroy(vp);
		vp->v_data = NULL;
		vp->v_op = NULL;
		pool_put(&slotfs_pool, node);
		return error;
	}
	*key_len = sizeof(node->number);
	*new_key = &node->number;
	return 0;
}

#if NETBSD_VERSION >= 1000000000
int
slotfs_newvnode(struct mount *mp, struct vnode *dvp, struct vnode *vp, struct vattr *vap, kauth_cred_t cred, void *extra,
    size_t *key_len, const void **new_key)
{
	(void)extra;
	return make(mp, dvp, vp, vap, cred, key_len, new_key);
}
#else
int
slotfs_newvnode(struct mount *mp, struct vnode *dvp, struct vnode *vp, struct vattr *vap, kauth_cred_t cred, size_t *key_len,
    const void **new_key)
{
	return make(mp, dvp, vp, vap, cred, key_len, new_key);
}
#endif

/* Brings the table up to date, on the device if `wait`. */
int
slotfs_update(struct vnode *vp, bool wait)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	struct slot *slot;
	struct buf *bp;
	int error;

	/* A new vnode does not belong to its mount yet. */
	if ((node->mount->mode & FWRITE) == 0 || (!node->changed && !wait))
		return 0;
	error = read_table(node->mount, node->number, &bp, &slot);
	if (error != 0)
		return error;
	*slot = node->slot;
	node->changed = false;
	if (!wait) {
		bdwrite(bp);
		return 0;
	}
	error = bwrite(bp);
	if (error != 0)
		node->changed = true;
	return error;
}

void
slotfs_touch(struct slotfs_node *node, int what)
{
	struct timespec now;

	vfs_timestamp(&now);
	if (what & ACCESSED)
		node->slot.atime = now.tv_sec;
	if (what & MODIFIED)
		node->slot.mtime = now.tv_sec;
	if (what & CHANGED)
		node->slot.ctime = now.tv_sec;
	node->changed = true;
}

/* Frees what a file without names has. */
static int
give_up(struct vnode *vp)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	int error = 0;

	if (node->slot.held != 0 || node->slot.size != 0)
		error = slotfs_truncate(vp, 0);
	if (error != 0)
		return error;
	node->slot.mode = 0;
	node->changed = true;
	error = slotfs_update(vp, false);
	if (error == 0)
		node->mount->free_slots++;
	return error;
}

int
slotfs_inactive(void *v)
{
	struct vop_inactive_args *ap = v;
	struct vnode *vp = ap->a_vp;
	struct slotfs_node *node = SLOTFS_NODE(vp);
	int error = 0;

	if (node->slot.links == 0 && node->slot.mode != 0 && (node->mount->mode & FWRITE) != 0)
		error = give_up(vp);
	else
		error = slotfs_update(vp, false);
	if (error != 0)
		node->mount->error = error;
	*ap->a_recycle = node->slot.mode == 0;
#if NETBSD_VERSION < 1000000000
	VOP_UNLOCK(vp);
#endif
	return 0;
}

int
slotfs_reclaim(void *v)
{
	struct vop_reclaim_args *ap = v;
	struct vnode *vp = ap->a_vp;
	struct slotfs_node *node = SLOTFS_NODE(vp);
	int error;

	error = slotfs_update(vp, false);
	if (error != 0)
		node->mount->error = error;
#if NETBSD_VERSION >= 1000000000
	VOP_UNLOCK(vp);
#else
	vcache_remove(vp->v_mount, &node->number, sizeof(node->number));
#endif
	genfs_node_destroy(vp);
	vp->v_data = NULL;
	pool_put(&slotfs_pool, node);
	return 0;
}
