/* Operations on files. */
#include "tarfs.h"

/* Numbers in a directory's offsets: the dot entries, then entries of the index, then nothing more. */
#define OFFSET_DOT 0
#define OFFSET_DOTDOT 1
#define OFFSET_ENTRIES 2
#define OFFSET_END 0x7fffffff

static int
tarfs_lookup(void *v)
{
	struct vop_lookup_args *ap = v;
	struct vnode *dvp = ap->a_dvp, **vpp = ap->a_vpp;
	struct componentname *cnp = ap->a_cnp;
	struct tarfs_node *directory = TARFS_NODE(dvp);
	uint32_t number;
	int error;

	*vpp = NULL;
	error = VOP_ACCESS(dvp, VEXEC, cnp->cn_cred);
	if (error != 0)
		return error;
	if ((cnp->cn_flags & ISLASTCN) && (cnp->cn_nameiop == DELETE || cnp->cn_nameiop == RENAME))
		return EROFS;
	if (cache_lookup(dvp, cnp->cn_nameptr, cnp->cn_namelen, cnp->cn_nameiop, cnp->cn_flags, NULL, vpp))
		return *vpp == NULL ? ENOENT : 0;
	if (cnp->cn_namelen == 1 && cnp->cn_nameptr[0] == '.') {
		vref(dvp);
		*vpp = dvp;
		return 0;
	}
	if (cnp->cn_flags & ISDOTDOT) {
		number = directory->entry->parent;
	} else {
		number = tar_index_lookup(directory->mount->index, directory->number, cnp->cn_nameptr, cnp->cn_namelen);
	}
	if (number == 0) {
		if ((cnp->cn_flags & ISLASTCN) && cnp->cn_nameiop == CREATE)
			return EROFS;
		if (cnp->cn_nameiop != CREATE)
			cache_enter(dvp, NULL, cnp->cn_nameptr, cnp->cn_namelen, cnp->cn_flags);
		return ENOENT;
	}
	error = tarfs_get(dvp->v_mount, tar_index_entry(directory->mount->index, number)->node, vpp);
	if (error == 0)
		cache_enter(dvp, *vpp, cnp->cn_nameptr, cnp->cn_namelen, cnp->cn_flags);
	return error;
}

static int
tarfs_access(void *v)
{
	struct vop_access_args *ap = v;
	struct vnode *vp = ap->a_vp;
	const struct tar_entry *entry = TARFS_NODE(vp)->entry;
	kauth_action_t action;
	mode_t wanted;
	int error;

#if NETBSD_VERSION >= 1000000000
	wanted = ap->a_accmode;
	error = genfs_can_access(vp, ap->a_cred, entry->uid, entry->gid, entry->mode, NULL, wanted);
#else
	wanted = ap->a_mode;
	error = genfs_can_access(vp->v_type, entry->mode, entry->uid, entry->gid, wanted, ap->a_cred);
#endif
	if (wanted & VWRITE)
		return EROFS;
	action = kauth_mode_to_action(wanted);
	/* Privilege does not make a file executable. */
	if (vp->v_type == VDIR || (entry->mode & 0111) != 0)
		action |= KAUTH_VNODE_IS_EXEC;
	return kauth_authorize_vnode(ap->a_cred, action, vp, NULL, error);
}

static int
tarfs_getattr(void *v)
{
	struct vop_getattr_args *ap = v;
	struct vattr *vap = ap->a_vap;
	struct tarfs_node *node = TARFS_NODE(ap->a_vp);
	const struct tar_entry *entry = node->entry;

	vattr_null(vap);
	vap->va_type = entry->type;
	vap->va_mode = entry->mode;
	vap->va_nlink = entry->nlink;
	vap->va_uid = entry->uid;
	vap->va_gid = entry->gid;
	vap->va_fsid = (uint32_t)ap->a_vp->v_mount->mnt_stat.f_fsidx___fsid_val[0];
	vap->va_fileid = node->number;
	vap->va_size = entry->type == VDIR ? TAR_BLOCK : entry->size;
	vap->va_blocksize = TAR_BLOCK;
	vap->va_mtime.tv_sec = entry->mtime;
	vap->va_mtime.tv_nsec = 0;
	vap->va_atime = vap->va_ctime = vap->va_birthtime = vap->va_mtime;
	vap->va_gen = 0;
	vap->va_flags = 0;
	vap->va_rdev = (dev_t)VNOVAL;
	vap->va_bytes = (entry->size + TAR_BLOCK - 1) & ~(uint64_t)(TAR_BLOCK - 1);
	vap->va_filerev = 0;
	vap->va_vaflags = 0;
	return 0;
}

