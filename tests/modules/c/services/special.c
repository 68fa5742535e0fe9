/*
 * Devices and named pipes in a file system of a module's own: a slotfs that the test mounted on /mnt. They stand for the device
 * /dev/other, whose first byte is no zero.
 */
#include "changes.h"

SERVICES(services_special);

int genfs_compat_getpages(void *), genfs_compat_gop_write(struct vnode *, struct vm_page **, int, int);
extern vop_t *fifo_vnodeop_p, *spec_vnodeop_p;

int VOP_GETATTR(struct vnode *, struct vattr *, kauth_cred_t), VOP_SETATTR(struct vnode *, struct vattr *, kauth_cred_t);
int VOP_READ(struct vnode *, struct uio *, int, kauth_cred_t), VOP_WRITE(struct vnode *, struct uio *, int, kauth_cred_t);
int VOP_FDISCARD(struct vnode *, off_t, off_t), VOP_IOCTL(struct vnode *, unsigned long, void *, int, kauth_cred_t);
int VOP_POLL(struct vnode *, int), VOP_KQFILTER(struct vnode *, void *), VOP_MMAP(struct vnode *, int, kauth_cred_t);
int VOP_PATHCONF(struct vnode *, int, long *), VOP_ADVLOCK(struct vnode *, void *, int, void *, int);

/* Reads or writes `length` bytes at `offset` of a locked device. */
static int
copy(struct vnode *vp, int direction, void *bytes, size_t length, off_t offset)
{
	struct iovec vector = { .iov_base = bytes, .iov_len = length };
	struct uio uio = { .uio_iov = &vector, .uio_iovcnt = 1, .uio_resid = length, .uio_offset = offset, .uio_rw = direction };
	int error;

	uio_setup_sysspace(&uio);
	error = direction == UIO_READ ? VOP_READ(vp, &uio, 0, root) : VOP_WRITE(vp, &uio, 0, root);
	return error != 0 ? error : uio.uio_resid != 0 ? EIO : 0;
}

/* A page of the device by way of what file systems without pages do. */
static int
pages(struct vnode *vp)
{
	struct vm_page *page = NULL;
	int count = 1;
	struct vop_getpages_args arguments = { .a_desc = &vop_getpages_desc, .a_vp = vp, .a_m = (void *)&page, .a_count = &count,
		.a_access_type = VM_PROT_READ, .a_flags = PGO_SYNCIO };
	char first = 0, again = 0;

	CHECK(copy(vp, UIO_READ, &first, 1, 4096) == 0);
#if NETBSD_VERSION >= 1000000000
	rw_enter(vp->v_uobj.vmobjlock, RW_WRITER);
#else
	mutex_enter(vp->v_uobj.vmobjlock);
#endif
	arguments.a_offset = 4096;
	CHECK(genfs_compat_getpages(&arguments) == 0 && page != NULL && page->offset == 4096 && count == 1);
	/* Something else lies there now; the page is what it was. */
	first = ~first;
	CHECK(copy(vp, UIO_WRITE, &first, 1, 4096) == 0 && copy(vp, UIO_READ, &again, 1, 4096) == 0 && again == first);
	CHECK(genfs_compat_gop_write(vp, &page, 1, PGO_CLEANIT) == 0);
	CHECK(copy(vp, UIO_READ, &again, 1, 4096) == 0 && again == (char)~first);
	return 0;
}

