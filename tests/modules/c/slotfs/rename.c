/* Renaming: what genfs's does not know of a file system. */
#include "slotfs.h"

#if NETBSD_VERSION >= 1000000000
#define LEFT , uint32_t *left
#define SAY_LEFT(node) (*left = (node)->slot.links)
#else
#define LEFT
#define SAY_LEFT(node) ((void)0)
#endif

static bool
directory_empty_p(struct mount *mp, kauth_cred_t cred, struct vnode *vp, struct vnode *dvp)
{
	bool is_empty = false;

	(void)mp;
	(void)cred;
	(void)dvp;
	return slotfs_is_empty(vp, &is_empty) == 0 && is_empty;
}

static unsigned long
flags_of(struct vnode *vp)
{
	return vp == NULL ? 0 : SLOTFS_NODE(vp)->slot.flags;
}

static int
rename_check_possible(struct mount *mp, struct vnode *fdvp, struct vnode *fvp, struct vnode *tdvp, struct vnode *tvp)
{
	(void)mp;
	return genfs_ufslike_rename_check_possible(flags_of(fdvp), flags_of(fvp), flags_of(tdvp), flags_of(tvp), tvp != NULL,
	    IMMUTABLE, APPEND);
}

static int
rename_check_permitted(struct mount *mp, kauth_cred_t cred, struct vnode *fdvp, struct vnode *fvp, struct vnode *tdvp,
    struct vnode *tvp)
{
	const struct slot *from = &SLOTFS_NODE(fdvp)->slot, *to = &SLOTFS_NODE(tdvp)->slot;

	(void)mp;
	return genfs_ufslike_rename_check_permitted(cred, fdvp, from->mode, from->uid, fvp, SLOTFS_NODE(fvp)->slot.uid, tdvp,
	    to->mode, to->uid, tvp, tvp == NULL ? 0 : SLOTFS_NODE(tvp)->slot.uid);
}

static int
remove_check_possible(struct mount *mp, struct vnode *dvp, struct vnode *vp)
{
	(void)mp;
	return genfs_ufslike_remove_check_possible(flags_of(dvp), flags_of(vp), IMMUTABLE, APPEND);
}

static int
remove_check_permitted(struct mount *mp, kauth_cred_t cred, struct vnode *dvp, struct vnode *vp)
{
	const struct slot *directory = &SLOTFS_NODE(dvp)->slot;

	(void)mp;
	return genfs_ufslike_remove_check_permitted(cred, dvp, directory->mode, directory->uid, vp, SLOTFS_NODE(vp)->slot.uid);
}

/* One name of `vp` less. */
static int
unlink(struct vnode *vp, int links)
{
	struct slotfs_node *node = SLOTFS_NODE(vp);

	node->slot.links -= links;
	slotfs_touch(node, CHANGED);
	return slotfs_update(vp, false);
}

static int
count(struct vnode *dvp, int links)
{
	struct slotfs_node *directory = SLOTFS_NODE(dvp);

	directory->slot.links += links;
	directory->changed = true;
	return slotfs_update(dvp, false);
}

static int
do_rename(struct mount *mp, kauth_cred_t cred, struct vnode *fdvp, struct componentname *fcnp, void *fde, struct vnode *fvp,
    struct vnode *tdvp, struct componentname *tcnp, void *tde, struct vnode *tvp LEFT)
{
	struct slotfs_node *node = SLOTFS_NODE(fvp);
	bool is_directory = fvp->v_type == VDIR;
	int error;

	(void)mp;
	(void)cred;
	(void)fcnp;
	if (tcnp->cn_namelen > NAME_LIMIT)
		return ENAMETOOLONG;
	if (is_directory && fdvp != tdvp && tvp == NULL && SLOTFS_NODE(tdvp)->slot.links >= LINK_LIMIT)
		return EMLINK;
	/* The new name comes before the old one goes: no failure leaves the file without any, and each is counted. */
	node->slot.links++;
	slotfs_touch(node, CHANGED);
	error = slotfs_update(fvp, true);
	if (error == 0 && tvp == NULL)
		error = slotfs_enter(tdvp, tcnp->cn_nameptr, tcnp->cn_namelen, node->number, vtype2dt(fvp->v_type));
	else if (error == 0)
		error = slotfs_replace(tdvp, tde, node->number, vtype2dt(fvp->v_type));
	if (error != 0) {
		node->slot.links--;
		node->changed = true;
		return error;
	}
	error = slotfs_replace(fdvp, fde, 0, 0);
	if (error != 0)
		return error;
	node->slot.links--;
	node->changed = true;
	if (is_directory && fdvp != tdvp) {
		node->slot.parent = SLOTFS_NODE(tdvp)->number;
		error = count(fdvp, -1);
		if (error == 0 && tvp == NULL)
			error = count(tdvp, 1);
	} else if (is_directory && tvp != NULL) {
		error = count(tdvp, -1);
	}
	if (error == 0)
		error = slotfs_update(fvp, false);
	if (error == 0 && tvp != NULL) {
		error = unlink(tvp, is_directory ? 2 : 1);
		SAY_LEFT(SLOTFS_NODE(tvp));
	}
	genfs_rename_knote(fdvp, fvp, tdvp, tvp, tvp != NULL && SLOTFS_NODE(tvp)->slot.links == 0);
	genfs_rename_cache_purge(fdvp, fvp, tdvp, tvp);
	return error;
}

