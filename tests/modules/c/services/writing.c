/*
 * Names and identities of files in file systems that can be written, on an empty slotfs that the test mounted on /mnt from
 * /dev/disk.
 */
#include "changes.h"

SERVICES(services_writing);

void kauth_cred_seteuid(kauth_cred_t, uid_t), kauth_cred_setegid(kauth_cred_t, uid_t);
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
#endif
int vn_close(struct vnode *, int, kauth_cred_t);
int VOP_RENAME(struct vnode *, struct vnode *, struct componentname *, struct vnode *, struct vnode *, struct componentname *);
int VOP_SETATTR(struct vnode *, struct vattr *, kauth_cred_t), VOP_ISLOCKED(struct vnode *);

/* Credentials of somebody else. */
static kauth_cred_t other;

static int
move(struct vnode *dvp, struct vnode *vp, const char *from, const char *to, kauth_cred_t cred, int *error)
{
	struct componentname source = name(from, DELETE, cred), target = name(to, RENAME, cred);

	vref(dvp);
	vref(vp);
	vref(dvp);
	CHECK(vn_lock(dvp, LK_EXCLUSIVE) == 0);
	CHECK(genfs_renamelock_enter(dvp->v_mount) == 0);
	*error = VOP_RENAME(dvp, vp, &source, dvp, NULL, &target);
	genfs_renamelock_exit(dvp->v_mount);
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

	RUN(make(top, "p", VDIR, 0755, 0, &directory));
	RUN(make(directory, "f", VREG, 0640, 0, &vp));
	vattr_null(&attributes);
	attributes.va_mtime.tv_sec = 1;
	CHECK(vn_lock(vp, LK_EXCLUSIVE) == 0 && VOP_ACCESS(vp, VREAD, other) == EACCES && VOP_ACCESS(vp, VREAD, root) == 0);
	CHECK(VOP_SETATTR(vp, &attributes, other) == EPERM && VOP_SETATTR(vp, &attributes, root) == 0);
	VOP_UNLOCK(vp);
	RUN(move(directory, vp, "f", "g", other, &error));
	CHECK(error == EACCES);
	vref(vp);
	RUN(try_to_remove(directory, vp, "f", other, &error));
	CHECK(error == EACCES);
	RUN(set_flags(vp, UF_IMMUTABLE));
	RUN(move(directory, vp, "f", "g", root, &error));
	CHECK(error == EPERM);
	vref(vp);
	RUN(try_to_remove(directory, vp, "f", root, &error));
	CHECK(error == EPERM);
	RUN(set_flags(vp, 0));
	RUN(move(directory, vp, "f", "g", root, &error));
	CHECK(error == 0);
	RUN(take_away(directory, vp, "g"));
	RUN(take_away(top, directory, "p"));
	/* In a sticky directory everybody takes away one's own only. */
	RUN(make(top, "s", VDIR, 01777, 0, &sticky));
	RUN(make(sticky, "f", VREG, 0666, 0, &vp));
	CHECK(vn_lock(sticky, LK_EXCLUSIVE) == 0 && VOP_LOOKUP(sticky, &found, &cn) == EPERM && found == NULL);
	cn.cn_cred = root;
	CHECK(VOP_LOOKUP(sticky, &found, &cn) == 0 && found == vp);
	vrele(found);
	VOP_UNLOCK(sticky);
	RUN(take_away(sticky, vp, "f"));
	RUN(take_away(top, sticky, "s"));
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

	RUN(make(top, "f", VREG, 0644, 0, &vp));
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
	RUN(take_away(top, vp, "f"));
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

	RUN(make(top, "k", VREG, 0644, 0, &vp));
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
	RUN(take_away(top, vp, "k"));
	return 0;
}

static int
checks(void)
{
	struct vnode *top;

	root = kauth_cred_alloc();
	other = kauth_cred_alloc();
	kauth_cred_seteuid(other, 7);
	kauth_cred_setegid(other, 7);
	RUN(find("/mnt", &top));
	RUN(permissions(top));
	RUN(names(top));
	RUN(identities(top));
	vrele(top);
	kauth_cred_free(other);
	kauth_cred_free(root);
	return 0;
}
