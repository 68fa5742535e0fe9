/*
 * Vnodes and their operations, on an archive that the test mounted on /mnt: a directory d with a file of 20000 bytes, and a
 * link to it. The file system refuses to change anything.
 */
#include "services.h"

SERVICES(services_vnode);

#if NETBSD_VERSION < 1000000000

extern const namei_simple_flags_t NSM_NOFOLLOW_NOEMULROOT, NSM_FOLLOW_TRYEMULROOT, NSM_NOFOLLOW_TRYEMULROOT;
int namei_simple_kernel(const char *, namei_simple_flags_t, struct vnode **);
int vget(struct vnode *, int, bool), vdead_check(struct vnode *, int);
void vrele_async(struct vnode *), vholdl(struct vnode *), holdrelel(struct vnode *), vprint(const char *, struct vnode *);
void vrevoke(struct vnode *), vgone(struct vnode *);
bool vrecycle(struct vnode *);
uint8_t vtype2dt(int);
extern const int iftovt_tab[], vttoif_tab[];
extern int desiredvnodes, nbuf;
void genfs_node_wrlock(struct vnode *), genfs_node_rdlock(struct vnode *), genfs_node_unlock(struct vnode *);
int genfs_node_rdtrylock(struct vnode *), genfs_node_wrlocked(struct vnode *);
int vn_rdwr(int, struct vnode *, void *, int, off_t, int, int, kauth_cred_t, size_t *, struct lwp *);
int vn_close(struct vnode *, int, kauth_cred_t);
int getdisksize(struct vnode *, uint64_t *, unsigned *);
struct mount *spec_node_getmountedfs(struct vnode *);
int rawdev_mounted(struct vnode *, struct vnode **);
int usermount_common_policy(struct mount *, unsigned long);
extern struct mount *mountlist[2];
struct vfsops *vfs_getopsbyname(const char *);
void vfs_delref(struct vfsops *), vfs_ref(struct mount *), vfs_destroy(struct mount *);
struct mount *vfs_getvfs(const void *);
int vfs_busy(struct mount *, struct mount **);
void vfs_unbusy(struct mount *, bool, struct mount **);
struct vnode_iterator;
void vfs_vnode_iterator_init(struct mount *, struct vnode_iterator **), vfs_vnode_iterator_destroy(struct vnode_iterator *);
struct vnode *vfs_vnode_iterator_next(struct vnode_iterator *, bool (*)(void *, struct vnode *), void *);
int fstrans_mount(struct mount *), fstrans_getstate(struct mount *), fstrans_setstate(struct mount *, int);
void fstrans_unmount(struct mount *);
int fscow_establish(struct mount *, void *, void *), fscow_disestablish(struct mount *, void *, void *);
int strcmp(const char *, const char *);
void mutex_enter(void *);

