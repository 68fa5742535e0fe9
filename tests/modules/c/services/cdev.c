/* Calling a driver by the number of its device: a driver of the test's own, whose functions tell that they were called. */
#include "services.h"

SERVICES(services_cdev);

struct cdevsw {
	int (*open)(dev_t, int, int, struct lwp *), (*close)(dev_t, int, int, struct lwp *);
	int (*read)(dev_t, struct uio *, int), (*write)(dev_t, struct uio *, int);
	int (*ioctl)(dev_t, unsigned long, void *, int, struct lwp *);
	void *stop, *tty;
	int (*poll)(dev_t, int, struct lwp *);
	void *mmap;
	int (*kqfilter)(dev_t, void *);
	void *discard;
	int flag;
};
int devsw_attach(const char *, const void *, int *, const struct cdevsw *, int *), devsw_detach(const void *, const struct cdevsw *);
int devsw_name2chr(const char *, char *, size_t), strcmp(const char *, const char *);
int cdev_open(dev_t, int, int, struct lwp *), cdev_read(dev_t, struct uio *, int), cdev_write(dev_t, struct uio *, int);
int cdev_ioctl(dev_t, unsigned long, void *, int, struct lwp *), cdev_poll(dev_t, int, struct lwp *), cdev_kqfilter(dev_t, void *);

/* What the driver's function was called with makes its answer. */
#define UNIT(device) ((int)((device)&0xff))
static int
open_device(dev_t device, int flags, int kind, struct lwp *lwp)
{
	return lwp == curlwp ? UNIT(device) + flags + kind : 0;
}

static int
read_device(dev_t device, struct uio *uio, int flags)
{
	return uio == NULL ? UNIT(device) + 1000 + flags : 0;
}

static int
write_device(dev_t device, struct uio *uio, int flags)
{
	return uio == NULL ? UNIT(device) + 2000 + flags : 0;
}

static int
control(dev_t device, unsigned long command, void *data, int flags, struct lwp *lwp)
{
	*(int *)data += (int)command;
	return lwp == curlwp ? UNIT(device) + flags : 0;
}

static int
poll(dev_t device, int events, struct lwp *lwp)
{
	return lwp == curlwp ? UNIT(device) + events : 0;
}

static int
watch(dev_t device, void *note)
{
	*(int *)note = 7;
	return UNIT(device);
}

static const struct cdevsw devices = { .open = open_device, .read = read_device, .write = write_device, .ioctl = control,
	.poll = poll, .kqfilter = watch };
/* One that can do nothing. */
static const struct cdevsw poor;

static int
checks(void)
{
	int none = -1, major = -1, value = 1;
	char name[8] = "";
	dev_t device;

	CHECK(devsw_name2chr("svcdev", NULL, 0) == -1 && devsw_attach("svcdev", NULL, &none, &devices, &major) == 0 && major > 0);
	CHECK(devsw_name2chr("svcdev12", name, sizeof(name)) == major && strcmp(name, "svcdev") == 0);
	CHECK(devsw_name2chr(NULL, NULL, 0) == -1);
	device = ((dev_t)major << 8) | 5;
	CHECK(cdev_open(device, 20, 300, curlwp) == 325);
	CHECK(cdev_read(device, NULL, 20) == 1025 && cdev_write(device, NULL, 20) == 2025);
	CHECK(cdev_ioctl(device, 40, &value, 20, curlwp) == 25 && value == 41);
	CHECK(cdev_poll(device, 20, curlwp) == 25 && cdev_kqfilter(device, &value) == 5 && value == 7);
	CHECK(devsw_detach(NULL, &devices) == 0 && devsw_name2chr("svcdev", NULL, 0) == -1);
	CHECK(cdev_open(device, 0, 0, curlwp) == ENXIO && cdev_read(device, NULL, 0) == ENXIO && cdev_write(device, NULL, 0) == ENXIO);
	CHECK(cdev_ioctl(device, 0, NULL, 0, curlwp) == ENXIO && cdev_kqfilter(device, NULL) == ENXIO);
	CHECK(cdev_poll(device, POLLIN, curlwp) == POLLERR);
	CHECK(devsw_attach("svcdev", NULL, &none, &poor, &major) == 0 && cdev_open(device, 0, 0, curlwp) == ENXIO);
	CHECK(devsw_detach(NULL, &poor) == 0);
	return 0;
}
