/*
 * What file systems that can be written ask of their kernel, on an empty slotfs that the test mounted on /mnt from /dev/disk.
 */
#include "services.h"
#include "slotfs.h"

SERVICES(services_writing);

kauth_cred_t kauth_cred_alloc(void);
void kauth_cred_seteuid(kauth_cred_t, uid_t), kauth_cred_setegid(kauth_cred_t, uid_t), kauth_cred_free(kauth_cred_t);
int relookup(struct vnode *, struct vnode **, struct componentname *, int);
struct pathbuf *pathbuf_create(const char *);
void cache_purgevfs(struct mount *);
int vcache_rekey_enter(struct mount *, struct vnode *, const void *, size_t, const void *, size_t);
void vcache_rekey_exit(struct mount *, struct vnode *, const void *, size_t, const void *, size_t);
bool vrecycle(struct vnode *);
int vdead_check(struct vnode *, int);
#if NETBSD_VERSION >= 1000000000
int vn_open(struct vnode *, struct pathbuf *, int, int, int, struct vnode **, bool *, int *);
#else
int vn_open(struct nameidata *, int, int);
int vfs_rootmountalloc(const char *, const char *, struct mount **);
int vfs_busy(struct mount *, struct mount **);
void vfs_unbusy(struct mount *, bool, struct mount **), vfs_destroy(struct mount *);
#endif
int vn_close(struct vnode *, int, kauth_cred_t);
struct buf *incore(struct vnode *, daddr_t);
void bremfree(struct buf *);
int genfs_gop_write_rwmap(struct vnode *, struct vm_page **, int, int);
int VFS_STATVFS(struct mount *, struct statvfs *);
int mutex_owned(const struct kmutex *);
void rw_init(struct krwlock *), rw_destroy(struct krwlock *);
int strcmp(const char *, const char *);

int VOP_LOOKUP(struct vnode *, struct vnode **, struct componentname *);
int VOP_CREATE(struct vnode *, struct vnode **, struct componentname *, struct vattr *);
int VOP_MKDIR(struct vnode *, struct vnode **, struct componentname *, struct vattr *);
int VOP_REMOVE(struct vnode *, struct vnode *, struct componentname *);
int VOP_RMDIR(struct vnode *, struct vnode *, struct componentname *);
int VOP_RENAME(struct vnode *, struct vnode *, struct componentname *, struct vnode *, struct vnode *, struct componentname *);
int VOP_SETATTR(struct vnode *, struct vattr *, kauth_cred_t), VOP_RECLAIM(struct vnode *), VOP_MMAP(struct vnode *, int, kauth_cred_t);
int VOP_ADVLOCK(struct vnode *, void *, int, void *, int), VOP_ISLOCKED(struct vnode *);
int VOP_WRITE(struct vnode *, struct uio *, int, kauth_cred_t), VOP_KQFILTER(struct vnode *, void *);

/* Credentials of the superuser, as requests from outside have them, and of somebody else. */
static kauth_cred_t root, other;

static struct componentname
name(const char *text, int operation, kauth_cred_t cred)
{
	struct componentname result = { .cn_nameiop = operation, .cn_flags = ISLASTCN, .cn_cred = cred, .cn_nameptr = text,
		.cn_namelen = strlen(text) };

	return result;
}

static int
find(const char *path, struct vnode **vpp)
{
	*vpp = NULL;
	CHECK(namei_simple_user(path, NSM_FOLLOW_NOEMULROOT, vpp) == 0 && *vpp != NULL);
	return 0;
}

/* Makes a file or directory; it comes referenced and unlocked. */
static int
make(struct vnode *dvp, const char *text, int type, mode_t mode, struct vnode **vpp)
{
	struct componentname cn = name(text, CREATE, root);
	struct vattr attributes;

	vattr_null(&attributes);
	attributes.va_type = type;
	attributes.va_mode = mode;
	*vpp = NULL;
	CHECK(vn_lock(dvp, LK_EXCLUSIVE) == 0);
	CHECK(VOP_LOOKUP(dvp, vpp, &cn) == EJUSTRETURN && *vpp == NULL);
	if (type == VDIR)
		CHECK(VOP_MKDIR(dvp, vpp, &cn, &attributes) == 0);
	else
		CHECK(VOP_CREATE(dvp, vpp, &cn, &attributes) == 0);
	CHECK(*vpp != NULL && (*vpp)->v_type == type);
	VOP_UNLOCK(dvp);
	return 0;
}

