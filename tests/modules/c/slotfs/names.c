/* Looking names up, giving and taking them. */
#include "slotfs.h"

/* A free name: whether the caller may take it. */
static int
free_name(struct vnode *dvp, struct componentname *cnp)
{
	int error;

	if ((cnp->cn_flags & ISLASTCN) && (cnp->cn_nameiop == CREATE || cnp->cn_nameiop == RENAME)) {
		if (dvp->v_mount->mnt_flag & MNT_RDONLY)
			return EROFS;
		error = VOP_ACCESS(dvp, VWRITE, cnp->cn_cred);
		return error != 0 ? error : EJUSTRETURN;
	}
	if (cnp->cn_nameiop != CREATE)
		cache_enter(dvp, NULL, cnp->cn_nameptr, cnp->cn_namelen, cnp->cn_flags);
	return ENOENT;
}

/* A name that is to go: whether the caller may take it away. */
static int
doomed_name(struct vnode *dvp, struct vnode *vp, struct componentname *cnp)
{
	struct slotfs_node *directory = SLOTFS_NODE(dvp), *node = SLOTFS_NODE(vp);
	int error, sticky = 0;

	error = VOP_ACCESS(dvp, VWRITE, cnp->cn_cred);
	if (error != 0)
		return error;
	if (directory->slot.mode & S_ISTXT)
#if NETBSD_VERSION >= 1000000000
		sticky = genfs_can_sticky(vp, cnp->cn_cred, directory->slot.uid, node->slot.uid);
#else
		sticky = genfs_can_sticky(cnp->cn_cred, directory->slot.uid, node->slot.uid);
#endif
	return kauth_authorize_vnode(cnp->cn_cred, KAUTH_VNODE_DELETE, vp, dvp, sticky);
}

int
slotfs_lookup(void *v)
{
	struct vop_lookup_args *ap = v;
	struct vnode *dvp = ap->a_dvp, **vpp = ap->a_vpp;
	struct componentname *cnp = ap->a_cnp;
	struct slotfs_node *directory = SLOTFS_NODE(dvp);
	bool doomed = (cnp->cn_flags & ISLASTCN) && (cnp->cn_nameiop == DELETE || cnp->cn_nameiop == RENAME);
	struct place place;
	int error;

	*vpp = NULL;
	error = VOP_ACCESS(dvp, VEXEC, cnp->cn_cred);
	if (error != 0)
		return error;
	if (doomed && (dvp->v_mount->mnt_flag & MNT_RDONLY))
		return EROFS;
	if (cache_lookup(dvp, cnp->cn_nameptr, cnp->cn_namelen, cnp->cn_nameiop, cnp->cn_flags, NULL, vpp))
		return *vpp == NULL ? ENOENT : 0;
	if (cnp->cn_namelen == 1 && cnp->cn_nameptr[0] == '.') {
		vref(dvp);
		*vpp = dvp;
		return 0;
	}
	if (cnp->cn_flags & ISDOTDOT) {
		place.slot = directory->slot.parent;
	} else {
		error = slotfs_find(dvp, cnp->cn_nameptr, cnp->cn_namelen, &place);
		if (error == ENOENT)
			return free_name(dvp, cnp);
		if (error != 0)
			return error;
	}
	error = slotfs_get(dvp->v_mount, place.slot, vpp);
	if (error == 0 && doomed) {
		error = doomed_name(dvp, *vpp, cnp);
		if (error != 0) {
			vrele(*vpp);
			*vpp = NULL;
		}
	}
	if (error == 0)
		cache_enter(dvp, *vpp, cnp->cn_nameptr, cnp->cn_namelen, cnp->cn_flags);
	return error;
}

/* Puts the target of a new symbolic link where contents are: a sector where that is enough. */
static int
write_target(struct vnode *vp, const char *target)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	size_t length = strlen(target);
	struct buf *bp;
	uint32_t block;
	bool fresh;
	int error;

	if (length >= BLOCK)
		return ENAMETOOLONG;
	error = slotfs_want(node, 0, &block, &fresh);
	if (error != 0)
		return error;
	bp = getblk(vp, 0, DEV_BSIZE, 0, 0);
	bp->b_blkno = TO_DEVICE(block);
	if (length > DEV_BSIZE)
		allocbuf(bp, BLOCK, 0);
	memset(bp->b_data, 0, bp->b_bcount);
	memcpy(bp->b_data, target, length);
	node->slot.size = length;
	uvm_vnp_setsize(vp, length);
	return bwrite(bp);
}

/* Takes back a file that got no name. */
static void
unmake(struct vnode *vp)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	int error;

	node->slot.links = 0;
	node->changed = true;
	error = slotfs_truncate(vp, 0);
	if (error == 0) {
		node->slot.mode = 0;
		node->mount->free_slots++;
	} else {
		node->mount->error = error;
	}
	VOP_UNLOCK(vp);
	vgone(vp);
}

