/*
 * What the sample modules use of a NetBSD kernel: functions by their types, and how a module declares itself.
 * Structures, constants and operation descriptors come from abi.h, which is generated from the tables of base/abi.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "abi.h"

#define NULL ((void *)0)
#define false 0
#define true 1

typedef _Bool bool;
typedef int64_t off_t;
typedef int64_t daddr_t;
typedef uint32_t mode_t;
typedef uint32_t uid_t;
typedef struct kauth_cred *kauth_cred_t;
typedef const struct namei_simple_flags_type *namei_simple_flags_t;
typedef __builtin_va_list va_list;
#if NETBSD_VERSION >= 1000000000
typedef uint64_t kauth_action_t;
#else
typedef uint32_t kauth_action_t;
#endif

/* Modules. */
typedef int modcmd_t;

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

/* A module whose identifiers start with `id` and whose control routine is `id_modcmd`. */
#define MODULE_RECORD(id, version, class, name, required)                                                  \
	static int JOIN(id, _modcmd)(modcmd_t, void *);                                                    \
	static const struct modinfo JOIN(id, _modinfo) = {                                                 \
		.mi_version = (version),                                                                   \
		.mi_class = (class),                                                                       \
		.mi_modcmd = JOIN(id, _modcmd),                                                            \
		.mi_name = (name),                                                                         \
		.mi_required = (required),                                                                 \
	};                                                                                                 \
	static const void *const JOIN(__link_set_modules_sym_, JOIN(id, _modinfo))                         \
		__attribute__((section("link_set_modules"), used)) = &JOIN(id, _modinfo)

#define MODULE(class, id, required) MODULE_RECORD(id, NETBSD_VERSION, class, #id, required)

int module_autoload(const char *, int);

/* Messages and memory. */
void printf(const char *, ...) __attribute__((format(printf, 1, 2)));
void panic(const char *, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *kern_malloc(unsigned long, int);
void kern_free(void *);
void *kmem_zalloc(size_t, int);
void kmem_free(void *, size_t);
void pool_init(struct pool *, size_t, uint32_t, uint32_t, int, const char *, struct pool_allocator *, int);
void pool_destroy(struct pool *);
void *pool_get(struct pool *, int);
void pool_put(struct pool *, void *);
extern struct pool_allocator pool_allocator_nointr;

/* Bytes. */
int memcmp(const void *, const void *, size_t);
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
size_t strlen(const char *);

/* Threads and credentials. */
struct lwp *x86_curlwp(void) __attribute__((const));
#define curlwp x86_curlwp()
int kauth_authorize_vnode(kauth_cred_t, kauth_action_t, struct vnode *, struct vnode *, int);
kauth_action_t kauth_mode_to_action(mode_t);

/* Buffers and the unified cache. */
int bread(struct vnode *, daddr_t, int, int, struct buf **);
void brelse(struct buf *, int);
void biodone(struct buf *);
int uiomove(void *, size_t, struct uio *);
void uio_setup_sysspace(struct uio *);
int ubc_uiomove(struct uvm_object *, struct uio *, vsize_t, int, int);
void uvm_vnp_setsize(struct vnode *, off_t);

/* File systems, mounts, vnodes. */
int vfs_attach(struct vfsops *);
int vfs_detach(struct vfsops *);
long makefstype(const char *);
int set_statvfs_info(const char *, int, const char *, int, const char *, struct mount *, struct lwp *);
void copy_statvfs_info(struct statvfs *, const struct mount *);
int vfs_stdextattrctl(struct mount *, int, struct vnode *, int, const char *);
int eopnotsupp(void);
int namei_simple_user(const char *, namei_simple_flags_t, struct vnode **);
extern const namei_simple_flags_t NSM_FOLLOW_NOEMULROOT;
const struct bdevsw *bdevsw_lookup(dev_t);
void spec_node_setmountedfs(struct vnode *, struct mount *);
int vinvalbuf(struct vnode *, int, kauth_cred_t, struct lwp *, bool, int);
int vflush(struct mount *, struct vnode *, int);
int vcache_get(struct mount *, const void *, size_t, struct vnode **);
#if NETBSD_VERSION < 1000000000
void vcache_remove(struct mount *, const void *, size_t);
int cache_lookup(struct vnode *, const char *, size_t, uint32_t, uint32_t, int *, struct vnode **);
int genfs_can_access(int, mode_t, uid_t, uid_t, mode_t, kauth_cred_t);
#else
bool cache_lookup(struct vnode *, const char *, size_t, uint32_t, uint32_t, int *, struct vnode **);
int genfs_can_access(struct vnode *, kauth_cred_t, uid_t, uid_t, mode_t, struct acl *, uint32_t);
#endif
void cache_enter(struct vnode *, struct vnode *, const char *, size_t, uint32_t);
int vn_lock(struct vnode *, int);
void vref(struct vnode *);
void vrele(struct vnode *);
void vput(struct vnode *);
void vattr_null(struct vattr *);
void genfs_node_init(struct vnode *, const struct genfs_ops *);
void genfs_node_destroy(struct vnode *);
void genfs_size(struct vnode *, off_t, off_t *, int);
int genfs_renamelock_enter(struct mount *);
void genfs_renamelock_exit(struct mount *);

int VOP_OPEN(struct vnode *, int, kauth_cred_t);
int VOP_CLOSE(struct vnode *, int, kauth_cred_t);
int VOP_UNLOCK(struct vnode *);
int VOP_READDIR(struct vnode *, struct uio *, kauth_cred_t, int *, int64_t **, int *);
int VOP_ACCESS(struct vnode *, int, kauth_cred_t);
int VOP_BMAP(struct vnode *, daddr_t, struct vnode **, daddr_t *, int *);
int VOP_STRATEGY(struct vnode *, struct buf *);

/* Operations that many file systems share. */
int vn_default_error(void *), vn_bwrite(void *);
int genfs_abortop(void *), genfs_badop(void *), genfs_einval(void *), genfs_enoioctl(void *), genfs_eopnotsupp(void *);
int genfs_fcntl(void *), genfs_getpages(void *), genfs_islocked(void *), genfs_lock(void *), genfs_mmap(void *);
int genfs_nullop(void *), genfs_poll(void *), genfs_putpages(void *), genfs_revoke(void *), genfs_seek(void *);
int genfs_unlock(void *);

#endif
