/* Credentials and authorization. */
#include "services.h"

SERVICES(services_policy);

typedef struct kauth_scope *kauth_scope_t;
typedef void *kauth_listener_t;
typedef int (*kauth_callback)(kauth_cred_t, kauth_action_t, void *, void *, void *, void *, void *);
kauth_cred_t kauth_cred_alloc(void), kauth_cred_dup(kauth_cred_t), kauth_cred_get(void), kauth_cred_hold(kauth_cred_t);
kauth_cred_t kauth_cred_copy(kauth_cred_t);
void kauth_cred_free(kauth_cred_t), kauth_cred_clone(kauth_cred_t, kauth_cred_t);
uid_t kauth_cred_getuid(kauth_cred_t), kauth_cred_geteuid(kauth_cred_t), kauth_cred_getsvuid(kauth_cred_t);
uid_t kauth_cred_getgid(kauth_cred_t), kauth_cred_getegid(kauth_cred_t), kauth_cred_getsvgid(kauth_cred_t);
void kauth_cred_setuid(kauth_cred_t, uid_t), kauth_cred_seteuid(kauth_cred_t, uid_t);
void kauth_cred_setsvuid(kauth_cred_t, uid_t), kauth_cred_setgid(kauth_cred_t, uid_t);
void kauth_cred_setegid(kauth_cred_t, uid_t), kauth_cred_setsvgid(kauth_cred_t, uid_t);
unsigned kauth_cred_getrefcnt(kauth_cred_t), kauth_cred_ngroups(kauth_cred_t);
int kauth_cred_ismember_gid(kauth_cred_t, uid_t, int *), kauth_cred_uidmatch(kauth_cred_t, kauth_cred_t);
int kauth_cred_setgroups(kauth_cred_t, const uid_t *, size_t, uid_t, int);
int kauth_cred_getgroups(kauth_cred_t, uid_t *, size_t, int);
uid_t kauth_cred_group(kauth_cred_t, unsigned);
void kauth_proc_fork(struct proc *, struct proc *);
kauth_scope_t kauth_register_scope(const char *, kauth_callback, void *);
void kauth_deregister_scope(kauth_scope_t), kauth_unlisten_scope(kauth_listener_t);
kauth_listener_t kauth_listen_scope(const char *, kauth_callback, void *);
int kauth_authorize_action(kauth_scope_t, kauth_cred_t, kauth_action_t, void *, void *, void *, void *);
int kauth_authorize_generic(kauth_cred_t, kauth_action_t, void *);
int kauth_authorize_system(kauth_cred_t, kauth_action_t, int, void *, void *, void *);
int kauth_authorize_process(kauth_cred_t, kauth_action_t, struct proc *, void *, void *, void *);
int kauth_authorize_network(kauth_cred_t, kauth_action_t, int, void *, void *, void *);
int kauth_authorize_machdep(kauth_cred_t, kauth_action_t, void *, void *, void *, void *);
int kauth_authorize_device(kauth_cred_t, kauth_action_t, void *, void *, void *, void *);
int kauth_authorize_device_tty(kauth_cred_t, kauth_action_t, void *);
int kauth_authorize_device_spec(kauth_cred_t, int, struct vnode *);
int kauth_authorize_device_passthru(kauth_cred_t, dev_t, unsigned long, void *);
int kauth_authorize_cred(kauth_cred_t, kauth_action_t, void *, void *, void *, void *);
extern struct proc proc0;

static int
credentials(void)
{
	kauth_cred_t cred = kauth_cred_alloc(), other;
	uid_t groups[3] = { 5, 6, 7 }, found[3] = { 0 };
	int member = 9;

	CHECK(cred != NULL && kauth_cred_getrefcnt(cred) == 1);
	kauth_cred_setuid(cred, 1);
	kauth_cred_seteuid(cred, 2);
	kauth_cred_setsvuid(cred, 3);
	kauth_cred_setgid(cred, 4);
	kauth_cred_setegid(cred, 5);
	kauth_cred_setsvgid(cred, 6);
	CHECK(kauth_cred_getuid(cred) == 1 && kauth_cred_geteuid(cred) == 2 && kauth_cred_getsvuid(cred) == 3);
	CHECK(kauth_cred_getgid(cred) == 4 && kauth_cred_getegid(cred) == 5 && kauth_cred_getsvgid(cred) == 6);
	CHECK(kauth_cred_setgroups(cred, groups, 3, (uid_t)-1, UIO_SYSSPACE) == 0 && kauth_cred_ngroups(cred) == 3);
	CHECK(kauth_cred_getgroups(cred, found, 3, UIO_SYSSPACE) == 0 && found[2] == 7 && kauth_cred_group(cred, 1) == 6);
	CHECK(kauth_cred_ismember_gid(cred, 7, &member) == 0 && member == 1);
	CHECK(kauth_cred_ismember_gid(cred, 8, &member) == 0 && member == 0);
	kauth_cred_hold(cred);
	CHECK(kauth_cred_getrefcnt(cred) == 2);
	kauth_cred_free(cred);
	CHECK(kauth_cred_getrefcnt(cred) == 1);
	other = kauth_cred_dup(cred);
	CHECK(other != NULL && other != cred && kauth_cred_getsvuid(other) == 3 && kauth_cred_uidmatch(cred, other));
	kauth_cred_setuid(other, 0);
	kauth_cred_clone(other, cred);
	CHECK(kauth_cred_getuid(cred) == 0);
	kauth_cred_hold(other);
	cred = (kauth_cred_free(cred), kauth_cred_copy(other));
	CHECK(cred != NULL && cred != other && kauth_cred_getrefcnt(cred) == 1 && kauth_cred_getrefcnt(other) == 1);
	kauth_cred_free(cred);
	kauth_cred_free(other);
	CHECK(kauth_cred_get() != NULL && kauth_cred_geteuid(kauth_cred_get()) == 0);
	return 0;
}

