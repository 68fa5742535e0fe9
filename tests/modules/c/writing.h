/* What file systems that can be written use of a NetBSD kernel, beyond kernel.h: functions by their types. */
#ifndef WRITING_H
#define WRITING_H

#include "kernel.h"

/* Locks. */
void mutex_enter(struct kmutex *), mutex_exit(struct kmutex *);
int mutex_owned(const struct kmutex *);
void rw_enter(struct krwlock *, int), rw_exit(struct krwlock *);

/* Credentials, time, types. */
uid_t kauth_cred_geteuid(kauth_cred_t);
void vfs_timestamp(struct timespec *);
uint8_t vtype2dt(int);
extern const int iftovt_tab[], vttoif_tab[];

/* Buffers and transfers. */
struct buf *getblk(struct vnode *, daddr_t, int, int, int);
int allocbuf(struct buf *, int, int);
int bwrite(struct buf *);
void bdwrite(struct buf *), bawrite(struct buf *);
int biowait(struct buf *);
struct buf *getiobuf(struct vnode *, bool);
void putiobuf(struct buf *);
void bdev_strategy(struct buf *);
int vflushbuf(struct vnode *, int), vtruncbuf(struct vnode *, daddr_t, bool, int);

/* Pages. */
void ubc_zerorange(struct uvm_object *, off_t, size_t, int);
void uvm_vnp_setwritesize(struct vnode *, off_t);
void uvm_page_unbusy(struct vm_page **, int), uvm_pageactivate(struct vm_page *);
void genfs_node_wrlock(struct vnode *), genfs_node_unlock(struct vnode *);
int genfs_gop_write(struct vnode *, struct vm_page **, int, int);

/* Names. */
int namei(struct nameidata *);
int pathbuf_copyin(const char *, struct pathbuf **);
void pathbuf_destroy(struct pathbuf *);
void cache_purge1(struct vnode *, const char *, size_t, int);

/* Mounts, devices, vnodes. */
int getdiskinfo(struct vnode *, struct dkwedge_info *);
void spec_node_init(struct vnode *, dev_t);
void vfs_getnewfsid(struct mount *);
extern int doforce;
struct vnode_iterator;
void vfs_vnode_iterator_init(struct mount *, struct vnode_iterator **), vfs_vnode_iterator_destroy(struct vnode_iterator *);
struct vnode *vfs_vnode_iterator_next(struct vnode_iterator *, bool (*)(void *, struct vnode *), void *);
void vgone(struct vnode *);
#if NETBSD_VERSION < 1000000000
bool uvn_clean_p(struct uvm_object *);
int vcache_new(struct mount *, struct vnode *, struct vattr *, kauth_cred_t, struct vnode **);
int genfs_can_chmod(int, kauth_cred_t, uid_t, uid_t, mode_t);
int genfs_can_chown(kauth_cred_t, uid_t, uid_t, uid_t, uid_t);
int genfs_can_chtimes(struct vnode *, unsigned, uid_t, kauth_cred_t);
int genfs_can_chflags(kauth_cred_t, int, uid_t, bool);
int genfs_can_sticky(kauth_cred_t, uid_t, uid_t);
#else
int vcache_new(struct mount *, struct vnode *, struct vattr *, kauth_cred_t, void *, struct vnode **);
int genfs_can_chmod(struct vnode *, kauth_cred_t, uid_t, uid_t, mode_t);
int genfs_can_chown(struct vnode *, kauth_cred_t, uid_t, uid_t, uid_t, uid_t);
int genfs_can_chtimes(struct vnode *, kauth_cred_t, uid_t, unsigned);
int genfs_can_chflags(struct vnode *, kauth_cred_t, uid_t, bool);
int genfs_can_sticky(struct vnode *, kauth_cred_t, uid_t, uid_t);
#endif

/* Renaming and removing. */
int genfs_ufslike_remove_check_possible(unsigned long, unsigned long, unsigned long, unsigned long);
int genfs_ufslike_remove_check_permitted(kauth_cred_t, struct vnode *, mode_t, uid_t, struct vnode *, uid_t);
int genfs_ufslike_rename_check_possible(unsigned long, unsigned long, unsigned long, unsigned long, bool, unsigned long,
    unsigned long);
int genfs_ufslike_rename_check_permitted(kauth_cred_t, struct vnode *, mode_t, uid_t, struct vnode *, uid_t, struct vnode *,
    mode_t, uid_t, struct vnode *, uid_t);
int genfs_sane_rename(const struct genfs_rename_ops *, struct vnode *, struct componentname *, void *, struct vnode *,
    struct componentname *, void *, kauth_cred_t, bool);
int genfs_insane_rename(void *, int (*)(struct vnode *, struct componentname *, struct vnode *, struct componentname *,
    kauth_cred_t, bool));
void genfs_rename_knote(struct vnode *, struct vnode *, struct vnode *, struct vnode *, uint32_t);
void genfs_rename_cache_purge(struct vnode *, struct vnode *, struct vnode *, struct vnode *);

/* Operations. */
int VOP_ABORTOP(struct vnode *, struct componentname *);
int VOP_BWRITE(struct vnode *, struct buf *);
int VOP_FSYNC(struct vnode *, kauth_cred_t, int, off_t, off_t);
int VOP_GETPAGES(struct vnode *, off_t, struct vm_page **, int *, int, int, int, int);
int VOP_PUTPAGES(struct vnode *, off_t, off_t, int);
int genfs_kqfilter(void *), genfs_null_putpages(void *);
int lf_advlock(void *, void **, off_t);
int spec_lookup(void *), spec_open(void *), spec_close(void *), spec_read(void *), spec_write(void *), spec_fdiscard(void *), spec_ioctl(void *);
int spec_poll(void *), spec_kqfilter(void *), spec_mmap(void *), spec_fsync(void *), spec_bmap(void *), spec_strategy(void *);
int spec_pathconf(void *), spec_advlock(void *), vn_fifo_bypass(void *);

#endif
