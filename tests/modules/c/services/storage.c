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

static int
checks(void)
{
	struct vnode *device = NULL;

	RUN(queues());
	CHECK(namei_simple_user("/dev/image", NSM_FOLLOW_NOEMULROOT, &device) == 0 && device->v_type == VBLK);
	CHECK(vn_lock(device, LK_EXCLUSIVE) == 0 && VOP_OPEN(device, FREAD, (kauth_cred_t)NOCRED) == 0);
	RUN(blocks(device));
	RUN(parts(device));
	CHECK(VOP_CLOSE(device, FREAD, (kauth_cred_t)NOCRED) == 0);
	vput(device);
	return 0;
}
