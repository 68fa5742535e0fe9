/* Descriptors of vnode operations: each has its name and a slot of its own. */
#include "services.h"

SERVICES(services_descriptors);

int strcmp(const char *, const char *);

#define EACH(f)                                                                                            \
	f(default) f(bwrite) f(lookup) f(create) f(mknod) f(open) f(close) f(access) f(getattr) f(setattr)      \
	f(read) f(write) f(fallocate) f(fdiscard) f(ioctl) f(fcntl) f(poll) f(kqfilter) f(revoke) f(mmap)       \
	f(fsync) f(seek) f(remove) f(link) f(rename) f(mkdir) f(rmdir) f(symlink) f(readdir) f(readlink)       \
	f(abortop) f(inactive) f(reclaim) f(lock) f(unlock) f(bmap) f(strategy) f(print) f(islocked)           \
	f(pathconf) f(advlock) f(whiteout) f(getpages) f(putpages) f(closeextattr) f(getextattr)               \
	f(listextattr) f(openextattr) f(deleteextattr) f(setextattr)
#if NETBSD_VERSION >= 1000000000
#define EACH_NEW(f) f(parsepath) f(accessx) f(getacl) f(setacl) f(aclcheck)
#else
#define EACH_NEW(f)
#endif

static int
checks(void)
{
#define ENTRY(operation) { &vop_##operation##_desc, "vop_" #operation },
	const struct {
		const struct vnodeop_desc *descriptor;
		const char *name;
	} all[] = { EACH(ENTRY) EACH_NEW(ENTRY) };
	const int count = sizeof(all) / sizeof(all[0]);
	bool seen[80] = { false };
	int i, slot;

	for (i = 0; i < count; i++) {
		slot = all[i].descriptor->vdesc_offset;
		if (all[i].descriptor->vdesc_name == NULL || strcmp(all[i].descriptor->vdesc_name, all[i].name) != 0 ||
		    slot < 0 || slot >= 80 || seen[slot]) {
			printf("descriptors: %s has slot %d\n", all[i].name, slot);
			return EIO;
		}
		seen[slot] = true;
	}
	return 0;
}
