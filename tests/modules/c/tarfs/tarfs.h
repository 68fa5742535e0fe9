/* A read-only file system on a ustar archive. */
#ifndef TARFS_H
#define TARFS_H

#include "tarindex.h"

/* Arguments of mount(2). */
struct tarfs_args {
	const char *fspec;	/* block device */
};

/* A mount. */
struct tarfs_mount {
	struct vnode *device;
	struct tar_index *index;
};

/* A file: what v_data points to. */
struct tarfs_node {
	struct genfs_node genfs;	/* first: the generic operations expect it here */
	uint32_t number;		/* entry in the index, and key of the vnode cache */
	const struct tar_entry *entry;
	struct tarfs_mount *mount;
};

#define TARFS_MOUNT(mp) ((struct tarfs_mount *)(mp)->mnt_data)
#define TARFS_NODE(vp) ((struct tarfs_node *)(vp)->v_data)

extern vop_t *tarfs_vnodeop_p;
extern const struct vnodeopv_desc tarfs_vnodeop_opv_desc;
extern struct pool tarfs_node_pool;

int tarfs_loadvnode(struct mount *, struct vnode *, const void *, size_t, const void **);
int tarfs_get(struct mount *, uint32_t number, struct vnode **);

#endif