static int
do_remove(struct mount *mp, kauth_cred_t cred, struct vnode *dvp, struct componentname *cnp, void *de, struct vnode *vp LEFT)
{
	int error;

	(void)mp;
	(void)cred;
	(void)cnp;
	error = slotfs_replace(dvp, de, 0, 0);
	if (error == 0)
		error = unlink(vp, 1);
	cache_purge1(vp, NULL, 0, PURGE_PARENTS | PURGE_CHILDREN);
	SAY_LEFT(SLOTFS_NODE(vp));
	return error;
}

static int
find(struct mount *mp, struct vnode *dvp, struct componentname *cnp, void *de, struct vnode **vpp)
{
	struct place *place = de;
	int error;

	*vpp = NULL;
	if (cnp->cn_namelen == 1 && cnp->cn_nameptr[0] == '.') {
		vref(dvp);
		*vpp = dvp;
		return 0;
	}
	error = slotfs_find(dvp, cnp->cn_nameptr, cnp->cn_namelen, place);
	return error != 0 ? error : slotfs_get(mp, place->slot, vpp);
}

/* Whether `fdvp` is above `tdvp`; if so, `between` is the directory in `fdvp` that leads there. */
static int
genealogy(struct mount *mp, kauth_cred_t cred, struct vnode *fdvp, struct vnode *tdvp, struct vnode **between)
{
	uint32_t left = SLOTFS_MOUNT(mp)->super.slots;
	struct vnode *vp = tdvp, *parent;
	int error;

	(void)cred;
	*between = NULL;
	vref(vp);
	while (SLOTFS_NODE(vp)->number != ROOT_SLOT) {
		if (SLOTFS_NODE(vp)->slot.links == 0) {
			vrele(vp);
			return ENOENT;
		}
		/* More directories than there are: they go round. */
		if (left-- == 0 || vp->v_type != VDIR) {
			vrele(vp);
			return EIO;
		}
		error = slotfs_get(mp, SLOTFS_NODE(vp)->slot.parent, &parent);
		if (error != 0) {
			vrele(vp);
			return error;
		}
		if (parent == fdvp) {
			vrele(parent);
			*between = vp;
			return 0;
		}
		vrele(vp);
		vp = parent;
	}
	vrele(vp);
	return 0;
}

static int
lock_directory(struct mount *mp, struct vnode *vp)
{
	(void)mp;
	vn_lock(vp, LK_EXCLUSIVE | LK_RETRY);
	if (SLOTFS_NODE(vp)->slot.links == 0) {
		VOP_UNLOCK(vp);
		return ENOENT;
	}
	return 0;
}

static const struct genfs_rename_ops operations = {
	.gro_directory_empty_p = directory_empty_p,
	.gro_rename_check_possible = rename_check_possible,
	.gro_rename_check_permitted = rename_check_permitted,
	.gro_remove_check_possible = remove_check_possible,
	.gro_remove_check_permitted = remove_check_permitted,
	.gro_rename = do_rename,
	.gro_remove = do_remove,
	.gro_lookup = find,
	.gro_genealogy = genealogy,
	.gro_lock_directory = lock_directory,
};

static int
sane_rename(struct vnode *fdvp, struct componentname *fcnp, struct vnode *tdvp, struct componentname *tcnp, kauth_cred_t cred,
    bool posix)
{
	struct place from, to;

#if NETBSD_VERSION < 1000000000
	/* Nobody else renames meanwhile. */
	if (!mutex_owned(&fdvp->v_mount->mnt_renamelock))
		panic("slotfs: a rename without its lock");
#endif
	return genfs_sane_rename(&operations, fdvp, fcnp, &from, tdvp, tcnp, &to, cred, posix);
}

int
slotfs_rename(void *v)
{
	return genfs_insane_rename(v, sane_rename);
}