/* Reads the rest of a block through the buffer cache. */
static int
read_in_block(struct vnode *vp, struct uio *uio, uint64_t len)
{
	struct buf *bp;
	int error;

	error = bread(vp, uio->uio_offset >> TAR_BLOCK_SHIFT, TAR_BLOCK, 0, &bp);
	if (error != 0)
		return error;
	error = uiomove((char *)bp->b_data + (uio->uio_offset & (TAR_BLOCK - 1)), len, uio);
	brelse(bp, 0);
	return error;
}

static int
tarfs_read(void *v)
{
	struct vop_read_args *ap = v;
	struct vnode *vp = ap->a_vp;
	struct uio *uio = ap->a_uio;
	const struct tar_entry *entry = TARFS_NODE(vp)->entry;
	uint64_t len;
	int error = 0;

	if (entry->type == VDIR)
		return EISDIR;
	if (entry->type != VREG || uio->uio_offset < 0)
		return EINVAL;
	while (error == 0 && uio->uio_resid != 0 && (uint64_t)uio->uio_offset < entry->size) {
		len = entry->size - uio->uio_offset;
		if (len > uio->uio_resid)
			len = uio->uio_resid;
		/* What lies in one block is not worth a page. */
		if ((uio->uio_offset & (TAR_BLOCK - 1)) + len <= TAR_BLOCK)
			error = read_in_block(vp, uio, len);
		else
			error = ubc_uiomove(&vp->v_uobj, uio, len, (ap->a_ioflag >> IO_ADV_SHIFT) & IO_ADV_MASK,
			    UBC_READ | UBC_PARTIALOK);
	}
	return error;
}

/* Offset of the child `number`, or of the end for 0. */
static off_t
child_offset(uint32_t number)
{
	return number == 0 ? OFFSET_END : (off_t)number + OFFSET_ENTRIES;
}

/* The first child at or behind `offset`; 0 if there is none. */
static uint32_t
child_at(const struct tar_index *index, const struct tarfs_node *directory, off_t offset)
{
	const struct tar_entry *entry;
	uint32_t number;

	if (offset >= OFFSET_END)
		return 0;
	entry = offset < OFFSET_ENTRIES ? NULL : tar_index_entry(index, (uint32_t)(offset - OFFSET_ENTRIES));
	if (entry != NULL && entry->parent == directory->number)
		return (uint32_t)(offset - OFFSET_ENTRIES);
	number = directory->entry->first;
	while (number != 0 && child_offset(number) < offset)
		number = tar_index_entry(index, number)->next;
	return number;
}

static int
dirent_type(int type)
{
	return type == VDIR ? DT_DIR : type == VLNK ? DT_LNK : DT_REG;
}

