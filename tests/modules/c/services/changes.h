/* Making and removing files below a vnode, for modules that check services of writing. */
#ifndef CHANGES_H
#define CHANGES_H

#include "services.h"
#include "slotfs.h"

kauth_cred_t kauth_cred_alloc(void);
void kauth_cred_free(kauth_cred_t);
int VOP_LOOKUP(struct vnode *, struct vnode **, struct componentname *);
int VOP_CREATE(struct vnode *, struct vnode **, struct componentname *, struct vattr *);
int VOP_MKNOD(struct vnode *, struct vnode **, struct componentname *, struct vattr *);
int VOP_MKDIR(struct vnode *, struct vnode **, struct componentname *, struct vattr *);
int VOP_REMOVE(struct vnode *, struct vnode *, struct componentname *);
int VOP_RMDIR(struct vnode *, struct vnode *, struct componentname *);

/* Credentials of the superuser, as requests from outside have them. */
static kauth_cred_t root;

static inline struct componentname
name(const char *text, int operation, kauth_cred_t cred)
{
	struct componentname result = { .cn_nameiop = operation, .cn_flags = ISLASTCN, .cn_cred = cred, .cn_nameptr = text,
		.cn_namelen = strlen(text) };

	return result;
}

static inline int
find(const char *path, struct vnode **vpp)
{
	*vpp = NULL;
	CHECK(namei_simple_user(path, NSM_FOLLOW_NOEMULROOT, vpp) == 0 && *vpp != NULL);
	return 0;
}

/* Makes a file, directory, device or pipe; it comes referenced and unlocked. */
static inline int
make(struct vnode *dvp, const char *text, int type, mode_t mode, dev_t number, struct vnode **vpp)
{
	struct componentname cn = name(text, CREATE, root);
	struct vattr attributes;
	int error;

	vattr_null(&attributes);
	attributes.va_type = type;
	attributes.va_mode = mode;
	attributes.va_rdev = number;
	*vpp = NULL;
	CHECK(vn_lock(dvp, LK_EXCLUSIVE) == 0);
	CHECK(VOP_LOOKUP(dvp, vpp, &cn) == EJUSTRETURN && *vpp == NULL);
	if (type == VDIR)
		error = VOP_MKDIR(dvp, vpp, &cn, &attributes);
	else if (type == VREG)
		error = VOP_CREATE(dvp, vpp, &cn, &attributes);
	else
		error = VOP_MKNOD(dvp, vpp, &cn, &attributes);
	CHECK(error == 0 && *vpp != NULL && (*vpp)->v_type == type);
	VOP_UNLOCK(dvp);
	return 0;
}

/* Tries to remove what `vp` is, referenced and unlocked, with the credentials given; takes the reference. */
static inline int
try_to_remove(struct vnode *dvp, struct vnode *vp, const char *text, kauth_cred_t cred, int *error)
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

/* Removes it. */
static inline int
take_away(struct vnode *dvp, struct vnode *vp, const char *text)
{
	int error;

	RUN(try_to_remove(dvp, vp, text, root, &error));
	CHECK(error == 0);
	return 0;
}

#endif