int VOP_LOOKUP(struct vnode *, struct vnode **, struct componentname *);
int VOP_CREATE(struct vnode *, struct vnode **, struct componentname *, struct vattr *);
int VOP_MKNOD(struct vnode *, struct vnode **, struct componentname *, struct vattr *);
int VOP_MKDIR(struct vnode *, struct vnode **, struct componentname *, struct vattr *);
int VOP_SYMLINK(struct vnode *, struct vnode **, struct componentname *, struct vattr *, const char *);
int VOP_REMOVE(struct vnode *, struct vnode *, struct componentname *);
int VOP_RMDIR(struct vnode *, struct vnode *, struct componentname *);
int VOP_LINK(struct vnode *, struct vnode *, struct componentname *);
int VOP_RENAME(struct vnode *, struct vnode *, struct componentname *, struct vnode *, struct vnode *, struct componentname *);
int VOP_WHITEOUT(struct vnode *, struct componentname *, int);
int VOP_GETATTR(struct vnode *, struct vattr *, kauth_cred_t), VOP_SETATTR(struct vnode *, struct vattr *, kauth_cred_t);
int VOP_READ(struct vnode *, struct uio *, int, kauth_cred_t), VOP_WRITE(struct vnode *, struct uio *, int, kauth_cred_t);
int VOP_READLINK(struct vnode *, struct uio *, kauth_cred_t);
int VOP_FALLOCATE(struct vnode *, off_t, off_t), VOP_FDISCARD(struct vnode *, off_t, off_t);
int VOP_IOCTL(struct vnode *, unsigned long, void *, int, kauth_cred_t);
int VOP_FCNTL(struct vnode *, unsigned, void *, int, kauth_cred_t);
int VOP_POLL(struct vnode *, int), VOP_KQFILTER(struct vnode *, void *), VOP_REVOKE(struct vnode *, int);
int VOP_SEEK(struct vnode *, off_t, off_t, kauth_cred_t), VOP_LOCK(struct vnode *, int), VOP_ISLOCKED(struct vnode *);
int VOP_INACTIVE(struct vnode *, bool *), VOP_PRINT(struct vnode *), VOP_PATHCONF(struct vnode *, int, long *);
int VOP_ADVLOCK(struct vnode *, void *, int, void *, int);
int VOP_OPENEXTATTR(struct vnode *, kauth_cred_t), VOP_CLOSEEXTATTR(struct vnode *, int, kauth_cred_t);
int VOP_GETEXTATTR(struct vnode *, int, const char *, struct uio *, size_t *, kauth_cred_t);
int VOP_SETEXTATTR(struct vnode *, int, const char *, struct uio *, kauth_cred_t);
int VOP_LISTEXTATTR(struct vnode *, int, struct uio *, size_t *, int, kauth_cred_t);
int VOP_DELETEEXTATTR(struct vnode *, int, const char *, kauth_cred_t);

#define NOBODY ((kauth_cred_t)NOCRED)

static int
find(const char *path, namei_simple_flags_t how, int type, struct vnode **vpp)
{
	*vpp = NULL;
	CHECK(namei_simple_kernel(path, how, vpp) == 0 && *vpp != NULL && (*vpp)->v_type == type);
	return 0;
}

static int
lookups(void)
{
	struct vnode *vp, *directory, *child = NULL;
	struct componentname name = {
		.cn_nameiop = LOOKUP, .cn_flags = ISLASTCN, .cn_cred = NOBODY, .cn_nameptr = "file", .cn_namelen = 4,
	};

	RUN(find("/mnt/link", NSM_NOFOLLOW_NOEMULROOT, VLNK, &vp));
	vrele(vp);
	RUN(find("/mnt/link", NSM_NOFOLLOW_TRYEMULROOT, VLNK, &vp));
	vrele(vp);
	RUN(find("/mnt/link", NSM_FOLLOW_TRYEMULROOT, VREG, &vp));
	vrele(vp);
	RUN(find("/mnt/link", NSM_FOLLOW_NOEMULROOT, VREG, &vp));
	RUN(find("/mnt/d", NSM_FOLLOW_NOEMULROOT, VDIR, &directory));
	CHECK(vn_lock(directory, LK_EXCLUSIVE) == 0);
	CHECK(VOP_LOOKUP(directory, &child, &name) == 0 && child == vp);
	vrele(child);
	vput(directory);
	vrele(vp);
	return 0;
}

static int
uses(const struct vnode *vp)
{
	return (int)vp->v_uobj.uo_refs;
}

