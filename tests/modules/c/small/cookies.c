/*
 * Reads the directory /mnt/many while it starts: in pieces of a few entries, and then again from every cookie that came
 * with an entry. What follows the cookie must be what followed the entry.
 */
#include "kernel.h"

MODULE(MODULE_CLASS_MISC, cookies, NULL);

#define PIECE 200
#define MAX_ENTRIES 4096

struct seen {
	uint64_t fileno;
	int64_t cookie;
};

/* One piece from `*offset` on; advances it. Entries go to `seen`; their number to `*count`. */
static int
read_piece(struct vnode *vp, int64_t *offset, char *buffer, size_t size, struct seen *seen, int *count, int *end)
{
	struct iovec vector = { .iov_base = buffer, .iov_len = size };
	struct uio uio = {
		.uio_iov = &vector,
		.uio_iovcnt = 1,
		.uio_offset = *offset,
		.uio_resid = size,
		.uio_rw = UIO_READ,
	};
	int64_t *cookies = NULL;
	int cookie_count = 0, error;
	char *at, *last;

	uio_setup_sysspace(&uio);
	*count = 0;
	vn_lock(vp, LK_SHARED | LK_RETRY);
	error = VOP_READDIR(vp, &uio, (kauth_cred_t)NOCRED, end, &cookies, &cookie_count);
	VOP_UNLOCK(vp);
	if (error != 0)
		return error;
	last = buffer + (size - uio.uio_resid);
	for (at = buffer; at < last; at += ((struct dirent *)at)->d_reclen) {
		if (*count >= cookie_count)
			return ERANGE;
		seen[*count].fileno = ((struct dirent *)at)->d_fileno;
		seen[*count].cookie = cookies[*count];
		(*count)++;
	}
	if (*count != cookie_count || (*count != 0 && seen[*count - 1].cookie != uio.uio_offset))
		return ERANGE;
	*offset = uio.uio_offset;
	if (cookies != NULL)
		kern_free(cookies);
	return 0;
}

static int
read_all(struct vnode *vp, struct seen *seen, char *buffer)
{
	struct seen few[PIECE / 16];
	int64_t offset = 0;
	int total = 0, count, end = 0, error, i;

	while (!end) {
		if (total + PIECE / 16 > MAX_ENTRIES)
			return EFBIG;
		error = read_piece(vp, &offset, buffer, PIECE, seen + total, &count, &end);
		if (error != 0)
			return error;
		if (count == 0 && !end)
			return ERANGE;
		total += count;
	}
	for (i = 0; i < total; i++) {
		offset = seen[i].cookie;
		error = read_piece(vp, &offset, buffer, PIECE, few, &count, &end);
		if (error != 0)
			return error;
		if (i + 1 == total ? count != 0 || !end : count == 0 || few[0].fileno != seen[i + 1].fileno)
			return ERANGE;
	}
	printf("cookies: %d entries\n", total);
	return 0;
}

static int
cookies_modcmd(modcmd_t command, void *argument)
{
	struct vnode *vp;
	struct seen *seen;
	char *buffer;
	int error;

	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
		error = namei_simple_user("/mnt/many", NSM_FOLLOW_NOEMULROOT, &vp);
		if (error != 0)
			return error;
		seen = kern_malloc(MAX_ENTRIES * sizeof(*seen), M_WAITOK);
		buffer = kern_malloc(PIECE, M_WAITOK);
		error = read_all(vp, seen, buffer);
		kern_free(buffer);
		kern_free(seen);
		vrele(vp);
		return error;
	case MODULE_CMD_FINI:
		return 0;
	default:
		return ENOTTY;
	}
}