/* Makes a file and its name. */
static int
make(struct vnode *dvp, struct componentname *cnp, struct vattr *vap, const char *target, struct vnode **vpp)
{
	struct slotfs_node *directory = SLOTFS_NODE(dvp), *node;
	struct vnode *vp;
	int error;

	*vpp = NULL;
	if (cnp->cn_namelen > NAME_LIMIT)
		return ENAMETOOLONG;
	if (vap->va_type == VDIR && directory->slot.links >= LINK_LIMIT)
		return EMLINK;
#if NETBSD_VERSION >= 1000000000
	error = vcache_new(dvp->v_mount, dvp, vap, cnp->cn_cred, NULL, &vp);
#else
	error = vcache_new(dvp->v_mount, dvp, vap, cnp->cn_cred, &vp);
#endif
	if (error != 0)
		return error;
	vn_lock(vp, LK_EXCLUSIVE | LK_RETRY);
	node = SLOTFS_NODE(vp);
	node->slot.links = vap->va_type == VDIR ? 2 : 1;
	node->changed = true;
	if (target != NULL)
		error = write_target(vp, target);
	/* The slot is on the device before a name leads to it. */
	if (error == 0)
		error = slotfs_update(vp, true);
	if (error == 0)
		error = slotfs_enter(dvp, cnp->cn_nameptr, cnp->cn_namelen, node->number, vtype2dt(vap->va_type));
	if (error != 0) {
		unmake(vp);
		return error;
	}
	if (vap->va_type == VDIR) {
		directory->slot.links++;
		directory->changed = true;
	}
	error = slotfs_update(dvp, false);
	VOP_UNLOCK(vp);
	if (error != 0)
		SLOTFS_MOUNT(dvp->v_mount)->error = error;
	*vpp = vp;
	return 0;
}

int
slotfs_create(void *v)
{
	struct vop_create_args *ap = v;

	return make(ap->a_dvp, ap->a_cnp, ap->a_vap, NULL, ap->a_vpp);
}

int
slotfs_mknod(void *v)
{
	struct vop_mknod_args *ap = v;

	return make(ap->a_dvp, ap->a_cnp, ap->a_vap, NULL, ap->a_vpp);
}

int
slotfs_mkdir(void *v)
{
	struct vop_mkdir_args *ap = v;

	return make(ap->a_dvp, ap->a_cnp, ap->a_vap, NULL, ap->a_vpp);
}

int
slotfs_symlink(void *v)
{
	struct vop_symlink_args *ap = v;

	ap->a_vap->va_type = VLNK;
	return make(ap->a_dvp, ap->a_cnp, ap->a_vap, ap->a_target, ap->a_vpp);
}

int
slotfs_link(void *v)
{
	struct vop_link_args *ap = v;
	struct vnode *dvp = ap->a_dvp, *vp = ap->a_vp;
	struct componentname *cnp = ap->a_cnp;
	struct slotfs_node *node = SLOTFS_NODE(vp);
	int error;

	error = vn_lock(vp, LK_EXCLUSIVE);
	if (error != 0) {
		VOP_ABORTOP(dvp, cnp);
		return error;
	}
	if (node->slot.links >= LINK_LIMIT)
		error = EMLINK;
	else if (node->slot.links == 0)
		error = ENOENT;
	else if (node->slot.flags & (IMMUTABLE | APPEND))
		error = EPERM;
	if (error != 0) {
		VOP_ABORTOP(dvp, cnp);
	} else {
		node->slot.links++;
		slotfs_touch(node, CHANGED);
		error = slotfs_update(vp, true);
		if (error == 0)
			error = slotfs_enter(dvp, cnp->cn_nameptr, cnp->cn_namelen, node->number, vtype2dt(vp->v_type));
		if (error != 0) {
			node->slot.links--;
			node->changed = true;
		}
	}
	VOP_UNLOCK(vp);
	return error;
}

/* Takes a name of a file away. */
static int
take_name(struct vnode *dvp, struct vnode *vp, struct componentname *cnp)
{
	struct slotfs_node *directory = SLOTFS_NODE(dvp), *node = SLOTFS_NODE(vp);
	struct place place;
	int error;

	error = genfs_ufslike_remove_check_possible(directory->slot.flags, node->slot.flags, IMMUTABLE, APPEND);
	if (error == 0)
		error = genfs_ufslike_remove_check_permitted(cnp->cn_cred, dvp, directory->slot.mode, directory->slot.uid, vp,
		    node->slot.uid);
	if (error == 0)
		error = slotfs_find(dvp, cnp->cn_nameptr, cnp->cn_namelen, &place);
	if (error == 0)
		error = slotfs_replace(dvp, &place, 0, 0);
	if (error != 0)
		return error;
	cache_purge1(vp, NULL, 0, PURGE_PARENTS | PURGE_CHILDREN);
	node->slot.links--;
	slotfs_touch(node, CHANGED);
	return slotfs_update(vp, false);
}

/* What removing leaves of its vnodes: the directory stays locked in later versions. */
static void
release(struct vnode *dvp, struct vnode *vp)
{
	if (vp == dvp)
		vrele(vp);
	else
		vput(vp);
#if NETBSD_VERSION < 1000000000
	vput(dvp);
#else
	(void)dvp;
#endif
}

int
slotfs_remove(void *v)
{
	struct vop_remove_args *ap = v;
	int error;

	if (ap->a_vp->v_type == VDIR)
		error = EPERM;
	else
		error = take_name(ap->a_dvp, ap->a_vp, ap->a_cnp);
	release(ap->a_dvp, ap->a_vp);
	return error;
}

int
slotfs_rmdir(void *v)
{
	struct vop_rmdir_args *ap = v;
	struct vnode *dvp = ap->a_dvp, *vp = ap->a_vp;
	struct slotfs_node *directory = SLOTFS_NODE(dvp);
	bool is_empty = false;
	int error;

	if (vp == dvp)
		error = EINVAL;
	else
		error = slotfs_is_empty(vp, &is_empty);
	if (error == 0 && !is_empty)
		error = ENOTEMPTY;
	if (error == 0)
		error = take_name(dvp, vp, ap->a_cnp);
	if (error == 0) {
		SLOTFS_NODE(vp)->slot.links = 0;
		SLOTFS_NODE(vp)->changed = true;
		directory->slot.links--;
		directory->changed = true;
		error = slotfs_update(dvp, false);
	}
	release(dvp, vp);
	return error;
}