/* What is open is read and written by way of buffers of its own. */
static int
device(struct vnode *vp, dev_t number)
{
	struct componentname cn = name("f", LOOKUP, root);
	struct vnode *below = NULL;
	struct flock lock = { .l_type = F_WRLCK };
	struct vattr attributes;
	struct disklabel label;
	struct buf *bp;
	daddr_t block = -1;
	char byte = 0, other, back = 0;
	long value = 0;
	int run = -1;
	struct vop_bmap_args bmap = { .a_desc = &vop_bmap_desc, .a_vp = vp, .a_bnp = &block };

	CHECK(vp->v_un_vu_specnode != NULL && vp->v_un_vu_specnode->sn_rdev == number && bdevsw_lookup(number) != NULL);
	CHECK(VOP_LOOKUP(vp, &below, &cn) == ENOTDIR);
	CHECK(VOP_GETATTR(vp, &attributes, root) == 0 && attributes.va_rdev == number && attributes.va_type == VBLK);
	CHECK(VOP_OPEN(vp, FREAD | FWRITE, root) == 0 && VOP_OPEN(vp, FREAD, root) == EBUSY && vp->v_size > 8192);
	CHECK(VOP_BMAP(vp, 7, &below, &block, &run) == 0 && below == vp && block == 7 && run > 0);
	bmap.a_bn = 9;
	CHECK(spec_vnodeop_p[vop_bmap_desc.vdesc_offset](&bmap) == 0 && block == 9);
	CHECK(copy(vp, UIO_READ, &byte, 1, 0) == 0 && byte != 0);
	other = ~byte;
	CHECK(copy(vp, UIO_WRITE, &other, 1, 0) == 0 && vp->v_dirtyblkhd.lh_first != NULL);
	CHECK(VOP_FSYNC(vp, root, FSYNC_WAIT, 0, 0) == 0 && vp->v_dirtyblkhd.lh_first == NULL && vp->v_cleanblkhd.lh_first != NULL);
	CHECK(copy(vp, UIO_READ, &back, 1, 0) == 0 && back == other && copy(vp, UIO_WRITE, &byte, 1, 0) == 0);
	/* A transfer past those. */
	CHECK(VOP_FSYNC(vp, root, FSYNC_WAIT, 0, 0) == 0);
	bp = getiobuf(vp, true);
	bp->b_data = kern_malloc(BLOCK, M_WAITOK | M_ZERO);
	bp->b_bcount = bp->b_bufsize = bp->b_resid = BLOCK;
	bp->b_flags |= B_READ;
	bp->b_cflags |= BC_BUSY;
	CHECK(VOP_STRATEGY(vp, bp) == 0 && biowait(bp) == 0 && bp->b_resid == 0 && *(char *)bp->b_data == byte);
	kern_free(bp->b_data);
	putiobuf(bp);
	memset(&label, 0, sizeof(label));
	CHECK(VOP_IOCTL(vp, DIOCGDINFO, &label, FREAD, root) == 0 && label.d_secsize == 512);
	CHECK(VOP_FDISCARD(vp, 0, BLOCK) == EOPNOTSUPP && VOP_KQFILTER(vp, NULL) == EOPNOTSUPP && VOP_POLL(vp, POLLIN) != 0);
	CHECK(VOP_MMAP(vp, VM_PROT_READ, root) == EOPNOTSUPP && VOP_PATHCONF(vp, _PC_NAME_MAX, &value) == EOPNOTSUPP);
	CHECK(VOP_ADVLOCK(vp, &run, F_SETLK, &lock, F_POSIX) == EOPNOTSUPP);
	RUN(pages(vp));
	CHECK(VOP_CLOSE(vp, FREAD | FWRITE, root) == 0 && vp->v_cleanblkhd.lh_first == NULL);
	CHECK(VOP_OPEN(vp, FREAD, root) == 0 && VOP_CLOSE(vp, FREAD, root) == 0 && VOP_CLOSE(vp, FREAD, root) == ENXIO);
	return 0;
}

/* Pipes have names and attributes, and are not opened. */
static int
fifo(struct vnode *vp)
{
	struct vattr attributes;
	long value = 0;

	CHECK(VOP_OPEN(vp, FREAD, root) == ENXIO && VOP_PATHCONF(vp, _PC_NAME_MAX, &value) == EOPNOTSUPP);
	CHECK(fifo_vnodeop_p != NULL && fifo_vnodeop_p[vop_open_desc.vdesc_offset] != fifo_vnodeop_p[vop_close_desc.vdesc_offset]);
	vattr_null(&attributes);
	attributes.va_mode = 0640;
	CHECK(VOP_SETATTR(vp, &attributes, root) == 0 && VOP_FSYNC(vp, root, FSYNC_WAIT, 0, 0) == 0);
	CHECK(VOP_GETATTR(vp, &attributes, root) == 0 && attributes.va_mode == 0640 && attributes.va_type == VFIFO);
#if NETBSD_VERSION < 1000000000
	mutex_enter(vp->v_uobj.vmobjlock);
	CHECK(VOP_PUTPAGES(vp, 0, 0, PGO_ALLPAGES | PGO_CLEANIT) == 0 && !mutex_owned(vp->v_uobj.vmobjlock));
#endif
	return 0;
}

static int
checks(void)
{
	struct vnode *top, *image, *vp;
	dev_t number;

	root = kauth_cred_alloc();
	RUN(find("/mnt", &top));
	RUN(find("/dev/other", &image));
	number = image->v_un_vu_specnode->sn_rdev;
	vrele(image);
	RUN(make(top, "device", VBLK, 0600, number, &vp));
	CHECK(vn_lock(vp, LK_EXCLUSIVE) == 0);
	RUN(device(vp, number));
	vput(vp);
	RUN(find("/mnt/device", &vp));
	RUN(take_away(top, vp, "device"));
	RUN(make(top, "pipe", VFIFO, 0600, 0, &vp));
	CHECK(vn_lock(vp, LK_EXCLUSIVE) == 0);
	RUN(fifo(vp));
	VOP_UNLOCK(vp);
	RUN(take_away(top, vp, "pipe"));
	vrele(top);
	kauth_cred_free(root);
	return 0;
}