static int
tarfs_readdir(void *v)
{
	struct vop_readdir_args *ap = v;
	struct uio *uio = ap->a_uio;
	struct tarfs_node *directory = TARFS_NODE(ap->a_vp);
	const struct tar_index *index = directory->mount->index;
	struct dirent *dp;
	int64_t *cookies = NULL;
	int count = 0, room = 0, error = 0;
	off_t offset = uio->uio_offset, next;
	uint32_t parent = directory->entry->parent;

	if (directory->entry->type != VDIR)
		return ENOTDIR;
	if (offset < 0)
		return EINVAL;
	if (ap->a_eofflag != NULL)
		*ap->a_eofflag = 0;
	if (ap->a_ncookies != NULL) {
		/* The shortest entry takes 24 bytes. */
		room = (int)(uio->uio_resid >> 4) + 1;
		cookies = kern_malloc(room * sizeof(*cookies), M_WAITOK);
	}
	dp = kern_malloc(sizeof(*dp), M_WAITOK | M_ZERO);
	while (offset < OFFSET_END) {
		if (offset == OFFSET_DOT) {
			dp->d_fileno = directory->number;
			dp->d_type = DT_DIR;
			dp->d_namlen = 1;
			memcpy(dp->d_name, ".", 2);
			next = OFFSET_DOTDOT;
		} else if (offset == OFFSET_DOTDOT) {
			dp->d_fileno = parent == 0 ? directory->number : parent;
			dp->d_type = DT_DIR;
			dp->d_namlen = 2;
			memcpy(dp->d_name, "..", 3);
			next = child_offset(directory->entry->first);
		} else {
			uint32_t number = child_at(index, directory, offset);
			const struct tar_entry *entry = tar_index_entry(index, number);

			if (entry == NULL) {
				offset = OFFSET_END;
				break;
			}
			dp->d_fileno = entry->node;
			dp->d_type = dirent_type(entry->type);
			dp->d_namlen = entry->name_len;
			memcpy(dp->d_name, entry->name, entry->name_len + 1);
			next = child_offset(entry->next);
		}
		dp->d_reclen = (__builtin_offsetof(struct dirent, d_name) + dp->d_namlen + 1 + 7) & ~7;
		if (uio->uio_resid < dp->d_reclen) {
			if (count == 0 && offset == uio->uio_offset)
				error = EINVAL;
			break;
		}
		error = uiomove(dp, dp->d_reclen, uio);
		if (error != 0)
			break;
		memset(dp, 0, sizeof(*dp));
		offset = next;
		if (cookies != NULL && count < room)
			cookies[count] = next;
		count++;
	}
	uio->uio_offset = offset;
	if (ap->a_eofflag != NULL && error == 0)
		*ap->a_eofflag = offset >= OFFSET_END;
	kern_free(dp);
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

static int
tarfs_readlink(void *v)
{
	struct vop_readlink_args *ap = v;
	const struct tar_entry *entry = TARFS_NODE(ap->a_vp)->entry;

	if (entry->type != VLNK)
		return EINVAL;
	return uiomove((void *)entry->link, entry->link_len, ap->a_uio);
}

static int
tarfs_inactive(void *v)
{
	struct vop_inactive_args *ap = v;

	*ap->a_recycle = false;
#if NETBSD_VERSION < 1000000000
	VOP_UNLOCK(ap->a_vp);
#endif
	return 0;
}

static int
tarfs_reclaim(void *v)
{
	struct vop_reclaim_args *ap = v;
	struct vnode *vp = ap->a_vp;
	struct tarfs_node *node = TARFS_NODE(vp);

#if NETBSD_VERSION >= 1000000000
	VOP_UNLOCK(vp);
#else
	vcache_remove(vp->v_mount, &node->number, sizeof(node->number));
#endif
	genfs_node_destroy(vp);
	vp->v_data = NULL;
	pool_put(&tarfs_node_pool, node);
	return 0;
}

static int
tarfs_bmap(void *v)
{
	struct vop_bmap_args *ap = v;
	struct tarfs_node *node = TARFS_NODE(ap->a_vp);
	const struct tar_entry *entry = node->entry;
	daddr_t blocks = (daddr_t)((entry->size + TAR_BLOCK - 1) >> TAR_BLOCK_SHIFT), rest;

	if (ap->a_vpp != NULL)
		*ap->a_vpp = node->mount->device;
	if (ap->a_bnp == NULL)
		return 0;
	if (ap->a_bn < 0)
		return EFBIG;
	*ap->a_bnp = ap->a_bn < blocks ? (daddr_t)entry->block + ap->a_bn : -1;
	if (ap->a_runp != NULL) {
		rest = blocks - ap->a_bn - 1;
		if (rest > (MAXPHYS >> TAR_BLOCK_SHIFT) - 1)
			rest = (MAXPHYS >> TAR_BLOCK_SHIFT) - 1;
		*ap->a_runp = rest < 0 ? 0 : (int)rest;
	}
	return 0;
}

static int
tarfs_strategy(void *v)
{
	struct vop_strategy_args *ap = v;
	struct buf *bp = ap->a_bp;
	struct vnode *vp = ap->a_vp;
	int error;

	if (bp->b_blkno == bp->b_lblkno) {
		error = VOP_BMAP(vp, bp->b_lblkno, NULL, &bp->b_blkno, NULL);
		if (error != 0) {
			bp->b_error = error;
			biodone(bp);
			return error;
		}
		if (bp->b_blkno == -1)
			memset(bp->b_data, 0, bp->b_bcount);
	}
	if (bp->b_blkno == -1) {
		bp->b_resid = 0;
		biodone(bp);
		return 0;
	}
	return VOP_STRATEGY(TARFS_NODE(vp)->mount->device, bp);
}

static int
tarfs_pathconf(void *v)
{
	struct vop_pathconf_args *ap = v;
	int64_t result;

	switch (ap->a_name) {
	case _PC_LINK_MAX:
		result = 32767;
		break;
	case _PC_NAME_MAX:
		result = 255;
		break;
	case _PC_PATH_MAX:
		result = 1024;
		break;
	case _PC_PIPE_BUF:
		result = 512;
		break;
	case _PC_CHOWN_RESTRICTED:
	case _PC_NO_TRUNC:
	case _PC_SYNC_IO:
		result = 1;
		break;
	case _PC_FILESIZEBITS:
		result = 42;
		break;
	default:
		return EINVAL;
	}
	*ap->a_retval = result;
	return 0;
}

static int
tarfs_print(void *v)
{
	struct vop_print_args *ap = v;

	printf("tarfs: entry %u\n", TARFS_NODE(ap->a_vp)->number);
	return 0;
}

vop_t *tarfs_vnodeop_p;

static const struct vnodeopv_entry_desc tarfs_vnodeop_entries[] = {
	{ &vop_default_desc, vn_default_error },
	{ &vop_lookup_desc, tarfs_lookup },
	{ &vop_create_desc, genfs_eopnotsupp },
	{ &vop_mknod_desc, genfs_eopnotsupp },
	{ &vop_open_desc, genfs_nullop },
	{ &vop_close_desc, genfs_nullop },
	{ &vop_access_desc, tarfs_access },
	{ &vop_getattr_desc, tarfs_getattr },
	{ &vop_setattr_desc, genfs_eopnotsupp },
	{ &vop_read_desc, tarfs_read },
	{ &vop_write_desc, genfs_eopnotsupp },
	{ &vop_fallocate_desc, genfs_eopnotsupp },
	{ &vop_fdiscard_desc, genfs_eopnotsupp },
	{ &vop_ioctl_desc, genfs_enoioctl },
	{ &vop_fcntl_desc, genfs_fcntl },
	{ &vop_poll_desc, genfs_poll },
	{ &vop_revoke_desc, genfs_revoke },
	{ &vop_mmap_desc, genfs_mmap },
	{ &vop_fsync_desc, genfs_nullop },
	{ &vop_seek_desc, genfs_seek },
	{ &vop_remove_desc, genfs_eopnotsupp },
	{ &vop_link_desc, genfs_eopnotsupp },
	{ &vop_rename_desc, genfs_eopnotsupp },
	{ &vop_mkdir_desc, genfs_eopnotsupp },
	{ &vop_rmdir_desc, genfs_eopnotsupp },
	{ &vop_symlink_desc, genfs_eopnotsupp },
	{ &vop_readdir_desc, tarfs_readdir },
	{ &vop_readlink_desc, tarfs_readlink },
	{ &vop_abortop_desc, genfs_abortop },
	{ &vop_inactive_desc, tarfs_inactive },
	{ &vop_reclaim_desc, tarfs_reclaim },
	{ &vop_lock_desc, genfs_lock },
	{ &vop_unlock_desc, genfs_unlock },
	{ &vop_bmap_desc, tarfs_bmap },
	{ &vop_strategy_desc, tarfs_strategy },
	{ &vop_print_desc, tarfs_print },
	{ &vop_islocked_desc, genfs_islocked },
	{ &vop_pathconf_desc, tarfs_pathconf },
	{ &vop_advlock_desc, genfs_einval },
	{ &vop_bwrite_desc, vn_bwrite },
	{ &vop_getpages_desc, genfs_getpages },
	{ &vop_putpages_desc, genfs_putpages },
	{ NULL, NULL },
};

const struct vnodeopv_desc tarfs_vnodeop_opv_desc = { &tarfs_vnodeop_p, tarfs_vnodeop_entries };
