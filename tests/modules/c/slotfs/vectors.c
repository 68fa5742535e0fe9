/* Which function does what: of ordinary files, of devices and of named pipes, whose contents are the kernel's matter. */
#include "slotfs.h"

static int
pathconf(void *v)
{
	struct vop_pathconf_args *ap = v;
	int64_t result;

	switch (ap->a_name) {
	case _PC_LINK_MAX:
		result = LINK_LIMIT;
		break;
	case _PC_NAME_MAX:
		result = NAME_LIMIT;
		break;
	case _PC_PATH_MAX:
		result = 1024;
		break;
	case _PC_CHOWN_RESTRICTED:
	case _PC_NO_TRUNC:
	case _PC_SYNC_IO:
		result = 1;
		break;
	default:
		return EINVAL;
	}
	*ap->a_retval = result;
	return 0;
}

static int
print(void *v)
{
	struct vop_print_args *ap = v;

	printf("slotfs: slot %u\n", SLOTFS_NODE(ap->a_vp)->number);
	return 0;
}

static int
advlock(void *v)
{
	struct vop_advlock_args *ap = v;
	struct slotfs_node *node = SLOTFS_NODE(ap->a_vp);

	return lf_advlock(v, &node->locks, node->slot.size);
}

static int
device_read(void *v)
{
	struct vop_read_args *ap = v;

	slotfs_touch(SLOTFS_NODE(ap->a_vp), ACCESSED);
	return spec_read(v);
}

static int
device_write(void *v)
{
	struct vop_write_args *ap = v;

	slotfs_touch(SLOTFS_NODE(ap->a_vp), MODIFIED | CHANGED);
	return spec_write(v);
}

static int
device_close(void *v)
{
	struct vop_close_args *ap = v;
	int error;

	error = slotfs_update(ap->a_vp, false);
	return error != 0 ? error : spec_close(v);
}

static int
device_fsync(void *v)
{
	struct vop_fsync_args *ap = v;
	int error;

	error = spec_fsync(v);
	return error != 0 ? error : slotfs_update(ap->a_vp, (ap->a_flags & FSYNC_WAIT) != 0);
}

static int
pipe_fsync(void *v)
{
	struct vop_fsync_args *ap = v;

	return slotfs_update(ap->a_vp, (ap->a_flags & FSYNC_WAIT) != 0);
}

vop_t *slotfs_vnodeop_p, *slotfs_specop_p, *slotfs_fifoop_p;

static const struct vnodeopv_entry_desc ordinary[] = {
	{ &vop_default_desc, vn_default_error },
	{ &vop_lookup_desc, slotfs_lookup },
	{ &vop_create_desc, slotfs_create },
	{ &vop_mknod_desc, slotfs_mknod },
	{ &vop_open_desc, genfs_nullop },
	{ &vop_close_desc, genfs_nullop },
	{ &vop_access_desc, slotfs_access },
	{ &vop_getattr_desc, slotfs_getattr },
	{ &vop_setattr_desc, slotfs_setattr },
	{ &vop_read_desc, slotfs_read },
	{ &vop_write_desc, slotfs_write },
	{ &vop_fallocate_desc, genfs_eopnotsupp },
	{ &vop_fdiscard_desc, genfs_eopnotsupp },
	{ &vop_ioctl_desc, genfs_enoioctl },
	{ &vop_fcntl_desc, genfs_fcntl },
	{ &vop_poll_desc, genfs_poll },
	{ &vop_kqfilter_desc, genfs_kqfilter },
	{ &vop_revoke_desc, genfs_revoke },
	{ &vop_mmap_desc, genfs_mmap },
	{ &vop_fsync_desc, slotfs_fsync },
	{ &vop_seek_desc, genfs_seek },
	{ &vop_remove_desc, slotfs_remove },
	{ &vop_link_desc, slotfs_link },
	{ &vop_rename_desc, slotfs_rename },
	{ &vop_mkdir_desc, slotfs_mkdir },
	{ &vop_rmdir_desc, slotfs_rmdir },
	{ &vop_symlink_desc, slotfs_symlink },
	{ &vop_readdir_desc, slotfs_readdir },
	{ &vop_readlink_desc, slotfs_readlink },
	{ &vop_abortop_desc, genfs_abortop },
	{ &vop_inactive_desc, slotfs_inactive },
	{ &vop_reclaim_desc, slotfs_reclaim },
	{ &vop_lock_desc, genfs_lock },
	{ &vop_unlock_desc, genfs_unlock },
	{ &vop_bmap_desc, slotfs_bmap },
	{ &vop_strategy_desc, slotfs_strategy },
	{ &vop_print_desc, print },
	{ &vop_islocked_desc, genfs_islocked },
	{ &vop_pathconf_desc, pathconf },
	{ &vop_advlock_desc, advlock },
	{ &vop_bwrite_desc, vn_bwrite },
	{ &vop_getpages_desc, genfs_getpages },
	{ &vop_putpages_desc, genfs_putpages },
	{ NULL, NULL },
};

