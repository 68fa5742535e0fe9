/*
 * Transfers, locks and mounts of file systems that can be written, on an empty slotfs that the test mounted on /mnt from
 * /dev/disk.
 */
#include "changes.h"

SERVICES(services_transfers);

struct buf *incore(struct vnode *, daddr_t);
void bremfree(struct buf *);
int genfs_gop_write_rwmap(struct vnode *, struct vm_page **, int, int);
int VFS_STATVFS(struct mount *, struct statvfs *);
#if NETBSD_VERSION < 1000000000
int vfs_rootmountalloc(const char *, const char *, struct mount **);
void vfs_unbusy(struct mount *, bool, struct mount **), vfs_destroy(struct mount *);
#endif
void rw_init(struct krwlock *), rw_destroy(struct krwlock *);
int strcmp(const char *, const char *);

int VOP_RECLAIM(struct vnode *), VOP_MMAP(struct vnode *, int, kauth_cred_t), VOP_KQFILTER(struct vnode *, void *);
int VOP_ADVLOCK(struct vnode *, void *, int, void *, int), VOP_WRITE(struct vnode *, struct uio *, int, kauth_cred_t);

static void
lock_pages(struct vnode *vp)
{
#if NETBSD_VERSION >= 1000000000
	rw_enter(vp->v_uobj.vmobjlock, RW_WRITER);
#else
	mutex_enter(vp->v_uobj.vmobjlock);
#endif
}

/* Blocks and pages on their way to the device. */
static int
transfers(struct vnode *top, struct vnode *device)
{
	char text[] = "some text";
	struct iovec vector = { .iov_base = text, .iov_len = sizeof(text) };
	struct uio uio = { .uio_iov = &vector, .uio_iovcnt = 1, .uio_resid = sizeof(text), .uio_rw = UIO_WRITE };
	struct vm_page *page = NULL;
	struct vnode *vp, *directory, *below = NULL;
	struct buf *bp;
	daddr_t block = 0;
	int count = 1;

	RUN(make(top, "t", VREG, 0644, 0, &vp));
	CHECK(vn_lock(vp, LK_EXCLUSIVE) == 0);
	uio_setup_sysspace(&uio);
	CHECK(VOP_WRITE(vp, &uio, 0, root) == 0 && uio.uio_resid == 0 && VOP_KQFILTER(vp, NULL) == EOPNOTSUPP);
#if NETBSD_VERSION < 1000000000
	CHECK(!uvn_clean_p(&vp->v_uobj));
#endif
	CHECK(VOP_BMAP(vp, 0, &below, &block, NULL) == 0 && below == device && block > 0);
	/* The page itself goes to the device. */
	lock_pages(vp);
	CHECK(VOP_GETPAGES(vp, 0, &page, &count, 0, VM_PROT_READ, 0, PGO_SYNCIO) == 0 && page != NULL);
	CHECK(genfs_gop_write_rwmap(vp, &page, 1, PGO_CLEANIT | PGO_SYNCIO) == 0);
	CHECK(bread(device, block, BLOCK, 0, &bp) == 0 && strcmp(bp->b_data, text) == 0);
	brelse(bp, BC_INVAL);
	CHECK(incore(device, block) == NULL);
	CHECK(VOP_FSYNC(vp, root, FSYNC_WAIT, 0, 0) == 0 && vp->v_numoutput == 0);
#if NETBSD_VERSION < 1000000000
	CHECK(uvn_clean_p(&vp->v_uobj));
#endif
	VOP_UNLOCK(vp);
	RUN(take_away(top, vp, "t"));

	/* A directory's block, which waits to be written. */
	RUN(make(top, "d", VDIR, 0755, 0, &directory));
	RUN(make(directory, "one", VREG, 0644, 0, &vp));
	RUN(take_away(directory, vp, "one"));
	CHECK(vn_lock(directory, LK_EXCLUSIVE) == 0);
	CHECK(bread(directory, 0, BLOCK, 0, &bp) == 0);
	bdwrite(bp);
	CHECK(directory->v_dirtyblkhd.lh_first == bp && incore(directory, 0) == bp);
	/* Taken off the queue of those that may make way, by whoever holds it otherwise. */
	bp->b_cflags |= BC_BUSY;
	bremfree(bp);
	CHECK(bp->b_freelistindex == -1);
	bdwrite(bp);
	CHECK(vflushbuf(directory, FSYNC_WAIT) == 0 && directory->v_dirtyblkhd.lh_first == NULL && incore(directory, 0) == bp);
	CHECK(vtruncbuf(directory, 1, false, 0) == 0 && incore(directory, 0) == bp);
	CHECK(vtruncbuf(directory, 0, false, 0) == 0 && incore(directory, 0) == NULL && directory->v_cleanblkhd.lh_first == NULL);
	VOP_UNLOCK(directory);
	RUN(take_away(top, directory, "d"));
	return 0;
}