static int
processes(void)
{
	static struct proc child;
	kauth_cred_t cred = proc0.p_cred;
	unsigned before = kauth_cred_getrefcnt(cred);

	memset(&child, 0, sizeof(child));
	CHECK(cred != NULL);
	kauth_proc_fork(&proc0, &child);
	CHECK(child.p_cred == cred && kauth_cred_getrefcnt(cred) == before + 1);
	kauth_cred_free(child.p_cred);
	return 0;
}

static int
own_scope(kauth_cred_t cred, kauth_action_t action, void *cookie, void *a, void *b, void *c, void *d)
{
	(void)cred;
	(void)b;
	(void)c;
	(void)d;
	return action == 7 && a == cookie ? KAUTH_RESULT_ALLOW : action == 8 ? KAUTH_RESULT_DENY : KAUTH_RESULT_DEFER;
}

/* Allows everything. */
static int
generous(kauth_cred_t cred, kauth_action_t action, void *cookie, void *a, void *b, void *c, void *d)
{
	(void)cred;
	(void)action;
	(void)cookie;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return KAUTH_RESULT_ALLOW;
}

/* A user may do nothing that needs privilege, the superuser everything, and a listener may allow it to the user. */
static int
authorization(void)
{
	kauth_cred_t user = kauth_cred_alloc(), root = kauth_cred_get();
	kauth_listener_t listener;
	kauth_scope_t scope;
	int cookie;

	kauth_cred_seteuid(user, 100);
#define CHECK_SCOPE(call) CHECK((call) == EPERM); user = (kauth_cred_seteuid(user, 0), user); CHECK((call) == 0); kauth_cred_seteuid(user, 100)
	CHECK_SCOPE(kauth_authorize_generic(user, 1, NULL));
	CHECK_SCOPE(kauth_authorize_system(user, 10, 0, NULL, NULL, NULL));
	CHECK_SCOPE(kauth_authorize_process(user, 6, &proc0, NULL, NULL, NULL));
	CHECK_SCOPE(kauth_authorize_network(user, 1, 0, NULL, NULL, NULL));
	CHECK_SCOPE(kauth_authorize_machdep(user, 1, NULL, NULL, NULL, NULL));
	CHECK_SCOPE(kauth_authorize_device(user, 1, NULL, NULL, NULL, NULL));
	CHECK_SCOPE(kauth_authorize_device_tty(user, 1, NULL));
	CHECK_SCOPE(kauth_authorize_device_spec(user, 1, NULL));
	CHECK_SCOPE(kauth_authorize_device_passthru(user, 0, 1, NULL));
	CHECK_SCOPE(kauth_authorize_cred(user, 1, NULL, NULL, NULL, NULL));
	listener = kauth_listen_scope("org.netbsd.kauth.machdep", generous, NULL);
	CHECK(listener != NULL && kauth_authorize_machdep(user, 1, NULL, NULL, NULL, NULL) == 0);
	kauth_unlisten_scope(listener);
	CHECK(kauth_authorize_machdep(user, 1, NULL, NULL, NULL, NULL) == EPERM);
	scope = kauth_register_scope("org.example.services", own_scope, &cookie);
	CHECK(scope != NULL && kauth_register_scope("org.example.services", own_scope, NULL) == NULL);
	CHECK(kauth_authorize_action(scope, user, 7, &cookie, NULL, NULL, NULL) == 0);
	CHECK(kauth_authorize_action(scope, root, 8, NULL, NULL, NULL, NULL) == EPERM);
	kauth_deregister_scope(scope);
	scope = kauth_register_scope("org.example.services", NULL, NULL);
	CHECK(scope != NULL);
	kauth_deregister_scope(scope);
	CHECK(kauth_mode_to_action(VREAD | VEXEC) == (KAUTH_VNODE_READ_DATA | KAUTH_VNODE_EXECUTE));
	CHECK(kauth_authorize_vnode(user, KAUTH_VNODE_READ_DATA, NULL, NULL, EACCES) == EACCES);
	CHECK(kauth_authorize_vnode(user, KAUTH_VNODE_READ_DATA, NULL, NULL, 0) == 0);
	kauth_cred_free(user);
	return 0;
}

static int
checks(void)
{
	RUN(credentials());
	RUN(processes());
	return authorization();
}
