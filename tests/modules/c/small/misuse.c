/* Hands a bad pointer to a function of the kernel: properties say which one, and to which. */
#include "kernel.h"

MODULE(MODULE_CLASS_MISC, misuse, NULL);

bool prop_dictionary_get_uint64(void *, const char *, uint64_t *);
void *prop_dictionary_get(void *, const char *);
void prop_object_release(void *);
void mutex_init(void *, int, int), mutex_destroy(void *), mutex_enter(void *), mutex_exit(void *);
void rw_enter(void *, int), rw_exit(void *);
void cv_init(void *, const char *), cv_destroy(void *), cv_wait(void *, void *), cv_signal(void *), cv_broadcast(void *);
void callout_init(void *, unsigned), callout_schedule(void *, int);
void workqueue_enqueue(void *, void *, void *);
void *rb_tree_insert_node(void *, void *);
void kauth_cred_hold(void *), kauth_cred_free(void *);
int strcmp(const char *, const char *);
int snprintf(char *, size_t, const char *, ...) __attribute__((format(printf, 3, 4)));
int bwrite(struct buf *);
void bdwrite(struct buf *);
struct buf *getblk(struct vnode *, daddr_t, int, int, int);
int biowait(struct buf *);

static char bytes[64];
static long mutex[4], condition[4];

static __attribute__((noinline)) int
misuse_call(uint64_t number, void *bad)
{
	struct buf *bp;
	struct vnode *vp;
	/* No call is the last thing that this function does: what is called is told from the call. */
	volatile int answer = 0;

	mutex_init(mutex, 0, 0);
	cv_init(condition, "misuse");
	switch (number) {
	case 0: mutex_enter(bad); break;
	case 1: mutex_exit(bad); break;
	case 2: mutex_destroy(bad); break;
	case 3: rw_enter(bad, 0); break;
	case 4: rw_exit(bad); break;
	case 5: mutex_enter(mutex); cv_wait(bad, mutex); break;
	case 6: cv_signal(bad); break;
	case 7: cv_broadcast(bad); break;
	case 8: cv_destroy(bad); break;
	case 9: cv_wait(condition, bad); break;
	case 10: pool_get(bad, 0); break;
	case 11: pool_put(bad, bytes); break;
	case 12: pool_destroy(bad); break;
	case 13: kern_free(bad); break;
	case 14: kmem_free(bad, 16); break;
	case 15: answer = (int)strlen(bad); break;
	case 16: memcpy(bad, bytes, sizeof(bytes)); break;
	case 17: memcpy(bytes, bad, sizeof(bytes)); break;
	case 18: memset(bad, 0, 16); break;
	case 19: answer = strcmp(bytes, bad); break;
	case 20: brelse(bad, 0); break;
	case 21: biodone(bad); break;
	case 22: biowait(bad); break;
	case 23: bwrite(bad); break;
	case 24: bdwrite(bad); break;
	case 25: bread(bad, 0, 512, 0, &bp); break;
	case 26: getblk(bad, 0, 512, 0, 0); break;
	case 27: vrele(bad); break;
	case 28: vref(bad); break;
	case 29: vput(bad); break;
	case 30: vn_lock(bad, 2); break;
	case 31: VOP_UNLOCK(bad); break;
	case 32: VOP_OPEN(bad, 1, NULL); break;
	case 33: VOP_STRATEGY(bad, bad); break;
	case 34: uiomove(bytes, 16, bad); break;
	case 35: vfs_attach(bad); break;
	case 36: vfs_detach(bad); break;
	case 37: printf("%s\n", (const char *)bad); break;
	case 38: snprintf(bad, 16, "%d", 7); break;
	case 39: callout_init(bad, 0); break;
	case 40: callout_schedule(bad, 1); break;
	case 41: workqueue_enqueue(bad, bytes, NULL); break;
	case 42: prop_dictionary_get(bad, "x"); break;
	case 43: prop_object_release(bad); break;
	case 44: kauth_cred_hold(bad); break;
	case 45: kauth_cred_free(bad); break;
	case 46: rb_tree_insert_node(bad, bytes); break;
	case 47: vcache_get(bad, bytes, 4, &vp); break;
	case 48: cache_enter(bad, bad, "a", 1, 0); break;
	case 49: vattr_null(bad); break;
	case 50: uvm_vnp_setsize(bad, 1); break;
	case 51: vflush(bad, NULL, 0); break;
	case 52: vinvalbuf(bad, 0, NULL, curlwp, false, 0); break;
	case 53: genfs_node_init(bad, bad); break;
	default: return ENOTTY;
	}
	return answer;
}

static int
misuse_modcmd(modcmd_t command, void *argument)
{
	uint64_t number = ~0ull, bad = 0;

	if (command != MODULE_CMD_INIT)
		return ENOTTY;
	if (!prop_dictionary_get_uint64(argument, "call", &number) || !prop_dictionary_get_uint64(argument, "bad", &bad))
		return EINVAL;
	return misuse_call(number, (void *)(uintptr_t)bad);
}