/* Removes what `vp` is, referenced and unlocked, with the credentials given; takes the reference. */
static int
take_away(struct vnode *dvp, struct vnode *vp, const char *text, kauth_cred_t cred, int *error)
{
	struct componentname cn = name(text, DELETE, cred);

	CHECK(vn_lock(dvp, LK_EXCLUSIVE) == 0 && vn_lock(vp, LK_EXCLUSIVE) == 0);
	vref(dvp);
	*error = vp->v_type == VDIR ? VOP_RMDIR(dvp, vp, &cn) : VOP_REMOVE(dvp, vp, &cn);
#if NETBSD_VERSION >= 1000000000
	vput(dvp);
#endif
	return 0;
}

static int
move(struct vnode *dvp, struct vnode *vp, const char *from, const char *to, kauth_cred_t cred, int *error)
{
	struct componentname source = name(from, DELETE, cred), target = name(to, RENAME, cred);

	vref(dvp);
	vref(vp);
	vref(dvp);
	CHECK(vn_lock(dvp, LK_EXCLUSIVE) == 0);
	*error = VOP_RENAME(dvp, vp, &source, dvp, NULL, &target);
	return 0;
}

static int
set_flags(struct vnode *vp, unsigned long flags)
{
	struct vattr attributes;

	vattr_null(&attributes);
	attributes.va_flags = flags;
	CHECK(vn_lock(vp, LK_EXCLUSIVE) == 0 && VOP_SETATTR(vp, &attributes, root) == 0);
	VOP_UNLOCK(vp);
	return 0;
}

/* Who may do what: the superuser may everything but what flags forbid. */
static int
permissions(struct vnode *top)
{
	struct componentname cn = name("f", DELETE, other);
	struct vnode *directory, *sticky, *vp, *found = NULL;
	struct vattr attributes;
	int error;

	RUN(make(top, "p", VDIR, 0755, &directory));
	RUN(make(directory, "f", VREG, 0640, &vp));
	vattr_null(&attributes);
	attributes.va_mtime.tv_sec = 1;
	CHECK(vn_lock(vp, LK_EXCLUSIVE) == 0 && VOP_ACCESS(vp, VREAD, other) == EACCES && VOP_ACCESS(vp, VREAD, root) == 0);
	CHECK(VOP_SETATTR(vp, &attributes, other) == EPERM && VOP_SETATTR(vp, &attributes, root) == 0);
	VOP_UNLOCK(vp);
	RUN(move(directory, vp, "f", "g", other, &error));
	CHECK(error == EACCES);
	vref(vp);
	RUN(take_away(directory, vp, "f", other, &error));
	CHECK(error == EACCES);
	RUN(set_flags(vp, UF_IMMUTABLE));
	RUN(move(directory, vp, "f", "g", root, &error));
	CHECK(error == EPERM);
	vref(vp);
	RUN(take_away(directory, vp, "f", root, &error));
	CHECK(error == EPERM);
	RUN(set_flags(vp, 0));
	RUN(move(directory, vp, "f", "g", root, &error));
	CHECK(error == 0);
	RUN(take_away(directory, vp, "g", root, &error));
	CHECK(error == 0);
	RUN(take_away(top, directory, "p", root, &error));
	CHECK(error == 0);
	/* In a sticky directory everybody takes away one's own only. */
	RUN(make(top, "s", VDIR, 01777, &sticky));
	RUN(make(sticky, "f", VREG, 0666, &vp));
	CHECK(vn_lock(sticky, LK_EXCLUSIVE) == 0 && VOP_LOOKUP(sticky, &found, &cn) == EPERM && found == NULL);
	cn.cn_cred = root;
	CHECK(VOP_LOOKUP(sticky, &found, &cn) == 0 && found == vp);
	vrele(found);
	VOP_UNLOCK(sticky);
	RUN(take_away(sticky, vp, "f", root, &error));
	CHECK(error == 0);
	RUN(take_away(top, sticky, "s", root, &error));
	CHECK(error == 0);
	return 0;
}