static int
references(void)
{
	struct vnode *vp;
	int before;

	RUN(find("/mnt/d/file", NSM_FOLLOW_NOEMULROOT, VREG, &vp));
	before = uses(vp);
	vref(vp);
	CHECK(uses(vp) == before + 1);
	mutex_enter(vp->v_uobj.vmobjlock);
	CHECK(vget(vp, 0, true) == 0 && uses(vp) == before + 2);
	vrele_async(vp);
	CHECK(uses(vp) == before + 1);
	vrele(vp);
	CHECK(uses(vp) == before);
	before = vp->v_holdcnt;
	vholdl(vp);
	CHECK(vp->v_holdcnt == before + 1);
	holdrelel(vp);
	CHECK(vp->v_holdcnt == before && vdead_check(vp, 0) == 0);
	vprint("services", vp);
	genfs_node_rdlock(vp);
	CHECK(genfs_node_rdtrylock(vp) && !genfs_node_wrlocked(vp));
	genfs_node_unlock(vp);
	genfs_node_unlock(vp);
	genfs_node_wrlock(vp);
	CHECK(genfs_node_wrlocked(vp) && !genfs_node_rdtrylock(vp));
	genfs_node_unlock(vp);
	CHECK(!genfs_node_wrlocked(vp));
	vrevoke(vp);
	CHECK(vdead_check(vp, 0) == ENOENT);
	vrele(vp);
	RUN(find("/mnt/d/file", NSM_FOLLOW_NOEMULROOT, VREG, &vp));
	CHECK(VOP_REVOKE(vp, REVOKEALL) == 0 && vdead_check(vp, 0) == ENOENT);
	vrele(vp);
	return 0;
}

static int
reading(struct vnode *vp)
{
	char buffer[16] = { 0 };
	struct vattr attributes;
	struct iovec vector = { .iov_base = buffer, .iov_len = 16 };
	struct uio uio = { .uio_iov = &vector, .uio_iovcnt = 1, .uio_resid = 16, .uio_rw = UIO_READ };
	size_t left = 99;
	long value = 0;
	bool recycle = true;

	uio_setup_sysspace(&uio);
	CHECK(VOP_LOCK(vp, LK_EXCLUSIVE) == 0 && VOP_ISLOCKED(vp) == LK_EXCLUSIVE);
	attributes.va_size = 0;
	CHECK(VOP_GETATTR(vp, &attributes, NOBODY) == 0 && attributes.va_size == 20000);
	vattr_null(&attributes);
	CHECK(attributes.va_size == (uint64_t)VNOVAL && attributes.va_type == VNON);
	CHECK(VOP_OPEN(vp, FREAD, NOBODY) == 0);
	CHECK(VOP_READ(vp, &uio, 0, NOBODY) == 0 && uio.uio_resid == 0 && buffer[15] != 0);
	CHECK(VOP_PATHCONF(vp, _PC_NAME_MAX, &value) == 0 && value == 255);
	CHECK(VOP_SEEK(vp, 0, -1, NOBODY) == EINVAL && VOP_POLL(vp, POLLIN) == POLLIN);
	CHECK(VOP_ADVLOCK(vp, NULL, 0, NULL, 0) == EINVAL && VOP_IOCTL(vp, 1, NULL, 0, NOBODY) == EPASSTHROUGH);
	CHECK(VOP_PRINT(vp) == 0);
	vref(vp);
	CHECK(VOP_INACTIVE(vp, &recycle) == 0 && !recycle && VOP_ISLOCKED(vp) == 0);
	vrele(vp);
	memset(buffer, 0, sizeof(buffer));
	CHECK(vn_rdwr(UIO_READ, vp, buffer, 16, 19992, UIO_SYSSPACE, 0, NOBODY, &left, NULL) == 0 && left == 8 && buffer[7] != 0);
	vref(vp);
	CHECK(vn_close(vp, FREAD, NOBODY) == 0);
	return 0;
}

