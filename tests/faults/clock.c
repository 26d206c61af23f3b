/* A clock that jumps: loaded before libc (LD_PRELOAD), it adds the nanoseconds in the file $OPSHUB_TEST_CLOCK to the time of day.
 *
 * What counts from the time of day until a moment (pthread_cond_timedwait; cnd_timedwait, by which librdkafka waits, is another door to the
 * same) is told the moment by the real clock, since the kernel waits by that: a jump moves what the time is, not how long a second takes.
 * The monotonic clock is left alone, as a step of NTP leaves it. Unlike there, a wait that is under way when the clock goes back is not
 * made longer by as much.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define A_TIME_OF_DAY 1000000000L /* seconds: no machine is up for that long */

static volatile int64_t nothing;
static volatile int64_t *offset = &nothing;

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("OPSHUB_TEST_CLOCK");
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *there = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (there != MAP_FAILED) offset = there;
}

static void add(struct timespec *at, int64_t by) {
  int64_t all = at->tv_sec * SECOND + at->tv_nsec + by;
  at->tv_sec = all / SECOND;
  at->tv_nsec = all % SECOND;
}

int clock_gettime(clockid_t which, struct timespec *at) {
  int failed = (int)syscall(SYS_clock_gettime, which, at);
  if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) add(at, *offset);
  return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

int timespec_get(struct timespec *at, int base) {
  clock_gettime(CLOCK_REALTIME, at);
  return base;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}

static struct timespec real(const struct timespec *until) {
  struct timespec moved = *until;
  if (until->tv_sec > A_TIME_OF_DAY) add(&moved, -*offset);
  return moved;
}

/* The first version of this symbol has another layout of pthread_cond_t: ask for the one that everybody links to. */
int pthread_cond_timedwait(pthread_cond_t *restrict one, pthread_mutex_t *restrict lock, const struct timespec *restrict until) {
  static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (!next) next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  if (!next) next = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  struct timespec moved = real(until);
  return next(one, lock, &moved);
}

int cnd_timedwait(cnd_t *restrict one, mtx_t *restrict lock, const struct timespec *restrict until) {
  static int (*next)(cnd_t *, mtx_t *, const struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "cnd_timedwait");
  struct timespec moved = real(until);
  return next(one, lock, &moved);
}

int mtx_timedlock(mtx_t *restrict one, const struct timespec *restrict until) {
  static int (*next)(mtx_t *, const struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "mtx_timedlock");
  struct timespec moved = real(until);
  return next(one, &moved);
}

int sem_timedwait(sem_t *restrict one, const struct timespec *restrict until) {
  static int (*next)(sem_t *, const struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "sem_timedwait");
  struct timespec moved = real(until);
  return next(one, &moved);
}

int sem_clockwait(sem_t *one, clockid_t which, const struct timespec *until) {
  static int (*next)(sem_t *, clockid_t, const struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "sem_clockwait");
  struct timespec moved = real(until);
  return next(one, which, &moved);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict one, const struct timespec *restrict until) {
  static int (*next)(pthread_mutex_t *, const struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "pthread_mutex_timedlock");
  struct timespec moved = real(until);
  return next(one, &moved);
}
