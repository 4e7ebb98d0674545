/* Loaded in front of the C library (LD_PRELOAD), so that a node's disk can be slow and its clock wrong.
 *
 * FLUSH_DELAY_FILE names a file with a number of milliseconds: each flush first waits so long.
 * CLOCK_FILE names a file with a number of seconds: the time of day is so much later. The monotonic
 * clock stays as it is, as it does when somebody sets the time. No file, no change. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long number_in(const char *variable) {
    int saved = errno;
    const char *path = getenv(variable);
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    long number = 0;
    if (file >= 0) {
        char text[32] = {0};
        number = read(file, text, sizeof text - 1) > 0 ? atol(text) : 0;
        close(file);
    }
    errno = saved;
    return number;
}

static void wait_as_told(void) {
    int saved = errno;
    long ms = number_in("FLUSH_DELAY_FILE");
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    while (ms > 0 && nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
    errno = saved;
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) {
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    }
    wait_as_told();
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) {
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    }
    wait_as_told();
    return real(file);
}

static int (*real_gettime)(clockid_t, struct timespec *);

/* Looked up ten times a second: the clock is asked far more often. */
static long seconds_off(void) {
    static long looked_at, off;
    struct timespec now;
    if (real_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    long tenth = now.tv_sec * 10 + now.tv_nsec / 100000000;
    if (__atomic_exchange_n(&looked_at, tenth, __ATOMIC_RELAXED) != tenth) {
        __atomic_store_n(&off, number_in("CLOCK_FILE"), __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&off, __ATOMIC_RELAXED);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!real_gettime) {
        real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int outcome = real_gettime(clock, time);
    if (outcome == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        time->tv_sec += seconds_off();
    }
    return outcome;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return -1;
    }
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return -1;
    }
    if (out) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