/* What the file system has no operation for; the arguments are looked at by nobody. */
static int
refusals(struct vnode *directory, struct vnode *vp)
{
	struct componentname name = { .cn_nameiop = CREATE, .cn_nameptr = "n", .cn_namelen = 1, .cn_cred = NOBODY };
	struct vattr attributes;
	struct vnode *made;

	vattr_null(&attributes);
#define REFUSED(call) CHECK((call) == EOPNOTSUPP)
	CHECK(vn_lock(directory, LK_EXCLUSIVE) == 0);
	REFUSED(VOP_CREATE(directory, &made, &name, &attributes));
	REFUSED(VOP_MKNOD(directory, &made, &name, &attributes));
	REFUSED(VOP_MKDIR(directory, &made, &name, &attributes));
	REFUSED(VOP_SYMLINK(directory, &made, &name, &attributes, "target"));
	REFUSED(VOP_LINK(directory, vp, &name));
	REFUSED(VOP_WHITEOUT(directory, &name, 0));
	CHECK(vn_lock(vp, LK_EXCLUSIVE) == 0);
	REFUSED(VOP_SETATTR(vp, &attributes, NOBODY));
	REFUSED(VOP_WRITE(vp, NULL, 0, NOBODY));
	REFUSED(VOP_FALLOCATE(vp, 0, 1));
	REFUSED(VOP_FDISCARD(vp, 0, 1));
	REFUSED(VOP_FCNTL(vp, 1000, NULL, 0, NOBODY));
	REFUSED(VOP_KQFILTER(vp, NULL));
	REFUSED(VOP_OPENEXTATTR(vp, NOBODY));
	REFUSED(VOP_CLOSEEXTATTR(vp, 0, NOBODY));
	REFUSED(VOP_GETEXTATTR(vp, 1, "a", NULL, NULL, NOBODY));
	REFUSED(VOP_SETEXTATTR(vp, 1, "a", NULL, NOBODY));
	REFUSED(VOP_LISTEXTATTR(vp, 1, NULL, NULL, 0, NOBODY));
	REFUSED(VOP_DELETEEXTATTR(vp, 1, "a", NOBODY));
	/* These give both vnodes up. */
	vref(directory);
	vref(vp);
	REFUSED(VOP_REMOVE(directory, vp, &name));
	CHECK(VOP_ISLOCKED(directory) == 0 && VOP_ISLOCKED(vp) == 0);
	CHECK(vn_lock(directory, LK_EXCLUSIVE) == 0 && vn_lock(vp, LK_EXCLUSIVE) == 0);
	vref(directory);
	vref(vp);
	REFUSED(VOP_RMDIR(directory, vp, &name));
	CHECK(vn_lock(directory, LK_EXCLUSIVE) == 0);
	vref(directory);
	vref(directory);
	vref(vp);
	REFUSED(VOP_RENAME(directory, vp, &name, directory, NULL, &name));
	CHECK(VOP_ISLOCKED(directory) == 0);
	return 0;
}

static int
links(void)
{
	char target[16] = { 0 };
	struct iovec vector = { .iov_base = target, .iov_len = 16 };
	struct uio uio = { .uio_iov = &vector, .uio_iovcnt = 1, .uio_resid = 16, .uio_rw = UIO_READ };
	struct vnode *vp;

	uio_setup_sysspace(&uio);
	RUN(find("/mnt/link", NSM_NOFOLLOW_NOEMULROOT, VLNK, &vp));
	CHECK(vn_lock(vp, LK_SHARED) == 0 && VOP_READLINK(vp, &uio, NOBODY) == 0 && strcmp(target, "d/file") == 0);
	vput(vp);
	return 0;
}

static int
listing(struct vnode *directory)
{
	static char buffer[1024];
	struct iovec vector = { .iov_base = buffer, .iov_len = sizeof(buffer) };
	struct uio uio = { .uio_iov = &vector, .uio_iovcnt = 1, .uio_resid = sizeof(buffer), .uio_rw = UIO_READ };
	int end = 0;

	uio_setup_sysspace(&uio);
	CHECK(vn_lock(directory, LK_SHARED) == 0);
	CHECK(VOP_READDIR(directory, &uio, NOBODY, &end, NULL, NULL) == 0 && end == 1 && uio.uio_resid < sizeof(buffer));
	CHECK(((struct dirent *)buffer)->d_namlen == 1 && VOP_ACCESS(directory, VWRITE, NOBODY) == EROFS);
	VOP_UNLOCK(directory);
	return 0;
}

static bool
is_directory(void *counted, struct vnode *vp)
{
	++*(int *)counted;
	return vp->v_type == VDIR;
}