static const struct vnodeopv_entry_desc devices[] = {
	{ &vop_default_desc, vn_default_error },
	{ &vop_lookup_desc, spec_lookup },
	{ &vop_create_desc, genfs_badop },
	{ &vop_open_desc, spec_open },
	{ &vop_close_desc, device_close },
	{ &vop_access_desc, slotfs_access },
	{ &vop_getattr_desc, slotfs_getattr },
	{ &vop_setattr_desc, slotfs_setattr },
	{ &vop_read_desc, device_read },
	{ &vop_write_desc, device_write },
	{ &vop_fallocate_desc, genfs_eopnotsupp },
	{ &vop_fdiscard_desc, spec_fdiscard },
	{ &vop_ioctl_desc, spec_ioctl },
	{ &vop_fcntl_desc, genfs_fcntl },
	{ &vop_poll_desc, spec_poll },
	{ &vop_kqfilter_desc, spec_kqfilter },
	{ &vop_revoke_desc, genfs_revoke },
	{ &vop_mmap_desc, spec_mmap },
	{ &vop_fsync_desc, device_fsync },
	{ &vop_seek_desc, genfs_seek },
	{ &vop_remove_desc, genfs_badop },
	{ &vop_inactive_desc, slotfs_inactive },
	{ &vop_reclaim_desc, slotfs_reclaim },
	{ &vop_lock_desc, genfs_lock },
	{ &vop_unlock_desc, genfs_unlock },
	{ &vop_bmap_desc, spec_bmap },
	{ &vop_strategy_desc, spec_strategy },
	{ &vop_print_desc, print },
	{ &vop_islocked_desc, genfs_islocked },
	{ &vop_pathconf_desc, spec_pathconf },
	{ &vop_advlock_desc, spec_advlock },
	{ &vop_bwrite_desc, vn_bwrite },
	{ &vop_getpages_desc, genfs_getpages },
	{ &vop_putpages_desc, genfs_null_putpages },
	{ NULL, NULL },
};

static const struct vnodeopv_entry_desc pipes[] = {
	{ &vop_default_desc, vn_default_error },
	{ &vop_lookup_desc, vn_fifo_bypass },
	{ &vop_create_desc, genfs_badop },
	{ &vop_open_desc, vn_fifo_bypass },
	{ &vop_close_desc, vn_fifo_bypass },
	{ &vop_access_desc, slotfs_access },
	{ &vop_getattr_desc, slotfs_getattr },
	{ &vop_setattr_desc, slotfs_setattr },
	{ &vop_read_desc, vn_fifo_bypass },
	{ &vop_write_desc, vn_fifo_bypass },
	{ &vop_ioctl_desc, vn_fifo_bypass },
	{ &vop_poll_desc, vn_fifo_bypass },
	{ &vop_revoke_desc, genfs_revoke },
	{ &vop_fsync_desc, pipe_fsync },
	{ &vop_inactive_desc, slotfs_inactive },
	{ &vop_reclaim_desc, slotfs_reclaim },
	{ &vop_lock_desc, genfs_lock },
	{ &vop_unlock_desc, genfs_unlock },
	{ &vop_print_desc, print },
	{ &vop_islocked_desc, genfs_islocked },
	{ &vop_pathconf_desc, vn_fifo_bypass },
	{ &vop_bwrite_desc, vn_bwrite },
	{ &vop_putpages_desc, genfs_null_putpages },
	{ NULL, NULL },
};

const struct vnodeopv_desc slotfs_vnodeop_desc = { &slotfs_vnodeop_p, ordinary };
const struct vnodeopv_desc slotfs_specop_desc = { &slotfs_specop_p, devices };
const struct vnodeopv_desc slotfs_fifoop_desc = { &slotfs_fifoop_p, pipes };
