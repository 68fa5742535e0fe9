/* Clocks, dates, sleeping, callouts, deferred work. */
#include "services.h"

SERVICES(services_time);

typedef struct kmutex kmutex_t;
void nanotime(struct timespec *), getnanotime(struct timespec *), vfs_timestamp(struct timespec *);
void nanouptime(struct timespec *), getnanouptime(struct timespec *);
void microtime(struct timeval *), getmicrotime(struct timeval *), microuptime(struct timeval *), getmicrouptime(struct timeval *);
void bintime(struct bintime *), getbintime(struct bintime *), binuptime(struct bintime *), getbinuptime(struct bintime *);
int getticks(void), tvtohz(const struct timeval *), tstohz(const struct timespec *);
unsigned mstohz(unsigned), hztoms(unsigned);
bool time_wraps(struct timespec *, struct timespec *);
void delay(unsigned), i8254_delay(unsigned);
extern void (*delay_func)(unsigned);
extern volatile int64_t time_second, time_uptime, time__second, time__uptime;
extern struct timespec boottime;
extern int hz, stathz, tick, hardclock_ticks;
int tsleep(const volatile void *, int, const char *, int), mtsleep(const volatile void *, int, const char *, int, kmutex_t *);
int kpause(const char *, bool, int, kmutex_t *);
void wakeup(const volatile void *), preempt(void), yield(void);
void mutex_init(kmutex_t *, int, int), mutex_destroy(kmutex_t *), mutex_enter(kmutex_t *), mutex_exit(kmutex_t *);
int mutex_owned(kmutex_t *);
void callout_init(struct callout *, unsigned), callout_setfunc(struct callout *, void (*)(void *), void *);
void callout_schedule(struct callout *, int), callout_destroy(struct callout *);
bool callout_stop(struct callout *), callout_pending(struct callout *);
struct workqueue;
int workqueue_create(struct workqueue **, const char *, void (*)(struct work *, void *), void *, int, int, int);
void workqueue_enqueue(struct workqueue *, struct work *, void *), workqueue_wait(struct workqueue *, struct work *);
void workqueue_destroy(struct workqueue *);
void *softint_establish(unsigned, void (*)(void *), void *);
void softint_schedule(void *), softint_disestablish(void *);

#define DATE 1000000000 /* The test's clock begins there. */

static int
clocks(void)
{
	struct timespec spec = { 0 };
	struct timeval val = { 0 };
	struct bintime bin = { 0 };

#define CHECK_CLOCK(clock, value, seconds, from, to)                                                       \
	memset(&value, 0, sizeof(value));                                                                  \
	clock(&value);                                                                                     \
	CHECK(value.seconds >= (from) && value.seconds < (to));
	CHECK_CLOCK(nanotime, spec, tv_sec, DATE, DATE + 1000)
	CHECK_CLOCK(getnanotime, spec, tv_sec, DATE, DATE + 1000)
	CHECK_CLOCK(vfs_timestamp, spec, tv_sec, DATE, DATE + 1000)
	CHECK_CLOCK(microtime, val, tv_sec, DATE, DATE + 1000)
	CHECK_CLOCK(getmicrotime, val, tv_sec, DATE, DATE + 1000)
	CHECK_CLOCK(bintime, bin, sec, DATE, DATE + 1000)
	CHECK_CLOCK(getbintime, bin, sec, DATE, DATE + 1000)
	CHECK_CLOCK(nanouptime, spec, tv_sec, 1, 1000)
	CHECK_CLOCK(getnanouptime, spec, tv_sec, 1, 1000)
	CHECK_CLOCK(microuptime, val, tv_sec, 1, 1000)
	CHECK_CLOCK(getmicrouptime, val, tv_sec, 1, 1000)
	CHECK_CLOCK(binuptime, bin, sec, 1, 1000)
	CHECK_CLOCK(getbinuptime, bin, sec, 1, 1000)
	CHECK(boottime.tv_sec >= DATE - 1 && boottime.tv_sec < DATE + 1000);
#if NETBSD_VERSION < 1000000000
	CHECK(time_second >= DATE && time_uptime >= 1);
#endif
	CHECK(time__second >= DATE && time__uptime >= 1 && time__uptime < 1000);
	return 0;
}

