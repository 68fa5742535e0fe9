/* Owners, permissions, times. */
#include "slotfs.h"

static int
can_access(struct vnode *vp, const struct slot *slot, mode_t wanted, kauth_cred_t cred)
{
#if NETBSD_VERSION >= 1000000000
	return genfs_can_access(vp, cred, slot->uid, slot->gid, slot->mode & 07777, NULL, wanted);
#else
	return genfs_can_access(vp->v_type, slot->mode & 07777, slot->uid, slot->gid, wanted, cred);
#endif
}

int
slotfs_access(void *v)
{
	struct vop_access_args *ap = v;
	struct vnode *vp = ap->a_vp;
	const struct slot *slot = &SLOTFS_NODE(vp)->slot;
	kauth_action_t action;
	mode_t wanted;

#if NETBSD_VERSION >= 1000000000
	wanted = ap->a_accmode;
#else
	wanted = ap->a_mode;
#endif
	if (wanted & VWRITE) {
		bool stored = vp->v_type == VREG || vp->v_type == VDIR || vp->v_type == VLNK;

		if (stored && (vp->v_mount->mnt_flag & MNT_RDONLY))
			return EROFS;
		if (slot->flags & IMMUTABLE)
			return EPERM;
	}
	action = kauth_mode_to_action(wanted);
	/* Privilege does not make a file executable. */
	if (vp->v_type == VDIR || (slot->mode & 0111) != 0)
		action |= KAUTH_VNODE_IS_EXEC;
	return kauth_authorize_vnode(ap->a_cred, action, vp, NULL, can_access(vp, slot, wanted, ap->a_cred));
}

int
slotfs_getattr(void *v)
{
	struct vop_getattr_args *ap = v;
	struct vattr *vap = ap->a_vap;
	struct vnode *vp = ap->a_vp;
	const struct slotfs_node *node = SLOTFS_NODE(vp);
	const struct slot *slot = &node->slot;

	vattr_null(vap);
	vap->va_type = vp->v_type;
	vap->va_mode = slot->mode & 07777;
	vap->va_nlink = slot->links;
	vap->va_uid = slot->uid;
	vap->va_gid = slot->gid;
	vap->va_fsid = (uint32_t)vp->v_mount->mnt_stat.f_fsidx___fsid_val[0];
	vap->va_fileid = node->number;
	vap->va_size = slot->size;
	vap->va_blocksize = BLOCK;
	vap->va_atime.tv_sec = slot->atime;
	vap->va_mtime.tv_sec = slot->mtime;
	vap->va_ctime.tv_sec = slot->ctime;
	vap->va_birthtime.tv_sec = slot->btime;
	vap->va_atime.tv_nsec = vap->va_mtime.tv_nsec = vap->va_ctime.tv_nsec = vap->va_birthtime.tv_nsec = 0;
	vap->va_gen = slot->generation;
	vap->va_flags = slot->flags;
	vap->va_rdev = vp->v_type == VBLK || vp->v_type == VCHR ? slot->rdev : (dev_t)VNOVAL;
	vap->va_bytes = (uint64_t)slot->held << BLOCK_SHIFT;
	vap->va_filerev = 0;
	vap->va_vaflags = 0;
	return 0;
}

#if NETBSD_VERSION >= 1000000000
#define CAN_FLAGS(vp, cred, slot) genfs_can_chflags(vp, cred, (slot)->uid, false)
#define CAN_MODE(vp, cred, slot, mode) genfs_can_chmod(vp, cred, (slot)->uid, (slot)->gid, mode)
#define CAN_OWNER(vp, cred, slot, uid, gid) genfs_can_chown(vp, cred, (slot)->uid, (slot)->gid, uid, gid)
#define CAN_TIMES(vp, cred, slot, how) genfs_can_chtimes(vp, cred, (slot)->uid, how)
#else
#define CAN_FLAGS(vp, cred, slot) genfs_can_chflags(cred, (vp)->v_type, (slot)->uid, false)
#define CAN_MODE(vp, cred, slot, mode) genfs_can_chmod((vp)->v_type, cred, (slot)->uid, (slot)->gid, mode)
#define CAN_OWNER(vp, cred, slot, uid, gid) genfs_can_chown(cred, (slot)->uid, (slot)->gid, uid, gid)
#define CAN_TIMES(vp, cred, slot, how) genfs_can_chtimes(vp, how, (slot)->uid, cred)
#endif

