/* A small file system that can be written: what its files share. */
#ifndef SLOTFS_H
#define SLOTFS_H

#include "format.h"

/* Arguments of mount(2). */
struct slotfs_args {
	const char *fspec;	/* block device */
};

struct slotfs_mount {
	struct vnode *device;
	struct superblock super;
	uint32_t free_blocks, free_slots;
	uint32_t next_block, next_slot;		/* where to look first */
	int mode;				/* of the device's open */
	int error;				/* of what nobody was waiting for, for the next sync */
};

/* A file in use: what v_data points to. */
struct slotfs_node {
	struct genfs_node genfs;	/* first: the generic operations expect it here */
	uint32_t number;		/* of the slot, and key of the vnode cache */
	bool changed;			/* `slot` differs from the table */
	struct slot slot;
	struct slotfs_mount *mount;
	void *locks;			/* advisory */
};

#define SLOTFS_MOUNT(mp) ((struct slotfs_mount *)(mp)->mnt_data)
#define SLOTFS_NODE(vp) ((struct slotfs_node *)(vp)->v_data)

/* Device blocks of 512 bytes. */
#define TO_DEVICE(block) ((daddr_t)(block) << (BLOCK_SHIFT - DEV_BSHIFT))
#define BLOCKS_OF(size) (((size) + BLOCK - 1) >> BLOCK_SHIFT)

#define IMMUTABLE (UF_IMMUTABLE | SF_IMMUTABLE)
#define APPEND (UF_APPEND | SF_APPEND)

/* Places of a name in its directory. */
struct place {
	uint64_t offset;
	uint32_t slot;
};

extern vop_t *slotfs_vnodeop_p, *slotfs_specop_p, *slotfs_fifoop_p;
extern const struct vnodeopv_desc slotfs_vnodeop_desc, slotfs_specop_desc, slotfs_fifoop_desc;
extern struct pool slotfs_pool;

/* space.c: blocks and slots. */
int slotfs_count(struct slotfs_mount *);
int slotfs_take_block(struct slotfs_mount *, uint32_t *);
int slotfs_free_block(struct slotfs_mount *, uint32_t);
int slotfs_take_slot(struct slotfs_mount *, uint32_t *, uint32_t *generation);

/* map.c: where a file's bytes are. */
int slotfs_where(struct slotfs_node *, daddr_t, uint32_t *);
int slotfs_want(struct slotfs_node *, daddr_t, uint32_t *, bool *fresh);
int slotfs_truncate(struct vnode *, uint64_t);
int slotfs_flush_pointers(struct slotfs_node *);

/* node.c: vnodes. */
int slotfs_get(struct mount *, uint32_t, struct vnode **);
int slotfs_loadvnode(struct mount *, struct vnode *, const void *, size_t, const void **);
#if NETBSD_VERSION >= 1000000000
int slotfs_newvnode(struct mount *, struct vnode *, struct vnode *, struct vattr *, kauth_cred_t, void *, size_t *,
    const void **);
#else
int slotfs_newvnode(struct mount *, struct vnode *, struct vnode *, struct vattr *, kauth_cred_t, size_t *, const void **);
#endif
int slotfs_update(struct vnode *, bool wait);
void slotfs_touch(struct slotfs_node *, int what);
#define ACCESSED 1
#define MODIFIED 2
#define CHANGED 4
int slotfs_inactive(void *), slotfs_reclaim(void *);

/* directory.c: names. */
int slotfs_find(struct vnode *, const char *, size_t, struct place *);
int slotfs_enter(struct vnode *, const char *, size_t, uint32_t slot, int type);
int slotfs_replace(struct vnode *, const struct place *, uint32_t slot, int type);
int slotfs_is_empty(struct vnode *, bool *);
int slotfs_readdir(void *);

/* names.c: making and removing. */
int slotfs_lookup(void *), slotfs_create(void *), slotfs_mknod(void *), slotfs_mkdir(void *), slotfs_symlink(void *);
int slotfs_link(void *), slotfs_remove(void *), slotfs_rmdir(void *);

/* rename.c */
int slotfs_rename(void *);

/* attributes.c */
int slotfs_access(void *), slotfs_getattr(void *), slotfs_setattr(void *);

/* file.c: contents. */
int slotfs_read(void *), slotfs_write(void *), slotfs_readlink(void *), slotfs_fsync(void *), slotfs_bmap(void *);
int slotfs_strategy(void *), slotfs_read_page(struct vnode *, uint64_t);
extern const struct genfs_ops slotfs_genfsops;

#endif
