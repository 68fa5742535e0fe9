/*
 * A driver of character devices. Unit 0 keeps sixteen bytes; unit 1 makes a file of its own for each open, which answers what was
 * written to it, each byte one more; others do not open.
 */
#include "kernel.h"

MODULE(MODULE_CLASS_DRIVER, chardev, NULL);

struct cdevsw {
	int (*open)(dev_t, int, int, struct lwp *), (*close)(dev_t, int, int, struct lwp *);
	int (*read)(dev_t, struct uio *, int), (*write)(dev_t, struct uio *, int);
	int (*ioctl)(dev_t, unsigned long, void *, int, struct lwp *);
	void *rest[6];
	int flag;
};
int devsw_attach(const char *, const void *, int *, const struct cdevsw *, int *), devsw_detach(const void *, const struct cdevsw *);

struct file {
	off_t offset;
	void *cred;
	const struct fileops *ops;
	void *data;
};
struct fileops {
	int (*read)(struct file *, off_t *, struct uio *, kauth_cred_t, int);
	int (*write)(struct file *, off_t *, struct uio *, kauth_cred_t, int);
	int (*ioctl)(struct file *, unsigned long, void *);
	void *fcntl, *poll, *stat;
	int (*close)(struct file *);
	void *rest[5];
};
int fd_allocfile(struct file **, int *), fd_clone(struct file *, unsigned, int, const struct fileops *, void *);

#define UNIT(device) ((int)((device)&0xff))
#define SIZE 16
/* Takes a number and answers it with the count of opens added. */
#define COUNT 0xc0044301ul

static char kept[SIZE];
static int opens, files;

static int
read_file(struct file *file, off_t *offset, struct uio *uio, kauth_cred_t cred, int flags)
{
	(void)offset;
	(void)cred;
	(void)flags;
	return uiomove(file->data, SIZE, uio);
}

static int
write_file(struct file *file, off_t *offset, struct uio *uio, kauth_cred_t cred, int flags)
{
	size_t length = uio->uio_resid;
	char *bytes = file->data;
	int error, i;

	(void)cred;
	(void)flags;
	if (length > SIZE)
		return EINVAL;
	error = uiomove(bytes, length, uio);
	for (i = 0; i < (int)length; i++)
		bytes[i]++;
	*offset += length;
	return error;
}

static int
control_file(struct file *file, unsigned long command, void *data)
{
	if (command != COUNT)
		return ENOTTY;
	*(int *)data += (int)file->offset + 100 * files;
	return 0;
}

static int
close_file(struct file *file)
{
	kmem_free(file->data, SIZE);
	files--;
	return 0;
}

static const struct fileops file_operations = { .read = read_file, .write = write_file, .ioctl = control_file, .close = close_file };

static int
open_device(dev_t device, int flags, int kind, struct lwp *lwp)
{
	struct file *file;
	int error, number;

	(void)lwp;
	if (kind != S_IFCHR)
		return EINVAL;
	switch (UNIT(device)) {
	case 0:
		opens++;
		return 0;
	case 1:
		if ((error = fd_allocfile(&file, &number)) != 0)
			return error;
		files++;
		return fd_clone(file, number, flags, &file_operations, kmem_zalloc(SIZE, KM_SLEEP));
	default:
		return ENXIO;
	}
}

static int
close_device(dev_t device, int flags, int kind, struct lwp *lwp)
{
	(void)device;
	(void)flags;
	(void)kind;
	(void)lwp;
	opens = 0;
	return 0;
}

static int
copy(dev_t device, struct uio *uio, int flags)
{
	(void)device;
	(void)flags;
	if (uio->uio_offset < 0 || uio->uio_offset > SIZE)
		return EINVAL;
	return uiomove(kept + uio->uio_offset, SIZE - uio->uio_offset, uio);
}

static int
control(dev_t device, unsigned long command, void *data, int flags, struct lwp *lwp)
{
	(void)device;
	(void)flags;
	(void)lwp;
	if (command != COUNT)
		return ENOTTY;
	*(int *)data += opens;
	return 0;
}

static const struct cdevsw devices = { .open = open_device, .close = close_device, .read = copy, .write = copy, .ioctl = control };

static int
chardev_modcmd(modcmd_t command, void *argument)
{
	int block = -1, character = -1;

	(void)argument;
	switch (command) {
	case MODULE_CMD_INIT:
		return devsw_attach("chardev", NULL, &block, &devices, &character);
	case MODULE_CMD_FINI:
		return files != 0 || opens != 0 ? EBUSY : devsw_detach(NULL, &devices);
	default:
		return ENOTTY;
	}
}