static int
mounts(struct vnode *vp)
{
	struct mount *mp = vp->v_mount;
	struct vfsops *operations = vfs_getopsbyname("tarfs");
	struct vnode_iterator *iterator = NULL;
	struct vnode *found, *device, *block = NULL;
	uint64_t sectors = 0;
	unsigned size = 0;
	int counted = 0, before;

	CHECK(operations != NULL && operations == mp->mnt_op && strcmp(operations->vfs_name, "tarfs") == 0);
	before = operations->vfs_refcount;
	vfs_delref(operations);
	CHECK(operations->vfs_refcount == before - 1 && vfs_getopsbyname("absentfs") == NULL);
	before = mp->mnt_refcnt;
	vfs_ref(mp);
	CHECK(mp->mnt_refcnt == before + 1);
	vfs_destroy(mp);
	CHECK(mp->mnt_refcnt == before);
	CHECK(vfs_getvfs(&mp->mnt_stat.f_fsidx___fsid_val) == mp && mountlist[0] == mp);
	CHECK(vfs_busy(mp, NULL) == 0 && mp->mnt_refcnt == before + 1);
	vfs_unbusy(mp, false, NULL);
	CHECK(mp->mnt_refcnt == before);
	CHECK(usermount_common_policy(mp, MNT_EXPORTED) == EPERM);
	vfs_vnode_iterator_init(mp, &iterator);
	CHECK(iterator != NULL);
	found = vfs_vnode_iterator_next(iterator, is_directory, &counted);
	CHECK(found != NULL && found->v_type == VDIR && counted > 0);
	vrele(found);
	vfs_vnode_iterator_destroy(iterator);
	CHECK(fstrans_mount(mp) == 0 && fstrans_setstate(mp, FSTRANS_SUSPENDED) == 0 && fstrans_getstate(mp) == FSTRANS_SUSPENDED);
	CHECK(fstrans_setstate(mp, FSTRANS_NORMAL) == 0);
	fstrans_unmount(mp);
	CHECK(fstrans_setstate(mp, FSTRANS_NORMAL) == EOPNOTSUPP && mp->mnt_refcnt == before);
	CHECK(fscow_establish(mp, NULL, NULL) == EOPNOTSUPP && fscow_disestablish(mp, NULL, NULL) == EOPNOTSUPP);
	RUN(find("/dev/image", NSM_FOLLOW_NOEMULROOT, VBLK, &device));
	CHECK(getdisksize(device, &sectors, &size) == 0 && sectors > 40 && size == 512 && spec_node_getmountedfs(device) == mp);
	CHECK(rawdev_mounted(device, &block) == EBUSY && block == device && rawdev_mounted(vp, NULL) == EINVAL);
	vrele(device);
	return 0;
}

static int
types(void)
{
	CHECK(vtype2dt(VDIR) == DT_DIR && vtype2dt(VLNK) == DT_LNK);
	CHECK(iftovt_tab[0040000 >> 12] == VDIR && vttoif_tab[VREG] == 0100000 && desiredvnodes > 0);
	return 0;
}

/* Mounts of the test's own, whose operations tell that they were called. */
#define ANSWER(name, number) static int name(void) { return number; }
ANSWER(fake_mount, 101)
ANSWER(fake_start, 102)
ANSWER(fake_unmount, 103)
ANSWER(fake_root, 104)
ANSWER(fake_quotactl, 105)
ANSWER(fake_statvfs, 106)
ANSWER(fake_sync, 107)
ANSWER(fake_vget, 108)
ANSWER(fake_fhtovp, 109)
ANSWER(fake_snapshot, 111)
ANSWER(fake_extattrctl, 112)
ANSWER(fake_suspendctl, 113)

int VFS_MOUNT(struct mount *, const char *, void *, size_t *), VFS_START(struct mount *, int), VFS_UNMOUNT(struct mount *, int);
int genfs_statvfs(struct mount *, struct statvfs *), dounmount(struct mount *, int, struct lwp *);
int VFS_ROOT(struct mount *, struct vnode **), VFS_QUOTACTL(struct mount *, void *), VFS_STATVFS(struct mount *, struct statvfs *);
int VFS_SYNC(struct mount *, int, kauth_cred_t), VFS_VGET(struct mount *, uint64_t, struct vnode **);
int VFS_FHTOVP(struct mount *, void *, struct vnode **), VFS_VPTOFH(struct vnode *, void *, size_t *);
int VFS_SNAPSHOT(struct mount *, struct vnode *, struct timespec *);
int VFS_EXTATTRCTL(struct mount *, int, struct vnode *, int, const char *), VFS_SUSPENDCTL(struct mount *, int);

