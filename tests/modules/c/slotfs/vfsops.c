/* Module and mounts. */
#include "slotfs.h"

MODULE(MODULE_CLASS_VFS, slotfs, NULL);

/* Looks the device up, as the path that the caller gave says. */
static int
find_device(const char *path, struct vnode **vpp)
{
	struct nameidata nd;
	struct pathbuf *pb;
	int error;

	error = pathbuf_copyin(path, &pb);
	if (error != 0)
		return error;
	memset(&nd, 0, sizeof(nd));
	nd.ni_cnd.cn_nameiop = LOOKUP;
	nd.ni_cnd.cn_flags = FOLLOW;
	nd.ni_pathbuf = pb;
	error = namei(&nd);
	*vpp = error == 0 ? nd.ni_vp : NULL;
	pathbuf_destroy(pb);
	if (error != 0)
		return error;
	if ((*vpp)->v_type != VBLK)
		error = ENOTBLK;
	else if (bdevsw_lookup((*vpp)->v_un_vu_specnode->sn_rdev) == NULL)
		error = ENXIO;
	if (error != 0)
		vrele(*vpp);
	return error;
}

/* Reads or writes the superblock past the buffer cache, which has no block size yet. */
static int
transfer_super(struct vnode *device, void *block, int flags)
{
	struct buf *bp = getiobuf(device, true);
	int error;

	bp->b_data = block;
	bp->b_bcount = bp->b_bufsize = bp->b_resid = BLOCK;
	bp->b_flags |= flags;
	bp->b_blkno = 0;
	bp->b_dev = device->v_un_vu_specnode->sn_rdev;
	bp->b_cflags |= BC_BUSY;
	if (flags != B_READ)
		device->v_numoutput++;
	bdev_strategy(bp);
	error = biowait(bp);
	if (error == 0 && bp->b_resid != 0)
		error = EIO;
	putiobuf(bp);
	return error;
}

static int
check_super(struct vnode *device, const struct superblock *super)
{
	struct dkwedge_info info = { 0 };
	uint64_t table = super->slots / SLOTS_PER_BLOCK;
	int error;

	if (memcmp(super->magic, SLOTFS_MAGIC, sizeof(super->magic)) != 0)
		return EINVAL;
	if (super->slots <= ROOT_SLOT || super->slots % SLOTS_PER_BLOCK != 0 || super->map_start == 0)
		return EINVAL;
	if ((uint64_t)super->map_start * BITS_PER_BLOCK + super->blocks > (uint64_t)super->table_start * BITS_PER_BLOCK)
		return EINVAL;
	if (super->table_start + table > super->data_start || super->data_start > super->blocks)
		return EINVAL;
	error = getdiskinfo(device, &info);
	if (error != 0)
		return error;
	/* Sectors are counted in what the device has, which is 512 bytes at least. */
	return (uint64_t)super->blocks << (BLOCK_SHIFT - DEV_BSHIFT) > info.dkw_size ? EINVAL : 0;
}

/* Says on the device whether the mount is over. */
static int
set_clean(struct slotfs_mount *smp, bool clean)
{
	struct buf *bp;
	int error;

	smp->super.clean = clean;
	error = bread(smp->device, 0, BLOCK, 0, &bp);
	if (error != 0)
		return error;
	memcpy(bp->b_data, &smp->super, sizeof(smp->super));
	return bwrite(bp);
}

static void
close_device(struct vnode *device, int mode)
{
	vn_lock(device, LK_EXCLUSIVE | LK_RETRY);
	VOP_CLOSE(device, mode, (kauth_cred_t)NOCRED);
	VOP_UNLOCK(device);
}

/* Fills the mount in; the device is open. */
static int
start(struct mount *mp, struct slotfs_mount *smp)
{
	char *block = kern_malloc(BLOCK, M_WAITOK);
	int error;

	error = transfer_super(smp->device, block, B_READ);
	if (error == 0)
		memcpy(&smp->super, block, sizeof(smp->super));
	kern_free(block);
	if (error == 0)
		error = check_super(smp->device, &smp->super);
	if (error == 0)
		error = slotfs_count(smp);
	if (error == 0 && !smp->super.clean)
		printf("slotfs: was not unmounted\n");
	if (error == 0 && (mp->mnt_flag & MNT_RDONLY) == 0)
		error = set_clean(smp, false);
	if (error != 0)
		return error;
	smp->next_block = smp->super.data_start;
	smp->next_slot = ROOT_SLOT + 1;
	mp->mnt_data = smp;
	vfs_getnewfsid(mp);
	mp->mnt_stat.f_namemax = NAME_LIMIT;
	mp->mnt_flag |= MNT_LOCAL;
	mp->mnt_dev_bshift = DEV_BSHIFT;
	mp->mnt_fs_bshift = BLOCK_SHIFT;
	return 0;
}