/* Of two owners one locks a range; the other has to wait for it. */
static int
locks(struct vnode *top)
{
	struct flock first = { .l_start = 10, .l_len = 10, .l_type = F_WRLCK, .l_whence = SEEK_SET }, second = first, whole;
	struct vnode *vp;
	int one, two;

	RUN(make(top, "l", VREG, 0644, 0, &vp));
	second.l_start = 19;
	CHECK(VOP_ADVLOCK(vp, &one, F_SETLK, &first, F_POSIX) == 0);
	CHECK(VOP_ADVLOCK(vp, &two, F_SETLK, &second, F_POSIX) == EAGAIN);
	second.l_start = 20;
	CHECK(VOP_ADVLOCK(vp, &two, F_SETLK, &second, F_POSIX) == 0);
	whole = second;
	whole.l_start = whole.l_len = 0;
	CHECK(VOP_ADVLOCK(vp, &two, F_GETLK, &whole, F_POSIX) == 0 && whole.l_start == 10 && whole.l_len == 10);
	whole.l_start = whole.l_len = 0;
	CHECK(VOP_ADVLOCK(vp, &one, F_UNLCK, &whole, F_POSIX) == 0 && VOP_ADVLOCK(vp, &two, F_UNLCK, &whole, F_POSIX) == 0);
	whole.l_type = F_WRLCK;
	CHECK(VOP_ADVLOCK(vp, &two, F_GETLK, &whole, F_POSIX) == 0 && whole.l_type == F_UNLCK);
	CHECK(SLOTFS_NODE(vp)->locks == NULL);
	RUN(take_away(top, vp, "l"));
	return 0;
}

static int
mounts(struct vnode *top, struct vnode *device)
{
	struct mount *mp = top->v_mount, *fresh __attribute__((unused)) = NULL;
	struct dkwedge_info info;
	static struct statvfs status;

	memset(&status, 0, sizeof(status));
	CHECK(VFS_STATVFS(mp, &status) == 0 && strcmp(status.f_mntonname, "/mnt") == 0 && status.f_namemax == NAME_LIMIT);
	CHECK(strcmp(status.f_mntfromname, "/dev/disk") == 0 && status.f_blocks > status.f_bfree);
	CHECK(makefstype("slotfs") != 0 && makefstype("slotfs") == makefstype("slotfs") && makefstype("slotfs") != makefstype("tarfs"));
	CHECK(status.f_fsidx___fsid_val[0] != 0 && status.f_fsidx___fsid_val[1] == (int32_t)makefstype("slotfs"));
	memset(&info, 0, sizeof(info));
	CHECK(getdiskinfo(device, &info) == 0 && info.dkw_size == 4096);
#if NETBSD_VERSION < 1000000000
	CHECK(genfs_renamelock_enter(mp) == 0 && mutex_owned(&mp->mnt_renamelock));
	genfs_renamelock_exit(mp);
	CHECK(!mutex_owned(&mp->mnt_renamelock));
	/* What a root file system would be mounted with. */
	CHECK(vfs_rootmountalloc("absentfs", "disk0", &fresh) == ENODEV && vfs_rootmountalloc("slotfs", "disk0", &fresh) == 0);
	CHECK(fresh != mp && fresh->mnt_op == mp->mnt_op && strcmp(fresh->mnt_stat.f_mntfromname, "disk0") == 0);
	vfs_unbusy(fresh, false, NULL);
	vfs_destroy(fresh);
#endif
	return 0;
}

static int
answer(void *arguments)
{
	const struct vnodeop_desc *operation = ((struct vop_generic_args *)arguments)->a_desc;

	return 1000 + operation->vdesc_offset;
}

/* Operations that are called on few vnodes: all of a vnode of the test's own say which they are. */
static int
dispatch(void)
{
	static vop_t vector[VNODE_OPS_COUNT];
	static struct vnode vnode;
	struct genfs_node node, fresh;
	struct krwlock lock;
	struct componentname cn = name("n", CREATE, root);
	int slot;

	for (slot = 0; slot < VNODE_OPS_COUNT; slot++)
		vector[slot] = answer;
	vnode.v_op = vector;
	CHECK(VOP_RECLAIM(&vnode) == 1000 + VOP_RECLAIM_DESCOFFSET && VOP_MMAP(&vnode, 0, root) == 1000 + VOP_MMAP_DESCOFFSET);
	CHECK(VOP_ABORTOP(&vnode, &cn) == 1000 + VOP_ABORTOP_DESCOFFSET);
	/* What is destroyed is no lock any more. */
	vnode.v_data = &node;
	genfs_node_init(&vnode, NULL);
	fresh = node;
	genfs_node_destroy(&vnode);
	rw_init(&lock);
	rw_destroy(&lock);
	CHECK(memcmp(&node.g_glock, &lock, sizeof(lock)) == 0 && memcmp(&fresh.g_glock, &lock, sizeof(lock)) != 0);
	return 0;
}

static int
checks(void)
{
	struct vnode *top, *device;

	root = kauth_cred_alloc();
	RUN(find("/mnt", &top));
	RUN(find("/dev/disk", &device));
	RUN(transfers(top, device));
	RUN(locks(top));
	RUN(mounts(top, device));
	RUN(dispatch());
	vrele(device);
	vrele(top);
	kauth_cred_free(root);
	return 0;
}
