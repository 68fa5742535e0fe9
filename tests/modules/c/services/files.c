/* File descriptors: files of a module's own, by number. */
#include "services.h"

SERVICES(services_files);

/* `struct file` up to the data of who made it. */
struct file {
	int64_t offset;
	void *cred;
	const struct fileops *ops;
	void *data;
};

/* `struct fileops` up to what tells that a file is closed. */
struct fileops {
	void *functions[6];
	int (*close)(struct file *);
	void *rest[5];
};

int fd_allocfile(struct file **, int *), fd_close(unsigned), fd_getvnode(unsigned, struct file **);
void fd_abort(struct proc *, struct file *, unsigned), fd_affix(struct proc *, struct file *, unsigned), fd_putfile(unsigned);
int fd_clone(struct file *, unsigned, int, const struct fileops *, void *);
struct file *fd_getfile(unsigned);
int fnullop_fcntl(struct file *, unsigned, void *), fnullop_poll(struct file *, int), fnullop_kqfilter(struct file *, void *);
void fnullop_restart(struct file *);
int fbadop_read(struct file *, off_t *, struct uio *, kauth_cred_t, int), fbadop_ioctl(struct file *, unsigned long, void *);
int fbadop_write(struct file *, off_t *, struct uio *, kauth_cred_t, int), fbadop_stat(struct file *, void *);

/* `struct filterops`, of what is always ready. */
extern const struct {
	int of_descriptor;
	int (*attach)(void *);
	void (*detach)(void *);
	int (*event)(void *, long);
} seltrue_filtops;

static int
ready(void)
{
	unsigned char note[128];
	int i, zeros = 0;

	memset(note, 0xff, sizeof(note));
	CHECK(seltrue_filtops.of_descriptor == 1 && seltrue_filtops.attach == NULL && seltrue_filtops.event(note, 0) == 1);
	for (i = 0; i < 128; i++)
		zeros += note[i] == 0;
	/* How much there is, and nothing else. */
	CHECK(zeros == 8);
	seltrue_filtops.detach(note);
	return 0;
}

/* `struct fdfile` up to its file. */
struct fdfile {
	char flags[4];
	unsigned references;
	struct file *file;
};

struct table {
	unsigned count;
	struct table *link;
	struct fdfile *all[128];
};

/* `struct filedesc` up to its table. */
struct descriptors {
	char builtin[384];
	void *lock;
	const struct table *table;
};

/* The file of a number, as who lists them finds it. */
static struct file *
listed(unsigned number)
{
	const struct table *table = ((const struct descriptors *)curlwp->l_fd)->table;

	return number < table->count ? table->all[number]->file : NULL;
}

static int closed;
extern struct proc proc0;

static int
close(struct file *file)
{
	closed += file->data == &closed;
	return ENXIO;
}

static const struct fileops operations = { .close = close };

static int
checks(void)
{
	struct file *file = NULL, *other = NULL, *found = NULL;
	int number = -1, second = -1, third = -1;

	RUN(ready());
	closed = 0;
	CHECK(fd_getfile(0) == NULL && fd_getvnode(0, &found) == EBADF && fd_close(0) == EBADF && fd_getfile(1 << 20) == NULL);
	CHECK(fd_allocfile(&file, &number) == 0 && file != NULL && number == 0 && file->cred == curlwp->l_cred);
	CHECK(fd_allocfile(&other, &second) == 0 && second == 1 && other != file);
	/* Not to be found before it is complete. */
	CHECK(fd_getfile(number) == NULL && listed(number) == NULL && proc0.p_fd == curlwp->l_fd);
	fd_abort(NULL, other, second);
	CHECK(fd_allocfile(&other, &third) == 0 && third == second);
	CHECK(fd_clone(file, number, 3, &operations, &closed) == EMOVEFD && curlwp->l_dupfd == number);
	CHECK(file->ops == &operations && file->data == &closed && fd_getfile(number) == file);
	CHECK(listed(number) == file);
	CHECK(fd_getvnode(number, &found) == EINVAL && found == NULL);
	fd_putfile(number);
	CHECK(fd_getfile(number) == file && fd_close(number) == ENXIO && closed == 1 && fd_getfile(number) == NULL);
	CHECK(listed(number) == NULL);
	/* One that has no operations closes as well. */
	fd_affix(NULL, other, third);
	CHECK(fd_getfile(third) == other && fd_close(third) == 0 && fd_getfile(third) == NULL);
	CHECK(fd_allocfile(&file, &number) == 0 && fd_clone(file, number, 3, &operations, &closed) == EMOVEFD);
	CHECK(fd_getfile(number) == file && fd_close(number) == ENXIO && closed == 2);
	CHECK(fnullop_fcntl(NULL, F_SETFL, NULL) == 0 && fnullop_fcntl(NULL, F_SETFD, NULL) == EOPNOTSUPP);
	CHECK(fnullop_poll(NULL, POLLIN) == 0 && fnullop_kqfilter(NULL, NULL) == EOPNOTSUPP);
	fnullop_restart(NULL);
	CHECK(fbadop_read(NULL, NULL, NULL, NULL, 0) == EOPNOTSUPP && fbadop_write(NULL, NULL, NULL, NULL, 0) == EOPNOTSUPP);
	CHECK(fbadop_ioctl(NULL, 0, NULL) == EOPNOTSUPP && fbadop_stat(NULL, NULL) == EOPNOTSUPP);
	return 0;
}
