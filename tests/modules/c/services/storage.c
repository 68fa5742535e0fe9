/* Blocks of the device /dev/image, transfers, disk queues. The device cannot be written. */
#include "services.h"

SERVICES(services_storage);

struct bufq_state;
int bufq_alloc(struct bufq_state **, const char *, int);
void bufq_free(struct bufq_state *), bufq_put(struct bufq_state *, struct buf *);
struct buf *bufq_peek(struct bufq_state *), *bufq_get(struct bufq_state *), *bufq_cancel(struct bufq_state *, struct buf *);
struct buf *getiobuf(struct vnode *, bool), *getblk(struct vnode *, daddr_t, int, int, int), *incore(struct vnode *, daddr_t);
void putiobuf(struct buf *), nestiobuf_setup(struct buf *, struct buf *, int, size_t), nestiobuf_done(struct buf *, int, int);
int biowait(struct buf *), bbusy(struct buf *, bool, int, void *);
int breadn(struct vnode *, daddr_t, int, daddr_t *, int *, int, int, struct buf **);
void brelsel(struct buf *, int);
size_t buf_memcalc(void);
void mutex_enter(void *), mutex_exit(void *);
extern struct kmutex bufcache_lock;
void minphys(struct buf *);
int bounds_check_with_mediasize(struct buf *, int, uint64_t), format_bytes(char *, size_t, uint64_t);
int physio(void (*)(struct buf *), struct buf *, dev_t, int, void (*)(struct buf *), struct uio *);
int strcmp(const char *, const char *);

static int
queues(void)
{
	struct buf *one = getiobuf(NULL, true), *two = getiobuf(NULL, true), *three = getiobuf(NULL, true);
	struct bufq_state *queue = NULL;

	CHECK(one != NULL && two != NULL && three != NULL && one != two);
	one->b_rawblkno = 9;
	two->b_rawblkno = 3;
	three->b_rawblkno = 6;
	CHECK(bufq_alloc(&queue, "fcfs", 0) == 0 && queue != NULL && bufq_peek(queue) == NULL);
	bufq_put(queue, one);
	bufq_put(queue, two);
	bufq_put(queue, three);
	CHECK(bufq_cancel(queue, three) == three && bufq_cancel(queue, three) == NULL);
	CHECK(bufq_peek(queue) != NULL && bufq_get(queue) != NULL && bufq_get(queue) != NULL && bufq_get(queue) == NULL);
	bufq_free(queue);
	putiobuf(one);
	putiobuf(two);
	putiobuf(three);
	return 0;
}

/* A transfer in two parts. */
static int
parts(struct vnode *device)
{
	static char data[1024];
	struct buf *whole = getiobuf(device, true), *part = getiobuf(device, true);

	whole->b_bcount = whole->b_bufsize = whole->b_resid = 1024;
	whole->b_data = data;
	whole->b_flags = B_READ;
	nestiobuf_setup(whole, part, 0, 512);
	CHECK(part->b_data == data && part->b_bcount == 512 && part->b_private == whole);
	part->b_resid = 0;
	biodone(part);
	CHECK(whole->b_resid == 512 && (whole->b_oflags & BO_DONE) == 0);
	nestiobuf_done(whole, 512, EIO);
	CHECK((whole->b_oflags & BO_DONE) != 0 && biowait(whole) == EIO);
	putiobuf(whole);
	return 0;
}

static int
blocks(struct vnode *device)
{
	daddr_t ahead = 3;
	int size = 512, error;
	struct buf *bp = NULL, *same;

	CHECK(bread(device, 1, 512, 0, &bp) == 0 && bp != NULL && bp->b_resid == 0);
	brelse(bp, 0);
	CHECK(incore(device, 1) == bp && incore(device, 1000) == NULL);
	mutex_enter(&bufcache_lock);
	error = bbusy(bp, false, 0, NULL);
	CHECK(error == 0 && (bp->b_cflags & BC_BUSY) != 0 && bbusy(bp, false, 0, NULL) == EPASSTHROUGH);
	brelsel(bp, 0);
	CHECK((bp->b_cflags & BC_BUSY) == 0);
	mutex_exit(&bufcache_lock);
	same = getblk(device, 1, 512, 0, 0);
	CHECK(same == bp && (bp->b_cflags & BC_BUSY) != 0);
	brelse(same, 0);
	CHECK(breadn(device, 2, 512, &ahead, &size, 1, 0, &bp) == 0 && bp != NULL && bp->b_lblkno == 2);
	brelse(bp, 0);
	CHECK(buf_memcalc() > 0 && vinvalbuf(device, V_SAVE, (kauth_cred_t)NOCRED, curlwp, false, 0) == 0);
	CHECK(incore(device, 1) == NULL);
	return 0;
}