static int
mount_device(struct mount *mp, struct vnode *device)
{
	struct slotfs_mount *smp;
	int mode = (mp->mnt_flag & MNT_RDONLY) ? FREAD : FREAD | FWRITE, error;

	vn_lock(device, LK_EXCLUSIVE | LK_RETRY);
	error = vinvalbuf(device, V_SAVE, (kauth_cred_t)NOCRED, curlwp, false, 0);
	if (error == 0)
		error = VOP_OPEN(device, mode, (kauth_cred_t)NOCRED);
	VOP_UNLOCK(device);
	if (error != 0)
		return error;
	smp = kmem_zalloc(sizeof(*smp), KM_SLEEP);
	smp->device = device;
	smp->mode = mode;
	error = start(mp, smp);
	if (error != 0) {
		kmem_free(smp, sizeof(*smp));
		close_device(device, mode);
		return error;
	}
	spec_node_setmountedfs(device, mp);
	return 0;
}

static int
slotfs_mount(struct mount *mp, const char *path, void *data, size_t *data_len)
{
	struct slotfs_args *args = data;
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
	error = find_device(args->fspec, &device);
	if (error != 0)
		return error;
	error = mount_device(mp, device);
	if (error != 0) {
		vrele(device);
		return error;
	}
	return set_statvfs_info(path, UIO_USERSPACE, args->fspec, UIO_USERSPACE, "slotfs", mp, curlwp);
}

static int
slotfs_start(struct mount *mp, int flags)
{
	(void)mp;
	(void)flags;
	return 0;
}

static int
slotfs_unmount(struct mount *mp, int flags)
{
	struct slotfs_mount *smp = SLOTFS_MOUNT(mp);
	struct vnode *device = smp->device;
	bool force = (flags & MNT_FORCE) != 0;
	int error;

	if (force && !doforce)
		return EINVAL;
	error = vflush(mp, NULL, force ? FORCECLOSE : 0);
	if (error != 0)
		return error;
	if ((mp->mnt_flag & MNT_RDONLY) == 0) {
		error = smp->error;
		smp->error = 0;
		vn_lock(device, LK_EXCLUSIVE | LK_RETRY);
		if (error == 0)
			error = VOP_FSYNC(device, (kauth_cred_t)NOCRED, FSYNC_WAIT, 0, 0);
		VOP_UNLOCK(device);
		if (error == 0)
			error = set_clean(smp, true);
		/* Who forces it does so because the device is broken. */
		if (error != 0 && !force)
			return error;
	}
	spec_node_setmountedfs(device, NULL);
	close_device(device, smp->mode);
	vrele(device);
	kmem_free(smp, sizeof(*smp));
	mp->mnt_data = NULL;
	mp->mnt_flag &= ~MNT_LOCAL;
	return 0;
}

