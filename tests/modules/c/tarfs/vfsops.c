/* Module, mounts and the vnodes' coming. */
#include "tarfs.h"

MODULE(MODULE_CLASS_VFS, tarfs, "tarindex");

struct pool tarfs_node_pool;

static const struct genfs_ops tarfs_genfsops = {
	.gop_size = genfs_size,
};

static int
read_block(void *cookie, daddr_t block, void *buffer)
{
	struct vnode *device = cookie;
	struct buf *bp;
	int error;

	error = bread(device, block, TAR_BLOCK, 0, &bp);
	if (error != 0)
		return error;
	if (bp->b_resid != 0) {
		brelse(bp, 0);
		return EIO;
	}
	memcpy(buffer, bp->b_data, TAR_BLOCK);
	brelse(bp, 0);
	return 0;
}

/* Opens the device, reads the archive and fills the mount in. The device's reference goes to the mount if this succeeds. */
static int
mount_device(struct mount *mp, struct vnode *device)
{
	struct tarfs_mount *tmp;
	struct tar_index *index;
	dev_t dev = device->v_un_vu_specnode->sn_rdev;
	int error;

	vn_lock(device, LK_EXCLUSIVE | LK_RETRY);
	error = vinvalbuf(device, V_SAVE, (kauth_cred_t)NOCRED, curlwp, false, 0);
	if (error == 0)
		error = VOP_OPEN(device, FREAD, (kauth_cred_t)NOCRED);
	VOP_UNLOCK(device);
	if (error != 0)
		return error;
	error = tar_index_make(read_block, device, &index);
	if (error != 0) {
		vn_lock(device, LK_EXCLUSIVE | LK_RETRY);
		VOP_CLOSE(device, FREAD, (kauth_cred_t)NOCRED);
		VOP_UNLOCK(device);
		return error;
	}
	tmp = kmem_zalloc(sizeof(*tmp), KM_SLEEP);
	tmp->device = device;
	tmp->index = index;
	mp->mnt_data = tmp;
	mp->mnt_stat.f_fsidx___fsid_val[0] = (int32_t)dev;
	mp->mnt_stat.f_fsidx___fsid_val[1] = (int32_t)makefstype("tarfs");
	mp->mnt_stat.f_fsid = (uint32_t)mp->mnt_stat.f_fsidx___fsid_val[0];
	mp->mnt_stat.f_namemax = 255;
	mp->mnt_flag |= MNT_LOCAL;
	mp->mnt_dev_bshift = DEV_BSHIFT;
	mp->mnt_fs_bshift = TAR_BLOCK_SHIFT;
	spec_node_setmountedfs(device, mp);
	return 0;
}

static int
tarfs_mount(struct mount *mp, const char *path, void *data, size_t *data_len)
{
	struct tarfs_args *args = data;
	struct vnode *device;
	int error;

	if (args == NULL || *data_len < sizeof(*args))
		return EINVAL;
	if (mp->mnt_flag & MNT_GETARGS) {
		args->fspec = NULL;
		*data_len = sizeof(*args);
		return 0;
	}
	if (mp->mnt_flag & MNT_UPDATE)
		return EOPNOTSUPP;
	if ((mp->mnt_flag & MNT_RDONLY) == 0)
		return EROFS;
	error = namei_simple_user(args->fspec, NSM_FOLLOW_NOEMULROOT, &device);
	if (error != 0)
		return error;
	if (device->v_type != VBLK)
		error = ENOTBLK;
	else if (bdevsw_lookup(device->v_un_vu_specnode->sn_rdev) == NULL)
		error = ENXIO;
	else
		error = mount_device(mp, device);
	if (error != 0) {
		vrele(device);
		return error;
	}
	return set_statvfs_info(path, UIO_USERSPACE, args->fspec, UIO_USERSPACE, "tarfs", mp, curlwp);
}

static int
tarfs_start(struct mount *mp, int flags)
{
	(void)mp;
	(void)flags;
	return 0;
}

static int
tarfs_unmount(struct mount *mp, int flags)
{
	struct tarfs_mount *tmp = TARFS_MOUNT(mp);
	struct vnode *device = tmp->device;
	int error;

	error = vflush(mp, NULL, (flags & MNT_FORCE) ? FORCECLOSE : 0);
	if (error != 0)
		return error;
	spec_node_setmountedfs(device, NULL);
	vn_lock(device, LK_EXCLUSIVE | LK_RETRY);
	VOP_CLOSE(device, FREAD, (kauth_cred_t)NOCRED);
	vput(device);
	tar_index_free(tmp->index);
	kmem_free(tmp, sizeof(*tmp));
	mp->mnt_data = NULL;
	mp->mnt_flag &= ~MNT_LOCAL;
	return 0;
}

int
tarfs_get(struct mount *mp, uint32_t number, struct vnode **vpp)
{
	return vcache_get(mp, &number, sizeof(number), vpp);
}