/* A driver of a medium of four sectors that hold their numbers, and takes two at a time. */
static int started;

static void
limit(struct buf *bp)
{
	minphys(bp);
	if (bp->b_bcount > 1024)
		bp->b_bcount = 1024;
}

static void
strategy(struct buf *bp)
{
	started++;
	if (bp->b_dev != 7 || (bp->b_flags & B_READ) == 0)
		bp->b_error = EIO;
	else if (bounds_check_with_mediasize(bp, 512, 4)) {
		memset(bp->b_data, (int)bp->b_blkno + 1, (size_t)bp->b_bcount);
		bp->b_resid = 0;
	}
	biodone(bp);
}

static int
raw(void)
{
	static char data[2560];
	struct iovec vectors[2] = { { .iov_base = data, .iov_len = 512 }, { .iov_base = data + 512, .iov_len = 2048 } };
	struct uio uio;
	struct buf *bp = getiobuf(NULL, true);

	bp->b_bcount = MAXPHYS + 1;
	minphys(bp);
	CHECK(bp->b_bcount == MAXPHYS);
	bp->b_blkno = 3;
	bp->b_bcount = 1024;
	CHECK(bounds_check_with_mediasize(bp, 512, 4) == 1 && bp->b_bcount == 512 && bp->b_error == 0);
	CHECK(bounds_check_with_mediasize(bp, 512, 3) == 0 && bp->b_resid == 512 && bp->b_error == 0);
	CHECK(bounds_check_with_mediasize(bp, 512, 2) == 0 && bp->b_error == EINVAL);
	bp->b_error = 0;
	bp->b_blkno = -1;
	CHECK(bounds_check_with_mediasize(bp, 512, 4) == 0 && bp->b_error == EINVAL);
	putiobuf(bp);
	memset(&uio, 0, sizeof(uio));
	uio.uio_iov = vectors;
	uio.uio_iovcnt = 2;
	uio.uio_resid = sizeof(data);
	started = 0;
	CHECK(physio(strategy, NULL, 7, B_READ, limit, &uio) == 0);
	/* One, two, what is left of the next two, and nothing. */
	CHECK(started == 3 && uio.uio_resid == 512 && uio.uio_offset == 2048);
	CHECK(data[0] == 1 && data[512] == 2 && data[1536] == 4 && data[2047] == 4 && data[2048] == 0);
	CHECK(vectors[0].iov_len == 0 && vectors[1].iov_len == 512);
	CHECK(physio(strategy, NULL, 8, B_READ, limit, &uio) == EIO && uio.uio_resid == 512);
	uio.uio_offset = 100;
	CHECK(physio(strategy, NULL, 7, B_READ, limit, &uio) == EINVAL);
	return 0;
}

static int
sizes(void)
{
	char text[9];

	CHECK(format_bytes(text, sizeof(text), 99999) == 7 && strcmp(text, "99999") == 0);
	CHECK(format_bytes(text, sizeof(text), 64 << 20) == 8 && strcmp(text, "65536 KB") == 0);
	CHECK(format_bytes(text, 6, 64 << 20) == 5 && strcmp(text, "64 MB") == 0);
	CHECK(format_bytes(text, 4, 1) == -1);
	return 0;
}

static int
checks(void)
{
	struct vnode *device = NULL;

	RUN(queues());
	RUN(raw());
	RUN(sizes());
	CHECK(namei_simple_user("/dev/image", NSM_FOLLOW_NOEMULROOT, &device) == 0 && device->v_type == VBLK);
	CHECK(vn_lock(device, LK_EXCLUSIVE) == 0 && VOP_OPEN(device, FREAD, (kauth_cred_t)NOCRED) == 0);
	RUN(blocks(device));
	RUN(parts(device));
	CHECK(VOP_CLOSE(device, FREAD, (kauth_cred_t)NOCRED) == 0);
	vput(device);
	return 0;
}