static int
get_locked(struct mount *mp, uint32_t number, int lock, struct vnode **vpp)
{
	int error;

	error = slotfs_get(mp, number, vpp);
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
slotfs_root(struct mount *mp, int lock, struct vnode **vpp)
{
	return get_locked(mp, ROOT_SLOT, lock, vpp);
}

static int
slotfs_vget(struct mount *mp, uint64_t number, int lock, struct vnode **vpp)
{
	return get_locked(mp, (uint32_t)number, lock, vpp);
}
#else
static int
slotfs_root(struct mount *mp, struct vnode **vpp)
{
	return get_locked(mp, ROOT_SLOT, LK_EXCLUSIVE, vpp);
}

static int
slotfs_vget(struct mount *mp, uint64_t number, struct vnode **vpp)
{
	return get_locked(mp, (uint32_t)number, LK_EXCLUSIVE, vpp);
}
#endif

static int
slotfs_statvfs(struct mount *mp, struct statvfs *result)
{
	struct slotfs_mount *smp = SLOTFS_MOUNT(mp);

	result->f_bsize = result->f_frsize = result->f_iosize = BLOCK;
	result->f_blocks = smp->super.blocks - smp->super.data_start;
	result->f_bfree = result->f_bavail = smp->free_blocks;
	result->f_bresvd = 0;
	result->f_files = smp->super.slots - 1;
	result->f_ffree = result->f_favail = smp->free_slots;
	result->f_fresvd = 0;
	copy_statvfs_info(result, mp);
	return 0;
}

/* Whether a file has something that is not on the device. */
static bool
is_dirty(void *cookie, struct vnode *vp)
{
	(void)cookie;
	if (vp->v_type == VNON || vp->v_data == NULL)
		return false;
	if (SLOTFS_NODE(vp)->changed || vp->v_dirtyblkhd.lh_first != NULL)
		return true;
#if NETBSD_VERSION >= 1000000000
	return vp->v_type == VREG;
#else
	return vp->v_type == VREG && !uvn_clean_p(&vp->v_uobj);
#endif
}

static int
slotfs_sync(struct mount *mp, int wait, kauth_cred_t cred)
{
	struct slotfs_mount *smp = SLOTFS_MOUNT(mp);
	struct vnode_iterator *iterator;
	struct vnode *vp;
	int error, first;

	if (mp->mnt_flag & MNT_RDONLY)
		return 0;
	first = smp->error;
	smp->error = 0;
	vfs_vnode_iterator_init(mp, &iterator);
	while ((vp = vfs_vnode_iterator_next(iterator, is_dirty, NULL)) != NULL) {
		error = vn_lock(vp, LK_EXCLUSIVE);
		if (error != 0) {
			vrele(vp);
			continue;
		}
		error = VOP_FSYNC(vp, cred, wait == MNT_WAIT ? FSYNC_WAIT : 0, 0, 0);
		first = first != 0 ? first : error;
		vput(vp);
	}
	vfs_vnode_iterator_destroy(iterator);
	vn_lock(smp->device, LK_EXCLUSIVE | LK_RETRY);
	error = VOP_FSYNC(smp->device, cred, wait == MNT_WAIT ? FSYNC_WAIT : 0, 0, 0);
	VOP_UNLOCK(smp->device);
	return first != 0 ? first : error;
}

static void
slotfs_init(void)
{
	pool_init(&slotfs_pool, sizeof(struct slotfs_node), 0, 0, 0, "slotfsnode", &pool_allocator_nointr, IPL_NONE);
}

static void
slotfs_done(void)
{
	pool_destroy(&slotfs_pool);
}

static const struct vnodeopv_desc *const descriptions[] = { &slotfs_vnodeop_desc, &slotfs_specop_desc, &slotfs_fifoop_desc, NULL };

static struct vfsops slotfs_vfsops = {
	.vfs_name = "slotfs",
	.vfs_min_mount_data = sizeof(struct slotfs_args),
	.vfs_mount = slotfs_mount,
	.vfs_start = slotfs_start,
	.vfs_unmount = slotfs_unmount,
	.vfs_root = slotfs_root,
	.vfs_quotactl = eopnotsupp,
	.vfs_statvfs = slotfs_statvfs,
	.vfs_sync = slotfs_sync,
	.vfs_vget = slotfs_vget,
	.vfs_loadvnode = slotfs_loadvnode,
	.vfs_newvnode = slotfs_newvnode,
	.vfs_fhtovp = eopnotsupp,
	.vfs_vptofh = eopnotsupp,
	.vfs_init = slotfs_init,
	.vfs_done = slotfs_done,
	.vfs_snapshot = eopnotsupp,
	.vfs_extattrctl = vfs_stdextattrctl,
	.vfs_suspendctl = eopnotsupp,
	.vfs_renamelock_enter = genfs_renamelock_enter,
	.vfs_renamelock_exit = genfs_renamelock_exit,
	.vfs_fsync = eopnotsupp,
	.vfs_opv_descs = (void *)descriptions,
};

static int
slotfs_modcmd(modcmd_t command, void *argument)
{
	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
		return vfs_attach(&slotfs_vfsops);
	case MODULE_CMD_FINI:
		return vfs_detach(&slotfs_vfsops);
	default:
		return ENOTTY;
	}
}