static int
conversions(void)
{
	struct timespec spec = { .tv_sec = 2 }, back = { .tv_sec = -1 };
	struct timeval val = { .tv_sec = 3 };

	CHECK(hz > 0 && stathz > 0 && tick == 1000000 / hz);
	CHECK(tvtohz(&val) == 3 * hz + 1 && tstohz(&spec) == 2 * hz + 1);
	CHECK(mstohz(2000) == 2u * hz && hztoms(2 * hz) == 2000);
	CHECK(time_wraps(&spec, &back) && !time_wraps(&spec, &spec));
	CHECK(getticks() >= hz && hardclock_ticks >= hz);
	return 0;
}

static int64_t
nanoseconds(void)
{
	struct timespec now;

	nanouptime(&now);
	return now.tv_sec * 1000000000 + now.tv_nsec;
}

static int
delays(void)
{
	int64_t before = nanoseconds();

	delay(5000);
	CHECK(nanoseconds() >= before + 5000000);
	i8254_delay(5000);
	CHECK(nanoseconds() >= before + 10000000);
	CHECK(delay_func != NULL);
	delay_func(5000);
	CHECK(nanoseconds() >= before + 15000000);
	return 0;
}

static int channel, fired;

static void
fire(void *argument)
{
	fired++;
	if (argument != NULL)
		wakeup(argument);
}

static int
sleeping(void)
{
	struct callout callout;
	kmutex_t lock;
	int64_t before = nanoseconds();
	void *soft = softint_establish(0, fire, NULL);

	fired = 0;
	mutex_init(&lock, MUTEX_DEFAULT, IPL_NONE);
	memset(&callout, 0xff, sizeof(callout));
	callout_init(&callout, 0);
	callout_setfunc(&callout, fire, &channel);
	callout_schedule(&callout, 1);
	CHECK(callout_pending(&callout) && tsleep(&channel, 0, "services", 0) == 0 && fired == 1);
	CHECK(callout_stop(&callout) && !callout_pending(&callout));
	CHECK(tsleep(&channel, 0, "services", 2) == EWOULDBLOCK);
	callout_schedule(&callout, 1);
	mutex_enter(&lock);
	CHECK(mtsleep(&channel, 0, "services", 0, &lock) == 0 && fired == 2 && mutex_owned(&lock));
	CHECK(mtsleep(&channel, PNORELOCK, "services", 2, &lock) == EWOULDBLOCK && !mutex_owned(&lock));
	mutex_enter(&lock);
	CHECK(kpause("services", false, 1, &lock) == EWOULDBLOCK && mutex_owned(&lock));
	mutex_exit(&lock);
	CHECK(nanoseconds() >= before);
	CHECK(soft != NULL);
	softint_schedule(soft);
	CHECK(fired == 2);
	preempt();
	CHECK(fired == 3);
	softint_schedule(soft);
	yield();
	CHECK(fired == 4);
	softint_disestablish(soft);
	callout_destroy(&callout);
	mutex_destroy(&lock);
	return 0;
}

static void
note(struct work *work, void *argument)
{
	fired += work != NULL && argument == &channel;
}

static int
queues(void)
{
	struct workqueue *queue = NULL;
	struct work work;

	fired = 0;
	CHECK(workqueue_create(&queue, "services", note, &channel, 0, IPL_NONE, 0) == 0 && queue != NULL);
	workqueue_enqueue(queue, &work, NULL);
	CHECK(fired == 0);
	workqueue_wait(queue, &work);
	CHECK(fired == 1);
	workqueue_enqueue(queue, &work, NULL);
	workqueue_destroy(queue);
	CHECK(fired == 2);
	return 0;
}

static int
checks(void)
{
	RUN(clocks());
	RUN(conversions());
	RUN(delays());
	RUN(sleeping());
	return queues();
}