static int
dispatch(struct vnode *vp)
{
	static struct vfsops operations = {
		.vfs_name = "fake", .vfs_mount = (void *)fake_mount, .vfs_start = (void *)fake_start,
		.vfs_unmount = (void *)fake_unmount, .vfs_root = (void *)fake_root, .vfs_quotactl = (void *)fake_quotactl,
		.vfs_statvfs = (void *)fake_statvfs, .vfs_sync = (void *)fake_sync, .vfs_vget = (void *)fake_vget,
		.vfs_fhtovp = (void *)fake_fhtovp, .vfs_snapshot = (void *)fake_snapshot,
		.vfs_extattrctl = (void *)fake_extattrctl, .vfs_suspendctl = (void *)fake_suspendctl,
	};
	static struct mount mount;
	static struct statvfs numbers;

	memset(&numbers, 0xff, sizeof(numbers));
	CHECK(genfs_statvfs(vp->v_mount, &numbers) == 0 && numbers.f_bsize == 512 && numbers.f_blocks == 2 && numbers.f_favail == 0);
	CHECK(strcmp(numbers.f_fstypename, "tarfs") == 0);
	/* The caller's vnode is in use. */
	CHECK(dounmount(vp->v_mount, 0, curlwp) == EBUSY);
	mount.mnt_op = &operations;
	CHECK(VFS_MOUNT(&mount, NULL, NULL, NULL) == 101 && VFS_START(&mount, 0) == 102 && VFS_UNMOUNT(&mount, 0) == 103);
	CHECK(VFS_ROOT(&mount, NULL) == 104 && VFS_QUOTACTL(&mount, NULL) == 105 && VFS_STATVFS(&mount, NULL) == 106);
	CHECK(VFS_SYNC(&mount, 0, NULL) == 107 && VFS_VGET(&mount, 1, NULL) == 108 && VFS_FHTOVP(&mount, NULL, NULL) == 109);
	CHECK(VFS_SNAPSHOT(&mount, NULL, NULL) == 111 && VFS_EXTATTRCTL(&mount, 0, NULL, 0, NULL) == 112);
	CHECK(VFS_SUSPENDCTL(&mount, 0) == 113 && VFS_VPTOFH(vp, NULL, NULL) == EOPNOTSUPP);
	CHECK(vfs_stdextattrctl(&mount, 0, NULL, 0, NULL) == EOPNOTSUPP);
	return 0;
}

static int
checks(void)
{
	struct vnode *directory, *vp;

	RUN(lookups());
	RUN(references());
	RUN(links());
	RUN(types());
	RUN(find("/mnt/d", NSM_FOLLOW_NOEMULROOT, VDIR, &directory));
	RUN(find("/mnt/d/file", NSM_FOLLOW_NOEMULROOT, VREG, &vp));
	RUN(reading(vp));
	RUN(listing(directory));
	RUN(refusals(directory, vp));
	RUN(mounts(vp));
	RUN(dispatch(vp));
	vrele(vp);
	vrele(directory);
	return 0;
}

#else /* Most prototypes differ in later versions; what is checked here is what those versions added. */

void vfs_ref(struct mount *), vfs_rele(struct mount *);

static int
checks(void)
{
	struct vnode *vp = NULL;
	struct mount *mp;
	int before;

	CHECK(namei_simple_user("/mnt/d", NSM_FOLLOW_NOEMULROOT, &vp) == 0 && vp->v_type == VDIR);
	mp = vp->v_mount;
	before = mp->mnt_refcnt;
	vfs_ref(mp);
	CHECK(mp->mnt_refcnt == before + 1);
	vfs_rele(mp);
	CHECK(mp->mnt_refcnt == before);
	vrele(vp);
	return 0;
}

#endif