static int
set_flags(struct vnode *vp, const struct vattr *vap, kauth_cred_t cred)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	int error;

	error = kauth_authorize_vnode(cred, KAUTH_VNODE_WRITE_FLAGS, vp, NULL, CAN_FLAGS(vp, cred, &node->slot));
	if (error == 0) {
		node->slot.flags = vap->va_flags;
		slotfs_touch(node, CHANGED);
	}
	return error;
}

static int
set_owner(struct vnode *vp, const struct vattr *vap, kauth_cred_t cred)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	uid_t uid = vap->va_uid == (uid_t)VNOVAL ? node->slot.uid : vap->va_uid;
	uid_t gid = vap->va_gid == (uid_t)VNOVAL ? node->slot.gid : vap->va_gid;
	int error;

	error = kauth_authorize_vnode(cred, KAUTH_VNODE_CHANGE_OWNERSHIP, vp, NULL, CAN_OWNER(vp, cred, &node->slot, uid, gid));
	if (error == 0) {
		node->slot.uid = uid;
		node->slot.gid = gid;
		slotfs_touch(node, CHANGED);
	}
	return error;
}

static int
set_mode(struct vnode *vp, const struct vattr *vap, kauth_cred_t cred)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	int error;

	error = kauth_authorize_vnode(cred, KAUTH_VNODE_WRITE_SECURITY, vp, NULL, CAN_MODE(vp, cred, &node->slot, vap->va_mode));
	if (error == 0) {
		node->slot.mode = (node->slot.mode & S_IFMT) | (vap->va_mode & 07777);
		slotfs_touch(node, CHANGED);
	}
	return error;
}

static int
set_times(struct vnode *vp, const struct vattr *vap, kauth_cred_t cred)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);
	int error;

	error = kauth_authorize_vnode(cred, KAUTH_VNODE_WRITE_TIMES, vp, NULL, CAN_TIMES(vp, cred, &node->slot, vap->va_vaflags));
	if (error != 0)
		return error;
	slotfs_touch(node, CHANGED);
	if (vap->va_atime.tv_sec != VNOVAL)
		node->slot.atime = vap->va_atime.tv_sec;
	if (vap->va_mtime.tv_sec != VNOVAL)
		node->slot.mtime = vap->va_mtime.tv_sec;
	return 0;
}

static int
set_size(struct vnode *vp, const struct vattr *vap)
{
	if (vp->v_type == VDIR)
		return EISDIR;
	if (vp->v_type != VREG)
		return vp->v_type == VLNK ? EINVAL : 0;
	if (SLOTFS_NODE(vp)->slot.flags & APPEND)
		return EPERM;
	return slotfs_truncate(vp, vap->va_size);
}

int
slotfs_setattr(void *v)
{
	struct vop_setattr_args *ap = v;
	const struct vattr *vap = ap->a_vap;
	struct vnode *vp = ap->a_vp;
	kauth_cred_t cred = ap->a_cred;
	int error = 0;

	if (vp->v_mount->mnt_flag & MNT_RDONLY)
		return EROFS;
	if (vap->va_flags != (unsigned long)VNOVAL) {
		error = set_flags(vp, vap, cred);
		if (error != 0 || (vap->va_flags & (IMMUTABLE | APPEND)) != 0)
			return error;
	}
	if (SLOTFS_NODE(vp)->slot.flags & IMMUTABLE)
		return EPERM;
	if (vap->va_uid != (uid_t)VNOVAL || vap->va_gid != (uid_t)VNOVAL)
		error = set_owner(vp, vap, cred);
	if (error == 0 && vap->va_size != (uint64_t)VNOVAL)
		error = set_size(vp, vap);
	if (error == 0 && (vap->va_atime.tv_sec != VNOVAL || vap->va_mtime.tv_sec != VNOVAL))
		error = set_times(vp, vap, cred);
	if (error == 0 && vap->va_mode != (mode_t)VNOVAL)
		error = set_mode(vp, vap, cred);
	return error != 0 ? error : slotfs_update(vp, false);
}
