/* Loaded in front of the C library (LD_PRELOAD): each flush first waits as many milliseconds as the
 * file that SLOW_FLUSHES_FILE names says. No file, no wait. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_as_told(void) {
    int saved = errno;
    const char *path = getenv("SLOW_FLUSHES_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        char text[16] = {0};
        long ms = read(file, text, sizeof text - 1) > 0 ? atol(text) : 0;
        close(file);
        if (ms > 0) {
            struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
            while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
            }
        }
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
