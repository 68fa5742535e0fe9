/* Copies between address spaces, which are one here, and transfers. */
#include "services.h"

SERVICES(services_copy);

int copyin(const void *, void *, size_t), copyout(const void *, void *, size_t), kcopy(const void *, void *, size_t);
int copystr(const void *, void *, size_t, size_t *), copyinstr(const void *, void *, size_t, size_t *);
int copyoutstr(const void *, void *, size_t, size_t *);
int copyin_vmspace(struct vmspace *, const void *, void *, size_t), copyout_vmspace(struct vmspace *, const void *, void *, size_t);
int copyin_proc(struct proc *, const void *, void *, size_t), copyout_proc(struct proc *, const void *, void *, size_t);
int ioctl_copyin(int, const void *, void *, size_t), ioctl_copyout(int, const void *, void *, size_t);
int _ufetch_8(const uint8_t *, uint8_t *), _ustore_8(uint8_t *, uint8_t);
int _ufetch_16(const uint16_t *, uint16_t *), _ustore_16(uint16_t *, uint16_t);
int _ufetch_32(const uint32_t *, uint32_t *), _ustore_32(uint32_t *, uint32_t);
int _ufetch_64(const uint64_t *, uint64_t *), _ustore_64(uint64_t *, uint64_t);
int ufetch_long(const unsigned long *, unsigned long *), ustore_long(unsigned long *, unsigned long), suword(void *, long);
int uiomove_frombuf(void *, size_t, struct uio *), ureadc(int, struct uio *);
extern struct proc proc0;
extern struct vmspace *kernel_vmspace;
extern struct pmap *const kernel_pmap_ptr;
extern struct lwp lwp0;

static int
copies(void)
{
	char buffer[8];
	size_t done = 0;

#define CHECK_COPY(call)                                                                                   \
	memset(buffer, 0, sizeof(buffer));                                                                 \
	CHECK((call) == 0 && memcmp(buffer, "1234567", 7) == 0);
	CHECK_COPY(copyin("1234567", buffer, 7))
	CHECK_COPY(copyout("1234567", buffer, 7))
	CHECK_COPY(kcopy("1234567", buffer, 7))
	CHECK_COPY(copyin_vmspace(kernel_vmspace, "1234567", buffer, 7))
	CHECK_COPY(copyout_vmspace(kernel_vmspace, "1234567", buffer, 7))
	CHECK_COPY(copyin_proc(&proc0, "1234567", buffer, 7))
	CHECK_COPY(copyout_proc(&proc0, "1234567", buffer, 7))
	CHECK_COPY(ioctl_copyin(0, "1234567", buffer, 7))
	CHECK_COPY(ioctl_copyout(0, "1234567", buffer, 7))
	CHECK_COPY(copystr("1234567", buffer, 8, &done))
	CHECK_COPY(copyinstr("1234567", buffer, 8, NULL))
	CHECK_COPY(copyoutstr("1234567", buffer, 8, NULL))
	CHECK(done == 8 && copystr("1234567", buffer, 3, &done) == ENAMETOOLONG && copyin(NULL, buffer, 1) == EFAULT);
	CHECK(kernel_vmspace != NULL && kernel_pmap_ptr != NULL);
	return 0;
}

static int
words(void)
{
#define CHECK_WORD(bits)                                                                                   \
	{                                                                                                  \
		uint##bits##_t place = 0, found = 0;                                                       \
		const uint##bits##_t value = (uint##bits##_t)0x8123456789abcdefull;                        \
		CHECK(_ustore_##bits(&place, value) == 0 && place == value);                               \
		CHECK(_ufetch_##bits(&place, &found) == 0 && found == value);                              \
	}
	unsigned long place = 0, found = 0;

	CHECK_WORD(8)
	CHECK_WORD(16)
	CHECK_WORD(32)
	CHECK_WORD(64)
	CHECK(ustore_long(&place, 77) == 0 && place == 77 && ufetch_long(&place, &found) == 0 && found == 77);
	CHECK(suword(&place, 78) == 0 && place == 78);
	return 0;
}

static int
transfers(void)
{
	char source[8] = "abcdefg", target[8] = { 0 };
	struct iovec vector = { .iov_base = target, .iov_len = 7 };
	struct uio uio = { .uio_iov = &vector, .uio_iovcnt = 1, .uio_resid = 7, .uio_rw = UIO_READ };

	uio_setup_sysspace(&uio);
	CHECK(uio.uio_vmspace == kernel_vmspace);
	CHECK(uiomove(source, 3, &uio) == 0 && uio.uio_resid == 4 && uio.uio_offset == 3 && memcmp(target, "abc", 4) == 0);
	CHECK(uiomove_frombuf(source, 5, &uio) == 0 && uio.uio_resid == 2 && memcmp(target, "abcde", 6) == 0);
	CHECK(ureadc('!', &uio) == 0 && uio.uio_resid == 1 && target[5] == '!');
	return 0;
}

static int
checks(void)
{
	CHECK(curlwp == &lwp0 && lwp0.l_proc == &proc0 && lwp0.l_cred != NULL && proc0.p_vmspace == (void *)kernel_vmspace);
	RUN(copies());
	RUN(words());
	return transfers();
}