static int
get_locked(struct mount *mp, uint32_t number, int lock, struct vnode **vpp)
{
	int error;

	error = tarfs_get(mp, number, vpp);
	if (error == 0) {
		error = vn_lock(*vpp, lock);
		if (error != 0) {
			vrele(*vpp);
			*vpp = NULL;
		}
	}
	return error;
}

#if NETBSD_VERSION >= 1000000000
static int
tarfs_root(struct mount *mp, int lock, struct vnode **vpp)
{
	return get_locked(mp, TAR_ROOT, lock, vpp);
}

static int
tarfs_vget(struct mount *mp, uint64_t number, int lock, struct vnode **vpp)
{
	return get_locked(mp, (uint32_t)number, lock, vpp);
}
#else
static int
tarfs_root(struct mount *mp, struct vnode **vpp)
{
	return get_locked(mp, TAR_ROOT, LK_EXCLUSIVE, vpp);
}

static int
tarfs_vget(struct mount *mp, uint64_t number, struct vnode **vpp)
{
	return get_locked(mp, (uint32_t)number, LK_EXCLUSIVE, vpp);
}
#endif

int
tarfs_loadvnode(struct mount *mp, struct vnode *vp, const void *key, size_t key_len, const void **new_key)
{
	struct tarfs_mount *tmp = TARFS_MOUNT(mp);
	const struct tar_entry *entry;
	struct tarfs_node *node;
	uint32_t number;

	if (key_len != sizeof(number))
		return EINVAL;
	memcpy(&number, key, sizeof(number));
	entry = tar_index_entry(tmp->index, number);
	if (entry == NULL || entry->node != number)
		return ENOENT;
	node = pool_get(&tarfs_node_pool, PR_WAITOK);
	memset(node, 0, sizeof(*node));
	node->number = number;
	node->entry = entry;
	node->mount = tmp;
	vp->v_tag = VT_NON;
	vp->v_op = tarfs_vnodeop_p;
	vp->v_data = node;
	vp->v_type = entry->type;
	genfs_node_init(vp, &tarfs_genfsops);
	if (number == TAR_ROOT)
		vp->v_vflag |= VV_ROOT;
	uvm_vnp_setsize(vp, entry->type == VDIR ? 0 : (off_t)entry->size);
	*new_key = &node->number;
	return 0;
}

static int
tarfs_statvfs(struct mount *mp, struct statvfs *result)
{
	struct tarfs_mount *tmp = TARFS_MOUNT(mp);

	result->f_bsize = result->f_frsize = result->f_iosize = TAR_BLOCK;
	result->f_blocks = tar_index_blocks(tmp->index);
	result->f_bfree = result->f_bavail = result->f_bresvd = 0;
	result->f_files = tar_index_count(tmp->index);
	result->f_ffree = result->f_favail = result->f_fresvd = 0;
	copy_statvfs_info(result, mp);
	return 0;
}

static int
tarfs_sync(struct mount *mp, int wait, kauth_cred_t cred)
{
	(void)mp;
	(void)wait;
	(void)cred;
	return 0;
}

static void
tarfs_init(void)
{
	pool_init(&tarfs_node_pool, sizeof(struct tarfs_node), 0, 0, 0, "tarfsnode", &pool_allocator_nointr, IPL_NONE);
}

static void
tarfs_done(void)
{
	pool_destroy(&tarfs_node_pool);
}

static const struct vnodeopv_desc *const tarfs_vnodeopv_descs[] = { &tarfs_vnodeop_opv_desc, NULL };

static struct vfsops tarfs_vfsops = {
	.vfs_name = "tarfs",
	.vfs_min_mount_data = sizeof(struct tarfs_args),
	.vfs_mount = tarfs_mount,
	.vfs_start = tarfs_start,
	.vfs_unmount = tarfs_unmount,
	.vfs_root = tarfs_root,
	.vfs_quotactl = eopnotsupp,
	.vfs_statvfs = tarfs_statvfs,
	.vfs_sync = tarfs_sync,
	.vfs_vget = tarfs_vget,
	.vfs_loadvnode = tarfs_loadvnode,
	.vfs_fhtovp = eopnotsupp,
	.vfs_vptofh = eopnotsupp,
	.vfs_init = tarfs_init,
	.vfs_done = tarfs_done,
	.vfs_snapshot = eopnotsupp,
	.vfs_extattrctl = vfs_stdextattrctl,
	.vfs_suspendctl = eopnotsupp,
	.vfs_renamelock_enter = genfs_renamelock_enter,
	.vfs_renamelock_exit = genfs_renamelock_exit,
	.vfs_fsync = eopnotsupp,
	.vfs_opv_descs = (void *)tarfs_vnodeopv_descs,
};

static int
tarfs_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
		return vfs_attach(&tarfs_vfsops);
	case MODULE_CMD_FINI:
		return vfs_detach(&tarfs_vfsops);
	default:
		return ENOTTY;
	}
}