/* What is refused is given up as what is done: before NetBSD 10 removing takes the directory, too. */
static int
refusals(struct vnode *dvp, struct vnode *vp)
{
	struct componentname cn = name("f", DELETE, root);
	struct vop_remove_args arguments = { .a_desc = &vop_remove_desc, .a_dvp = dvp, .a_vp = vp, .a_cnp = &cn };

	vref(vp);
	vref(dvp);
	CHECK(vn_lock(dvp, LK_EXCLUSIVE) == 0 && vn_lock(vp, LK_EXCLUSIVE) == 0);
	CHECK(genfs_eopnotsupp(&arguments) == EOPNOTSUPP && VOP_ISLOCKED(vp) == 0);
#if NETBSD_VERSION >= 1000000000
	CHECK(VOP_ISLOCKED(dvp) == LK_EXCLUSIVE);
	vput(dvp);
#endif
	CHECK(VOP_ISLOCKED(dvp) == 0);
	return 0;
}

/* Opening by a path of the kernel's own. */
static int
opens(struct vnode *vp)
{
	struct pathbuf *path = pathbuf_create("/mnt/f"), *absent = pathbuf_create("/mnt/absent");
	struct vnode *found = NULL;

	CHECK(path != NULL && absent != NULL && path != absent);
#if NETBSD_VERSION >= 1000000000
	bool moves = true;
	int descriptor = 0;

	CHECK(vn_open(NULL, absent, 0, FREAD, 0, &found, &moves, &descriptor) == ENOENT && found == NULL);
	CHECK(vn_open(NULL, path, 0, FREAD | FWRITE, 0, &found, &moves, &descriptor) == 0 && !moves && descriptor == -1);
#else
	struct nameidata nd;

	memset(&nd, 0, sizeof(nd));
	nd.ni_pathbuf = absent;
	CHECK(vn_open(&nd, FREAD, 0) == ENOENT && nd.ni_vp == NULL);
	memset(&nd, 0, sizeof(nd));
	nd.ni_pathbuf = path;
	CHECK(vn_open(&nd, FREAD | FWRITE, 0) == 0);
	found = nd.ni_vp;
#endif
	CHECK(found == vp && vp->v_writecount == 1 && vn_lock(found, LK_EXCLUSIVE | LK_NOWAIT) == EBUSY);
	VOP_UNLOCK(found);
	CHECK(vn_close(found, FREAD | FWRITE, root) == 0 && vp->v_writecount == 0);
	pathbuf_destroy(absent);
	pathbuf_destroy(path);
	return 0;
}

static int
names(struct vnode *top)
{
	struct componentname cn = name("f", LOOKUP, root);
	struct mount *mp = top->v_mount;
	struct vnode *vp, *found = NULL;
	int error;

	RUN(make(top, "f", VREG, 0644, &vp));
	CHECK(vn_lock(top, LK_EXCLUSIVE) == 0);
	/* The cache knows a name after it was looked up, until the mount's names are forgotten. */
	cn.cn_flags |= MAKEENTRY;
	CHECK(VOP_LOOKUP(top, &found, &cn) == 0 && found == vp);
	vrele(found);
	found = NULL;
	CHECK(cache_lookup(top, "f", 1, LOOKUP, ISLASTCN | MAKEENTRY, NULL, &found) && found == vp);
	vrele(found);
	cache_purgevfs(mp);
	CHECK(!cache_lookup(top, "f", 1, LOOKUP, ISLASTCN | MAKEENTRY, NULL, &found) && found == NULL);
	/* A second look before something is done, with what is found locked. */
	cn = name("f", DELETE, root);
	CHECK(relookup(top, &found, &cn, 0) == 0 && found == vp && vn_lock(found, LK_EXCLUSIVE | LK_NOWAIT) == EBUSY);
	vput(found);
	cn = name("absent", CREATE, root);
	found = vp;
	CHECK(relookup(top, &found, &cn, 0) == 0 && found == NULL);
	cn = name("absent", DELETE, root);
	found = vp;
	CHECK(relookup(top, &found, &cn, 0) == ENOENT && found == NULL);
	VOP_UNLOCK(top);
	RUN(opens(vp));
	RUN(refusals(top, vp));
	RUN(take_away(top, vp, "f", root, &error));
	CHECK(error == 0);
	return 0;
}

/* Vnodes that change their identity or lose it. */
static int
identities(struct vnode *top)
{
	struct mount *mp = top->v_mount;
	struct vnode *vp, *found = NULL;
	struct componentname cn = name("k", LOOKUP, root);
	static uint32_t old, new;
	int error;

	RUN(make(top, "k", VREG, 0644, &vp));
	old = SLOTFS_NODE(vp)->number;
	new = 0xffff;
	CHECK(vcache_rekey_enter(mp, vp, &old, sizeof(old), &old, sizeof(old)) == EEXIST);
	CHECK(vcache_rekey_enter(mp, vp, &old, sizeof(old), &new, sizeof(new)) == 0);
	vcache_rekey_exit(mp, vp, &old, sizeof(old), &new, sizeof(new));
	CHECK(vcache_get(mp, &new, sizeof(new), &found) == 0 && found == vp);
	vrele(found);
	CHECK(vcache_rekey_enter(mp, vp, &new, sizeof(new), &old, sizeof(old)) == 0);
	/* Nobody gets it meanwhile. */
	CHECK(vcache_get(mp, &new, sizeof(new), &found) == EDEADLK);
	vcache_rekey_exit(mp, vp, &new, sizeof(new), &SLOTFS_NODE(vp)->number, sizeof(new));
	CHECK(vcache_get(mp, &new, sizeof(new), &found) == ENOENT && vcache_get(mp, &old, sizeof(old), &found) == 0 && found == vp);
	/* Two hold it: it stays. */
	CHECK(!vrecycle(vp) && vdead_check(vp, 0) == 0);
	vrele(found);
	CHECK(vrecycle(vp));
	CHECK(vcache_get(mp, &old, sizeof(old), &vp) == 0 && SLOTFS_NODE(vp)->slot.links == 1);
	vref(vp);
	vgone(vp);
	CHECK(vdead_check(vp, 0) == ENOENT);
	vrele(vp);
	CHECK(vn_lock(top, LK_EXCLUSIVE) == 0 && VOP_LOOKUP(top, &vp, &cn) == 0);
	VOP_UNLOCK(top);
#if NETBSD_VERSION < 1000000000
	vcache_remove(mp, &old, sizeof(old));
	CHECK(vcache_get(mp, &old, sizeof(old), &found) == 0 && found != vp);
	vgone(vp);
	vp = found;
#endif
	RUN(take_away(top, vp, "k", root, &error));
	CHECK(error == 0);
	return 0;
}

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
	int count = 1, error;

	RUN(make(top, "t", VREG, 0644, &vp));
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
	RUN(take_away(top, vp, "t", root, &error));
	CHECK(error == 0);

	/* A directory's block, which waits to be written. */
	RUN(make(top, "d", VDIR, 0755, &directory));
	RUN(make(directory, "one", VREG, 0644, &vp));
	RUN(take_away(directory, vp, "one", root, &error));
	CHECK(error == 0 && vn_lock(directory, LK_EXCLUSIVE) == 0);
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
	RUN(take_away(top, directory, "d", root, &error));
	CHECK(error == 0);
	return 0;
}

/* Of two owners one locks a range; the other has to wait for it. */
static int
locks(struct vnode *top)
{
	struct flock first = { .l_start = 10, .l_len = 10, .l_type = F_WRLCK, .l_whence = SEEK_SET }, second = first, whole;
	struct vnode *vp;
	int error, one, two;

	RUN(make(top, "l", VREG, 0644, &vp));
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
	RUN(take_away(top, vp, "l", root, &error));
	CHECK(error == 0);
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
	other = kauth_cred_alloc();
	kauth_cred_seteuid(other, 7);
	kauth_cred_setegid(other, 7);
	RUN(find("/mnt", &top));
	RUN(find("/dev/disk", &device));
	RUN(permissions(top));
	RUN(names(top));
	RUN(identities(top));
	RUN(transfers(top, device));
	RUN(locks(top));
	RUN(mounts(top, device));
	RUN(dispatch());
	vrele(device);
	vrele(top);
	kauth_cred_free(other);
	kauth_cred_free(root);
	return 0;
}
